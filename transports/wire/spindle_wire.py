# The frame codec of the Spindle protocol (docs/protocol.md), for Python 2.7 and 3.5 up.
#
# The agent's packer joins this file with others, so it defines plain names only,
# private ones with the prefix _wire_, and has no __future__ import.
#
# Text: in Python 3 the str elements of a header are str, with surrogateescape for
# bytes that are no UTF-8. In Python 2 they are byte strings as they came (its
# native str); pack() takes unicode as well. bin elements are byte strings always.
import struct
import sys
import zlib

PROTO = 1

HELLO, READY, CALL, RESULT, CANCEL, SPAWN, DATA, EOF, EXIT, CREDIT, BLOB, SPLICE, LOG, PING, BYE, PACKED, BYWAY, PART = \
    range(1, 19)

STATUS_OK, STATUS_ERROR, STATUS_UNREACHABLE, STATUS_FAILED, STATUS_CANCELLED, STATUS_TIMEOUT, \
    STATUS_UNKNOWN_CLOSURE, STATUS_FAULT, STATUS_STALE = range(9)

FLAG_MORE, FLAG_NOREPLY, FLAG_STREAM = 1, 2, 4
CHANNEL_IN, CHANNEL_OUT, CHANNEL_ERR = range(3)
ENCODING_RAW, ENCODING_ZLIB, ENCODING_BUNDLE = range(3)
FORM_CONTENT, FORM_FRAME = range(2)

MAX_FRAME = (1 << 20) + (64 << 10)
MAX_HEADER = 64 << 10
MAX_BLOB = 1 << 20
MAX_TEXT = 24 << 10
MAX_PACKED = 512 << 10
CHUNK_MAX = 128 << 10
WINDOW_INITIAL = 256 << 10
WINDOW_BULK = 3 << 20
MAX_BYWAYS = 4
INLINE_MAX = 256 << 10

KIND_NAMES = (None, 'HELLO', 'READY', 'CALL', 'RESULT', 'CANCEL', 'SPAWN', 'DATA', 'EOF', 'EXIT', 'CREDIT', 'BLOB',
              'SPLICE', 'LOG', 'PING', 'BYE', 'PACKED', 'BYWAY', 'PART')

# The elements of each kind's header: i int, s str, b bin, o bool.
_WIRE_SCHEMAS = (None, 'isis', 'iisi', 'ssbiii', 'iiiiis', 's', 'ii', 'i', 'i', 'iis', 'ii', 'bii', 'ibi', 'iss', 'oi', 's', 'o', 'is',
                 'iio')
# Kinds that have no body.
_WIRE_BODILESS = frozenset((CANCEL, EOF, EXIT, CREDIT, SPLICE, LOG, PING, BYE, BYWAY))

_WIRE_PY3 = sys.version_info[0] > 2
_WIRE_INTS = (int,) if _WIRE_PY3 else (int, long)  # noqa: F821
_WIRE_MAX_MS = ((1 << 63) - 1) // 1000000
_WIRE_BYTES = [struct.pack('B', _wire_n) for _wire_n in range(256)]
_wire_prefix = struct.Struct('>IBI')
_wire_u8 = struct.Struct('>BB').pack
_wire_u16 = struct.Struct('>BH').pack
_wire_u32 = struct.Struct('>BI').pack
_wire_u64 = struct.Struct('>BQ').pack
_wire_i8 = struct.Struct('>Bb').pack
_wire_i16 = struct.Struct('>Bh').pack
_wire_i32 = struct.Struct('>Bi').pack
_wire_i64 = struct.Struct('>Bq').pack
# How many bytes of number follow an integer's code, and of length a string's.
_WIRE_INT_WIDTHS = {0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8}
_WIRE_STR_WIDTHS = {0xd9: 1, 0xda: 2, 0xdb: 4, 0xc4: 1, 0xc5: 2, 0xc6: 4}


class ProtocolError(Exception):
    """A frame breaks the protocol. The text holds no content of the frame."""


def wire_bytes(text):
    """Encodes text as UTF-8; U+DC80 to U+DCFF become the bytes they stand for, in Python 2 too."""
    if isinstance(text, bytes):
        return text
    if _WIRE_PY3:
        return text.encode('utf-8', 'surrogateescape')
    raw = text.encode('utf-8')
    if b'\xed\xb2' not in raw and b'\xed\xb3' not in raw:
        return raw
    out = []
    high = u''
    for c in text:
        if high:
            # Where a character above U+FFFF is two units, the second may look like an escaped byte.
            out.append((high + c).encode('utf-8'))
            high = u''
        elif u'\ud800' <= c <= u'\udbff' and sys.maxunicode == 0xffff:
            high = c
        elif u'\udc80' <= c <= u'\udcff':
            out.append(_WIRE_BYTES[ord(c) - 0xdc00])
        else:
            out.append(c.encode('utf-8'))
    return b''.join(out) + high.encode('utf-8')


def wire_text(raw):
    """The native str of bytes from the wire."""
    return raw.decode('utf-8', 'surrogateescape') if _WIRE_PY3 else raw


def clip(text):
    """Cuts the middle out of a text that is too long for a header."""
    raw = bytearray(wire_bytes(text))
    if len(raw) <= MAX_TEXT:
        return text
    gap = b'\n[...]\n'
    head = (MAX_TEXT - len(gap)) // 2
    tail = len(raw) - head
    for _ in range(3):  # to whole characters
        if raw[head] & 0xc0 == 0x80:
            head -= 1
        if raw[tail] & 0xc0 == 0x80:
            tail += 1
    return wire_text(bytes(raw[:head]) + gap + bytes(raw[tail:]))


def _wire_error(kind, reason):
    return ProtocolError('%s: %s' % (KIND_NAMES[kind], reason))


def _wire_check(kind, header, size):
    """Says what is wrong with the header of a frame whose body has that size, or None."""
    if size and kind in _WIRE_BODILESS:
        return 'this kind has no body'
    if kind == DATA:
        if size > CHUNK_MAX:
            return 'more than %d bytes of data' % CHUNK_MAX
    elif kind == CALL:
        if not 0 <= header[3] <= size:
            return 'meta_len does not fit the body'
        if not 0 <= header[4] <= _WIRE_MAX_MS:
            return 'time out of range'
        if not 0 <= header[5] <= 0xffffffff:
            return 'flags do not fit 32 bits'
        if len(header[2]) not in (0, 32):
            return 'digest is not 32 bytes'
        return None
    elif kind == RESULT:
        if not 0 <= header[0] <= STATUS_STALE:
            return 'unknown status'
        if header[2] < 0 or header[3] < 0 or header[2] + header[3] != size:
            return 'out_len and err_len are not the body'
        return None
    elif kind == READY:
        return None if 0 <= header[3] <= _WIRE_MAX_MS else 'time out of range'
    elif kind == SPAWN:
        if not 0 <= header[0] <= 2:
            return 'unknown mode'
        return None if 0 <= header[1] <= size else 'meta_len does not fit the body'
    elif kind == BLOB:
        if len(header[0]) != 32:
            return 'digest is not 32 bytes'
        if not 0 <= header[1] <= 0x7fffffff:
            return 'size or count out of range'
        if not 0 <= header[2] <= 2:
            return 'unknown encoding'
        return None if size <= MAX_BLOB else 'more than %d bytes of content' % MAX_BLOB
    elif kind == CREDIT:
        if not 0 <= header[1] <= 0x7fffffff:
            return 'size or count out of range'
    elif kind == BYWAY:
        return None if 0 <= header[0] <= 0x7fffffff else 'size or count out of range'
    elif kind == PART:
        if header[1] < 0:
            return 'size or count out of range'
        if size > CHUNK_MAX:
            return 'more than %d bytes of data' % CHUNK_MAX
    elif kind == SPLICE:
        if len(header[1]) != 32:
            return 'digest is not 32 bytes'
        if not 0 <= header[2] <= 1:
            return 'unknown form'
    elif kind != EOF:
        return None
    # What is left has a channel in front.
    return None if 0 <= header[0] <= 2 else 'unknown channel'


def _wire_int(n):
    if -32 <= n < 128:
        return _WIRE_BYTES[n & 0xff]
    if n > 0:
        if n < 0x100:
            return _wire_u8(0xcc, n)
        if n < 0x10000:
            return _wire_u16(0xcd, n)
        if n < 0x100000000:
            return _wire_u32(0xce, n)
        if n < 0x8000000000000000:
            return _wire_u64(0xcf, n)
    elif n >= -0x80:
        return _wire_i8(0xd0, n)
    elif n >= -0x8000:
        return _wire_i16(0xd1, n)
    elif n >= -0x80000000:
        return _wire_i32(0xd2, n)
    elif n >= -0x8000000000000000:
        return _wire_i64(0xd3, n)
    raise ProtocolError('integer does not fit a signed 64 bit')


def _wire_str(raw):
    n = len(raw)
    if n < 32:
        return _WIRE_BYTES[0xa0 | n] + raw
    if n < 0x100:
        return _wire_u8(0xd9, n) + raw
    if n < 0x10000:
        return _wire_u16(0xda, n) + raw
    return _wire_u32(0xdb, n) + raw


def _wire_bin(raw):
    n = len(raw)
    if n < 0x100:
        return _wire_u8(0xc4, n) + raw
    if n < 0x10000:
        return _wire_u16(0xc5, n) + raw
    return _wire_u32(0xc6, n) + raw


def pack_head(kind, id, header, body_len):
    """Everything of a frame but its body, which the caller sends behind it unchanged."""
    if not isinstance(kind, _WIRE_INTS) or not 1 <= kind <= PART:
        raise ProtocolError('unknown kind')
    schema = _WIRE_SCHEMAS[kind]
    if len(header) != len(schema):
        raise _wire_error(kind, "header is not an array of this kind's elements")
    out = [b'', _WIRE_BYTES[0x90 | len(schema)]]
    values = []
    for code, value in zip(schema, header):
        if value is None:  # the empty value of any type
            out.append(b'\xc0')
            value = 0 if code in 'io' else b''
        elif code == 'i':
            if not isinstance(value, _WIRE_INTS):
                raise _wire_error(kind, 'header element of another type')
            out.append(_wire_int(value))
        elif code == 'o':
            if value is not True and value is not False:
                raise _wire_error(kind, 'header element of another type')
            out.append(b'\xc3' if value else b'\xc2')
        else:
            if not isinstance(value, bytes):
                try:
                    value = wire_bytes(value)
                except UnicodeEncodeError:  # lone surrogates that stand for no byte
                    value = value.encode('utf-8', 'backslashreplace')
                except AttributeError:
                    raise _wire_error(kind, 'header element of another type')
            out.append(_wire_str(value) if code == 's' else _wire_bin(value))
        values.append(value)
    reason = _wire_check(kind, values, body_len)
    if reason:
        raise _wire_error(kind, reason)
    size = 0
    for part in out:
        size += len(part)
    if size > MAX_HEADER:
        raise _wire_error(kind, 'header over %d bytes' % MAX_HEADER)
    if size + body_len + 5 > MAX_FRAME:
        raise _wire_error(kind, 'frame over %d bytes' % MAX_FRAME)
    if not 0 <= id <= 0xffffffff:
        raise _wire_error(kind, 'id does not fit 32 bits')
    out[0] = _wire_prefix.pack(size + body_len + 5, kind, id)
    return b''.join(out)


def pack(kind, id, header, body=b''):
    """A whole frame. header is a sequence of the kind's elements; None is the empty value of any."""
    head = pack_head(kind, id, header, len(body))
    return head + body if body else head


def _wire_header(kind, buf, at, limit):
    """Reads the header at buf[at:], of which it may take the bytes ahead of limit.

    buf holds integers when indexed: bytes in Python 3, a bytearray in Python 2.
    Returns the elements and where the body begins, or None when buf ends ahead
    of what is needed and limit does not.
    """
    top = min(len(buf), limit)
    schema = _WIRE_SCHEMAS[kind]
    count = -1
    if at < top:
        c = buf[at]
        at += 1
        if 0x90 <= c <= 0x9f:
            count = c & 15
        elif c == 0xdc or c == 0xdd:
            stop = at + (2 if c == 0xdc else 4)
            if stop > limit:
                raise _wire_error(kind, 'header runs past the frame or %d bytes' % MAX_HEADER)
            if stop > top:
                return None
            count = 0
            for c in bytearray(buf[at:stop]):
                count = count << 8 | c
            at = stop
    elif top < limit:
        return None
    if count != len(schema):
        raise _wire_error(kind, "header is not an array of this kind's elements")
    values = []
    for code in schema:
        stop = at + 1
        if stop <= top:
            c = buf[at]
            at = stop
            if code == 'i':
                if c < 0x80:
                    values.append(c)
                    continue
                if c >= 0xe0:
                    values.append(c - 0x100)
                    continue
                width = _WIRE_INT_WIDTHS.get(c)
            elif code == 'o':
                if c == 0xc2 or c == 0xc3:
                    values.append(c == 0xc3)
                    continue
                width = None
            elif 0xa0 <= c <= 0xbf:
                width = 0
            else:
                width = _WIRE_STR_WIDTHS.get(c)
            if width is None:
                if c != 0xc0:
                    raise _wire_error(kind, 'header element of another type')
                values.append(0 if code == 'i' else False if code == 'o' else '' if code == 's' else b'')
                continue
            stop = at + width
        if stop <= top:
            n = 0
            if width:
                for digit in bytearray(buf[at:stop]):
                    n = n << 8 | digit
                at = stop
            elif code != 'i':
                n = c & 31
            if code == 'i':
                if c >= 0xd0 and n >> (8 * width - 1):
                    n -= 1 << 8 * width
                elif n >> 63 > 0:
                    raise _wire_error(kind, 'integer does not fit a signed 64 bit')
                values.append(n)
                continue
            stop = at + n
            if stop <= top:
                raw = bytes(buf[at:stop])
                values.append(raw if code == 'b' else wire_text(raw))
                at = stop
                continue
        if stop > limit:
            raise _wire_error(kind, 'header runs past the frame or %d bytes' % MAX_HEADER)
        return None
    return values, at


class Decoder(object):
    """Takes frames from a stream that comes in pieces of any size.

    What comes is kept in the pieces it came in: a frame within one piece is read in
    place, and a larger one is joined once. An error is final, as the stream cannot
    be trusted behind it: it is raised again by every later call.
    """

    def __init__(self):
        self._chunks = []
        self._at = 0  # where the next frame begins in the first chunk
        self._have = 0  # bytes from there on
        self._need = 4  # bytes without which next() can do nothing: of the length, then of the frame
        self._fault = None

    def pending(self):
        """How many bytes of an unfinished frame (or of frames not asked for) are held."""
        return self._have

    def feed(self, data):
        """Takes bytes from the stream."""
        if self._fault is not None:
            raise self._fault
        if not data:
            return
        if not isinstance(data, bytes):
            data = bytes(data)
        self._have += len(data)
        # A stream that drips must not cost a Python object for each of its bytes.
        if self._chunks and len(self._chunks[-1]) + len(data) <= 512:
            self._chunks[-1] += data
        else:
            self._chunks.append(data)

    def next(self):
        """The next frame as (kind, id, header list, body), or None until more is fed."""
        if self._have < self._need:
            return None
        if self._fault is not None:
            raise self._fault
        try:
            return self._next()
        except ProtocolError as e:
            self._fault = e
            self._chunks = []
            self._have = self._need = 0  # so that the line at the top does not hide the fault
            raise

    def _next(self):
        if self._need == 4:
            length = struct.unpack('>I', self._front(4))[0]
            if length < 6:
                raise ProtocolError('frame under 6 bytes')
            if length > MAX_FRAME:
                raise ProtocolError('frame over %d bytes' % MAX_FRAME)
            self._need = 4 + length
            if self._have < self._need:
                return None
        total = self._need
        length, kind, id = _wire_prefix.unpack(self._front(9))
        if not 1 <= kind <= PART:
            raise ProtocolError('unknown kind')
        limit = min(total, 9 + MAX_HEADER)
        first = self._chunks[0]
        if _WIRE_PY3:
            base = self._at
            found = _wire_header(kind, first, base + 9, base + limit)
        else:
            base = 0
            found = _wire_header(kind, bytearray(first[self._at:self._at + min(limit, 1024)]), 9, limit)
        if found is None:  # the header is longer than that, or goes on in the next chunk
            base = 0
            front = self._front(limit)
            found = _wire_header(kind, front if _WIRE_PY3 else bytearray(front), 9, limit)
        header, at = found
        reason = _wire_check(kind, header, total + base - at)
        if reason:
            raise _wire_error(kind, reason)
        end = self._at + total
        if end <= len(first):
            body = first[end - total + at - base:end]
            if end == len(first):
                del self._chunks[0]
                end = 0
            self._at = end
        else:
            body = self._take(at - base, total)
        self._have -= total
        self._need = 4
        return kind, id, header, body

    def _front(self, n):
        """The first n bytes, which are here, as one string."""
        first = self._chunks[0]
        if len(first) - self._at >= n:
            return first[self._at:self._at + n]
        parts = [first[self._at:]]
        n -= len(parts[0])
        for chunk in self._chunks[1:]:
            parts.append(chunk[:n])
            n -= len(parts[-1])
            if not n:
                break
        return b''.join(parts)

    def _take(self, skip, total):
        """Removes total bytes and returns those behind the first skip as one string."""
        chunks = self._chunks
        at = self._at + skip
        left = total - skip
        i = 0
        parts = []
        while i < len(chunks):
            chunk = chunks[i]
            n = len(chunk) - at
            if n > left:
                if left:
                    parts.append(self._slice(chunk, at, at + left))
                at += left
                break
            i += 1
            if n > 0:
                parts.append(self._slice(chunk, at, at + n))
                left -= n
                at = 0
            else:
                at = -n
        if i == len(chunks):
            at = 0
        del chunks[:i]
        self._at = at
        return parts[0] if len(parts) == 1 and isinstance(parts[0], bytes) else b''.join(parts)

    @staticmethod
    def _slice(chunk, at, stop):
        if at == 0 and stop == len(chunk):
            return chunk
        # A view saves a copy when several parts are joined; Python 2 cannot join views.
        return memoryview(chunk)[at:stop] if _WIRE_PY3 else chunk[at:stop]


# What a sync flush ends with, which is left out.
_WIRE_TAIL = b'\0\0\xff\xff'


class Packer(object):
    """Makes PACKED frames for one direction of a link: the pieces of one stream, or, if fresh, one that refers to nothing."""

    def __init__(self, level, fresh=False):
        self._fresh = fresh
        # No further back than receivers remember.
        self._stream = zlib.compressobj(level, zlib.DEFLATED, -13)

    def pack(self, frames):
        """A PACKED frame in the place of whole frames."""
        body = self._stream.compress(frames) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return pack(PACKED, 0, (self._fresh,), body[:-4])


class Unpacker(object):
    """Opens the PACKED frames of one direction of a link, in their order."""

    def __init__(self):
        self._stream = zlib.decompressobj(-15)

    def unpack(self, fresh, body):
        """The frames in the place of which one came."""
        stream = zlib.decompressobj(-15) if fresh else self._stream
        try:
            data = stream.decompress(body + _WIRE_TAIL, MAX_PACKED + 1)
        except zlib.error:
            data = None
        if data is None or stream.unused_data:
            raise _wire_error(PACKED, 'is no piece of a deflate stream')
        if len(data) > MAX_PACKED:
            raise _wire_error(PACKED, 'inflates to more than %d bytes' % MAX_PACKED)
        decoder = Decoder()
        decoder.feed(data)
        frames = []
        while True:
            frame = decoder.next()
            if frame is None:
                break
            if frame[0] == PACKED:
                raise _wire_error(PACKED, 'packed twice')
            frames.append(frame)
        if decoder.pending():
            raise _wire_error(PACKED, 'a frame in it is not whole')
        return frames
