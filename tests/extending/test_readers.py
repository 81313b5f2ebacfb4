"""An input format of another package takes part like a built-in one."""

import csv
import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.e2e.sample import articles
from tests.extending.packages import install, winnow

GROUP = "winnow.readers"
TEXTS = [text for text in articles(5, 30) if text]


@pytest.fixture
def site(tmp_path) -> Path:
    return install(tmp_path / "site", "csv_reader", GROUP, {"csv": "READER"})


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "body", "topic"])
        for number, text in enumerate(TEXTS):
            rows.writerow([f"page/{number}", text, "even" if number % 2 == 0 else ""])
            if number == 3:
                rows.writerow(["page/broken", "only two"])


def write_config(tmp_path: Path, **more) -> Path:
    config = {
        "run": str(tmp_path / "run"),
        "sources": [{"name": "pages", "path": str(tmp_path / "raw"), "text": "body", "id": "url", "keep": ["topic"]}],
        "filter": {"mode": "annotate"},
        "shards": {"sequence_tokens": 127, "splits": {"val": 0.2}},
        "compute": {"executor": "inline", "max_unreadable_share": 0.2},
        **more,
    }
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def units_of_measure(output: str) -> list[str]:
    return [line for line in output.splitlines() if " measure" in line]


def records_of(run: Path, stage: str) -> list[Path]:
    return sorted(run.glob(f"work/{stage}/*/*.json"))


def test_a_run_reads_counts_explains_and_resumes(tmp_path, site):
    (tmp_path / "raw").mkdir()
    write_csv(tmp_path / "raw" / "pages.csv")
    config = write_config(tmp_path)
    code, output = winnow(site, "run", str(config))
    assert code == 0, output
    manifest = json.loads(next((tmp_path / "run").glob("shards/*/manifest.json")).read_text())
    assert manifest["books"]["records"] == len(TEXTS) + 1
    assert manifest["books"]["outcomes"]["unreadable"] == 1
    (record,) = records_of(tmp_path / "run", "measure")
    counters = json.loads(record.read_text())["counters"]
    assert counters["unreadable_reason/wrong number of fields"] == 1
    bad = pq.read_table(next((tmp_path / "run").glob("work/measure/*/*.unreadable.parquet"))).to_pylist()
    assert [(row["path"], row["doc"] & 0xFFFF_FFFF) for row in bad] == [(str(tmp_path / "raw" / "pages.csv"), 4)]
    table = pq.read_table(next((tmp_path / "run").glob("work/measure/*/*.documents-000.parquet")))
    assert table.column("text").to_pylist()[0] == TEXTS[0].replace("\r\n", "\n")
    assert table.column("id").to_pylist()[:5] == [f"page/{number}" for number in range(5)]
    assert table.column("keep.topic").to_pylist()[:2] == ["even", ""]

    code, output = winnow(site, "why", "page/0", str(tmp_path / "run"))
    assert code == 0, output
    assert "pages.csv" in output and "kept" in output

    code, output = winnow(site, "run", str(config))
    assert code == 0 and "0 units computed" in output, output
    # the same file, read by another version, or by other code
    for version, more in (("1.1", ""), ("1.1", "\n# mended\n")):
        before = set(records_of(tmp_path / "run", "measure"))
        install(site, "csv_reader", GROUP, {"csv": "READER"}, version)
        module = site / "csv_reader.py"
        module.write_text(module.read_text() + more)
        code, output = winnow(site, "run", str(config))
        assert code == 0, output
        assert len(set(records_of(tmp_path / "run", "measure")) - before) == 1

    shutil.rmtree(site)
    site.mkdir()
    code, output = winnow(site, "plan", str(config))
    assert code == 2 and "pages.csv" in output and "is not a known suffix (.jsonl" in output
    config.write_text(config.read_text().replace("- id: url", "- format: cvs\n  id: url"))
    code, output = winnow(site, "plan", str(config))
    assert code == 2 and "sources.0.format: 'cvs' is no known input format; known here: jsonl, parquet, text" in output


def script(site: Path, tmp_path: Path, body: str) -> str:
    """What a process with the packages of ``site`` prints."""
    import subprocess
    import sys

    path = tmp_path / "script.py"
    path.write_text(body)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ["PYTHONPATH"]])}
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


READ = """
from pathlib import Path
from winnow.sources.read import format_of, read_slice
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig

def read(path, batch_bytes=1 << 20, **settings):
    source = SourceConfig(name="s", path=path, **settings)
    part = FileSlice(path=path, file=0, source="s", format=format_of(path, source), size=Path(path).stat().st_size)
    return list(read_slice(part, source, lambda p: Path(p).open("rb"), batch_bytes))
"""


def test_compressed_cut_and_odd_files(tmp_path, site):
    import gzip

    plain = tmp_path / "a.csv"
    write_csv(plain)
    packed = gzip.compress(plain.read_bytes())
    (tmp_path / "whole.csv.gz").write_bytes(packed)
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-40])
    (tmp_path / "odd.csv").write_bytes(b'\xef\xbb\xbftext,id\r\ncaf\xe9,1\r\n"two\r\nlines",2\r\n"open,3\r\n')
    found = json.loads(
        script(
            site,
            tmp_path,
            READ
            + f"""
import json
told = {{}}
for name in ("a.csv", "whole.csv.gz", "cut.csv.gz"):
    for size in (1, 3000, 1 << 20):
        batches = read({str(tmp_path)!r} + "/" + name, size, text="body")
        told[f"{{name}} {{size}}"] = [
            [row for b in batches for row in b.rows.tolist()],
            [text for b in batches for text in b.texts.to_pylist()],
            [[bad.row, bad.reason.split(":")[0]] for b in batches for bad in b.unreadable],
            sum(b.bytes_read for b in batches),
        ]
for policy in ("replace", "reject"):
    batches = read({str(tmp_path)!r} + "/odd.csv", id="id", invalid_utf8=policy)
    told[policy] = [
        [text for b in batches for text in b.texts.to_pylist()],
        [[bad.row, bad.reason] for b in batches for bad in b.unreadable],
        sum(b.replaced for b in batches),
    ]
print(json.dumps(told))
""",
        )
    )
    rows = [row for row in range(len(TEXTS) + 1) if row != 4]
    for size in (1, 3000, 1 << 20):
        assert found[f"a.csv {size}"] == [rows, TEXTS, [[4, "wrong number of fields"]], plain.stat().st_size]
        assert found[f"whole.csv.gz {size}"][:3] == found[f"a.csv {size}"][:3]
        some, texts, bad, _ = found[f"cut.csv.gz {size}"]
        assert 0 < len(texts) < len(TEXTS) and texts == TEXTS[: len(texts)]
        assert some == rows[: len(some)] and bad[-1] == [None, "truncated file"]
    assert found["replace"][0] == ["caf\ufffd", "two\r\nlines"] and found["replace"][2] == 1
    assert found["reject"][0] == ["two\r\nlines"] and found["reject"][1][0] == [
        0,
        "invalid UTF-8: in a field of the record",
    ]
    assert found["replace"][1] == [[None, "malformed CSV: unexpected end of data"]]


FAULTY = """
import numpy as np, pyarrow as pa
from winnow.sources.readers.reader import Reader, RecordBatch, batches_of

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


def faulty(tmp_path: Path, monkeypatch, **entries: str) -> Path:
    module = tmp_path / "sources" / "faulty.py"
    module.parent.mkdir(exist_ok=True)
    module.write_text(FAULTY)
    monkeypatch.setattr("tests.extending.packages.OUTSIDE", module.parent)
    return install(tmp_path / "site", "faulty", GROUP, entries)


def test_a_reader_that_fails_or_yields_something_else_is_named(tmp_path, monkeypatch):
    site = faulty(tmp_path, monkeypatch, one="ONE", two="TWO", three="THREE")
    for name in ("one", "two", "three"):
        (tmp_path / f"a.{name}").write_bytes(b"12345678")
    body = (
        READ
        + f"""
(good, bad) = read({str(tmp_path)!r} + "/a.one")
print(good.texts.to_pylist(), bad.unreadable[0].reason, bad.unreadable[0].row)
for name in ("two", "three"):
    try:
        read({str(tmp_path)!r} + "/a." + name)
    except Exception as error:
        print(type(error).__name__, error)
"""
    )
    told = script(site, tmp_path, body).splitlines()
    assert told[0] == "['one'] failed reader: one raises KeyError None"
    assert told[1].startswith("ReaderError reader 'two'") and "row 0 comes after row 0" in told[1]
    assert (
        told[2].startswith("ReaderError reader 'three'") and "texts is string[1], expected large_string[1]" in told[2]
    )


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
def test_clashes_and_broken_packages_are_refused_by_name(tmp_path, monkeypatch, entries, message):
    site = faulty(tmp_path, monkeypatch, **entries)
    body = "from winnow.sources.readers.registry import formats_by_suffix\n" + (
        "try:\n    formats_by_suffix()\nexcept ValueError as error:\n    print(type(error).__name__, error)\n"
    )
    told = script(site, tmp_path, body)
    assert told.startswith("ConfigError ") and message in told


def test_a_worker_with_another_version_refuses(tmp_path, site):
    body = """
from winnow.sources.readers.registry import READERS
expected = READERS.origin("csv")
assert expected["package"] == "winnow-csv-reader 1.0" and len(expected["code"]) == 16
READERS.check_origin("csv", expected)
READERS.check_origin("jsonl", None)
try:
    READERS.check_origin("csv", expected | {"package": "winnow-csv-reader 0.9"})
except ValueError as error:
    print(error)
"""
    assert "this process has winnow-csv-reader 1.0" in script(site, tmp_path, body)
