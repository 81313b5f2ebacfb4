"""What the driver holds and takes for each unit: a stub stage of many units through the real engine, and its planner.

    python -m benchmarks.many_units [--units 100000] [--executor ray] [--work-mb 256]
    python -m benchmarks.many_units --plan 1000000      (no unit is run: keys, groups, lists and files of the driver)

A stub unit writes one small file and counts what `measure` counts, so its record is as large as a real one. Memory is
the driver's own (resident, less what it had before the stage), told as units come back; then the same stage is loaded
again, as the next attempt of a run does. `--work-mb` is what a unit says that it works on: units of 256 MB are handed
out one by one, smaller ones in groups.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measuring import machine
from winnow.engine.attempt import Attempt
from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine
from winnow.engine.executors.execute import group_units
from winnow.engine.records import Output, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.storage.local_store import LocalStore
from winnow.storage.store import Draft

COUNTERS = {f"{kind}/{source}": 12_345 for kind in ("rows", "text_bytes", "replaced") for source in ("web", "books")}
"""About what a unit counts."""
NOTED = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
CORES = 512
"""Workers that units are grouped for, where none are."""


def stub(unit: Unit, workspace: Workspace) -> None:
    """A unit that does nothing but commit."""

    def write(draft: Draft) -> int:
        draft.write(b"stub")
        return 1

    workspace.write("documents.bin", write)
    for name, value in COUNTERS.items():
        workspace.count(name, value + unit.number)
    workspace.metadata["parts"] = [{"first_doc": unit.number << 32, "text_bytes": 256_000_000}]


def units_of(count: int, work_bytes: int) -> list[Unit]:
    """Units that name a file and a slice of it, as those of `measure` do."""
    slices = [{"kind": "bytes", "first": 0, "last": work_bytes, "first_row": 0}]
    return [
        Unit(
            n,
            {
                "file": {"path": f"/data/crawl-2026-11/part-{n:07d}.jsonl.zst", "number": n, "hash": f"{n:032x}"},
                "slices": slices,
            },
            work_bytes,
        )
        for n in range(count)
    ]


def resident_mb() -> float:
    """Resident memory of this process, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


class Watched(Engine):
    """An engine that tells the driver's memory as units come back."""

    before = 0.0
    came = 0
    began = 0.0

    def note(self) -> None:
        """Called after every unit."""
        self.came += 1
        if self.came in NOTED:
            grown = resident_mb() - self.before
            print(
                f"{self.came:>9,} units back: {time.perf_counter() - self.began:8,.1f} s, "
                f"driver {grown:8,.1f} MB more, {grown * 1e6 / self.came:8,.0f} bytes a unit",
                flush=True,
            )


def timed(what: str, count: int, do: Callable[[], Any]) -> Any:
    """Do it, and print seconds of processor time of this process, and memory that stays, a unit."""
    gc.collect()
    before, started = resident_mb(), time.process_time()
    found = do()
    seconds, grown = time.process_time() - started, resident_mb() - before
    print(f"{what:44}{seconds:9.2f} s{seconds / count * 1e6:9.1f} us a unit{grown * 1e6 / count:9.0f} bytes a unit")
    return found


def run_stub(count: int, work_bytes: int, compute: ComputeConfig, folder: Path) -> None:
    """The stub stage, and the same again."""
    stage = Stage("stub", 1, {}, stub)
    units = timed("units made", count, lambda: units_of(count, work_bytes))
    for what in ("run", "loaded by the next attempt"):
        run_once(what, stage, units, compute, folder)


def run_once(what: str, stage: Stage, units: list[Unit], compute: ComputeConfig, folder: Path) -> None:
    """One attempt."""
    store = LocalStore(str(folder))
    engine = Watched(store, compute, attempt=Attempt(store))
    engine.guard = engine.note
    gc.collect()
    engine.before, engine.began = resident_mb(), time.perf_counter()
    records = timed(what, len(units), lambda: engine.run(stage, units))
    print(f"{len(records[0].to_json()):,} bytes a record on disk")
    timed("list of outputs published", len(units), lambda: engine.listing(stage, records, "documents"))


def record_of(stage: Stage, number: int, key: str) -> bytes:
    """A stored record as the stub's are."""
    measures = ("seconds", "cpu_seconds", "work_bytes", "peak_memory_mb", "swapped_mb", "seconds.read", "seconds.write")
    output = Output(f"{stage.folder}/{number:05d}-{key[:12]}.documents.bin", 1, 1, f"xxh3_128:{number:032x}")
    parts = [{"first_doc": number << 32, "text_bytes": 256_000_000}]
    record = Record(
        stage.name,
        stage.fingerprint,
        key,
        number,
        {"documents": output},
        {name: value + number for name, value in COUNTERS.items()},
        dict.fromkeys(measures, number / 7),
        {"parts": parts},
    )
    return record.to_json()


def run_plan(count: int, work_bytes: int, folder: Path) -> None:
    """What the driver does for each unit of a stage, part by part."""
    stage, store = Stage("stub", 1, {}, stub), LocalStore(str(folder))
    units = timed("units made", count, lambda: units_of(count, work_bytes))
    keys = timed("keys", count, lambda: [stage.key(unit) for unit in units])
    timed(f"groups for {CORES} workers", count, lambda: group_units(units, CORES))
    attempt = Attempt(store)
    timed("attempt.json", count, lambda: attempt.begin_stage("stub", stage.folder, count, keys, [work_bytes] * count))
    data = [record_of(stage, n, key) for n, key in enumerate(keys)]
    records = timed("records read", count, lambda: [Record.from_json(text).compact() for text in data])
    engine = Engine(store, ComputeConfig())
    timed("list of outputs published", count, lambda: engine.listing(stage, records, "documents"))
    paths = [stage.record_path(key) for key in keys]
    timed("state.json, this stage's part", count, lambda: len(orjson.dumps(paths)))
    timed("a counter added up", count, lambda: total(records, "rows/web"))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--work-mb", type=int, default=256)
    parser.add_argument("--executor", choices=("inline", "processes", "ray"), default="ray")
    parser.add_argument("--workers", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--plan", type=int, metavar="UNITS", help="only the planner, of so many units")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where to make a folder")
    arguments = parser.parse_args()
    print(machine())
    work_bytes = arguments.work_mb * 1_000_000
    with tempfile.TemporaryDirectory(prefix="many-units-", dir=arguments.folder) as folder:
        if arguments.plan:
            run_plan(arguments.plan, work_bytes, Path(folder))
        else:
            compute = ComputeConfig(executor=arguments.executor, workers=arguments.workers or "auto")
            run_stub(arguments.units, work_bytes, compute, Path(folder))


if __name__ == "__main__":
    from benchmarks.many_units import main as by_its_own_name  # so that processes find the stub

    by_its_own_name()
