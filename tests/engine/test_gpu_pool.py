"""GPU fan-out on a machine without one: CPU tasks prepare, actors that hold a pretended GPU finish."""

import logging
import os
import signal
import time

import pyarrow as pa
import pytest

from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine, StageFailedError
from winnow.engine.records import Unit
from winnow.engine.stage import Accelerated, Stage
from winnow.errors import ClusterError
from winnow.storage.local_store import LocalStore

BIG = 10_000_000


def prepare(unit: Unit, workspace) -> pa.Table:
    workspace.store.replace(f"prepared-{unit.number}", b"")
    if unit.inputs.get("bad"):
        raise ValueError("cannot be prepared")
    return pa.table({"n": [unit.inputs["n"]] * 3, "pid": [os.getpid()] * 3})


def finish(unit: Unit, workspace, table: pa.Table) -> None:
    marker = workspace.store.path(f"died-{unit.number}")
    if unit.inputs.get("dies") and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if wanted := unit.inputs.get("waits_for"):  # so many units prepared, or this one never ends
        deadline = time.monotonic() + 60
        while len(list(workspace.store.path(".").glob("prepared-*"))) < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError("nothing is prepared while this unit is computed")
            time.sleep(0.05)
    total = sum(table.column("n").to_pylist())
    workspace.write("sum.txt", lambda draft: draft.write(str(total).encode()) and 1)
    workspace.metadata["gpu"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    workspace.metadata["elsewhere"] = table.column("pid")[0].as_py() != os.getpid()


def both(unit: Unit, workspace) -> None:
    finish(unit, workspace, prepare(unit, workspace))


STAGE = Stage("halves", 1, {}, both, accelerated=Accelerated(prepare, finish))


def run(tmp_path, units, **compute):
    config = ComputeConfig(**{"executor": "ray", "workers": 2, "worker_memory_mb": 256, "attempts": 2} | compute)
    return Engine(LocalStore(str(tmp_path)), config).run(STAGE, units)


def units(count: int, **more) -> list[Unit]:
    return [Unit(n, {"n": n, **more}, BIG) for n in range(count)]


@pytest.mark.slow
def test_halves_run_apart_and_give_what_they_give_together(tmp_path, local_ray):
    apart = run(tmp_path / "apart", units(4))
    together = run(tmp_path / "together", units(4), executor="inline")
    assert [r.outputs["sum"].hash for r in apart] == [r.outputs["sum"].hash for r in together]
    assert all(r.metadata["gpu"] == "0" and r.metadata["elsewhere"] for r in apart)
    assert not any(r.metadata["elsewhere"] for r in together)
    shared = run(tmp_path / "shared", units(4), gpu_share=0.5)
    assert all(r.metadata["elsewhere"] for r in shared)
    without = run(tmp_path / "without", units(4), gpus=0)
    assert not any(r.metadata["elsewhere"] for r in without)


@pytest.mark.slow
def test_an_actor_killed_in_the_middle_of_a_unit_costs_nothing(tmp_path, local_ray):
    records = run(tmp_path, units(3, dies=True))
    assert [r.number for r in records] == [0, 1, 2]
    assert all((tmp_path / f"died-{n}").exists() for n in range(3))


@pytest.mark.slow
def test_a_unit_that_cannot_be_prepared_fails_alone(tmp_path, local_ray):
    mixed = [*units(2), Unit(2, {"n": 2, "bad": True}, BIG)]
    with pytest.raises(StageFailedError, match="cannot be prepared"):
        run(tmp_path, mixed)
    assert len(list((tmp_path / STAGE.folder).glob("*.json"))) == 2


@pytest.mark.slow
def test_units_are_prepared_while_others_are_computed(tmp_path, local_ray, caplog):
    # one pretended GPU, so one actor: its first unit ends only when two more have been prepared
    later = [Unit(n, {"n": n, "waits_for": 3}, BIG) for n in range(4)]
    logging.getLogger("winnow").propagate = True
    with caplog.at_level(logging.WARNING, "winnow"):
        records = run(tmp_path, later, attempts=1)
    assert len(records) == 4
    # the GPU is pretended, and the run says so, once
    assert all(record.metrics["on_gpu"] == 0.0 for record in records)
    # by identity: a handler that another test has left may hold one message twice
    assert len({id(record) for record in caplog.records if "torch sees none" in record.getMessage()}) == 1


@pytest.mark.slow
def test_gpus_that_are_asked_for_and_not_there_are_an_error(tmp_path, local_ray, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(ClusterError, match="no node of the cluster offers a GPU"):
        run(tmp_path, units(2), gpus=2)
    assert len(run(tmp_path, units(2), gpus="auto")) == 2
