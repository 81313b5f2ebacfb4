"""`winnow dropped` and `winnow kept` against the tables, looked through row by row."""

import json
from collections import Counter

import pytest

from tests.support.commands import winnow
from winnow import schemas
from winnow.errors import ConfigError
from winnow.looking.list_documents import Wanted, list_documents, rules_of
from winnow.looking.unreadable import unreadable_records
from winnow.stages.tables import read_parquet


def rows_of(run, stage: str, output: str) -> list[dict]:
    return [row for r in run.of(stage) for row in read_parquet(run.store, r.outputs[output].reference()).to_pylist()]


@pytest.fixture(scope="module")
def tables(asked):
    """Every readable document: its decision, failures by rule, source, language and text."""
    _, run = asked
    found = {row["doc"]: {**row, "failed": {}} for row in rows_of(run, "decide", "decisions")}
    for row in rows_of(run, "filter", "failures"):
        found[row["doc"]]["failed"].setdefault(row["rule"], (row["value"], row["threshold"]))
    for part in run.parts:
        for row in read_parquet(run.store, part.signals, ["doc", "language", "words"]).to_pylist():
            found[row["doc"]] |= {"language": row["language"], "words": row["words"]}
        for row in read_parquet(run.store, part.documents, ["doc", "id", "source", "text"]).to_pylist():
            found[row["doc"]] |= row
    assert len(run.parts) > 1
    return found


def numbers(listing) -> list[int]:
    return [document.doc for document in listing.documents]


@pytest.mark.parametrize("outcome", [None, schemas.FILTERED, schemas.NEAR_DUPLICATE, schemas.EXACT_DUPLICATE])
def test_lists_every_dropped_document_once_in_input_order(asked, tables, outcome):
    listing = list_documents(asked[1], Wanted(outcome=outcome), "input", 10_000, 40)
    meant = [
        doc for doc, row in sorted(tables.items()) if row["outcome"] != "kept" and outcome in (None, row["outcome"])
    ]
    assert meant
    assert numbers(listing) == meant
    assert listing.found == len(meant)
    for document in listing.documents:
        row = tables[document.doc]
        told = (document.id, document.source, document.language, document.outcome, document.keeper, document.text)
        assert told == (
            *(row[name] for name in ("id", "source", "language", "outcome", "keeper")),
            row["text"][:40],
        )
        assert document.more_rules == max(0, len(row["failed"]) - 1)


def test_a_rule_lists_all_that_failed_it_also_behind_another_rule(asked, tables):
    behind = 0
    for rule in rules_of(asked[1], kept=False):
        meant = {doc: row["failed"][rule] for doc, row in tables.items() if rule in row["failed"]}
        listing = list_documents(asked[1], Wanted(rule=rule), "input", 10_000, 0)
        assert {d.doc: (d.value, d.threshold) for d in listing.documents} == meant
        assert all(d.rule == rule for d in listing.documents)
        behind += sum(tables[doc]["rule"] != rule for doc in meant)
    assert behind > 5


def test_source_and_language_narrow_what_is_listed(asked, tables):
    listing = list_documents(asked[1], Wanted(sources=("books",), languages=("en", "ja")), "input", 10_000, 0)
    meant = [
        doc
        for doc, row in sorted(tables.items())
        if row["outcome"] != "kept" and row["source"] == "books" and row["language"] in ("en", "ja")
    ]
    assert numbers(listing) == meant
    assert 0 < len(meant) < sum(row["outcome"] != "kept" for row in tables.values())


def test_nearest_first_and_a_filtered_document_is_as_far_as_its_worst_rule(asked, tables):
    def distance(row):
        if row["outcome"] == schemas.NEAR_DUPLICATE:
            return abs(row["similarity"] - 0.8) / 0.8
        far = [abs(value - limit) / (abs(limit) or 1) for value, limit in row["failed"].values()]
        return max(far) if far else None

    listing = list_documents(asked[1], Wanted(), "near", 10_000, 0)
    rows = [row for row in tables.values() if row["outcome"] != "kept" and distance(row) is not None]
    meant = sorted(rows, key=lambda row: (distance(row), row["doc"]))
    assert [distance(tables[doc]) for doc in numbers(listing)] == pytest.approx(
        [distance(row) for row in meant], rel=1e-6
    )
    assert listing.found == len(meant)


def test_kept_documents_near_a_rule_are_those_that_it_nearly_dropped(asked, tables):
    listing = list_documents(asked[1], Wanted(kept=True, rule="gopher_quality.min_words"), "near", 8, 0)
    kept = sorted((row["words"], doc) for doc, row in tables.items() if row["outcome"] == "kept")
    assert [document.value for document in listing.documents] == [words for words, _ in kept[:8]]
    assert {document.threshold for document in listing.documents} == {150.0}


def test_a_sample_is_the_same_each_time_and_over_all_parts(asked):
    first, again = (list_documents(asked[1], Wanted(kept=True), "sample", 20, 0) for _ in range(2))
    assert numbers(first) == numbers(again) == sorted(numbers(first))
    assert len({doc >> 32 for doc in numbers(first)}) > 2
    assert numbers(first) != numbers(list_documents(asked[1], Wanted(kept=True), "input", 20, 0))


def test_every_record_is_kept_dropped_or_unreadable(asked):
    _, run = asked
    counts = Counter(
        kept=list_documents(run, Wanted(kept=True), "input", 1, 0).found,
        dropped=list_documents(run, Wanted(), "input", 1, 0).found,
        unreadable=sum(1 for _ in unreadable_records(run)),
    )
    assert sum(counts.values()) == run.manifest["books"]["records"]


@pytest.mark.parametrize(
    ("wanted", "order", "says"),
    [
        (Wanted(rule="words"), "input", "no such rule; there are: empty, gopher_quality.min_words"),
        (Wanted(outcome="kept"), "input", "no such outcome; .*there are: filtered"),
        (Wanted(sources=("nowhere",)), "input", "no such source; there are: web, books, notes"),
        (Wanted(kept=True), "near", "name the rule"),
    ],
)
def test_what_the_run_does_not_have_is_refused_with_what_it_has(asked, wanted, order, says):
    with pytest.raises(ConfigError, match=says):
        list_documents(asked[1], wanted, order, 5, 0)


def test_the_commands_print_lines_for_people_and_json_for_programs(asked, tables):
    config, _ = asked
    code, shown = winnow("dropped", config["run"], "--rule", "long", "--first", "2")
    assert code == 0
    assert shown.count("long: ") == shown.count("(threshold 600)") == 2
    assert "dropped documents match; listed: the first 2 (--first N lists more)" in shown
    lines = winnow("kept", config["run"], "--sample", "3", "--json", "--text", "9")[1].splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    assert "a random sample of 3 (--sample N lists more)" in lines[-1]
    assert [record["text"] for record in records] == [tables[record["doc"]]["text"][:9] for record in records]
    assert len(records) == 3
    assert "web-0.jsonl  web  row 3, byte " in winnow("dropped", config["run"], "--outcome", "unreadable")[1]
    code, told = winnow("dropped", config["run"], "--rule", "nothing")
    assert code == 2 and "the run has no such rule; there are: empty" in told
    code, told = winnow("dropped", config["run"], "--rule", "min_sentences")
    assert code == 2 and "the run has no such rule; did you mean 'c4.min_sentences'? there are: empty" in told
    assert "unreadable" in winnow("dropped", config["run"], "--outcome", "near")[1]
    assert winnow("dropped", config["run"], "--outcome", "unreadable")[1].endswith("all are listed\n")
    code, told = winnow("dropped", config["run"], "--outcome", "unreadable", "--rule", "long")
    assert code == 2
    assert "give --source and --first alone" in told
