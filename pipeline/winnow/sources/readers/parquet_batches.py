"""Row groups of Parquet in batches whose size is known before their values are built.

A value that a dictionary page holds once can stand in every row, so a file of 50 kB can mean 30 GB of text, and no
metadata tell. Strings of a row group that holds little are therefore read as indices into their dictionary (Arrow's
``read_dictionary``), and a batch is cut by what its rows would take before anything is decoded. Where a row group holds
much, Arrow would keep all of it as one dictionary: there the longest value of the dictionary page bounds the rows. Of
lists, the pages tell how many values a row has (:mod:`winnow.sources.readers.parquet_pages`). Arrow builds a row whole
and cannot pass over one, so a row group is read up to the first one that is too large.

Legend: N rows of a batch.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.sources.readers.parquet_pages import ListPages, page_too_large
from winnow.sources.records import UNREADABLE_OVERHEAD_BYTES, RecordBatch, concatenated, gathered

MAX_BATCH_ROWS = 16_384
"""Rows decoded at once, however short they seem."""
STREAM_BUFFER_BYTES = 1 << 20
"""Column chunks are read through a buffer of this size instead of whole."""
INDEXED_BATCHES = 4
"""Row groups of so many batches' bytes are read as indices; of others, so much is decoded at once in the worst case."""
DELTA_BATCHES = 16
"""The same for delta encodings, where no value is known to be shorter than the whole column: more, to be faster."""

LARGE_ROW_BYTES = 256_000_000
"""Rows of lists that are shorter are built, however small ``max_document_mb`` is, and refused afterwards."""
VALUE_BYTES = 4
"""What Arrow needs for any value of a list, at least: its two levels."""

PROBED_ROWS = 1_024
"""Rows read at once until a dictionary shows."""

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_INDEXABLE = {"PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "RLE", "BIT_PACKED"}
_DELTA = "DELTA_BYTE_ARRAY"
"""The encoding whose values share their beginnings."""


class Rows(NamedTuple):
    """One row group, ready to be read."""

    position: int
    """First byte of the row group."""
    stored: int
    """Bytes of the wanted columns as stored."""
    batches: Iterator[pa.RecordBatch]
    """The wanted columns in file order, of the rows that can be read."""
    readable: int
    """Rows of the group before the first one that is too large to be built."""
    reason: str
    """Why that one is refused; empty where there is none."""


def rows_of(
    parquet: pq.ParquetFile, file: Any, number: int, columns: list[str], batch_bytes: int, largest: int
) -> Rows:
    """The rows of a row group, as many at once as cannot become much more than ``batch_bytes``.

    Args:
        parquet: ``file``, open.
        file: where it is read from.
        number: of the row group.
        columns: wanted; ``a.b`` is a field of a struct.
        batch_bytes: what a batch should take once it is decoded.
        largest: bytes of a row that a source takes.
    """
    group = parquet.metadata.row_group(number)
    starts, stored, decoded, indexed, rows = [], 0, 0, list[str](), MAX_BATCH_ROWS
    most, readable, reason = max(largest, LARGE_ROW_BYTES), group.num_rows, ""
    probed: list[tuple[str, ListPages | None, int]] = []  # columns whose dictionary is looked at
    for at in range(group.num_columns):
        chunk = group.column(at)
        starts.append(min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)), default=0))
        path = chunk.path_in_schema
        name = next((name for name in columns if path == name or path.startswith(f"{name}.")), None)
        if name is None:
            continue
        leaf, size = parquet.schema.column(at), chunk.total_uncompressed_size
        width = _WIDTHS.get(chunk.physical_type) or leaf.length or 0
        lists = ListPages(file, chunk, leaf.max_repetition_level, group.num_rows) if leaf.max_repetition_level else None
        values = lists.values if lists else chunk.num_values
        stored += chunk.total_compressed_size
        decoded += max(size, values * width)
        bad = page_too_large(file, chunk, name, group.num_rows, lists)
        if lists and lists.most * max(width, VALUE_BYTES) > most:
            lengths = lists.lengths(most // max(width, VALUE_BYTES))
            rows = min(rows, INDEXED_BATCHES * batch_bytes // max(1, lengths.longest * max(width, VALUE_BYTES)))
            if lengths.too_long is not None and lengths.too_long < readable:
                many = most // max(width, VALUE_BYTES)
                readable, reason = lengths.too_long, f"over {many:,} values in column {name!r}; max_document_mb is less"
        if bad and readable:
            readable, reason = 0, bad
        if chunk.physical_type != "BYTE_ARRAY":
            continue
        can_index = _INDEXABLE.issuperset(chunk.encodings)
        if _DELTA in chunk.encodings:
            rows = min(rows, DELTA_BATCHES * batch_bytes // max(1, size))
        elif can_index and size <= INDEXED_BATCHES * batch_bytes and leaf.logical_type.type != "JSON":
            indexed.append(path)  # but JSON is a type of its own to Arrow, which has no indices
        elif chunk.has_dictionary_page:
            probed.append((path if can_index else "", lists, size))
    for path, lists, size in probed if readable else ():
        rows_at_once = max(1, min(PROBED_ROWS, readable, rows))
        longest = _longest_of_dictionary(parquet, file, number, path, rows_at_once) if path else size
        values = -(-lists.values // max(1, group.num_rows)) if lists else 1
        if lists and lists.most * longest > most:
            values = lists.lengths(lists.most).longest
            if values * longest > most and path:  # one row may be too large to be built: held as stored instead
                indexed.append(path)
        rows = min(rows, INDEXED_BATCHES * batch_bytes // max(1, longest * values))
    rows = max(1, min(rows, batch_bytes * group.num_rows // max(1, decoded)))
    if reason:  # no batch may reach the row that is too large
        rows = next(size for size in range(min(rows, max(1, readable)), 0, -1) if readable % size == 0)
    opened = _open(parquet, file, indexed)
    batches = opened.iter_batches(rows, row_groups=[number], columns=columns, use_threads=False)
    there = itertools.islice(batches, readable // rows) if reason else batches
    return Rows(min(starts, default=0), stored, there, readable, reason)


def _open(parquet: pq.ParquetFile, file: Any, indexed: list[str], **options: bool) -> pq.ParquetFile:
    return pq.ParquetFile(
        file, metadata=parquet.metadata, buffer_size=STREAM_BUFFER_BYTES, read_dictionary=indexed, **options
    )


def _longest_of_dictionary(parquet: pq.ParquetFile, file: Any, number: int, path: str, rows: int) -> int:
    """Bytes of the longest value in the dictionary page of a column of strings; reads up to its first value, so many
    rows at once."""
    opened = _open(parquet, file, [path], arrow_extensions_enabled=False)
    for batch in opened.iter_batches(rows, row_groups=[number], columns=[path], use_threads=False):
        leaf = batch.column(0)
        while pa.types.is_nested(leaf.type):
            leaf = leaf.field(0) if pa.types.is_struct(leaf.type) else leaf.values
        if len(leaf.dictionary):
            return int(row_bytes(leaf.dictionary).max())
    return 0


def row_bytes(column: pa.Array) -> NDArray[np.int64]:
    """int64[N]: bytes that each value takes once it is decoded."""
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return row_bytes(column.storage)
    if isinstance(kind, pa.DictionaryType):
        return _lengths(pc.take(pa.array(row_bytes(column.dictionary)), column.indices))
    if pa.types.is_struct(kind):
        parts = [row_bytes(column.field(at)) for at in range(kind.num_fields)]
        added: NDArray[np.int64] = sum(parts, np.zeros(len(column), np.int64))
        return added
    if pa.types.is_fixed_size_list(kind):
        first, size = column.offset * kind.list_size, len(column) * kind.list_size
        each = row_bytes(column.values.slice(first, size)).reshape(len(column), kind.list_size)
        return np.asarray(each.sum(axis=1), np.int64)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        ends = np.concatenate([[0], np.cumsum(row_bytes(column.values))])
        offsets = column.offsets.to_numpy()
        return np.asarray(np.diff(ends[offsets]), np.int64)
    try:
        return _lengths(pc.binary_length(column))
    except pa.ArrowNotImplementedError:
        return np.full(len(column), -(-column.nbytes // max(1, len(column))), np.int64)


def _lengths(column: pa.Array) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return lengths


def joined(batches: Iterator[RecordBatch], batch_bytes: int) -> Iterator[RecordBatch]:
    """The same records, in batches of at least half of ``batch_bytes`` where there are so many."""
    return map(concatenated, gathered(batches, _bytes_of, batch_bytes))


def _bytes_of(batch: RecordBatch) -> int:
    columns = (batch.texts, batch.ids, *batch.keep.values())
    return sum(int(column.nbytes) for column in columns) + UNREADABLE_OVERHEAD_BYTES * len(batch.unreadable)


def cut(sizes: NDArray[np.int64], batch_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of at most ``batch_bytes`` each, or of one row; sizes: int64[N]."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + batch_bytes, "right")))
        yield start, stop
        start = stop
