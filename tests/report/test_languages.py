"""Language by outcome: what the tables hold, read once; in 80 columns, each number once, for any number of both."""

import json
import shutil
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configs import run_config, source_of, unread_config
from tests.support.corpora import articles
from tests.support.terminal_tables import number, printed, read_back
from winnow.config.config import parse_config
from winnow.finished.tables import table_of
from winnow.flow.records import RunRecords
from winnow.report import languages
from winnow.report.languages import LANGUAGES_SHOWN, language_tables, outcomes_by_language
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.schemas import LEDGER_OUTCOMES

SAID = {
    "de": "Der Wind dreht nach Westen, und am Abend fällt Regen auf die Dächer der alten Stadt am Fluss.",
    "fr": "Le vent tourne vers l'ouest et le soir la pluie tombe sur les toits de la vieille ville du fleuve.",
    "ru": "Ветер поворачивает на запад, и вечером дождь падает на крыши старого города у реки.",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run in several parts whose filter drops a language, with copies, and with a mixture that drops some more."""
    folder = tmp_path_factory.mktemp("languages")
    for name, texts in (
        ("a", articles(1, 60)),
        ("b", [f"{text} {n}. " * 9 for text in SAID.values() for n in range(20)]),
    ):
        lines = [json.dumps({"text": text}) for text in (*texts, *texts[:7])]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    sources = [source_of(folder / f"{name}.jsonl", name) for name in ("a", "b")]
    rules = {"mode": "filter", "languages": ["en", "de", "ru"], "gopher_quality": "off", "gopher_repetition": "off"}
    rules |= {"c4": "off", "fineweb": "off"}
    shards = {"sequence_tokens": 127, "max_tokens": 20_000}
    run(parse_config(run_config(folder / "run", *sources, filter=rules, shards=shards)))
    return folder / "run"


def counted(folder) -> Counter:
    """Joined by document, row by row."""
    signals, decisions = (table_of(load_run(str(folder)), name).to_table() for name in ("signals", "decisions"))
    language = {row["doc"]: row["language"] for row in signals.select(["doc", "language"]).to_pylist()}
    return Counter((language[row["doc"]], row["outcome"]) for row in decisions.select(["doc", "outcome"]).to_pylist())


def test_each_document_counts_once_for_its_language_and_its_last_outcome(folder):
    (folder / "reports" / languages.REPORT.file).write_text("")
    found = outcomes_by_language(load_run(str(folder)))
    expected = counted(folder)
    assert {(name, outcome): n for name, of in found.items() for outcome, n in of.items()} == expected
    assert found["fr"]["kept"] == 0
    assert {"kept", "exact_duplicate", "sampled_out"} <= {outcome for _, outcome in expected}
    assert [of.total() for of in found.values()] == sorted((of.total() for of in found.values()), reverse=True)


def test_a_run_keeps_the_numbers_and_later_questions_read_no_table(folder, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    finished = load_run(str(copy))
    (copy / "reports" / languages.REPORT.file).write_bytes(languages.REPORT.make(finished))
    expected = outcomes_by_language(finished)
    for record in finished.ledger:
        (copy / record.outputs["decisions"].path).unlink()
    assert outcomes_by_language(load_run(str(copy))) == expected
    for damaged in ("", "[]", '{"of": "x", "outcomes": {}}', '{"outcomes": 3}'):  # not believed
        (copy / "reports" / languages.REPORT.file).write_text(damaged)
        told = printed(language_tables(load_run(str(copy)), whole=False))
        assert "languages: not counted, because a table of the run is gone" in told and ".decisions.parquet" in told


def run_of(numbers: list[list[int]]) -> RunRecords:
    """A run with documents of language l and outcome o."""
    run = RunRecords(None, parse_config(unread_config()))
    outcomes = [Counter(dict(zip(LEDGER_OUTCOMES, row, strict=False))) for row in numbers]
    found = {f"l{at:03d}": of for at, of in enumerate(outcomes)}
    run._made[languages._outcomes] = dict(sorted(found.items(), key=lambda item: (-item[1].total(), item[0])))
    return run


SIZES = st.integers(1, len(LEDGER_OUTCOMES)).flatmap(
    lambda outcomes: st.lists(
        st.lists(st.integers(0, 10**12), min_size=outcomes, max_size=outcomes).filter(any), min_size=2, max_size=40
    )
)


@settings(max_examples=30, deadline=None)
@given(SIZES)
def test_every_number_stands_in_some_table_and_in_the_sums(numbers):
    run, sums = run_of(numbers), [sum(column) for column in zip(*numbers, strict=True)]
    for whole in (True, False):
        told = printed(language_tables(run, whole=whole))
        assert all(len(line) <= 80 for line in told.splitlines() if "winnow summary" not in line)
        tables = read_back(told)
        rows = len(numbers) if whole else min(len(numbers), LANGUAGES_SHOWN)
        for _, cells in tables:
            assert len(cells) == rows + 1
            assert [number(row[1]) for row in cells][-1] == sum(sums)
            assert sum(number(row[1]) for row in cells[:-1]) == sum(sums)
            assert number(cells[-1][2]) == sums[0]
        lost = [[number(row[at]) for row in cells] for names, cells in tables for at in range(4, len(names))]
        left = [number(row[1]) - number(row[2]) for row in tables[0][1]]
        assert left == ([sum(column) for column in zip(*lost, strict=True)] or [0] * len(left))
        assert sum(column[-1] for column in lost) == sum(sums[1:])
        if whole:
            assert sorted(column[-1] for column in lost) == sorted(filter(None, sums[1:]))
            assert "winnow summary" not in told


def test_what_is_left_out_is_told():
    assert "30 languages; all of them by outcome: winnow summary /r --all" in printed(
        language_tables(run_of([[5, 1]] * 30), whole=False)
    )
    assert printed(language_tables(run_of([[3, 4]]), whole=True)) == ""
