"""Line rules through whole runs: what texts lose, what is told of it, and that rules can ask for it."""

import json
from pathlib import Path

import pytest

from tests.support import line_rules_reference as reference
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from tests.support.finished import ledger, shards_of
from winnow import schemas
from winnow.audit.verify.line_rules import check_line_rules
from winnow.audit.verify.verify import check_lines
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import explain, find
from winnow.finished.tables import table_of
from winnow.runs.run import run
from winnow.runs.state import load_run

MENU = "Home\nNews\nAbout us\nContact\nJobs\nSign in\n\n\n"
FOOTER = """
This page needs JavaScript to be read well.
Our privacy policy is here.
{ this stays for the filter }
all rights
"""
OFF = {"gopher_quality": "off", "gopher_repetition": "off", "fineweb": "off", "c4": "off"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("rules")
    for source in ("web", "books"):
        texts = [f"{MENU}{text}{FOOTER}" if n % 3 else text for n, text in enumerate(articles(len(source), 30)[:30])]
        texts.append(MENU)
        rows = [json.dumps({"id": f"{source}{n}", "text": text}) for n, text in enumerate(texts)]
        (found / f"{source}.jsonl").write_text("\n".join(rows))
    return found


def config(folder: Path, name: str, rules: dict | str | None, **sections) -> dict:
    sources = [source_of(folder / f"{source}.jsonl", source, id="id") for source in ("web", "books")]
    measure = {} if rules is None else {"measure": {"line_rules": rules}}
    given = {"filter": OFF, "dedup": "off", "shards": {"sequence_tokens": 63}} | sections
    return run_config(folder / name, *sources, **measure, **given)


RULES = {"c4": {"terminal_punctuation": False}, "navigation": "on", "sources": ["web"]}


@pytest.fixture(scope="module")
def context(folder):
    return run(parse_config(config(folder, "run", RULES)))


def texts(folder: Path) -> dict[str, str]:
    rows = table_of(load_run(str(folder)), "documents").to_table(columns=["id", "text"]).to_pylist()
    return {row["id"]: row["text"] for row in rows}


def test_texts_are_those_of_the_plain_statement_in_the_sources_that_are_named(folder, context):
    run(parse_config(config(folder, "plain", None)))
    before, after = texts(folder / "plain"), texts(folder / "run")
    for name, text in before.items():
        stripped = reference.c4(reference.structure(text, 6, None), terminal=False)
        assert after[name] == (stripped if name.startswith("web") else text)
    assert "{ this stays for the filter }" in after["web1"] and "JavaScript" not in after["web1"]


def test_what_went_is_told_by_source_and_by_document(folder, context):
    code, summary = winnow("summary", str(folder / "run"))
    assert code == 0
    line = next(line for line in summary.splitlines() if line.startswith("line rules, source web: "))
    assert "are gone from" in line and "1 of them empty now" in line
    for told in ("navigation 126 (", "javascript 20 (", "policy 20 (", "few_words 20 ("):
        assert told in line
    assert "line rules, source books" not in summary
    counts = context.run.manifest["sources"]["web"]["line_rules"]
    assert counts["lines"]["navigation"] == 126 and counts["emptied"] == 1
    assert sum(counts["bytes_by_rule"].values()) == counts["bytes"]
    assert "line_rules" not in context.run.manifest["sources"].get("books", {})
    finished = load_run(str(folder / "run"))
    story = explain(finished, find(finished, "web1")[0])
    assert {rule: lines for rule, lines, _ in story.removed_by_rule} == {
        "navigation": 6, "few_words": 1, "javascript": 1, "policy": 1, "blank": 2
    }  # fmt: skip
    code, told = winnow("why", "web1", str(folder / "run"))
    assert code == 0 and "lines      6 removed by line rule navigation (40 bytes)" in told
    assert ledger(folder / "run")["web30"]["outcome"] == schemas.EMPTY


def test_rules_may_ask_for_what_went(folder, context):
    asked = {**OFF, "rules": [{"name": "mostly_menu", "signal": "removed_navigation_lines", "max": 5}]}
    again = run(parse_config(config(folder, "run", RULES, filter=asked)))
    computed = {s.name: s.units - s.reused for s in again.engine.summaries}
    assert computed["measure"] == 0 and computed["filter"] > 0
    dropped = {name for name, row in ledger(folder / "run").items() if row["rule"] == "mostly_menu"}
    assert dropped == {f"web{n}" for n in range(30) if n % 3}
    with pytest.raises(ConfigError, match="no signal is named 'removed_policy_lines'"):
        run(parse_config(config(folder, "other", {"max_blank_lines": 1}, filter={
            **OFF, "rules": [{"signal": "removed_policy_lines", "max": 5}]
        })))  # fmt: skip


def test_boilerplate_goes_first_by_how_often_it_was_counted(folder, context):
    """`dedup.lines` counts whole lines of the normalised text, so line rules come behind it and change no count."""
    lines = {"lines": {"max_documents": 5, "min_characters": 4, "sources": ["web"]}}
    both = run(parse_config(config(folder, "both", RULES, dedup=lines)))
    only = run(parse_config(config(folder, "only", None, dedup=lines)))
    removed = [r.run.manifest["sources"]["web"]["boilerplate"] for r in (both, only)]
    assert removed[0] == removed[1]
    for made in (both, context):  # the manifest against the rows
        balances = [*check_lines(made.run), *check_line_rules(made.run)]
        assert len(balances) > 20 and all(balance.expected == balance.found for balance in balances)
    assert "navigation" not in both.run.manifest["sources"]["web"]["line_rules"]["lines"] or (
        both.run.manifest["sources"]["web"]["line_rules"]["lines"]["navigation"] == 0
    )


def test_batches_change_nothing(folder, context, monkeypatch):
    monkeypatch.setattr("winnow.flow.measure.batch_bytes", lambda _memory: 300)
    small = run(parse_config(config(folder, "small", RULES)))
    run(parse_config(config(folder, "run", RULES)))
    assert small.run.manifest["sources"] == load_run(str(folder / "run")).manifest["sources"]
    assert shards_of(folder / "small") == shards_of(folder / "run") != {}


def test_settings_that_do_nothing_or_harm_are_refused(folder):
    for rules, told in (
        ({}, "none of them is on"),
        ({"c4": "off"}, "none of them is on"),
        ({"c4": "on", "sources": ["other"]}, "measure.line_rules.sources names source 'other'"),
        ({"c4": {"min_words": 0}}, "min_words: .*at least 1"),
    ):
        with pytest.raises(ConfigError, match=told):
            parse_config(config(folder, "x", rules))
    chats = run_config(
        folder / "x", source_of(folder / "web.jsonl", "chat", messages="m"), measure={"line_rules": RULES}
    )
    chats["measure"]["line_rules"] = {"c4": "on"}
    with pytest.raises(ConfigError, match="would remove lines from the structured source 'chat'"):
        parse_config(chats)
    assert parse_config(config(folder, "x", "off")).measure.line_rules is None
