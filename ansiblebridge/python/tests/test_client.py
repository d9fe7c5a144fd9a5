"""The client against servers that behave, and servers that do not."""
import json
import os
import signal
import threading
import unittest
from unittest import mock

from tests.support import Server, wire
from spindle_ansible import client as client_mod


class Interrupted(Exception):
    pass


class ClientTest(unittest.TestCase):
    def serve(self, handler):
        server = Server(handler)
        self.addCleanup(server.close)
        client = client_mod.Client(server.path)
        client.connect(5)
        self.addCleanup(client.close)
        return client

    def test_a_call_carries_its_meta_and_its_parts(self):
        seen = []

        def handler(peer, kind, id, header, body):
            if kind == wire.HELLO:
                self.assertEqual(header[1], 'worker')
                peer.send(wire.READY, 0, (wire.PROTO, 7, 'v', 0), b'{}')
            else:
                seen.append((header, body))
                peer.result(id, b'out', b'errors', rc=3)
        client = self.serve(handler)
        result = client.call('exec', 'ctx', meta={'command': 'x\udcff'}, parts=[b'one', b'two'], closure=b'd' * 32)
        self.assertEqual((result.rc, result.out, result.err), (3, b'out', b'errors'))
        header, body = seen[0]
        self.assertEqual(header[:3], ['exec', 'ctx', b'd' * 32])
        self.assertEqual(json.loads(body[:header[3]].decode()), {'command': 'x\udcff'})
        self.assertEqual(body[header[3]:], b'onetwo')
        self.assertEqual(client.peer['pid'], 7)

    def test_a_large_input_respects_the_credit(self):
        total = 3 * 1024 * 1024 + 17
        got = []
        state = {'window': wire.WINDOW_INITIAL, 'worst': wire.WINDOW_INITIAL}

        def handler(peer, kind, id, header, body):
            if kind == wire.CALL:
                self.assertTrue(header[5] & wire.MORE)
                self.assertEqual(len(body), header[3])
            elif kind == wire.DATA:
                got.append(bytes(body))
                state['window'] -= len(body)
                state['worst'] = min(state['worst'], state['window'])
                if state['window'] < 100000:
                    state['window'] += 150000
                    peer.send(wire.CREDIT, id, (0, 150000))
            elif kind == wire.EOF:
                peer.result(id, str(sum(map(len, got))).encode())
        client = self.serve(handler)
        content = os.urandom(1024) * (total // 1024) + b'z' * (total % 1024)
        result = client.call('exec', parts=[content[:1000], content[1000:]])
        self.assertEqual(int(result.out), total)
        self.assertEqual(b''.join(got), content)
        self.assertGreaterEqual(state['worst'], 0)

    def test_output_that_comes_during_a_large_input_is_taken_in(self):
        total = 2 << 20
        state = {'got': 0, 'credit': 0}

        def handler(peer, kind, id, header, body):
            if kind == wire.DATA:
                state['got'] += len(body)
                if state['got'] == wire.WINDOW_INITIAL:  # no more of it comes before what it leads to is taken
                    for _ in range(2):
                        peer.send(wire.DATA, id, (1,), b'o' * wire.CHUNK_MAX)
            elif kind == wire.CREDIT:
                state['credit'] += header[1]
                if state['credit'] >= 2 * wire.CHUNK_MAX and state['got'] < total:
                    peer.send(wire.CREDIT, id, (0, total))
                    state['credit'] = -1 << 40
            elif kind == wire.EOF:
                peer.result(id, b'end')
        client = self.serve(handler)
        result = client.call('exec', parts=[b'x' * total], seconds=20)
        self.assertEqual((state['got'], len(result.out), result.out[-3:]), (total, 2 * wire.CHUNK_MAX + 3, b'end'))

    def test_an_early_answer_ends_a_large_input(self):
        def handler(peer, kind, id, header, body):
            if kind == wire.CALL:
                peer.result(id, status=wire.ERROR, text='no')
        client = self.serve(handler)
        result = client.call('exec', parts=[b'x' * (2 << 20)])
        self.assertEqual((result.status, result.text), (wire.ERROR, 'no'))

    def test_a_large_output_is_collected_and_credited(self):
        state = {'credit': 0}

        def handler(peer, kind, id, header, body):
            if kind == wire.CALL:
                for n in range(2):
                    peer.send(wire.DATA, id, (1,), bytes([65 + n]) * wire.CHUNK_MAX)
                peer.send(wire.DATA, id, (2,), b'e' * 10)
            elif kind == wire.CREDIT:
                state['credit'] += header[1]
                if state['credit'] >= 2 * wire.CHUNK_MAX + 10:
                    state['credit'] = -1 << 40
                    peer.result(id, b'tail', b'E')
        client = self.serve(handler)
        result = client.call('exec')
        self.assertEqual(result.out, b'A' * wire.CHUNK_MAX + b'B' * wire.CHUNK_MAX + b'tail')
        self.assertEqual(result.err, b'e' * 10 + b'E')

    def test_noreply_does_not_wait(self):
        calls = []
        arrived = threading.Event()

        def handler(peer, kind, id, header, body):
            if kind == wire.CALL:
                calls.append((header[0], header[5]))
                if header[5] & wire.NOREPLY:
                    arrived.set()
                else:
                    peer.result(id, b'second')
        client = self.serve(handler)
        self.assertIsNone(client.call('files', noreply=True))
        self.assertTrue(arrived.wait(5))
        self.assertEqual(client.call('files').out, b'second')
        self.assertEqual(calls, [('files', wire.NOREPLY), ('files', 0)])

    def test_an_interrupted_call_is_cancelled_and_the_socket_dropped(self):
        frames = []
        called = threading.Event()
        ended = threading.Event()

        def handler(peer, kind, id, header, body):
            frames.append((kind, id))
            if kind == wire.CALL:
                called.set()
            if kind == wire.CANCEL:
                ended.set()
        client = self.serve(handler)

        def interrupt(signum, frame):
            raise Interrupted()
        before = signal.signal(signal.SIGUSR1, interrupt)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)

        def fire():
            called.wait(5)
            os.kill(os.getpid(), signal.SIGUSR1)
        threading.Thread(target=fire).start()
        with self.assertRaises(Interrupted):
            client.call('module', 'ctx')
        self.assertFalse(client.alive)
        self.assertTrue(ended.wait(5))
        call = [id for kind, id in frames if kind == wire.CALL]
        self.assertEqual([id for kind, id in frames if kind == wire.CANCEL], call)

    def test_a_lost_server_is_an_error(self):
        def handler(peer, kind, id, header, body):
            if kind == wire.CALL:
                raise OSError('gone')
        client = self.serve(handler)
        with self.assertRaises(client_mod.ClientError):
            client.call('module', 'ctx')
        self.assertFalse(client.alive)

    def test_garbage_is_an_error(self):
        def handler(peer, kind, id, header, body):
            if kind == wire.CALL:
                peer.sock.sendall(b'\xff' * 64)
        client = self.serve(handler)
        with self.assertRaises(client_mod.ClientError):
            client.call('module', 'ctx')
        self.assertFalse(client.alive)

    def test_a_bounded_wait_ends(self):
        client = self.serve(lambda *args: None)
        with self.assertRaisesRegex(client_mod.ClientError, 'no answer to connect'):
            client.call('connect', seconds=0.05)

    def test_a_multiplexer_that_answers_others_is_waited_for(self):
        for answers, patience, wanted in ((True, 30, True), (True, 0.1, False), (False, 30, False)):
            asked, late = [], []

            def handler(peer, kind, id, header, body):
                if kind == wire.CALL:
                    asked.append((peer, id))
                elif kind == wire.HELLO and asked and answers:
                    late.append(peer)
                    if len(late) == 3:
                        asked[0][0].result(asked[0][1])
                    peer.send(wire.READY, 0, (wire.PROTO, 7, 'v', 0), b'{}')
            client = self.serve(handler)
            with mock.patch.object(client_mod, 'ANSWER_SECONDS', 0.2):
                if wanted:
                    self.assertEqual(client.call('connect', seconds=0.05, patience=patience).status, wire.OK)
                else:
                    with self.assertRaisesRegex(client_mod.ClientError, 'no answer to connect'):
                        client.call('connect', seconds=0.05, patience=patience)

    def test_another_protocol_is_told(self):
        def handler(peer, kind, id, header, body):
            peer.send(wire.READY, 0, (wire.PROTO + 1, 7, 'v', 0), b'{}')
        client = self.serve(handler)
        with self.assertRaisesRegex(client_mod.ClientError, 'speaks protocol 2'):
            client.handshake(5)

    def test_a_ping_is_answered(self):
        pongs = []

        def handler(peer, kind, id, header, body):
            if kind == wire.CALL:
                peer.send(wire.PING, 0, (False, 99))
            elif kind == wire.PING:
                pongs.append(header)
                peer.result(1)
        client = self.serve(handler)
        client.call('exec')
        self.assertEqual(pongs, [[True, 99]])

    def test_connecting_waits_for_a_server_that_is_late(self):
        server = Server(lambda peer, kind, id, header, body: kind == wire.CALL and peer.result(id))
        self.addCleanup(server.close)
        hidden = server.path + '.hidden'
        os.rename(server.path, hidden)
        client = client_mod.Client(server.path)
        self.addCleanup(client.close)
        timer = threading.Timer(0.05, os.rename, (hidden, server.path))
        timer.start()
        client.connect(5)
        timer.join()
        self.assertEqual(client.call('stats').status, wire.OK)

    def test_connecting_gives_up(self):
        with self.assertRaises(client_mod.ClientError):
            client_mod.Client('/nonexistent/socket').connect(0.05)

    def test_a_blob_over_a_mebibyte_is_compressed(self):
        blobs = []

        def handler(peer, kind, id, header, body):
            if kind == wire.BLOB:
                blobs.append((bytes(header[0]), header[1], header[2], len(body)))
            elif kind == wire.CALL:
                peer.result(id)
        client = self.serve(handler)
        client.send_blob(b'a' * 32, b'small')
        client.send_blob(b'b' * 32, b'x' * (wire.MAX_BLOB + 1))
        client.call('closure')
        self.assertEqual(blobs[0], (b'a' * 32, 5, wire.ENCODING_RAW, 5))
        self.assertEqual(blobs[1][:3], (b'b' * 32, wire.MAX_BLOB + 1, wire.ENCODING_ZLIB))


if __name__ == '__main__':
    unittest.main()
