"""A blocking client of the multiplexer: one socket, no thread.

A worker connects once and calls as often as its task needs. It may begin several calls
and wait for their ends one by one; whoever waits for one takes in what comes for the others.
Whatever interrupts a call (a task timeout arrives as an exception out of a signal handler)
leaves the stream in an unknown state, so the socket is dropped; the multiplexer cancels what
was open on it.
"""
import errno
import json
import os
import socket
import time
import zlib

from spindle_ansible import waiting
from spindle_ansible import wire

# How long a multiplexer is tried again that was just started and may not listen yet, or is busy and has a full backlog.
CONNECT_SECONDS = 10.0
# How long a socket that has gone is waited for: the multiplexer looks every second, and listens anew.
GONE_SECONDS = 4.0
# How long a multiplexer that has not answered in time may take to answer somebody else.
ANSWER_SECONDS = 5.0
# What goes in the CALL frame itself; more is sent as DATA against credit.
INLINE_INPUT = 960 * 1024
READ_SIZE = 256 * 1024

_BUSY = (errno.EAGAIN, errno.EINTR)
_STARTING = (errno.ENOENT, errno.ECONNREFUSED)


class ClientError(Exception):
    """The multiplexer cannot be spoken to, or no longer."""


class Result(object):
    """How a call ended."""

    __slots__ = ('status', 'rc', 'errno', 'text', 'out', 'err')

    def __init__(self, status, rc, errno_, text, out, err):
        self.status = status
        self.rc = rc
        self.errno = errno_
        self.text = text
        self.out = out
        self.err = err

    @property
    def exit_status(self):
        """The exit status as a shell would give it: 128 and the signal for what was killed."""
        return self.rc if self.rc >= 0 else 128 - self.rc

    def json(self):
        """The output as JSON."""
        return json.loads(self.out.decode('utf-8'))


def encode_meta(meta):
    """The JSON of a call's meta; escaped, so that lone surrogates survive."""
    if not meta:
        return b''
    return json.dumps(meta, separators=(',', ':')).encode('ascii')


class _Open(object):
    """A call that has begun: what has come of its answer so far."""

    __slots__ = ('chunks', 'owed', 'widened', 'result')

    def __init__(self):
        self.chunks = {1: [], 2: []}
        self.owed = {}  # bytes taken in that no credit was returned for yet, by channel
        self.widened = set()
        self.result = None


class Client(object):
    """A session with the multiplexer."""

    def __init__(self, path, version='', starting=True):
        self.path = path
        self.version = version
        self._transient = _BUSY + (_STARTING if starting else ())
        self.peer = None
        self._sock = None
        self._decoder = None
        self._next_id = 0
        self._open = {}

    @property
    def alive(self):
        """Whether the socket is open as far as we know."""
        return self._sock is not None

    def connect(self, seconds=CONNECT_SECONDS):
        """Open the socket and send HELLO; try again for as long as that may help."""
        start = time.monotonic()
        limit, gone = start + seconds, start + min(seconds, GONE_SECONDS)
        pause = 0.002
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.settimeout(max(0.05, limit - time.monotonic()))
                sock.connect(self.path)
                break
            except OSError as e:
                sock.close()
                again = limit if e.errno in self._transient else gone if e.errno == errno.ENOENT else 0
                if time.monotonic() + pause > again:
                    raise ClientError(str(e))
            except BaseException:
                sock.close()
                raise
            time.sleep(pause)
            pause = min(pause * 2, 0.1)
        sock.settimeout(None)
        self._sock = sock
        self._decoder = wire.Decoder()
        self._send(wire.pack(wire.HELLO, 0, (wire.PROTO, 'worker', os.getpid(), self.version), b'{}'))

    def handshake(self, seconds):
        """Wait for READY; raise ClientError when it does not come or is another protocol's."""
        limit = time.monotonic() + seconds
        while self.peer is None:
            self._control(*self._read(limit))
        return self.peer

    def close(self):
        """Drop the socket. What is open on it gets cancelled by the other side."""
        sock, self._sock = self._sock, None
        self._open.clear()
        if sock is not None:
            sock.close()

    def begin(self, op, context='', meta=None, parts=(), closure=b'', timeout_ms=0):
        """Send a call whose input fits its frame, and return its id for finish."""
        if self._sock is None:
            raise ClientError('not connected')
        call_id = self._new_id()
        done = False
        try:
            self._dispatch(call_id, op, context, encode_meta(meta), parts, closure, timeout_ms, 0)
            done = True
        except (OSError, wire.ProtocolError) as e:
            raise ClientError(str(e))
        finally:
            if not done:
                self._abandon(call_id)
        self._open[call_id] = _Open()
        return call_id

    def finish(self, call_id):
        """Wait for the end of a call that has begun."""
        if call_id not in self._open:
            raise ClientError('the connection was dropped')
        done = False
        try:
            result = self._collect(call_id, None)
            done = True
            return result
        except (OSError, wire.ProtocolError) as e:
            raise ClientError(str(e))
        finally:
            if not done:
                self._abandon(call_id)

    def arrived(self, call_id):
        """Whether the end of a call that has begun may be here."""
        call = self._open.get(call_id)
        return call is None or call.result is not None or waiting.readable(self._sock, 0)

    def cancel(self, call_id, reason):
        """End a call that has begun. Whatever comes of it is passed over."""
        if self._open.pop(call_id, None) is None or self._sock is None:
            return
        try:
            self._sock.settimeout(None)
            self._send(wire.pack(wire.CANCEL, call_id, (reason,)))
        except (OSError, wire.ProtocolError):
            self.close()

    def call(self, op, context='', meta=None, parts=(), closure=b'', timeout_ms=0, noreply=False, seconds=None, patience=0):
        """Make a call and wait for its end.

        parts are pieces of the call's input, sent one behind another. seconds bounds the
        wait where the far side is bound to answer in a known time; a multiplexer that answers
        others is waited for beyond that, for as long as patience says.
        """
        if self._sock is None:
            raise ClientError('not connected')
        call_id = self._new_id()
        done = False
        try:
            result = self._call(call_id, op, context, meta, parts, closure, timeout_ms, noreply, seconds, patience)
            done = True
            return result
        except socket.timeout:
            raise ClientError('no answer to %s within %d seconds' % (op, seconds))
        except (OSError, wire.ProtocolError) as e:
            raise ClientError(str(e))
        finally:
            if not done:
                self._abandon(call_id)

    def send_blob(self, digest, content):
        """Hand over content which the multiplexer lacks."""
        encoding, body = wire.ENCODING_RAW, content
        if len(body) > wire.MAX_BLOB:
            encoding, body = wire.ENCODING_ZLIB, zlib.compress(content, 6)
        try:
            self._send(wire.pack_head(wire.BLOB, 0, (digest, len(content), encoding), len(body)), body)
        except (OSError, wire.ProtocolError) as e:
            self.close()
            raise ClientError(str(e))

    def _new_id(self):
        self._next_id = self._next_id % 0x7fffffff + 1
        return self._next_id

    def _dispatch(self, call_id, op, context, head, parts, closure, timeout_ms, flags):
        """Send the CALL frame."""
        body_len = len(head) + sum(len(part) for part in parts)
        frame = wire.pack_head(wire.CALL, call_id, (op, context, closure, len(head), timeout_ms, flags), body_len)
        self._sock.settimeout(None)
        self._send(frame, head, *parts)

    def _call(self, call_id, op, context, meta, parts, closure, timeout_ms, noreply, seconds, patience):
        limit = None if seconds is None else time.monotonic() + seconds
        head = encode_meta(meta)
        size = sum(len(part) for part in parts)
        flags = wire.NOREPLY if noreply else 0
        inline = len(head) + size <= INLINE_INPUT
        if not inline:
            flags |= wire.MORE
        self._dispatch(call_id, op, context, head, parts if inline else (), closure, timeout_ms, flags)
        call = None
        if not noreply:
            call = self._open[call_id] = _Open()
        if not inline:
            self._pour(call_id, call, parts, limit)
        while call:
            try:
                return self._collect(call_id, limit)
            except socket.timeout:
                if patience <= 0 or not self._answers():
                    raise
                limit, patience = time.monotonic() + seconds, patience - seconds
        return None

    def _answers(self):
        """Whether the multiplexer answers somebody else."""
        other = Client(self.path, self.version, starting=False)
        try:
            other.connect(ANSWER_SECONDS)
            other.handshake(ANSWER_SECONDS)
            return True
        except (ClientError, OSError):
            return False
        finally:
            other.close()

    def _pour(self, call_id, call, parts, limit):
        """Send a large input against credit, and take in what comes of it meanwhile: who reads it may want to write first. An answer ends it."""
        window = wire.WINDOW_INITIAL
        for part in parts:
            view = memoryview(part)
            at = 0
            while at < len(view):
                while window <= 0:
                    kind, frame_id, header, body = self._read(limit)
                    if frame_id == call_id and kind == wire.CREDIT and header[0] == 0:
                        window += header[1]
                    else:
                        self._take(call_id, kind, frame_id, header, body)
                    if call and call.result:
                        return
                piece = view[at:at + min(window, wire.CHUNK_MAX)]
                at += len(piece)
                window -= len(piece)
                self._send(wire.pack_head(wire.DATA, call_id, (0,), len(piece)), piece)
        self._send(wire.pack(wire.EOF, call_id, (0,)))

    def _collect(self, call_id, limit):
        """Read until the call's RESULT."""
        call = self._open[call_id]
        self._grant(call_id, call)
        if call.result is None:
            waiting.begins()
        while call.result is None:
            self._take(call_id, *self._read(limit))
        del self._open[call_id]
        return call.result

    def _take(self, waited, kind, frame_id, header, body):
        """A frame, of the call that is waited for or of another."""
        call = self._open.get(frame_id)
        if call is None:
            self._control(kind, frame_id, header, body)
        elif kind == wire.DATA:
            channel = header[0]
            call.chunks.setdefault(channel, []).append(body)
            call.owed[channel] = call.owed.get(channel, 0) + len(body)
            # What nobody waits for yet keeps its first window: so much is held of it, and no more.
            if frame_id == waited:
                self._grant(frame_id, call)
        elif kind == wire.RESULT:
            status, rc, out_len, err_len, errno_, text = header
            call.chunks[1].append(body[:out_len])
            call.chunks[2].append(body[out_len:out_len + err_len])
            call.result = Result(status, rc, errno_, text, b''.join(call.chunks[1]), b''.join(call.chunks[2]))
        elif kind not in (wire.CREDIT, wire.EOF):
            raise wire.ProtocolError('unexpected frame kind %d' % kind)

    def _grant(self, call_id, call):
        """Return credit for what was taken in, and more with the first of it."""
        for channel, credit in call.owed.items():
            if channel not in call.widened:
                call.widened.add(channel)
                credit += wire.WINDOW_BULK - wire.WINDOW_INITIAL
            self._send(wire.pack(wire.CREDIT, call_id, (channel, credit)))
        call.owed.clear()

    def _control(self, kind, frame_id, header, body):
        """Frames that belong to no call of ours."""
        if kind == wire.READY:
            self.peer = {'proto': header[0], 'pid': header[1], 'version': header[2]}
            if header[0] != wire.PROTO:
                raise ClientError('the multiplexer speaks protocol %d, this is %d' % (header[0], wire.PROTO))
        elif kind == wire.PING and not header[0]:
            self._send(wire.pack(wire.PING, 0, (True, header[1])))
        elif kind == wire.BYE:
            raise ClientError(header[0] or 'the multiplexer said goodbye')

    def _read(self, limit):
        """The next frame."""
        while True:
            frame = self._decoder.next()
            if frame is not None:
                return frame
            if limit is None:
                self._sock.settimeout(None)
            else:
                self._sock.settimeout(max(0.001, limit - time.monotonic()))
            data = self._sock.recv(READ_SIZE)
            if not data:
                raise ClientError('the multiplexer closed the connection')
            self._decoder.feed(data)

    def _send(self, *pieces):
        """Send pieces in one go, without joining them."""
        pieces = [memoryview(piece) for piece in pieces if len(piece)]
        while pieces:
            sent = self._sock.sendmsg(pieces)
            while pieces and sent >= len(pieces[0]):
                sent -= len(pieces.pop(0))
            if sent:
                pieces[0] = pieces[0][sent:]

    def _abandon(self, call_id):
        """Give a call up: say so if that takes no waiting, and drop the socket."""
        sock = self._sock
        if sock is None:
            return
        try:
            sock.settimeout(0.0)
            sock.send(wire.pack(wire.CANCEL, call_id, ('the task was interrupted',)))
        except (OSError, ValueError):
            pass
        self.close()
