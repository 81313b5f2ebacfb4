"""Alarms: each kind is raised by what it is about, told at every place, and fails a run that asks for it."""

import dataclasses
import json
import re
from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

import winnow as winnow_library
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of, unread_config
from tests.support.corpora import articles
from winnow.config.alarms import MEANINGS, AlarmKind
from winnow.config.config import parse_config
from winnow.engine import metrics, stage
from winnow.engine.engine import StageSummary
from winnow.engine.records import Record
from winnow.errors import AlarmedError, ConfigError
from winnow.flow import flow
from winnow.flow.alarm import Alarm
from winnow.flow.mixture import STEP as MIXTURE
from winnow.flow.records import Observations, RunRecords
from winnow.report.alarms import SHOWN, SWAPPED_MB, alarm_lines, alarms_of, check_alarms, failing
from winnow.report.page.page import page_of
from winnow.report.summary import summary_of
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.runs.status import status_of


def config_of(folder, **sections) -> dict:
    """A run in which the field `idd`, which is not there, raises one alarm."""
    lines = [json.dumps({"id": n, "text": text}) for n, text in enumerate(articles(1, 20))]
    (folder / "in.jsonl").write_text("\n".join(lines))
    return run_config(
        folder / "run", source_of(folder / "in.jsonl", id="idd"), shards={"sequence_tokens": 127}, **sections
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alarms")
    (folder / "c.yaml").write_text(json.dumps(config_of(folder, alarms="fail", report=True)))
    assert winnow("run", str(folder / "c.yaml"))[0] == 4
    return folder


def test_an_alarm_is_told_everywhere_and_the_shards_are_out(folder):
    name = str(folder / "run")
    code, told = winnow("run", str(folder / "c.yaml"))
    assert code == 4 and "the run is finished and its shards are out" in told and "missing_field: source s: id:" in told
    status = status_of(name)
    assert status.state == "finished" and status.shards["splits"]["train"]["documents"] > 0
    assert [alarm["kind"] for alarm in status.alarms] == ["missing_field"]
    assert orjson.loads(winnow("status", name, "--json")[1])["alarms"] == status.alarms
    finished = load_run(name)
    (alarm,) = alarms_of(finished)
    for told in (winnow("summary", name)[1], "\n".join(status.warnings)):
        assert f"ALARM: {alarm}" in told
    assert "no record has a value for &#39;idd&#39;" in page_of(finished).decode()
    assert winnow("verify", name)[0] == 0


@pytest.mark.parametrize(("setting", "code"), [("warn", 0), (["split", "swap"], 0), (["missing_field"], 4)])
def test_the_config_says_which_alarms_fail_a_run(folder, setting, code):
    config = json.loads((folder / "c.yaml").read_text()) | {"alarms": setting, "report": False}
    (folder / "d.yaml").write_text(json.dumps(config))
    assert winnow("run", str(folder / "d.yaml"))[0] == code
    if code:
        with pytest.raises(AlarmedError, match="missing_field"):
            winnow_library.run(folder / "d.yaml")


def test_an_unknown_kind_is_refused():
    for wrong in (["splits"], [], "never"):
        with pytest.raises(ConfigError, match="alarms"):
            parse_config(unread_config(alarms=wrong))


def test_another_choice_of_alarms_leaves_the_shards_alone(folder):
    before = load_run(str(folder / "run")).shards
    config = json.loads((folder / "c.yaml").read_text()) | {"alarms": "warn", "report": False}
    (folder / "e.yaml").write_text(json.dumps(config))
    code, told = winnow("run", str(folder / "e.yaml"))
    assert code == 0 and "0 units computed" in told and load_run(str(folder / "run")).shards == before


def test_prometheus_reads_the_gauges(folder):
    families = text_string_to_metric_families((folder / "run" / "reports" / "metrics.prom").read_text())
    found = {family.name: {tuple(s.labels.values())[1:]: s.value for s in family.samples} for family in families}
    assert found["winnow_run_alarms"] == {(kind,): float(kind == "missing_field") for kind in MEANINGS}
    finished = load_run(str(folder / "run"))
    assert found["winnow_run_documents"] == {(name,): n for name, n in finished.totals("decide", "outcome").items()}
    assert found["winnow_run_tokens"][("s",)] == finished.total("tokenise", "tokens")


def test_a_cluster_gets_a_gauge_of_each_kind(folder, monkeypatch):
    shown = {}
    monkeypatch.setattr(metrics, "show", lambda name, value, label: shown.update({(name, label): value}))
    finished = load_run(str(folder / "run"))
    finished.config = finished.config.model_copy(update={"alarms": "fail"})
    with pytest.raises(AlarmedError):
        check_alarms(finished)
    assert shown == {("winnow_alarms", kind): int(kind == "missing_field") for kind in MEANINGS}
    assert metrics._metric("winnow_alarms").info["tag_keys"] == ("kind",)


def of_machines(folder, **figures):
    finished = load_run(str(folder / "run"))
    summary = StageSummary("measure", 4, 0, 1.0, 1.0, 1000, 10, 50.0, **figures)
    finished.observed = Observations(1.0, 0.0, (summary,))
    return [alarm for alarm in alarms_of(finished) if alarm.about == "measure"]


def test_a_stage_that_swaps_and_a_disk_that_will_not_do(folder, monkeypatch, caplog, tmp_path):
    assert of_machines(folder, swapped_mb=SWAPPED_MB, disk_left=1000) == []
    (alarm,) = of_machines(folder, swapped_mb=SWAPPED_MB + 1)
    assert (alarm.kind, alarm.about) == ("swap", "measure")
    (alarm,) = of_machines(folder, disk_left=999)
    assert alarm.kind == "disk"
    # as a run finds them
    monkeypatch.setattr(stage, "_status_mb", lambda name: {"VmHWM": 1.0, "VmSwap": 100.0}[name])
    monkeypatch.setattr("winnow.engine.engine.shutil.disk_usage", lambda _path: type("Disk", (), {"free": 7}))
    config = parse_config(config_of(tmp_path))
    finished = run(config).run
    kinds = {alarm.kind for alarm in alarms_of(finished)}
    assert kinds == {"missing_field", "swap", "disk"}
    assert sum("it may not do" in record.getMessage() for record in caplog.records) == 1
    again = run(config).run  # computes nothing
    assert {alarm.kind for alarm in alarms_of(again)} == {"missing_field"}


def mixed(gave: dict[str, tuple[int, int]]) -> RunRecords:
    """A run whose sources gave so many tokens and documents to a mixture of equal shares."""
    config = unread_config(sources=[source_of("-", name) for name in gave], shards={"mixture": dict.fromkeys(gave, 1)})
    counters = {f"tokens/{name}": tokens for name, (tokens, _) in gave.items()}
    counters |= {f"available_tokens/{name}": tokens for name, (tokens, _) in gave.items()}
    for what in ("documents", "copies"):
        counters |= {f"{what}/{name}": documents for name, (_, documents) in gave.items()}
    limits = Record("mixture_limits", "", "", 0, {}, metadata={"strata": []})
    return RunRecords(
        None,
        parse_config(config),
        {"mixture": [Record("mixture", "", "", 0, {}, counters)], "mixture_limits": [limits]},
    )


def test_a_mixture_that_missed_its_shares():
    assert MIXTURE.alarms(mixed({"a": (1_000_000, 1000), "b": (900_000, 1000)})) == []
    missed = MIXTURE.alarms(mixed({"a": (1_000_000, 1000), "b": (700_000, 1000)}))
    assert [(alarm.kind, alarm.about) for alarm in missed] == [("mixture", "a"), ("mixture", "b")]
    assert "source b gave 41.18% of the tokens of train, shards.mixture asks for 50.00%" in missed[1].what
    assert MIXTURE.alarms(mixed({"a": (1000, 4), "b": (700, 3)})) == []  # a document more or less


def test_kinds_are_those_that_the_setting_and_the_docs_know():
    assert set(MEANINGS) == set(AlarmKind.__args__)
    text = (Path(__file__).parents[2] / "docs" / "looking.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(MEANINGS)
    config = parse_config(unread_config(alarms=[*MEANINGS]))
    assert failing(config, []) == []


def test_each_step_is_asked_once_for_all_reports(tmp_path, monkeypatch):
    asked = []
    steps = flow.enabled_steps

    def counted(config):
        def told(step):
            return lambda finished: asked.append(step.name) or step.summary(finished)

        return [dataclasses.replace(step, summary=told(step)) for step in steps(config)]

    monkeypatch.setattr(flow, "enabled_steps", counted)
    context = run(parse_config(config_of(tmp_path, report=True)))
    list(summary_of(context.run))  # as the command prints it
    assert sorted(asked) == sorted(step.name for step in steps(context.config))


def test_a_cause_that_raises_dozens_fills_no_screen():
    run = RunRecords(None, parse_config(unread_config()))
    found = [Alarm("rules", f"s{n}", f"source s{n} lost all", "look") for n in range(30)]
    run._made[alarms_of] = [*found, Alarm("split", "val", "split val is empty", "raise it")]
    short, whole = (list(alarm_lines(run, whole=whole)) for whole in (False, True))
    assert len(whole) == 31 and whole[0] == "ALARM: source s0 lost all: look"
    assert short[: SHOWN - 1] == whole[: SHOWN - 1] and short[-1] == whole[-1] and len(short) == SHOWN + 1
    assert short[SHOWN - 1].startswith(f"ALARM: {31 - SHOWN} more of kind rules: s{SHOWN - 1}, ")
    assert short[SHOWN - 1].endswith("s29; all of them: winnow summary /r --all")
    run._made[alarms_of] = found[:SHOWN]
    assert list(alarm_lines(run, whole=False)) == whole[:SHOWN]
