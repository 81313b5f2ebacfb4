"""CSV, archives, books and dumps of wikis in one run: what became text, what was none, and where it stood."""

import bz2
import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.finished import shards_of
from tests.support.packed import chapter, write_epub
from tests.support.wikis import dump, page, revision
from winnow.config.config import parse_config
from winnow.finished.tables import table_of
from winnow.runs.run import run
from winnow.runs.state import load_run

SHARDS = {"sequence_tokens": 63, "splits": {"val": 0.1}}


def said(name: str, number: int, sentences: int = 40) -> str:
    """A text of its own."""
    return " ".join(
        f"Sentence {n} of {name} number {number} says {n * number} things, or so." for n in range(sentences)
    )


def write_all(folder: Path) -> list[dict]:
    """One source of each format; returns them."""
    folder.mkdir()
    with (folder / "a.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["key", "body", "topic"])
        rows.writerows([f"row/{n}", said("a row,\nin two lines", n), "even"] for n in range(30))
        file.write("row/short,two\r\n")
    samples = io.BytesIO()
    with tarfile.open(fileobj=samples, mode="w") as tar:
        for n in range(30):
            for name, data in {
                f"{n:03}.json": json.dumps({"url": f"http://e.org/{n}"}),
                f"{n:03}.txt": said("a sample", n),
                f"{n:03}.jpg": "no text",
            }.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data.encode()))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    (folder / "a.tar.gz").write_bytes(__import__("gzip").compress(samples.getvalue(), mtime=0))
    with zipfile.ZipFile(folder / "a.zip", "w") as packed:
        for n in range(40):
            packed.writestr(f"{n:03}.md", said("a note", n, 700))
        packed.writestr("bomb.txt", bytes(17 << 20), zipfile.ZIP_DEFLATED)
    pages = [
        page(n + 1, f"Article {n}", revision(n + 1, f"'''{n}''' {{{{x}}}} {said('an article', n)}")) for n in range(30)
    ]
    moved = page(99, "Moved", revision(99, "#REDIRECT [[A]]"), redirect="A")
    (folder / "a.xml.bz2").write_bytes(bz2.compress(dump(*pages, moved, "<page><title></page>")))
    write_epub(folder / "a.epub", {f"{n}.xhtml": chapter(n, f"<p>{said('a chapter', n)}</p>") for n in range(5)})
    return [
        source_of(folder / "a.csv", "table", text="body", id="key", keep=["topic"]),
        source_of(folder / "a.tar.gz", "samples", id="member", keep=["url"]),
        source_of(folder / "a.zip", "notes", id="member"),
        source_of(folder / "a.xml.bz2", "wiki", id="title", keep=["url"]),
        source_of(folder / "a.epub", "books", chapters=True, id="member", keep=["title"]),
    ]


def run_of(tmp_path: Path, name: str, sources: list[dict], **compute) -> dict:
    compute = {"max_unreadable_share": 0.2, **compute}
    return run_config(tmp_path / name, *sources, shards=SHARDS, dedup="off", compute=compute)


def test_each_format_is_read_told_and_explained(tmp_path):
    sources = write_all(tmp_path / "in")
    context = run(parse_config(run_of(tmp_path, "run", sources)))
    manifest = context.run.manifest
    assert manifest["books"]["records"] == manifest["books"]["outcomes"]["kept"] + 3
    passed = {name: told["no_documents"] for name, told in manifest["sources"].items() if told.get("no_documents")}
    assert passed == {
        "samples": {"fields of a text beside it": 30, "link": 1, "member: image": 30},
        "wiki": {"redirect": 1},
    }
    reasons = context.run.totals("measure", "unreadable_reason")
    assert reasons == {"wrong number of fields": 1, "expands too much": 1, "malformed XML": 1}
    rows = table_of(load_run(str(tmp_path / "run")), "documents").to_table().to_pylist()
    found = {(row["source"], row["id"]): row for row in rows}
    assert found["table", "row/7"]["text"] == said("a row,\nin two lines", 7)
    assert found["samples", "007.txt"]["keep.url"] == "http://e.org/7"
    assert found["wiki", "Article 7"]["keep.url"] == "https://de.wikipedia.org/wiki/Article_7"
    assert found["books", "OEBPS/3.xhtml"]["keep.title"] == "A Book & more"
    assert len(rows) == 30 + 30 + 40 + 30 + 5

    _, summary = winnow("summary", str(tmp_path / "run"))
    assert (
        "61 records in its files are not documents and were skipped: "
        "30 fields of a text beside it, 30 member: image, 1 link" in summary
    )
    assert "templates left out" in summary, summary
    _, told = winnow("why", str(tmp_path / "in" / "a.zip"), str(tmp_path / "run"))
    assert "bomb.txt" in told and "expands too much: 17,825,792 bytes" in told, told
    _, told = winnow("why", str(tmp_path / "in" / "a.csv"), str(tmp_path / "run"))
    assert "wrong number of fields: 2, the header has 3" in told
    _, told = winnow("why", "007.txt", str(tmp_path / "run"))
    assert "a.tar.gz" in told and "http://e.org/7" in told
    (tmp_path / "c.yaml").write_text(json.dumps(run_of(tmp_path, "planned", sources)))
    code, plan = winnow("plan", str(tmp_path / "c.yaml"))
    assert code == 0, plan


@pytest.mark.slow
def test_units_batches_and_pieces_do_not_change_the_shards(tmp_path, monkeypatch):
    sources = write_all(tmp_path / "in")
    run(parse_config(run_of(tmp_path, "run", sources)))
    monkeypatch.setattr("winnow.flow.measure.batch_bytes", lambda _memory: 1_000)
    monkeypatch.setattr("winnow.sources.readers.zip.PIECE_BYTES", 100_000)
    small = run(parse_config(run_of(tmp_path, "small", sources, unit_mb=1)))
    assert len(small.run.of("count")) > 0 and len(small.run.of("measure")) > 3
    assert shards_of(tmp_path / "run") == shards_of(tmp_path / "small") != {}


@pytest.mark.ray
@pytest.mark.slow
def test_two_workers_give_the_same_shards(tmp_path, local_ray):
    sources = write_all(tmp_path / "in")
    run(parse_config(run_of(tmp_path, "run", sources)))
    run(parse_config(run_of(tmp_path, "ray", sources, executor="ray", workers=2, unit_mb=1)))
    assert shards_of(tmp_path / "run") == shards_of(tmp_path / "ray") != {}
