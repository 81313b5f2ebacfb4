"""Drawings of charts, made by a process beside this one.

vl-convert takes longer to start than it draws, and holds Python's lock all the while: no thread would help. That
process begins to start before the first chart is asked for, and draws while this one reads tables. It takes 120 MB.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from typing import IO, cast

from winnow.engine.executors.forking import module_path
from winnow.engine.records import Json
from winnow.report.page.draw_process import as_svg, main

_BEGIN = f"import sys, json; sys.path[:] = json.loads(sys.argv[1]); from {main.__module__} import main; main()"
_ACROSS: Json = {"field": "x", "type": "quantitative"}
_NAMED: Json = {"field": "kind", "type": "nominal"}
_FIRST: Json = {
    "data": {"values": [{"x": 1, "kind": "a"}, {"x": 2, "kind": "b"}]},
    "layer": [
        {"mark": "bar", "encoding": {"x": _ACROSS, "y": _NAMED, "color": _NAMED}},
        {"mark": "rule", "encoding": {"x": _ACROSS}},
    ],
}
"""Drawn for nobody, twice: what the next ones need is loaded, and compiled, by then."""


class _Drawer:
    """The process, and a thread of this one that waits for it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BEGIN, json.dumps(module_path())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is this process's to hear
        )
        self._asked: list[Future[str]] = []
        self._waiting = ThreadPoolExecutor(1, thread_name_prefix="charts")
        for _ in range(2):
            self._waiting.submit(self._ask, json.dumps(_FIRST))

    def draw(self, specification: Json) -> "Future[str]":
        """Have a drawing made after those that were asked for before."""
        self._asked.append(self._waiting.submit(self._draw, specification, json.dumps(specification)))
        return self._asked[-1]

    def _draw(self, specification: Json, request: str) -> str:
        # without an answer, what is wrong with the specification is told here, or nothing was: that process was killed
        return self._ask(request) or as_svg(specification)

    def _ask(self, request: str) -> str:
        """What that process answers; nothing where it is gone."""
        try:
            there, back = (cast("IO[bytes]", pipe) for pipe in (self._process.stdin, self._process.stdout))
            there.write(f"{request}\n".encode())
            there.flush()
            return str(json.loads(back.readline()))
        except (OSError, ValueError):
            return ""

    def end(self) -> None:
        """Wait for all that was asked for, and end the process."""
        wait(self._asked)
        self._process.kill()
        self._waiting.shutdown()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()
        self._process.wait()


_beside: ContextVar[_Drawer | None] = ContextVar("_beside", default=None)


@contextlib.contextmanager
def drawn_beside(*, draw: bool = True) -> Iterator[None]:
    """Charts made within are drawn by a process beside this one, which all that are within share; where none can be
    started, they are drawn here. ``draw`` is whether there are any."""
    if not draw or _beside.get() is not None:
        yield
        return
    try:
        drawer = _Drawer()
    except OSError:
        yield
        return
    outside = _beside.set(drawer)
    try:
        yield
    finally:
        _beside.reset(outside)
        drawer.end()


def begin_drawing(specification: Json) -> "Future[str] | None":
    """The drawing, if it is made beside this process; None where whoever needs it has to make it."""
    drawer = _beside.get()
    return None if drawer is None else drawer.draw(specification)
