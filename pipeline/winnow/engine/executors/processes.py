"""Fan-out over processes of this machine, without Ray: as much work as one machine does is done sooner.

One server process (:mod:`winnow.engine.executors.process_server`) loads what units need and forks workers. The driver
gives each worker one unit at a time and waits for its record. A worker that dies or is at a unit for too long is
replaced, and its unit tried again: what Ray does for a cluster, for one machine.
"""

import atexit
import contextlib
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from winnow.engine.config import ComputeConfig
from winnow.engine.executors.cores import usable_cores, usable_memory
from winnow.engine.executors.execute import DEAD_WORKER_RETRIES, Failure
from winnow.engine.executors.forking import module_path, worker_environment
from winnow.engine.executors.process_server import ANSWER, FORK, MESSAGE, REAP
from winnow.engine.records import Record, Unit
from winnow.engine.stage import Stage
from winnow.engine.stopping import Stop
from winnow.errors import ClusterError
from winnow.storage.store import Store

log = logging.getLogger("winnow")

LOOK_SECONDS = 0.2
"""How often the driver looks whether it was asked to stop, or a unit takes too long."""
_BEGIN = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[2]); "
    "from winnow.engine.executors.process_server import serve; serve(int(sys.argv[1]), json.loads(sys.argv[3]))"
)


class LocalProcesses:
    """The server and its workers."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        ours, theirs = socket.socketpair()
        self.process = os.getpid()
        self._control = ours
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-c", _BEGIN, str(theirs.fileno()), json.dumps(module_path()), json.dumps(modules)],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is the driver's to hear
            env=worker_environment(),
        )
        theirs.close()
        self.workers: list[Worker] = []
        self.background: list[Worker] = []
        self.lost = False
        """It did not answer; the system may not have said yet that it has ended."""

    def fork(self, handle: int) -> None:
        """Have a worker forked that listens on this descriptor; where the server has ended, the worker has, too."""
        with contextlib.suppress(OSError):
            socket.send_fds(self._control, [MESSAGE.pack(FORK, 0)], [handle])

    def reap(self, process: int) -> int:
        """How a worker ended, as ``waitpid`` tells it.

        Raises:
            ClusterError: the server has ended.
        """
        answer = b""
        with contextlib.suppress(OSError):
            self._control.sendall(MESSAGE.pack(REAP, process))
            answer = self._control.recv(ANSWER.size, socket.MSG_WAITALL)
        if len(answer) < ANSWER.size:
            self.lost = True
            raise ClusterError("the process that starts workers on this machine has ended (killed, or out of memory)")
        return int(ANSWER.unpack(answer)[0])

    def begin_background(self, function: str, copies: int) -> bool:
        """Have that many processes call a function (``module:name``) beside the workers; False where some are at it."""
        if self.background:
            return False
        self.background = [Worker(self) for _ in range(copies)]
        for worker in self.background:
            worker.send({"call": function})
        return True

    def is_there(self) -> bool:
        """Whether this process began it and it has not ended."""
        return self.process == os.getpid() and not self.lost and self._server.poll() is None

    def hire(self, number: int) -> list["Worker"]:
        """As many workers as that, new ones where there are fewer."""
        while len(self.workers) < number:
            self.workers.append(Worker(self))
        return self.workers[:number]

    def end(self) -> None:
        """End the server, and its workers with it."""
        if self.process != os.getpid():
            return
        self._control.close()
        for worker in (*self.workers, *self.background):
            worker.connection.close()
        try:
            self._server.wait(5)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


class Worker:
    """One worker process, and what it is at."""

    def __init__(self, processes: LocalProcesses) -> None:
        ours, theirs = socket.socketpair()
        processes.fork(theirs.fileno())
        theirs.close()
        self._processes = processes
        self.connection = Connection(ours.detach())
        self.process = 0
        """Its number, which is the first that it says."""
        self.unit: Unit | None = None
        self.since = 0.0
        self.overdue = False
        self._job = b""

    def begin(self, unit: Unit, job: bytes) -> None:
        """Hand it a unit; the answer comes by the connection."""
        self.send({"unit": unit} if job == self._job else {"unit": unit, "job": job})
        self.unit, self.since, self._job, self.overdue = unit, time.monotonic(), job, False

    def send(self, message: dict[str, Any]) -> None:
        """Send what it is to do."""
        if "unit" not in message or "job" in message:
            message |= {"environment": worker_environment(), "path": module_path()}
        with contextlib.suppress(OSError):  # it has died: told where its answer is waited for
            self.connection.send_bytes(pickle.dumps(message))

    def kill(self) -> None:
        """End it at once."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)

    def bury(self) -> str:
        """It has died: forget it, and say how it ended."""
        self.connection.close()
        self._processes.workers.remove(self)
        if not self.process:
            self._processes.lost = True
            return "lost before it began"
        self.kill()  # what has closed its connection and lives would be waited for without end
        status = self._processes.reap(self.process)
        if os.WIFSIGNALED(status):
            return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
        return f"ended with exit code {os.waitstatus_to_exitcode(status)}"


_running: list[LocalProcesses] = []
"""The one server of this process, if there is one."""


def begin_processes(modules: tuple[str, ...] = ()) -> LocalProcesses:
    """The server of this process; a new one loads ``modules`` at once. Does not wait."""
    if not _running or not _running[-1].is_there():
        end_processes()
        _running[:] = [LocalProcesses(modules)]
    return _running[-1]


@atexit.register
def end_processes() -> None:
    """End the server and the workers that this process began, if there are some."""
    for processes in _running:
        processes.end()
    _running.clear()


@contextlib.contextmanager
def ended_at_the_end() -> Iterator[None]:
    """After this block no process is left: a program that uses this as a library may go on for long."""
    try:
        yield
    finally:
        end_processes()


def workers_of(config: ComputeConfig) -> int:
    """Workers on this machine: as configured; `auto` is one a core, as far as there is memory for them."""
    if isinstance(config.workers, int):
        return config.workers
    room = usable_memory() // (config.worker_memory_mb * 1_000_000)
    return max(1, min(usable_cores(), room))


def run_in_processes(
    stage: Stage, units: list[Unit], store: Store, config: ComputeConfig, stop: Stop
) -> Iterator[Record | Failure]:
    """Units on workers of this machine, one at a time on each; results in order of completion.

    When this process is asked to stop, workers finish the units they are at and begin no others. A unit whose worker
    died is tried again by another one, DEAD_WORKER_RETRIES times; then it is left out, and the others go on.

    Raises:
        ClusterError: the process that forks workers has ended.
    """
    processes = begin_processes((stage.run.__module__,))
    job = pickle.dumps((stage, store))
    limit = None if config.unit_timeout_minutes is None else config.unit_timeout_minutes * 60
    waiting, deaths = deque(units), Counter[int]()
    most = min(workers_of(config), len(units))
    busy: dict[Connection, Worker] = {}
    try:
        while busy or (waiting and not stop.asked.is_set()):
            if waiting and not stop.asked.is_set():
                for worker in processes.hire(most):
                    if worker.unit is None and waiting:
                        worker.begin(waiting.popleft(), job)
                        busy[worker.connection] = worker
            for connection in wait(list(busy), LOOK_SECONDS):
                worker = busy[connection]  # type: ignore[index]
                unit = worker.unit
                assert unit is not None
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    del busy[worker.connection]
                    how = worker.bury()
                    deaths[unit.number] += 1
                    where = {"stage": stage.name, "unit": unit.number}
                    log.warning("%s unit %d: its worker was %s", stage.name, unit.number, how, extra=where)
                    if deaths[unit.number] <= DEAD_WORKER_RETRIES:
                        waiting.append(unit)
                    continue
                if isinstance(answer, int):
                    worker.process, worker.since = answer, time.monotonic()  # what it loaded before is no unit's time
                    continue
                if isinstance(answer, tuple):
                    name, level, line = answer
                    logging.getLogger(name).log(level, "%s", line, extra={"stage": stage.name, "unit": unit.number})
                    continue
                del busy[worker.connection]
                worker.unit = None
                yield answer
            if limit is not None:
                _kill_overdue(stage, list(busy.values()), limit)
    finally:
        for worker in busy.values():  # this run goes no further: what they are at is nobody's
            worker.kill()
            with contextlib.suppress(ClusterError):
                worker.bury()


def _kill_overdue(stage: Stage, busy: list[Worker], seconds: float) -> None:
    for worker in busy:
        if worker.overdue or worker.unit is None or not worker.process:
            continue
        if time.monotonic() - worker.since > seconds:
            log.warning(
                "%s unit %d: at it for over %g minutes; its worker is killed and the unit tried again",
                stage.name,
                worker.unit.number,
                seconds / 60,
                extra={"stage": stage.name, "unit": worker.unit.number},
            )
            worker.overdue = True
            worker.kill()
