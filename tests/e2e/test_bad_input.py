"""Everything that input can be: nothing kills the run, nothing vanishes, each fault is named with file and reason."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
import zstandard

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow import schemas
from winnow.config.config import parse_config
from winnow.errors import UnreadableShareError
from winnow.finished.explain import explain, find
from winnow.runs.run import run
from winnow.runs.state import load_run

TEXTS = articles(5, 30)[:30]


def lines(prefix: str, texts=TEXTS) -> bytes:
    return b"".join(json.dumps({"id": f"{prefix}-{n}", "text": t}).encode() + b"\n" for n, t in enumerate(texts))


def finished_run(folder: Path, path="in", **sections):
    sections = {"dedup": False, "shards": {"sequence_tokens": 127, "splits": {}}} | sections
    compute = {"max_unreadable_share": 1.0} | sections.pop("compute", {})
    config = run_config(folder / "run", source_of(folder / path, id="id"), **sections, compute=compute)
    run(parse_config(config))
    return load_run(str(folder / "run"))


def unreadable(finished) -> list[dict]:
    paths = [record.outputs["unreadable"].path for record in finished.of("measure")]
    return [row for path in paths for row in pq.read_table(finished.store.path(path)).to_pylist()]


def documents(finished) -> list[dict]:
    return [
        row for part in finished.parts for row in pq.read_table(finished.store.path(part.documents["path"])).to_pylist()
    ]


def outcomes(finished) -> dict[str, int]:
    return {k: v for k, v in finished.manifest["books"]["outcomes"].items() if v}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_truncated_file_gives_all_before_the_cut(folder, kind):
    many = [f"{n} {text}" for n in range(60) for text in TEXTS]
    raw = lines("a", many)
    whole = gzip.compress(raw) if kind == "gz" else zstandard.ZstdCompressor().compress(raw)
    (folder / "in" / f"a.jsonl.{kind}").write_bytes(whole[: len(whole) // 2])
    finished = finished_run(folder)
    rest = [row for row in unreadable(finished) if row["doc"] == int(schemas.NO_DOC)]
    assert len(rest) == 1
    assert "truncated" in rest[0]["reason"]
    assert rest[0]["path"].endswith(f"a.jsonl.{kind}")
    assert rest[0]["position"] > 0
    read = [row["text"] for row in documents(finished)]
    assert 0 < len(read) < len(many)
    assert read == many[: len(read)]
    assert outcomes(finished)["kept"] == len(read)


def test_records_that_are_no_documents(folder):
    records = [
        '{"id": "good", "text": "A good text, quite short."}',
        '{"id": "cut", "text": "no end',
        '{"id": "missing"}',
        '{"id": "null", "text": null}',
        '{"id": "number", "text": 7}',
        '{"id": "empty", "text": ""}',
        "[1, 2]",
        "",
        '{"id": "007", "text": "The id of this one keeps its zeros."}',
        '{"id": "twice", "text": "One id."}',
        '{"id": "twice", "text": "Two documents."}',
        '{"id": "surrogate", "text": "lone \\ud800 surrogate"}',
        '{"id": "nul", "text": "a\\u0000b"}',
    ]
    data = "\n".join(records).encode() + b'\n{"id": "bytes", "text": "not \xff UTF-8"}\n'
    (folder / "in" / "a.jsonl").write_bytes(data)
    finished = finished_run(folder)
    assert outcomes(finished) == {"kept": 7, "empty": 1, "unreadable": 5}
    reasons = {schemas.split_document_number(row["doc"])[1]: row["reason"] for row in unreadable(finished)}
    assert set(reasons) == {1, 2, 3, 4, 6}
    texts = {row["id"]: row["text"] for row in documents(finished)}
    assert texts["007"].startswith("The id")
    assert texts["surrogate"] == "lone \ufffd surrogate"
    assert texts["nul"] == "ab"  # control characters go, as ftfy has it
    assert texts["bytes"] == "not \ufffd UTF-8"
    assert len(find(finished, "twice")) == 2
    (empty,) = find(finished, "empty")
    assert explain(finished, empty).outcome == schemas.EMPTY


def test_a_file_that_is_not_what_its_name_says(folder):
    (folder / "in" / "a.jsonl.gz").write_bytes(b"this is no gzip at all, only text\n" * 10)
    (folder / "in" / "b.parquet").write_bytes(b"PAR0" + bytes(100))
    (folder / "in" / "c.jsonl.zst").write_bytes(gzip.compress(lines("c")))
    (folder / "in" / "d.jsonl").write_bytes(lines("d"))
    finished = finished_run(folder)
    faults = {Path(row["path"]).name: row["reason"] for row in unreadable(finished)}
    assert set(faults) == {"a.jsonl.gz", "b.parquet", "c.jsonl.zst"}
    assert outcomes(finished) == {"kept": 30, "unreadable": 3}


def test_much_lost_in_few_files_stops_the_run(folder):
    """One record a file, however much it held: so bytes count as well."""
    (folder / "in" / "a.jsonl").write_bytes(lines("a") * 20)
    (folder / "in" / "b.jsonl.gz").write_bytes(b"no gzip" * 30_000)
    with pytest.raises(UnreadableShareError, match="input bytes"):
        finished_run(folder, compute={"max_unreadable_share": 0.05})


def test_empty_files_and_blank_lines(folder):
    (folder / "in" / "empty.jsonl").write_bytes(b"")
    (folder / "in" / "blank.jsonl").write_bytes(b"\n\n  \n")
    finished = finished_run(folder)
    assert finished.manifest["books"]["records"] == 0
    assert finished.manifest["shards"]["splits"]["train"]["shards"] == []
    code, output = winnow("shards", "stats", finished.store.root)
    assert code == 0 and "sources (all splits" in output and "tokens of a document piece" not in output
    (folder / "in" / "full.jsonl").write_bytes(lines("f"))
    assert outcomes(finished_run(folder)) == {"kept": 30}


@pytest.mark.slow
def test_five_thousand_tiny_files(folder):
    for n in range(5000):
        (folder / "in" / f"{n:04d}.txt").write_text(f"Tiny file number {n}, with a sentence of its own.")
    finished = finished_run(folder, dedup=True)
    assert finished.manifest["books"]["records"] == 5000
    assert len(finished.of("measure")) < 10


def test_a_file_that_shrank_after_it_was_catalogued_does_not_kill_the_run(folder):
    (folder / "in" / "a.jsonl").write_bytes(lines("a"))
    os.chmod(folder / "in" / "a.jsonl", 0o644)
    finished = finished_run(folder)
    assert outcomes(finished) == {"kept": 30}
    (folder / "in" / "a.jsonl").write_bytes(lines("a", TEXTS[:10]))
    assert outcomes(finished_run(folder)) == {"kept": 10}


def test_everything_filtered(folder):
    (folder / "in" / "a.jsonl").write_bytes(lines("a", ["too short"] * 5))
    finished = finished_run(folder, filter={"mode": "filter"}, dedup=True)
    assert outcomes(finished) == {"filtered": 5}


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small tmpfs (root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_with_a_message_and_the_same_command_goes_on(folder, small_disk):
    (folder / "in" / "a.jsonl").write_bytes(lines("a", [f"{n} {t}" for n in range(40) for t in TEXTS]))
    config = run_config(small_disk / "run", source_of(folder / "in", id="id"), filter={})
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    code, told = winnow("run", str(folder / "c.yaml"))
    assert code == 1
    assert "cannot write" in told
    assert "free space or point `run` at a larger disk" in told
    assert "Traceback" not in told
    assert not list((small_disk / "run").rglob(".draft-*"))  # nothing half-written stays
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    code, told = winnow("run", str(folder / "c.yaml"))
    assert code == 0, told


@pytest.mark.slow
def test_a_document_of_200_mb(folder):
    """One line of 200 MB among others: kept, and the worker stays within its memory."""
    sentence = "".join(f"Line {n} of a very long document that never seems to end.\n" for n in range(4_000))
    giant = "".join(f"{n}: {sentence}" for n in range(-(-200_000_000 // len(sentence))))
    with (folder / "in" / "a.jsonl.zst").open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as out:
        out.write(lines("a"))
        out.write(json.dumps({"id": "giant", "text": giant}).encode() + b"\n")
        out.write(lines("b"))
    config = run_config(folder / "run", source_of(folder / "in", id="id"))
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    subprocess.run([sys.executable, "-m", "jobs", "run", str(folder / "c.yaml")], check=True, stdout=subprocess.DEVNULL)
    finished = load_run(str(folder / "run"))
    (giant_doc,) = find(finished, "giant")
    story = explain(finished, giant_doc)
    assert story.outcome == schemas.KEPT
    assert story.text == giant
    peak = max(record.metrics["peak_memory_mb"] for records in finished.records.values() for record in records)
    assert peak < 4096
