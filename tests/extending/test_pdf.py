"""The example of a reader for PDF: what it reads, and what ends its child process."""

import importlib
import json
import time
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.extending.packages import install
from tests.support.commands import winnow
from tests.support.reading import read
from winnow.config.load import load_config
from winnow.runs.run import run

pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed (extra `dev`)")


def pdf_of(*pages: str) -> bytes:
    """A PDF with a line of text on each page."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {5 + 2 * n} 0 R >>".encode()
        )
        stream = f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\n" % (size, table, size)
    return data + end + b"startxref\n%d\n%%%%EOF\n" % len(data)


def locked(path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=pypdf.PdfReader(path))
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(path)


@pytest.fixture
def reader(site):
    install(site, "pdf_reader", "winnow.readers", {"pdf": "READER"})
    return importlib.import_module("pdf_reader")


@pytest.mark.slow
def test_a_run_reads_pdfs_and_tells_what_is_none(tmp_path, reader):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.pdf").write_bytes(pdf_of(*(f"Page {n} of a paper that says a little about rivers" for n in range(3))))
    (raw / "b.pdf").write_bytes(b"no PDF at all")
    (raw / "c.pdf").write_bytes(pdf_of("What nobody may read"))
    locked(raw / "c.pdf")
    config = {
        "run": str(tmp_path / "run"),
        "sources": [{"name": "papers", "path": str(raw), "keep": ["pages"]}],
        "filter": {"mode": "annotate"},
        "shards": {"sequence_tokens": 15},
        "report": False,
        "compute": {"executor": "inline", "max_unreadable_share": 0.9},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    context = run(load_config(str(tmp_path / "c.yaml")))
    manifest = json.loads(next((tmp_path / "run").glob("shards/*/manifest.json")).read_text())
    assert manifest["books"]["outcomes"] == {"kept": 1, "unreadable": 2}
    reasons = context.run.totals("measure", "unreadable_reason")
    assert reasons == {"malformed PDF": 1, "encrypted PDF": 1}
    code, told = winnow("why", str(raw / "c.pdf"), str(tmp_path / "run"))
    assert code == 0 and "it needs a password" in told
    found = read(raw / "a.pdf", keep=["pages"])
    assert found.keep["pages"] == ["3"] and found.texts[0].count("rivers") == 3


@pytest.mark.slow
def test_its_time_memory_and_size_are_bounded(tmp_path, reader, monkeypatch):
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_of("one", "two"))
    monkeypatch.setattr(reader, "MOST_PAGES", 1)
    assert read(path).kinds == [(0, "too large")]
    monkeypatch.setattr(reader, "MOST_BYTES", 10)
    assert [bad.reason for bad in read(path).unreadable] == ["too large: a PDF of over 10 bytes"]
    monkeypatch.undo()
    inside = "    from pypdf import PdfReader\n"
    begin = time.monotonic()
    monkeypatch.setattr(reader, "SECONDS", 1)
    monkeypatch.setattr(reader, "CHILD", reader.CHILD.replace(inside, "    while True: pass\n"))
    assert read(path).kinds == [(0, "too slow")] and time.monotonic() - begin < 60
    monkeypatch.undo()
    monkeypatch.setattr(reader, "CHILD", reader.CHILD.replace(inside, "    bytearray(64 << 30)\n"))
    assert [bad.reason for bad in read(path).unreadable] == ["too large: the PDF takes more memory than it is given"]
    monkeypatch.undo()
    assert read(path).texts == ["one\n\ntwo"]


def test_the_extra_brings_what_the_reader_needs(reader):
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert [entry.partition(">")[0] for entry in extras["pdf"]] == list(reader.READER.packages)
