"""Workers of a private Ray are forks of one process that has loaded what they need.

Ray starts each worker as a Python of its own, which imports Ray twice and then what the first unit needs: two and a
half seconds of processor time a core. A fork takes some milliseconds, and shares the memory of what was loaded. So
Ray's node is given another command for workers (:mod:`stand_in_worker`), and this is the process that it asks. It runs
Python in one thread, and does nothing else, so that no lock is held where a fork happens.

Only on Linux: its sockets have names there that are no files, and tell who calls.
"""

import contextlib
import importlib
import json
import os
import runpy
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from winnow.engine.executors.forking import load, module_path, worker_environment
from winnow.engine.executors.stand_in_worker import DONE, READY

LOADED = (
    "ray._private.node",
    "ray._private.ray_logging",
    "ray._private.runtime_env.setup_hook",
    "ray.actor",
    "ray.util.state",
    "winnow.engine.executors.worker_template:draw_from_the_system",
    "ray.data",
    "ray.data._internal.execution.operators.map_operator",
    "ray.data._internal.planner.plan_udf_map_op",
    "winnow.engine.executors.execute",
)
"""What every worker of Ray needs, beside the stages; loaded when the node asks for the first one."""
TOLD = ("RAY_RAYLET_PID", "RAY_JOB_ID")
"""What Ray's node tells a worker in the environment, and Ray's C++ reads when it is loaded, and never again."""
_BEGIN = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[3]); "
    "from winnow.engine.executors.worker_template import serve; "
    "serve(int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[4]))"
)
_CREDENTIALS = struct.Struct("3i")
"""Of who calls: process, user, group (unix(7), SO_PEERCRED)."""
OOM_SETTING = "RAY_worker_oom_score_adjustment"
"""How early the system ends a worker where memory is short, as a user may set it for Ray, whose own value is 1000."""
CALL_SECONDS = 5.0
"""How long a caller may take to say what it wants."""
_QUEUE = 512
"""Callers that may wait at once: a node starts a worker a core."""


class WorkerTemplate:
    """The process, and the name that it listens under; it ends with this one."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        """Begin it. ``modules`` are loaded as those of the server of local processes. Does not wait."""
        self.name = f"winnow-{os.getpid()}-{secrets.token_hex(8)}"
        self._control, theirs = socket.socketpair()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as calls, theirs:
            calls.bind(f"\0{self.name}")
            calls.listen(_QUEUE)
            handles = calls.fileno(), theirs.fileno()
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-c", _BEGIN),
                    *(str(handle) for handle in handles),
                    *(json.dumps(module_path()), json.dumps(modules)),
                ],
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is the driver's to hear
                env=worker_environment(),
            )


@dataclass(frozen=True)
class _Worker:
    """What a worker goes on with: see :mod:`stand_in_worker`."""

    program: list[str]
    environment: dict[str, str]
    folder: str
    streams: list[int]


def serve(calls: int, control: int, modules: list[str]) -> None:
    """Fork a worker for each caller of this user, until the other end of ``control`` is closed.

    Args:
        calls: descriptor of a socket that callers connect to.
        control: descriptor of a socket that the driver holds the other end of.
        modules: loaded before the first fork.
    """
    listening, driver = socket.socket(fileno=calls), socket.socket(fileno=control)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    load(modules)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here asks how workers end: Ray's node sees it
    told: list[str | None] = []
    forks: list[int] = []
    waiting = select.poll()
    for handle in (calls, control):
        waiting.register(handle, select.POLLIN)
    while True:
        if control in (handle for handle, _ in waiting.poll()):
            _end(forks)
            os._exit(0)
        worker = _fork(listening, told, forks)
        if worker is not None:
            listening.close()
            driver.close()
            _become(worker)
            return


def _end(forks: list[int]) -> None:
    """End workers with the driver. Ray's own way is to look for the node's process, which stays in the table of
    processes where a driver begins again (:mod:`lost_ray`): they would go on with the units of their group."""
    for handle in forks:
        with contextlib.suppress(OSError):  # it has ended
            signal.pidfd_send_signal(handle, signal.SIGKILL)


def _without_ended(forks: list[int]) -> Iterator[int]:
    """Those that are there; the others' descriptors are closed."""
    looking = select.poll()
    for handle in forks:
        looking.register(handle, select.POLLIN)
    ended = {handle for handle, _ in looking.poll(0)}
    for handle in forks:
        if handle in ended:
            os.close(handle)
        else:
            yield handle


def _fork(listening: socket.socket, told: list[str | None], forks: list[int]) -> _Worker | None:
    """Answer one caller; in the forked process, what it is to become.

    Of what Ray's node has ``told``, the first caller's is what Ray is loaded with; another one is left to Ray. A
    descriptor of the fork is added to ``forks``.
    """
    with (
        contextlib.suppress(OSError, ValueError, TypeError),
        listening.accept()[0] as caller,
        contextlib.ExitStack() as held,
    ):
        seen = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(seen)[1] != os.getuid():
            return None
        caller.settimeout(CALL_SECONDS)
        worker = _asked(caller, held)
        if not told:
            told += map(worker.environment.get, TOLD)
            _set_environment(worker.environment)
            load(LOADED)
            if not draws_differ():
                told.append("which would be the same in all forks")
        if told == [worker.environment.get(name) for name in TOLD] and _waits(caller):
            forks[:] = _without_ended(forks)
            process = os.fork()
            if process == 0:
                for handle in forks:
                    os.close(handle)
                held.pop_all()  # the streams are its own from here on
                return worker
            with contextlib.suppress(OSError, AttributeError):  # it has ended already; an old system
                forks.append(os.pidfd_open(process))
            caller.sendall(DONE)
    return None


def _waits(caller: socket.socket) -> bool:
    """Whether the caller has not given up meanwhile: else there would be two workers of one id."""
    caller.sendall(READY)
    return caller.recv(1) == READY


def draws_differ() -> bool:
    """Whether forks of this process draw ids of their own from Ray's C++.

    Its generator is seeded at the first draw. Had anything that was loaded here drawn one, all forks would draw the
    same, and one that stores an object would find that it is there.
    """
    drawn = []
    for _ in range(2):
        reading, writing = os.pipe()
        if os.fork() == 0:
            with contextlib.suppress(Exception):
                from ray._raylet import UniqueID  # noqa: PLC0415 - it is loaded

                os.write(writing, UniqueID.from_random().binary())
            os._exit(0)
        os.close(writing)
        drawn.append(os.read(reading, 64))
        os.close(reading)
    return all(drawn) and len(set(drawn)) == len(drawn)


def draw_from_the_system() -> None:
    """Have ids of classes of actors drawn by the system, not by Ray's C++: one is drawn for each class of Ray Data's
    when it is imported, and all forks would draw the same ids from then on."""
    actor: Any = importlib.import_module("ray.actor")
    drawn = actor.ActorClassID
    actor.ActorClassID = SimpleNamespace(from_random=lambda: drawn(os.urandom(drawn.size())))


def _set_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _asked(caller: socket.socket, held: contextlib.ExitStack) -> _Worker:
    """What a caller wants; its streams are closed with ``held``."""
    head, streams, _, _ = socket.recv_fds(caller, 8, 3)
    for stream in streams:
        held.callback(os.close, stream)
    length, data = int.from_bytes(head, "little"), b""
    while len(data) < length and (more := caller.recv(length - len(data))):
        data += more
    message: dict[str, Any] = json.loads(data)
    return _Worker(**message, streams=streams)


def _become(worker: _Worker) -> None:
    """Go on as the worker that Ray's command would have started."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for handle, stream in enumerate(worker.streams):
        os.dup2(stream, handle)
        os.close(stream)
    os.chdir(worker.folder)
    with contextlib.suppress(OSError):  # where memory is short, the system ends a worker first: Ray's node sets it
        Path("/proc/self/oom_score_adj").write_text(worker.environment.get(OOM_SETTING, "1000"))
    _set_environment(worker.environment)
    sys.argv[:] = worker.program
    runpy.run_path(sys.argv[0], run_name="__main__")
