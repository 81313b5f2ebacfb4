"""One request to an endpoint that speaks the chat completions of OpenAI's API, until it is answered.

https://platform.openai.com/docs/api-reference/chat; vLLM's server, llama.cpp's, Ray Serve LLM and others speak it, too.
Nothing but the configured address is asked: redirects are not followed.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from winnow.augment.answers import NOT_TAKEN, Answer
from winnow.augment.config import EndpointConfig
from winnow.augment.spending import Most, Spending
from winnow.errors import RESUMABLE, ConfigError, WinnowError
from winnow.storage.http_errors import LONGEST_RETRY_AFTER_SECONDS, HttpAnswerError, passing_error, seconds_asked_for
from winnow.version import winnow_version

if TYPE_CHECKING:
    import urllib3

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
MOST_ANSWER_BYTES = 64_000_000
PIECE_BYTES = 64 << 10
OVERHEAD_TOKENS = 256
"""That a server's chat template may add to a prompt at most; of the prompt itself, no token has less than a byte."""
FAILURES_IN_A_ROW = 20
"""Requests of which every try failed, one behind the other, from which on the endpoint counts as gone."""
_PASSING = (408, 409, 425, 429)
_REFUSING = (401, 403, 404)
"""That say nothing of one prompt: key, address or model are wrong."""


class EndpointError(WinnowError, ConnectionError):
    """The endpoint is gone; the same command goes on once it is back."""

    exit_code = RESUMABLE


class NoAnswer(Exception):  # noqa: N818 - an outcome of one request, which is counted
    """A request has no answer: ``reason`` of ``UNANSWERED``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


NO_ANSWER = "no_answer"
OVER_BUDGET = "over_budget"
UNANSWERED = {
    NO_ANSWER: "every try failed; the same command asks again",
    OVER_BUDGET: "the budget is spent; the same command with a larger one goes on",
}
"""Reasons why a passage has no answer."""


class Endpoint:
    """A client of one endpoint, used by several threads.

    Args:
        config: which, and how.
        spending: what may be spent.
        wait: sleeps so many seconds (not at all where that is less than 0); whether the process is asked to stop.
    """

    def __init__(self, config: EndpointConfig, spending: Spending, wait: Callable[[float], bool]) -> None:
        try:
            import urllib3  # noqa: PLC0415 - of the extra `http`

            from winnow.storage.http_proxies import connections, proxy_to  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError("an endpoint needs urllib3; pip install 'winnow-corpus[http]'") from error
        self._config = config
        self._spending = spending
        self._wait = wait
        self._key = _key(config)
        self._host = urlsplit(config.url).hostname or ""
        self._pool = connections(proxy_to(config.url), config.requests_at_once)
        self._timeout = urllib3.Timeout(connect=min(10.0, config.timeout_seconds), read=config.timeout_seconds)
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._quiet_until = 0.0
        self.tries: dict[str, int] = {}
        """By what was met: statuses and the like, of tries that failed."""
        self.uncounted = 0
        """Answers without token counts, for which the most that they can have taken is counted."""

    def body(self, prompt: str) -> dict[str, Any]:
        """What is asked: the whole of a request, and of what an answer is kept by."""
        return {
            **self._config.parameters,
            "model": self._config.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": self._config.max_answer_tokens,
        }

    def ask(self, body: dict[str, Any]) -> Answer:
        """Send a request until it is answered.

        Raises:
            NoAnswer: it is not.
            ConfigError: key, address or model are wrong.
            EndpointError: nothing is answered any more.
        """
        data = orjson.dumps(body)
        most = Most(len(data) + OVERHEAD_TOKENS, self._config.max_answer_tokens)
        said = ""
        for tried in range(self._config.tries):
            if tried and self._wait(min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (tried - 1))):
                break
            if self._wait(self._quiet_until - time.monotonic()):
                break
            if not self._spending.reserve(most):
                raise NoAnswer(OVER_BUDGET)
            prompt_tokens = answer_tokens = 0
            try:
                answer = self._send(data, most)
                prompt_tokens, answer_tokens = answer.prompt_tokens, answer.answer_tokens
            except _PassingError as error:
                said = str(error)
                self._note_failure(said, error.pause)
            else:
                self._failed_in_a_row = 0
                return answer
            finally:
                self._spending.settle(most, prompt_tokens, answer_tokens)
        else:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= FAILURES_IN_A_ROW:
                raise EndpointError(
                    f"{self._config.url}: {FAILURES_IN_A_ROW} requests in a row had no answer in {self._config.tries} "
                    f"tries each, the last because of: {said}; what was answered is kept, the same command goes on"
                )
        raise NoAnswer(NO_ANSWER)

    def _note_failure(self, said: str, pause: float) -> None:
        """Count a try that failed; where the server asks to be left alone, nobody sends before that is over."""
        with self._lock:
            self.tries[said] = self.tries.get(said, 0) + 1
            self._quiet_until = max(self._quiet_until, time.monotonic() + pause)

    def _send(self, data: bytes, most: Most) -> Answer:
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"winnow/{winnow_version()}",
            **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        }
        try:
            with passing_error(self._host):
                reply = self._pool.request(
                    "POST", f"{self._config.url}/chat/completions", body=data, headers=headers,
                    preload_content=False, redirect=False, retries=False, timeout=self._timeout,
                )  # fmt: skip
                try:
                    content = self._content(reply)
                finally:
                    reply.drain_conn() if reply.length_remaining == 0 else reply.close()
        except HttpAnswerError as error:  # a certificate that does not hold will not hold next time
            raise ConfigError(f"{self._config.url}: {error}") from None
        except (ConnectionError, TimeoutError) as error:
            raise _PassingError(str(error)) from None
        if reply.status != 200:
            return self._refused(reply.status, content, reply.headers.get("Retry-After", ""))
        if len(content) > MOST_ANSWER_BYTES:
            raise _PassingError(f"an answer of over {MOST_ANSWER_BYTES:,} bytes")
        return self._parsed(content, most)

    def _content(self, reply: "urllib3.BaseHTTPResponse") -> bytes:
        """The body, or enough of it to see that it is too long."""
        late = time.monotonic() + self._config.timeout_seconds
        pieces, size = [], 0
        while size <= MOST_ANSWER_BYTES and (piece := reply.read1(PIECE_BYTES)):
            pieces.append(piece)
            size += len(piece)
            if time.monotonic() > late:
                raise TimeoutError(f"{self._host} was not done after {self._config.timeout_seconds:g} s")
        return b"".join(pieces)

    def _refused(self, status: int, content: bytes, retry_after: str) -> Answer:
        if status in _PASSING or status >= 500:
            raise _PassingError(f"status {status}", min(seconds_asked_for(retry_after), LONGEST_RETRY_AFTER_SECONDS))
        said = self._without_key(content[:300].decode(errors="replace"))
        if status in _REFUSING or 300 <= status < 400:
            advice = "; redirects are not followed" if status < 400 else "; look at endpoint.url, model and key_from"
            raise ConfigError(f"{self._config.url}: status {status}: {said}{advice}")
        return Answer(f"status {status}: {said}", NOT_TAKEN, self._config.model, 0, 0)

    def _parsed(self, content: bytes, most: Most) -> Answer:
        """The answer in a reply; whatever is no such reply is nonsense, and tried again."""
        try:
            reply = orjson.loads(content)
            choice = reply["choices"][0]
            text = choice["message"]["content"]
            finish = choice.get("finish_reason") or "stop"
            model = reply.get("model") or self._config.model
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
            raise _PassingError("an answer that is no chat completion") from None
        if text is None:
            text = ""
        if not (isinstance(text, str) and isinstance(finish, str) and isinstance(model, str)):
            raise _PassingError("an answer that is no chat completion")
        counts = _counts(reply.get("usage"))
        if counts is None:
            with self._lock:
                self.uncounted += 1
            counts = most.prompt_tokens, min(most.answer_tokens, len(text.encode()))
        return Answer(text, finish[:40], model[:200], *counts)

    def _without_key(self, said: str) -> str:
        return said.replace(self._key, "***") if self._key else said


class _PassingError(Exception):
    """A try failed in a way that may pass; ``pause`` is how long the server asks to be left alone."""

    def __init__(self, said: str, pause: float = 0.0) -> None:
        super().__init__(said)
        self.pause = pause


def _key(config: EndpointConfig) -> str:
    if config.key_from is None:
        return ""
    key = os.environ.get(config.key_from, "").strip()
    if not key:
        raise ConfigError(f"endpoint.key_from: the environment has no {config.key_from}; set it to the endpoint's key")
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"endpoint.key_from: {config.key_from} holds characters that no key has")
    return key


def _counts(usage: Any) -> tuple[int, int] | None:
    """Tokens of prompt and answer, where a reply tells both."""
    if not isinstance(usage, dict):
        return None
    prompt, answer = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(answer, int):
        return None
    return (prompt, answer) if min(prompt, answer) >= 0 and max(prompt, answer) < 1 << 40 else None
