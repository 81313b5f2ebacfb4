import errno
import inspect
import os
import signal
from types import SimpleNamespace

import pytest

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.finished import shards_of
from tests.support.small_work import many_units
from winnow.config.config import parse_config
from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine, StageFailedError
from winnow.engine.executors.execute import MOST_GROUPS, group_units
from winnow.engine.executors.hand_over import GATHER_SECONDS, HAND_OVER_SECONDS, LIMITS_SECONDS, FirstReady
from winnow.engine.records import Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.errors import NotReadyError, StorageError
from winnow.runs.run import run
from winnow.stages.tables import read_listing
from winnow.storage.local_store import LocalStore
from winnow.storage.store import Store

BIG = 10_000_000  # over the size at which a stage runs in the driver


def work(unit: Unit, workspace) -> None:
    """A stage for tests: leaves a mark for each attempt, fails or dies as its description says."""
    marks = workspace.store.path("marks")
    marks.mkdir(parents=True, exist_ok=True)
    number = unit.inputs["n"]
    attempts = len(list(marks.glob(f"{number}-*")))
    (marks / f"{number}-{attempts}").touch()
    if attempts < unit.inputs.get("fails", 0):
        raise ValueError(f"unit {number} cannot work yet")
    if attempts < unit.inputs.get("dies", 0):
        os.kill(os.getpid(), signal.SIGKILL)
    workspace.write("out.txt", lambda draft: draft.write(str(number * unit.inputs.get("by", 1)).encode()) and 1)
    workspace.count("n", number)


def marks(store: Store) -> int:
    return len(list(store.path("marks").iterdir()))


def units(count: int, **more) -> list[Unit]:
    return [Unit(n, {"n": n, **more}, BIG) for n in range(count)]


def engine(tmp_path, executor: str = "inline", **compute) -> Engine:
    return Engine(LocalStore(str(tmp_path)), ComputeConfig(executor=executor, **compute))


def test_committed_units_are_never_computed_again(tmp_path):
    first = engine(tmp_path).run(Stage("s", 1, {}, work), units(3))
    assert [record.counters["n"] for record in first] == [0, 1, 2]
    again = engine(tmp_path).run(Stage("s", 1, {}, work), units(4))
    assert marks(LocalStore(str(tmp_path))) == 4
    assert again[:3] == first


@pytest.mark.parametrize("changed", [{"settings": {"x": 1}}, {"version": 2}, {"name": "t"}])
def test_another_fingerprint_is_another_result(tmp_path, changed):
    engine(tmp_path).run(Stage("s", 1, {}, work), units(2))
    stage = {"name": "s", "version": 1, "settings": {}, "run": work} | changed
    engine(tmp_path).run(Stage(**stage), units(2))
    assert marks(LocalStore(str(tmp_path))) == 4


def test_what_changes_no_result_names_no_other_work(tmp_path):
    engine(tmp_path).run(Stage("s", 1, {}, work, {"batch_bytes": 1}), units(2))
    again = engine(tmp_path)
    again.run(Stage("s", 1, {}, work, {"batch_bytes": 2}), units(2))
    assert again.summaries[0].reused == 2


def test_other_content_under_the_same_path_is_other_work(tmp_path):
    def planned(path: str, digest: str) -> list[Unit]:
        return [Unit(0, {"n": 0, "texts": {"path": path, "hash": digest}}, BIG)]

    stage = Stage("s", 1, {}, work)
    (first,) = engine(tmp_path).run(stage, planned("a.parquet", "1"))
    assert engine(tmp_path).run(stage, planned("b.parquet", "1")) == [first]
    assert engine(tmp_path).run(stage, planned("a.parquet", "2")) != [first]


def work_that_is_overtaken(unit: Unit, workspace: Workspace) -> None:
    """Before it commits, somebody else has."""
    workspace.write("out.bin", lambda draft: draft.write(b"x") and 1)
    stage = Stage("s", 1, {}, work_that_is_overtaken)
    theirs = Record("s", stage.fingerprint, stage.key(unit), unit.number, workspace.outputs, {"n": 99})
    assert workspace.store.create_exclusive(stage.record_path(theirs.key), theirs.to_json())


def test_of_two_records_of_one_unit_the_first_counts(tmp_path):
    (record,) = engine(tmp_path).run(Stage("s", 1, {}, work_that_is_overtaken), units(1))
    assert record.counters == {"n": 99}


class RefusingStore(LocalStore):
    """A disk that refuses its first writes."""

    refusals = 0

    def replace(self, relative: str, data: bytes) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EIO, "Input/output error", relative)
        super().replace(relative, data)


def test_a_list_is_written_with_patience(tmp_path, monkeypatch):
    monkeypatch.setattr("winnow.engine.engine.STORAGE_WAIT_SECONDS", 0.0)
    store, stage = RefusingStore(str(tmp_path)), Stage("s", 1, {}, work)
    run = Engine(store, ComputeConfig(executor="inline", attempts=3))
    store.refusals = 2
    listed = run.publish_list(stage, "starts", [{"first": 1}])
    assert read_listing(store, listed) == [{"first": 1}]
    store.refusals = 3
    with pytest.raises(StorageError, match=r"stage s: Input/output error: .*starts-\w+\.listing"):
        run.publish_list(stage, "starts", [{"first": 2}])


def test_a_lost_or_cut_output_is_computed_again(tmp_path):
    run = engine(tmp_path)
    records = run.run(Stage("s", 1, {}, work), units(3))
    run.store.path(records[0].outputs["out"].path).unlink()
    run.store.path(records[1].outputs["out"].path).write_bytes(b"")
    assert engine(tmp_path).run(Stage("s", 1, {}, work), units(3)) != []
    assert marks(run.store) == 5
    assert run.store.read(records[1].outputs["out"].path) == b"1"


def test_failing_units_are_tried_again_and_then_named(tmp_path):
    assert len(engine(tmp_path).run(Stage("s", 1, {}, work), units(2, fails=2))) == 2
    with pytest.raises(
        StageFailedError, match=r"(?s)2 of 2 units failed.*unit 1: ValueError: unit 1 cannot work yet"
    ) as e:
        engine(tmp_path, attempts=2).run(Stage("t", 1, {}, work), units(2, fails=9))
    assert "everything else is committed" in str(e.value).replace("\n", " ")


def test_a_dry_engine_writes_nothing(tmp_path):
    dry = Engine(LocalStore(str(tmp_path / "run")), ComputeConfig(), dry=True)
    with pytest.raises(NotReadyError):
        dry.run(Stage("s", 1, {}, work), units(2))
    assert not (tmp_path / "run").exists()
    assert dry.summaries[0].units == 2
    assert dry.summaries[0].reused == 0


def test_groups_hold_every_unit_once_and_about_the_same_work():
    many = [Unit(n, {"n": n}, (n * 37 % 11 + 1) * 1_000_000) for n in range(100)]
    groups = group_units(many, 2)
    assert sorted(unit.number for group in groups for unit in group) == list(range(100))
    loads = [sum(unit.work_bytes for unit in group) for group in groups]
    assert len(groups) == 12
    assert max(loads) - min(loads) <= 11_000_000
    assert [len(group) for group in group_units(many[:5], 2)] == [1] * 5
    little = [Unit(n, {"n": n}, 700_000) for n in range(10)]
    assert [len(group_units(little, slots)) for slots in (1, 2, 8, 64)] == [1, 2, 8, 10]
    assert len(group_units([Unit(n, {}, 2_000_000) for n in range(10)], 2)) == 5
    assert len(group_units([Unit(n, {"n": n}, 200_000_000) for n in range(50)], 2)) == 40
    assert len(group_units([Unit(n, {}, 256_000_000) for n in range(20_000)], 2)) == MOST_GROUPS


def test_a_record_survives_its_json():
    record = Record("s", "f", "k", 3, {}, {"a": 1}, {"seconds": 0.5}, {"x": [1, 2]})
    assert Record.from_json(record.to_json()) == record


@pytest.mark.slow
@pytest.mark.ray
def test_ray_gives_what_inline_gives(tmp_path, local_ray):
    inline = engine(tmp_path / "inline").run(Stage("s", 1, {}, work), units(5, by=7))
    on_ray = engine(tmp_path / "ray", "ray").run(Stage("s", 1, {}, work), units(5, by=7))
    assert [(r.key, r.outputs, r.counters) for r in inline] == [(r.key, r.outputs, r.counters) for r in on_ray]


@pytest.mark.ray
def test_the_installed_ray_data_is_told_to_hand_over_quickly(tmp_path, local_ray):
    from ray.data._internal.execution import resource_manager, streaming_executor_state

    engine(tmp_path, "ray").run(Stage("s", 1, {}, work), units(2, by=7))
    # another Ray may have renamed it: then the wait between tasks is to be measured again
    assert streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S == HAND_OVER_SECONDS
    assert resource_manager.ResourceManager.GLOBAL_LIMITS_UPDATE_INTERVAL_S == LIMITS_SECONDS
    assert isinstance(streaming_executor_state.ray, FirstReady)
    assert "ray.wait(" in inspect.getsource(streaming_executor_state.process_completed_tasks)


def test_the_first_task_to_end_is_noticed_at_once_and_others_with_it():
    asked = []

    def wait(tasks, *, num_returns, timeout, fetch_local):
        asked.append((num_returns, timeout, fetch_local))
        ready = tasks[: 2 if len(asked) == 2 else first]
        return ready, tasks[len(ready) :]

    ray = FirstReady(SimpleNamespace(wait=wait, other=3))
    first = 1
    assert ray.wait(["a", "b", "c"], num_returns=3, timeout=0.05, fetch_local=False) == (["a", "b"], ["c"])
    assert asked == [(1, 0.05, False), (3, pytest.approx(GATHER_SECONDS, rel=0.01), False)]
    assert ray.other == 3
    asked, first = [(0, 0, 0)] * 2, 0
    assert ray.wait(["a", "b"], num_returns=2, timeout=0.05, fetch_local=False) == ([], ["a", "b"])
    assert len(asked) == 3  # nothing has ended: one look was enough
    asked, first = [], 1
    ray.wait(["a"] * 8000, num_returns=8000, timeout=0.05, fetch_local=False)
    assert asked[-1] == (8000, HAND_OVER_SECONDS, False)  # a look over so many takes the driver longer


@pytest.mark.ray
def test_ray_reports_failures_and_survives_dead_workers(tmp_path, local_ray):
    records = engine(tmp_path, "ray").run(Stage("s", 1, {}, work), units(3, dies=1))
    assert len(records) == 3
    with pytest.raises(StageFailedError, match="unit 0: ValueError"):
        engine(tmp_path / "t", "ray", attempts=1).run(Stage("t", 1, {}, work), units(2, fails=9))


@pytest.mark.ray
def test_a_run_on_ray_has_the_bytes_of_one_in_this_process(tmp_path, local_ray, monkeypatch):
    """Here, where there is a Ray: a start of it takes seconds."""
    monkeypatch.setattr("winnow.engine.engine.TINY_STAGE_BYTES", 0)  # every stage goes to the workers
    write_sample(tmp_path / "data")
    run(parse_config(sample_config(tmp_path / "data", tmp_path / "inline")))
    many_units(monkeypatch, 80_000)
    on_ray = sample_config(tmp_path / "data", tmp_path / "ray", compute={"executor": "ray", "workers": 2})
    assert len(run(parse_config(on_ray)).run.parts) > 3
    assert shards_of(tmp_path / "ray") == shards_of(tmp_path / "inline")


@pytest.mark.ray
@pytest.mark.slow
def test_a_unit_that_kills_its_worker_every_time_ends_the_run_and_spares_the_others(tmp_path, local_ray):
    poisoned = [Unit(n, {"n": n, **({"dies": 99} if n == 1 else {})}, BIG) for n in range(4)]
    with pytest.raises(
        StageFailedError, match="1 of 4 units failed(?s:.*)unit 1: its worker died .*; Ray said WorkerCrashedError"
    ):
        engine(tmp_path, "ray", attempts=2).run(Stage("s", 1, {}, work), poisoned)
