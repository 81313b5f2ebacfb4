"""Runs in a process of its own: forks the workers of this machine, with modules loaded, and works units in them.

A fresh Python takes a second or more to load what a unit needs; a fork of one that has it takes some milliseconds. The
process that forks has one thread, and does nothing else, so that no lock is held where a fork happens. All workers end
with it, and it ends with the driver: its socket is then closed.
"""

import contextlib
import ctypes
import logging
import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from winnow.engine.executors.forking import call, load

MESSAGE = struct.Struct("<cq")
"""To the server: what to do, and with which process. A fork comes with the descriptor that the worker listens on."""
ANSWER = struct.Struct("<q")
"""To ``REAP``: how the process ended, as ``waitpid`` tells it."""
FORK, REAP = b"f", b"r"
KILLED_FIRST = "500"
"""Where memory is short, the kernel ends a worker rather than the driver (proc(5), oom_score_adj)."""


def serve(control: int, modules: list[str]) -> None:
    """Answer until the other end of the socket is closed; then all workers are killed.

    Args:
        control: descriptor of a Unix socket.
        modules: loaded before the first fork, so that all workers have them; of ``module:function``, the function is
            called, too.
    """
    _leave_signals_to_the_driver()
    asked = socket.socket(fileno=control)
    load(modules)
    children: set[int] = set()
    while True:
        message, handles, _, _ = socket.recv_fds(asked, MESSAGE.size, 1)
        if len(message) < MESSAGE.size:
            break
        what, process = MESSAGE.unpack(message)
        if what == FORK:
            child = os.fork()
            if child == 0:
                asked.close()
                _work_until_closed(handles[0])
            os.close(handles[0])
            children.add(child)
        else:
            _, status = os.waitpid(process, 0)
            children.discard(process)
            asked.sendall(ANSWER.pack(status))
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os._exit(0)


def _leave_signals_to_the_driver() -> None:
    """A Ctrl-C or SIGTERM for the whole group: the driver decides what running units may still do."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)


def _work_until_closed(handle: int) -> None:
    """A worker: units come by this descriptor, records go back."""
    _end_with_parent()
    os.set_inheritable(handle, False)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(KILLED_FIRST)
    os.dup2(2, 1)  # what an operator prints is no output of the command
    import pyarrow as pa  # noqa: PLC0415 - most of its time is the server's

    pa.set_cpu_count(1)  # one core means one core: Arrow's pool would fight the other workers
    driver = Connection(handle)
    os.register_at_fork(after_in_child=driver.close)  # else the driver would not see that the worker has ended
    logger = logging.getLogger("winnow")
    logger.handlers, logger.propagate = [_ToDriver(driver)], False
    driver.send(os.getpid())
    worker = _Worker()
    while True:
        try:
            message: dict[str, Any] = pickle.loads(driver.recv_bytes())  # noqa: S301 - of the process that began this
            answer = worker.answer(message)
            driver.send(answer)
        except (EOFError, ConnectionError):  # the driver has ended, or goes no further with this
            os._exit(0)


class _Worker:
    """The stage at work; its functions are found by name."""

    def __init__(self) -> None:
        self.job: Any = None

    def answer(self, message: dict[str, Any]) -> object:
        """A Record or a Failure; nothing of a call."""
        from winnow.engine.executors.execute import Failure, attempt  # noqa: PLC0415 - the server may have it
        from winnow.fault_point import fault_point  # noqa: PLC0415

        if "environment" in message:
            os.environ.clear()
            os.environ.update(message["environment"])
            sys.path[:] = message["path"]
        if "call" in message:
            call(message["call"])
            return None
        unit = message["unit"]
        if "job" in message:
            try:
                self.job = pickle.loads(message["job"])  # noqa: S301
            except Exception as error:  # noqa: BLE001 - a module that cannot be imported here is the unit's failure
                return Failure(unit.number, f"{type(error).__name__}: {error}", traceback.format_exc())
        stage, store = self.job
        fault_point("group", stage=stage.name)
        return attempt(stage, unit, store)


class _ToDriver(logging.Handler):
    """Log lines of a worker are the driver's to show."""

    def __init__(self, driver: Connection) -> None:
        super().__init__(logging.WARNING)
        self._driver = driver

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line."""
        with contextlib.suppress(OSError):
            self._driver.send((record.name, record.levelno, record.getMessage()))


def _end_with_parent() -> None:
    """On Linux: should the server be killed, its workers die with it (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
