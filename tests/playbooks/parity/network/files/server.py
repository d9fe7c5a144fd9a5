import http.server
import json
import time


class H(http.server.BaseHTTPRequestHandler):
    def version_string(self):
        return "own"

    def date_time_string(self, timestamp=None):
        return "Wed, 01 Jan 2020 00:00:00 GMT"

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="text/plain", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for k, v in headers.items():
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/json":
            self.answer(200, json.dumps({"a": [1, "\u017e"]}).encode(), "application/json")
        elif self.path.startswith("/status/"):
            self.answer(int(self.path.rsplit("/", 1)[1]), b"status")
        elif self.path == "/redirect":
            self.answer(302, b"", Location="/hello")
        elif self.path == "/auth":
            self.answer(200 if self.headers.get("Authorization") else 401, b"auth")
        elif self.path == "/slow":
            time.sleep(4)
            self.answer(200, b"slow")
        else:
            self.answer(200, b"hello")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(200, json.dumps([self.command, body.decode(), self.headers.get("Content-Type"), self.headers.get("X-Own")]).encode(), "application/json")

    do_PUT = do_POST


http.server.ThreadingHTTPServer(("127.0.0.1", 8123), H).serve_forever()
