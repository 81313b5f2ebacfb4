"""Walks one stage: what is committed stays, what is missing is run, what fails is tried again and then named."""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from winnow.engine import metrics
from winnow.engine.attempt import Attempt
from winnow.engine.config import ComputeConfig
from winnow.engine.executors.choose import Executor, choose_executor, described
from winnow.engine.executors.connect import connect_ray, host_of, prestart_workers, tell_start
from winnow.engine.executors.execute import Failure, run_inline, run_on_ray
from winnow.engine.executors.gpu_pool import check_gpus
from winnow.engine.executors.processes import begin_processes, run_in_processes
from winnow.engine.progress import StageProgress
from winnow.engine.records import Json, Record, Unit, canonical, content_hash, identity
from winnow.engine.release import Released
from winnow.engine.stage import Stage
from winnow.engine.stopping import Stop
from winnow.errors import NotReadyError, StorageError, WinnowError
from winnow.fault_point import fault_point
from winnow.storage.store import Store

log = logging.getLogger("winnow")

DIED = "its worker died (killed, out of memory, its node lost, or over compute.unit_timeout_minutes)"
TINY_STAGE_BYTES = 4_000_000
"""A stage with less work than this runs in the driver: the trip to a worker would cost more than the work."""
_WORKERS: dict[Executor, int] = {"inline": 0, "processes": 1, "ray": 2}
"""A run goes from few workers to many, and not back: those that have begun are used."""


STORAGE_WAIT_SECONDS = 0.5
"""How long to wait for a storage that refused, before the second attempt; four times as long before each later one."""


SUSPICIOUS_DEATHS = 2
"""After so many attempts in a row that ended without a word, documents that end their process are looked for."""


class StageFailedError(WinnowError, RuntimeError):
    """Some units of a stage failed for good; everything else is committed."""

    def __init__(self, stage: str, failures: list[Failure], units: int) -> None:
        listed = "\n".join(f"  unit {failure.number}: {failure.message}" for failure in failures[:20])
        more = f"\n  ... and {len(failures) - 20} more" if len(failures) > 20 else ""
        super().__init__(
            f"stage {stage}: {len(failures)} of {units} units failed, everything else is committed; "
            f"mend the cause and run the same command\n{listed}{more}"
        )
        self.failures = failures


@dataclass(frozen=True)
class StageSummary:
    """What one stage did in this run."""

    name: str
    units: int
    reused: int
    seconds: float
    cpu_seconds: float
    work_bytes: int
    output_bytes: int
    peak_memory_mb: float
    swapped_mb: float = 0.0
    """Of the worker that had most of its memory in swap."""
    disk_left: int | None = None
    """Bytes that the run folder's disk had left when it began to compute; None where nobody can tell, or it did not."""


@dataclass
class Engine:
    """Runs stages over one run folder."""

    store: Store
    compute: ComputeConfig
    dry: bool = False
    summaries: list[StageSummary] = field(default_factory=list)
    committed: dict[str, list[Record]] = field(default_factory=dict)
    start_seconds: float = 0.0
    guard: Callable[[], None] = lambda: None
    """Called after every unit; raises when this process must not go on (its lease is lost)."""
    stop: Stop = field(default_factory=Stop)
    """Whether this process was asked to stop."""
    attempt: Attempt | None = None
    """Where it is told how far this attempt has come."""
    surroundings: Json = field(default_factory=dict)
    """What documents are met with: machine, versions, models. Where it changes, quarantined ones are tried again."""
    avoided: set[str] = field(default_factory=set)
    """Nodes whose disks refused something."""
    executor: Executor = "inline"
    """What has done the largest stages so far."""
    executor_told: str = ""
    """The same for people, and why; empty where nothing was computed."""
    released: Released = field(init=False)
    """Outputs that were removed, and are not missed."""
    _said: str = ""
    """How the last attempt of workers ended, if it did not by itself."""
    _told_disk: bool = False
    """Whether it was said that the disk may not do."""

    def __post_init__(self) -> None:
        self.released = Released(self.store)

    def run(
        self, stage: Stage, units: list[Unit], recompute_if: Callable[[Record], bool] = lambda _record: False
    ) -> list[Record]:
        """Records of all units, in unit order and with the numbers of these units.

        Args:
            stage: the stage.
            units: all of its units.
            outdated: committed records for which it holds are computed again.

        Raises:
            StageFailedError: units failed in every attempt.
            NotReadyError: the engine is dry and units are missing.
            ReleasedError: units are missing, and what they need was removed.
            StoppedError: this process was asked to stop, and units are missing.
        """
        stage = self._encrypting(stage)
        keys = {stage.key(unit): unit for unit in units}
        if len(keys) != len(units):
            raise ValueError(f"stage {stage.name}: two units have the same inputs; planning is wrong")
        records = self._load(stage, keys)
        for key in [key for key, record in records.items() if not self.dry and recompute_if(record)]:
            self.store.remove(stage.record_path(key))
            del records[key]
        reused = len(records)
        missing = [unit for key, unit in keys.items() if key not in records]
        if missing:
            self.stop.raise_if_asked(stage.name, reused, len(units))
        if missing and not self.dry:
            self.released.check(stage.name, missing)
            self._start_workers(stage, self._choose(stage, missing))
        if self.dry and missing:
            self._summarise(stage, list(records.values()), len(units), reused, 0.0)
            raise NotReadyError(stage.name)
        if missing:
            fault_point("stage", stage=stage.name)
        if self.attempt is not None:
            if missing:
                keys_missing, sizes = [stage.key(unit) for unit in missing], [unit.work_bytes for unit in missing]
                self.attempt.begin_stage(stage.name, stage.folder, len(units), keys_missing, sizes)
            else:
                self.attempt.reuse_stage(stage.name, stage.folder, len(units))
        ran = bool(missing)
        disk_left = self._disk_left(stage, missing) if missing else None
        started = time.perf_counter()
        failures: dict[int, Failure] = {}
        with StageProgress(stage.name, units, missing) as progress:
            for round_number in range(self.compute.attempts):
                failures = {}
                suspicious = 0 < round_number == self.compute.attempts - 1 or self._died_before()
                doing = replace(stage, isolate=self.surroundings) if suspicious else stage
                for result in self._execute(doing, missing, keys, grouped=round_number == 0):
                    if isinstance(result, Failure):
                        failures[result.number] = result
                        self._avoid(result)
                        where = {"stage": stage.name, "unit": result.number}
                        log.warning("%s unit %d failed: %s", stage.name, result.number, result.message, extra=where)
                        log.debug("%s", result.trace, extra=where)
                    else:
                        records[result.key] = result.compact()
                    self.guard()
                    progress.advance(result)
                missing = [unit for key, unit in keys.items() if key not in records]
                if not missing or self.stop.asked.is_set() or any(f.quarantine for f in failures.values()):
                    break
                if round_number + 1 < self.compute.attempts:
                    log.warning("%s: trying %d units again", stage.name, len(missing), extra={"stage": stage.name})
                    metrics.add("winnow_retries", len(missing), stage.name)
                    if any(failure.storage for failure in failures.values()):
                        self.stop.asked.wait(STORAGE_WAIT_SECONDS * 4**round_number)
        if missing:
            self.stop.raise_if_asked(stage.name, len(units) - len(missing), len(units))
            died = f"{DIED}; {self._said}" if self._said else DIED
            lost = [failures.get(u.number, Failure(u.number, died, "")) for u in missing]
            if self.attempt is not None:
                self.attempt.end_stage([{"number": f.number, "message": f.message} for f in lost])
            raise StageFailedError(stage.name, lost, len(units))
        if ran and self.attempt is not None:
            self.attempt.end_stage([])
        # a record keeps the number of the run that wrote it; this plan may count otherwise
        ordered = [replace(records[key], number=unit.number) for key, unit in keys.items()]
        self.committed[stage.name] = ordered
        self._summarise(stage, ordered, len(units), reused, time.perf_counter() - started, disk_left)
        return ordered

    def release(self, stage: str, output: str) -> None:
        """Remove an output of a committed stage, which no later stage reads; its records still count as done."""
        records = self.committed.get(stage, [])
        if records and not self.dry:
            self.released.add(f"work/{stage}/{records[0].fingerprint}", output)

    def is_done(self, stage: Stage, units: list[Unit]) -> bool:
        """Whether every unit is committed."""
        stage = self._encrypting(stage)
        keys = {stage.key(unit) for unit in units}
        return len(self._load(stage, keys)) == len(keys)

    def listing(self, stage: Stage, records: list[Record], output: str) -> Json:
        """Publish the list of one output of all units, and return a reference to it.

        Reduce units name their inputs by this one file, so that their own descriptions stay small.
        """
        return self.publish_list(stage, output, [record.outputs[output].reference() for record in records])

    def publish_list(self, stage: Stage, name: str, entries: list[Json]) -> Json:
        """Publish a list under the stage's folder, named by its content; returns ``{path, hash}``.

        Raises:
            StorageError: storage refused it in every attempt.
        """
        stage = self._encrypting(stage)
        digest = content_hash(identity(entries))
        path = f"{stage.folder}/{name}-{content_hash(entries, 12)}.listing"
        if not self.dry:
            self._write_list(stage, path, canonical(entries))
        return {"path": path, "hash": digest}

    def _encrypting(self, stage: Stage) -> Stage:
        """The stage as this store has it done: its tables encrypted, where they are to be."""
        encryption = self.store.storage.encryption
        return replace(stage, encrypted_with=self.store.key().id) if encryption and encryption.work else stage

    def _write_list(self, stage: Stage, path: str, content: bytes) -> None:
        """Write a list where it does not stand yet, with the patience that units have."""
        for round_number in range(self.compute.attempts):
            try:
                if not (self.store.exists(path) and self.store.read(path) == content):
                    self.store.replace(path, content)
                return
            except OSError as error:
                where = {"stage": stage.name}
                log.warning("%s: its list cannot be written: %s", stage.name, error, extra=where)
                if round_number + 1 == self.compute.attempts:
                    refused = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
                    raise StorageError(error.errno, f"stage {stage.name}: {refused}") from error
                log.warning("%s: trying its list again", stage.name, extra=where)
                self.stop.asked.wait(STORAGE_WAIT_SECONDS * 4**round_number)

    def _load(self, stage: Stage, keys: Iterable[str]) -> dict[str, Record]:
        """Committed records with these keys; a damaged one, or one whose outputs are gone, does not count."""
        there = set(self.store.list(stage.folder, ".json"))
        committed = [key for key in keys if f"{key}.json" in there]
        found: dict[str, Record | None] = {}
        for key, data in zip(
            committed, self.store.read_all([stage.record_path(key) for key in committed]), strict=True
        ):
            try:
                found[key] = None if data is None else Record.from_json(data).compact()
            except (ValueError, TypeError, KeyError, OverflowError):
                found[key] = None
        outputs = [o for record in found.values() if record is not None for o in record.outputs.values()]
        outputs = [output for output in outputs if not self.released.holds(output.path)]
        gone = self.store.missing((output.path, output.bytes) for output in outputs)
        records = {}
        for key, record in found.items():
            if record is not None and gone.isdisjoint(output.path for output in record.outputs.values()):
                records[key] = record
            elif not self.dry:
                log.warning("%s %s: the record is damaged or an output is gone; computed again", stage.name, key)
                self.store.remove(stage.record_path(key))
        return records

    def _execute(
        self, stage: Stage, units: list[Unit], keys: Iterable[str], *, grouped: bool
    ) -> Iterator[Record | Failure]:
        """Run units; ``grouped`` hands small ones out together, else one that kills its worker harms no other."""
        if not units:
            return
        largest_first = sorted(units, key=lambda unit: (-unit.work_bytes, unit.number))
        executor = self._choose(stage, units)
        if executor == "inline":
            yield from run_inline(stage, largest_first, self.store, self.stop)
            return
        try:
            if executor == "processes":
                yield from run_in_processes(stage, largest_first, self.store, self.compute, self.stop)
                return
            avoid = frozenset(self.avoided)
            yield from run_on_ray(
                stage, largest_first, self.store, self.compute, grouped=grouped, stop=self.stop, avoid=avoid
            )
        except Exception as error:  # noqa: BLE001 - a dead worker ends the Dataset; committed units are found again
            who = "Ray" if executor == "ray" else "this machine"
            self._said = f"{who} said {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            log.warning(
                "%s: %s ended this attempt: %s: %s",
                stage.name,
                who,
                type(error).__name__,
                error,
                extra={"stage": stage.name},
            )
            yield from self._load(stage, keys).values()

    def _avoid(self, failure: Failure) -> None:
        """A node whose disk refuses gets no units any more; where all refuse, it is the storage that they share."""
        if failure.node is not None and failure.node not in self.avoided:
            self.avoided.add(failure.node)
            log.warning("node %s: its disk refuses; it gets no units while others can", host_of(failure.node))

    def _died_before(self) -> bool:
        """Whether the attempts before this one died again and again: perhaps of something they read."""
        return self.attempt is not None and self.attempt.deaths >= SUSPICIOUS_DEATHS

    def _choose(self, stage: Stage, units: list[Unit]) -> Executor:
        """Where these units are done; said once, and again where it becomes more."""
        work = sum(unit.work_bytes for unit in units)
        begun = self.executor == "processes"  # which costs nothing more, while this process has no kernels loaded
        tiny = 0 if begun else TINY_STAGE_BYTES
        chosen, why = choose_executor(self.compute, work, on_gpu=stage.accelerated is not None)
        more = not self.executor_told or _WORKERS[chosen] > _WORKERS[self.executor]
        if more and (self.compute.executor == "auto" or work >= tiny):
            self.executor, self.executor_told = chosen, f"{described(chosen, self.compute)} ({why})"
            log.info("units are done by %s", self.executor_told, extra={"stage": stage.name})
            if self.attempt is not None:
                self.attempt.executor = self.executor_told
        return self.executor if work >= tiny else "inline"

    def _start_workers(self, stage: Stage, executor: Executor) -> None:
        """Join or start Ray, once, or begin processes; how long it takes is told apart from the stages."""
        if executor == "processes":
            begin_processes((stage.run.__module__,))
        if executor != "ray":
            return
        if self.start_seconds == 0:
            started = time.perf_counter()
            tell_start(self.compute.workers)
            modules = (stage.run.__module__,)
            connect_ray(self.compute.workers, self.compute.worker_memory_mb, self.stop, modules)
            check_gpus(self.compute, self.stop)
            prestart_workers(stage, self.compute.workers)
            self.start_seconds = time.perf_counter() - started

    def _disk_left(self, stage: Stage, units: list[Unit]) -> int | None:
        """Bytes free for what a stage is going to write; said at once where they are fewer than it reads."""
        if self.store.is_remote:
            return None
        try:
            left = shutil.disk_usage(self.store.root).free
        except OSError:
            return None
        reads = sum(unit.work_bytes for unit in units)
        if left < reads and not self._told_disk:
            self._told_disk = True
            log.warning(
                "%s: its disk has %.1f GB left, and the stage reads %.1f GB: it may not do", self.store.root,
                left / 1e9, reads / 1e9, extra={"stage": stage.name},
            )  # fmt: skip
        return left

    def _summarise(
        self,
        stage: Stage,
        records: list[Record],
        units: int,
        reused: int,
        seconds: float,
        disk_left: int | None = None,
    ) -> None:
        def measured(name: str) -> list[float]:
            return [record.metrics.get(name, 0.0) for record in records]

        self.summaries.append(
            StageSummary(
                stage.name,
                units,
                reused,
                seconds,
                sum(measured("cpu_seconds")),
                int(sum(measured("work_bytes"))),
                sum(output.bytes for record in records for output in record.outputs.values()),
                max(measured("peak_memory_mb"), default=0.0),
                max(measured("swapped_mb"), default=0.0) if units > reused else 0.0,
                disk_left,
            )
        )
