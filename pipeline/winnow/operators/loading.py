"""Whether an operator's class can be made with its settings, tried before any document is: in a process of its own.

A class loads its model when it is made, once a worker. A model that was cut short would fail there in each worker, in
each attempt, or end it. So where work is to be done it is made once more, when that work begins, by a process that ends
with it: nothing of the model stays in this one, and what ends that process does not end this one.
"""

import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import orjson

from winnow.errors import ConfigError
from winnow.operators.find import made_operator
from winnow.operators.operator import Operator
from winnow.operators.origins import target_of

_OF_THE_MACHINE = (
    *(ConfigError, ImportError, MemoryError),
    *(FileNotFoundError, PermissionError, ConnectionError, TimeoutError),
)
"""Errors that another machine may not have: what is there on the workers need not be there on this one."""
_OF_THE_MODEL = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE)
_MOST_TOLD = 2_000


class NotMade(NamedTuple):
    """Why a class was not made."""

    what: str
    elsewhere: bool
    """Whether it may well be made on another machine."""


def not_made(operator: Operator) -> NotMade | None:
    """Make an operator once and let go of it; why that failed, if it did. Functions have nothing to be made."""
    if not inspect.isclass(target_of(operator.origin)):
        return None
    local = {file.path: str(file.content) for file in operator.published if isinstance(file.content, Path)}
    request = {"operator": operator.described, "folders": operator.folder_paths, "local": local}
    reader, writer = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"from {main.__module__} import main; main({writer})"],
            input=orjson.dumps(request),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writer,),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
            check=False,
        )
    finally:
        os.close(writer)
        with os.fdopen(reader, "rb") as answers:
            told = answers.read()
    if told:
        return NotMade(**orjson.loads(told))
    if done.returncode == 0:
        return None
    if done.returncode > 0:
        return NotMade(f"its process ends with {done.returncode}", elsewhere=False)
    name = signal.Signals(-done.returncode).name
    return NotMade(f"its process is ended by {name}", elsewhere=-done.returncode not in _OF_THE_MODEL)


def main(answers: int) -> None:
    """Make the operator that stands on standard input."""
    request = orjson.loads(sys.stdin.buffer.read())
    try:
        made_operator(Operator.from_described(request["operator"], request["folders"]), request["local"].__getitem__)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        what = f"{type(error).__name__}: {error}".encode(errors="replace")[:_MOST_TOLD].decode(errors="ignore")
        told = NotMade(what, isinstance(error, _OF_THE_MACHINE))
        os.write(answers, orjson.dumps(told._asdict()))
    os._exit(0)  # libraries of models can fall over their own end
