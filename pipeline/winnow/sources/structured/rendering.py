"""Conversations as text, rendered in a process of their own that is ended where a template goes on and on.

One such process serves this one; it starts when the first conversation is rendered. What ends two of them one after
the other (time, memory) is the fault of the conversation that they were at; the next ones are rendered by another.
"""

import atexit
import contextlib
import os
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import orjson

from winnow.sources.structured.render_process import MAX_CPU_SECONDS, main
from winnow.sources.structured.template_environment import ChatTemplateError, TemplateBoundError

_REQUEST_BYTES = 8 << 20
"""Conversations that travel together."""
_WAIT_SECONDS = 60 + 10 * MAX_CPU_SECONDS
"""For one answer, by the clock: a machine may be busy, and the process ends itself by its CPU time long before."""
_LENGTH = struct.Struct("<Q")

Conversation = dict[str, Any]
"""``messages``, and ``tools`` or None."""


class _EndedError(Exception):
    """The process is gone."""


class _Process:
    """One process, and the frames to and from it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {main.__module__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
        )
        try:
            self.answer()
        except _EndedError as error:
            self.end()
            raise OSError("the process that renders chat templates does not start") from error

    def send(self, request: bytes) -> None:
        try:
            sink = cast("IO[bytes]", self._process.stdin)
            sink.write(_LENGTH.pack(len(request)) + request)
            sink.flush()
        except OSError as error:
            raise _EndedError from error

    def answer(self) -> Any:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        return orjson.loads(self._read(length))

    def _read(self, length: int) -> bytes:
        source = cast("IO[bytes]", self._process.stdout)
        found, waiting = bytearray(), select.poll()
        waiting.register(source, select.POLLIN)
        while len(found) < length:
            if not waiting.poll(_WAIT_SECONDS * 1000):
                raise _EndedError
            piece = os.read(source.fileno(), min(length - len(found), 1 << 20))
            if not piece:
                raise _EndedError
            found += piece
        return bytes(found)

    def end(self) -> None:
        if self.owner != os.getpid():  # a fork of that process: its descriptors go with it
            return
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()
        self._process.kill()
        self._process.wait()


_lock = threading.Lock()
_running: _Process | None = None


def _process() -> _Process:
    global _running  # noqa: PLW0603 - one a process
    if _running is None or _running.owner != os.getpid():
        if _running is None:
            atexit.register(_end)
        _running = _Process()
    return _running


def _end() -> None:
    global _running  # noqa: PLW0603
    if _running is not None:
        _running.end()
    _running = None


def render_all(
    template: str,
    today: str | None,
    conversations: list[Conversation],
    special: tuple[str, ...],
    variables: dict[str, Any],
) -> list[str | ChatTemplateError]:
    """Each conversation as text with the marks of :mod:`winnow.sources.structured.template_environment`, or why not.

    Args:
        template: Jinja2.
        today: date of ``strftime_now`` (ISO), or None.
        conversations: any number.
        special: names of special tokens; those in the data stay ordinary text.
        variables: what the template finds besides the conversation.

    Raises:
        OSError: no process can be started.
    """
    fixed = {"template": template, "today": today, "special": special, "variables": variables}
    found: list[str | ChatTemplateError] = []
    with _lock:
        for group in _groups(conversations):
            done, tried = 0, -1
            while done < len(group):
                process = _process()
                try:
                    process.send(orjson.dumps({**fixed, "conversations": group[done:]}))
                    for _ in range(done, len(group)):
                        answer = process.answer()
                        found.append(_outcome(answer))
                        done += 1
                except _EndedError:
                    _end()
                    if tried == done:  # the second time: it was not somebody else who ended it
                        reason = f"the template takes over {MAX_CPU_SECONDS:.0f} s or too much memory"
                        found.append(TemplateBoundError(reason))
                        done += 1
                    else:
                        tried = done
    return found


def _outcome(answer: dict[str, Any]) -> str | ChatTemplateError:
    if "text" in answer:
        text: str = answer["text"]
        return text
    return (TemplateBoundError if answer.get("bound") else ChatTemplateError)(answer["error"])


def _groups(conversations: list[Conversation]) -> Iterator[list[Conversation]]:
    group: list[Conversation] = []
    size = 0
    for conversation in conversations:
        group.append(conversation)
        size += len(orjson.dumps(conversation))
        if size >= _REQUEST_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
