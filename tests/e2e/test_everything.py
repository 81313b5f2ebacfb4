"""Every step of a run at once: what each leaves to the next, and that what is promised holds of all of them."""

import json
import random
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tests.operators.runs import computed, done
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import article
from tests.support.fault_runs import ended
from tests.support.finished import shards_of, text_files_of
from tests.support.small_work import many_partitions, many_units
from winnow.audit.verify.verify import check_shards, recount
from winnow.finished.explain import explain, find
from winnow.flow.flow import balances
from winnow.flow.records import RunRecords
from winnow.runs.run import load_run_vocabulary
from winnow.runs.state import load_run

QUESTIONS = [
    f"How many {thing} does {who} carry up the hill when every one of the {n + 3} baskets holds exactly {n + 5}?"
    for n, (thing, who) in enumerate([("stones", "Anna"), ("pears", "the miller"), ("lamps", "Otto"), ("books", "Ida")])
]
MAIL = re.compile(r"[\w.]+@mail\.example\.com")
pytestmark = pytest.mark.slow
PII = {"use": "pii", "phone": True, "max_spans": 4, "replacements": {"email": ""}}
SELECT = {"encoder": {"dimensions": 32}, "semantic": {"epsilon": 0.01}}


def write(folder: Path) -> dict[str, str]:
    """Texts by id: what a rule, a copy, an item, personal data, both of these or nothing stands in."""
    rng = random.Random(5)
    texts = {f"doc-{n}": f"Page {n}.\n{article(rng, rng.randint(12, 50))}" for n in range(60)}
    texts["copy"] = texts["doc-7"]
    texts["near"] = texts["doc-8"] + " Otherwise."
    texts["mail"] = texts["doc-9"][::-1] + "\nwrite to a.b@mail.example.com now"
    texts["many"] = article(rng, 20) + " ".join(f"p{n}@mail.example.com" for n in range(9))
    for n in range(12):  # the stretch that is cut ends before, within and behind the numbers
        gap = " so" * n
        middle = f"(212) 555-01{n:02d}{gap} {QUESTIONS[n % 3]}{gap} +49 30 12345{n:02d} it is."
        texts[f"both-{n}"] = f"{article(rng, 15)} {middle} {article(rng, 9)}"
    texts["item"] = QUESTIONS[0]
    texts["nothing"] = f"{QUESTIONS[1]}\n\n{'so ' * 6} only@mail.example.com"
    texts["blank"] = "last@mail.example.com"
    rows = [json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items()]
    (folder / "web.jsonl").write_text("".join(rows[:40]))
    (folder / "books.jsonl").write_text("".join(rows[40:]))
    (folder / "items.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in QUESTIONS))
    return texts


def settings(folder: Path, name: str = "run", **sections) -> Path:
    sources = [source_of(folder / f"{source}.jsonl", source, id="id") for source in ("web", "books")]
    whole = {
        "measure": {"operators": [PII]},
        "decontaminate": {"sets": [str(folder / "items.jsonl")], "action": "span", "span_characters": 20},
        "dedup": {"keep": ["first"], "index": str(folder / f"{name}-index")},
        "select": SELECT,
        "documents": {"formats": ["parquet"], "columns": ["id", "text", "split", "copies"]},
        "report": True,
        "shards": {
            "sequence_tokens": 63, "splits": {"val": 0.2}, "mixture": {"web": 1, "books": 1}, "max_epochs": 100
        },
    }  # fmt: skip
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(run_config(folder / name, *sources, **whole | sections)))
    return path


def exported(finished: RunRecords) -> list[dict]:
    folder = Path(finished.store.root)
    files = [next(folder.glob(f"documents/*/{path}")) for path in text_files_of(folder)]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def in_shards(finished: RunRecords, split: str) -> Counter[str]:
    """Documents that the rows of a split say, one after another."""
    vocabulary = load_run_vocabulary(finished.config)
    stream = []
    for shard in finished.manifest["shards"]["splits"][split]["shards"]:
        table = pq.read_table(finished.store.path(f"{finished.shards}/{shard['path']}"))
        ids = [rows.flatten().to_numpy() for rows in table.column("input_ids").chunks]
        stream.append(np.concatenate(ids)[: shard["tokens"]])
    whole = np.concatenate(stream)
    pieces = np.split(whole, np.flatnonzero(whole == vocabulary.end_of_text) + 1)
    assert len(pieces[-1]) == 0
    return Counter(vocabulary.decode(piece[:-1]).decode() for piece in pieces[:-1])


def holds(finished: RunRecords) -> None:
    """Books, files and tables of a run say the same."""
    assert check_shards(finished) == []
    assert [str(each) for each in (*balances(finished), *recount(finished)) if each.expected != each.found] == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everything")
    texts = write(folder)
    _, finished = done(settings(folder))
    return folder, texts, finished


def test_shards_say_what_clean_text_says(whole):
    _, texts, finished = whole
    holds(finished)
    rows = exported(finished)
    for split in finished.config.shards.split_names:
        wanted: Counter[str] = Counter()
        for row in rows:
            wanted[row["text"]] += row["copies"] * (row["split"] == split)
        assert in_shards(finished, split) == wanted
    kept = {row["id"]: row["text"] for row in rows}
    for name, text in kept.items():
        assert not MAIL.search(text) and "555-01" not in text and "+49" not in text
        assert all(question not in text for question in QUESTIONS)
        assert text.strip() and (text == texts[name] or not name.startswith("doc-"))
    assert sum(name.startswith("both-") for name in kept) == 12


def test_outcomes_are_told_everywhere(whole):
    folder, texts, finished = whole
    run, told = str(folder / "run"), {}
    rules = {"item": "decontaminate.question", "nothing": "nothing_left", "blank": "nothing_left", "many": "pii"}
    for name, rule in rules.items():
        code, said = winnow("dropped", run, "--rule", rule)
        assert code == 0 and f"{name}  " in said
        told[name] = winnow("why", name, run)
        assert told[name][0] == 0 and rule.partition(".")[0] in told[name][1]
    assert winnow("dropped", run, "--outcome", "contaminated")[1].startswith("item  ")
    for command in (["kept", run], ["tune", run], ["verify", run], ["audit", "splits", run], ["audit", "dedup", run]):
        code, said = winnow(*command)
        assert code == 0, said
    splits = winnow("audit", "splits", run)[1]
    assert sum(map(int, re.search(r"train (\d+), val (\d+)", splits).groups())) == len(exported(finished))
    code, said = winnow("audit", "contamination", run, "--sets", str(folder / "items.jsonl"), "--fail-over", "0")
    assert code == 0, said
    page = (folder / "run" / "reports" / "report.html").read_text()
    assert "contaminated" in page and "nothing_left" in page
    assert "mail.example" not in page and "555-01" not in page and "baskets holds" not in page
    kept = {row["id"]: row["text"] for row in exported(finished)}
    for name in ("both-0", "both-5", "mail"):
        assert winnow("why", name, run)[0] == 0
        (doc,) = find(finished, name)
        assert explain(finished, doc).text == kept[name]
        assert "mail.example" not in winnow("why", name, run)[1]


def test_other_units_change_no_byte(whole, monkeypatch):
    folder, _, finished = whole
    wanted = shards_of(folder / "run") | text_files_of(folder / "run")
    with monkeypatch.context() as patch:
        many_units(patch)
        many_partitions(patch)
        _, small = done(settings(folder, "small"))
    assert len(small.parts) > 3
    assert shards_of(folder / "small") | text_files_of(folder / "small") == wanted
    holds(small)


@pytest.mark.parametrize("stage", ["contamination_spans", "decontaminate", "redact_spans", "redact"])
def test_a_kill_costs_no_unit_that_was_committed(whole, tmp_path, stage):
    folder, _, finished = whole
    name = f"killed-{stage}"
    line = [sys.executable, "-m", "jobs", "run", str(settings(folder, name))]
    fault = {"point": "commit", "is": {"stage": stage}, "do": "kill", "times": 1}
    code, messages = ended(line, tmp_path / "marks", fault)
    assert code == -signal.SIGKILL, messages
    committed = {path: path.stat().st_mtime_ns for path in (folder / name / "work").glob("*/*/*.json")}
    assert any("/measure/" in str(path) for path in committed)
    code, messages = ended(line, tmp_path / "marks")
    assert code == 0, messages
    assert {path: path.stat().st_mtime_ns for path in committed} == committed
    again = load_run(str(folder / name))
    assert shards_of(folder / name) | text_files_of(folder / name) == shards_of(folder / "run") | text_files_of(
        folder / "run"
    )
    holds(again)


@pytest.mark.parametrize(
    ("sections", "again"),
    [
        ({"measure": {"operators": [{**PII, "iban": True}]}}, {"redact_spans", "redact"}),
        ({"measure": {"operators": [PII]}}, set()),
    ],
)
def test_what_is_switched_on_later_computes_what_depends_on_it(whole, sections, again):
    folder, _, _ = whole
    context, finished = done(settings(folder, **sections))
    assert computed(context) == again
    holds(finished)
