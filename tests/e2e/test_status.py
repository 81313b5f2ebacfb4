"""What `winnow status` tells of runs that go on, ended, failed, were stopped, or died."""

import json
import logging
from dataclasses import replace

import orjson
import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.engine.engine import StageFailedError
from winnow.engine.lease import LEASE, hold_lease
from winnow.errors import ConfigError
from winnow.runs.estimate.stage_time import SECONDS, stage_weights
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.runs.status import Holder, status_of
from winnow.storage.local_store import LocalStore


def config(folder):
    lines = [json.dumps({"id": n, "text": text}) for n, text in enumerate(articles(1, 30))]
    (folder / "a.jsonl").write_text("\n".join(lines))
    sections = {"shards": {"sequence_tokens": 127}, "compute": {"attempts": 1}}
    return parse_config(run_config(folder / "run", source_of(f"{folder}/a.jsonl"), **sections))


def test_a_finished_run(tmp_path):
    settings = config(tmp_path)
    run(settings)
    found = status_of(str(tmp_path / "run"))
    assert (found.state, found.holder) == ("finished", None)
    assert all(stage.done == stage.units and stage.state == "finished" for stage in found.stages)
    assert found.shards["books"] == load_run(str(tmp_path / "run")).manifest["books"]
    run(settings)
    again = status_of(str(tmp_path / "run"))
    assert all(stage.reused == stage.units for stage in again.stages)
    code, output = winnow("status", str(tmp_path / "run"))
    assert code == 0
    assert "finished" in output and "tokenise" in output and "train:" in output
    code, output = winnow("status", str(tmp_path / "run"), "--json")
    assert orjson.loads(output)["shards"] == found.shards


def test_a_failed_run_names_its_units_and_the_old_shards_stay(tmp_path, monkeypatch):
    run(config(tmp_path))
    before = status_of(str(tmp_path / "run")).shards
    monkeypatch.setattr("winnow.stages.tokenise.tokenise.run", lambda unit, workspace: 1 / 0)
    changed = config(tmp_path).model_dump(mode="json")
    changed["dedup"]["threshold"] = 0.9
    (tmp_path / "run" / "work").rename(tmp_path / "old")
    with pytest.raises(StageFailedError):
        run(parse_config(changed))
    found = status_of(str(tmp_path / "run"))
    assert found.state == "failed"
    assert found.stages[-1].name == "tokenise"
    assert found.stages[-1].failed[0]["message"].startswith("ZeroDivisionError")
    assert found.stages[-1].done == found.stages[-1].units - 1
    assert found.shards == before
    assert "failed: tokenise unit 0" in winnow("status", str(tmp_path / "run"))[1]


def test_a_run_that_goes_on_and_one_that_died(tmp_path, monkeypatch):
    seen = []
    from winnow.stages.tokenise import tokenise

    def look(unit, workspace):
        seen.append(status_of(str(tmp_path / "run")))
        raise SystemExit

    monkeypatch.setattr(tokenise, "run", look)
    with pytest.raises(SystemExit):
        run(config(tmp_path))
    (going,) = seen
    assert going.state == "running"
    assert going.holder.abandoned is False
    assert (going.stages[-1].name, going.stages[-1].done) == ("tokenise", 0)
    attempt = orjson.loads((tmp_path / "run" / "attempt.json").read_bytes())
    attempt["state"] = "running"  # as kill -9 leaves it
    (tmp_path / "run" / "attempt.json").write_bytes(orjson.dumps(attempt))
    assert status_of(str(tmp_path / "run")).state == "died"
    with hold_lease(LocalStore(str(tmp_path / "run"))):
        assert status_of(str(tmp_path / "run")).state == "running"
        assert (tmp_path / "run" / LEASE).exists()
    dead = {"host": "elsewhere", "pid": 1, "started": "1", "expires": 1.0}
    LocalStore(str(tmp_path / "run")).replace(LEASE, orjson.dumps(dead))  # kill -9 leaves the lease, too
    assert status_of(str(tmp_path / "run")).state == "died"


def test_units_done_are_counted_from_their_records(tmp_path, monkeypatch):
    from winnow.stages.ingest import measure

    (tmp_path / "run").mkdir()
    real = measure.run

    def stop_after_one(unit, workspace):
        real(unit, workspace)
        raise KeyboardInterrupt

    settings = config(tmp_path).model_dump(mode="json")
    text = "".join(json.dumps({"id": n, "text": f"{n} " * 400}) + "\n" for n in range(1200))
    (tmp_path / "a.jsonl").write_text(text)
    settings["compute"]["unit_mb"] = 1
    monkeypatch.setattr(measure, "run", stop_after_one)
    with pytest.raises(KeyboardInterrupt):  # in the middle of the first unit: not committed
        run(parse_config(settings))
    found = status_of(str(tmp_path / "run"))
    assert found.state == "stopped"
    assert (found.stages[-1].name, found.stages[-1].done) == ("measure", 0)
    assert found.stages[-1].units > 1


def test_no_folder_and_an_empty_one(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        status_of(str(tmp_path / "none"))
    assert status_of(str(tmp_path)).state == "new"
    assert winnow("status", str(tmp_path / "none"))[0] == 2


def test_log_lines_as_json(tmp_path, capsys):
    from jobs.exit_codes import log_to_stderr

    log_to_stderr("json", "/runs/a")
    logging.getLogger("winnow").warning("unit %d failed\nhere", 3, extra={"stage": "measure", "unit": 3})
    logging.getLogger("winnow").handlers = []
    (line,) = capsys.readouterr().err.splitlines()
    told = orjson.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "warning",
        "run": "/runs/a",
        "message": "unit 3 failed\nhere",
        "stage": "measure",
        "unit": 3,
    }


def at_work(folder, monkeypatch, age: float):
    """A run that is in its stage `tokenise`: measured in 8 s, and half of the work of `tokenise` done in 4 s."""
    settings = config(folder)
    done = run(settings).run
    path = folder / "run" / "attempt.json"
    content = orjson.loads(path.read_bytes())
    names = list(content["planned"])
    at = names.index("tokenise")
    stages = content["stages"][: at + 1]
    for stage in stages:
        stage |= {"units": 2, "reused": 2, "bytes": 0, "began": 0.0, "seconds": 0.0}
    measure = next(stage for stage in stages if stage["name"] == "measure")
    measure |= {"reused": 0, "bytes": 4_000_000, "began": 1.0, "seconds": 8.0}
    stages[-1] |= {"reused": 0, "bytes": 4_000_000, "state": "running", "began": 1000.0}
    there = next(iter(done.of("tokenise"))).key
    content |= {"state": "running", "stages": stages, "missing": [there, "gone"], "sizes": [1_000_000, 3_000_000]}
    path.write_bytes(orjson.dumps(content))
    monkeypatch.setattr("winnow.runs.status.time.time", lambda: 1000.0 + age)
    monkeypatch.setattr("winnow.runs.status._holder", lambda _store: Holder("h", 1, 1.0, False))
    return names, at


def test_speed_and_time_left_of_the_stage_and_of_all(tmp_path, monkeypatch):
    names, at = at_work(tmp_path, monkeypatch, 4.0)
    found = status_of(str(tmp_path / "run"))
    stage = found.stages[-1]
    assert (stage.name, stage.units, stage.done, stage.seconds) == ("tokenise", 2, 1, 4.0)
    assert stage.mb_per_second == pytest.approx(0.25) and stage.seconds_left == pytest.approx(12.0)
    assert found.ahead == names[at + 1 :] and "shuffle" in found.ahead
    # what is ahead takes the time that what is done took: all of measure, a quarter of tokenise
    weight = SECONDS["measure"] + SECONDS["tokenise"] / 4
    ahead = sum(stage_weights(found.ahead).values())
    assert found.seconds_left == pytest.approx(12.0 + 12.0 / weight * ahead)
    code, told = winnow("status", str(tmp_path / "run"))
    assert code == 0 and "12 s" in told and "time left of the whole run: about" in told
    assert all(len(line) <= 80 for line in told.splitlines() if line[:1] in "┃│┏└┡")


def test_a_stage_of_which_nothing_is_done_has_no_time_left(tmp_path, monkeypatch):
    at_work(tmp_path, monkeypatch, 4.0)
    path = tmp_path / "run" / "attempt.json"
    content = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps(content | {"missing": ["gone", "gone too"]}))
    found = status_of(str(tmp_path / "run"))
    assert found.stages[-1].seconds_left is None and found.seconds_left is None
    del content["sizes"], content["planned"]  # of an earlier version
    path.write_bytes(orjson.dumps(content))
    assert status_of(str(tmp_path / "run")).state == "running"


def test_watch_ends_as_the_run_does(tmp_path, monkeypatch):
    at_work(tmp_path, monkeypatch, 4.0)
    name, looks, ends = str(tmp_path / "run"), [], []

    def look(run_name):
        looks.append(status_of(run_name))
        if len(looks) == 3:
            return replace(looks[-1], state=ends[-1])
        return looks[-1]

    monkeypatch.setattr("winnow.runs.status.status_of", look)
    for ended, code in (("finished", 0), ("failed", 1), ("died", 1), ("stopped", 75)):
        looks.clear()
        ends.append(ended)
        found, told = winnow("status", name, "--watch", "--every", "0.05")
        assert (found, len(looks)) == (code, 3)
        assert told.startswith("tokenise: 1 of 2 units, 0.2 MB/s, 12 s left of the stage, about ")
        assert told.count("left of the stage") == 1  # nothing changed between the looks
    looks.clear()
    _, told = winnow("status", name, "--watch", "--json", "--every", "0.05")
    assert [orjson.loads(line)["state"] for line in told.splitlines()] == ["running", "stopped"]
