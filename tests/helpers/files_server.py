"""A web server for files in memory, with ranges, which records its requests."""

import contextlib
import http.server
import threading
import time


class FilesServer(http.server.ThreadingHTTPServer):
    """Serves `files`, from path to content.

    Attributes:
        address: of the server.
        files: from a path such as "/a.bin" to bytes.
        headers: that each answer has, by path.
        requests: (method, path, range or None) of each request, in order.
        stops: paths whose next answer stops in the middle.
        ranges: whether ranges are served.
        pause: seconds before the content of each answer.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.files, self.headers, self.requests, self.stops, self.ranges = {}, {}, [], set(), True
        self.pause = 0.0


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FilesServer

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, asked = self.path.partition("?")[0], self.headers.get("Range")
        self.server.requests.append((self.command, path, asked))
        content = self.server.files.get(path)
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        extra = dict(self.server.headers.get(path, {}))
        if content is None:
            status, body = 404, b""
        elif first >= len(content) > 0:
            status, body, extra["Content-Range"] = 416, b"", f"bytes */{len(content)}"
        else:
            status, body = (206 if first else 200), content[first:]
            if first:
                extra["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        self.send_response(status)
        for name, value in {**extra, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            time.sleep(self.server.pause)
            if path in self.server.stops:
                self.server.stops.remove(path)
                body = body[: len(body) // 2]
            with contextlib.suppress(OSError):  # the client has left
                self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serve_files():
    """Gives a running `FilesServer`."""
    with FilesServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
