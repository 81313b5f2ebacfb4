"""Fixed-length columns of a shard as bytes of its rows: out of the mapped file where they stand there plainly.

Legend: R rows of the shard, L values a row.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.shards.dataset.errors import WHAT_TO_DO, ShardError
from pipeline.shards.dataset.plain_pages import Pages

Bytes = memoryview | bytes
DECODED_BYTES = 512_000_000
"""Decoded row groups that a reader keeps, where it has to decode (compressed shards)."""


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
    """Of the values that :meth:`runs` gives."""

    def runs(self, firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> list[Bytes]:
        """The values of rows firsts[i] .. firsts[i] + counts[i] - 1, for each i, as bytes."""

    def single(self, rows: NDArray[np.int64]) -> list[Bytes]:
        """The values of each of the rows, as bytes."""


class PlainColumn:
    """Values that stand in the file as they are."""

    def __init__(self, data: memoryview, pages: Pages, length: int, dtype: np.dtype[Any]) -> None:
        self._data, self._pages = data, pages
        self.length, self.dtype = length, dtype
        self._rows: tuple[NDArray[np.int64], NDArray[np.bool_]] | None = None

    def single(self, rows: NDArray[np.int64]) -> list[Bytes]:
        """The values of single rows, as :meth:`runs` gives those of runs."""
        if self._rows is None:
            self._rows = self._places()
        starts, whole = self._rows
        data, size = self._data, self.length * self._pages.width
        out: list[Bytes] = [data[start : start + size] for start in starts[rows].tolist()]
        torn = np.flatnonzero(~whole[rows])
        if len(torn):
            ones = np.ones(len(torn), np.int64)
            for at, run in zip(torn.tolist(), self.runs(rows[torn], ones), strict=True):
                out[at] = run
        return out

    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """int64[R], where each row begins in the file, and bool[R], whether it lies in one page."""
        values, offsets, width = self._pages
        begins = np.arange(int(values[-1]) // self.length) * self.length
        pages = np.searchsorted(values, begins, side="right") - 1
        return offsets[pages] + (begins - values[pages]) * width, begins + self.length <= values[pages + 1]

    def runs(self, firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> list[Bytes]:
        """The rows' values, without a copy where a run lies in one page."""
        values, offsets, width = self._pages
        begins = firsts * self.length
        ends = begins + counts * self.length
        first_pages = np.searchsorted(values, begins, side="right") - 1
        last_pages = np.searchsorted(values, ends - 1, side="right") - 1
        starts = offsets[first_pages] + (begins - values[first_pages]) * width
        stops = starts + (ends - begins) * width
        data = self._data
        out: list[Bytes] = [data[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
        for i in np.flatnonzero(first_pages != last_pages).tolist():
            parts = []
            for page in range(int(first_pages[i]), int(last_pages[i]) + 1):
                low, high = max(int(begins[i]), int(values[page])), min(int(ends[i]), int(values[page + 1]))
                at = int(offsets[page]) + (low - int(values[page])) * width
                parts.append(data[at : at + (high - low) * width])
            out[i] = b"".join(parts)
        return out


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
    """Values that Arrow's reader has to decode."""

    def __init__(self, file: pq.ParquetFile, path: Path, name: str, groups: DecodedGroups) -> None:
        self._file, self._path, self._name, self._groups = file, path, name, groups
        kind = file.schema_arrow.field(name).type
        fixed = pa.types.is_fixed_size_list(kind)
        self.length = kind.list_size if fixed else 1
        value_type = kind.value_type if fixed else kind
        self.dtype = np.dtype(np.uint8 if pa.types.is_boolean(value_type) else value_type.to_pandas_dtype())
        rows = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        if sum(rows) != file.metadata.num_rows:
            raise ShardError(f"{path} is altered: its row groups hold {sum(rows):,} rows; {WHAT_TO_DO}")
        self._starts = np.concatenate([[0], np.cumsum(rows)])

    def runs(self, firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> list[Bytes]:
        """The rows' values, each row group decoded once as long as it is kept."""
        out: list[Bytes] = []
        for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
            parts: list[Bytes] = []
            at = first
            while at < first + count:
                group = int(np.searchsorted(self._starts, at, side="right")) - 1
                stop = min(first + count, int(self._starts[group + 1]))
                inside = self._group(group)[at - self._starts[group] : stop - self._starts[group]]
                parts.append(inside.data.cast("B"))
                at = stop
            out.append(parts[0] if len(parts) == 1 else b"".join(parts))
        return out

    def single(self, rows: NDArray[np.int64]) -> list[Bytes]:
        """The values of each of the rows."""
        return self.runs(rows, np.ones(len(rows), np.int64))

    def _group(self, group: int) -> NDArray[Any]:
        return self._groups.get((str(self._path), self._name, group), lambda: self._decode(group))

    def _decode(self, group: int) -> NDArray[Any]:
        with reading(self._path):
            column = self._file.read_row_group(group, columns=[self._name]).column(0).combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = column.combine_chunks()
            values = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
            array = values.to_numpy(zero_copy_only=False).astype(self.dtype, copy=False)
            rows = int(self._starts[group + 1] - self._starts[group])
            return np.ascontiguousarray(array).reshape(rows, self.length)
