"""When Ray ends under the command: one of its own, and it begins again, once, or a cluster, and it says what to do.

Ray's node process ends with any of its agents (killed, or for memory), and a driver whose node is gone is ended by
Ray's C++ without a word, with exit code 1. So while a stage runs, a thread waits for the end of that process, and is
there first. What is committed stays in any case.

Of a cluster, the control service (GCS) may lie on another machine. Ray waits for one that is gone for a minute, in
which it can come back (with fault tolerance by Redis), and then ends the driver in the same way. So a thread asks for
it, and ends the command a little sooner, with a message and the code that says that it may be repeated.
"""

import contextlib
import logging
import os
import select
import socket
import sys
import threading
import time
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

RECONNECT_S = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Ray's setting, in the environment: how long it waits for the control service; 60 unless given."""
SOONER = 0.75
"""We wait this part of it."""
_ASKED_S = 5.0
"""Seconds between two looks at the control service, and for one."""

log = logging.getLogger("winnow")
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


def watch_cluster() -> None:
    """From now on, as long as this process is connected, the end of the cluster's control service is noticed."""
    from ray._private import worker  # noqa: PLC0415 - it is loaded

    address = getattr(worker._global_node, "gcs_address", None)
    if address:
        threading.Thread(target=_ask, args=(address,), daemon=True, name="ray cluster").start()


def _ask(address: str) -> None:
    import ray  # noqa: PLC0415 - it is loaded

    patience = SOONER * float(os.environ.get(RECONNECT_S) or 60)
    pause = min(_ASKED_S, patience / 4)
    silent_since = None
    while ray.is_initialized():
        now = time.monotonic()
        if _answers(address, pause):
            if silent_since is not None:
                log.warning("the control service of the Ray cluster at %s is there again", address)
            silent_since = None
        elif silent_since is None:
            silent_since = now
            log.warning("the control service of the Ray cluster at %s does not answer; waiting for it", address)
        elif now - silent_since >= patience:
            silent = f"has not answered for {now - silent_since:.0f} s (killed, or its node lost)"
            then = "when the cluster is there again, the same command goes on"
            os.write(2, f"winnow: the control service of the Ray cluster at {address} {silent}; {then}\n".encode())
            os._exit(RESUMABLE)
        time.sleep(pause)


def _answers(address: str, seconds: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=seconds).close()
    except OSError:
        return False
    return True


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
