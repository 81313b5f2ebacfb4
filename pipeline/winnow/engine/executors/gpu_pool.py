"""Fan-out of stages that can use GPUs: CPU tasks prepare units, actors that each hold a GPU (or a share) finish them.

What travels between the two goes through Ray's object store, a table a unit; the actors take the next unit while they
compute one, so a GPU does not wait for text to be read. On a cluster without GPUs nothing of this is used: the same two
functions run one after the other in ordinary tasks.
"""

import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import orjson
import pyarrow as pa

from winnow.engine.executors.demand import await_nodes, can_start, joins_cluster
from winnow.engine.records import Record, Unit
from winnow.engine.stage import Stage, run_unit, workspace_of
from winnow.engine.stopping import Stop
from winnow.errors import ClusterError, QuarantineError
from winnow.storage.store import Store

if TYPE_CHECKING:
    from winnow.engine.config import ComputeConfig

ON_GPU = "on_gpu"
"""Measure of a record: 1 where torch saw the GPU that Ray had given to the actor."""
UNITS_IN_FLIGHT = 2
"""Units that an actor has at hand: the one it computes and the next."""


def gpu_actors(config: "ComputeConfig") -> int:
    """Actors that the cluster has room for, at most as many as the config asks for. Ray must be connected."""
    import ray  # noqa: PLC0415

    if config.gpus == 0:
        return 0
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    room = int(resources.get("GPU", 0.0) / config.gpu_share + 1e-9)
    return room if config.gpus == "auto" else min(config.gpus, room)


def most_actors(config: "ComputeConfig") -> int:
    """Actors that there may be when a cluster has grown."""
    if not joins_cluster():
        return gpu_actors(config)
    return 1 << 20 if config.gpus == "auto" else config.gpus


def check_gpus(config: "ComputeConfig", stop: Stop) -> None:
    """Look whether the GPUs that the config asks for are there at all. Ray must be connected.

    Where an autoscaler may start a node with some, this waits for one, and says so.

    Raises:
        ClusterError: they are not; days on CPUs are not what was asked for.
    """
    if config.gpus in ("auto", 0) or gpu_actors(config) > 0:
        return
    if can_start("GPU"):
        await_nodes("GPU", {"GPU": config.gpu_share}, stop)
    elif not stop.asked.is_set():
        raise ClusterError(
            f"compute.gpus is {config.gpus}, but no node of the cluster offers a GPU to Ray and no "
            "autoscaler may start one that does; write `gpus: auto` to use what there is, or `gpus: 0` for CPUs"
        )


def on_gpus(
    dataset: Any,
    stage: Stage,
    store: Store,
    marker: str,
    config: "ComputeConfig",
    units: int,
    tasks: int,
    retries: int,
) -> Any:
    """A dataset of outcomes from one of units: two maps, tasks and then actors.

    Args:
        dataset: one row a unit, column ``units``.
        stage: one with two halves.
        store: the run folder.
        marker: workers begin no unit once this file exists.
        config: of the run.
        units: rows of the dataset.
        tasks: units prepared at the same time.
        retries: of a unit whose worker or actor died.
    """
    import ray  # noqa: PLC0415

    prepared = dataset.map_batches(
        PrepareUnit(stage, store, marker),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(size=tasks),
        num_cpus=1,
        memory=config.worker_memory_mb * 1_000_000,
        max_retries=retries,
    )
    return prepared.map_batches(
        FinishUnit,
        fn_constructor_args=(stage, store),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(
            min_size=min(units, gpu_actors(config)),
            max_size=min(units, most_actors(config)),
            max_tasks_in_flight_per_actor=UNITS_IN_FLIGHT,
        ),
        num_gpus=config.gpu_share,
        num_cpus=0,
        max_restarts=retries,
        max_task_retries=retries,
    )


class PrepareUnit:
    """The CPU half: a row with a unit becomes a row with the unit and its prepared table, or with its outcome."""

    def __init__(self, stage: Stage, store: Store, marker: str) -> None:
        self.stage = stage
        self.store = store
        self.marker = marker

    @property
    def __name__(self) -> str:
        return f"winnow_prepare_{self.stage.name}"

    def __call__(self, batch: Any) -> Any:
        """Rows in, rows out: columns ``unit``, ``prepared`` (Arrow IPC), ``outcome`` (empty until there is one)."""
        pa.set_cpu_count(1)
        (encoded,) = batch.column("units").to_pylist()[0]
        unit, store = Unit(**orjson.loads(encoded)), self.store
        prepared, outcome = b"", b""
        done = self.stage.record_path(self.stage.key(unit))
        if store.exists(self.marker):
            outcome = orjson.dumps({"kind": "stopped"})
        elif store.exists(done):
            outcome = orjson.dumps({"kind": "record", "value": Record.from_json(store.read(done))}, dict)
        else:
            assert self.stage.accelerated is not None
            try:
                table = self.stage.accelerated.prepare(unit, workspace_of(self.stage, unit, store))
                prepared = _to_bytes(table)
            except Exception as error:  # noqa: BLE001 - reported by unit, like a failure of the other half
                outcome = failure(unit, error)
        return pa.table(
            {
                "unit": pa.array([encoded], pa.binary()),
                "prepared": pa.array([prepared], pa.large_binary()),
                "outcome": pa.array([outcome], pa.binary()),
            }
        )


class FinishUnit:
    """The half with the model: one instance an actor, so the model is loaded once."""

    def __init__(self, stage: Stage, store: Store) -> None:
        self.stage = stage
        self.store = store
        self.on_gpu = _sees_gpu()

    def __call__(self, batch: Any) -> Any:
        """Rows of :class:`PrepareUnit` in, rows with outcomes out."""
        pa.set_cpu_count(1)
        outcome = cast(bytes, batch.column("outcome")[0].as_py())
        if not outcome:
            unit = Unit(**orjson.loads(batch.column("unit")[0].as_py()))
            table = pa.ipc.open_stream(batch.column("prepared")[0].as_buffer()).read_all()
            try:
                record = run_unit(self.stage, unit, self.store, table)
                record = replace(record, metrics={**record.metrics, ON_GPU: float(self.on_gpu)})
                outcome = orjson.dumps({"kind": "record", "value": record}, dict)
            except Exception as error:  # noqa: BLE001 - reported by unit, retried, and fails the run in the end
                outcome = failure(unit, error)
        return pa.table({"outcome": pa.array([outcome], pa.binary())})


def _sees_gpu() -> bool:
    """What this actor really has: a driver, or a build of torch, may be missing on its node."""
    try:
        import torch  # noqa: PLC0415 - optional
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def failure(unit: Unit, error: Exception) -> bytes:
    """The outcome of a unit that raised."""
    value = {
        "number": unit.number,
        "message": f"{type(error).__name__}: {error}",
        "trace": traceback.format_exc(),
        "storage": isinstance(error, OSError),
        "quarantine": isinstance(error, QuarantineError),
    }
    return orjson.dumps({"kind": "failure", "value": value})


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return cast(bytes, sink.getvalue().to_pybytes())
