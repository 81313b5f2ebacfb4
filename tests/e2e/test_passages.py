"""Runs that cut repeated passages: what leaves, what is told of it, what is computed again, and what is refused."""

import json
import random
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tests.operators.runs import computed, done
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import HOSTILE, documents_of
from tests.support.fault_runs import ended
from tests.support.finished import shards_of
from tests.support.repeated_reference import cut_of, first_places, words_of
from tests.support.small_work import many_partitions, many_units
from winnow.audit.verify.verify import recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import explain, find
from winnow.finished.tables import table_of
from winnow.flow.flow import balances
from winnow.report.manifest import manifest_of
from winnow.runs.plan import plan_run
from winnow.text.passages.config import PassagesConfig

WORDS = 12
LEAST = 5
PASSAGES = 6
STAGES = ("passage_anchors", "passage_shared", "passage_windows", "passage_repeats", "passage_spans", "passages")


def some_words(rng: random.Random, number: int) -> str:
    return " ".join(f"w{rng.randrange(4000)}{rng.choice(['', '', ',', '.'])}" for _ in range(number))


def texts_of() -> dict[str, str]:
    """By id: plain text, with passages in it, longer and shorter than what is cut, whole and in part."""
    rng = random.Random(3)
    passages = [f"“{some_words(rng, 30)}” {HOSTILE}" for _ in range(PASSAGES)]
    texts = {}
    for n in range(40):
        pieces = [some_words(rng, rng.randint(0, 40))]
        for passage in rng.sample(passages, rng.randint(0, 2)):
            held = passage.split(" ")
            begin = rng.randint(0, 8)
            pieces += [" ".join(held[begin : begin + rng.randint(8, 30)]), some_words(rng, rng.randint(0, 30))]
        texts[f"doc-{n}"] = rng.choice(["\n\n", " "]).join(pieces)
    tail = some_words(rng, 30)
    texts["first"] = f"{passages[0]}\n\n{tail}"
    texts["whole"] = f"Here: {passages[0].upper()}"
    texts["itself"] = f"{some_words(rng, 20)} {'one two three four ' * 9}"
    texts["code"] = f"{passages[1]} {'{ ( [ ; ] ) } ' * 30}"
    texts["last"] = f"{some_words(rng, 20)} {tail} and on"
    return texts


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("passages")
    rows = [json.dumps({"id": name, "text": text}) + "\n" for name, text in texts_of().items()]
    (folder / "web.jsonl").write_text("".join(rows[:25]))
    (folder / "books.jsonl").write_text("".join(rows[25:]))
    return folder


def settings(data: Path, folder: Path, name: str = "run", **sections) -> Path:
    sources = [source_of(data / f"{source}.jsonl", source, id="id") for source in ("web", "books")]
    whole = {
        "dedup": "off",
        "passages": {"words": WORDS, "min_words": LEAST, "max_marks_per_word": 2.0} | sections.pop("passages", {}),
        "shards": {"sequence_tokens": 127, "splits": {"val": 0.1}},
        "documents": {"formats": ["parquet"], "columns": ["id", "text"], "order": "input"},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(run_config(folder / name, *sources, **whole | sections)))
    return path


def texts_in(finished) -> dict[str, str]:
    files = [output.path for record in finished.of("document_shards") for output in record.outputs.values()]
    return {row["id"]: row["text"] for path in files for row in pq.read_table(finished.store.path(path)).to_pylist()}


def outcomes(finished) -> dict[str, tuple[str, int | None]]:
    found = {}
    for part, record in zip(finished.parts, finished.ledger, strict=True):
        ids = pq.read_table(finished.store.path(part.documents["path"])).column("id").to_pylist()
        rows = pq.read_table(finished.store.path(record.outputs["decisions"].path)).to_pylist()
        found |= {name: (row["outcome"], row["keeper"]) for name, row in zip(ids, rows, strict=True)}
    return found


@pytest.fixture(scope="module")
def cut(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    _, finished = done(settings(data, folder, report=True))
    return folder, finished


def test_every_word_that_is_cut_stood_before_and_no_other_is_cut(cut):
    finished = cut[1]
    stored = {row["id"]: row for row in table_of(finished, "documents").to_table().to_pylist()}
    taken = [name for name in stored if name != "code"]
    documents = [words_of(stored[name]["text"]) for name in taken]
    gone = cut_of(documents, WORDS)
    left = {name: [word for at, word in enumerate(documents[n]) if (n, at) not in gone] for n, name in enumerate(taken)}
    texts = texts_in(finished)
    short = {name for n, name in enumerate(taken) if len(left[name]) < LEAST and len(left[name]) < len(documents[n])}
    assert set(texts) == {*stored} - short
    assert {name: words_of(text) for name, text in texts.items() if name != "code"} == {
        name: words for name, words in left.items() if name not in short
    }
    assert texts["code"] == stored["code"]["text"]
    assert len(gone) > 300
    assert "whole" in short
    keeper = {name: found for name, (outcome, found) in outcomes(finished).items() if outcome == "repeated"}
    assert set(keeper) == short
    first = first_places(documents, WORDS)
    for name in short:
        held = [place[0] for (doc, _), place in first.items() if doc == taken.index(name) and place[0] != doc]
        most = max(sorted(set(held)), key=held.count)
        assert keeper[name] == stored[taken[most]]["doc"]


def test_what_is_left_reads_on_in_paragraphs(cut):
    texts = texts_in(cut[1])
    stored = {row["id"]: row["text"] for row in table_of(cut[1], "documents").to_table().to_pylist()}
    changed = [name for name in texts if texts[name] != stored[name]]
    assert len(changed) > 10
    for name in changed:
        pieces = texts[name].split("\n\n")
        assert all(piece.strip() and piece in stored[name] for piece in pieces), name
        assert texts[name] == texts[name].strip()


def test_the_table_names_the_first_copy(cut):
    finished = cut[1]
    stored = {row["doc"]: row for row in table_of(finished, "documents").to_table().to_pylist()}
    rows = table_of(finished, "passages").to_table().to_pylist()
    assert len(rows) > 20
    for row in rows:
        there = words_of(stored[row["keeper"]]["text"])[row["keeper_word"] :][: row["words"]]
        held = stored[row["doc"]]["text"].encode()[row["begin"] : row["end"]].decode()
        assert words_of(held) == there
        assert len(there) == row["words"] >= WORDS
        assert (row["keeper"], row["keeper_word"]) < (row["doc"], row["word"])
        assert not held[0].isspace() and not held[-1].isspace()


def test_books_close_and_everything_is_told(cut, data):
    folder, finished = cut
    for equations in (balances(finished), recount(finished)):
        assert [str(each) for each in equations if each.expected != each.found] == []
    assert manifest_of(finished) == finished.store.read(f"{finished.shards}/manifest.json")
    told = finished.manifest["passages"]
    rows = table_of(finished, "passages").count_rows()
    assert told["passages"] == rows
    gone = sum(outcome == "repeated" for outcome, _ in outcomes(finished).values())
    assert told["short_documents"] == gone == finished.manifest["books"]["outcomes"]["repeated"]
    by = [source["passages"] for source in finished.manifest["sources"].values()]
    for name, all_of_it in (("cut_words", "cut_words"), ("cut_documents", "cut_documents"), ("words", "words")):
        assert sum(numbers[name] for numbers in by) == told[all_of_it] > 0
    run = str(folder / "run")
    said = " ".join(winnow("summary", run)[1].split())
    assert f"passages: {rows:,} passages of 12 words and more stand earlier in the 44 documents" in said
    assert "1 documents took no part: program text or markup" in said
    assert "of source books: " in said
    code, said = winnow("dropped", run, "--outcome", "repeated")
    assert (code, "whole  books" in said, "has most of it: document" in said) == (0, True, True)
    assert winnow("dropped", run, "--rule", "passages.min_words")[1] == said
    page = (folder / "run" / "reports" / "report.html").read_text()
    assert "Repeated passages" in page
    assert HOSTILE not in page


def test_why_tells_spans_and_their_first_copy(cut):
    folder, finished = cut
    (doc,) = find(finished, "last")
    story = explain(finished, doc)
    assert [(passage.keeper_id, passage.keeper_outcome) for passage in story.passages] == [("first", "kept")]
    (passage,) = story.passages
    assert words_of(passage.text) == words_of(texts_of()["first"])[-30:]
    assert story.text == texts_in(finished)["last"]
    said = winnow("why", "last", str(folder / "run"))[1]
    assert f"cut        {passage.words} words, bytes {passage.begin:,} to {passage.end:,} of the stored text" in said
    assert f"stand first from word {passage.keeper_word} of first  (number" in said
    said = winnow("why", "whole", str(folder / "run"))[1]
    assert "outcome    repeated" in said
    assert "has 1 words left where passages that stand earlier are cut, and needs 5" in said
    assert "keeper     first  (number" in said
    assert "of this document" in winnow("why", "itself", str(folder / "run"))[1]
    assert explain(finished, *find(finished, "code")).passages == ()


def test_the_audit_shows_what_stands_most_often(cut, tmp_path):
    folder, finished = cut
    run = str(folder / "run")
    code, said = winnow("audit", "passages", run, f"--json={tmp_path / 'a.json'}")
    assert code == 0
    assert "stands, word for word, where the run says" in " ".join(said.split())
    found = json.loads((tmp_path / "a.json").read_text())
    rows = table_of(finished, "passages").to_table().to_pylist()
    places = [(row["keeper"], row["keeper_word"]) for row in rows]
    counts = sorted((places.count(place) for place in set(places)), reverse=True)
    assert [one["copies"] for one in found["most"]] == counts[:50]
    assert found["checked"] == found["right"] == len(rows)
    page = (folder / "run" / "audit" / "passages.html").read_text()
    assert f"The {len(found['most'])} passages with most copies" in page
    assert HOSTILE not in page


def test_other_units_partitions_and_anchors_change_no_byte(data, cut, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        many_units(patch, 2_000)
        many_partitions(patch)
        _, small = done(settings(data, tmp_path, passages={"anchor_words": 3}))
    assert len(small.parts) > 4
    assert small.total("passage_repeats", "repeated_windows") > 0
    assert shards_of(tmp_path / "run") == shards_of(cut[0] / "run")
    assert [str(each) for each in (*balances(small), *recount(small)) if each.expected != each.found] == []
    tables = [table_of(one, "passages").to_table().to_pylist() for one in (small, cut[1])]
    assert tables[0] == tables[1]


def test_the_audit_of_a_run_that_looked_for_none_is_refused(data, tmp_path):
    config = settings(data, tmp_path)
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"passages": "off"}))
    done(config)
    code, said = winnow("audit", "passages", str(tmp_path / "run"))
    assert code == 2 and "its config has no `passages`" in said, said


@pytest.mark.slow
def test_another_length_reads_only_what_depends_on_it(data, tmp_path, monkeypatch):
    many_units(monkeypatch, 4_000)
    without, _ = done(settings(data, tmp_path, passages={"words": 900}))
    assert without.run.total("passage_spans", "passages") == 0
    context, finished = done(settings(data, tmp_path))
    again = computed(context)
    assert set(STAGES) <= again
    assert not again & {"count", "measure", "filter", "decide"}
    tokenised = next(s for s in context.engine.summaries if s.name == "tokenise")
    untouched = sum(record.outputs["edits"].rows == 0 for record in finished.of("passage_spans"))
    assert tokenised.reused >= untouched
    context, _ = done(settings(data, tmp_path, passages={"min_words": 6}))
    assert not computed(context) & {"passage_anchors", "passage_shared", "passage_windows", "passage_repeats"}
    context, _ = done(settings(data, tmp_path))
    assert computed(context) == set()
    assert [stage.name for stage in plan_run(context.config).stages if stage.units is None] == []


@pytest.mark.slow
def test_with_personal_data_items_and_dedup(data, tmp_path):
    """Edits of three steps in one text; a document that others leave out is nobody's first copy."""
    rng = random.Random(9)
    passage, item = some_words(rng, 30), "How many stones does Anna carry up the hill when every basket holds five?"
    texts = {
        "contaminated": f"{item} {passage}",
        "a": f"{some_words(rng, 20)} write to a@mail.example.com now {passage} and on",
        "b": f"{some_words(rng, 20)} {passage} b@mail.example.com {some_words(rng, 20)}",
        "c": f"{passage} {' '.join(f'c{n}@mail.example.com' for n in range(3))}",
    }
    rows = [json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items()]
    (tmp_path / "web.jsonl").write_text("".join(rows))
    (tmp_path / "books.jsonl").write_text("")
    (tmp_path / "items.jsonl").write_text(json.dumps({"question": item}))
    path = settings(
        tmp_path,
        tmp_path,
        dedup={},
        passages={"min_words": 4},
        measure={"operators": [{"use": "pii", "replacements": {"email": ""}}]},
        decontaminate={"sets": [str(tmp_path / "items.jsonl")]},
    )
    _, finished = done(path)
    found = outcomes(finished)
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        "contaminated": "contaminated", "a": "kept", "b": "kept", "c": "repeated"
    }  # fmt: skip
    texts = texts_in(finished)
    assert passage in texts["a"] and passage not in texts["b"]
    assert "mail.example" not in texts["a"] + texts["b"]
    assert [str(each) for each in (*balances(finished), *recount(finished)) if each.expected != each.found] == []


@pytest.mark.slow
def test_killed_in_every_stage_and_gone_on(data, cut, tmp_path):
    line = [sys.executable, "-m", "jobs", "run", str(settings(data, tmp_path))]
    for stage in STAGES:
        fault = {"point": "commit", "is": {"stage": stage}, "do": "kill", "times": 1}
        assert ended(line, tmp_path / f"marks-{stage}", fault)[0] == -signal.SIGKILL
    code, messages = ended(line, tmp_path / "marks")
    assert code == 0, messages
    assert shards_of(tmp_path / "run") == shards_of(cut[0] / "run")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_no_byte(data, cut, tmp_path, monkeypatch, local_ray, workers):
    many_units(monkeypatch, 4_000)
    many_partitions(monkeypatch, 3)
    _, finished = done(settings(data, tmp_path, compute={"executor": "ray", "workers": workers}))
    assert len(finished.parts) > 3
    assert shards_of(tmp_path / "run") == shards_of(cut[0] / "run")


def test_conversations_take_no_part(data, tmp_path):
    config = yaml.safe_load(settings(data, tmp_path).read_text())
    config["sources"][1] |= {"messages": "text"}
    config["passages"]["sources"] = ["web", "books"]
    with pytest.raises(ConfigError, match="'books', whose records are more than a text"):
        parse_config(config)
    del config["passages"]["sources"]
    parse_config(config)
    config["passages"]["sources"] = ["nets"]
    with pytest.raises(ConfigError, match=r"passages\.sources names source 'nets'; there are: web, books"):
        parse_config(config)


@pytest.mark.slow
def test_nights_are_compared_within_themselves(data, tmp_path):
    index = {"keep": ["first"], "index": str(tmp_path / "index")}
    _, first = done(settings(data, tmp_path, "one", dedup=index))
    (tmp_path / "web.jsonl").write_text(json.dumps({"id": "new", "text": f"More. {texts_of()['first']}"}) + "\n")
    (tmp_path / "books.jsonl").write_text("")
    _, second = done(settings(tmp_path, tmp_path, "two", dedup=index))
    assert first.total("passage_spans", "passages") > 0
    assert second.total("passage_spans", "passages") == 0
    said = " ".join(winnow("summary", str(tmp_path / "two"))[1].split())
    assert "compared within this run; what earlier runs of the index kept is not looked through" in said


@pytest.mark.slow
def test_real_text_is_cut_as_the_dictionary_says(shared, tmp_path, monkeypatch):
    """Versions of a site's pages in one run, several units, against a dictionary of all their windows."""
    rows = documents_of(shared / "corpus" / "03-rust-book.jsonl.zst")
    (tmp_path / "book.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = source_of(tmp_path / "book.jsonl", "book", id="id")
    passages = {"words": 50, "max_marks_per_word": None, "min_words": 20}
    config = run_config(tmp_path / "run", source, passages=passages, dedup={}, shards={"sequence_tokens": 255})
    many_units(monkeypatch, 1_000_000)
    many_partitions(monkeypatch, 3)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    _, finished = done(tmp_path / "c.yaml")
    assert len(finished.parts) > 4
    stored = table_of(finished, "documents").to_table().to_pylist()
    kept = {doc for record in finished.of("decide") for doc in _kept(finished, record)}
    listed = [row for row in stored if row["doc"] in kept]
    documents = [words_of(row["text"]) for row in listed]
    gone = cut_of(documents, 50)
    short = finished.total("passage_spans", "short_documents")
    assert short > 10
    assert finished.total("passage_spans", "repeated_words") == len(gone) > 100_000
    left = np.array([len(words) for words in documents]) - np.bincount([doc for doc, _ in gone], minlength=len(listed))
    touched = np.unique([doc for doc, _ in gone])
    assert short == int((left[touched] < 20).sum())


def _kept(finished, record) -> list[int]:
    table = pq.read_table(finished.store.path(record.outputs["decisions"].path))
    return [row["doc"] for row in table.to_pylist() if row["outcome"] == "kept"]


def test_the_example_of_the_page():
    """What docs/passages.md shows is the default, and every setting is told."""
    page = (Path(__file__).parents[2] / "docs" / "passages.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    config = parse_config({"run": "r", "sources": [{"name": "a", "path": "x"}], **yaml.safe_load(example)})
    assert config.passages == PassagesConfig()
    assert all(f"`{name}`" in page for name in PassagesConfig.model_fields)
