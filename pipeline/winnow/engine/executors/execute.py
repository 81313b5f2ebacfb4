"""Fan-out: the same function over units, on Ray Data or in this process.

Only descriptions, records and counters travel. A unit that raises comes back as a failure, not as an exception, so
that the others go on.
"""

import contextlib
import errno
import heapq
import logging
import secrets
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from winnow.engine.config import ComputeConfig
from winnow.engine.executors import private_ray
from winnow.engine.executors.connect import connect_ray, slots
from winnow.engine.executors.demand import Bundle, Demand, asked_for, joins_cluster
from winnow.engine.executors.forking import call
from winnow.engine.executors.gpu_pool import ON_GPU, gpu_actors, most_actors, on_gpus
from winnow.engine.executors.hand_over import hand_over_quickly
from winnow.engine.executors.lean_data import leave_out_actors
from winnow.engine.executors.lost_ray import watched
from winnow.engine.executors.stuck_workers import kill_stuck_workers, report_current_unit
from winnow.engine.records import Record, Unit
from winnow.engine.stage import Stage, run_unit
from winnow.engine.stopping import Stop
from winnow.errors import QuarantineError, StorageError
from winnow.fault_point import fault_point
from winnow.storage.store import TEMPORARY_PREFIX, Store

log = logging.getLogger("winnow")

WITHOUT_GPU = (
    "an actor holds a GPU of Ray's, but torch sees none there, so it computes on CPU; look for the node's driver and a "
    "build of torch with CUDA, or write `compute.gpus: 0`"
)


DEAD_WORKER_RETRIES = 2
"""How often Ray starts a unit again whose worker died; its own default is for ever, so a unit that kills its worker
each time would never end."""


@dataclass(frozen=True)
class Failure:
    """A unit that raised: what to tell the user, and where it happened."""

    number: int
    message: str
    trace: str
    storage: bool = False
    """Storage refused something: it may be there again in a moment."""
    quarantine: bool = False
    """Documents were quarantined: the unit is to be planned again without them."""
    node: str | None = None
    """Ray's name of the node whose storage refused something, if it was one."""


def attempt(stage: Stage, unit: Unit, store: Store) -> Record | Failure:
    """Run one unit; an exception becomes a Failure."""
    try:
        return run_unit(stage, unit, store)
    except Exception as error:  # noqa: BLE001 - reported by unit, retried, and fails the run in the end
        message = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        kinds = isinstance(error, OSError), isinstance(error, QuarantineError)
        return Failure(unit.number, message, traceback.format_exc(), *kinds, _full_node(error))


def _full_node(error: Exception) -> str | None:
    """The node of this worker, where its own disk may be what is full, and not the storage that all share."""
    if not isinstance(error, OSError) or isinstance(error, StorageError) or error.errno not in LOCAL_FAULTS:
        return None
    ray: Any = sys.modules.get("ray")
    in_worker = ray is not None and ray.is_initialized() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE
    return str(ray.get_runtime_context().get_node_id()) if in_worker else None


def run_inline(stage: Stage, units: list[Unit], store: Store, stop: Stop | None = None) -> Iterator[Record | Failure]:
    """Units one after another in this process, until it is asked to stop."""
    for unit in units:
        if stop is not None and stop.asked.is_set():
            return
        yield attempt(stage, unit, store)


STOP_LOOK_SECONDS = 0.2
"""How soon the thread that waits for a stop sees that there is nothing to wait for any more."""
LOCAL_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a full disk gives; from the store it comes as a StorageError, and is no fault of a node's."""
GROUPS_A_SLOT = 6
LEAST_GROUP_BYTES = 4_000_000
"""Unless each slot has a group, none is made of less work: to hand one over costs a slot what this much work does."""
GROUP_BYTES = 256_000_000
GROUP_BYTES_WHERE_NODES_JOIN = 64_000_000
"""A group is done by one worker, so it may not hold what a node that joins later could have done."""


MOST_GROUPS = 8_192
"""Of one stage. Ray Data holds 15 KB for each in the driver and takes milliseconds to make it, before any unit begins
(docs/performance.md, Many units); so many keep 512 workers even."""


def group_units(units: list[Unit], num_slots: int, group_bytes: int = GROUP_BYTES) -> list[list[Unit]]:
    """Groups of about equal work, largest first.

    Between two tasks a worker waits for Ray Data to hand it the next, so units of a second or less are handed out
    several at a time: six groups a slot, or as many as keep a group under ``group_bytes``, whichever is more, but of
    the latter no more than MOST_GROUPS, and none under LEAST_GROUP_BYTES while each slot has one.
    """
    work = sum(unit.work_bytes for unit in units)
    most = max(num_slots, work // LEAST_GROUP_BYTES)
    number = min(len(units), most, max(GROUPS_A_SLOT * num_slots, min(-(-work // group_bytes), MOST_GROUPS)))
    groups: list[list[Unit]] = [[] for _ in range(number)]
    loads = [(0, index) for index in range(number)]  # a heap: the lightest group takes the next unit
    for unit in sorted(units, key=lambda unit: (-unit.work_bytes, unit.number)):
        load, index = heapq.heappop(loads)
        groups[index].append(unit)
        heapq.heappush(loads, (load + unit.work_bytes, index))
    return sorted(groups, key=lambda group: (-sum(unit.work_bytes for unit in group), group[0].number))


@cache
def _load_numba_beside() -> None:
    """Small work is done by this process itself, whose first kernel loads numba: half a second, for which nobody waits
    while the first units are at work."""
    threading.Thread(target=call, args=("winnow.numeric.kernel_files",), name="numba", daemon=True).start()


def run_on_ray(
    stage: Stage,
    units: list[Unit],
    store: Store,
    config: ComputeConfig,
    *,
    grouped: bool,
    stop: Stop,
    avoid: frozenset[str] = frozenset(),
) -> Iterator[Record | Failure]:
    """Units as one-row blocks through Ray Data, or small groups of units; results in order of completion.

    When this process is asked to stop, workers finish the units they are at and begin no others.

    A worker that dies (kill -9, out of memory) is retried by Ray; after that the Dataset fails and with it this
    attempt: what was committed stays, the engine plans the rest again.

    Nodes in ``avoid`` get no units, unless there are no others.
    """
    import ray  # noqa: PLC0415
    import ray.data  # noqa: PLC0415

    connect_ray(config.workers, config.worker_memory_mb, stop)
    hand_over_quickly()
    _load_numba_beside()
    if private_ray.is_ours():
        leave_out_actors()
    context = ray.data.DataContext.get_current()
    context.print_on_execution_start = False
    context.memory_usage_poll_interval_s = None  # else a thread a task measures memory that nobody asks for
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # map_batches has no named argument for max_retries yet; 2.60 only announces the end of the present way
    warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
    context.max_errored_blocks = 0
    context.execution_no_progress_timeout_s = 24 * 3600  # a unit of a huge compressed file may take hours
    on_gpu = stage.accelerated is not None and gpu_actors(config) > 0
    grows = config.workers == "auto" and joins_cluster()
    tasks = slots(config.workers)
    group_bytes = GROUP_BYTES_WHERE_NODES_JOIN if grows else GROUP_BYTES
    groups = group_units(units, tasks, group_bytes) if grouped and not on_gpu else [[unit] for unit in units]
    rows = [{"units": [orjson.dumps(unit) for unit in group]} for group in groups]
    timeout = None if config.unit_timeout_minutes is None else config.unit_timeout_minutes * 60
    marker = f"{TEMPORARY_PREFIX}stop-{secrets.token_hex(8)}"
    dataset: Any = ray.data.from_items(rows, override_num_blocks=len(rows))
    tasks = len(rows) if grows else min(tasks, len(rows))
    needs: list[tuple[Bundle, int]] = [({"CPU": 1}, tasks)]
    if on_gpu:
        needs.append(({"GPU": config.gpu_share}, most_actors(config)))
    demand = Demand(len(units), needs)
    if on_gpu:
        dataset = on_gpus(dataset, stage, store, marker, config, len(rows), tasks, DEAD_WORKER_RETRIES)
    else:
        dataset = dataset.map_batches(
            _RunBatch(stage, store, marker, report_current_unit=timeout is not None),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.TaskPoolStrategy(size=tasks),
            num_cpus=1,
            memory=config.worker_memory_mb * 1_000_000,
            max_retries=DEAD_WORKER_RETRIES,
            label_selector=_elsewhere(avoid),
        )
    warned = not on_gpu
    with (
        watched(),
        _marked_when_asked(stop, store, marker),
        kill_stuck_workers(store, timeout),
        asked_for(demand),
    ):
        for row in dataset.iter_rows():
            encoded = orjson.loads(row["outcome"])
            if encoded["kind"] == "stopped":
                continue
            outcome = _outcome(encoded)
            demand.left -= 1
            if not warned and isinstance(outcome, Record) and outcome.metrics.get(ON_GPU) == 0:
                warned = True
                log.warning("%s: %s", stage.name, WITHOUT_GPU, extra={"stage": stage.name})
            yield outcome


def _elsewhere(avoid: frozenset[str]) -> dict[str, str] | None:
    """What a node must be to get units: none of those to avoid, if that leaves one with cores."""
    if not avoid:
        return None
    import ray  # noqa: PLC0415 - it is loaded

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    usable = {node["NodeID"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1}
    avoid &= usable
    return {"ray.io/node-id": f"!in({','.join(sorted(avoid))})"} if avoid and usable - avoid else None


@contextlib.contextmanager
def _marked_when_asked(stop: Stop, store: Store, marker: str) -> Iterator[None]:
    """Create a file as soon as this process is asked to stop: workers on all nodes see it before their next unit.

    The thread that waits is not waited for: a stage would end up to STOP_LOOK_SECONDS later. The lock sees to it that
    it creates nothing once the block has ended.
    """
    over, creating = threading.Event(), threading.Lock()

    def watch() -> None:
        while not over.is_set():
            if stop.asked.wait(STOP_LOOK_SECONDS):
                with creating:
                    if not over.is_set():
                        store.create_exclusive(marker, b"")
                return

    threading.Thread(target=watch, daemon=True, name="stop").start()
    try:
        yield
    finally:
        with creating:
            over.set()
        store.remove(marker)


class _RunBatch:
    """The function that Ray Data maps: one row, one group of units."""

    def __init__(self, stage: Stage, store: Store, marker: str, *, report_current_unit: bool) -> None:
        self.report_current_unit = report_current_unit
        self.stage = stage
        self.store = store
        self.marker = marker

    @property
    def __name__(self) -> str:
        return f"winnow_{self.stage.name}"

    def __call__(self, batch: Any) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        pa.set_cpu_count(1)  # one core means one core: Arrow's pool would fight the other workers
        fault_point("group", stage=self.stage.name)
        outcomes = []
        store = self.store
        for encoded in batch.column("units").to_pylist()[0]:
            if store.exists(self.marker):
                break
            unit = Unit(**orjson.loads(encoded))
            with (
                report_current_unit(store, self.stage.name, unit.number)
                if self.report_current_unit
                else contextlib.nullcontext()
            ):
                result = attempt(self.stage, unit, store)
            kind = "record" if isinstance(result, Record) else "failure"
            outcomes.append(orjson.dumps({"kind": kind, "value": result}))
        return pa.table({"outcome": pa.array(outcomes, pa.binary())})


def _outcome(encoded: dict[str, Any]) -> Record | Failure:
    if encoded["kind"] == "record":
        return Record.from_json(orjson.dumps(encoded["value"]))
    return Failure(**encoded["value"])
