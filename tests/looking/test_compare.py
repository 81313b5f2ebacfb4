"""`winnow compare` against a plain join of both ledgers by id."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.looking.conftest import RULES
from tests.support.commands import winnow
from winnow.config.config import parse_config
from winnow.looking.compare.compare import compare_runs
from winnow.looking.compare.pairs import ROW, Names, hashed_rows, joined, merge
from winnow.looking.compare.settings import changed_settings
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.tables import read_parquet


def ledger(finished) -> dict[tuple, dict]:
    """Every readable document by source, id and how many with the same stand before it."""
    found, seen = {}, Counter()
    for part, decided in zip(finished.parts, finished.ledger, strict=True):
        named = read_parquet(finished.store, part.documents, ["id", "source"]).to_pylist()
        told = read_parquet(finished.store, part.signals, ["language", "characters"]).to_pylist()
        decisions = read_parquet(finished.store, decided.outputs["decisions"].reference()).to_pylist()
        for name, more, row in zip(named, told, decisions, strict=True):
            key = (name["source"], name["id"])
            found[*key, seen[key]] = {**row, **more}
            seen[key] += 1
    return found


@pytest.fixture(scope="module")
def runs(asked, tmp_path_factory):
    """The run of this folder, and one of another config: other thresholds and splits, without a source, with a longer
    text of one document."""
    config, then = asked
    folder = tmp_path_factory.mktemp("compare")
    rules = json.loads(json.dumps(RULES))
    rules["gopher_quality"]["min_words"] = 100
    rules["rules"][0]["min_quantile"], rules["rules"][1]["max"] = 0.02, 400
    sources = [source for source in config["sources"] if source["name"] != "books"]
    shards = {**config["shards"], "splits": {"val": 0.3}}
    changed = {**config, "run": str(folder / "run"), "sources": sources, "filter": rules, "shards": shards}
    run(parse_config(changed))
    return then, load_run(str(folder / "run"))


def test_moves_and_counts_are_those_of_a_plain_join(runs):
    then, now = runs
    found = compare_runs(then, now)
    a, b = ledger(then), ledger(now)
    both = a.keys() & b.keys()
    moves, lost, gained = Counter(), Counter(), Counter()
    for key in both:
        one, other = a[key], b[key]
        if one["outcome"] != other["outcome"]:
            moves[one["outcome"], other["outcome"]] += 1
        for counts, kept, dropped in ((lost, one, other), (gained, other, one)):
            if kept["outcome"] == "kept" != dropped["outcome"]:
                counts[dropped["outcome"] + (f": {dropped['rule']}" if dropped["rule"] else "")] += 1
    assert lost and gained and both  # there is something to see
    assert found.both == len(both) + then.totals("measure", "unreadable")["web"]
    assert {(x, y): n for x, to in found.moves.items() for y, n in to.items()} == moves
    assert (found.lost, found.gained) == (dict(lost), dict(gained))
    splits = Counter((a[k]["split"], b[k]["split"]) for k in both if a[k]["outcome"] == b[k]["outcome"] == "kept")
    assert {(x, y): n for x, to in found.splits.items() for y, n in to.items()} == {
        pair: n for pair, n in splits.items() if pair[0] != pair[1]
    }
    only = Counter(a[key]["outcome"] for key in a.keys() - b.keys())
    assert {name: n for name, n in found.only_then.items() if name != "unreadable"} == only
    assert {key[0] for key in a.keys() - b.keys()} == {"books"} and not found.only_now
    by_source = Counter(key[0] for key in both if a[key]["outcome"] == "kept" != b[key]["outcome"])
    assert {name: moved["lost"] for name, moved in found.by_source.items() if moved["lost"]} == by_source
    languages = Counter(row["language"] for row in b.values() if row["outcome"] == "kept")
    assert {name: group.kept for name, group in found.now.languages.items() if group.kept} == languages
    assert sum(group.share for group in found.now.languages.values()) == pytest.approx(1, abs=1e-4)
    assert found.now.sources["web"].tokens == now.total("tokenise", "source_tokens/web")
    names = [name for name, _, _ in found.settings]
    assert "filter.gopher_quality.min_words" in names and "shards.splits.val" in names
    assert any(name.startswith("sources.books") for name in names)
    assert not any(name.startswith(("run", "compute", "versions")) for name in names)


def test_partitions_change_nothing(runs):
    whole, *none = joined(*runs, Names(), 10**9)
    assert not none
    names = Names()
    parts = list(joined(*runs, names, 100))
    assert len(parts) > 4
    for column in ROW.names:
        for place in range(4):
            together = np.concatenate([part[place][column] for part in parts])
            assert together.tolist() == whole[place][column].tolist()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 1)), max_size=40))
def test_equal_ids_go_together_in_their_order(entries):
    rows = {side: np.zeros(sum(is_then == side for is_then, _, _ in entries), ROW) for side in (True, False)}
    at = Counter()
    for is_then, high, low in entries:
        rows[is_then][at[is_then]] = (high, low, at[is_then], 0, 0, 0, 0, 0, 0, 0)
        at[is_then] += 1
    found = merge(rows[True], rows[False])
    expected, alone = [], [[], []]
    for key in sorted({(high, low) for _, high, low in entries}):
        docs = [[row["doc"] for row in rows[side] if (row["high"], row["low"]) == key] for side in (True, False)]
        expected += zip(*docs, strict=False)
        shorter = min(map(len, docs))
        for side in (0, 1):
            alone[side] += docs[side][shorter:]
    assert list(zip(found.then["doc"], found.now["doc"], strict=True)) == expected
    assert [found.only_then["doc"].tolist(), found.only_now["doc"].tolist()] == alone


def test_examples_are_documents_of_their_kind(runs):
    then, now = runs
    found = compare_runs(then, now, sample=3)
    assert set(found.examples) >= {"lost", "gained", "split", "only_then"}
    a, b = ledger(then), ledger(now)
    for one in found.examples["lost"]:
        key = (one["source"], one["id"], 0)
        assert (one["then"]["outcome"], a[key]["outcome"]) == ("kept", "kept")
        assert one["now"]["rule"] == b[key]["rule"] and one["text"]
        assert one["now"]["value"] == b[key]["value"] and one["now"]["threshold"] == b[key]["threshold"]
    assert all(one["now"] is None and one["then"] is not None for one in found.examples["only_then"])
    assert compare_runs(then, now, sample=3).examples == found.examples
    assert len(compare_runs(then, now, sample=1).examples["lost"]) == 1


def test_the_command_ends_as_diff_does(runs, tmp_path):
    then, now = (finished.config.run for finished in runs)
    code, told = winnow("compare", then, then)
    assert code == 0 and "nothing changed" in told
    code, told = winnow("compare", then, now, "--sample", "2")
    assert code == 1
    assert "filter.gopher_quality.min_words: 150 -> 100" in told and "kept then, not now, such as:" in told
    assert all(len(line) <= 80 for line in told.splitlines() if line[:1] in "┃│┏└┡")
    code, told = winnow("compare", then, now, "--json")
    values = json.loads(told)
    assert code == 1 and values["differs"] and values["settings"][0].keys() == {"name", "then", "now"}
    assert winnow("compare", then, str(tmp_path))[0] == 2


def test_a_fault_while_reading_is_no_difference(runs, monkeypatch):
    def gone(*_arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("winnow.looking.compare.pairs.read_parquet", gone)
    assert winnow("compare", *(finished.config.run for finished in runs))[0] == 2


def test_names_of_the_corpus_are_escaped(runs, monkeypatch):
    from winnow.looking.compare import compare as module

    found = compare_runs(*runs)
    found.by_source["\x1b[31mred"] = {"lost": 3, "gained": 1}
    found.lost["filtered: \x07bell"] = 2
    monkeypatch.setattr(module, "compare_runs", lambda *_a: found)
    _, told = winnow("compare", *(finished.config.run for finished in runs))
    assert "\x1b" not in told and "\x07" not in told and "\\x1b[31mred" in told


def test_settings_are_told_by_their_whole_name():
    then = {"config": {"a": {"b": 1, "c": [1, 2]}, "sources": [{"name": "x", "path": "p"}]}, "versions": {"ftfy": "6"}}
    now = {"config": {"a": {"b": 2, "c": [1, 2]}, "sources": [{"name": "y", "path": "p"}]}, "versions": {"ftfy": "7"}}
    assert changed_settings(then, then) == []
    (off,) = changed_settings({**then, "config": {"a": {"b": 1}}}, {**then, "config": {"a": None}})
    assert off == ("a", {"b": 1}, None)
    assert [tuple(changed) for changed in changed_settings(then, now)] == [
        ("a.b", 1, 2),
        ("sources.x", {"path": "p"}, "-"),
        ("sources.y", "-", {"path": "p"}),
        ("versions.ftfy", "6", "7"),
    ]


def test_names_have_the_same_numbers_in_both_runs():
    names = Names()
    first = names.codes(pa.chunked_array([pa.array(["b", None, "a"])]))
    assert first.tolist() == [1, 0, 2] and names.codes(pa.chunked_array([pa.array(["a", "c"])])).tolist() == [2, 3]
    assert names.codes(pa.chunked_array([pa.array([], pa.string())])).tolist() == []


def test_documents_of_two_sources_with_one_id_are_two():
    def keys(sources, ids):
        rows = hashed_rows(*(pa.chunked_array([pa.array(column)]) for column in (sources, ids)))
        return list(zip(rows["high"].tolist(), rows["low"].tolist(), strict=True))

    assert len(set(keys(["a", "b", "ab", "a"], ["x", "x", "c", "bc"]))) == 4
    assert keys(["a"], ["x"]) == keys(["b", "a"], ["y", "x"])[1:]
