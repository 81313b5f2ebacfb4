"""Data sheet, Croissant and the EU's summary: figures are the run's, and what it cannot know is marked."""

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.commands import winnow
from tests.support.configs import source_of, unread_config
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.report.markdown import markdown_table, markdown_text
from winnow.report.sheet.datasheet import SECTIONS
from winnow.report.sheet.eu_summary import kind_of, size_range
from winnow.report.sheet.facts import OPEN
from winnow.runs.state import load_run

FILES = ("datasheet.md", "eu-training-content.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.support.configs import run_config

    folder = tmp_path_factory.mktemp("sheet")
    for number, name in enumerate(("a", "b")):
        lines = [json.dumps({"text": text}) for text in articles(number, 20)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    sources = [
        source_of(folder / "a.jsonl", "a", licence="CC0 | <b>bold</b> `x` [y](z)"),
        source_of(folder / "b.jsonl", "b"),
    ]
    config = run_config(folder / "run", *sources, shards={"sequence_tokens": 63, "splits": {"val": 0.3}}, report=True)
    (folder / "c.yaml").write_text(json.dumps(config))
    assert winnow("run", str(folder / "c.yaml"))[0] == 0
    return folder


def shards_of(folder) -> Path:
    """The shard set of the run."""
    return folder / "run" / load_run(str(folder / "run")).shards


def test_a_run_writes_them_and_the_command_the_same_again(folder):
    paths = [*(folder / "run" / "reports" / name for name in FILES), shards_of(folder) / "croissant.json"]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    code, told = winnow("datasheet", str(folder / "run"))
    assert code == 0 and sorted(told.splitlines()) == sorted(map(str, paths))
    assert [path.read_bytes() for path in paths] == before


def test_the_data_sheet_has_every_question_with_figures_or_a_mark(folder):
    text = (folder / "run" / "reports" / "datasheet.md").read_text()
    manifest = load_run(str(folder / "run")).manifest
    asked = [question for questions in SECTIONS.values() for question in questions]
    assert len(asked) == 57  # of the paper
    parts = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    assert [part.partition("\n")[0] for part in parts] == [question.asks for question in asked]
    for part, question in zip(parts, asked, strict=True):
        answer = part.partition("\n")[2].partition("\n## ")[0].strip()
        assert (OPEN in answer) == (question.known is None or not question.whole)
        assert (answer == OPEN) == (question.known is None)
    assert f"{text.count(OPEN)} of 57 questions" in text
    for name, source in manifest["sources"].items():
        read, kept = sum(source["outcomes"].values()), source["outcomes"].get("kept", 0)
        assert re.search(rf"^\| {name} \|.*\| {read:,} \| {kept:,} \| {source['tokens']:,} \|$", text, re.MULTILINE)
    for name, split in manifest["shards"]["splits"].items():
        assert f"| {name} | {split['documents']:,} | {split['tokens']:,} | {split['rows']:,} |" in text


def test_what_people_wrote_is_text(folder):
    for name in ("datasheet.md", "eu-training-content.md"):
        text = (folder / "run" / "reports" / name).read_text()
        assert r"CC0 \| \<b\>bold\</b\> \`x\` \[y\](z)" in text and "<b>" not in text
    assert markdown_text("\x1b[1m\nx&y") == r" \[1m x&amp;y"
    assert markdown_table(["n", "m"], [["a|b", 1200]]) == ["| n | m |", "| --- | ---: |", r"| a\|b | 1,200 |"]


def test_croissant_is_valid_and_names_every_shard(folder):
    mlcroissant = pytest.importorskip("mlcroissant")
    logging.getLogger("absl").setLevel(logging.ERROR)
    path = shards_of(folder) / "croissant.json"
    found = mlcroissant.Dataset(jsonld=str(path)).metadata
    assert not found.ctx.issues.errors
    manifest = load_run(str(folder / "run")).manifest
    hashes = {shard["sha256"] for split in manifest["shards"]["splits"].values() for shard in split["shards"]}
    files = [file for file in found.distribution if isinstance(file, mlcroissant.FileObject)]
    assert hashes and {file.sha256 for file in files} == hashes
    assert all((path.parent / file.content_url).is_file() for file in files)
    assert sorted(found.license) == ["CC0 | <b>bold</b> `x` [y](z)", "unknown"]


def test_mlcroissant_reads_the_records_of_a_copy_of_the_shards(folder, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    logging.getLogger("absl").setLevel(logging.ERROR)
    shutil.copytree(shards_of(folder), tmp_path / "copy")
    described = mlcroissant.Dataset(jsonld=str(tmp_path / "copy" / "croissant.json"))
    for split in ("train", "val"):
        rows = [
            row for path in sorted((tmp_path / "copy").glob(f"{split}-*")) for row in pq.read_table(path).to_pylist()
        ]
        found = list(described.records(split))
        assert len(found) == len(rows) > 1
        for record, row in zip(found, rows, strict=True):
            assert set(record) == {f"{split}/{name}" for name in row}
            for name, values in row.items():
                assert record[f"{split}/{name}"] == values
                assert {type(value) for value in record[f"{split}/{name}"]} == {np.uint32}


def test_the_summary_of_content_has_the_fields_of_the_template(folder):
    text = (folder / "run" / "reports" / "eu-training-content.md").read_text()
    numbers = [f"{a}.{b}" for a, most in ((1, 3), (2, 6), (3, 3)) for b in range(1, most + 1)]
    assert re.findall(r"^### (\d\.\d)", text, re.MULTILINE) == numbers
    tokens = sum(split["tokens"] for split in load_run(str(folder / "run")).manifest["shards"]["splits"].values())
    assert f"less than 1 billion tokens ({tokens:,} tokens" in text
    assert "Sources of this run that stand in no list yet" in text and f"{folder}/a.jsonl".replace("_", r"\_") in text


@pytest.mark.parametrize(
    ("tokens", "name"),
    [(10**9 - 1, "less than 1"), (10**9, "1 billion to 10"), (10**13 - 1, "1 billion to"), (10**13, "more than 10")],
)
def test_ranges_of_sizes(tokens, name):
    assert size_range(tokens).startswith(name)


@pytest.mark.parametrize(
    ("path", "more", "kind"),
    [
        ("hf://datasets/a/b/**", {}, "public"),
        ("s3://commoncrawl/crawl-data/x/warc/*.warc.gz", {}, "public"),
        ("/data/mine/*.warc.gz", {}, "crawled"),
        ("/data/pages.jsonl", {"html": "body"}, "crawled"),
        ("/data/*.jsonl", {}, ""),
    ],
)
def test_lists_of_the_template(path, more, kind):
    (source,) = parse_config(unread_config(sources=[source_of(path, **more)])).sources
    assert kind_of(source, [path]) == kind


def test_report_off_writes_none(folder, tmp_path):
    config = json.loads((folder / "c.yaml").read_text()) | {"run": str(tmp_path / "run"), "report": False}
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    assert winnow("run", str(tmp_path / "c.yaml"))[0] == 0
    assert not {path.name for path in (tmp_path / "run" / "reports").iterdir()} & set(FILES)
