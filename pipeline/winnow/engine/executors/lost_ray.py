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
from pathlib import Path
from typing import Any

from winnow.engine.executors.demand import joins_cluster
from winnow.errors import RESUMABLE

RESTARTED = "WINNOW_RAY_RESTARTED"
"""Set in a process that has begun again because its Ray had ended."""
STARTED = ("gcs_server",)
"""Processes beside a node's own without which nothing goes on; Ray waits for them for a minute."""
AGENTS = {
    "dashboard agent": (b"ray::DashboardAgent", b"/dashboard/agent.py"),
    "runtime environment agent": (b"ray::RuntimeEnvAgent", b"/runtime_env/agent/main.py"),
}
"""Processes below a node's own, with which it ends a moment later."""

_line: list[str] = []


def restart_with(line: list[str]) -> None:
    """Which command to begin again; without one (a program that uses this as a library), the process only ends."""
    _line[:] = line


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """While this lasts, the end of this process's node of Ray is noticed. On Linux; elsewhere nothing happens."""
    vital = _vital_processes() if hasattr(os, "pidfd_open") else {}
    if not vital:
        yield
        return
    over, ending = os.pipe()

    def watch() -> None:
        poll = select.poll()
        handles = {os.pidfd_open(process): name for process, name in vital.items()}
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


def _vital_processes() -> dict[int, str]:
    """By process: of the node that this process works on, and of a node that it started the control service, too."""
    from ray._private import worker  # noqa: PLC0415 - it is loaded

    node: Any = worker._global_node
    started = getattr(node, "all_processes", {})
    found = {started[name][0].process.pid: name for name in STARTED if started.get(name)}
    socket = f"--raylet_socket_name={getattr(node, 'raylet_socket_name', '')}".encode()
    lines = dict(_command_lines())
    raylets = {process for process, line in lines.items() if socket in line.split(b"\0")}
    for process, line in lines.items():
        name = next((name for name, marks in AGENTS.items() if any(mark in line for mark in marks)), None)
        if name is not None and _parent(process) in raylets:
            found[process] = name
    return found | dict.fromkeys(raylets, "raylet")


def _command_lines() -> Iterator[tuple[int, bytes]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield int(folder.name), (folder / "cmdline").read_bytes()


def _parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _lost(name: str) -> None:
    again = bool(_line) and RESTARTED not in os.environ and not joins_cluster()
    then = "the command begins again, once" if again else "the same command goes on"
    os.write(2, f"winnow: Ray's node on this machine has ended (its {name} was killed, or failed); {then}\n".encode())
    if again:
        os.environ[RESTARTED] = "1"
        os.execv(sys.executable, _line)  # noqa: S606 - the very command that runs
    os._exit(RESUMABLE)
