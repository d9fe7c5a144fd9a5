# What every part of the agent leans on: imports, text, JSON and errors.
#
# The parts are joined into one namespace behind spindle_wire.py, in the order that pack.go lists. Start-up time is
# paid on every connection, so nothing is imported here that drags in re or enum: _signal instead of signal, _json
# instead of json. The process that runs a module may import what it likes.
import errno
import fcntl
import gc
import os
import select
import sys
import time
from _collections import deque

try:
    import _signal as signal
except ImportError:
    import signal

try:
    monotonic = time.monotonic
except AttributeError:
    # Python 2 knows no other clock that nobody sets. It ticks every 10 ms, which is fine for timeouts.
    def monotonic():
        return os.times()[4]

gc.disable()  # until all is here: see freeze()

VERSION = '.'.join([str(n) for n in sys.version_info[:3]])
DEVNULL = getattr(os, 'devnull', '/dev/null')
# Seconds between TERM and KILL.
GRACE = 1.0

if _WIRE_PY3:
    environ = os.environb

    def text(raw):
        """Unicode from bytes; what is no UTF-8 becomes U+DC80 to U+DCFF."""
        return raw.decode('utf-8', 'surrogateescape')
else:
    environ = os.environ

    def text(raw):
        if isinstance(raw, unicode):
            return raw
        out = []
        while True:
            try:
                out.append(raw.decode('utf-8'))
                return u''.join(out)
            except UnicodeDecodeError as e:
                out.append(raw[:e.start].decode('utf-8'))
                out.append(unichr(0xdc00 + ord(raw[e.start])))
                raw = raw[e.start + 1:]


class Failure(Exception):
    """Work that could not be done, in words for the user."""

    status = STATUS_ERROR

    def __init__(self, number, words):
        Exception.__init__(self, words)
        self.number = number
        self.words = words


def failure(op, path, e):
    """The Failure for an exception of the system: `<op> <path>: <strerror>`."""
    number = getattr(e, 'errno', None) or 0
    reason = os.strerror(number) if number else str(e)
    return Failure(number or errno.EINVAL, '%s %s: %s' % (op, wire_text(wire_bytes(path)), reason))


def caught():
    """The exception being handled, in one string with the place it came from."""
    kind, value, trace = sys.exc_info()
    place = []
    while trace:
        place.append('%s:%d' % (trace.tb_frame.f_code.co_name, trace.tb_lineno))
        trace = trace.tb_next
    return '%s: %s (%s)' % (kind.__name__, value, ' '.join(place[-4:]))


try:
    import _json

    class _Context(object):
        strict = False
        object_hook = object_pairs_hook = array_hook = None
        parse_float = float
        parse_int = int
        parse_constant = float
        memo = {}
        encoding = 'utf-8'

    if not _WIRE_PY3:
        raise ImportError
    _scan = _json.make_scanner(_Context)
    _quote = _json.encode_basestring_ascii

    def loads(raw):
        """JSON to objects. The scanner skips no space in front, and does not mind what is behind."""
        raw = wire_text(raw).strip(' \t\r\n')
        try:
            value, end = _scan(raw, 0)
        except StopIteration:
            end = -1
        if end != len(raw):
            raise ValueError('no JSON')
        return value
except (ImportError, AttributeError, TypeError):
    import json

    def loads(raw):
        return json.loads(wire_text(raw), strict=False)

    _quote = json.dumps


def dumps(value):
    """Objects to JSON, as ASCII in a native string. Bytes are taken for text."""
    if value is None or value is True or value is False:
        return {None: 'null', True: 'true', False: 'false'}[value]
    if isinstance(value, dict):
        return '{%s}' % ','.join(['%s:%s' % (dumps(k), dumps(value[k])) for k in sorted(value)])
    if isinstance(value, (list, tuple)):
        return '[%s]' % ','.join([dumps(v) for v in value])
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, _WIRE_INTS):
        return '%d' % value
    return str(_quote(text(value) if isinstance(value, bytes) else value))


def sha256(size=0):
    """A new hash. The one from OpenSSL is four times as fast and takes 5 ms to load."""
    if size < 1 << 20:
        try:
            from _sha2 import sha256 as new
            return new()
        except ImportError:
            try:
                from _sha256 import sha256 as new
                return new()
            except ImportError:
                pass
    from hashlib import sha256 as new
    return new()


def hashed(content):
    hasher = sha256(len(content))
    hasher.update(content)
    return hasher.digest()


# Every descriptor that the agent holds and a child must not.
HELD = set()


def hold(fd, blocking=False):
    """Makes fd one of the agent's own: closed by exec, closed by children, and usually not blocking."""
    HELD.add(fd)
    if not _WIRE_PY3:  # later ones are born that way
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    if not blocking:
        # All that comes here is a new pipe or terminal, with no other flags to be kept.
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
    return fd


def pipe(mine=None):
    """A pipe whose end with index `mine` does not block."""
    ends = os.pipe()
    for i in (0, 1):
        hold(ends[i], i != mine)
    return ends


def widen(fd):
    """Lets a pipe that bulk goes through hold more, where the system can: each fill and drain costs two processes a switch."""
    try:
        fcntl.fcntl(fd, 1031, 1 << 19)  # F_SETPIPE_SZ, which Python knows by name only since 3.10
    except (OSError, IOError):  # no pipe, no Linux, or the account has too many
        pass


def close(fd):
    HELD.discard(fd)
    try:
        os.close(fd)
    except OSError:
        pass


def write_all(fd, data):
    """Writes all of data to a descriptor that blocks."""
    view = memoryview(data)
    while len(view):
        try:
            view = view[os.write(fd, view):]
        except OSError as e:
            if e.errno != errno.EINTR:
                raise
