"""An engine for near-duplicate removal at a scale whose tables this disk does not hold all at once.

The real stages do all of the work; only how long their tables stand is another matter than in a run:

- band keys stand for one slab of partitions at a time. Every unit of ``bands`` writes its whole file, of which the
  blocks outside the slab are given back to the disk (holes, which read as zeros and are not read); ``edges`` does the
  partitions of the slab; then ``bands`` runs once more for the next slab, in a row of its own (``bands again``);
- what no later stage reads is removed at once: band keys once the edges are there, edges and the tables of rounds once
  the components are;
- signatures need not be written at all (:class:`benchmarks.dedup_tables.UnwrittenStore`): what making them takes is not
  counted in the stages that read them.

Imported by ``dedup_scale.py`` and by tests. Holes are Linux's.
"""

import ctypes
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.dedup_tables import UnwrittenStore, WatchedEngine
from winnow.engine.exchange import ExchangeFile, row_bytes
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.flow.components import HALVES, STAGE
from winnow.stages.dedup.bands import run_bands
from winnow.stages.dedup.components import components_stage, plan_components
from winnow.stages.tables import column_to_numpy, read_ipc

AGAIN = "bands again"
IN_ONE_UNIT = "one_unit_"
LEAST_FREE_BYTES = 8_000_000_000
"""Others need the disk, too: with less left, the benchmark ends and removes what it made."""
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # fallocate(2)


def run_bands_of_slab(unit: Unit, workspace: Workspace) -> None:
    """The real stage's function; then the partitions outside ``slab`` (first, last) are given back to the disk."""
    run_bands(unit, workspace)
    first, last = workspace.runtime["slab"]
    with workspace.store.path(workspace.outputs["bands"].path).open("r+b") as file:  # type: ignore[attr-defined]
        exchange = ExchangeFile.open(file)
        partitions = exchange.num_partitions
        rows_at = exchange.index_at + 8 * (partitions + 1)
        starts = rows_at + exchange.row_starts(0, partitions) * row_bytes(exchange.columns)
        for begin, end in ((starts[0], starts[first]), (starts[last], starts[partitions])):
            _punch(file.fileno(), int(begin), int(end - begin))


def _punch(descriptor: int, begin: int, size: int) -> None:
    if not size:
        return
    allocate = ctypes.CDLL(None, use_errno=True).fallocate
    arguments = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    allocate.argtypes = arguments
    if allocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, begin, size):
        number = ctypes.get_errno()
        raise OSError(number, f"this disk cannot give blocks back: {os.strerror(number)}")


@dataclass
class SlabEngine(WatchedEngine):
    """Runs the stages of near-duplicate removal with band keys of one slab of partitions at a time."""

    slabs: int = 1
    most_bytes: int = 0
    """On disk after any stage."""
    making: dict[str, float] = field(default_factory=dict)
    """Seconds of processor time that signatures took, by the stage that read them; not counted there."""
    _banding: tuple[Stage, list[Unit]] | None = None
    _edges: Json = field(default_factory=dict)

    def run(self, stage: Stage, units: list[Unit], *rest: Any) -> list[Record]:
        """As the engine does; tables that nothing reads again are removed before the stage."""
        if stage.name == "bands":
            self._banding = stage, units
            return self._bands(0)
        if stage.name == "edges":
            records = [record for slab in range(self.slabs) for record in self._edges_of(slab, stage, units)]
            self.release("bands", "bands")
            self.committed["edges"] = records
            return records
        if stage.name == HALVES[0]:
            self._edges = units[0].inputs["edges"]
        if stage.name == "candidates":
            if self._edges:
                self._compare_with_one_unit()
            self.release("edges", "edges")
            for half in HALVES:
                self.release(half, "rows")
        return self._watched(stage, units, *rest)

    def _slab(self, number: int, partitions: int) -> tuple[int, int]:
        return partitions * number // self.slabs, partitions * (number + 1) // self.slabs

    def _bands(self, slab: int) -> list[Record]:
        assert self._banding is not None
        stage, units = self._banding
        if self.slabs == 1:
            return self._watched(stage, units)
        window = self._slab(slab, units[0].inputs["partitions"])
        cut = replace(stage, run=run_bands_of_slab, runtime={"slab": window})
        return self._watched(cut, units, lambda _record: True, name=AGAIN if slab else stage.name)

    def _edges_of(self, slab: int, stage: Stage, units: list[Unit]) -> list[Record]:
        if slab:
            self._bands(slab)
        first, last = self._slab(slab, len(units))
        return self._watched(stage, units[first:last])

    def _compare_with_one_unit(self) -> None:
        """Components of the same edges by union-find: the same, or this raises."""
        stage, edges = components_stage(IN_ONE_UNIT), self.committed["edges"]
        whole = self._watched(stage, plan_components(self._edges, edges))
        for name in ("doc", "component"):
            of_rounds, of_one_unit = (self._components(records, name) for records in (self.committed[STAGE], whole))
            assert np.array_equal(of_rounds, of_one_unit), f"rounds and union-find differ in {name}"

    def _components(self, records: list[Record], column: str) -> NDArray[np.uint64]:
        tables = [read_ipc(self.store, record.outputs["components"].reference()) for record in records]
        return np.concatenate([column_to_numpy(table, column) for table in tables])

    def _watched(
        self, stage: Stage, units: list[Unit], *rest: Callable[[Record], bool], name: str | None = None
    ) -> list[Record]:
        """Run it and sum up what it did, without the making of signatures."""
        store = self.store
        before = store.making_seconds if isinstance(store, UnwrittenStore) else 0.0
        records = super().run(stage, units, *rest)
        made = store.making_seconds - before if isinstance(store, UnwrittenStore) else 0.0
        name = name or stage.name
        self.making[name] = self.making.get(name, 0.0) + made
        summary = self.summaries[-1]
        self.summaries[-1] = replace(summary, name=name, cpu_seconds=summary.cpu_seconds - made)
        self.most_bytes = max(self.most_bytes, _bytes_below(Path(store.root)))
        print(f"{name}: {self.summaries[-1].cpu_seconds:,.0f} s of CPU", flush=True)
        return records


def leave_free(folder: Path) -> None:
    """End the benchmark before the disk is full."""
    if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
        raise SystemExit(f"{folder} has under {LEAST_FREE_BYTES / 1e9:,.0f} GB left: ended")


def _bytes_below(folder: Path) -> int:
    """Blocks that files take, holes apart."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
