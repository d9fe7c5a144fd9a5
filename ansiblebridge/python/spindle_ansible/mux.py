"""The multiplexer process: found, started and ended by ansible-playbook itself.

It is started once, at the first strategy that needs it, and not waited for until a
task needs it. It lives as long as we hold our end of a socket pair: whatever ends
ansible-playbook ends it too.
"""
import atexit
import errno
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import uuid

from spindle_ansible import client as client_mod
from spindle_ansible import log
from spindle_ansible import waiting

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The directory that `spindle plugins` has made is called as the program calls itself; others, such as a source tree, say nothing.
RELEASE = os.path.basename(ROOT) if re.search(r'-[0-9a-f]{12}$', ROOT) else None

READY_SECONDS = 10.0
END_SECONDS = 8.0
# sun_path holds 108 bytes, one of them the end.
SOCKET_PATH_MAX = 100


class Unavailable(Exception):
    """There is no usable multiplexer; the text says what to do."""


def find_binary():
    """The path of the spindle program: $SPINDLE_BINARY, the file spindle_binary here, or PATH."""
    named = os.path.abspath(os.path.expanduser(os.environ['SPINDLE_BINARY'])) if os.environ.get('SPINDLE_BINARY') else None
    where = 'SPINDLE_BINARY'
    if not named:
        note = os.path.join(ROOT, 'spindle_binary')
        try:
            with open(note) as f:
                named = f.read().strip()
            where = note
        except (IOError, OSError):
            pass
    if named:
        if os.path.isfile(named) and os.access(named, os.X_OK):
            return named
        raise Unavailable('%s names %s, which is no program. Set SPINDLE_BINARY to the spindle program.'
                          % (where, named))
    found = shutil.which('spindle')
    if found:
        return os.path.abspath(found)  # modules that start it for rsync have another directory
    raise Unavailable('the spindle program was not found. Put it into PATH, or set SPINDLE_BINARY to its path.')


def _own_directory(path):
    """Make a directory that is ours alone, or say that it is not."""
    for _ in range(5):
        try:
            os.mkdir(path, 0o700)
        except OSError as e:
            if e.errno != errno.EEXIST:
                return False
        try:
            st = os.lstat(path)
            break
        except OSError:  # another run that has just ended has removed it
            pass
    else:
        return False
    return stat.S_ISDIR(st.st_mode) and st.st_uid == os.geteuid() and not st.st_mode & 0o077


def run_directory():
    """The directory of sockets: per user, private, short enough for a socket's path."""
    candidates = []
    runtime = os.environ.get('XDG_RUNTIME_DIR')
    if runtime:
        candidates.append(os.path.join(runtime, 'spindle'))
    candidates.append('/tmp/spindle-%d' % os.geteuid())
    for path in candidates:
        if len(path) + 40 <= SOCKET_PATH_MAX and _own_directory(path):
            return path
    raise Unavailable('no private directory for its socket: %s must belong to you, with mode 0700.'
                      % ' or '.join(candidates))


def claim():
    """A name for a socket, and a file that keeps its directory from being removed until there is one."""
    for _ in range(5):
        stem = os.path.join(run_directory(), '%d-%s' % (os.getpid(), uuid.uuid4().hex[:8]))
        try:
            os.close(os.open(stem + '.start', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return stem
        except OSError as e:
            if e.errno != errno.ENOENT:  # another run's end removed the directory meanwhile
                raise Unavailable('%s: %s.' % (stem, e.strerror))
    raise Unavailable('%s disappears again and again.' % os.path.dirname(stem))


def sweep(directory):
    """Remove what runs that were killed left behind: sockets that nobody listens on."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        owner = name.partition('-')[0]
        try:
            if not owner.isdigit() or os.path.exists('/proc/%s' % owner):
                continue
            if name.endswith('.sock'):
                if refuses(path):
                    remove_quietly(path)
            elif name.endswith('.start') and time.time() - os.stat(path).st_mtime > 60:
                os.unlink(path)
        except OSError:
            pass


def refuses(path):
    """Whether nobody listens on a socket that is there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(path)
        except OSError as e:
            return e.errno == errno.ECONNREFUSED
    return False


def remove_quietly(path, remove=os.unlink):
    """Remove what may be gone already."""
    try:
        remove(path)
    except OSError:
        pass


def save_pids(**pids):
    """Write process numbers where Mitogen writes them. That they cannot be written is no reason to do without a multiplexer."""
    for name, pid in pids.items():
        try:
            with open('.ansible-%s.pid' % name, 'w') as f:
                f.write('%d' % pid)
        except OSError as e:
            log.debug('the number of process %d is not saved: %s' % (pid, e))


class Multiplexer(object):
    """A running `spindle serve` and our hold on it."""

    def __init__(self, binary):
        self.owner = os.getpid()
        stem = claim()
        self.path = stem + '.sock'
        self._claim = stem + '.start'
        sweep(os.path.dirname(stem))
        self._ready = False
        self._own = threading.local()  # a worker may have a thread for each of several hosts
        self._messages = tempfile.TemporaryFile()
        self.environ = dict(os.environ)
        ours, theirs = socket.socketpair()
        self._lifeline = ours
        loud = log.level() <= 20
        try:
            self.process = subprocess.Popen(
                [binary, 'serve', '--socket', self.path, '--lifeline', str(theirs.fileno()),
                 '--log-level', 'debug' if log.level() <= 10 else 'info' if loud else 'error'],
                pass_fds=[theirs.fileno()], start_new_session=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=2 if loud else self._messages)  # by its number: newer releases keep it from children
        except OSError as e:
            ours.close()
            remove_quietly(self._claim)
            raise Unavailable('%s could not be started: %s.' % (binary, e))
        finally:
            theirs.close()
        self.binary = binary
        if 'MITOGEN_SAVE_PIDS' in os.environ:  # users' profiling scripts look for these
            save_pids(controller=self.owner, mux=self.process.pid)
        if hasattr(os, 'register_at_fork'):
            os.register_at_fork(after_in_child=self._in_child)
        atexit.register(self.stop)

    def _in_child(self):
        """A fork must not keep the multiplexer alive, nor speak on its parent's socket."""
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            lifeline.close()
        self.hang_up()

    def wait_ready(self, seconds=READY_SECONDS):
        """Wait until it listens and answers in our protocol; only in the process that started it."""
        if self._ready:
            if self.process.poll() is not None:
                raise Unavailable('%s serve has ended, with exit status %d.' % (self.binary, self.process.returncode))
            self._be_there()
            return
        limit = time.monotonic() + seconds
        said = b''
        while b'\n' not in said:
            left = limit - time.monotonic()
            if left <= 0 or not waiting.readable(self._lifeline, left):
                raise Unavailable('%s serve did not become ready within %d seconds.' % (self.binary, seconds))
            try:
                data = self._lifeline.recv(64)
            except OSError as e:
                if e.errno == errno.EINTR:
                    continue
                data = b''
            if not data:
                raise Unavailable('%s serve did not start%s. Is it the spindle program of this release?'
                                  % (self.binary, self._last_words()))
            said += data
        remove_quietly(self._claim)
        try:
            peer = self.client().handshake(max(0.1, limit - time.monotonic()))
        except (client_mod.ClientError, OSError) as e:
            raise Unavailable('%s serve: %s. Is it the spindle program of this release?' % (self.binary, e))
        if RELEASE and peer['version'] != RELEASE:
            raise Unavailable('%s is of the release %s, and these plugins are of %s: put the directory that "%s plugins" prints into ansible.cfg.'
                              % (self.binary, peer['version'], RELEASE, self.binary))
        self._ready = True

    def _be_there(self):
        """Wait for the socket, if it has gone: the multiplexer makes it anew where it can."""
        limit = time.monotonic() + client_mod.GONE_SECONDS
        while not os.path.exists(self.path):
            if time.monotonic() > limit:
                raise Unavailable('its socket %s has disappeared.' % self.path)
            time.sleep(0.05)

    def listens(self):
        """Whether anybody does; also in a fork, which cannot ask for its end."""
        return os.path.exists(self.path) and not refuses(self.path)

    def client(self, seconds=client_mod.CONNECT_SECONDS):
        """This thread's session, opened when first asked for."""
        found = getattr(self._own, 'client', None)
        if found is None or not found.alive or self._own.pid != os.getpid():
            found = client_mod.Client(self.path, starting=not self._ready)
            found.connect(seconds)
            self._own.client, self._own.pid = found, os.getpid()
        return found

    def hang_up(self):
        """End this thread's session."""
        found = self._own.__dict__.pop('client', None)
        if found is not None:
            found.close()

    def stop(self):
        """End it: it has a few seconds to stop what it started, then it is killed."""
        if os.getpid() != self.owner or self._lifeline is None:
            return
        self.hang_up()
        self._lifeline.close()
        self._lifeline = None
        try:
            self._await(END_SECONDS)
        except subprocess.TimeoutExpired:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except OSError:
                self.process.kill()
            self.process.wait()
        except KeyboardInterrupt:
            return  # somebody is in a hurry: it ends by itself, and removes what is its own
        self._messages.close()
        remove_quietly(self._claim)
        remove_quietly(self.path)
        remove_quietly(os.path.dirname(self.path), os.rmdir)

    def _await(self, seconds):
        """Wait for its end. Where the system can tell of it (Linux 5.3, Python 3.9), nothing is asked again and again."""
        if self.process.poll() is not None:  # and its number may be another's by now
            return
        try:
            end = os.pidfd_open(self.process.pid)
        except (AttributeError, OSError):
            self.process.wait(seconds)
            return
        try:
            if not waiting.readable(end, seconds):
                raise subprocess.TimeoutExpired(self.process.args, seconds)
        finally:
            os.close(end)
        self.process.wait()

    def _last_words(self):
        """The last line that it wrote, for an error text."""
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        try:
            self._messages.seek(0)
            lines = self._messages.read(65536).decode('utf-8', 'replace').strip().splitlines()
        except (OSError, ValueError):
            lines = []
        return ' (%s)' % lines[-1].strip() if lines else ''
