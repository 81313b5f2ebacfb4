"""A language model of the tests' own on this machine's loopback: chat completions, with the faults of real servers."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.support.http_server import Server


def upside_down(text: str) -> str:
    """Another text with the same words, from the last to the first."""
    return " ".join(reversed(text.split()))


class Reply:
    """What is answered to one request."""

    def __init__(
        self, content: object, *, status: int = 200, finish: str = "stop", usage: bool = True, raw: bytes | None = None,
        headers: dict[str, str] | None = None, slow: float = 0.0,
    ) -> None:  # fmt: skip
        self.content, self.status, self.finish, self.usage = content, status, finish, usage
        self.raw, self.headers, self.slow = raw, headers or {}, slow


def passage_in(prompt: str) -> str:
    """What stands between the marks of a prompt."""
    return prompt.partition("]\n")[2].rpartition("\n[/")[0]


class LanguageServer:
    """Answers with ``answer(prompt)``: a text, or a Reply. What was asked is kept."""

    def __init__(self, answer: Callable[[str], "str | Reply"]) -> None:
        self.answer = answer
        self.asked: list[dict] = []
        self.paths: list[str] = []
        self.keys: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"model": self})
        self._server = Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][0]["content"] for body in self.asked]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else each answer waits 40 ms for the client's acknowledgement
    model: LanguageServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = self.model
        with model.lock:
            model.at_once += 1
            model.most_at_once = max(model.most_at_once, model.at_once)
            model.asked.append(body)
            model.paths.append(self.path)
            model.keys.add(self.headers.get("Authorization", ""))
        try:
            reply = model.answer(body["messages"][0]["content"])
            reply = reply if isinstance(reply, Reply) else Reply(reply)
            time.sleep(reply.slow)
            self._send(body, reply)
        finally:
            with model.lock:
                model.at_once -= 1

    def _send(self, body: dict, reply: Reply) -> None:
        told = {
            "model": f"{body['model']}-served",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": reply.content}, "finish_reason": reply.finish}
            ],
        }
        if reply.usage:
            words = len(body["messages"][0]["content"].split()), len(str(reply.content).split())
            told["usage"] = {"prompt_tokens": words[0], "completion_tokens": words[1], "total_tokens": sum(words)}
        data = json.dumps(told).encode() if reply.raw is None else reply.raw
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(data)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@contextmanager
def language_server(answer: Callable[[str], "str | Reply"]) -> Iterator[LanguageServer]:
    """A server inside this block."""
    server = LanguageServer(answer)
    try:
        yield server
    finally:
        server.close()
