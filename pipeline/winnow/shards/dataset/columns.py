"""Fixed-length columns of a shard, row by row: out of the mapped file where they stand there plainly.

Single rows are gathered as *items*: one opaque value of all bytes of a row, so that numpy moves a row in one step.

Legend: R rows of the shard, L values a row, n rows asked for.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.errors import ShardError
from winnow.shards.dataset.errors import WHAT_TO_DO
from winnow.shards.dataset.plain_pages import Pages

DECODED_BYTES = 512_000_000
"""Decoded row groups that a reader keeps, where it has to decode (compressed shards)."""

SEALED_BYTES = 1 << 20
"""Of an encrypted payload so much is decrypted for a row at least: single rows cost little, runs of them no more."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong inside of Arrow's reader becomes a :class:`ShardError` that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        told = " ".join(str(error).split())  # Arrow's messages can have several lines
        raise ShardError(f"{path} is altered: {told}; {WHAT_TO_DO}") from None


class FixedColumn(Protocol):
    """A column with the same number of values in every row."""

    length: int
    """L; 1 for a column of plain numbers."""
    dtype: np.dtype[Any]
    """Of the values."""

    def run(self, first: int, count: int) -> NDArray[Any]:
        """The values [count, L] of rows that follow each other, read-only."""

    def items(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """The rows int64[n] as items of :func:`item_type`."""


def item_type(column: FixedColumn) -> np.dtype[np.void]:
    """A row of a column as one opaque value."""
    return np.dtype((np.void, column.length * column.dtype.itemsize))


class PlainColumn:
    """Values that stand in the file as they are.

    Args:
        data: the file.
        pages: where the values stand in it.
        length: L.
        dtype: of the values.
    """

    def __init__(self, data: memoryview, pages: Pages, length: int, dtype: np.dtype[Any]) -> None:
        self._data, self._pages = data, pages
        self.length, self.dtype = length, dtype
        size = length * dtype.itemsize
        # an item at every byte of the file: rows begin where page headers happen to end
        self._items: NDArray[np.void] = np.ndarray(max(0, len(data) - size + 1), item_type(self), data, strides=(1,))
        self._starts: NDArray[np.int64] | None = None

    def run(self, first: int, count: int) -> NDArray[Any]:
        """The values [count, L] of rows that follow each other: without a copy where they lie in one page."""
        values, offsets, width = self._pages
        begin, end = first * self.length, (first + count) * self.length
        parts = []
        for page in range(self._page_of(begin), self._page_of(max(begin, end - 1)) + 1):
            low, high = max(begin, int(values[page])), min(end, int(values[page + 1]))
            at = int(offsets[page]) + (low - int(values[page])) * width
            parts.append(self._data[at : at + (high - low) * width])
        joined = parts[0] if len(parts) == 1 else b"".join(parts)
        return np.frombuffer(joined, self.dtype).reshape(count, self.length)

    def items(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """The rows int64[n] as items of :func:`item_type`."""
        if self._starts is None:
            self._starts = self._row_starts()
        starts = self._starts.take(rows)
        found: NDArray[np.void] = self._items[np.maximum(starts, 0) if self._torn else starts]
        for at in np.flatnonzero(starts < 0).tolist() if self._torn else ():
            found[at] = self.run(int(rows[at]), 1).tobytes()
        return found

    def _page_of(self, value: int) -> int:
        return int(np.searchsorted(self._pages.first_values, value, side="right")) - 1

    def _row_starts(self) -> NDArray[np.int64]:
        """int64[R], where each row begins in the file; -1 for rows that go over several pages."""
        values, offsets, width = self._pages
        first_rows = -(-values // self.length)  # that begin in each page, or behind it
        rows = np.diff(first_rows)
        starts = np.arange(rows.sum()) * (self.length * width) + np.repeat(offsets - values[:-1] * width, rows)
        torn = first_rows[1:][(rows > 0) & (first_rows[1:] * self.length > values[1:])] - 1
        starts[torn] = -1
        self._torn = len(torn) > 0
        return starts


class DecodedGroups:
    """Row groups that had to be decoded: the latest ones, up to a number of bytes."""

    def __init__(self, max_bytes: int = DECODED_BYTES) -> None:
        self._max, self._held = max_bytes, 0
        self._groups: OrderedDict[tuple[str, str, int], NDArray[Any]] = OrderedDict()

    def get(self, key: tuple[str, str, int], decode: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The row group named by (shard, column, number)."""
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        values = self._groups[key] = decode()
        self._held += values.nbytes
        while self._held > self._max and len(self._groups) > 1:
            _, dropped = self._groups.popitem(last=False)
            self._held -= dropped.nbytes
        return values


class DecodedColumn:
    """Values that have to be decoded, or decrypted, a group of rows at a time.

    Args:
        name: the file's and the column's.
        rows: of each group.
        decode: the values [rows, L] of a group, by its number.
        length: L.
        dtype: of the values.
        groups: that are kept.
    """

    def __init__(
        self,
        name: tuple[str, str],
        rows: Sequence[int],
        decode: Callable[[int], NDArray[Any]],
        length: int,
        dtype: np.dtype[Any],
        groups: DecodedGroups,
    ) -> None:
        self.length, self.dtype = length, dtype
        self._name, self._decode, self._groups = name, decode, groups
        self._starts = np.concatenate([[0], np.cumsum(rows)])

    def run(self, first: int, count: int) -> NDArray[Any]:
        """The values [count, L] of rows that follow each other, each row group decoded once as long as it is kept."""
        parts = []
        for group in range(self._group_of(first), self._group_of(max(first, first + count - 1)) + 1):
            start = int(self._starts[group])
            parts.append(self._group(group)[max(0, first - start) : first + count - start])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def items(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """The rows int64[n] as items of :func:`item_type`."""
        found = np.empty(len(rows), item_type(self))
        groups = np.searchsorted(self._starts, rows, side="right") - 1
        for group in np.unique(groups).tolist():
            inside = np.flatnonzero(groups == group)
            found[inside] = self._group(group).view(found.dtype)[rows[inside] - self._starts[group], 0]
        return found

    def _group_of(self, row: int) -> int:
        return int(np.searchsorted(self._starts, row, side="right")) - 1

    def _group(self, group: int) -> NDArray[Any]:
        return self._groups.get((*self._name, group), lambda: self._decode(group))


def rows_of_groups(file: pq.ParquetFile, path: Path) -> list[int]:
    """Rows of each row group.

    Raises:
        ShardError: they are not those of the file.
    """
    rows = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    if sum(rows) != file.metadata.num_rows:
        raise ShardError(f"{path} is altered: its row groups hold {sum(rows):,} rows; {WHAT_TO_DO}")
    return rows


def arrow_column(file: pq.ParquetFile, path: Path, name: str, groups: DecodedGroups) -> DecodedColumn:
    """A column that Arrow's reader decodes, row group by row group."""
    kind = file.schema_arrow.field(name).type
    length = kind.list_size if pa.types.is_fixed_size_list(kind) else 1
    numbers = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    dtype = np.dtype(np.uint8 if pa.types.is_boolean(numbers) else numbers.to_pandas_dtype())
    rows = rows_of_groups(file, path)

    def decode(group: int) -> NDArray[Any]:
        with reading(path):
            # a thread of Arrow's that frees a buffer of Python's while the process ends aborts it
            column = file.read_row_group(group, columns=[name], use_threads=False).column(0).combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = column.combine_chunks()
            values = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
            numbers = values.cast(pa.from_numpy_dtype(dtype))
            return np.from_dlpack(numbers).reshape(rows[group], length)  # to_numpy() would import pandas

    return DecodedColumn((str(path), name), rows, decode, length, dtype, groups)


def sealed_column(
    file: BinaryIO, path: Path, rows: int, length: int, dtype: np.dtype[Any], groups: DecodedGroups
) -> DecodedColumn:
    """The ids of a raw payload that is encrypted: ``file`` opens any range of it."""
    row_bytes = length * dtype.itemsize
    a_group = max(1, SEALED_BYTES // row_bytes)

    def decode(group: int) -> NDArray[Any]:
        with reading(path):
            file.seek(group * a_group * row_bytes)
            return np.frombuffer(file.read(a_group * row_bytes), dtype).reshape(-1, length)

    sizes = [min(a_group, rows - first) for first in range(0, rows, a_group)]
    return DecodedColumn((str(path), ""), sizes, decode, length, dtype, groups)
