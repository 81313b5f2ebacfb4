"""The process that renders chat templates, so that it can be ended; ``winnow.sources.structured.rendering`` starts it.

It reads requests from its standard input and answers on its standard output, both as frames: eight bytes of length,
then JSON. A request names a template once and holds conversations; each is answered by a frame of its own.
"""

import contextlib
import resource
import signal
import struct
import sys
from functools import lru_cache
from typing import Any, BinaryIO

import orjson

from winnow.sources.structured.template_environment import (
    ChatTemplateError,
    CompiledTemplate,
    TemplateBoundError,
    special_pattern,
)

MAX_CPU_SECONDS = 10.0
"""Of one conversation; the process ends itself there."""
MAX_MEMORY, MAX_MEMORY_GROWTH = 2 << 30, 32
"""Bytes of address space: so many, and so many times the request."""
_LENGTH = struct.Struct("<Q")


def write_frame(file: BinaryIO, value: Any) -> None:
    """Write one frame."""
    content = orjson.dumps(value)
    file.write(_LENGTH.pack(len(content)) + content)
    file.flush()


_pattern = lru_cache(maxsize=4)(special_pattern)
_compiled = lru_cache(maxsize=16)(CompiledTemplate)


def _answer(request: dict[str, Any], conversation: dict[str, Any]) -> dict[str, Any]:
    try:
        template = _compiled(request["template"], request["today"])
        special = _pattern(tuple(request["special"]))
        messages, tools = conversation["messages"], conversation["tools"]
        size = len(orjson.dumps(conversation))
        text = template.render(messages, special, request["variables"], tools, size)
        text.encode()  # a template can write a lone surrogate
    except ChatTemplateError as error:
        return {"error": str(error), "bound": isinstance(error, TemplateBoundError)}
    except MemoryError:
        return {"error": "the template needs too much memory", "bound": True}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the next conversation is tried
        return {"error": f"the template fails: {type(error).__name__}"}
    return {"text": text}


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process ends it
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    write_frame(answers, {"ready": True})
    while len(head := requests.read(_LENGTH.size)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = MAX_MEMORY + MAX_MEMORY_GROWTH * length
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with contextlib.suppress(ValueError, OSError):  # a system that has no such limit
            resource.setrlimit(
                resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
            )
        request = orjson.loads(requests.read(length))
        for conversation in request["conversations"]:
            signal.setitimer(signal.ITIMER_VIRTUAL, MAX_CPU_SECONDS)
            answer = _answer(request, conversation)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            write_frame(answers, answer)
