"""A small HTTP server for tests, on this machine, that can misbehave on purpose."""

import contextlib
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """Serves bytes by name; every request is noted.

    Attributes:
      url: Its address.
      files: Content by name.
      requests: What was asked for: name and headers.
      break_after: Per request, how many bytes of its answer are sent before the connection is cut;
        used up one after the other. None for all.
      status: An answer to give instead of any file.
      raw: Bytes to send instead of any answer.
      ranges: Whether it can give a part of a file.
      marks: Whether it gives an ETag.
      honours_if_range: Whether a file that has changed is sent from its beginning.
    """

    def __init__(self):
        self.files, self.requests, self.break_after = {}, [], []
        self.raw = None
        self.status, self.ranges, self.marks, self.honours_if_range = None, True, True, True
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/models"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def names(self):
        """The names that were asked for, in order."""
        return [name for name, _ in self.requests]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: FileServer

    def do_GET(self):
        owner, name = self.owner, self.path.removeprefix("/models/")
        owner.requests.append((name, dict(self.headers)))
        content = owner.files.get(name)
        if owner.raw is not None:
            self.close_connection = True
            with contextlib.suppress(ConnectionError):
                self.wfile.write(owner.raw)
            return
        if owner.status or content is None:
            self.send_response(owner.status or 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        mark, start = f'"{hashlib.sha256(content).hexdigest()[:8]}"', 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, mark) or not owner.honours_if_range
        if asked and owner.ranges and same:
            start = int(asked[1])
        if start >= len(content) > 0:
            self.send_response(416)
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            end = len(content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.send_header("Content-Length", str(len(content) - start))
        if owner.marks:
            self.send_header("ETag", mark)
        self.end_headers()
        limit = owner.break_after.pop(0) if owner.break_after else None
        # The client may hang up first.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content[start:][:limit])

    def log_message(self, *args):
        pass
