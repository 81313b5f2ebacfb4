"""A web server of the tests' own on this machine's loopback, with the habits and faults of real ones."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.support.http_server import Server


@dataclass
class Page:
    """A file that is served."""

    body: bytes
    ranges: bool = True
    length: bool = True
    """Whether Content-Length is told."""
    head: bool = True
    """Whether HEAD is answered."""
    etag: str | None = None
    modified: str | None = None
    status: int = 200
    """Another one is all that is ever answered."""
    failures: list[int] = field(default_factory=list)
    """Statuses of the next answers but HEAD's, each once; 0 ends the connection in the middle of the body."""
    headers: dict[str, str] = field(default_factory=dict)
    slow: float = 0.0
    """Seconds before the answer."""
    most: int = 1 << 40
    """Bytes that one answer to a range gives at most."""
    total: bool = True
    """Whether answers to ranges say how large the file is."""
    trickle: float = 0.0
    """Seconds between bytes."""


class WebServer:
    """Pages by path, and what was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str, str]] = []
        """Method, path with query, and Range of each request."""
        self.agents: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"web": self})
        self._server = Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, path: str, body: bytes, **how: object) -> str:
        self.pages[path] = Page(body, **how)  # type: ignore[arg-type]
        return self.url + path

    def count(self, method: str, path: str = "") -> int:
        return sum(asked == method and place.startswith(path) for asked, place, _ in self.asked)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: WebServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        web = self.web
        with web.lock:
            web.asked.append((self.command, self.path, self.headers.get("Range", "")))
            web.agents.add(self.headers.get("User-Agent", ""))
            web.headers.append(dict(self.headers))
            web.at_once += 1
            web.most_at_once = max(web.most_at_once, web.at_once)
        try:
            self._send(web.pages.get(self.path) or web.pages.get(urlsplit(self.path).path))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with web.lock:
                web.at_once -= 1

    def _send(self, page: Page | None) -> None:
        if page is None:
            return self._status(404, {})
        time.sleep(page.slow)
        if self.command == "HEAD" and not page.head:
            return self._status(405, {})
        cut = False
        if self.command != "HEAD" and page.failures:
            status = page.failures.pop(0)
            if status:
                return self._status(status, page.headers)
            cut = True
        if page.status != 200:
            return self._status(page.status, page.headers)
        body, status, headers = page.body, 200, dict(page.headers)
        wanted = self.headers.get("Range", "")
        if page.ranges and wanted.startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(len(body), int(last) + 1 if last else len(body), int(first) + page.most)
            if start >= len(body):
                return self._status(416, {"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body) if page.total else '*'}"
            body, status = body[start:stop], 206
        if page.etag:
            headers["ETag"] = page.etag
        if page.modified:
            headers["Last-Modified"] = page.modified
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if page.length:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return None
        if cut:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif page.trickle:
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                self.wfile.flush()
                time.sleep(page.trickle)
        else:
            self.wfile.write(body)
        return None

    def _status(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def web_server() -> Iterator[WebServer]:
    server = WebServer()
    try:
        yield server
    finally:
        server.close()
