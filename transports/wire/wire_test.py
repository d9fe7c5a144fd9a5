"""Tests of spindle_wire.py, for Python 2.7 and 3.5 up: python wire_test.py"""
import io
import json
import os
import random
import struct
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import spindle_wire as wire  # noqa: E402

PY3 = sys.version_info[0] > 2
with io.open(os.path.join(HERE, 'testdata', 'vectors.json'), encoding='utf-8') as f:
    VECTORS = json.load(f)
SEED = int(os.environ.get('SPINDLE_WIRE_SEED', '1'))
ROUNDS = int(os.environ.get('SPINDLE_WIRE_ROUNDS', '3000'))


def content(pieces):
    """The bytes that a vector describes."""
    out = []
    for piece in pieces if isinstance(pieces, list) else [pieces]:
        digits, times = (piece['hex'], piece.get('times', 1)) if isinstance(piece, dict) else (piece, 1)
        out.append(bytes(bytearray.fromhex(digits.replace(u' ', u''))) * times)
    return b''.join(out)


def fields(vector):
    """A vector's header as the decoder gives it, and as the encoder takes it."""
    schema = wire._WIRE_SCHEMAS[vector['kind']]
    got, given = [], []
    for code, value in zip(schema, vector['header']):
        if isinstance(value, dict):
            value = content(value)
        given.append(value)
        if value is None:
            value = {'i': 0, 'o': False, 's': '', 'b': b''}[code]
        elif code == 's':
            value = wire.wire_text(wire.wire_bytes(value))
        got.append(value)
    return got, given


def drain(decoder):
    frames = []
    while True:
        frame = decoder.next()
        if frame is None:
            return frames
        frames.append(frame)


def decode(data, sizes=None):
    """All frames of data, fed in pieces of those sizes, in turn; the rest at once."""
    decoder, frames, at = wire.Decoder(), [], 0
    for size in sizes or ():
        if at >= len(data):
            break
        decoder.feed(data[at:at + size])
        at += size
        frames += drain(decoder)
    decoder.feed(data[at:])
    frames += drain(decoder)
    return frames, decoder


class VectorTest(unittest.TestCase):
    def test_there_are_vectors_of_every_kind(self):
        self.assertEqual(set(v['kind'] for v in VECTORS['frames']), set(range(1, 19)))

    def test_decode(self):
        for vector in VECTORS['frames'] + VECTORS['aliases']:
            data = content(vector['frame'])
            want = (vector['kind'], vector['id'], fields(vector)[0], content(vector['body']))
            frames, decoder = decode(data)
            self.assertEqual(len(frames), 1, vector['name'])
            self.assertTrue(frames[0] == want, vector['name'])
            self.assertEqual(decoder.pending(), 0, vector['name'])
            for got, expected in zip(frames[0][2] + [frames[0][3]], want[2] + [want[3]]):
                if not isinstance(expected, (int, float)):
                    self.assertIs(type(got), type(expected), vector['name'])

    def test_encode(self):
        for vector in VECTORS['frames']:
            got = wire.pack(vector['kind'], vector['id'], fields(vector)[1], content(vector['body']))
            self.assertTrue(got == content(vector['frame']), vector['name'])
            again = wire.pack(vector['kind'], vector['id'], [
                None if code == 'b' and not value else value
                for code, value in zip(wire._WIRE_SCHEMAS[vector['kind']], fields(vector)[0])], content(vector['body']))
            self.assertTrue(again == got, vector['name'] + ' (from what was decoded)')

    def test_decode_whatever_the_pieces(self):
        data, want = b'', []
        for vector in VECTORS['frames'] + VECTORS['aliases']:
            if len(content(vector['frame'])) < 5000:
                data += content(vector['frame'])
                want.append((vector['kind'], vector['id'], fields(vector)[0], content(vector['body'])))
        for size in (1, 2, 3, 4, 5, 8, 9, 10, 31, 511, 512, 513, 4096):
            frames, decoder = decode(data, [size] * (len(data) // size + 1))
            self.assertTrue(frames == want, size)
            self.assertEqual(decoder.pending(), 0)

    def test_large_frames_whatever_the_pieces(self):
        for vector in VECTORS['frames']:
            data = content(vector['frame'])
            if len(data) < 5000:
                continue
            tail = wire.pack(wire.PING, 0, [False, 99])
            for size in (600, 65535, 65536, 131072 + 11):
                frames, decoder = decode(data + tail, [size] * (len(data) // size + 2))
                self.assertEqual(len(frames), 2, vector['name'])
                self.assertTrue(frames[0][2:] == (fields(vector)[0], content(vector['body'])), vector['name'])
                self.assertEqual(frames[1], (wire.PING, 0, [False, 99], b''))

    def test_incomplete(self):
        for vector in VECTORS['frames']:
            data = content(vector['frame'])
            for cut in sorted(set(list(range(min(len(data), 64))) + [len(data) - 1])):
                frames, decoder = decode(data[:cut])
                self.assertEqual(frames, [], vector['name'])
                self.assertEqual(decoder.pending(), cut)

    def test_refused(self):
        for vector in VECTORS['refused']:
            data = content(vector['frame'])
            for sizes in (None, [1] * min(len(data), 40), [600] * (len(data) // 600)):
                with self.assertRaises(wire.ProtocolError) as caught:
                    decode(data, sizes)
                    self.fail(vector['name'])
                self.assertIn(vector['reason'], str(caught.exception), vector['name'])

    def test_unwritable(self):
        for vector in VECTORS['unwritable']:
            with self.assertRaises(wire.ProtocolError) as caught:
                wire.pack(vector['kind'], 1, fields(vector)[1], content(vector['body']))
                self.fail(vector['name'])
            self.assertIn(vector['reason'], str(caught.exception), vector['name'])


def unpacked(data):
    """All frames of a stream, with those that came packed in their places."""
    unpacker, frames = wire.Unpacker(), []
    for frame in decode(data)[0]:
        frames += unpacker.unpack(frame[2][0], frame[3]) if frame[0] == wire.PACKED else [frame]
    return frames


class PackedTest(unittest.TestCase):
    def test_vectors(self):
        for vector in VECTORS['packed']:
            data = content(vector['stream'])
            if 'reason' in vector:
                with self.assertRaises(wire.ProtocolError) as caught:
                    unpacked(data)
                    self.fail(vector['name'])
                self.assertIn(vector['reason'], str(caught.exception), vector['name'])
            else:
                self.assertTrue(unpacked(data) == decode(content(vector['frames']))[0], vector['name'])

    def test_what_is_packed_comes_out(self):
        rng = random.Random(SEED)
        packer, sent, data = wire.Packer(6), b'', b''
        for _ in range(200):
            frames = b''.join(
                wire.pack(wire.RESULT, rng.randrange(9), [0, 0, n, 0, 0, ''], os.urandom(n // 9) * 9 + b'x' * (n % 9))
                for n in (rng.choice((0, 5, 300, 9000, 40000)) for _ in range(rng.randrange(1, 4))))
            sent += frames
            pick = rng.randrange(3)
            data += packer.pack(frames) if pick else wire.Packer(1, True).pack(frames) if rng.randrange(2) else frames
        self.assertTrue(unpacked(data) == decode(sent)[0])

    def test_alike_frames_cost_little(self):
        packer = wire.Packer(6)
        sizes = [len(packer.pack(wire.pack(wire.CALL, n, ['module', '', None, 2, 0, 0], wire.wire_bytes(
            '{}' + ('"_ansible_key": "value %d"' % n) * 30)))) for n in range(1, 101)]
        self.assertLess(max(sizes[1:]), 60)

    def test_the_largest_piece(self):
        frame = wire.pack(wire.RESULT, 1, [0, 0, 1000000, 0, 0, ''], b'x' * 1000000)
        with self.assertRaises(wire.ProtocolError):
            unpacked(wire.Packer(1).pack(frame))
        frame = wire.pack(wire.RESULT, 1, [0, 0, 500000, 0, 0, ''], b'x' * 500000)
        self.assertTrue(unpacked(wire.Packer(1).pack(frame)) == decode(frame)[0])


class PackTest(unittest.TestCase):
    def test_types_that_no_header_has(self):
        for header in ([1.0, 0], ['1', 0], [[], 0], [0, True, 0], [0], []):
            with self.assertRaises(wire.ProtocolError):
                wire.pack(wire.CREDIT, 1, header)
        for value in (1, 0, 'yes', [True]):
            with self.assertRaises(wire.ProtocolError):
                wire.pack(wire.PING, 1, [value, 0])
        for value in (1, 1.5, ['a'], {'a': 1}, True):
            with self.assertRaises(wire.ProtocolError):
                wire.pack(wire.BYE, 1, [value])

    def test_kinds_and_ids(self):
        for kind in (0, 19, -1, None, 'BYE'):
            with self.assertRaises(wire.ProtocolError):
                wire.pack(kind, 1, [''])
        for id in (-1, 1 << 32):
            with self.assertRaises(wire.ProtocolError):
                wire.pack(wire.BYE, id, [''])

    def test_integers_beyond_64_bits(self):
        for value in (1 << 63, -(1 << 63) - 1, 1 << 100):
            with self.assertRaises(wire.ProtocolError):
                wire.pack(wire.PING, 0, [False, value])

    def test_head_goes_in_front_of_the_body(self):
        body = b'x' * 1000
        self.assertEqual(wire.pack_head(wire.DATA, 3, (1,), len(body)) + body, wire.pack(wire.DATA, 3, (1,), body))

    def test_body_may_be_any_buffer_that_adds_to_bytes(self):
        self.assertEqual(decode(bytes(wire.pack(wire.DATA, 3, [1], bytearray(b'abc'))))[0], [(wire.DATA, 3, [1], b'abc')])

    def test_text(self):
        # U+DC80..U+DCFF stand for bytes, in either Python; a character above U+FFFF is one character.
        for text, raw in ((u'a\udcff\udc80', b'a\xff\x80'), (u'\U0001f600', b'\xf0\x9f\x98\x80'), (u'', b''),
                          (u'\U00010080\udcb2\udcb3', b'\xf0\x90\x82\x80\xb2\xb3'),
                          (u'\udced\udcb3\udcaf', b'\xed\xb3\xaf')):
            self.assertEqual(wire.wire_bytes(text), raw)
            got = decode(wire.pack(wire.BYE, 0, [text]))[0][0][2][0]
            self.assertEqual(got, text if PY3 else raw)
            self.assertIs(type(got), str)

    def test_broken_text_is_sent_all_the_same(self):
        got = decode(wire.pack(wire.BYE, 0, [u'a\ud800b']))[0][0][2][0]
        self.assertEqual((got[0], got[-1]), ('a', 'b'))

    def test_clip(self):
        for text in (u'', u'short', u'x' * wire.MAX_TEXT):
            self.assertEqual(wire.clip(text), text)
        for unit in (u'x', u'\xe9', u'\u20ac', u'\U0001f600', u'a\u20ac'):
            for extra in range(4):
                text = u'y' * extra + unit * (wire.MAX_TEXT + 1)
                raw = wire.wire_bytes(wire.clip(text))
                self.assertLessEqual(len(raw), wire.MAX_TEXT)
                self.assertGreater(len(raw), wire.MAX_TEXT - 10)
                raw.decode('utf-8')  # whole characters
                self.assertTrue(b'\n[...]\n' in raw)
        wire.pack(wire.LOG, 0, [10, wire.clip(u'x' * 100000), wire.clip(u'\x00' * 100000)])
        self.assertLessEqual(len(wire.wire_bytes(wire.clip(b'\x80' * 100000))), wire.MAX_TEXT)


class DecoderTest(unittest.TestCase):
    def test_an_error_is_final(self):
        decoder = wire.Decoder()
        decoder.feed(wire.pack(wire.PING, 1, [True, 5]) + b'\xff' * 4)
        self.assertEqual(decoder.next(), (wire.PING, 1, [True, 5], b''))
        for _ in range(3):
            with self.assertRaises(wire.ProtocolError):
                decoder.next()
            with self.assertRaises(wire.ProtocolError):
                decoder.feed(wire.pack(wire.PING, 1, [True, 5]))

    def test_nothing_is_nothing(self):
        decoder = wire.Decoder()
        decoder.feed(b'')
        self.assertIsNone(decoder.next())
        self.assertEqual(decoder.pending(), 0)

    def test_feeds_of_other_types(self):
        frame = wire.pack(wire.DATA, 1, [1], b'abc')
        for make in (bytearray, memoryview) if PY3 else (bytearray,):
            self.assertEqual(decode(make(frame))[0], [(wire.DATA, 1, [1], b'abc')])

    def test_a_buffer_that_is_used_again_does_no_harm(self):
        buf = bytearray(wire.pack(wire.DATA, 1, [1], b'abc'))
        decoder = wire.Decoder()
        decoder.feed(buf)
        buf[-3:] = b'xyz'
        self.assertEqual(decoder.next()[3], b'abc')

    def test_dripping_costs_few_objects(self):
        decoder = wire.Decoder()
        data = wire.pack(wire.BLOB, 1, [b'd' * 32, 65536, 0], b'x' * 65536)
        for i in range(len(data)):
            decoder.feed(data[i:i + 1])
        self.assertLess(len(decoder._chunks), 200)
        self.assertEqual(len(decoder.next()[3]), 65536)

    def test_it_holds_no_more_than_what_came(self):
        decoder = wire.Decoder()
        decoder.feed(struct.pack('>IBI', wire.MAX_FRAME, wire.HELLO, 0))
        self.assertIsNone(decoder.next())
        self.assertEqual(sum(len(c) for c in decoder._chunks), 9)

    def test_what_was_taken_is_let_go(self):
        decoder = wire.Decoder()
        for _ in range(20):
            decoder.feed(wire.pack(wire.DATA, 1, [1], b'x' * 100000) + wire.pack(wire.EOF, 1, [1]))
            self.assertEqual([f[0] for f in drain(decoder)], [wire.DATA, wire.EOF])
            self.assertEqual((decoder._chunks, decoder._at), ([], 0))

    @unittest.skipUnless(PY3, 'tracemalloc came with Python 3.4')
    def test_a_large_body_is_copied_once(self):
        import tracemalloc
        data = wire.pack(wire.BLOB, 1, [b'd' * 32, 1 << 20, 0], b'x' * (1 << 20))
        pieces = [data[i:i + 65536] for i in range(0, len(data), 65536)]
        decoder = wire.Decoder()
        for piece in pieces:
            decoder.feed(piece)
        tracemalloc.start()
        try:
            body = decoder.next()[3]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertEqual(len(body), 1 << 20)
        self.assertLess(peak, (1 << 20) + (192 << 10))


class RandomTest(unittest.TestCase):
    """Frames at random, and frames broken at random: the seed is in SPINDLE_WIRE_SEED."""

    def setUp(self):
        self.random = random.Random(SEED)

    def raw(self, most):
        return bytes(bytearray(self.random.randrange(256) for _ in range(self.random.randrange(most + 1))))

    def number(self):
        n = self.random.getrandbits(self.random.choice((1, 6, 7, 8, 15, 16, 31, 32, 63)))
        return -n if self.random.random() < 0.3 else n

    def frame(self):
        kind = self.random.randrange(1, 19)
        body = b'' if kind in wire._WIRE_BODILESS else self.raw(self.random.choice((0, 3, 40, 700)))
        header = []
        for code in wire._WIRE_SCHEMAS[kind]:
            if code == 'i':
                header.append(self.number())
            elif code == 'o':
                header.append(self.random.random() < 0.5)
            elif code == 's':
                header.append(wire.wire_text(self.raw(self.random.choice((0, 5, 40, 300)))))
            else:
                header.append(bytes(bytearray(self.random.randrange(256) for _ in range(32))))
        n = len(body)
        if kind in (wire.DATA, wire.EOF, wire.CREDIT, wire.SPLICE, wire.PART):
            header[0] = self.random.randrange(3)
        if kind == wire.CREDIT:
            header[1] = abs(header[1]) & 0x7fffffff
        elif kind == wire.BYWAY:
            header[0] = self.random.getrandbits(31)
        elif kind == wire.PART:
            header[1] = self.random.getrandbits(62)
        elif kind == wire.CALL:
            header[3:] = [self.random.randrange(n + 1), self.random.getrandbits(40), self.random.getrandbits(32)]
            if self.random.random() < 0.5:
                header[2] = b''
        elif kind == wire.RESULT:
            header[0], header[2] = self.random.randrange(8), self.random.randrange(n + 1)
            header[3] = n - header[2]
        elif kind == wire.SPAWN:
            header = [self.random.randrange(3), self.random.randrange(n + 1)]
        elif kind == wire.BLOB:
            header[1:] = [self.random.getrandbits(31), self.random.randrange(2)]
        elif kind == wire.SPLICE:
            header[2] = self.random.randrange(2)
        elif kind == wire.READY:
            header[3] = self.random.getrandbits(40)
        return kind, self.random.getrandbits(32), header, body

    def sizes(self, n):
        sizes = []
        while n > 0:
            sizes.append(self.random.choice((1, 2, 9, 60, 513, 2000)))
            n -= sizes[-1]
        return sizes

    def test_round_trip(self):
        for _ in range(ROUNDS // 20):
            frames = [self.frame() for _ in range(20)]
            data = b''.join(wire.pack(*frame) for frame in frames)
            got, decoder = decode(data, self.sizes(len(data)))
            self.assertTrue(got == frames)
            self.assertEqual(decoder.pending(), 0)

    def test_mutations(self):
        accepted = refused = 0
        for _ in range(ROUNDS):
            data = bytearray(wire.pack(*self.frame()))
            for _ in range(self.random.choice((1, 1, 2, 8))):
                at = self.random.randrange(len(data)) if self.random.random() < 0.5 else self.random.randrange(min(len(data), 24))
                how = self.random.random()
                if how < 0.5:
                    data[at] = self.random.randrange(256)
                elif how < 0.7:
                    data[at] = self.random.choice((0x90, 0xc0, 0xc4, 0xc6, 0xcf, 0xd3, 0xd9, 0xdb, 0xdc, 0xdd, 0xff, 0x7f))
                elif how < 0.85:
                    del data[at]
                else:
                    data[at:at] = bytearray([self.random.randrange(256)])
                if not data:
                    break
            if len(data) > 4 and self.random.random() < 0.8:
                data[:4] = struct.pack('>I', len(data) - 4)
            data = bytes(data)
            try:
                frames, _ = decode(data)
            except wire.ProtocolError:
                refused += 1
                with self.assertRaises(wire.ProtocolError):
                    decode(data, self.sizes(len(data)))
                continue
            self.assertEqual(decode(data, self.sizes(len(data)))[0], frames)
            for frame in frames:
                accepted += 1
                self.assertEqual(decode(wire.pack(*frame))[0], [frame])
        # The mutations must reach both ends of the decoder.
        self.assertGreater(accepted, ROUNDS // 20)
        self.assertGreater(refused, ROUNDS // 20)

    def test_noise(self):
        for _ in range(ROUNDS):
            data = self.raw(200)
            try:
                decode(struct.pack('>I', len(data)) + data)
            except wire.ProtocolError:
                pass


if __name__ == '__main__':
    unittest.main()
