# enter.py PID USER PROGRAM...: run a program, as a user, in the container of which PID is a process.
#
# Any Python from 2.7 up, on any Linux. What is imported is imported at the top: after the chroot, a file of that name would
# be the container's. The text has neither strings nor statements of several lines, and no comments behind code: enter.go
# makes one line of it.

import sys
sys.path[:] = [p for p in sys.path if p]
import errno
import fcntl
import os
import signal
try:
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
except (ImportError, OSError):
    # What is there instead is os.setns.
    libc = None

NAMESPACES = ("ipc", "uts", "net", "pid", "mnt", "user")
PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4

pid, user, program = sys.argv[1], sys.argv[2], sys.argv[3:]
child = None
early = []


def fail(text):
    sys.stderr.write("setns: %s\n" % text)
    sys.stderr.flush()
    os._exit(1)


def setns(fd):
    if libc is None:
        os.setns(fd, 0)
    elif libc.setns(fd, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def prctl(option, value):
    if libc is not None:
        libc.prctl(option, ctypes.c_ulong(value))


# The namespaces of the container that are not ours, as open files, and its root directory.
def doors():
    try:
        root = os.open("/proc/%s/root" % pid, os.O_RDONLY)
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ESRCH):
            fail("process %s, the container's first, is gone." % pid)
        fail("cannot open the root directory of process %s: %s. This takes root." % (pid, e.strerror))
    found = []
    for name in NAMESPACES:
        try:
            fd = os.open("/proc/%s/ns/%s" % (pid, name), os.O_RDONLY)
        except OSError as e:
            if e.errno == errno.ENOENT:
                # A kernel without it.
                continue
            fail("cannot open the %s namespace of process %s: %s. This takes root." % (name, pid, e.strerror))
        if os.path.samestat(os.fstat(fd), os.stat("/proc/self/ns/" + name)):
            os.close(fd)
        else:
            found.append((name, fd))
    # The container may have ended, and its number be that of some process of this host by now.
    if "mnt" not in [name for name, _ in found]:
        fail("process %s is in no container." % pid)
    return root, found


# Who owns the user namespace only has rights to the others once in it: what fails is tried again behind it.
def join(namespaces):
    for last in (False, True):
        again = []
        for name, fd in namespaces:
            try:
                setns(fd)
                os.close(fd)
            except OSError as e:
                if last:
                    fail("cannot enter the %s namespace of process %s: %s." % (name, pid, e.strerror))
                again.append((name, fd))
        namespaces = again


def text(data):
    return data if str is bytes else os.fsdecode(data)


def fields(path):
    try:
        with open(path, "rb") as f:
            data = f.read(1 << 24)
    except EnvironmentError:
        return []
    return [line.split(":") for line in text(data).split("\n")]


# What a program of the container prints.
def output(argv):
    r, w = os.pipe()
    asked = os.fork()
    if not asked:
        try:
            os.close(0)
            os.dup2(w, 1)
            os.close(2)
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    os.close(w)
    data = b""
    while len(data) < 65536:
        some = os.read(r, 65536)
        if not some:
            break
        data += some
    os.close(r)
    os.waitpid(asked, 0)
    return text(data)


# The user's entry in passwd, and the numbers of all groups.
def account():
    known = [f for f in fields("/etc/passwd") if len(f) > 6]
    entries = [f for f in known if f[0] == user] or [f for f in known if f[2] == user and user.isdigit()]
    if entries:
        groups = [f[2] for f in fields("/etc/group") if len(f) > 3 and entries[0][0] in f[3].split(",")]
    else:
        entries = [f for f in [output(["getent", "passwd", user]).strip().split(":")] if len(f) > 6]
        groups = entries and output(["id", "-G", entries[0][0]]).split()
    if not entries and user == "root":
        # Containers without a passwd have a root all the same.
        entries, groups = [["root", "", "0", "0", "", "/", ""]], []
    if not entries:
        fail("there is no user %s in the container." % user)
    name, _, uid, gid, _, home, shell = entries[0][:7]
    gid = int(gid)
    return name, int(uid), gid, [gid] + [int(g) for g in groups if int(g) != gid], home or "/", shell or "/bin/sh"


def become():
    name, uid, gid, groups, home, shell = account()
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
    os.environ.update({"HOME": home, "SHELL": shell, "LOGNAME": name, "USER": name})
    try:
        os.chdir(home)
    except OSError:
        # It is in / then.
        pass


# Behind the fork, inside.
def run():
    try:
        # Python comes to its handlers between two steps of its own: what came behind the last one would be lost.
        for number in PASSED_ON + (signal.SIGCHLD,):
            if signal.getsignal(number) in (pass_on, heard):
                signal.signal(number, signal.SIG_DFL)
        become()
        for name in ("SIGPIPE", "SIGXFSZ"):
            # Python ignores them, and what is ignored stays so.
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        # Our parent can be killed such that it passes nothing on.
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.execvp(program[0], program)
    except (EnvironmentError, ValueError) as e:
        fail("cannot start %s as %s: %s" % (program[0], user, e))
    finally:
        os._exit(1)


def pass_on(number, frame):
    if child is None:  # or not known yet: Python may come here between the fork and the name for it
        early.append(number)
        return
    if not child:
        os._exit(128 + number)
    try:
        os.kill(child, number)
    except OSError:
        pass


# A pipe with a byte for each signal. A wait for the child itself would sleep through one that came just before it: Python
# comes to its handlers between two steps of its own.
def bell():
    r, w = os.pipe()
    for fd in (r, w):
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    fcntl.fcntl(w, fcntl.F_SETFL, fcntl.fcntl(w, fcntl.F_GETFL) | os.O_NONBLOCK)
    signal.set_wakeup_fd(w)
    signal.signal(signal.SIGCHLD, heard)
    return r


def heard(number, frame):
    pass


# Behind the fork, outside: streams are the child's alone, and our end is like its end.
def stand_by():
    for fd in (0, 1, 2):
        os.close(fd)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        try:
            os.read(rung, 512)
        except OSError as e:
            if e.errno != errno.EINTR:
                os._exit(1)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))


root, namespaces = doors()
# While this is a Python of the host inside the container, nobody there may look at it: not even at /proc/PID/exe.
prctl(PR_SET_DUMPABLE, 0)
join(namespaces)
try:
    os.fchdir(root)
    os.chroot(".")
    os.close(root)
    for number in PASSED_ON:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, pass_on)
    rung = bell()
    child = os.fork()
except OSError as e:
    fail("cannot enter the container of process %s: %s." % (pid, e.strerror))
for number in early:
    pass_on(number, None)
if child:
    stand_by()
run()
