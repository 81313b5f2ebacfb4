"""Parquet files that say much with few bytes: nothing is built before its size is known."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.reading import open_binary, read
from winnow.sources.read import read_slice
from winnow.sources.readers.parquet_batches import cut, row_bytes
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig

ROWS = 5_000
LARGE = "x" * 2_000_000


def _batches(path, batch_bytes=1 << 20, **settings):
    source = SourceConfig(name="s", path=str(path), **settings)
    size = path.stat().st_size
    return read_slice(
        FileSlice(path=str(path), file=3, source="s", format="parquet", size=size), source, open_binary, batch_bytes
    )


def _repeated(rows: int = ROWS) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([LARGE]))


def _write(path, columns, **options):
    pq.write_table(pa.table(columns), path, compression="zstd", **options)
    assert path.stat().st_size < 100_000
    return path


@pytest.mark.parametrize(
    ("columns", "settings"),
    [
        ({"text": _repeated()}, {}),
        ({"text": pa.nulls(ROWS, pa.string()).fill_null("a"), "k": _repeated()}, {"keep": ("k",)}),
        ({"text": pa.nulls(ROWS, pa.string()).fill_null("a"), "k": _repeated()}, {"id": "k"}),
        ({"a": pa.StructArray.from_arrays([_repeated()], ["b"])}, {"text": "a.b"}),
    ],
    ids=["text", "keep", "id", "struct"],
)
@pytest.mark.parametrize("batch_bytes", [1 << 20, 100_000], ids=["as indices", "bounded by the dictionary"])
def test_one_value_of_a_dictionary_in_every_row(tmp_path, columns, settings, batch_bytes):
    """10 GB in 50 kB, which were asked for in few allocations."""
    path = _write(tmp_path / "a.parquet", columns)
    before = pa.total_allocated_bytes()
    for number, batch in enumerate(_batches(path, batch_bytes, **settings)):
        assert len(batch.rows) == 1 and batch.rows[0] == number
        assert pa.total_allocated_bytes() - before < 40_000_000
        if number == 20:
            break
    refused = read(path, max_document_mb=1, **settings)
    assert not refused.rows and [bad.row for bad in refused.unreadable] == list(range(ROWS))
    assert {kind for _, kind in refused.kinds} == {"too large"} and refused.unreadable[0].bytes == len(LARGE)


def test_one_large_row_among_small_ones(tmp_path):
    texts = [LARGE if row == 5_000 else f"text {row}" for row in range(10_000)]
    path = _write(tmp_path / "a.parquet", {"text": texts, "id": range(10_000)})
    found = read(path, id="id", max_document_mb=1)
    assert found.rows == [row for row in range(10_000) if row != 5_000]
    assert [(bad.row, bad.id, bad.bytes) for bad in found.unreadable] == [(5_000, "5000", len(LARGE))]
    assert read(path, id="id").texts == texts


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"])
def test_other_encodings(tmp_path, encoding):
    """A delta encoding writes what values share once, too, and Arrow reads no indices from it."""
    texts = [f"{LARGE}{row}" for row in range(50)]
    path = _write(tmp_path / "a.parquet", {"text": texts}, use_dictionary=False, column_encoding={"text": encoding})
    before = pa.total_allocated_bytes()
    for batch in _batches(path, 100_000):
        assert len(batch.rows) == 1 and pa.total_allocated_bytes() - before < 150_000_000
    assert read(path).texts == texts


def test_json_columns_are_bounded_too(tmp_path):
    path = _write(tmp_path / "a.parquet", {"text": pa.array([f'"{LARGE}"'] * 100, pa.json_())})
    batches = _batches(path, 100_000)
    assert len(next(batches).rows) == 1 and sum(len(batch.rows) for batch in batches) == 99


def test_sizes_of_rows_before_they_are_decoded():
    words = pa.array(["a", "bcd", None, "efghij"]).dictionary_encode()
    assert row_bytes(words).tolist() == [1, 3, 0, 6]
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 2, 4], pa.int32()), words)
    assert row_bytes(lists).tolist() == [4, 0, 6] and row_bytes(lists.slice(1)).tolist() == [0, 6]
    structs = pa.StructArray.from_arrays([words, pa.array(range(4), pa.int64())], ["a", "b"])
    assert row_bytes(structs).tolist() == [9, 11, 8, 14] and row_bytes(structs.slice(2)).tolist() == [8, 14]
    maps = pa.array([[("k", "vv")], [], None], pa.map_(pa.string(), pa.string()))
    assert row_bytes(maps).tolist() == [3, 0, 0]
    pairs = pa.array([["a", "bb"], ["", "c"]], pa.list_(pa.string(), 2))
    assert row_bytes(pairs).tolist() == [3, 1] and row_bytes(pairs.slice(1)).tolist() == [1]


def test_ranges_hold_a_batch_or_one_row():
    assert list(cut(np.array([4, 4, 4, 30, 1, 0, 12, 0]), 10)) == [(0, 2), (2, 3), (3, 4), (4, 6), (6, 7), (7, 8)]
    assert list(cut(np.zeros(0, np.int64), 10)) == []
