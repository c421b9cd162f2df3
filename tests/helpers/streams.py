"""A server of a live stream."""

import contextlib
import http.server
import threading
import time

from .coded_video import coded, write


@contextlib.contextmanager
def serve_stream(directory, images=None):
    """Serve; gives the address of an MPEG transport stream of images, 30 a second, as they happen.

    There are 90, which carry their numbers if no others are given.
    """
    path = directory / "stream.ts"
    images = images or [coded(t, 64, 64) for t in range(90)]
    count = len(images)
    write(path, images, tune="zerolatency", g=15, qp=10)
    content = path.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/silent.ts":
                return time.sleep(3)
            if self.path != "/stream.ts":
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            self.end_headers()
            start = time.monotonic()
            for i in range(count):
                time.sleep(max(start + i / 30 - time.monotonic(), 0))
                part = content[len(content) * i // count : len(content) * (i + 1) // count]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/stream.ts"
        server.shutdown()
