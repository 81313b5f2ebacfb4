"""Units that take too long: their workers are killed, wherever they are, and Ray starts the units again.

A worker that hangs (a stuck disk, a stopped process) cannot be asked anything. So each worker notes in the run
folder what it is at; the driver looks how old the notes are by the storage's own clock, and has the process killed by
a task on its node. Only with ``compute.unit_timeout_minutes``; without it no note is written.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from winnow.engine.executors.connect import host_of
from winnow.engine.executors.frozen_workers import FrozenWorkers
from winnow.storage.store import TEMPORARY_PREFIX, Store

log = logging.getLogger("winnow")
_NOTE = f"{TEMPORARY_PREFIX}at-work-"
KILL_WAIT_SECONDS = 30.0


@contextlib.contextmanager
def report_current_unit(store: Store, stage: str, number: int) -> Iterator[None]:
    """Note that this worker process is at a unit, until it is done."""
    import ray  # noqa: PLC0415 - it is loaded: this is a worker

    context: Any = ray.get_runtime_context()
    path = f"{_NOTE}{socket.gethostname()}-{os.getpid()}"
    note = {"node": context.get_node_id(), "process": os.getpid(), "stage": stage, "unit": number}
    store.write_unsynced(path, orjson.dumps(note))
    try:
        yield
    finally:
        store.remove(path)


@contextlib.contextmanager
def kill_stuck_workers(store: Store, timeout_seconds: float | None) -> Iterator[None]:
    """While this lasts, kill workers that are at one unit for longer than that."""
    if timeout_seconds is None:
        yield
        return
    over = threading.Event()
    workers = FrozenWorkers(timeout_seconds)

    def watch() -> None:
        while not over.wait(min(30.0, timeout_seconds / 5)):
            with contextlib.suppress(OSError):  # a storage that fails is told by those who need it
                for note in _older_than(store, timeout_seconds):
                    _kill(note, timeout_seconds)
            with contextlib.suppress(Exception):  # a cluster in trouble, too
                for node, process in workers.look():
                    log.warning(
                        "a worker (process %d on %s) has stood still for over %g minutes without a unit; it is killed",
                        process,
                        host_of(node),
                        timeout_seconds / 60,
                    )

    watcher = threading.Thread(target=watch, daemon=True, name="overdue")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(KILL_WAIT_SECONDS)
        store.remove_drafts_here(_NOTE)


def _older_than(store: Store, seconds: float) -> Iterator[dict[str, Any]]:
    for name in store.older_than(_NOTE, seconds):
        with contextlib.suppress(FileNotFoundError, ValueError):  # done meanwhile, or only just begun
            note: dict[str, Any] = orjson.loads(store.read(name))
            store.remove(name)
            yield note


def _kill(note: dict[str, Any], seconds: float) -> None:
    import ray  # noqa: PLC0415 - it is loaded
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    log.warning(
        "%s unit %d: at it for over %g minutes; its worker is killed and the unit tried again",
        note["stage"],
        note["unit"],
        seconds / 60,
        extra={"stage": note["stage"], "unit": note["unit"]},
    )
    here = NodeAffinitySchedulingStrategy(note["node"], soft=False)
    remote: Any = ray.remote
    task = remote(num_cpus=0, max_retries=0, scheduling_strategy=here)(_kill_worker)
    try:
        ray.get(task.remote(note["process"]), timeout=KILL_WAIT_SECONDS)
    except Exception as error:  # noqa: BLE001 - the node may be gone, and the worker with it
        log.warning("its worker could not be killed: %s", type(error).__name__, extra={"stage": note["stage"]})


def _kill_worker(process: int) -> None:
    """Kill a Ray worker of this node; a process that is none (the id was given anew) is left alone."""
    command = Path(f"/proc/{process}/cmdline")
    if not command.parent.parent.exists() or b"ray::" in command.read_bytes():
        os.kill(process, signal.SIGKILL)
