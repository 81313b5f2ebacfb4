"""The plan of the reading: what is cut, how large units are, and which unit a document belongs to."""

import csv
import gzip
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from tests.support.reading import Gathered
from winnow.config.config import parse_config
from winnow.engine.config import ComputeConfig
from winnow.engine.quarantine import add_to_quarantine, met_by
from winnow.engine.stage import run_unit
from winnow.engine.work_sizes import work_sizes
from winnow.finished.explain import unreadable
from winnow.flow.surroundings import surroundings_of
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run
from winnow.sources.catalogue import InputFile
from winnow.sources.read import read_slice
from winnow.sources.readers import cuts
from winnow.sources.source import SourceConfig
from winnow.stages.ingest.estimates import estimated_text
from winnow.stages.ingest.isolate import drop_quarantined
from winnow.stages.ingest.slices import (
    count_stage,
    parse_quarantined,
    parse_slice,
    plan_count,
    plan_measure,
)
from winnow.storage.local_store import LocalStore

SOURCES = {"s": SourceConfig(name="s", path="-")}


def _file(number: int, path: str, size: int) -> InputFile:
    return InputFile(number=number, source="s", path=path, bytes=size, modified_ns=1)


def _read(units, store) -> tuple[Gathered, list[int]]:
    """What all units read, and the unit of each row."""
    found, read_by = Gathered(), []
    for unit in units:
        quarantined = parse_quarantined(unit)
        for fields in unit.inputs["slices"]:
            file_slice, source = parse_slice(fields)
            for batch in read_slice(file_slice, source, store.open_input, 1 << 20):
                found.add(drop_quarantined(batch, file_slice, quarantined))
                read_by += [unit.number] * len(batch.rows)
    return found, read_by


@pytest.mark.parametrize("unit_bytes", [100, 333, 1_000, 5_000, 20_000])
def test_a_quarantined_document_that_crosses_ranges_is_left_out(tmp_path, unit_bytes):
    """Also one that is larger than a unit: the note was given to a range that did not read it, and the run died."""
    path = tmp_path / "a.jsonl"
    sizes = [10, 4_000, 20, 300, 300, 90, 2_500, 5]
    path.write_text("".join(json.dumps({"text": "x" * size}) + "\n" for size in sizes))
    store = LocalStore(str(tmp_path / "run"))
    files = [_file(3, str(path), path.stat().st_size)]
    counted = [run_unit(count_stage(), unit, store) for unit in plan_count(files, SOURCES, unit_bytes)]
    plain = plan_measure(files, SOURCES, counted, unit_bytes)
    whole, read_by = _read(plain, store)
    assert whole.rows == list(range(8))
    for row in range(8):
        planned = plan_measure(files, SOURCES, counted, unit_bytes, {3 << 32 | row: "fatal: of this test"})
        assert [unit.number for unit, old in zip(planned, plain, strict=True) if unit != old] == [read_by[row]]
        left, _ = _read(planned, store)
        assert left.rows == [other for other in range(8) if other != row] and left.kinds == [(row, "fatal")]


def test_compressed_files_are_cut_by_their_text_where_they_are_a_large_share():
    unit = 64_000_000
    large = [_file(0, "a.jsonl.zst", 30_000_000)]
    assert estimated_text(large, SOURCES) == 120_000_000
    assert [u.inputs["path"] for u in plan_count(large, SOURCES, unit)] == ["a.jsonl.zst"]
    assert plan_count([_file(0, "a.jsonl.zst", 15_000_000)], SOURCES, unit) == []
    assert plan_count([_file(0, "a.jsonl.xz", 30_000_000)], SOURCES, unit) == []
    assert len(plan_count([_file(n, f"{n}.jsonl.gz", 30_000_000) for n in range(64)], SOURCES, unit)) == 64
    assert plan_count([_file(n, f"{n}.jsonl.gz", 30_000_000) for n in range(200)], SOURCES, unit) == []
    assert len(plan_count([_file(0, "a.parquet", 30_000_000)], SOURCES, unit)) == 1
    assert plan_count([_file(0, "a.parquet", 20_000_000)], SOURCES, unit) == []


def test_a_small_corpus_has_units_for_more_than_one_core():
    def unit_mb(text_mb: int) -> int:
        return work_sizes(ComputeConfig(), text_mb * 1_000_000).unit_mb

    assert [unit_mb(size) for size in (1, 44, 123, 255, 256, 10_000)] == [8, 8, 16, 32, 64, 64]
    assert work_sizes(ComputeConfig(unit_mb=64), 1_000_000).unit_mb == 64


@pytest.mark.parametrize(
    "suffix",
    [
        *(".jsonl.gz", ".parquet", ".txt.zst"),
        *(pytest.param(more, marks=pytest.mark.slow) for more in (".csv", ".csv.gz", ".tar")),
    ],
)
def test_one_compressed_file_becomes_several_units_with_the_same_shards(tmp_path, monkeypatch, suffix):
    texts = articles(3, 600)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    path = tmp_path / f"a{suffix}"
    separator = {"separator": "\n<|end|>\n"} if suffix.startswith(".txt") else {}
    if separator:
        joined = separator["separator"].join(texts).encode()
        frames = [zstandard.compress(joined[at : at + 50_000]) for at in range(0, len(joined), 50_000)]
        path.write_bytes(b"".join(frames) if suffix.endswith(".zst") else joined)
    elif suffix == ".parquet":
        pq.write_table(pa.table({"text": texts}), path, compression="zstd")
        monkeypatch.setattr("winnow.sources.readers.parquet.PIECE_BYTES", 100_000)
    elif suffix == ".tar":
        with tarfile.open(path, "w") as tar:
            for number, text in enumerate(texts):
                info = tarfile.TarInfo(f"{number:05}.txt")
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
        monkeypatch.setattr("winnow.sources.readers.tar.PIECE_BYTES", 100_000)
    elif suffix.startswith(".csv"):
        out = io.StringIO(newline="")
        csv.writer(out).writerows([["text"], *([text] for text in texts)])
        table = out.getvalue().encode()
        path.write_bytes(gzip.compress(table) if suffix.endswith(".gz") else table)
    else:
        path.write_bytes(gzip.compress(lines))
    monkeypatch.setattr(cuts, "PIECE_BYTES", 100_000)

    def shards(name: str, unit_mb: int) -> tuple[list[str], int]:
        sections = {"shards": {"sequence_tokens": 127}, "compute": {"unit_mb": unit_mb}}
        context = run(parse_config(run_config(tmp_path / name, source_of([path], **separator), **sections)))
        splits = load_run(str(tmp_path / name)).manifest["shards"]["splits"]
        return [s["sha256"] for split in splits.values() for s in split["shards"]], len(context.run.of("measure"))

    whole, one = shards("whole", 1_000)
    monkeypatch.setattr("winnow.stages.ingest.slices.estimated_bytes", lambda *_: len(lines))
    parts, several = shards("parts", 1)
    assert len(lines) > 1_000_000 and (one, several > 1) == (1, True) and parts == whole


def test_what_a_run_sets_aside_is_left_out_by_the_range_that_reads_it(tmp_path):
    """A document of 3 MB and units of 1 MB."""
    texts = articles(5, 60)
    texts[7] = "A long document. " * 180_000
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": f"d{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    sections = {"shards": {"sequence_tokens": 127}, "compute": {"unit_mb": 1, "max_unreadable_share": 0.1}}
    config = parse_config(run_config(tmp_path / "run", source_of([path], id="id"), **sections))
    run(config)
    doc = next(iter(load_run(str(tmp_path / "run")).files)).number << 32 | 7
    met = met_by(surroundings_of(config, load_run_vocabulary(config)))
    add_to_quarantine(LocalStore(str(tmp_path / "run")), {doc: "fatal: of this test"}, met)
    run(config)
    found = unreadable(load_run(str(tmp_path / "run")), "d7")
    assert [(record.row, record.reason) for record in found] == [(7, "fatal: of this test")]
