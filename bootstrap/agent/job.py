# Calls and spawned programs: one forked child each, its streams, its end.


# How long the pipes of a program that has ended are read, at most, for what others have to say there.
LINGER = 5


class Job(object):
    """What a CALL or a SPAWN has started. It answers with exactly one terminal frame."""

    chain = None  # that it is a link of, if it is one
    wait = go = None  # the pipe of a child that waits for its turn: its end and ours
    byways = None  # by way of which its input comes, if there are any
    talks = False  # whether what its child has to tell is more than a pipe holds until it ends

    def __init__(self, link, id, meta):
        self.link = link
        self.id = id
        self.meta = meta
        self.sinks = {}
        self.sources = {}
        self.fds = [None, None, None]  # what the child gets for 0-2
        self.pid = None
        self.status = None  # as wait() gives it
        self.error = None  # (status, errno, text)
        self.fate = None  # (status, text), once somebody has decided to end it
        self.signals = []  # what a job that was killed is yet to get
        self.done = False
        self.streaming = False
        self.limit = None  # when its time is up
        self.next = None  # when wait() is to be hurried
        self.listener = None  # the pipe that the child tells its records to
        self.rest = b''
        self.files = set()  # hidden files that the child has made and not put in place or removed yet
        link.jobs[id] = self
        if len(link.jobs) > 8:  # each has up to five descriptors, and 64 are few
            link.more_files()

    def source(self, channel, **kinds):
        mine, theirs = pipe(0)
        self.fds[channel] = theirs
        self.sources[channel] = Source(self, mine, channel, **kinds)

    def sink(self, channel, window=WINDOW_INITIAL):
        theirs, mine = pipe(1)
        self.fds[channel] = theirs
        self.sinks[channel] = Sink(self, mine, channel, window)

    def launch(self, task):
        """Forks the child; task is its work."""
        control = None
        try:
            self.listener, control = pipe(0)
            if self.talks:
                self.link.watch(self.listener, select.POLLIN, self.listen)
            self.pid = fork(self.link, self.fds, control, task, self.wait)
            self.link.pids[self.pid] = self
            self.link.ledger.note(b'G%d' % self.pid)
        except OSError as e:
            self.error = (STATUS_ERROR, e.errno, 'fork: %s' % os.strerror(e.errno))
            self.finish()
        finally:
            if control is not None:
                close(control)
            self.close_theirs()

    def close_theirs(self):
        for fd in set(self.fds + [self.wait]):
            if fd is not None:
                close(fd)
        self.fds = []
        self.wait = None

    def listen(self, events=0):
        """Reads what the child has to tell: entries for the ledger, or why the work cannot be done."""
        data, ended = drain(self.listener)
        records = (self.rest + data).split(b'\0')
        self.rest = records.pop()
        for words in records:
            if not self.link.ledger.note(words):
                self.error = loads(words[1:])
            elif words[:1] == b'F':
                self.files.add(words[1:])
            elif words[:1] == b'f':
                self.files.discard(words[1:])
        if ended:
            self.link.drop(self.listener)
            self.listener = None

    def update(self):
        """Looks at the streams after something has happened to them."""
        if self.done or self.fate:
            return
        total = 0
        ended = self.status is not None
        for source in self.sources.values():
            total += source.size
        if total > INLINE_MAX:
            self.streaming = True
        for source in self.sources.values():
            if self.streaming and source.size:
                self.link.offer(source)
            if source.fd is not None:
                ended = False
                source.pause(self.streaming and source.size >= CHUNK_MAX)
        if ended and total <= self.keeps:
            self.finish()

    def end_of_input(self, sink):
        sink.end()

    def lingers(self, source):
        """Whether what others write into a stream still counts, for a moment, when the child has ended."""
        return False

    def exited(self, status):
        """The child has ended and was reaped."""
        self.status = status
        if self.listener is not None:
            self.listen()
        for path in self.files:  # it was ended before it could
            try:
                remove(path, False)
            except OSError:
                continue
            self.link.note(b'f' + path)
        for sink in self.sinks.values():
            sink.close()
        for source in self.sources.values():
            source.ended()
        if self.fate:
            # What is left of a group that had to die dies with it, in its time.
            self.link.dying[self.pid] = self.next or 0
            for source in self.sources.values():
                size = -1
                while size < source.size < INLINE_MAX and source.fd is not None:
                    size = source.size
                    source.read()
            self.finish()
        else:
            # Whatever else is in the group was meant to stay: a daemon that the module has started.
            self.link.bury(self.pid)
            self.next = monotonic() + 0.3
            self.late = self.next + LINGER
            self.update()

    def kill(self, status, words):
        """Ends the work, which is answered with status."""
        if self.fate or self.done:
            return
        self.fate = (status, words)
        for sink in self.sinks.values():
            sink.close()
        if self.pid is None or self.status is not None:
            self.finish()
        else:
            self.signals = [signal.SIGTERM, signal.SIGKILL]
            self.next = monotonic() + self.hang_up()
            self.alarm(monotonic())

    def hang_up(self):
        """Takes a terminal away that is all that the child has; returns how long it may take to end by that."""
        return 0

    def alarm(self, now):
        """Does what is due; returns when to be called again, or None."""
        if self.limit is not None and now >= self.limit:
            self.limit = None
            self.kill(STATUS_TIMEOUT, 'timed out')
        if self.next is not None and now >= self.next:
            self.next = None
            if self.status is not None:
                self.hush(now)
            elif self.signals:
                signal_child(self.pid, self.signals.pop(0))
                self.next = now + GRACE
            else:
                self.finish()  # not ours to kill, or stuck in the kernel: nobody waits for it
        return min([t for t in (self.limit, self.next) if t is not None] or [None])

    def hush(self, now):
        """Listens no more, once the child has ended, to somebody who keeps its terminal, or its pipes and is silent, or talks on and on."""
        for source in self.sources.values():
            if source.fd is None or source.left is not None:
                continue
            if source.terminal and source.size < CHUNK_MAX:
                source.close()
            elif source.terminal:
                self.next = now + 0.3
            elif now < self.late and source.seen != source.total:
                source.seen = source.total
                self.next = now + GRACE
            else:
                source.settle()
        self.update()

    def rc(self):
        status = self.status
        if status is None:
            return -9 if self.pid else 0
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def finish(self):
        """Sends the terminal frame and forgets the job."""
        if self.done:
            return
        self.done = True
        well = self.chain is not None and self.well()
        if well:
            self.chain.hand_on()  # first of all: what is left to do here can be done beside it
        self.answer()
        self.close_theirs()
        for stream in list(self.sinks.values()) + list(self.sources.values()):
            stream.close()
        if self.byways is not None:
            self.byways.close()
        if self.go is not None:
            close(self.go)
        if self.listener is not None:
            self.link.drop(self.listener)
            self.listener = None
        del self.link.jobs[self.id]
        if self.chain is not None:
            self.chain.ended(self.id, well)

    def well(self):
        """Whether what was sent behind this may begin. Asked once, when it has ended and before its output is taken to be sent."""
        return not self.error and not self.fate


class Call(Job):
    """One CALL, answered by RESULT."""

    keeps = INLINE_MAX  # so much output rides in the terminal frame

    def __init__(self, link, id, header, body, meta, chain=None, ahead=False):
        self.chain = chain
        self.ahead = ahead  # of its turn. Until then it may end at any time, and nobody hears of it
        self.op, _, _, meta_len, self.time, self.flags = header
        Job.__init__(self, link, id, meta)
        body = body[meta_len:]
        self.streaming = bool(self.flags & FLAG_STREAM)
        self.talks = bool(self.meta.get('pre')) or self.op not in ('module', 'exec')
        self.input = None  # all of it, where the child has no need of a pipe
        self.set_limit()
        try:
            if ahead:
                self.wait, self.go = pipe(1)
            if not self.flags & FLAG_MORE and self.op != 'exec':
                self.input = body
            elif body or self.flags & FLAG_MORE:
                self.sink(0, WINDOW_BULK if self.op == 'put' and self.meta.get('size', 0) > INLINE_MAX
                          else WINDOW_INITIAL)
                if body:
                    self.sinks[0].push(body)
                if not self.flags & FLAG_MORE:
                    self.sinks[0].end()
                elif self.op == 'put':
                    widen(self.fds[0])
                    widen(link.rfd)
            if not self.flags & FLAG_NOREPLY:
                tty = bool(self.meta.get('tty')) and self.op == 'exec'
                self.source(1, crlf=tty)
                if self.op == 'get':
                    widen(self.fds[1])
                    widen(link.wfd)
                if tty:
                    self.fds[2] = self.fds[1]
                else:
                    self.source(2)
        except OSError as e:
            self.error = (STATUS_ERROR, e.errno, 'pipe: %s' % os.strerror(e.errno))
            self.finish()

    def set_limit(self):
        if self.time and not self.ahead:
            self.limit = monotonic() + self.time / 1000.0

    def begin(self, chain):
        """Tells a child that was forked ahead that its turn has come. False if there is none any more, so that nothing was done."""
        if not self.done:
            try:
                os.write(self.go, b'!')
            except OSError:
                self.finish()
        if self.done:
            return False
        close(self.go)
        self.go = None
        self.ahead = False
        self.chain = chain
        self.set_limit()
        return True

    def run(self):
        """Forks, once everything is here; a Job that was cancelled before has nothing to run."""
        if not self.done:
            self.launch(self.work)
            self.input = None

    def work(self, box):
        box.held = self.input
        if self.wait is not None:
            # Up to here nothing was looked at that the link before this one may change.
            if not os.read(self.wait, 1):
                return 0  # the agent has ended, or the chain
            os.close(self.wait)
        if self.meta.get('beside') and shared(*self.meta['beside']):
            raise Stale(errno.EEXIST, 'not begun: it has read a file that is here, too')
        if self.meta.get('fresh') and self.link.login.stale():
            raise Stale(0, 'the login of %s has changed' % wire_text(self.link.facts['user']))
        enter(self.meta, self.link)
        if self.meta.get('pre'):
            file_ops(self.meta['pre'], box)
        change_directory(self.meta.get('cwd'))
        return OPS[self.op](self.meta, box, self.link)

    def well(self):
        # Whoever sent modules that did not end as was foreseen has more to ask, before what comes behind them.
        if not Job.well(self) or self.op == 'composite' and self.rc():
            return False
        if self.op != 'module' or not strict(self.meta):
            return True
        return not self.streaming and plainly(self.rc(), self.sources[1].look())

    def lingers(self, source):
        # The last words of a shell may come from a program that it does not wait for, as "exec > >(tee log)" has it; and a
        # module's may all come from a fork of its own.
        return not self.fate and (self.op == 'exec' or self.op == 'module' and source.channel == 1 and not source.unread() + source.total)

    def answer(self):
        if self.ahead:
            return
        status, number, words = self.error or (STATUS_OK, 0, '')
        if self.fate:
            status, words = self.fate
        if self.flags & FLAG_NOREPLY:
            if words:
                self.link.log(30, words)
            return
        # Where the output cannot follow as DATA any more, what fits is sent.
        keeps = INLINE_MAX if status == STATUS_OK else INLINE_MAX // 2 if self.fate else 0
        out = [self.sources[c].take(keeps) if c in self.sources else b'' for c in (1, 2)]
        self.link.send(RESULT, self.id, (status, 0 if self.error else self.rc(), len(out[0]), len(out[1]), number, clip(words)),
                       out[0] + out[1])


def shared(path, inode):
    """Whether a directory of the client's is here, too: what runs ahead of a link may have changed what that has read there."""
    try:
        return os.stat(wire_bytes(path)).st_ino == inode
    except OSError:
        return False


def strict(meta):
    """Whether a call is the link of a chain that goes on only behind modules that have plainly done their work."""
    return bool((meta.get('chain') or ())[2:])


def plainly(rc, out):
    """Whether a module has, and has found nothing that what follows could look at, nor (newer releases refuse it) bytes that are no text."""
    try:
        if b'\\ud' in out.lower():
            return False
        answer = loads(out)
        return not (rc or answer.get('failed') or answer.get('rc') or 'ansible_facts' in answer)
    except (ValueError, AttributeError, TypeError, RuntimeError):  # the last: it is too deep
        return False


class Keys(Sink):
    """What is typed at a terminal: behind a question, nothing before the program has turned off the echo, which takes it a moment.

    Some ask first, and throw away what was typed up to then when they turn it off (polkit's agent, for machinectl and run0):
    a password that comes between the two would be lost, and both sides wait for ever.
    """

    source = None  # what is shown there

    def write(self, events=0):
        import termios
        try:
            attributes = self.chunks and self.fd is not None and termios.tcgetattr(self.fd)
            if attributes and attributes[3] & termios.ECHO:
                now = monotonic()
                self.patience = self.patience or now + 1
                if now < self.patience and self.source.asking:
                    return
                attributes[3] &= ~termios.ECHO  # a program that does not mind
                termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        except termios.error:
            pass  # nobody is there any more, which writing finds out
        self.patience = None
        Sink.write(self, events)


class Spawn(Job):
    """One SPAWN, answered by EXIT: a program whose streams are relayed as they are."""

    keeps = 0
    talks = True  # so that the pipe is closed as soon as it is another program's: there may be hundreds

    def __init__(self, link, id, header, body):
        self.mode, meta_len = header
        Job.__init__(self, link, id, loads(body[:meta_len]))
        body = body[meta_len:]
        self.streaming = True
        self.slave = None
        try:
            if self.mode:
                self.terminal(2 if self.mode == 1 else 1, 2 if self.mode == 1 else 0)
            for channel in (0, 1, 2)[:(3, 2, 0)[self.mode]]:
                if channel:
                    self.source(channel)
                else:
                    self.sink(channel)
            if body:
                self.sinks[0].push(body)
        except OSError as e:
            self.error = (STATUS_ERROR, e.errno, '%s: %s' % (
                'Failed to create a PTY' if self.mode else 'pipe', os.strerror(e.errno)))
            self.finish()
            return
        self.launch(self.work)

    def terminal(self, out, into):
        """Opens a terminal, raw and silent, whose output is channel out and whose input is channel into."""
        import termios
        master, slave = os.openpty()
        hold(slave, True)
        attributes = termios.tcgetattr(slave)
        attributes[0] = termios.IGNPAR  # nothing is translated on the way in,
        attributes[1] = 0  # nor on the way out
        attributes[2] = attributes[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        # No lines, no signals, and no echo. Where all is one terminal, that is for the program to see to: it tells Keys.
        attributes[3] = termios.ECHO if self.mode == 2 else 0
        attributes[6][termios.VMIN] = 1
        attributes[6][termios.VTIME] = 0
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.slave = slave
        for fd in (2,) if self.mode == 1 else (0, 1, 2):
            self.fds[fd] = slave
        self.sinks[into] = (Sink if self.mode == 1 else Keys)(self, hold(os.dup(master)), into)
        self.sources[out] = self.sinks[into].source = Source(self, hold(master), out, terminal=True)

    def work(self, box):
        if self.mode:
            import termios
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who started us may have ignored it (nohup), for another line
        enter(self.meta, self.link)
        change_directory(self.meta.get('cwd'))
        execute(self.meta['argv'])

    def update(self):
        for source in self.sources.values():
            if source.fd is None and not source.size and not source.told:
                source.told = True
                self.link.send(EOF, self.id, (source.channel,))
        Job.update(self)

    def alarm(self, now):
        when = Job.alarm(self, now)
        for sink in self.sinks.values():
            if sink.patience:
                sink.write()
                if sink.patience:
                    when = min(when or now + 1, now + 0.01)
        return when

    def end_of_input(self, sink):
        # A raw terminal has no end of input: whoever is there is told that its line has gone.
        if self.mode == 2:
            signal_group(self.pid, signal.SIGHUP)
        sink.end()

    def hang_up(self):
        # util-linux's su waits two seconds when it gets TERM, and not at all when what it has started ends by itself.
        if self.mode != 2:
            return 0
        for source in self.sources.values():
            source.close()
        return GRACE / 2

    def answer(self):
        rc, words = self.rc(), self.fate[1] if self.fate else ''
        if self.error:
            rc, words = 127, self.error[2]
        self.link.send(EXIT, self.id, (rc, max(0, -rc), clip(words)))
