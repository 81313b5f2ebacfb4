"""Trials on arms of hand-made shards: what is refused, what is computed, and what comes out; without a run."""

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")
pytest.importorskip("scipy", reason="scipy is not installed (extra `ablate`)")

from tests.ablate.plans import sentences, write_plan, write_texts
from tests.ablate.small_arms import run_of, two_arms
from winnow.ablate import trial
from winnow.ablate.arms import check_alike
from winnow.ablate.plan import Plan, load_plan
from winnow.ablate.report import headline
from winnow.ablate.tables import prepare
from winnow.errors import ConfigError
from winnow.stages.tables import read_ipc
from winnow.storage.open_store import open_store


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    return two_arms(tmp_path_factory.mktemp("arms"))


def plan_of(folder, *overrides, **sections):
    return load_plan(str(write_plan(folder, **sections)), Plan, ["train.tokens=4096", *overrides])


def test_each_seed_is_a_model_of_its_own_and_none_is_trained_twice(arms, tmp_path, monkeypatch):
    plan = plan_of(tmp_path, "train.seeds=2", arms=[{"name": "ka"}, {"name": "su"}])
    trained, real = [], trial.train
    monkeypatch.setattr(trial, "train", lambda given, *rest: trained.append(given) or real(given, *rest))
    found = run_of(plan, arms)
    assert [(one.shards, one.seed) for one in trained] == [(arm.shards, seed) for seed in (0, 1) for arm in arms]
    assert all(one.steps == 4096 // 256 for one in trained)
    for row in found.results.rows:
        assert len(set(row.estimate.values)) == 2
    assert "held/ka" in headline(found) or "no difference" in headline(found)
    trained.clear()
    again = run_of(plan, arms)
    assert trained == [] and again.results.rows == found.results.rows and again.reused == 4
    more = run_of(plan_of(tmp_path, "train.seeds=3", arms=[{"name": "ka"}, {"name": "su"}]), arms)
    assert [one.seed for one in trained] == [2, 2]
    assert [row.estimate.values[:2] for row in more.results.rows] == [row.estimate.values for row in found.results.rows]


def test_an_arm_that_was_trained_on_held_out_text_is_refused_with_what_it_shares(arms, tmp_path):
    write_plan(tmp_path)
    mixed = write_texts(tmp_path / "mixed.jsonl", [*sentences("ka", 1, 3), *sentences("su", 9, 5)])
    evaluate = {"sets": [{"name": "mixed", "path": str(mixed)}]}
    plan = plan_of(tmp_path, evaluate=evaluate)
    store = open_store(str(tmp_path / "store"))
    with pytest.raises(ConfigError) as told:
        prepare(plan, arms, store)
    assert "arm ka holds 3 of 8 documents of set mixed, such as " in str(told.value)
    assert f"{mixed}, row " in str(told.value) and "(100%)" in str(told.value) and "arm su" not in str(told.value)
    found = prepare(plan_of(tmp_path, evaluate={**evaluate, "shared": "drop"}), arms, store)
    assert found.sets["mixed"]["dropped"] == 3 and found.sets["mixed"]["documents"] == 5
    write_texts(mixed, [*sentences("ka", 1, 3), *sentences("su", 9, 5)], kind=["ka"] * 3 + ["su"] * 5)
    parts = {"sets": [{"name": "mixed", "path": str(mixed), "by": "kind"}], "shared": "drop"}
    found = prepare(plan_of(tmp_path, evaluate=parts), arms, store)  # the part of ka is told, and left out
    assert [(name, told["documents"], told["dropped"]) for name, told in found.sets.items()] == [
        ("mixed/ka", 0, 3), ("mixed/su", 5, 0),
    ]  # fmt: skip
    assert set(read_ipc(store, found.documents).column("set").to_pylist()) == {"mixed/su"}
    write_texts(mixed, sentences("ka", 1, 3))
    with pytest.raises(ConfigError, match="nothing is left"):
        prepare(plan_of(tmp_path, evaluate={**evaluate, "shared": "drop"}), arms, store)


def test_arms_of_other_vocabularies_or_rows_and_equal_ones_are_refused(arms):
    ka, su = arms
    check_alike(arms)
    for other, says in (
        (replace(su, vocabulary={**su.vocabulary, "sha256": "x"}), "ka and su have other vocabularies"),
        (replace(su, row=64), "rows of 32 and 64 tokens"),
        (replace(su, hash=ka.hash), "ka and su have the same shards"),
    ):
        with pytest.raises(ConfigError, match=says):
            check_alike([ka, other])


def test_an_arm_of_less_than_one_step_is_refused(arms, tmp_path):
    plan = plan_of(tmp_path, "train.tokens=100", arms=[{"name": "ka"}, {"name": "su"}])
    with pytest.raises(ConfigError, match=r"train\.batch_tokens"):
        run_of(plan, arms)


def test_what_diverges_has_no_figures_and_the_others_have_theirs(arms, tmp_path, monkeypatch):
    """One seed of one arm, and both of the other."""
    plan = plan_of(tmp_path, "train.tokens=1024", "train.seeds=2", arms=[{"name": "ka"}, {"name": "su"}])
    real = trial.train

    def train(given, *rest):
        found = real(given, *rest)
        if given.shards == arms[1].shards or given.seed == 1:
            found.diverged = "step 3: the loss is nan"
        return found

    monkeypatch.setattr(trial, "train", train)
    found = run_of(plan, arms)
    assert {(row.arm, len(row.estimate.values)) for row in found.results.rows} == {("ka", 1)}
    assert all(row.comparison is None for row in found.results.rows)
    assert {name: list(arm["diverged"]) for name, arm in found.results.arms.items()} == {"ka": [1], "su": [0, 1]}
    assert "Nothing could be compared" in headline(found)


def test_equal_epochs_are_as_many_steps_as_an_arm_has_text(arms, tmp_path, monkeypatch):
    plan = plan_of(tmp_path, "train={epochs: 0.5, seeds: 1, batch_tokens: 256}", arms=[{"name": "ka"}, {"name": "su"}])
    trained, real = [], trial.train
    monkeypatch.setattr(trial, "train", lambda given, *rest: trained.append(given) or real(given, *rest))
    found = run_of(plan, arms)
    assert [one.steps for one in trained] == [arm.rows // 2 // 8 for arm in arms]
    assert all(about["epochs"] == pytest.approx(0.5, abs=0.1) for about in found.results.arms.values())
