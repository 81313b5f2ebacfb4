"""A run whose lease is taken away in the middle of a stage ends there, and publishes nothing."""

import orjson
import pytest

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.small_work import many_units
from winnow.config.config import parse_config
from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine
from winnow.engine.executors import execute
from winnow.engine.lease import LEASE, hold_lease
from winnow.engine.records import Unit
from winnow.engine.stage import Stage
from winnow.errors import LeaseHeldError
from winnow.runs.run import run
from winnow.storage.local_store import LocalStore

OTHER = {"host": "elsewhere", "pid": 1, "started": None, "token": "of another run", "expires": 4e9}


def compare_and_swap(store) -> None:
    """What another run does after this one stood still for a minute."""
    store.replace(LEASE, orjson.dumps(OTHER))


def losing_work(unit, workspace) -> None:
    if unit.number == 1:
        compare_and_swap(workspace.store)
    workspace.write("out.bin", lambda draft: draft.write(b"x") and 1)


def test_the_guard_is_asked_after_every_unit(tmp_path):
    store = LocalStore(str(tmp_path))
    stage = Stage("s", 1, {}, losing_work)
    units = [Unit(number, {"n": number}, 10 - number) for number in range(4)]
    with pytest.raises(LeaseHeldError, match="another one took the folder over"), hold_lease(store) as lease:
        Engine(store, ComputeConfig(executor="inline"), guard=lease.check).run(stage, units)
    assert len(store.list(stage.folder, ".json")) == 2  # units 0 and 1; unit 2 never began
    assert orjson.loads(store.read(LEASE)) == OTHER  # and it is not released in the other's name


@pytest.mark.parametrize("stage", ["filter", "tokenise", "shards"])
def test_a_run_ends_in_the_stage_in_which_it_lost_its_folder(tmp_path, monkeypatch, stage):
    run_unit, ran = execute.run_unit, []
    many_units(monkeypatch)

    def watched(doing, unit, store, *more):
        record = run_unit(doing, unit, store, *more)
        ran.append(doing.name)
        if doing.name == stage and ran.count(stage) == 1:
            compare_and_swap(store)
        return record

    monkeypatch.setattr(execute, "run_unit", watched)
    write_sample(tmp_path / "data", 40)
    with pytest.raises(LeaseHeldError, match="another one took the folder over"):
        run(parse_config(sample_config(tmp_path / "data", tmp_path / "run")))
    assert ran.count(stage) == 1 and ran[-1] == stage
    assert not (tmp_path / "run/state.json").exists()
    assert not list((tmp_path / "run").glob("shards/*/manifest.json"))


def test_a_run_that_lost_its_folder_after_the_last_unit_publishes_nothing(tmp_path, monkeypatch):
    from winnow.runs import run as run_module

    manifest_of = run_module.manifest_of

    def lose_and_describe(records):
        compare_and_swap(records.store)
        return manifest_of(records)

    monkeypatch.setattr(run_module, "manifest_of", lose_and_describe)
    write_sample(tmp_path / "data", 40)
    with pytest.raises(LeaseHeldError, match="another one took the folder over"):
        run(parse_config(sample_config(tmp_path / "data", tmp_path / "run")))
    assert not (tmp_path / "run/state.json").exists()
    assert not list((tmp_path / "run").glob("shards/*/manifest.json"))
