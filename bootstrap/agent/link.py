# The event loop: the link to the controller, and everything that happens beside it.

# What a meta that is not as it should be raises.
DEFECTS = (ValueError, KeyError, TypeError, AttributeError, RuntimeError)


class Link(object):
    """Reads frames, starts what they ask for, and writes frames, without ever waiting for one of them."""

    def __init__(self, rfd, wfd, warden, life, cwd, packed, signals):
        self.rfd = rfd
        self.wfd = wfd
        self.warden = warden  # where the warden reads records
        self.pid = os.getpid()
        self.cwd = cwd
        self.signals = signals  # as they were, for children
        self.ledger = Ledger()
        self.decoder = Decoder()
        self.unpacker = Unpacker()
        self.packer = None  # once the controller has packed something
        self.store = Store()
        # What it is itself is the first thing that others behind it need.
        self.digest = ''.join(['%02x' % n for n in bytearray(self.store.hold(packed))])
        self.zygote = Zygote(self.store)
        self.jobs = {}  # by id
        self.chains = {}  # by name
        self.parallel = parallel()
        self.early = set()  # chains whose next link may be forked ahead, when all that is due was sent
        self.waiting = {}  # chains by the ids of links whose turn is yet to come
        self.pids = {}  # jobs whose child is to be reaped
        self.files = None  # the limits of open files that children get back, if ours are others
        self.left = deque()  # what jobs that have ended were read by, where others write on
        self.rest = None  # when those are read again
        self.dying = {}  # groups that were told to end, and when they are killed
        self.backlog = deque()  # what is to be done when there is nothing else: generators
        self.frames = deque()  # packed, in front of all DATA
        self.round = deque()  # sources that have something to send
        self.out = b''  # the frame, or its rest, that is being written
        self.facts = None
        self.home = None
        self.stopping = None
        self.heard = monotonic()
        self.silence = 0
        self.poller = select.poll()
        self.masks = {}
        self.handlers = {}
        self.woken = wakeup()
        self.watch(rfd, select.POLLIN, self.read)
        self.watch(self.woken, select.POLLIN, self.children)
        self.watch(life, select.POLLIN, self.orphan)

    # Descriptors.

    def watch(self, fd, mask, handler):
        """Calls handler(events) when mask happens to fd; a mask of 0 ends that."""
        old = self.masks.get(fd, 0)
        if mask != old:
            if not mask:
                self.poller.unregister(fd)
            else:
                self.poller.register(fd, mask)
            self.masks[fd] = mask
        self.handlers[fd] = handler

    def drop(self, fd):
        if self.masks.pop(fd, 0):
            self.poller.unregister(fd)
        self.handlers.pop(fd, None)
        close(fd)

    def leave(self, fd):
        """Goes on reading, for nobody: whoever writes there yet is not to end by it. Of a great many the oldest is given up."""
        self.left.append(fd)
        self.spill(fd)
        if len(self.left) > 128:
            self.drop(self.left.popleft())
        elif len(self.left) > 32:
            self.more_files()

    def spill(self, fd):
        try:
            data = os.read(fd, CHUNK_MAX)
        except OSError as e:
            if e.errno in (errno.EAGAIN, errno.EINTR):
                self.watch(fd, select.POLLIN, lambda events: self.spill(fd))
                return
            data = b''
        if data:  # whoever writes without end is not to keep us busy
            self.watch(fd, 0, None)
            self.rest = self.rest or monotonic() + 0.05
        else:
            self.left.remove(fd)
            self.drop(fd)

    def more_files(self):
        """Allows for more jobs than most agents ever have: each takes up to five descriptors, and accounts are often given 1024, or 256."""
        if self.files is None:
            try:
                self.files = limit_files(1 << 16)
            except Exception:  # a Python without that, or a system that does not let us
                self.files = ()

    # Out.

    def send(self, kind, id, header, body=b''):
        self.frames.append(pack(kind, id, header, body))

    def log(self, level, words):
        self.send(LOG, 0, (level, 'agent', clip(words)))

    def offer(self, source):
        """Puts a source into the round, if it may send."""
        if source.credit > 0 and not source.queued:
            source.queued = True
            self.round.append(source)

    def flush(self, events=0):
        """Writes what the descriptor takes, within reason."""
        for _ in range(32):
            if not self.out:
                self.out = self.pick()
                if not self.out:
                    break
            try:
                n = os.write(self.wfd, self.out)
            except OSError as e:
                if e.errno not in (errno.EAGAIN, errno.EINTR):
                    self.stopping = self.stopping or os.strerror(e.errno)
                    self.out = b''
                    self.frames.clear()
                break
            self.out = memoryview(self.out)[n:] if n < len(self.out) else b''
        self.watch(self.wfd, select.POLLOUT if self.out or self.frames or self.round else 0, self.flush)

    def pick(self):
        """The next bytes to write: frames that were packed, or else one DATA frame of the next source in turn."""
        parts = []
        size = 0
        while self.frames and size < CHUNK_MAX:
            parts.append(self.frames.popleft())
            size += len(parts[-1])
        while self.round and not parts:
            source = self.round.popleft()
            source.queued = False
            data = source.take(min(source.credit, CHUNK_MAX))
            if data and not source.job.done:
                source.credit -= len(data)
                frame = pack(DATA, source.job.id, (source.channel,), data)
                source.job.update()
                data = squeeze(frame) if self.packer and source.slow else frame
                source.share = 1.0 * len(data) / len(frame)
                return data
        data = parts[0] if len(parts) == 1 else b''.join(parts)
        if self.packer and 64 <= len(data) <= MAX_PACKED:
            data = self.packer.pack(data)
        return data

    # In.

    def read(self, events=0):
        try:
            data = os.read(self.rfd, 2 * CHUNK_MAX)
        except OSError as e:
            if e.errno in (errno.EAGAIN, errno.EINTR):
                return
            data = b''
        if not data:
            self.stopping = 'end of stream'
            return
        self.heard = monotonic()
        self.decoder.feed(data)
        while not self.stopping:
            frame = self.decoder.next()
            if frame is None:
                break
            self.handle(*frame)

    def handle(self, kind, id, header, body):
        if self.facts is None:
            if kind != READY:
                raise ProtocolError('%s ahead of READY' % KIND_NAMES[kind])
            self.hello(header, loads(body))
        elif kind == CALL or kind == SPAWN:
            if id in self.jobs or id in self.waiting or not id:
                raise ProtocolError('%s: id is in use' % KIND_NAMES[kind])
            self.start(kind, id, header, body)
        elif kind == BLOB:
            self.store.add(header[0], header[1], header[2], body)
        elif kind == PING:
            if not header[0]:
                self.send(PING, id, (True, header[1]))
        elif kind == BYE:
            self.stopping = 'BYE'
        elif kind == PACKED:
            self.packer = self.packer or Packer(6)
            for frame in self.unpacker.unpack(header[0], body):
                self.handle(*frame)
        elif kind in (DATA, EOF, CREDIT, CANCEL, SPLICE, BYWAY, PART):
            job = self.jobs.get(id)
            if id in self.waiting:
                if kind == CANCEL:
                    self.waiting[id].end()
            elif job is not None:  # else it has ended, which the sender could not know
                self.stream(job, kind, header, body)
        else:
            raise ProtocolError('%s is not for agents' % KIND_NAMES[kind])

    def stream(self, job, kind, header, body):
        if kind == CANCEL:
            job.kill(STATUS_CANCELLED, header[0])
        elif kind == CREDIT:
            source = job.sources.get(header[0])
            if source is not None:
                source.returned(header[1])
                job.update()
        elif kind == BYWAY:
            open_byways(job, header[0])
        else:
            sink = job.sinks.get(header[0])
            if sink is None:
                raise ProtocolError('%s: no such channel' % KIND_NAMES[kind])
            if kind == DATA:
                sink.data(body)
                sink.join()
            elif kind == PART:
                sink.part(header[1], body, header[2])
            elif kind == EOF:
                job.end_of_input(sink)
            else:
                try:
                    self.splice(sink, header[1], header[2])
                except KeyError:
                    job.kill(STATUS_ERROR, 'no such blob')

    def splice(self, sink, digest, form):
        """Gives a program a blob. It is not copied: however many programs do not read, it takes its room once."""
        if form == FORM_CONTENT:
            sink.push(self.store.content(digest))
            return
        size, encoding, body = self.store.sent(digest)
        sink.push(pack_head(BLOB, 0, (digest, size, encoding), len(body)))
        sink.push(body)

    def hello(self, header, settings):
        self.silence = header[3] / 1000.0
        self.language = Language(wire_bytes(sys.argv[2]))
        for name, value in (settings.get('env') or {}).items():
            environ[wire_bytes(name)] = wire_bytes(value)
        self.facts = find_out(settings.get('tmp_candidates') or [], self.note)
        self.facts['cwd'] = self.cwd = self.cwd or self.facts['home']
        self.facts['agent'] = self.digest
        self.facts['utf8_mode'] = mode = getattr(sys.flags, 'utf8_mode', None)
        self.facts['coerces'] = bool(mode == 0 and (environ.get(b'LC_ALL') or self.language.coerce('C')))
        self.login = Login(self.facts, settings.get('watch') or 0, self.zygote)
        self.home = os.path.join(self.facts['tmp'] or b'/tmp', b'ansible-spindle-%d-%s' % (
            os.getpid(), b''.join([b'%02x' % n for n in bytearray(os.urandom(6))])))
        self.send(HELLO, 0, (PROTO, 'agent', os.getpid(), VERSION), dumps(self.facts).encode())
        freeze()

    def note(self, words):
        self.ledger.note(words)
        record(self.warden, words)

    def start(self, kind, id, header, body):
        """Starts a job. A defect in its meta is its own affair, not the link's."""
        try:
            if kind == SPAWN:
                Spawn(self, id, header, body)
                return
            meta = loads(body[:header[3]]) if header[3] else {}
            if meta.get('chain'):
                enchain(self, meta['chain'], id, header, body, meta)
            else:
                self.call(Call(self, id, header, body, meta))
        except DEFECTS:
            self.defect(kind, id, header)

    def begin(self, chain, id, header, body, meta):
        """Starts a link of a chain, when its turn has come."""
        try:
            self.call(Call(self, id, header, body, meta, chain))
        except DEFECTS:
            self.defect(CALL, id, header)
            if chain.busy == id:
                chain.ended(id, False)

    def defect(self, kind, id, header):
        """Answers a job that could not be started for the exception at hand."""
        job = self.jobs.get(id)
        if job is not None:
            job.error = (STATUS_FAULT, 0, caught())
            job.finish()
        elif kind == SPAWN:
            self.send(EXIT, id, (127, 0, clip(caught())))
        elif not header[5] & FLAG_NOREPLY:
            self.send(RESULT, id, (STATUS_FAULT, 0, 0, 0, 0, clip(caught())))

    def call(self, job):
        if job.done:
            return
        if job.op not in OPS:
            job.error = (STATUS_ERROR, errno.ENOSYS, 'unknown operation: %s' % job.op)
            job.finish()
        elif job.op in ('module', 'composite'):
            try:
                closures = [self.store.manifest(step['manifest']) for step in job.meta.get('steps') or [job.meta]]
            except KeyError:
                job.error = (STATUS_UNKNOWN_CLOSURE, 0, 'closure is not here, or not whole')
                job.finish()
                return
            if self.zygote.ready.issuperset(closures):
                for closure in closures:
                    self.zygote.fits(closure)  # so that children know
                job.run()
            elif job.ahead:
                job.finish()  # there is much to do, which is done in its turn
            else:
                self.backlog.append((self.zygote.prepare(closures), job))
        else:
            job.run()

    def work(self):
        """Does a few milliseconds of the backlog."""
        end = monotonic() + 0.005
        while self.backlog and monotonic() <= end:
            steps, job = self.backlog[0]
            try:
                over = job.done or next(steps, self) is self
            except Exception:
                over = True
                self.defect(CALL, job.id, ())
            if over:
                self.backlog.popleft()
                if self.zygote.trouble:
                    self.log(20, self.zygote.trouble)
                    self.zygote.trouble = None
                if not job.done:
                    job.run()

    # Ends.

    def children(self, events=0):
        drain(self.woken)
        for pid, status in reap():
            job = self.pids.pop(pid, None)
            if job is None:
                continue
            if job.done:
                self.dying[pid] = 0
            else:
                job.exited(status)

    def bury(self, group):
        self.dying.pop(group, None)
        self.note(b'g%d' % group)

    def orphan(self, events=0):
        self.stopping = 'the warden has gone'

    def end(self):
        """Ends and removes all there is. The warden is told, and has nothing left to do unless this is cut short."""
        for job in self.jobs.values():
            if job.listener is not None:
                job.listen()
            for stream in list(job.sinks.values()) + list(job.sources.values()):
                stream.close()  # for programs that are not ours to kill, and end with their input
        for pid in self.pids:
            if os.getpgid(pid) != pid:  # so new that its group, which the ledger knows, is yet to come
                os.kill(pid, signal.SIGKILL)
        self.ledger.sweep()
        for kind, values in self.ledger.entries.items():
            for value in values:
                record(self.warden, kind.lower() + value)

    def alarms(self):
        """Does what time asks for; returns how long, in milliseconds, nothing else is due."""
        now = monotonic()
        due = []
        for job in list(self.jobs.values()):
            due.append(job.alarm(now))
        if self.rest and now >= self.rest:
            self.rest = None
            for fd in list(self.left):
                if not self.masks.get(fd):
                    self.spill(fd)
        due.append(self.rest)
        for group, when in list(self.dying.items()):
            alive = signal_group(group, signal.SIGKILL if now >= when else 0)
            if now >= when or not alive:
                self.bury(group)
            else:
                due.append(min(when, now + 0.1))
        if self.silence:
            due.append(self.heard + self.silence)
            if now >= due[-1]:
                self.stopping = 'silence'
        if self.backlog:
            return 0
        due = [t for t in due if t is not None]
        return min(max(0, int((min(due) - now) * 1000) + 1), 1 << 30) if due else None  # poll takes no more than an int

    def run(self):
        """Serves until the link ends."""
        reason = None
        try:
            while not self.stopping:
                timeout = self.alarms()
                self.flush()  # what alarms said too
                while self.early:
                    self.early.pop().fork_ahead()
                for fd, events in quietly(self.poller, 0 if self.stopping else timeout):
                    handler = self.handlers.get(fd)
                    if handler is not None:
                        handler(events)
                if self.backlog:
                    self.work()
        except ProtocolError as e:
            reason = str(e)
        except Exception:
            reason = 'fault: ' + caught()
        if reason:
            self.send(BYE, 0, (clip(reason),))
            end = monotonic() + GRACE
            self.stopping = None
            while (self.frames or self.out) and not self.stopping and monotonic() < end:
                self.round.clear()
                self.flush()
                self.poller = select.poll()
                self.poller.register(self.wfd, select.POLLOUT)
                quietly(self.poller, 100)
        return 1 if reason else 0
