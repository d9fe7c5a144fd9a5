"""The Python codec as a filter, for the Go tests: argv[1] is the directory of spindle_wire.py.

First comes one line of JSON with its constants. Then, for each case on stdin (u32 length, bytes
of a stream), an answer on stdout (u32 length, bytes): P, how many bytes of an unfinished frame
were left (u32) and all frames written again; or E and a text, if the stream broke the protocol.
With a further argument, PACKED frames are opened, and what was in them is packed again.
"""
import json
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import spindle_wire as wire  # noqa: E402


def again(kind, id, header, body):
    if kind == wire.CALL:
        header[2] = header[2] or None
    return wire.pack(kind, id, header, body)


def answer(data):
    decoder, unpacker, packer = wire.Decoder(), wire.Unpacker(), wire.Packer(6)
    out = []
    try:
        for at in range(0, len(data), 60000):
            decoder.feed(data[at:at + 60000])
            while True:
                frame = decoder.next()
                if frame is None:
                    break
                if frame[0] == wire.PACKED and len(sys.argv) > 2:
                    fresh = frame[2][0]
                    frames = b''.join(again(*f) for f in unpacker.unpack(fresh, frame[3]))
                    out.append((wire.Packer(1, True) if fresh else packer).pack(frames))
                else:
                    out.append(again(*frame))
        return b'P' + struct.pack('>I', decoder.pending()) + b''.join(out)
    except wire.ProtocolError as e:
        return b'E' + str(e).encode('utf-8')


def main():
    stdin, stdout = os.fdopen(0, 'rb'), os.fdopen(1, 'wb')
    constants = dict((k, v) for k, v in vars(wire).items() if k.isupper() and k[0] != '_' and isinstance(v, int))
    constants['KIND_NAMES'] = wire.KIND_NAMES
    stdout.write(json.dumps(constants).encode('utf-8') + b'\n')
    stdout.flush()
    while True:
        head = stdin.read(4)
        if len(head) < 4:
            return
        reply = answer(stdin.read(struct.unpack('>I', head)[0]))
        stdout.write(struct.pack('>I', len(reply)) + reply)
        stdout.flush()


main()
