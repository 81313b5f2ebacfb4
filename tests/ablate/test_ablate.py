"""A whole ablation of seconds: what it finds, what it refuses, and that finished trials are never computed again."""

import json
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")
pytest.importorskip("scipy", reason="scipy is not installed (extra `ablate`)")

from tests.ablate.plans import sentences, write_plan, write_texts
from winnow.ablate import trial
from winnow.ablate.ablate import ablate
from winnow.ablate.page import ablation_page
from winnow.ablate.plan import Plan, load_plan
from winnow.ablate.report import as_json, headline, tables
from winnow.ablate.results import BITS
from winnow.errors import ConfigError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    path = write_plan(tmp_path_factory.mktemp("ablate"))
    return path, ablate(load_plan(str(path), Plan))


def figures(found):
    return {(row.set, row.arm): row for row in found.results.rows if row.measure == BITS}


def test_an_arm_without_a_language_is_worse_at_it_and_better_at_the_other(done):
    rows = figures(done[1])
    assert rows["held/su", "ka_alone"].comparison.verdict.startswith("worse by ")
    assert rows["held/ka", "ka_alone"].estimate.mean < rows["held/ka", "both"].estimate.mean
    assert rows["held/su", "both"].comparison is None  # the baseline
    assert len(rows["held/su", "both"].estimate.values) == 3
    assert "ka_alone is worse by" in headline(done[1])


def test_arms_are_told_with_tokens_epochs_and_curves(done):
    arms = done[1].results.arms
    assert arms["both"]["tokens"] == arms["ka_alone"]["tokens"] == 16_000 // 256 * 256
    assert arms["ka_alone"]["tokens_of_arm"] < arms["both"]["tokens_of_arm"]
    assert arms["ka_alone"]["epochs"] > arms["both"]["epochs"]
    assert arms["both"]["curves"][0][-1][1] < arms["both"]["curves"][0][0][1]
    titles = [table.title for table in tables(done[1])]
    assert titles == ["Arms", "Held-out sets", "Bits a byte"]


def test_the_page_escapes_names_and_holds_tables_and_charts(done):
    page = ablation_page(done[1])
    assert "held/su" in page and "worse by" in page and "<script" not in page
    if pytest.importorskip("vl_convert"):
        assert page.count("<svg") == 3  # losses, and each set


def test_finished_trials_are_never_computed_again_and_the_figures_are_the_same(done, monkeypatch):
    path, before = done
    monkeypatch.setattr(trial, "train", None)  # whoever trains fails
    again = ablate(load_plan(str(path), Plan))
    assert again.reused == 6 and "all of them done" in again.cost
    assert json.loads(as_json(again))["rows"] == json.loads(as_json(before))["rows"]


def test_a_killed_trial_goes_on_with_the_same_figures(done, tmp_path, monkeypatch):
    from winnow.ablate import train as training

    def killed(_point, number):
        if number == 35:
            raise KeyboardInterrupt

    path, before = done
    settings = ["train.checkpoint_steps=10", "train.first_seed=1", "train.seeds=1"]
    plan = write_plan(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(training, "fault_point", killed)
        with pytest.raises(KeyboardInterrupt):
            ablate(load_plan(str(plan), Plan, settings))
    assert list((tmp_path / "ablation" / "checkpoints").iterdir())
    found = ablate(load_plan(str(plan), Plan, settings))
    assert not list((tmp_path / "ablation" / "checkpoints").iterdir())
    for key, row in figures(found).items():
        assert row.estimate.values == (figures(before)[key].estimate.values[1],)
        assert row.comparison is None or "no verdict" in row.comparison.verdict


@pytest.mark.ray
@pytest.mark.parametrize("gpus", ["auto", 0])
def test_ray_gives_the_same_figures_in_actors_that_hold_a_gpu_and_in_tasks(done, tmp_path, local_ray, gpus):
    plan = write_plan(tmp_path, compute={"executor": "ray", "gpus": gpus, "workers": 2, "worker_memory_mb": 512})
    found = ablate(load_plan(str(plan), Plan, ["train.seeds=1"]))
    for key, row in figures(found).items():
        assert row.estimate.values == figures(done[1])[key].estimate.values[:1]


def test_processes_of_this_machine_give_the_same_figures(done, tmp_path):
    plan = write_plan(tmp_path, compute={"executor": "processes", "workers": 2})
    found = ablate(load_plan(str(plan), Plan, ["train.seeds=1"]))
    for key, row in figures(found).items():
        assert row.estimate.values == figures(done[1])[key].estimate.values[:1]


def refused(path, overrides=(), kind=ConfigError):
    with pytest.raises(kind) as told:
        ablate(load_plan(str(path), Plan, list(overrides)))
    return str(told.value)


def test_an_empty_held_out_set_is_refused(done, tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "holds no document" in refused(done[0], [f"evaluate.sets=[{{name: e, path: {empty}}}]"])
    other = write_texts(tmp_path / "other.jsonl", ["a b"])
    said = refused(done[0], [f"evaluate.sets=[{{name: e, path: {other}, text: body}}]"])
    assert "name the field of the text" in said


def test_fewer_tokens_than_a_step_are_refused_with_what_a_model_reads(done):
    said = refused(done[0], ["train.tokens=100"])
    assert "arm both: a model reads 100 tokens, and a step takes 256" in said


def test_a_split_of_an_arm_is_judged_source_by_source(done):
    found = ablate(load_plan(str(done[0]), Plan, ["evaluate.sets=[{name: val, arm: both}]", "train.seeds=1"]))
    assert list(found.sets) == ["val/ka", "val/su"] and found.sets["val/ka"]["documents"] > 3


def test_arms_of_other_vocabularies_or_the_same_shards_are_refused(done, tmp_path):
    path, before = done
    shards = before.results.arms["both"]["shards"]
    manifest = json.loads(Path(shards, "manifest.json").read_text())
    manifest["vocabulary"] |= {"sha256": "0" * 64, "name": "other"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    arms = f"arms=[{{name: a, shards: {shards}}}, {{name: b, shards: {tmp_path}}}]"
    assert "other vocabularies" in refused(path, [arms])
    arms = f"arms=[{{name: a, shards: {shards}}}, {{name: b, shards: {shards}}}]"
    assert "the same shards" in refused(path, [arms])
    assert "no shard set is there" in refused(path, [f"arms=[{{name: a, shards: {tmp_path}/gone}}]"])


def test_an_arm_that_diverges_is_told_and_has_no_figures(done):
    found = ablate(load_plan(str(done[0]), Plan, ["train.learning_rate=1e9", "train.seeds=1"]))
    assert all(arm["diverged"] for arm in found.results.arms.values()) and not found.results.rows
    assert "Nothing could be compared" in headline(found)
    assert "DIVERGED" in ablation_page(found)


def test_choices_are_scored_and_items_without_an_answer_counted(done, tmp_path):
    items = [{"question": text[:40], "choices": [text[40:80], "zzz"], "answer": 0} for text in sentences("ka", 3, 6)]
    items.append({"question": "q", "choices": ["a", "b"], "answer": None})
    file = tmp_path / "quiz.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items))
    found = ablate(load_plan(str(done[0]), Plan, [f"evaluate={{choices: [{file}]}}", "train.seeds=1"]))
    assert {(row.measure, row.set) for row in found.results.rows} == {
        ("share right", "quiz"), ("bits a byte of the right answer", "quiz"),
    }  # fmt: skip
    assert found.left_out == 1 and found.sets["quiz"]["documents"] == 6
    assert max(row.estimate.mean for row in found.results.rows if row.measure == "share right") == 1.0


def test_settings_of_an_arm_that_are_wrong_are_told_with_its_name(tmp_path):
    path = write_plan(tmp_path, arms=[{"name": "odd", "settings": {"dedup.threshold": 7}}], vocabulary="off")
    assert "arm odd: " in refused(path)
    assert yaml.safe_load(path.read_text())["vocabulary"] == "off"
