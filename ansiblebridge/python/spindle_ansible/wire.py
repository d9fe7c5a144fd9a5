"""The frame codec, wherever it was unpacked.

`spindle_wire.py` is shared with the agent. It is unpacked beside this package or
inside it.
"""
try:
    from spindle_ansible import spindle_wire
except ImportError:
    import spindle_wire

CALL = spindle_wire.CALL
BLOB = spindle_wire.BLOB
BYE = spindle_wire.BYE
CANCEL = spindle_wire.CANCEL
CREDIT = spindle_wire.CREDIT
DATA = spindle_wire.DATA
EOF = spindle_wire.EOF
HELLO = spindle_wire.HELLO
LOG = spindle_wire.LOG
PING = spindle_wire.PING
READY = spindle_wire.READY
RESULT = spindle_wire.RESULT

OK = spindle_wire.STATUS_OK
ERROR = spindle_wire.STATUS_ERROR
UNREACHABLE = spindle_wire.STATUS_UNREACHABLE
FAILED = spindle_wire.STATUS_FAILED
CANCELLED = spindle_wire.STATUS_CANCELLED
TIMEOUT = spindle_wire.STATUS_TIMEOUT
UNKNOWN_CLOSURE = spindle_wire.STATUS_UNKNOWN_CLOSURE
FAULT = spindle_wire.STATUS_FAULT
STALE = spindle_wire.STATUS_STALE

MORE = spindle_wire.FLAG_MORE
NOREPLY = spindle_wire.FLAG_NOREPLY

PROTO = spindle_wire.PROTO
CHUNK_MAX = spindle_wire.CHUNK_MAX
MAX_BLOB = spindle_wire.MAX_BLOB
WINDOW_INITIAL = spindle_wire.WINDOW_INITIAL
WINDOW_BULK = spindle_wire.WINDOW_BULK
ENCODING_RAW = spindle_wire.ENCODING_RAW
ENCODING_ZLIB = spindle_wire.ENCODING_ZLIB

Decoder = spindle_wire.Decoder
ProtocolError = spindle_wire.ProtocolError
pack = spindle_wire.pack
pack_head = spindle_wire.pack_head
