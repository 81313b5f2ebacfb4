"""A proxy before the tests' S3 server that fails on order: refuses, hangs up, or loses the answer of what was done."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.support.http_server import BreakingServer

Fault = Callable[[str, str], int | str | None]
"""By method and path: a status to refuse with, ``"lost"`` (done, but no answer comes), ``"hang up"``, or None."""

_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>on order</Message></Error>"
_CODES = {500: "InternalError", 503: "SlowDown", 403: "AccessDenied", 409: "ConditionalRequestConflict"}


class FaultyServer:
    """Where it listens, what it does wrong, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.fault: Fault = lambda _method, _path: None
        self.asked: Counter[str] = Counter()
        self.headers: list[tuple[str, str, dict[str, str]]] = []
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                faulty.asked[self.command] += 1
                faulty.headers.append((self.command, self.path, dict(self.headers)))
                wrong = faulty.fault(self.command, self.path)
                if isinstance(wrong, int):
                    self._answer(wrong, {}, _ERROR.format(code=_CODES.get(wrong, str(wrong))).encode())
                    return
                if wrong == "hang up":
                    self.close_connection = True
                    self.connection.close()
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                upstream.request(self.command, self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                content = answer.read()
                upstream.close()
                if wrong == "lost":
                    self.close_connection = True
                    self.connection.close()
                    return
                skipped = ("transfer-encoding", "content-length", "connection")
                headers = {k: v for k, v in answer.getheaders() if k.lower() not in skipped}
                if self.command == "HEAD":
                    headers["Content-Length"] = answer.getheader("Content-Length") or "0"
                self._answer(answer.status, headers, content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = BreakingServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator["FaultyServer"]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def fail(self, times: int, how: int | str, method: str = "", holds: str = "") -> None:
        """Fail the next so many requests of a method whose path holds a text."""
        left = [times]

        def fault(asked: str, path: str) -> int | str | None:
            if left[0] and method in ("", asked) and holds in path:
                left[0] -= 1
                return how
            return None

        self.fault = fault
