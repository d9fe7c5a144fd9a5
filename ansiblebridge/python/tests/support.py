"""What the tests share: where the package and the codec are, and a server to speak to."""
import os
import socket
import tempfile
import threading

from spindle_ansible import wire

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)


class Server(object):
    """A multiplexer as a function: it is called with (peer, kind, id, header, body) for every frame."""

    def __init__(self, handler):
        self.directory = tempfile.mkdtemp(prefix='spindle-test-')
        self.path = os.path.join(self.directory, 'sock')
        self._handler = handler
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(8)
        self._threads = []
        self._open = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(Peer(sock),))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer):
        try:
            while True:
                frame = peer.frame()
                if frame is None:
                    return
                self._handler(peer, *frame)
        except OSError:
            pass
        finally:
            peer.sock.close()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._acceptor.join()
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join()
        os.unlink(self.path)
        os.rmdir(self.directory)


class Peer(object):
    """The server's end of one connection."""

    def __init__(self, sock):
        self.sock = sock
        self.decoder = wire.Decoder()

    def frame(self):
        while True:
            frame = self.decoder.next()
            if frame is not None:
                return frame
            data = self.sock.recv(65536)
            if not data:
                return None
            self.decoder.feed(data)

    def send(self, kind, id, header, body=b''):
        self.sock.sendall(wire.pack(kind, id, header, body))

    def result(self, id, out=b'', err=b'', status=0, rc=0, text=''):
        self.send(wire.RESULT, id, (status, rc, len(out), len(err), 0, text), out + err)
