"""What puts the engine into a simulated world: its calls, its threads and clocks, and workers of that world."""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support import simulation
from tests.support.simulation import Event, Thread, current
from tests.support.storage_calls import Calls, in_object_store, on_disk
from winnow.engine import engine as engine_module
from winnow.engine import lease as lease_module
from winnow.engine import progress
from winnow.engine.executors.execute import DEAD_WORKER_RETRIES, attempt
from winnow.engine.records import Unit
from winnow.engine.stage import Stage
from winnow.storage import object_files
from winnow.storage.store import Store

PRESUMED_DEAD_S = 30.0
"""A worker that does not answer for so long is given up, and its unit handed to another one."""


def fan_out(stage: Stage, units: list[Unit], store: Store, _config: Any, stop: Any) -> Iterator[Any]:
    """Workers of the world: as Ray and processes have it, seen from the engine."""
    world = current().world
    driver = current().process
    waiting, deaths, outbox = list(units), Counter[int](), []
    state = SimpleNamespace(over=False, came=Event())
    workers: list[SimpleNamespace] = []

    def work(me: SimpleNamespace) -> None:
        while waiting and not state.over and driver.alive:
            me.unit = waiting.pop(0)
            current().began, me.since = world.now, world.now
            outcome = attempt(stage, me.unit, store)
            world.sleep(world.random.expovariate(1) * world.troubles.latency)
            outbox.append((me.unit.number, outcome))
            me.unit = None
            state.came.set()

    def hire() -> None:
        host = driver.host if world.random.random() < 0.5 else f"worker-{len(workers)}"
        me = SimpleNamespace(unit=None, since=0.0, process=world.process(host))
        workers.append(me)
        me.thread = Thread(work, (me,), name=f"worker of {driver.pid}", process=me.process)
        me.thread.start()

    hire()
    hire()
    try:
        while workers or outbox:
            if outbox:
                number, outcome = outbox.pop(world.random.randrange(len(outbox)))
                current().looked = False
                yield outcome
                if not current().looked:
                    world.broken("the engine goes on without a look at the lease")
                continue
            state.came = Event()
            state.came.wait(1.0)
            for me in list(workers):
                lost = me.unit is not None and world.now - me.since > PRESUMED_DEAD_S + 60 * world.troubles.latency
                if me.process.alive and not me.thread.over.is_set() and not lost:
                    continue
                workers.remove(me)
                if me.unit is None:
                    if waiting and not me.process.alive:
                        hire()
                    continue
                deaths[me.unit.number] += 1
                if deaths[me.unit.number] > DEAD_WORKER_RETRIES:
                    raise RuntimeError("a worker died again and again")
                waiting.append(me.unit)
                hire()
    finally:
        state.over = True


def install(folder: Path) -> None:
    """Put the engine into worlds, for as long as this process lives."""

    class InWorld(Calls):
        far = False

        def call(self, what: str, path: Any, do: Any) -> Any:
            place = str(path)
            if not simulation.inside() or not place.startswith(self.folder):
                return do()
            return current().world.call(what, place, do, lambda: self._error(what, place), far=self.far)

        def _error(self, what: str, place: str) -> Exception:
            try:
                self.fail(what, place)
            except OSError as error:
                return error
            raise AssertionError

    simulation.install()
    on_disk(InWorld(str(folder)))
    far = InWorld("s3://simulated")
    far.far = True
    in_object_store(far)
    object_files.file_system = lambda *_: current().world.objects  # type: ignore[attr-defined, assignment]
    object_files.ThreadPoolExecutor = simulation.Pool  # type: ignore[assignment, misc]
    lease_module.threading = SimpleNamespace(Event=Event, Thread=Thread)  # type: ignore[assignment]
    lease_module._process_start = _started
    engine_module.begin_processes = lambda *_: None  # type: ignore[assignment]
    engine_module.run_in_processes = fan_out  # type: ignore[assignment]
    engine_module.TINY_STAGE_BYTES = 0
    progress.told_by_the_clock = contextlib.nullcontext  # type: ignore[assignment]
    logging.disable(logging.CRITICAL)


def _started(pid: int) -> str | None:
    here = current()
    found = any(p.alive and (p.host, p.pid) == (here.process.host, pid) for p in here.world.processes)
    return "1" if found else None
