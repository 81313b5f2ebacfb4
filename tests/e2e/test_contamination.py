"""Runs with evaluation sets: what leaves, what is told of it, what is computed again, and what is refused."""

import json
import random
import re
import signal
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.operators.runs import computed, done, shards
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import HOSTILE, article
from tests.support.fault_runs import ended
from tests.support.finished import shards_of
from tests.support.small_work import many_units
from winnow.audit.verify.verify import recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import explain, find
from winnow.finished.tables import table_of, tables_of
from winnow.flow.decontaminate import check_sets
from winnow.flow.flow import balances
from winnow.report.manifest import manifest_of
from winnow.runs.plan import plan_run
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.schemas import CONTAMINATED
from winnow.text.contamination.config import DecontaminateConfig, EvaluationSet

QUESTIONS = [
    f"How many {thing} does {who} carry up the hill when every one of the {n + 3} baskets holds exactly {n + 5}?"
    for n, (thing, who) in enumerate(
        [("stones", "Anna"), ("pears", "the miller"), ("lamps", "Otto"), ("books", "a clerk"), ("ropes", "Ida")]
    )
]
ANSWERS = [f"Each basket holds {n + 5}, so that {(n + 3) * (n + 5)} are carried altogether." for n in range(5)]


def items(*numbers: int) -> str:
    return "".join(json.dumps({"question": QUESTIONS[n], "answer": ANSWERS[n]}) + "\n" for n in numbers)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """90 documents: doc-3, doc-30 and doc-60 hold questions 0, 1 and 2, doc-60 also 3 with its answer in capitals."""
    folder = tmp_path_factory.mktemp("contamination")
    rng = random.Random(5)
    texts = [f"Page {n}.\n{article(rng, rng.randint(10, 60))}" for n in range(90)]
    for place, item in ((3, 0), (30, 1), (60, 2)):
        half = len(texts[place]) // 2
        texts[place] = f"{texts[place][:half]}\n{QUESTIONS[item]}\n{texts[place][half:]}"
    texts[60] += f"\n{QUESTIONS[3].upper()} {ANSWERS[3].upper()}"
    rows = [{"id": f"doc-{n}", "text": text} for n, text in enumerate(texts)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "first.jsonl").write_text(
        items(0, 1, 4, 0) + json.dumps({"question": f"{HOSTILE} a"}) + '\n{"question":""}\n'
    )
    (folder / "second.csv").write_text(f'question,answer\n"{QUESTIONS[2]}",x\n"{QUESTIONS[3]}","{ANSWERS[3]}"\n')
    return folder


def settings(data: Path, folder: Path, sets=("first.jsonl", "second.csv"), **sections) -> dict:
    section = {"sets": [str(data / name) for name in sets]} | sections.pop("decontaminate", {})
    shards = {"sequence_tokens": 127, "splits": {"val": 0.1}} | sections.pop("shards", {})
    source = source_of(data / "in.jsonl", "web", id="id")
    return run_config(folder / "run", source, shards=shards, decontaminate=section, **sections)


def written(config: dict, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def left_out(finished) -> list[str]:
    found = []
    for part, record in zip(finished.parts, finished.ledger, strict=True):
        ids = pq.read_table(finished.store.path(part.documents["path"])).column("id").to_pylist()
        rows = pq.read_table(finished.store.path(record.outputs["decisions"].path)).to_pylist()
        found += [name for name, row in zip(ids, rows, strict=True) if row["outcome"] == CONTAMINATED]
    return found


@pytest.fixture(scope="module")
def dropped(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dropped")
    path = written(settings(data, folder), folder)
    return (*done(path), path)


def test_documents_that_hold_items_leave(dropped):
    context, finished, _ = dropped
    assert left_out(finished) == ["doc-3", "doc-30", "doc-60"]
    assert finished.manifest["books"]["outcomes"][CONTAMINATED] == 3
    assert finished.manifest["sources"]["web"]["outcomes"][CONTAMINATED] == 3
    told = finished.manifest["contamination"]["sets"]["first"]
    assert {name: number for name, number in told.items() if number and name != "bytes"} == {
        "items": 6, "found": 3, "not_found": 1, "too_short": 1, "empty": 1, "documents": 2
    }  # fmt: skip
    assert manifest_of(finished) == finished.store.read(f"{finished.shards}/manifest.json")
    for equations in (balances(finished), recount(finished)):
        assert all(balance.expected == balance.found for balance in equations), [str(b) for b in equations]
    assert [stage.name for stage in plan_run(context.config).stages if stage.units is None] == []


def test_the_summary_tells_it_set_by_set(dropped):
    code, told = winnow("summary", dropped[1].store.root)
    assert code == 0
    lines = [line for line in told.splitlines() if line.startswith("contamination")]
    assert lines[0].startswith(
        "contamination: 3 of 90 documents that dedup kept hold items of 2 evaluation sets and are left out (0.0 MB"
    )
    assert lines[1].startswith(
        "contamination by first: 3 of 6 items (1 too short to test, 1 empty) stand in 2 documents"
    )
    assert lines[2].startswith("contamination by second: 2 of 2 items stand in 1 documents")
    assert "reports/contamination.parquet" in lines[3]
    assert "│ contaminated" in told


def test_items_one_by_one(dropped):
    finished = dropped[1]
    rows = pq.read_table(finished.store.path("reports/contamination.parquet")).to_pylist()
    assert [row["status"] for row in rows] == ["found", "found", "not found", "found", "too short", "empty"] + [
        "found"
    ] * 2
    assert [(row["set"], row["file"], row["line"]) for row in rows[5:7]] == [
        ("first", "first.jsonl", 6),
        ("second", "second.csv", 2),
    ]
    assert rows[3]["same_as"] == 0
    numbers = {row["id"]: row["doc"] for row in table_of(finished, "documents").to_table().to_pylist()}
    assert [rows[n]["first_doc"] for n in (0, 1, 6, 7)] == [numbers[f"doc-{n}"] for n in (3, 30, 60, 60)]
    assert {"evaluation_items", "item_places"} <= set(tables_of(finished))


def test_why_tells_item_words_and_place(dropped):
    finished = dropped[1]
    story = explain(finished, *find(finished, "doc-60"))
    assert [(item.set, item.line, item.by, item.covered, item.words) for item in story.held_items] == [
        ("second", 2, "question", 19, 19), ("second", 3, "question", 20, 20)
    ]  # fmt: skip
    held = [story.text.encode()[item.begin : item.end].decode() for item in story.held_items]
    assert held == [QUESTIONS[2][:-1], QUESTIONS[3].upper()[:-1]]
    assert (story.left_out.rule, story.left_out.value, story.left_out.threshold) == (
        "decontaminate.question", 1.0, pytest.approx(0.8)
    )  # fmt: skip
    code, told = winnow("why", "doc-60", finished.store.root)
    assert code == 0
    assert "outcome    contaminated" in told
    assert "holds 1 of the words of a question, from 0.8 on it is contaminated" in told
    begin, end = story.held_items[0].begin, story.held_items[0].end
    assert f"holds      second, second.csv, line 2: {QUESTIONS[2][:90]}" in told
    assert f"19 of 19 words of its question, at bytes {begin:,} to {end:,} of the text" in told
    assert explain(finished, *find(finished, "doc-4")).held_items == ()


@pytest.mark.slow
def test_a_set_added_later_reads_and_compares_nothing_again(data, dropped, tmp_path, monkeypatch):
    many_units(monkeypatch)
    without = settings(data, tmp_path)
    del without["decontaminate"]
    before = run(parse_config(without))
    assert len(before.run.parts) > 3
    one = run(parse_config(settings(data, tmp_path, sets=["second.csv"])))
    assert {"evaluation_items", "contamination", "decontaminate", "contaminated_items"} <= computed(one)
    assert not computed(one) & {"measure", "filter", "bands", "edges", "candidates", "keepers", "decide"}
    assert [s.units - s.reused for s in one.engine.summaries if s.name == "tokenise"] == [1]  # one part has doc-60
    assert left_out(one.run) == ["doc-60"]
    both = run(parse_config(settings(data, tmp_path)))
    assert "contamination" in computed(both)
    assert shards(both.run) == shards(dropped[1])  # other units, the same bytes
    report = (Path(both.config.run) / "reports/contamination.parquet").read_bytes()
    assert report == dropped[1].store.read("reports/contamination.parquet")
    again = run(parse_config(settings(data, tmp_path, shards={"seed": 99})))
    assert "decontaminate" in computed(again)
    assert not computed(again) & {"evaluation_items", "contamination", "tokenise"}
    without_sets = run(parse_config(without))
    assert shards(without_sets.run) == shards(before.run)


def test_content_names_the_work_not_the_path(data, dropped, tmp_path):
    for name in ("first.jsonl", "second.csv"):
        (tmp_path / name).write_bytes((data / name).read_bytes())
    path, config = dropped[2], yaml.safe_load(dropped[2].read_text())
    config["decontaminate"]["sets"] = [str(tmp_path / "first.jsonl"), str(tmp_path / "second.csv")]
    assert computed(run(parse_config(config))) == set()
    (tmp_path / "second.csv").write_text(f'question,answer\n"{QUESTIONS[2]}",x\n')
    changed = run(parse_config(config))
    assert {"evaluation_items", "contamination"} <= computed(changed)
    assert left_out(changed.run) == ["doc-3", "doc-30", "doc-60"]
    assert computed(run(parse_config(yaml.safe_load(path.read_text())))) == set()


def test_spans_are_cut_and_the_rest_stays(data, dropped, tmp_path):
    cut = {"action": "span", "span_characters": 40}
    documents = {"columns": ["id", "text"], "order": "input"}
    context = run(parse_config(settings(data, tmp_path, decontaminate=cut, documents=documents)))
    finished = load_run(context.config.run)
    assert left_out(finished) == []
    for equations in (balances(finished), recount(finished)):
        assert all(balance.expected == balance.found for balance in equations)
    assert context.run.total("contamination_spans", "cut_documents") == 3
    files = [o.path for record in finished.of("document_shards") for o in record.outputs.values()]
    texts = {row["id"]: row["text"] for path in files for row in pq.read_table(finished.store.path(path)).to_pylist()}
    stored = {row["id"]: row["text"] for row in table_of(finished, "documents").to_table().to_pylist()}
    assert len(texts) == 90
    for name in ("doc-3", "doc-30", "doc-60"):
        before, after = stored[name], texts[name]
        assert not any(question[:40].lower() in after.lower() for question in QUESTIONS)
        first, *_ = after.split("\n\n")
        assert before.startswith(first)
        begin = before.lower().index("how many")
        assert 40 <= begin - len(first) <= 40 + 64
        assert before[len(first) - 1].isspace()
    assert {name for name in stored if stored[name] != texts[name]} == {"doc-3", "doc-30", "doc-60"}
    told = winnow("summary", context.config.run)[1]
    assert "3 are cut" in told
    assert "0, of which nothing would be left, are left out" in told
    code, told = winnow("audit", "contamination", context.config.run, "--fail-over", "0")
    assert (code, "90 documents, " in told, "; 0 hold an item" in told) == (0, True, True)
    whole = run(parse_config(settings(data, tmp_path, decontaminate={"action": "span", "span_characters": 100_000})))
    assert left_out(whole.run) == ["doc-3", "doc-30", "doc-60"]
    assert shards(load_run(whole.config.run)) == shards(dropped[1])


def test_spans_of_conversations_are_refused(data, tmp_path):
    config = settings(data, tmp_path, decontaminate={"action": "span"})
    config["sources"][0] = source_of(data / "in.jsonl", "web", messages="text")
    with pytest.raises(ConfigError, match="conversations or pairs"):
        plan_run(parse_config(config))


@pytest.mark.slow
def test_conversations_are_searched(tmp_path):
    rows = [
        {
            "id": str(n),
            "messages": [{"role": "user", "content": q}, {"role": "assistant", "content": f"Answer {n}, I am sure."}],
        }
        for n, q in enumerate(QUESTIONS)
    ]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "set.jsonl").write_text(items(1, 4))
    source = source_of(tmp_path / "chat.jsonl", "chat", messages="messages", id="id")
    sets = {"sets": [str(tmp_path / "set.jsonl")]}
    finished = run(
        parse_config(run_config(tmp_path / "run", source, decontaminate=sets, shards={"sequence_tokens": 64}))
    ).run
    assert left_out(finished) == ["1", "4"]


@pytest.mark.parametrize(
    ("content", "sets", "message"),
    [
        ('{"question": "a"\n', ["bad.jsonl"], "bad.jsonl, line 1: no JSON"),
        ("", ["gone.jsonl"], "decontaminate.sets.0: .*gone.jsonl.*No such file"),
        ("x", ["bad.txt"], "bad.txt: nobody can tell what this evaluation set holds"),
        ('{"q": 1}', [{"path": "bad.jsonl", "question": "question"}], "line 1: has no field 'question'; there are 'q'"),
        ("", [], "sets: .*at least 1"),
        ("", ["a/x.jsonl", "b/x.jsonl"], "sets: two are called 'x'; give one another `name`"),
    ],
)  # fmt: skip
def test_sets_that_cannot_be_used_end_with_code_2(data, tmp_path, content, sets, message):
    def placed(name):
        return str(tmp_path / name)

    (tmp_path / "bad.jsonl").write_text(content)
    (tmp_path / "bad.txt").write_text(content)
    config = settings(data, tmp_path)
    named = [placed(one) if isinstance(one, str) else one | {"path": placed(one["path"])} for one in sets]
    config["decontaminate"]["sets"] = named
    for command in ("run", "plan"):
        code, told = winnow(command, str(written(config, tmp_path)))
        assert code == 2
        assert re.search(message, told.replace("\n", " "))
    assert not (tmp_path / "run" / "work").exists()


def test_audit_of_a_run_without_the_step_and_of_files_of_others(data, tmp_path):
    config = settings(data, tmp_path)
    del config["decontaminate"]
    run(parse_config(config))
    sets = [f"--sets={data / name}" for name in ("first.jsonl", "second.csv")]
    before = sorted((str(p), p.stat().st_mtime_ns) for p in (tmp_path / "run").rglob("*"))
    code, told = winnow("audit", "contamination", str(tmp_path / "run"), *sets, f"--json={tmp_path / 'out.json'}")
    assert code == 0, told
    assert "90 documents, " in told
    assert "; 3 hold an item" in told
    assert before == sorted((str(p), p.stat().st_mtime_ns) for p in (tmp_path / "run").rglob("*"))
    found = json.loads((tmp_path / "out.json").read_text())
    assert [(s["name"], s["items"], s["untested"], s["found"], s["documents"]) for s in found["sets"]] == [
        ("first", 6, 2, 3, 2), ("second", 2, 0, 2, 1)
    ]  # fmt: skip
    assert [one["document"] for one in found["found"]] == ["doc-3", "doc-30", "doc-60"]
    assert winnow("audit", "contamination", str(tmp_path / "run"), *sets, "--fail-over=3")[0] == 0
    assert winnow("audit", "contamination", str(tmp_path / "run"), *sets, "--fail-over=2")[0] == 1
    code, told = winnow("audit", "contamination", str(tmp_path / "run"))
    assert (code, "no evaluation set is named" in told) == (2, True)

    others = tmp_path / "others"
    others.mkdir()
    rows = [json.loads(line) for line in (data / "in.jsonl").read_text().splitlines()]
    pq.write_table(pa.table({"body": [row["text"] for row in rows]}), others / "a.parquet")
    (others / "b.jsonl").write_text(json.dumps({"body": QUESTIONS[0]}) + '\n{"broken\n')
    (others / "_README.md").write_text("not a record")
    code, told = winnow("audit", "contamination", str(others), *sets, "--text=body")
    assert code == 0, told
    assert "91 documents" in told
    assert "; 4 hold an item. NOT SEARCHED: 1 records that cannot be read" in told.replace("\n", " ")
    code, told = winnow("audit", "contamination", str(others), *sets)
    assert (code, "name the field of the text with --text" in told.replace("\n", " ")) == (2, True)


@pytest.mark.slow
def test_killed_while_it_searches_and_gone_on(data, dropped, tmp_path):
    path = written(settings(data, tmp_path), tmp_path)
    line = [sys.executable, "-m", "jobs", "run", str(path)]
    for stage in ("contamination", "decontaminate", "contaminated_items"):
        fault = {"point": "commit", "is": {"stage": stage}, "do": "kill", "times": 1}
        assert ended(line, tmp_path / f"marks-{stage}", fault)[0] == -signal.SIGKILL
    code, messages = ended(line, tmp_path / "marks")
    assert code == 0, messages
    assert list(shards_of(tmp_path / "run").values()) == shards(dropped[1])
    report = (tmp_path / "run" / "reports/contamination.parquet").read_bytes()
    assert report == dropped[1].store.read("reports/contamination.parquet")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_same_bytes_on_any_number_of_workers(local_ray, data, dropped, tmp_path, monkeypatch, workers):
    many_units(monkeypatch)
    compute = {"executor": "ray", "workers": workers}
    finished = run(parse_config(settings(data, tmp_path, compute=compute))).run
    assert shards(load_run(finished.config.run)) == shards(dropped[1])
    report = (tmp_path / "run" / "reports/contamination.parquet").read_bytes()
    assert report == dropped[1].store.read("reports/contamination.parquet")


def test_the_example_of_the_page(tmp_path, monkeypatch):
    """What docs/contamination.md shows can be read; sets of these fields, too."""
    page = (Path(__file__).parents[2] / "docs" / "contamination.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evals" / "gsm8k").mkdir(parents=True)
    (tmp_path / "evals" / "gsm8k" / "test.jsonl").write_text(items(0, 1))
    (tmp_path / "evals" / "ours.csv").write_text(f'prompt,gold,a,b,c,d\n"{QUESTIONS[2]}",B,one,two,three,four\n')
    config = parse_config({"run": "r", "sources": [{"name": "a", "path": "x"}], **yaml.safe_load(example)})
    assert [entry.shown for entry in config.decontaminate.sets] == ["gsm8k", "ours"]
    assert len(check_sets(config)) == 2
    for name in DecontaminateConfig.model_fields | EvaluationSet.model_fields:
        assert f"`{name}`" in page or f"{name}:" in page, name
