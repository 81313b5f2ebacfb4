"""Fan-out: the same function over units, on Ray Data or in this process.

Only descriptions, records and counters travel. A unit that raises comes back as a failure, not as an exception, so
that the others go on.
"""

import heapq
import logging
import os
import socket
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from pipeline.engine import private_ray
from pipeline.engine.records import Record, Unit
from pipeline.engine.stage import Stage, run_unit
from pipeline.section import Section


class ComputeConfig(Section):
    """How and where the work is done. Nothing here changes a byte of the result."""

    executor: Literal["ray", "inline"] = "ray"
    """`ray` fans units out over the cluster or this machine; `inline` runs them one after another in this process."""
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Units at the same time; `auto` is one a core of the cluster."""
    worker_memory_mb: int = Field(2048, ge=256)
    """Memory a worker may use; batches are sized from it, and Ray places workers by it."""
    unit_mb: int = Field(64, ge=1)
    """Raw input a unit takes, in MB: larger units cost less overhead, smaller ones spread and resume better."""
    partition_mb: int = Field(256, ge=1)
    """Target size of one exchange partition, in MB; a reduce unit holds one in memory."""
    attempts: int = Field(3, ge=1)
    """How often a failing unit is tried before the run fails."""
    max_unreadable_share: float = Field(0.01, ge=0, le=1)
    """The run fails (exit code 2) when a larger share of the records, or of the input bytes, cannot be read."""


class ClusterError(RuntimeError):
    """The cluster cannot run this config's workers."""


DEAD_WORKER_RETRIES = 2
"""How often Ray starts a unit again whose worker died; its own default is for ever, so a unit that kills its worker
each time would never end."""


@dataclass(frozen=True)
class Failure:
    """A unit that raised: what to tell the user, and where it happened."""

    number: int
    message: str
    trace: str


def attempt(stage: Stage, unit: Unit, store_root: str) -> Record | Failure:
    """Run one unit; an exception becomes a Failure."""
    try:
        return run_unit(stage, unit, store_root)
    except Exception as error:  # noqa: BLE001 - reported by unit, retried, and fails the run in the end
        return Failure(unit.number, f"{type(error).__name__}: {error}", traceback.format_exc())


def run_inline(stage: Stage, units: list[Unit], store_root: str) -> Iterator[Record | Failure]:
    """Units one after another in this process."""
    for unit in units:
        yield attempt(stage, unit, store_root)


def connect_ray(config: ComputeConfig) -> None:
    """Join the cluster that RAY_ADDRESS names (``ray job submit`` sets it), or start Ray on this machine."""
    if os.environ.get("RAY_ADDRESS"):
        _join_cluster(os.environ["RAY_ADDRESS"])
    else:
        private_ray.finish_start(private_cores(config.workers))
    import ray  # noqa: PLC0415 - it is loaded

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    offered = max((node["Resources"].get("memory", 0) for node in nodes if node["Alive"]), default=0)
    if offered < config.worker_memory_mb * 1_000_000:
        raise ClusterError(
            f"compute.worker_memory_mb ({config.worker_memory_mb:,}) is more than any node offers to Ray "
            f"({offered / 1e6:,.0f} MB); lower it or use larger nodes"
        )


def private_cores(workers: int | Literal["auto"]) -> int:
    """Cores of a Ray on this machine: one a worker."""
    return workers if isinstance(workers, int) else os.cpu_count() or 1


def _join_cluster(address: str) -> None:
    private_ray.quiet_ray_environment()
    import ray  # noqa: PLC0415 - takes a second that `inline` and `--help` need not pay

    if not ray.is_initialized():
        _reach(address)
        ray.init(configure_logging=True, logging_level=logging.ERROR, log_to_driver=False)


def _reach(address: str) -> None:
    """Say within seconds when nobody is at the cluster's address; Ray itself would try for a long time."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return  # `auto` and the like: Ray knows
    try:
        socket.create_connection((host, int(port)), timeout=20).close()
    except OSError as error:
        raise ClusterError(
            f"RAY_ADDRESS is {address}, but nobody answers there ({error}); start the cluster, correct the address, or "
            "unset RAY_ADDRESS to use this machine"
        ) from error


def prestart_workers(stage: Stage, config: ComputeConfig) -> None:
    """Let workers start and load what the stage needs while the driver still prepares the work. Does not wait."""
    import ray  # noqa: PLC0415

    if stage.prepare is not None:
        prepare = ray.remote(num_cpus=1)(stage.prepare)
        for _ in range(slots(config)):
            prepare.remote(stage.settings)


def slots(config: ComputeConfig) -> int:
    """Units at the same time: as configured, or one a core of the cluster."""
    import ray  # noqa: PLC0415

    if isinstance(config.workers, int):
        return config.workers
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


HAND_OVER_SECONDS = 0.05
"""How long Ray Data's loop sleeps at most before it looks for finished tasks. Its own 0.1 s, once or twice a task,
left workers idle for 0.15 s between tasks; at 0.05 s it is 0.06 s. Looking more often costs more than it brings."""


LIMITS_SECONDS = 0.1
"""How old what Ray Data knows of the cluster may be. It begins with nothing, and with its own 1 s each stage ran
one task for its first second, however large the cluster."""


def _hand_over_quickly() -> None:
    """Ray Data has no settings for these: constants of the tested Ray versions, left alone where they are gone."""
    from ray.data._internal.execution import resource_manager, streaming_executor_state  # noqa: PLC0415 - as ray itself

    if hasattr(streaming_executor_state, "WAIT_FOR_TASK_COMPLETION_TIMEOUT_S"):
        streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S = HAND_OVER_SECONDS
    manager: Any = resource_manager.ResourceManager
    if hasattr(manager, "GLOBAL_LIMITS_UPDATE_INTERVAL_S"):
        manager.GLOBAL_LIMITS_UPDATE_INTERVAL_S = LIMITS_SECONDS


GROUPS_A_SLOT = 6
GROUP_BYTES = 256_000_000


def group_units(units: list[Unit], num_slots: int) -> list[list[Unit]]:
    """Groups of about equal work, largest first.

    Between two tasks a worker waits for Ray Data to hand it the next, so units of a second or less are handed out
    several at a time: six groups a slot, or as many as keep a group under 256 MB, whichever is more.
    """
    work = sum(unit.work_bytes for unit in units)
    number = min(len(units), max(GROUPS_A_SLOT * num_slots, -(-work // GROUP_BYTES)))
    groups: list[list[Unit]] = [[] for _ in range(number)]
    loads = [(0, index) for index in range(number)]  # a heap: the lightest group takes the next unit
    for unit in sorted(units, key=lambda unit: (-unit.work_bytes, unit.number)):
        load, index = heapq.heappop(loads)
        groups[index].append(unit)
        heapq.heappush(loads, (load + unit.work_bytes, index))
    return sorted(groups, key=lambda group: (-sum(unit.work_bytes for unit in group), group[0].number))


def run_on_ray(
    stage: Stage, units: list[Unit], store_root: str, config: ComputeConfig, *, grouped: bool
) -> Iterator[Record | Failure]:
    """Units as one-row blocks through Ray Data, or small groups of units; results in order of completion.

    A worker that dies (kill -9, out of memory) is retried by Ray; after that the Dataset fails and with it this
    attempt: what was committed stays, the engine plans the rest again.
    """
    import ray  # noqa: PLC0415
    import ray.data  # noqa: PLC0415

    connect_ray(config)
    _hand_over_quickly()
    context = ray.data.DataContext.get_current()
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # map_batches has no named argument for max_retries yet; 2.60 only announces the end of the present way
    warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
    context.max_errored_blocks = 0
    context.execution_no_progress_timeout_s = 24 * 3600  # a unit of a huge compressed file may take hours
    groups = group_units(units, slots(config)) if grouped else [[unit] for unit in units]
    rows = [{"units": [orjson.dumps(unit) for unit in group]} for group in groups]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _RunBatch(stage, store_root),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(size=min(slots(config), len(rows))),
        num_cpus=1,
        memory=config.worker_memory_mb * 1_000_000,
        max_retries=DEAD_WORKER_RETRIES,
    )
    for row in dataset.iter_rows():
        yield _outcome(orjson.loads(row["outcome"]))


class _RunBatch:
    """The function that Ray Data maps: one row, one group of units."""

    def __init__(self, stage: Stage, store_root: str) -> None:
        self.stage = stage
        self.store_root = store_root

    @property
    def __name__(self) -> str:
        return f"winnow_{self.stage.name}"

    def __call__(self, batch: Any) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        pa.set_cpu_count(1)  # one core means one core: Arrow's pool would fight the other workers
        outcomes = []
        for encoded in batch.column("units").to_pylist()[0]:
            result = attempt(self.stage, Unit(**orjson.loads(encoded)), self.store_root)
            kind = "record" if isinstance(result, Record) else "failure"
            outcomes.append(orjson.dumps({"kind": kind, "value": result}))
        return pa.table({"outcome": pa.array(outcomes, pa.binary())})


def _outcome(encoded: dict[str, Any]) -> Record | Failure:
    if encoded["kind"] == "record":
        return Record.from_json(orjson.dumps(encoded["value"]))
    return Failure(**encoded["value"])
