# What must not outlive the agent, and the process that sees to it.


class Ledger(object):
    """A list of process groups, temporary directories and files that somebody removes when the agent is gone.

    It is kept twice, by the agent and by its warden, and written to in records that end with a NUL: a letter (small
    to take the entry back) and a process group or a path. G group, D directory, F file, B a directory that goes only
    if it is empty.
    """

    def __init__(self):
        self.entries = {b'G': [], b'D': [], b'F': [], b'B': []}
        self.rest = b''

    def feed(self, data):
        """Takes records as they come out of a pipe; returns those that are no business of the ledger."""
        records = (self.rest + data).split(b'\0')
        self.rest = records.pop()
        return [r for r in records if not self.note(r)]

    def note(self, record):
        kind, value = record[:1], record[1:]
        entries = self.entries.get(kind.upper())
        if entries is None:
            return False
        if kind.isupper():
            if value not in entries:
                entries.append(value)
        elif value in entries:
            entries.remove(value)
        return True

    def groups(self):
        return [int(g) for g in self.entries[b'G']]

    def sweep(self):
        """Ends and removes everything. Whoever sweeps reaps its own children on the way."""
        live = [g for g in self.groups() if signal_group(g, signal.SIGTERM)]
        end = monotonic() + GRACE
        while live and monotonic() < end:
            time.sleep(0.02)
            reap()
            live = [g for g in live if signal_group(g, 0)]
        for group in live:
            signal_group(group, signal.SIGKILL)
        for path in self.entries[b'F'] + self.entries[b'D']:
            try:
                remove(path, True)
            except (OSError, IOError):
                pass
        end = monotonic() + GRACE
        for path in reversed(self.entries[b'B']):
            while holds(path) and monotonic() < end:
                time.sleep(0.02)


def holds(path):
    """Removes a directory if it is empty; whether it holds nothing but what other agents of the account have there, which end with the same run."""
    try:
        os.rmdir(path)
    except OSError as e:
        try:
            return e.errno in (errno.ENOTEMPTY, errno.EEXIST) and not [
                n for n in os.listdir(path) if not n.startswith((b'ansible-spindle-', b'ansible_mitogen_')) or n.endswith(b'-')]  # a job's
        except OSError:
            pass
    return False


def signal_group(group, number):
    """Signals a process group; False if it does not exist any more."""
    try:
        os.killpg(group, number)
    except OSError as e:
        return e.errno != errno.ESRCH
    return True


def signal_child(pid, number):
    """Signals the group of a child that was not reaped; one so new that it has none yet gets the signal alone."""
    try:
        if os.getpgid(pid) != pid:
            os.kill(pid, number)
        else:
            os.killpg(pid, number)
    except OSError:
        pass


def reap():
    """The children that have ended, as (pid, wait status)."""
    found = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except OSError:
            return found
        if not pid:
            return found
        found.append((pid, status))


def remove(path, recursive):
    """Removes what path is, which may be nothing."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            if recursive:
                remove_tree(path)
            else:
                os.rmdir(path)
        else:
            os.unlink(path)
    except OSError as e:
        if e.errno not in (errno.ENOENT, errno.ENOTDIR) or os.path.lexists(path):
            raise


def remove_tree(path, **at):
    # What goes meanwhile is gone. By descriptors where Python can, so that nobody swaps a directory for a link under our feet.
    if _WIRE_PY3:
        top = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY, **at)
        try:
            for name in os.listdir(top):
                try:
                    if os.stat(name, dir_fd=top, follow_symlinks=False).st_mode & 0o170000 == 0o040000:
                        remove_tree(name, dir_fd=top)
                    else:
                        os.unlink(name, dir_fd=top)
                except OSError as e:
                    if e.errno != errno.ENOENT:
                        raise
        finally:
            os.close(top)
    else:
        for name in os.listdir(path):
            remove(os.path.join(path, name), True)
    os.rmdir(path, **at)


def wakeup():
    """A descriptor that is readable after a child has ended."""
    r, w = pipe(0)
    hold(w)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(w)
    return r


def drain(fd):
    """What a descriptor that does not block holds now, and whether it was at its end then (if anything was in front of that, it may take another call)."""
    out = []
    try:
        while True:
            data = os.read(fd, 65536)
            out.append(data)
            if len(data) < 65536:
                return b''.join(out), not data
    except OSError as e:
        return b''.join(out), e.errno not in (errno.EAGAIN, errno.EINTR)


def quietly(poller, timeout=None):
    """poll() that a signal may interrupt (Python 2 says so, by an exception)."""
    try:
        return poller.poll(timeout)
    except (OSError, select.error) as e:
        if e.args[0] != errno.EINTR:
            raise
        return []


def warden(agent, records):
    """Waits for the end of the agent, whatever way it takes, and cleans up behind it.

    This is the process that sshd or sudo started; it has no part in the link. It never returns.
    """
    def stop(number, frame):
        # Who is told to end passes it on and stays to reap: the first process of a container may not do it for us.
        try:
            os.kill(agent, number)
        except OSError:
            pass
    signal.signal(signal.SIGTERM, stop)
    ledger = Ledger()
    poller = select.poll()
    woken = wakeup()
    for fd in (woken, records):
        poller.register(fd, select.POLLIN)
    status = None
    try:
        while True:
            # In this order: a signal that comes behind the first line is still there when poll asks.
            drain(woken)
            for pid, result in reap():
                if pid == agent:
                    status = result
            # Behind the reaping: what the agent wrote last must be read before its end counts.
            if records is not None:
                data, ended = drain(records)
                ledger.feed(data)
                if ended:  # it has closed this pipe and will end in a moment
                    poller.unregister(records)
                    records = None
            if status is not None:
                break
            quietly(poller)
        ledger.sweep()
    finally:
        os._exit(os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else 1)
