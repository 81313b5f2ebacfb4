"""From web archives and pages to shards: what became text, what was no document, and what could not be read."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.archives import archive, page, write_archive
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.finished import ledger, shards_of
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.tables import table_of
from winnow.runs.run import run
from winnow.runs.state import load_run

SHARDS = {"sequence_tokens": 63, "splits": {"val": 0.1}}
KEEP = ["url", "title", "status", "content_type", "charset", "charset_from", "date", "licence", "opt_out"]


def documents(folder: Path) -> dict[str, dict]:
    """Rows of the documents table by id."""
    return {row["id"]: row for row in table_of(load_run(str(folder)), "documents").to_table().to_pylist()}


def test_an_archive_becomes_shards_and_everything_else_is_told(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_archive(folder / "a.warc.gz", [page(n) for n in range(6)])
    write_archive(folder / "b.warc", [page(9), b"<div>" * 3000, b""], requests=False)
    broken = archive([page(n) for n in range(20, 24)])
    (folder / "c.warc.gz").write_bytes(broken[:-80])
    image = [("Content-Type", "image/png")]
    write_archive(folder / "d.warc.gz", [b"\x89PNG", b"\x89PNG"], headers=image)
    french = "<html><title>Été</title><article><p>" + "Une phrase française, très simple. " * 30 + "</article></html>"
    latin = [("Content-Type", "text/html; charset=iso-8859-1"), ("X-Robots-Tag", "noai")]
    write_archive(folder / "e.warc", [french.encode("latin-1")], headers=latin)

    sources = [source_of(folder, "crawl", keep=KEEP)]
    config = run_config(tmp_path / "run", *sources, shards=SHARDS, compute={"max_unreadable_share": 0.5})
    context = run(parse_config(config))
    found = documents(tmp_path / "run")
    number = "<urn:uuid:00000000-0000-4000-8000-{:012d}>".format
    assert "sentence 3 of page 5" in found[number(5)]["text"]
    row = next(row for row in found.values() if row["keep.title"] == "Été")
    assert "Une phrase française, très simple." in row["text"]
    kept = {name: row[f"keep.{name}"] for name in ("status", "content_type", "charset", "charset_from", "opt_out")}
    assert kept == {
        "status": "200",
        "content_type": "text/html",
        "charset": "cp1252",
        "charset_from": "http",
        "opt_out": "noai",
    }
    assert row["keep.url"].startswith("http://example.org/") and row["keep.licence"] is None

    reading = context.run.manifest["sources"]["crawl"]["no_documents"]
    assert reading == {"page of image": 2, "request": 13, "warcinfo": 5}
    reasons = context.run.totals("measure", "unreadable_reason")
    assert reasons == {"cut short": 1, "page too deep": 1}
    code, summary = winnow("summary", str(tmp_path / "run"))
    skipped = "20 records in its files are not documents and were skipped: 13 request, 5 warcinfo, 2 page of image"
    assert code == 0 and skipped in summary
    code, told = winnow("why", number(5), str(tmp_path / "run"))
    assert code == 0 and "http://example.org/5" in told, told
    assert ledger(tmp_path / "run")[number(5)]["outcome"] in ("kept", "near_duplicate")


def test_ids_may_be_urls_and_pages_may_be_files_or_fields_of_records(tmp_path):
    write_archive(tmp_path / "a.warc.gz", [page(n) for n in range(4)])
    (tmp_path / "pages").mkdir()
    for n in range(4):
        (tmp_path / "pages" / f"{n}.html").write_bytes(page(n, sentences=14))
    rows = [{"id": f"r{n}", "body": page(n, sentences=16).decode()} for n in range(4)] + [
        {"id": "deep", "body": "<div>" * 3000}
    ]
    linked = page(5, sentences=16).replace(b"</p>", b"</p><a href='../x'>there</a>", 1).decode()
    rows.append({"id": "linked", "url": "http://h.example/d/e", "body": f"<!-- <a href=/no>no</a> -->{linked}"})
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sources = [
        source_of(tmp_path / "a.warc.gz", "crawl", id="url"),
        source_of(tmp_path / "pages", "pages", keep=["title"]),
        source_of(tmp_path / "in.jsonl", "fields", id="id", html="body", keep=["url", "title", "links", "link_count"]),
    ]
    config = run_config(tmp_path / "run", *sources, shards=SHARDS, dedup="off", compute={"max_unreadable_share": 0.5})
    config["documents"] = {"formats": ["parquet"], "columns": ["id", "links"]}
    context = run(parse_config(config))
    links = [{"url": "http://h.example/x", "text": "there"}]
    files = sorted((tmp_path / "run" / "documents").rglob("*.parquet"))
    written = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert [json.loads(row["links"]) for row in written if row["id"] == "linked"] == [links]
    found = documents(tmp_path / "run")
    assert {f"http://example.org/{n}" for n in range(4)} | {f"r{n}" for n in range(4)} <= set(found)
    assert all("<p>" not in row["text"] and "sentence 1 of page" in row["text"] for row in found.values())
    assert (found["linked"]["keep.title"], found["linked"]["keep.link_count"]) == ("Page 5", "1")
    assert [row["keep.title"] for row in found.values() if row["source"] == "pages"] == [f"Page {n}" for n in range(4)]
    unreadable = pq.read_table(context.run.store.path(context.run.of("measure")[0].outputs["unreadable"].path))
    assert unreadable.select(["id", "reason"]).to_pylist() == [
        {"id": "deep", "reason": "page too deep: over 2,000 open elements"}
    ]
    raw = [source_of(tmp_path / "a.warc.gz", "crawl", extract="raw")]
    run(parse_config(run_config(tmp_path / "raw", *raw, shards=SHARDS, dedup="off")))
    assert all(row["text"].startswith("<html>") for row in documents(tmp_path / "raw").values())


def test_html_takes_the_place_of_text():
    with pytest.raises(ConfigError, match="html and text: give one of them"):
        parse_config(run_config("/r", source_of("/in.jsonl", html="body", text="words")))


def test_batches_do_not_change_what_is_read(tmp_path, monkeypatch):
    for number in range(3):
        write_archive(tmp_path / f"{number}.warc.gz", [page(20 * number + n) for n in range(20)])
    sources = [source_of(tmp_path / "*.warc.gz", "crawl")]
    run(parse_config(run_config(tmp_path / "run", *sources, shards=SHARDS)))
    monkeypatch.setattr("winnow.flow.measure.batch_bytes", lambda _memory: 1_000)
    run(parse_config(run_config(tmp_path / "small", *sources, shards=SHARDS)))
    assert shards_of(tmp_path / "run") == shards_of(tmp_path / "small") != {}
    assert load_run(str(tmp_path / "run")).manifest == load_run(str(tmp_path / "small")).manifest
