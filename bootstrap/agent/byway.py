# Byways: further connections by way of which one call's input comes, in parts.


class Byways(object):
    """The socket that the byways of one input connect to, and what comes by them.

    sshd connects for the controller, as the account itself. So nobody else needs to get at the socket, and its
    directory lets nobody else in.
    """

    def __init__(self, job, sink, count):
        self.job = job
        self.sink = sink
        self.left = count  # how many are yet to come
        self.fds = set()
        self.listener = None
        link = job.link
        self.home = os.path.join(link.facts['tmp'] or b'/tmp', b'ansible-spindle-byway-' + b''.join(
            [b'%02x' % n for n in bytearray(os.urandom(8))]))
        self.path = os.path.join(self.home, b's')
        link.note(b'D' + self.home)
        try:
            os.mkdir(self.home, 0o700)
            self.listener = listen(self.path, count)
        except BaseException:
            self.shut()
            raise
        link.watch(self.listener, select.POLLIN, self.accept)

    def accept(self, events=0):
        try:
            fd, uid = accept(self.listener)
        except (OSError, IOError):  # whoever it was has gone again
            return
        if uid not in (None, 0, os.geteuid()):
            os.close(fd)
            return
        hold(fd)
        self.fds.add(fd)
        decoder = Decoder()
        self.job.link.watch(fd, select.POLLIN, lambda events: self.read(fd, decoder))
        self.left -= 1
        if not self.left:
            self.shut()

    def read(self, fd, decoder):
        try:
            data = os.read(fd, 2 * CHUNK_MAX)
        except OSError as e:
            if e.errno in (errno.EAGAIN, errno.EINTR):
                return
            data = b''
        frames = []
        try:
            decoder.feed(data)
            while data:
                frame = decoder.next()
                if frame is None:
                    break
                kind, id, header, body = frame
                frames += self.job.link.unpacker.unpack(True, body) if kind == PACKED and header[0] else [frame]
        except ProtocolError:
            data = b''
        for kind, id, header, body in frames:
            if kind != PART or id != self.job.id or header[0]:
                data = b''
                break
            self.sink.part(header[1], body, header[2])
        if not data and fd in self.fds:
            self.fds.discard(fd)
            self.job.link.drop(fd)

    def shut(self):
        """Takes the socket away."""
        if self.listener is not None:
            self.job.link.drop(self.listener)
            self.listener = None
        for gone in (os.unlink, self.path), (os.rmdir, self.home):
            try:
                gone[0](gone[1])
            except OSError:
                pass
        self.job.link.note(b'd' + self.home)

    def close(self):
        if self.listener is not None:
            self.shut()
        for fd in self.fds:
            self.job.link.drop(fd)
        self.fds = set()


def open_byways(job, count):
    """Answers a controller that wants to send a job's input by way of so many connections."""
    sink = job.sinks.get(0)
    path = b''
    if getattr(job, 'op', None) == 'put' and sink is not None and not sink.eof and job.byways is None and 0 < count <= MAX_BYWAYS:
        try:
            job.byways = Byways(job, sink, count)
            path = job.byways.path
        except (OSError, IOError, ImportError, AttributeError) as e:
            job.link.log(20, 'byways: %s' % e)
    job.link.send(BYWAY, job.id, (count if path else 0, path))
    if path:
        sink.widen(count * WINDOW_BULK)


# The module socket takes longer to load than all else that the agent needs, so this makes do with what is below it.


def listen(path, count):
    """A descriptor that listens at path."""
    import _socket
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.listen(count)
        return hold(os.dup(sock.fileno()))
    finally:
        sock.close()


def accept(fd):
    """The next connection to a descriptor that listens, and its peer's uid, or None where the system does not tell."""
    import _socket
    if _WIRE_PY3:
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        try:
            peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, listener._accept()[0])
        finally:
            listener.detach()
    else:
        peer = _socket.fromfd(fd, _socket.AF_UNIX, _socket.SOCK_STREAM).accept()[0]
    try:
        uid = None
        if sys.platform.startswith('linux'):  # Python 2 does not know the number
            uid = struct.unpack('3i', peer.getsockopt(_socket.SOL_SOCKET, getattr(_socket, 'SO_PEERCRED', 17), 12))[1]
        return os.dup(peer.fileno()), uid
    finally:
        peer.close()
