"""What the engine knows of a stage: a name, what its results depend on, and the function that does one unit."""

import contextlib
import platform
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from winnow.engine.malloc import keep_freed_memory
from winnow.engine.records import Json, Output, Record, Unit, content_hash, identity
from winnow.fault_point import fault_point
from winnow.storage.draft import DigestName, Draft
from winnow.storage.encrypted_names import SUFFIX
from winnow.storage.store import Store
from winnow.storage.traffic import counted_traffic


@dataclass
class Workspace:
    """Where one unit leaves its results: files by name, counters, notes.

    Nothing of it exists for others before the engine commits the record.
    """

    store: Store
    folder: str
    stem: str
    settings: Json
    runtime: Json = field(default_factory=dict)
    encrypted: bool = False
    """Whether outputs that nobody names otherwise are encrypted."""
    isolate: Json | None = None
    """Attempts before this one died or failed: look for what they died of, if the stage knows how. What it is met with:
    machine, versions, models."""
    outputs: dict[str, Output] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def stage_name(self) -> str:
        """Of the stage that the unit belongs to."""
        return self.folder.split("/")[1]

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add this block's wall seconds to the record, as ``seconds.part``: where the time of a stage goes."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started

    def output_path(self, name: str) -> str:
        """Path of an output inside the store, e.g. ``work/measure/<fingerprint>/00003-<key>.documents.parquet``."""
        return f"{self.folder}/{self.stem}.{name}{SUFFIX if self.encrypted else ''}"

    def create(self, path: str, digest: DigestName = "xxh3_128") -> contextlib.AbstractContextManager[Draft]:
        """Write the file at an :meth:`output_path`; it appears whole when the block ends."""
        return self.store.create(path, digest, once=self.encrypted)

    def published(self, name: str, path: str, draft: Draft, rows: int) -> None:
        """Note a file that the store has just published under ``path``."""
        self.outputs[name.partition(".")[0]] = Output(path, draft.bytes, rows, draft.hash)

    def write(self, name: str, write: Callable[[Draft], int], digest: DigestName = "xxh3_128") -> None:
        """Write one output: ``write(draft)`` fills it and returns its number of rows."""
        path = self.output_path(name)
        with self.create(path, digest) as draft:
            rows = write(draft)
        self.published(name, path, draft, rows)

    def count(self, name: str, value: int) -> None:
        """Add to a counter of the record."""
        self.counters[name] = self.counters.get(name, 0) + int(value)


@dataclass(frozen=True)
class Accelerated:
    """The halves of a stage that can use GPUs; module-level functions. ``run`` does one after the other.

    ``prepare(unit, workspace)`` reads what the unit needs and writes nothing; its table travels through the object
    store. ``finish(unit, workspace, table)`` computes and writes.
    """

    prepare: Callable[[Unit, Workspace], pa.Table]
    finish: Callable[[Unit, Workspace, pa.Table], None]


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    ``settings`` is JSON and holds everything that reaches the stage's results: its config section, seeds, versions
    of libraries. ``version`` is raised by hand when the code gives other results for the same settings. ``run`` is
    a module-level function, so that workers find it by name. ``runtime`` holds what may differ between runs without
    changing results (batch sizes); it is not part of the fingerprint. ``prepare(settings)`` loads what ``run`` needs,
    so that a worker can do it before its first unit comes. ``accelerated`` are the two halves of ``run`` for a stage
    that can use GPUs: where there are some, the first runs in CPU tasks and the second in actors that hold a GPU.
    ``encrypted_with`` is the id of the key of a run whose tables are encrypted; another key computes anew.
    """

    name: str
    version: int
    settings: Json
    run: Callable[[Unit, Workspace], None]
    runtime: Json = field(default_factory=dict)
    prepare: Callable[[Json], object] | None = None
    isolate: Json | None = None
    accelerated: Accelerated | None = None
    encrypted_with: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Names the stage's folder: another value where results may differ."""
        plain = content_hash([self.name, self.version, self.settings], 16)
        return plain if self.encrypted_with is None else content_hash([plain, self.encrypted_with], 16)

    @property
    def folder(self) -> str:
        """Folder of this stage's records and outputs."""
        return f"work/{self.name}/{self.fingerprint}"

    def key(self, unit: Unit) -> str:
        """Content address of one unit's work."""
        return content_hash([self.fingerprint, identity(unit.inputs)])

    def record_path(self, key: str) -> str:
        """Where the record of the unit with this key stands."""
        return f"{self.folder}/{key}.json"


def run_unit(stage: Stage, unit: Unit, store: Store, prepared: pa.Table | None = None) -> Record:
    """Do one unit and commit it: outputs first, the record last. Runs on workers and in-process alike.

    With ``prepared``, the first half of an accelerated stage is done, and this is the second.
    If somebody else committed the same unit meanwhile, theirs is returned: the outputs are the same.
    """
    keep_freed_memory()
    key = stage.key(unit)
    with contextlib.suppress(FileNotFoundError):  # a group is run again when its worker died in the middle
        return Record.from_json(store.read(stage.record_path(key)))
    workspace = workspace_of(stage, unit, store)
    started, cpu_started = time.perf_counter(), time.process_time()
    fault_point("unit", stage=stage.name, number=unit.number)
    with counted_traffic() as asked:
        if prepared is not None and stage.accelerated is not None:
            stage.accelerated.finish(unit, workspace, prepared)
        else:
            stage.run(unit, workspace)
    measures = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "work_bytes": float(unit.work_bytes),
        "peak_memory_mb": peak_memory_mb(),
        "swapped_mb": swapped_mb(),
        **{f"seconds.{part}": seconds for part, seconds in workspace.seconds.items()},
        **asked,
    }
    record = Record(
        stage.name,
        stage.fingerprint,
        key,
        unit.number,
        workspace.outputs,
        dict(sorted(workspace.counters.items())),
        measures,
        workspace.metadata,
    )
    path = stage.record_path(key)
    fault_point("commit", stage=stage.name, number=unit.number)
    if not store.create_exclusive(path, record.to_json()):
        return Record.from_json(store.read(path))
    fault_point("committed", stage=stage.name, number=unit.number)
    return record


def workspace_of(stage: Stage, unit: Unit, store: Store) -> Workspace:
    """An empty workspace of one unit."""
    return Workspace(
        store,
        stage.folder,
        f"{unit.number:05d}-{stage.key(unit)[:12]}",
        stage.settings,
        stage.runtime,
        stage.encrypted_with is not None,
        stage.isolate,
    )


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    # ru_maxrss of a fresh process begins with its parent's; Linux's own figure does not
    if (peak := _status_mb("VmHWM")) is not None:
        return peak
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def swapped_mb() -> float:
    """Memory of this process that lies in swap, in MB; 0 where nobody can tell."""
    return _status_mb("VmSwap") or 0.0


def _status_mb(name: str) -> float | None:
    """A figure of Linux on this process; None elsewhere."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0]) * 1024 / 1e6
    except (OSError, IndexError, ValueError):
        return None
