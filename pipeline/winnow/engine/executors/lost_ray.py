"""When the Ray of this command's own ends under it: the command begins again, once, or says that it may be repeated.

Ray's node process ends with any of its agents (killed, or for memory), and a driver whose node is gone is ended by
Ray's C++ without a word, with exit code 1. So while a stage runs, a thread waits for the end of that process, and is
there first. What is committed stays in any case.
"""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any

from winnow.errors import RESUMABLE

RESTARTED = "WINNOW_RAY_RESTARTED"
"""Set in a process that has begun again because its Ray had ended."""
VITAL = ("raylet", "gcs_server")
"""Processes of a node without which nothing goes on."""

_line: list[str] = []


def restart_with(line: list[str]) -> None:
    """Which command to begin again; without one (a program that uses this as a library), the process only ends."""
    _line[:] = line


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """While this lasts, the end of a Ray that this process started is noticed. On Linux; elsewhere nothing happens."""
    vital = _vital_processes() if hasattr(os, "pidfd_open") else {}
    if not vital:
        yield
        return
    over, ending = os.pipe()

    def watch() -> None:
        poll = select.poll()
        handles = {os.pidfd_open(process): name for name, process in vital.items()}
        for handle in (over, *handles):
            poll.register(handle, select.POLLIN)
        ended = [handle for handle, _ in poll.poll()]
        if over not in ended:
            _lost(handles[ended[0]])
        for handle in handles:
            os.close(handle)

    watcher = threading.Thread(target=watch, daemon=True, name="ray")
    watcher.start()
    try:
        yield
    finally:
        os.write(ending, b".")
        watcher.join()
        os.close(over)
        os.close(ending)


def _vital_processes() -> dict[str, int]:
    """Of the node that this process started; none where it has joined another."""
    from ray._private import worker  # noqa: PLC0415 - it is loaded

    node = worker._global_node
    found: Any = {} if node is None else getattr(node, "all_processes", {})
    return {name: found[name][0].process.pid for name in VITAL if found.get(name)}


def _lost(name: str) -> None:
    again = bool(_line) and RESTARTED not in os.environ
    then = "the command begins again, once" if again else "the same command goes on"
    os.write(2, f"winnow: Ray on this machine has ended (its {name} was killed, or failed); {then}\n".encode())
    if again:
        os.environ[RESTARTED] = "1"
        os.execv(sys.executable, _line)  # noqa: S606 - the very command that runs
    os._exit(RESUMABLE)
