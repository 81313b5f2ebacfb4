"""An input format of another package takes part like a built-in one."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.extending.packages import OUTSIDE, environment, install, uninstall
from tests.support.commands import winnow
from tests.support.corpora import articles
from tests.support.reading import Gathered, read
from winnow.config.config import parse_config
from winnow.config.load import load_config
from winnow.engine.stage import run_unit
from winnow.errors import ConfigError, InputError, ReaderError
from winnow.flow.context import RunContext
from winnow.runs.run import run
from winnow.sources.catalogue import InputFile
from winnow.sources.read import format_of, read_slice
from winnow.sources.readers.registry import READERS, formats_by_suffix
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.stages.ingest.slices import count_stage, parse_slice, plan_count, plan_measure
from winnow.storage.config import StorageConfig
from winnow.storage.local_store import LocalStore
from winnow.storage.open_store import open_store

GROUP = "winnow.readers"
TEXTS = [text for text in articles(5, 30) if text]
ROWS = [row for row in range(len(TEXTS) + 1) if row != 4]
"""Of records that can be read."""


def install_mbox(site: Path, version: str = "1.0", more: str = "") -> None:
    code = (OUTSIDE / "mbox_reader.py").read_text() + more
    install(site, "mbox_reader", GROUP, {"mbox": "READER"}, version, code)


def write_mbox(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        for number, text in enumerate(TEXTS):
            topic = "Topic: even\n" if number % 2 == 0 else ""
            body = "\n".join(f">{line}" if line.startswith("From ") else line for line in text.split("\n"))
            file.write(f"From someone@example.org\nMessage-ID: page/{number}\n{topic}\n{body}\n")
            if number == 3:
                file.write("From someone@example.org\nMessage-ID: page/broken\n")


def write_config(tmp_path: Path, **compute) -> Path:
    source = {"name": "pages", "path": str(tmp_path / "raw"), "id": "message-id", "keep": ["topic"]}
    config = {
        "run": str(tmp_path / "run"),
        "sources": [source],
        "filter": {"mode": "annotate"},
        "shards": {"sequence_tokens": 127, "splits": {"val": 0.2}},
        "report": False,
        "compute": {"executor": "inline", "max_unreadable_share": 0.2, **compute},
    }
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def computed(context: RunContext) -> set[str]:
    return {summary.name for summary in context.engine.summaries if summary.units > summary.reused}


def test_a_run_reads_counts_explains_and_resumes(tmp_path, site):
    install_mbox(site)
    file = tmp_path / "raw" / "pages.mbox"
    write_mbox(file)
    config = load_config(str(write_config(tmp_path)))
    work = tmp_path / "run" / "work" / "measure"
    run(config)
    manifest = json.loads(next((tmp_path / "run").glob("shards/*/manifest.json")).read_text())
    assert manifest["versions"]["input format mbox"] == "winnow-mbox-reader 1.0"
    books = manifest["books"]
    assert books["records"] == len(TEXTS) + 1
    assert books["outcomes"]["unreadable"] == 1
    (bad,) = pq.read_table(next(work.glob("*/*.unreadable.parquet"))).to_pylist()
    assert (bad["path"], bad["doc"] & 0xFFFF_FFFF) == (str(file), 4)
    assert bad["reason"].startswith("malformed mail: it lacks")
    table = pq.read_table(next(work.glob("*/*.documents-000.parquet")))
    assert table.column("text").to_pylist()[0] == TEXTS[0]
    assert table.column("id").to_pylist()[:5] == [f"page/{number}" for number in range(5)]
    assert table.column("keep.topic").to_pylist()[:2] == ["even", None]
    code, output = winnow("why", "page/0", str(tmp_path / "run"))
    assert code == 0 and "pages.mbox" in output and "kept" in output, output
    code, output = winnow("why", str(file), str(tmp_path / "run"))
    assert code == 0 and "malformed mail" in output, output

    assert computed(run(config)) == set()
    install_mbox(site, "1.1")  # the same file, read by another version
    assert "measure" in computed(run(config))
    install_mbox(site, "1.1", "\n# mended\n")  # or by other code
    assert "measure" in computed(run(config))
    assert computed(run(config)) == set()

    uninstall(site)
    with pytest.raises(InputError, match=r"pages.mbox: .* suffix '.mbox' is not a known suffix \(.jsonl"):
        run(config)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_another_process_and_its_workers_find_the_package(tmp_path, site, executor):
    install_mbox(site)
    write_mbox(tmp_path / "raw" / "pages.mbox")
    config = write_config(tmp_path, executor=executor, workers=2)
    line = [sys.executable, "-m", "jobs.run", str(config)]
    every_stage_to_workers = {"WINNOW_FAULT_HOOK": "tests.support.fault_hooks:hook"}
    done = subprocess.run(line, env=environment(site) | every_stage_to_workers, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(TEXTS) + 1} records" in done.stdout


@pytest.mark.parametrize("size", [1, 3000, 1 << 20])
def test_whole_compressed_and_cut_files(tmp_path, site, size):
    install_mbox(site)
    plain = tmp_path / "raw" / "a.mbox"
    write_mbox(plain)
    packed = gzip.compress(plain.read_bytes(), mtime=0)
    (tmp_path / "whole.mbox.gz").write_bytes(packed)
    (tmp_path / "cut.mbox.gz").write_bytes(packed[:-40])
    for path in (plain, tmp_path / "whole.mbox.gz"):
        found = read(path, size)
        assert (found.rows, found.texts) == (ROWS, TEXTS)
        assert found.kinds == [(4, "malformed mail")]
        assert found.bytes_read == path.stat().st_size
    found = read(tmp_path / "cut.mbox.gz", size)
    assert 0 < len(found.texts) < len(TEXTS)
    assert found.texts == TEXTS[: len(found.texts)] and found.rows == ROWS[: len(found.rows)]
    assert found.kinds[-1] == (None, "truncated file")


def test_bytes_that_are_no_text_and_mails_that_are_no_plain_text(tmp_path, site):
    install_mbox(site)
    path = tmp_path / "odd.mbox"
    mails = [b"Id: 1\n\ncaf\xe9\n", b"Id: 2\nContent-Type: multipart/mixed\n\nx\n", b"Id: 3\n\ntwo\n>From lines\n"]
    path.write_bytes(b"".join(b"From a\n" + mail for mail in mails))
    found = read(path, id="id")
    assert (found.texts, found.ids, found.replaced) == (["caf\ufffd", "two\nFrom lines"], ["1", "3"], 1)
    assert found.kinds == [(1, "no plain text")]
    found = read(path, id="id", invalid_utf8="reject")
    assert (found.texts, found.kinds) == (["two\nFrom lines"], [(0, "invalid UTF-8"), (1, "no plain text")])
    path.write_bytes(b"From a\nId: 1\n\n" + b"long\n" * 300_000 + b"From a\nId: 2\n\nshort\n")
    found = read(path, id="id", max_document_mb=1)
    assert (found.texts, found.kinds) == (["short"], [(0, "too large")])


FAULTY = """
import numpy as np, pyarrow as pa
from winnow.sources.readers.reader import Piece, Reader, RecordBatch, batches_of

def raises(part, source, file, batch_bytes):
    yield from batches_of([{"text": "one"}], part, source, file, batch_bytes)
    raise KeyError("secret text")

def twice(part, source, file, batch_bytes):
    for _ in range(2):
        yield from batches_of([{"text": "one"}], part, source, file, batch_bytes)

def wrong(part, source, file, batch_bytes):
    yield RecordBatch(np.arange(1, dtype=np.uint32), pa.array([None], pa.string()), pa.array(["a"]), {}, [], 0, 0)

ONE = Reader(name="one", suffixes=(".one",), read=raises)
TWO = Reader(name="two", suffixes=(".two",), read=twice)
THREE = Reader(name="three", suffixes=(".three",), read=wrong)
SAME = Reader(name="same", suffixes=(".jsonl",), read=wrong)
"""


def test_a_reader_that_fails_or_yields_something_else_is_named(tmp_path, site):
    install(site, "faulty", GROUP, {"one": "ONE", "two": "TWO", "three": "THREE"}, code=FAULTY)
    for name in ("one", "two", "three"):
        (tmp_path / f"a.{name}").write_bytes(b"12345678")
    found = read(tmp_path / "a.one")
    assert found.texts == ["one"]
    assert [bad.reason for bad in found.unreadable] == ["failed reader: one raises KeyError"]
    with pytest.raises(ReaderError, match=r"reader 'two', .*a.two: row 0 comes after row 0"):
        read(tmp_path / "a.two")
    with pytest.raises(ReaderError, match=r"texts is string\[1\], expected large_string\[1\]"):
        read(tmp_path / "a.three")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"same": "SAME"}, "suffix .jsonl belongs to input formats 'jsonl' and 'same'"),
        ({"jsonl": "ONE"}, "input format 'jsonl' is brought by winnow-faulty 1.0 and by winnow itself"),
        ({"other": "ONE"}, "input format 'other' of winnow-faulty 1.0 (faulty:ONE) calls itself 'one'"),
        ({"one": "raises"}, "is of type function, expected an object of Reader"),
        ({"one": "nothing"}, "cannot be loaded: AttributeError"),
    ],
)
def test_clashes_and_broken_packages_are_refused_by_name(site, entries, message):
    install(site, "faulty", GROUP, entries, code=FAULTY)
    with pytest.raises(ConfigError) as told:
        formats_by_suffix()
    assert message in str(told.value)


def test_a_worker_with_another_version_refuses(site):
    install_mbox(site)
    source = SourceConfig(name="s", path="/raw")
    file = InputFile(number=0, source="s", path="/raw/a.mbox", bytes=10, modified_ns=1)
    (unit,) = plan_measure([file], {"s": source}, [], 1_000_000)
    (fields,) = unit.inputs["slices"]
    assert fields["code"]["package"] == "winnow-mbox-reader 1.0"
    part, _ = parse_slice(fields)
    assert part.format == "mbox"
    install_mbox(site, "1.1")
    with pytest.raises(ConfigError, match=r"this process has winnow-mbox-reader 1.1 .*, the run began with .* 1.0 "):
        parse_slice(fields)


LINES = """
from winnow.sources.readers.reader import Piece, Reader, batches_of

def read(part, source, file, batch_bytes):
    file.seek(part.start * 10)
    stop = part.size // 10 if part.stop is None else part.stop
    records = ({"text": file.read(10).decode().strip()} for _ in range(part.start, stop))
    yield from batches_of(records, part, source, file, batch_bytes)

def pieces(part, file):
    count = part.size // 10
    return [Piece(n, min(n + 7, count), min(7, count - n), 70) for n in range(0, count, 7)]

READER = Reader(name="fixed", suffixes=(".fixed",), read=read, pieces=pieces, may_be_compressed=False)
"""


def test_a_large_file_is_split_where_its_reader_says(tmp_path, site):
    """Records of ten bytes, in pieces of seven; a unit is 150 bytes: two pieces."""
    install(site, "fixed", GROUP, {"fixed": "READER"}, code=LINES)
    path = tmp_path / "a.fixed"
    path.write_bytes(b"".join(b"%09d " % number for number in range(100)))
    source, store = SourceConfig(name="s", path=str(path)), LocalStore(str(tmp_path / "run"))
    files = [InputFile(number=0, source="s", path=str(path), bytes=1000, modified_ns=1)]
    counted = [run_unit(count_stage(), unit, store) for unit in plan_count(files, {"s": source}, 150)]
    units = plan_measure(files, {"s": source}, counted, 150)
    found = Gathered()
    for unit in units:
        for fields in unit.inputs["slices"]:
            for batch in read_slice(*parse_slice(fields), store.open_input, 1 << 20):
                found.add(batch)
    assert len(units) == 8
    assert found.rows == list(range(100)) and found.texts == [f"{number:09d}" for number in range(100)]


def test_records_in_an_object_store(tmp_path, site):
    """Read by the same function, through the store's own files."""
    pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")
    install_mbox(site)
    write_mbox(tmp_path / "raw" / "a.mbox")
    store = open_store(f"memory://{tmp_path.name}", StorageConfig(scratch=str(tmp_path / "scratch")))
    data = (tmp_path / "raw" / "a.mbox").read_bytes()
    with store.create("a.mbox") as draft:
        draft.write(data)
    path = store.location("a.mbox")
    part = FileSlice(path=path, file=0, source="s", format="mbox", size=len(data))
    found = Gathered()
    for batch in read_slice(part, SourceConfig(name="s", path=path), store.open_input, 1 << 20):
        found.add(batch)
    assert found.texts == TEXTS


def test_a_format_that_is_named_takes_files_of_any_suffix_that_path_names(site):
    install_mbox(site)
    assert "mbox" in READERS
    assert format_of("/raw/a.data", SourceConfig(name="s", path="/raw/*.data", format="mbox")) == "mbox"
    assert format_of("/raw/a.mbox.zst", SourceConfig(name="s", path="/raw")) == "mbox"
    with pytest.raises(ValueError, match="not a suffix of format mbox"):
        format_of("/raw/README.md", SourceConfig(name="s", path="/raw", format="mbox"))
    config = {"run": "/r", "sources": [{"name": "s", "path": "/raw", "format": "mbox", "label": "topic"}]}
    with pytest.raises(ConfigError, match="shards.row to document"):  # its records have fields: a label may be one
        parse_config(config)
