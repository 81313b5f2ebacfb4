"""Rows of lists in Parquet: how long they are is told by the pages before Arrow builds one."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.reading import read
from winnow.sources.readers import parquet_batches, parquet_pages
from winnow.sources.readers.parquet_pages import ListPages

MANY = 1_000_000_000


POOLS = []
"""Arrow crashes where a pool is gone before what was taken from it: a reader that ended early, until it is garbage."""


def counting_from_here_on(pool):
    """A memory pool that counts, in use from now on."""
    POOLS.append(pa.proxy_memory_pool(pool))
    pa.set_memory_pool(POOLS[-1])
    return POOLS[-1]


@pytest.fixture
def pool():
    """A memory pool that counts from here on."""
    before = pa.default_memory_pool()
    yield counting_from_here_on(before)
    pa.set_memory_pool(before)


def _varint(value: int) -> bytes:
    data = b""
    while value > 127:
        data, value = data + bytes([value & 127 | 128]), value >> 7
    return data + bytes([value])


def _number(value: int) -> bytes:
    return _varint(value * 2)


def _run(value: int, times: int) -> bytes:
    return _varint(times * 2) + bytes([value])


def _page_of_nulls(lengths: list[int], size: int, values: int) -> bytes:
    """A page of lists of nulls, filled up to ``size`` bytes by its statistics: run lengths of levels, and no values."""
    repetition = b"".join(_run(0, 1) + _run(1, length - 1) for length in lengths)
    definition = _run(2, sum(lengths))  # the list is there, its element is null
    data = b"".join(len(part).to_bytes(4, "little") + part for part in (repetition, definition))

    def header(padding: int) -> bytes:
        sizes = b"\x15" + _number(0) + b"\x15" + _number(len(data)) + b"\x15" + _number(len(data))
        inner = b"\x15" + _number(values) + b"\x15" + _number(0) + b"\x15" + _number(3) + b"\x15" + _number(3)
        filled = b"\x1c\x18" + _varint(padding) + b"x" * padding + b"\x00"
        return sizes + b"\x2c" + inner + filled + b"\x00" + b"\x00"

    padding = size - len(header(128)) - len(data) + 128
    assert padding >= 128
    page = header(padding) + data
    assert len(page) == size
    return page


def _bomb(path, values: int = sum((2, MANY, 1))):
    """Two row groups of three rows; the second row of the first one holds 10^9 nulls, in 30 bytes."""
    lists = pa.array([[1] * 100, [2] * 100, [3] * 100] * 2, pa.list_(pa.int32()))
    table = pa.table({"text": [f"text {row}" for row in range(6)], "k": lists})
    pq.write_table(table, path, compression="none", use_dictionary=False, row_group_size=3, write_statistics=False)
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(1)
    begin, size = chunk.data_page_offset, chunk.total_compressed_size
    data = path.read_bytes()
    path.write_bytes(data[:begin] + _page_of_nulls([2, MANY, 1], size, values) + data[begin + size :])
    return path


@pytest.mark.parametrize("batch_bytes", [1 << 20, 1])
def test_a_row_of_a_billion_values_is_never_built(tmp_path, pool, batch_bytes):
    path = _bomb(tmp_path / "a.parquet")
    found = read(path, batch_bytes, keep=("k",))
    assert found.rows == [0, 3, 4, 5] and found.texts == [f"text {row}" for row in found.rows]
    assert found.keep["k"][0] == "[null,null]" and found.keep["k"][3] == str([3] * 100).replace(" ", "")
    assert [bad.row for bad in found.unreadable] == [1, 2]
    assert "over 128,000,000 values in column 'k'" in found.unreadable[0].reason
    assert "behind row 1" in found.unreadable[1].reason
    assert {kind for _, kind in found.kinds} == {"too large"}
    assert 0 < pool.max_memory() < 1_000_000
    everything = read(path)  # nobody asks for the column
    assert everything.rows == list(range(6)) and not everything.unreadable


def test_every_part_of_the_file_tells_the_same(tmp_path):
    path = _bomb(tmp_path / "a.parquet")
    whole = read(path, keep=("k",))
    for cut in range(1, 6):
        parts = [read(path, keep=("k",), start=a, stop=b, first_row=a) for a, b in pairwise([0, cut, 6])]
        assert [row for part in parts for row in part.rows] == whole.rows
        assert [bad for part in parts for bad in part.unreadable] == whole.unreadable


def test_pages_whose_levels_are_damaged_end_the_file(tmp_path):
    path = _bomb(tmp_path / "a.parquet", values=MANY + 1_000)
    found = read(path, keep=("k",))
    assert not found.rows and [bad.row for bad in found.unreadable] == [None]
    assert found.unreadable[0].reason.startswith("corrupt file: Parquet row group 0")


def _lists(kind: str) -> tuple[pa.Array, np.ndarray]:
    """Lists, and how many entries each row has: an empty list has one as well."""
    rng = np.random.default_rng(7)
    lengths = rng.integers(0, {"short": 3, "long": 900, "nested": 4}[kind], 2_000)
    lengths[rng.integers(0, 2_000, 5)] = 5_000
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.arange(offsets[-1], dtype=np.int32) % 7))
    counts = np.maximum(lengths, 1)
    if kind == "nested":
        outer = np.arange(0, 2_001, 8, dtype=np.int32)
        return pa.ListArray.from_arrays(pa.array(outer), lists), counts.reshape(-1, 8).sum(axis=1)
    return lists, counts


@pytest.mark.parametrize("kind", ["short", "long", "nested"])
@pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", "lz4", "brotli", "none"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_lengths_of_rows_are_those_that_arrow_wrote(tmp_path, kind, codec, version):
    lists, counts = _lists(kind)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"k": lists}), path, compression=codec, data_page_version=version, data_page_size=3_000)
    opened = pq.ParquetFile(path)
    level = opened.schema.column(0).max_repetition_level
    with path.open("rb") as file:
        pages = ListPages(file, opened.metadata.row_group(0).column(0), level, len(lists))
        assert len(pages.pages) > 3 and pages.values == counts.sum()
        for most in (pages.most, int(counts.max()) - 1, 1):
            found = pages.lengths(most)
            over = np.flatnonzero(counts > most)
            assert found.longest == counts[counts <= most].max(initial=0)
            assert found.too_long == (int(over[0]) if len(over) else None)


@pytest.mark.parametrize("large", [(), (0,), (997,), (40, 900)])
def test_long_rows_are_told_apart_from_the_rest_of_their_group(tmp_path, monkeypatch, large):
    monkeypatch.setattr(parquet_batches, "LARGE_ROW_BYTES", 0)
    lengths = [300_000 if row in large else row % 5 for row in range(1_000)]
    table = pa.table(
        {"text": [f"text {row}" for row in range(1_000)], "k": [[row] * n for row, n in enumerate(lengths)]}
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=500)
    whole = read(path, keep=("k",), max_document_mb=1)
    lost = sorted({row for first in large for row in range(first, (first // 500 + 1) * 500)})
    assert [bad.row for bad in whole.unreadable] == lost
    assert whole.rows == [row for row in range(1_000) if row not in lost]
    assert whole.keep["k"] == [str([row] * lengths[row]).replace(" ", "") for row in whole.rows]
    assert read(path, 1, keep=("k",), max_document_mb=1).unreadable == whole.unreadable


def test_strings_of_a_dictionary_in_lists_are_bounded_by_the_longest_row(tmp_path, pool, monkeypatch):
    """A row group of much text is read plainly: a value of the dictionary can stand in a row as often as it likes."""
    monkeypatch.setattr(parquet_batches, "LARGE_ROW_BYTES", 0)
    value = "x" * 100_000
    lists = pa.array([["a"]] * 500 + [[value] * 2_000] + [["b"]] * 500, pa.list_(pa.string()))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["t"] * 1_001, "k": lists}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    counting = counting_from_here_on(pool)
    found = read(path, 10_000, keep=("k",), max_document_mb=1)
    assert found.rows == [row for row in range(1_001) if row != 500]
    assert [(bad.row, bad.bytes) for bad in found.unreadable] == [(500, 200_000_000)]
    assert 0 < counting.max_memory() < 50_000_000


@pytest.mark.parametrize("column", ["text", "k"])
def test_a_page_that_becomes_far_more_than_it_is(tmp_path, monkeypatch, column):
    monkeypatch.setattr(parquet_pages, "MOST_PAGE_BYTES", 1 << 20)
    small = ["a"] * 10
    texts = ["x" * 4_000_000] * 10
    columns = {"text": small, "k": [[text] for text in small]}
    columns[column] = texts if column == "text" else [[text] for text in texts]
    path = tmp_path / "a.parquet"
    with pq.ParquetWriter(path, pa.table(columns).schema, compression="zstd", use_dictionary=False) as writer:
        writer.write_table(pa.table(columns))
        writer.write_table(pa.table({"text": small, "k": [[text] for text in small]}))
    found = read(path, keep=("k",))
    assert found.rows == list(range(10, 20))
    assert [bad.row for bad in found.unreadable] == list(range(10))
    assert f"a page of column '{column}' takes " in found.unreadable[0].reason
