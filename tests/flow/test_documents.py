"""Clean text: exactly the documents of the shards, in their order, with the columns asked for."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, sample_config, source_of
from tests.support.corpora import articles, write_sample
from tests.support.finished import ledger, texts_and_decisions
from tests.support.small_work import many_units
from winnow.audit.verify.verify import check_shards
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.flow.buckets import bucket_columns
from winnow.flow.flow import balances
from winnow.runs.plan import plan_run
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run

COLUMNS = ["id", "text", "source", "split", "copies", "tokens", "duplicates", "words", "language", "doc"]
SHARDS = {"sequence_tokens": 63, "shard_mb": 1, "splits": {"val": 0.1}}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_sample(folder, 120)
    return folder


def run_with(data: Path, folder: Path, documents: dict, **more):
    return run(parse_config(sample_config(data, folder, documents=documents, shards=SHARDS, **more)))


def files_of(context) -> dict[str, bytes]:
    """Files of the documents by name, without their manifest."""
    folder = Path(context.run.store.root) / context.run.manifest["documents"]["folder"]
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "manifest.json"}


def rows_of(context, split: str = "train") -> list[dict]:
    folder = Path(context.run.store.root) / context.run.manifest["documents"]["folder"]
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob(f"{split}-*.parquet"))]).to_pylist()


def decoded(context, split: str) -> list[str]:
    """Texts of the shards of a split, in their order."""
    folder, vocabulary = Path(context.run.store.root) / context.run.shards, load_run_vocabulary(context.config)
    tables = [pq.read_table(path, columns=["input_ids"]) for path in sorted(folder.glob(f"{split}-*.parquet"))]
    ids = pa.concat_tables(tables).column("input_ids").combine_chunks().flatten().to_numpy()
    ends = np.flatnonzero(ids == vocabulary.end_of_text)[: context.run.total("shuffle", f"documents/{split}")]
    starts = [0, *(ends[:-1] + 1)]
    return [vocabulary.decode(ids[a:b]).decode() for a, b in zip(starts, ends, strict=True)]


def test_texts_are_those_of_the_shards_in_their_order_whatever_the_units(data, tmp_path, monkeypatch):
    wanted = {"formats": ["jsonl.zst", "parquet"], "columns": COLUMNS}
    whole = run_with(data, tmp_path / "whole", wanted)
    for split in ("train", "val"):
        rows = rows_of(whole, split)
        assert [row["text"] for row in rows] == decoded(whole, split) and rows
        assert {row["split"] for row in rows} == {split}
    texts, decisions = texts_and_decisions(whole.run)
    repeated = Counter(row["keeper"] for row in decisions.values() if row["keeper"] is not None)
    assert sum(repeated.values()) > 0
    for row in [*rows_of(whole), *rows_of(whole, "val")]:
        assert (row["text"], row["duplicates"], row["copies"]) == (texts[row["doc"]], repeated[row["doc"]], 1)
        assert row["words"] > 0 and row["tokens"] > 0 and row["language"]

    folder = Path(whole.run.store.root) / whole.run.manifest["documents"]["folder"]
    for path in folder.glob("*.jsonl.zst"):
        lines = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd").read().splitlines()
        assert [json.loads(line) for line in lines] == pq.read_table(
            path.with_name(path.name.replace("jsonl.zst", "parquet"))
        ).to_pylist()

    many_units(monkeypatch)
    parts = run_with(data, tmp_path / "parts", wanted)
    assert len(parts.run.parts) > 2
    assert files_of(parts) == files_of(whole)
    again = run_with(data, tmp_path / "parts", wanted)
    assert all(stage.units == stage.reused for stage in again.engine.summaries)


def test_input_order_has_a_file_a_part_with_rising_documents(data, tmp_path, monkeypatch):
    many_units(monkeypatch)
    context = run_with(data, tmp_path / "run", {"columns": ["doc", "id", "text"], "order": "input"})
    docs = [row["doc"] for row in rows_of(context)]
    assert docs == sorted(docs) and len(docs) == context.run.total("shuffle", "documents/train")
    assert len([name for name in files_of(context) if name.startswith("train-part-")]) > 2


def test_kept_fields_and_scores_stand_where_a_source_has_them(data, tmp_path):
    config = sample_config(data, tmp_path / "run", shards=SHARDS)
    config["sources"][1]["keep"] = ["id"]
    config |= {
        "documents": {"columns": ["keep.id", "cluster", "quality", "source"]},
        "select": {"encoder": {"dimensions": 32}, "clusters": {"number": 2}, "sample": {"target_tokens": 3_000}},
    }
    context = run(parse_config(config))
    rows = [*rows_of(context), *rows_of(context, "val")]
    assert {row["cluster"] for row in rows} <= {0, 1} and {row["quality"] for row in rows} == {None}
    assert all((row["keep.id"] is not None) == (row["source"] == "books") for row in rows)


@pytest.mark.parametrize("order", ["global", "input"])
def test_a_row_has_its_own_licence_or_that_of_its_source(tmp_path, monkeypatch, order):
    many_units(monkeypatch)
    said = ({"licence": "MIT"}, {"license": "CC0-1.0"}, {"licence": None}, {})
    for name, first in (("a", 1), ("b", 2), ("c", 3)):
        records = [
            {"id": f"{name}{n}", "text": text, **said[n % len(said)]} for n, text in enumerate(articles(first, 40))
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    sources = [
        source_of(tmp_path / "a.jsonl", "a", id="id", licence="CC-BY-4.0", keep=["licence", "license"]),
        source_of(tmp_path / "b.jsonl", "b", id="id", keep=["license"]),
        source_of(tmp_path / "c.jsonl", "c", id="id", licence="ODC-By"),
    ]
    own = {"a": ("MIT", "CC0-1.0", "CC-BY-4.0", "CC-BY-4.0"), "b": (None, "CC0-1.0", None, None), "c": ("ODC-By",) * 4}
    documents = {"columns": ["id", "licence"], "order": order}
    files = []
    for licence in ("ODC-By", "PDDL-1.0"):
        sources[2]["licence"] = licence
        own["c"] = (licence,) * 4
        context = run(parse_config(run_config(tmp_path / "run", *sources, documents=documents, shards=SHARDS)))
        rows = [*rows_of(context), *rows_of(context, "val")]
        assert {row["id"]: row["licence"] for row in rows} == {
            row["id"]: own[row["id"][0]][int(row["id"][1:]) % 4] for row in rows
        }
        assert len(rows) == context.run.totals(context.run.ledger_stage, "outcome")["kept"] > 60
        files.append(context.run.manifest["documents"]["folder"])
    assert files[0] != files[1]


def test_a_mixture_divides_by_licence_as_it_stands(tmp_path):
    shards = SHARDS | {"mixture": {"by": ["licence"], "weights": {"CC0-1.0": 1}}}
    columns, texts, numbers = bucket_columns(parse_config(sample_config(tmp_path, tmp_path / "run", shards=shards)))
    assert "licence" in texts and not numbers and '"books":"CC0-1.0"' in columns[texts.index("licence")].field


def test_a_weight_gives_a_document_once_and_says_how_often_it_is_in_the_shards(data, tmp_path):
    config = sample_config(data, tmp_path / "run", shards=SHARDS, documents={"columns": ["id", "copies", "source"]})
    config["sources"][1]["weight"] = 2.5
    context = run(parse_config(config))
    rows = [*rows_of(context), *rows_of(context, "val")]
    kept = {name: row for name, row in ledger(tmp_path / "run").items() if row["copies"]}
    assert sorted(row["id"] for row in rows) == sorted(kept)
    assert {row["id"]: row["copies"] for row in rows} == {name: row["copies"] for name, row in kept.items()}
    assert {2, 3} <= {row["copies"] for row in rows if row["source"] == "books"}


def test_an_export_of_a_finished_run_is_what_the_run_would_have_written(data, tmp_path):
    inside = run_with(data, tmp_path / "inside", {"columns": ["id", "text"]})
    run(parse_config(sample_config(data, tmp_path / "run", shards=SHARDS)))
    line = ("export", "documents", str(tmp_path / "run"), "--column", "id", "--column", "text")
    code, output = winnow(*line)
    assert code == 0 and "clean text: train" in output, output
    (folder,) = (tmp_path / "run" / "documents").iterdir()
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "manifest.json"} == files_of(inside)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["documents"] == inside.run.manifest["documents"]["documents"]
    assert manifest["sources"]["books"]["licence"] == "CC0-1.0"
    code, output = winnow(*line, "--column", "nonsense")
    assert code == 2 and "documents.columns: no column 'nonsense'" in output
    code, output = winnow(*line[:3], "--format", "csv")
    assert code == 2 and "'csv' is no known text format" in output


def test_a_column_that_there_is_not_is_refused_before_any_work(data, tmp_path):
    config = parse_config(sample_config(data, tmp_path / "run", documents={"columns": ["text", "quality"]}))
    for begin in (run, plan_run):
        with pytest.raises(ConfigError, match=r"no column 'quality'.*quality, importance need `select`"):
            begin(config)
    assert not (tmp_path / "run" / "work").exists()


def test_verify_finds_an_altered_file(data, tmp_path):
    context = run_with(data, tmp_path / "run", {"columns": ["text"]})
    assert check_shards(load_run(str(tmp_path / "run"))) == []
    folder = Path(context.run.store.root) / context.run.manifest["documents"]["folder"]
    victim = next(folder.glob("train-*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1])
    (fault,) = check_shards(load_run(str(tmp_path / "run")))
    assert f"{victim.name}: cut" in fault


def test_books_that_miss_a_document_do_not_close(data, tmp_path):
    context = run_with(data, tmp_path / "run", {"columns": ["text"]})
    record = context.run.of("document_shards")[0]
    short = {**record.counters, "documents/train": record.counters["documents/train"] - 1}
    object.__setattr__(record, "counters", short)
    wrong = [str(balance) for balance in balances(context.run) if balance.expected != balance.found]
    assert len(wrong) == 2 and "documents written as text against kept" in wrong[0] and "split train" in wrong[1]
