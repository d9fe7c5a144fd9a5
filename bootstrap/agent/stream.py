# One descriptor's traffic with the link, in each direction, against credit.

# The pace, in bytes a second, below which packing DATA pays.
SLOW = 16 << 20


def squeeze(frame):
    """A DATA frame, packed if its first part gets smaller."""
    head = frame[:4096]
    return Packer(1, True).pack(frame) if len(zlib.compress(head, 1)) < len(head) * 9 // 10 else frame


class Source(object):
    """What a program writes, on its way into DATA frames or a RESULT."""

    def __init__(self, job, fd, channel, crlf=False, terminal=False):
        self.job = job
        self.fd = fd
        self.channel = channel
        self.crlf = crlf
        self.terminal = terminal
        self.chunks = deque()
        self.size = 0
        self.credit = WINDOW_INITIAL
        self.total = 0  # of what was read
        self.seen = -1  # that total, when it was looked at last
        self.left = None  # once the program has ended: what it had written and we have not read
        self.queued = False  # in the link's round of those that have something to send
        self.told = False  # EOF was sent
        self.asking = False  # whether what was read last is no whole line
        self.slow = False  # the pace at which credit comes back, and how it is measured
        self.since = monotonic()
        self.back = 0
        self.share = 1  # what packing leaves of DATA
        job.link.watch(fd, select.POLLIN, self.read)

    def returned(self, credit):
        self.credit += credit
        self.back += min(credit, WINDOW_BULK // 4)
        span = monotonic() - self.since
        if span > 0.02:
            self.slow = self.back * self.share < SLOW * span
            self.since += span
            self.back = 0

    def pause(self, paused):
        """Reading stops while nobody takes what was read."""
        if self.fd is not None:
            self.job.link.watch(self.fd, 0 if paused else select.POLLIN, self.read)

    def read(self, events=0):
        try:
            data = os.read(self.fd, CHUNK_MAX if self.left is None else min(self.left, CHUNK_MAX))
        except OSError as e:
            if e.errno in (errno.EAGAIN, errno.EINTR):
                return
            data = b''  # EIO: nobody has the terminal any more
        if self.left is not None:
            self.left -= len(data)
        if data:
            self.asking = data[-1:] != b'\n'
            if self.crlf:
                data = data.replace(b'\n', b'\r\n')
            self.chunks.append(data)
            self.size += len(data)
            self.total += len(data)
        if not data:
            self.close()
        elif self.left == 0:
            self.leave()
        self.job.update()

    def ended(self):
        """The program has: what others write from now on is not its output.

        They may have the descriptor still (a daemon that it has started), so the end of the file does not tell.
        """
        if self.fd is None or self.terminal or self.job.lingers(self):
            return  # a terminal says EIO; the job's alarm ends it where somebody keeps it open
        self.settle()

    def settle(self):
        """Ends when what was written until now is read."""
        self.left = self.unread()
        if not self.left:
            self.leave()

    def unread(self):
        """How much was written and not read yet."""
        try:
            from termios import FIONREAD
        except ImportError:  # as in Debian's python3-minimal: Linux'
            FIONREAD = 0x541B
        return struct.unpack('i', fcntl.ioctl(self.fd, FIONREAD, b'\0\0\0\0'))[0]

    def leave(self):
        """Ends for the job; what others write from now on has another reader, unless they are to end with it."""
        fd, self.fd = self.fd, None
        (self.job.link.drop if self.job.fate else self.job.link.leave)(fd)

    def close(self):
        if self.fd is not None:
            self.job.link.drop(self.fd)
            self.fd = None

    def look(self):
        """All that was read and not taken."""
        return b''.join(self.chunks)

    def take(self, limit):
        """Up to limit bytes of what was read."""
        parts = []
        while self.chunks and limit:
            part = self.chunks.popleft()
            if len(part) > limit:
                self.chunks.appendleft(part[limit:])
                part = part[:limit]
            parts.append(part)
            limit -= len(part)
            self.size -= len(part)
        return parts[0] if len(parts) == 1 else b''.join(parts)


class Sink(object):
    """What a program reads, as it comes from the link."""

    patience = None  # until when nothing is written, whatever comes

    def __init__(self, job, fd, channel, window=WINDOW_INITIAL):
        self.job = job
        self.fd = fd
        self.channel = channel
        self.window = window
        self.granted = WINDOW_INITIAL
        self.owed = window - WINDOW_INITIAL  # credit to give back, in a frame that pays
        self.total = 0
        self.chunks = deque()
        self.eof = False
        self.taken = 0  # how much has come without a gap in front of it
        self.parts = {}  # what has come with one, by its place

    def data(self, data):
        """Takes the body of a DATA frame."""
        self.granted -= len(data)
        if self.granted < 0 or self.eof:
            raise ProtocolError('DATA: %s' % ('behind EOF' if self.eof else 'more than was granted'))
        self.taken += len(data)
        self.push(data, len(data))

    def part(self, offset, data, last):
        """Takes the body of a PART frame. What was here already is ignored."""
        if offset + len(data) > self.taken + self.granted:
            raise ProtocolError('PART: more than was granted')
        if offset < self.taken:
            data = data[self.taken - offset:]
            if not data:
                return
            offset = self.taken
        self.parts[offset] = data, last
        self.join()

    def join(self):
        """Takes the parts that have no gap in front of them any more."""
        while self.taken in self.parts:
            data, last = self.parts.pop(self.taken)
            self.data(data)
            if last:
                self.end()
                self.parts.clear()

    def push(self, data, counted=0):
        self.chunks.append((data, counted))
        if len(self.chunks) == 1:
            self.write()

    def end(self):
        self.eof = True
        if not self.chunks:
            self.close()

    def write(self, events=0):
        try:
            while self.chunks:
                data, counted = self.chunks[0]
                n = len(data)
                if self.fd is not None:
                    try:
                        n = os.write(self.fd, data)
                    except OSError as e:
                        if e.errno in (errno.EAGAIN, errno.EINTR):
                            break
                        self.close()  # nobody reads it: what comes is dropped, and its sender not held up
                if n < len(data):
                    self.chunks[0] = (memoryview(data)[n:], max(0, counted - n))
                else:
                    self.chunks.popleft()
                self.owed += min(n, counted)
                self.total += n
        finally:
            if self.chunks:
                self.job.link.watch(self.fd, select.POLLOUT, self.write)
            elif self.eof:
                self.close()
            elif self.fd is not None:
                self.job.link.watch(self.fd, 0, self.write)
        if self.total > WINDOW_INITIAL and self.window < WINDOW_BULK:
            # This one takes a lot: a far sender must not wait for each quarter of a megabyte.
            self.owed += WINDOW_BULK - self.window
            self.window = WINDOW_BULK
        self.grant()

    def widen(self, window):
        """Keeps more open from now on."""
        self.owed += window - self.window
        self.window = window
        self.grant()

    def grant(self):
        if self.owed >= min(self.window // 4, WINDOW_INITIAL) and not self.eof:  # on a very slow line nothing else tells that anything comes
            self.job.link.send(CREDIT, self.job.id, (self.channel, self.owed))
            self.granted += self.owed
            self.owed = 0

    def close(self):
        if self.fd is not None:
            self.job.link.drop(self.fd)
            self.fd = None
