"""One trial over two workers of Ray Train: the figures of one worker, to rounding, also when a worker is killed."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")
pytest.importorskip("scipy", reason="scipy is not installed (extra `ablate`)")

from tests.ablate.plans import write_plan
from tests.ablate.small_arms import run_of, two_arms
from tests.support import fault_hooks
from winnow.ablate.plan import Plan, load_plan
from winnow.errors import ClusterError, ConfigError
from winnow.storage.open_store import open_store

SMALL = ["train.tokens=8192", "train.seeds=1"]


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    return two_arms(tmp_path_factory.mktemp("arms"))


def plan_of(folder, *overrides):
    plan = write_plan(folder, arms=[{"name": "ka"}, {"name": "su"}])
    return load_plan(str(plan), Plan, [*SMALL, *overrides])


def test_workers_that_cannot_share_a_step_are_refused(arms, tmp_path):
    with pytest.raises(ConfigError, match=r"train\.workers is 3, and a step has 8 rows of 32 tokens"):
        run_of(plan_of(tmp_path, "train.workers=3"), arms)


def of(found):
    return {(row.set, row.arm): row.estimate.values for row in found.results.rows}


@pytest.mark.slow
@pytest.mark.ray
def test_two_workers_give_the_figures_of_one(arms, tmp_path, local_ray):
    one = run_of(plan_of(tmp_path / "one"), arms)
    plan = plan_of(tmp_path / "two", "train.workers=2", "compute.gpus=0")
    two = run_of(plan, arms)
    assert "2 workers, 1 core(s) each" in two.cost
    for key, values in of(two).items():
        assert values == pytest.approx(of(one)[key], rel=1e-4)
    for name, arm in two.results.arms.items():
        expected = [loss for _, loss in one.results.arms[name]["curves"][0]]
        assert [loss for _, loss in arm["curves"][0]] == pytest.approx(expected, rel=1e-4)
    assert run_of(plan, arms).reused == 2
    assert run_of(plan_of(tmp_path / "two"), arms).reused == 0  # another order of adding up, other last digits


@pytest.mark.slow
@pytest.mark.ray
def test_more_workers_than_there_is_room_for_are_refused(arms, tmp_path, local_ray):
    with pytest.raises(ClusterError, match=r"take 4 cores, and Ray has 2"):
        run_of(plan_of(tmp_path, "train.workers=4", "compute.gpus=0"), arms)
    with pytest.raises(ClusterError, match=r"there are GPUs for 1 of them"):
        run_of(plan_of(tmp_path, "train.workers=2"), arms)


def fails(team):
    if team.rank == 1:
        raise ValueError("a shard is gone")
    return {}


@pytest.mark.slow
@pytest.mark.ray
def test_what_a_worker_raises_is_told_in_a_line(local_ray):
    from winnow.ablate.over_workers import over_workers

    with pytest.raises(RuntimeError, match="^Ray Train: worker 1: ValueError: a shard is gone$"):
        over_workers(fails, 2, 1, gpus=False)


@pytest.mark.slow
@pytest.mark.ray
def test_a_killed_worker_costs_what_came_after_the_checkpoint_and_no_bit(tmp_path):
    path = write_plan(tmp_path, arms=[{"name": "both"}])
    settings = [*SMALL, "train.workers=2", "train.checkpoint_steps=10", "compute.gpus=0"]

    def trial(folder, environment):
        command = [sys.executable, "-m", "jobs", "ablate", str(path), "--set", f"ablation={tmp_path / folder}"]
        done = subprocess.run(
            [*command, *(word for one in settings for word in ("--set", one))],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        store = open_store(str(tmp_path / folder))
        (folder,) = (tmp_path / folder / "work" / "trial").iterdir()
        (record,) = [json.loads(store.read(str(one))) for one in folder.glob("*.json")]
        return record["metadata"], done.stderr

    marks = tmp_path / "marks"
    whole, _ = trial("whole", fault_hooks.environment(marks))
    fault = {"point": "step", "is": {"number": "27"}, "do": "kill", "times": 1}
    killed, said = trial("killed", fault_hooks.environment(marks, fault))
    assert len(list(marks.iterdir())) == 1 and "trial unit 0 failed: RuntimeError: Ray Train: " in said
    assert (whole["resumed"], killed["resumed"]) == (0, 20)
    assert killed["bits"] == whole["bits"] and killed["curve"] == whole["curve"]
