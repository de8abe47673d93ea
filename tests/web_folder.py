"""A web server on loopback that serves a folder, byte ranges included, and counts what it gave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class WebFolder:
    """``address`` of the folder; ``given``: bytes sent of each file; ``busy``: refusals to come."""

    address: str
    given: dict[str, int] = field(default_factory=dict)
    busy: int = 0


@contextmanager
def served(folder: Path) -> Iterator[WebFolder]:
    """Serve ``folder`` while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, *, body: bool) -> None:
            name = urlsplit(self.path).path.lstrip("/")
            file = folder / name
            if web.busy > 0:
                web.busy -= 1
                self.send_error(503)
                return
            if not file.is_file():
                self.send_error(404)
                return
            content, status = file.read_bytes(), 200
            size = len(content)
            wanted = self.headers.get("Range")
            if wanted:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, stop = int(first), min(int(last or size - 1), size - 1) + 1
                content, status = content[start:stop], 206
            self.send_response(status)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{file.stat().st_mtime_ns}-{size}"')
            self.send_header("Content-Length", str(len(content)))
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            self.end_headers()
            if body:
                web.given[name] = web.given.get(name, 0) + len(content)
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = WebFolder(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
