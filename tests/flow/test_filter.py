"""Whom rule sets are about, and what a run says of sources and languages that they empty."""

import json

import pytest

from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.flow.filter import LEAST_ALARMING
from winnow.report.summary import summary_of
from winnow.runs.run import run
from winnow.runs.state import load_run

SHORT = ("Where is the key?", "Under the mat, as ever.")
STRUCTURES = {
    "messages": (
        {"messages": "talk"},
        lambda n: {
            "talk": [{"role": "user", "content": f"{n} {SHORT[0]}"}, {"role": "assistant", "content": SHORT[1]}]
        },
    ),
    "prompt": ({"prompt": "ask", "response": "say"}, lambda n: {"ask": f"{n} {SHORT[0]}", "say": SHORT[1]}),
    "pair": ({"pair": "de"}, lambda n: {"text": f"{n} {SHORT[0]}", "de": f"{n} Wo ist der Schluessel?"}),
    "label": ({"label": "kind"}, lambda n: {"text": f"{n} {SHORT[0]}", "kind": "spam"}),
}


def said(folder, records, fields, **sections):
    folder.mkdir(exist_ok=True)
    (folder / "data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    config = run_config(
        folder / "run",
        source_of(folder / "data.jsonl", "data", **fields),
        **{"filter": {}, "dedup": "off", "shards": {"row": "document", "splits": {}}, **sections},
    )
    run(parse_config(config))
    finished = load_run(config["run"])
    lines = [line for line in summary_of(finished) if isinstance(line, str)]
    return finished.totals("decide", "outcome"), lines


@pytest.mark.parametrize("structure", STRUCTURES)
def test_sets_for_prose_leave_structured_documents_alone(tmp_path, structure):
    fields, record = STRUCTURES[structure]
    outcomes, lines = said(tmp_path, [record(n) for n in range(40)], fields)
    assert outcomes == {"kept": 40}
    assert any(line.startswith("rule sets for prose were not applied to data, whose") for line in lines)
    assert not any("ALARM" in line for line in lines)


@pytest.mark.parametrize("asked", ["on", {"min_words": 50}, {"sources": ["data"]}, {"sources": "all"}])
def test_a_set_that_is_named_applies_and_an_alarm_tells_of_a_source_that_it_empties(tmp_path, asked):
    fields, record = STRUCTURES["messages"]
    outcomes, lines = said(tmp_path, [record(n) for n in range(40)], fields, filter={"gopher_quality": asked})
    assert outcomes == {"filtered": 40}
    (alarm,) = [line for line in lines if line.startswith("ALARM: source")]
    assert (
        "source data lost 40 of 40 documents (100.0%)" in alarm and "most of them failed gopher_quality.min_w" in alarm
    )
    assert any(line.startswith("ALARM: language en lost 40 of 40") for line in lines)


def test_prose_asks_a_named_set_of_prose_alone(tmp_path):
    fields, record = STRUCTURES["messages"]
    outcomes, _ = said(
        tmp_path, [record(n) for n in range(3)], fields, filter={"gopher_quality": {"min_words": 9, "sources": "prose"}}
    )
    assert outcomes == {"kept": 3}


def test_prose_is_judged_as_before_and_a_named_source_may_be_left_out(tmp_path):
    records = [{"text": f"{n} {SHORT[0]}"} for n in range(40)]
    outcomes, _ = said(tmp_path / "judged", records, {})
    assert outcomes == {"filtered": 40}
    others = {name: {"sources": []} for name in ("gopher_quality", "gopher_repetition", "c4", "fineweb")}
    with pytest.raises(ConfigError, match=r"filter\.c4\.sources"):
        said(tmp_path / "empty", records, {}, filter={"c4": others["c4"]})
    with pytest.raises(ConfigError, match=r"filter\.c4\.sources names source 'books'; there are: data"):
        said(tmp_path / "unknown", records, {}, filter={"c4": {"sources": ["books"]}})


def test_alarms_follow_their_share_and_need_some_documents(tmp_path):
    long = [{"text": text} for text in articles(3, 30) if len(text) > 500]
    short = [{"text": f"{n} {SHORT[0]}"} for n in range(11 * len(long))]
    for share, alarmed in ((0.9, True), (0.99, False)):
        _, lines = said(tmp_path / str(share), long + short, {}, filter={"alarm_share": share})
        assert any(line.startswith("ALARM: source data lost") for line in lines) == alarmed
    _, lines = said(tmp_path / "few", short[: LEAST_ALARMING - 1], {})
    assert not any("ALARM" in line and "lost" in line for line in lines)
    _, lines = said(tmp_path / "annotated", short, {}, filter={"mode": "annotate"})
    assert not any("ALARM" in line for line in lines)


def test_a_language_that_was_asked_to_go_is_no_alarm(tmp_path):
    german = "Das ist ein ganz gewöhnlicher Satz über das Wetter, und er hat noch viele Wörter nach dem Komma. "
    records = [{"text": f"Satz {n}. {german * 9}"} for n in range(25)] + [{"text": t} for t in articles(3, 60)]
    _, lines = said(tmp_path, records, {}, filter={"languages": ["en"]})
    assert not any("language de" in line for line in lines)


def test_empty_texts_are_a_loss_too(tmp_path):
    outcomes, lines = said(tmp_path, [{"text": " " * n} for n in range(30)], {}, filter={"mode": "annotate"})
    assert outcomes == {"empty": 30}
    assert any("source data lost 30 of 30" in line and "failed empty" in line for line in lines)
