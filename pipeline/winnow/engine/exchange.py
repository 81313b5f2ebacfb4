"""The only all-to-all: rows go from every map unit to the reduce unit that owns their partition, through storage.

A map unit writes ONE file, its rows sorted by partition, with an offset index; a reduce unit reads its range from
every map file in unit order. Nothing lies in Ray's object store, memory is bounded by a partition, and either side
restarts unit by unit. The number of partitions follows from the data size alone.

File layout, little-endian::

    b"WINNOWX1" | uint32 header bytes | header JSON {columns: [[name, dtype, width]], partitions, rows, payload}
    int64 row_start[partitions + 1]
    int64 payload_start[partitions + 1]      (items; only where there is a payload)
    for each partition: its rows, column after column
    payload: one flat array, rows in file order  (only where there is a payload; its column `length` counts items)
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.storage.draft import Draft

MAGIC = b"WINNOWX1"
STRETCH_BYTES = 1 << 20
"""Payload read at a time: it is still in the processor's cache when it is used."""
Columns = dict[str, NDArray[np.generic]]
Described = tuple[tuple[str, np.dtype[np.generic], int], ...]
"""Name, type and width of every column."""


def write_exchange(
    draft: Draft,
    partition: NDArray[np.int64],
    columns: Columns,
    num_partitions: int,
    payload: Iterable[NDArray[Any]] | None = None,
    payload_dtype: np.dtype[Any] | None = None,
) -> None:
    """Write one map unit's rows.

    Args:
        draft: where to.
        partition: int64[N], rising, each in [0, num_partitions).
        columns: arrays [N] or [N, width] of fixed-width numbers, in the same order.
        num_partitions: P.
        payload: all rows' items in row order, in flat arrays of any length, each done with when the next is asked
            for; ``columns["length"]`` says how many items each row has.
        payload_dtype: of the items; only where there is a payload.

    Raises:
        ValueError: the rows are not sorted by partition, or the payload is not as long as they say.
    """
    if len(partition) and (np.any(np.diff(partition) < 0) or partition[0] < 0 or partition[-1] >= num_partitions):
        raise ValueError(f"rows must be sorted by partition and lie in [0, {num_partitions})")
    row_start = np.searchsorted(partition, np.arange(num_partitions + 1)).astype("<i8")
    described = tuple((name, column.dtype, _width(column)) for name, column in columns.items())
    columns_of, payload_of = description_of(described, payload_dtype)
    header = orjson.dumps(
        {"columns": columns_of, "partitions": num_partitions, "rows": len(partition), "payload": payload_of}
    )
    draft.write(MAGIC + struct.pack("<I", len(header)) + header)
    draft.write(row_start)
    items = np.zeros(1, "<i8")
    if payload_dtype is not None:
        items = np.concatenate([[0], np.cumsum(columns["length"], dtype=np.int64)]).astype("<i8")
        draft.write(np.ascontiguousarray(items[row_start]))
    for number in np.flatnonzero(np.diff(row_start)):
        start, stop = row_start[number], row_start[number + 1]
        for column in columns.values():
            draft.write(np.ascontiguousarray(column[start:stop]))
    written = 0
    for stretch in payload or ():
        draft.write(np.ascontiguousarray(stretch, payload_dtype).view(np.uint8))
        written += len(stretch)
    if written != items[-1]:
        raise ValueError(f"the payload has {written} items, but the rows' lengths add up to {items[-1]}")


def _width(column: NDArray[np.generic]) -> int:
    return 1 if column.ndim == 1 else column.shape[1]


def description_of(columns: Described, payload_dtype: np.dtype[Any] | None) -> tuple[list[list[Any]], str | None]:
    """What headers say of columns and of the payload's items."""
    payload = None if payload_dtype is None else payload_dtype.newbyteorder("<").str
    return [[name, kind.newbyteorder("<").str, width] for name, kind, width in columns], payload


def described_types(header: Json) -> tuple[Described, np.dtype[np.generic] | None]:
    """Columns and type of the payload's items, as a header describes them."""
    payload = header["payload"]
    columns = tuple((name, np.dtype(kind), width) for name, kind, width in header["columns"])
    return columns, None if payload is None else np.dtype(payload)


@dataclass(frozen=True)
class ExchangeFile:
    """An open exchange file; only the index of the partitions asked for is read."""

    file: BinaryIO
    columns: Described
    num_partitions: int
    num_rows: int
    payload_dtype: np.dtype[np.generic] | None
    index_at: int

    @staticmethod
    def open(file: BinaryIO) -> "ExchangeFile":
        """Read the header.

        Raises:
            ValueError: not an exchange file.
        """
        start = file.read(len(MAGIC) + 4)
        if start[: len(MAGIC)] != MAGIC:
            raise ValueError(f"{getattr(file, 'name', 'file')}: not an exchange file (begins with {start[:8]!r})")
        (size,) = struct.unpack("<I", start[len(MAGIC) :])
        header = orjson.loads(read_exactly(file, size, "header"))
        columns, payload_dtype = described_types(header)
        return ExchangeFile(file, columns, header["partitions"], header["rows"], payload_dtype, len(MAGIC) + 4 + size)

    @property
    def _row_bytes(self) -> int:
        return row_bytes(self.columns)

    @property
    def _rows_at(self) -> int:
        indexes = 1 if self.payload_dtype is None else 2
        return self.index_at + indexes * 8 * (self.num_partitions + 1)

    @property
    def _payload_at(self) -> int:
        return self._rows_at + self.num_rows * self._row_bytes

    @property
    def item_dtype(self) -> np.dtype[Any]:
        """Of the payload's items.

        Raises:
            ValueError: there is no payload.
        """
        if self.payload_dtype is None:
            raise ValueError(f"{self.name}: this exchange has no payload")
        return self.payload_dtype

    @property
    def name(self) -> str:
        """Of the file, for messages."""
        return str(getattr(self.file, "name", "file"))

    def row_starts(self, first: int, last: int) -> NDArray[np.int64]:
        """int64[last - first + 1]: row numbers at which partitions first .. last begin."""
        return self._read_index(self.index_at, first, last)

    def payload_starts(self, first: int, last: int) -> NDArray[np.int64]:
        """int64[last - first + 1]: payload items before partitions first .. last."""
        return self._read_index(self.index_at + 8 * (self.num_partitions + 1), first, last)

    def _read_index(self, at: int, first: int, last: int) -> NDArray[np.int64]:
        self.file.seek(at + 8 * first)
        return np.frombuffer(read_exactly(self.file, 8 * (last - first + 1), "index"), "<i8")

    def extents(self, first: int, last: int) -> NDArray[np.int64]:
        """int64[last - first + 1, 2]: bytes at which rows and payload of partitions first .. last begin in the file.

        Raises:
            ValueError: there is no payload, or the index is damaged.
        """
        sizes = np.array([self._row_bytes, self.item_dtype.itemsize])
        starts = np.stack([self.row_starts(first, last), self.payload_starts(first, last)], axis=1)
        if np.any(np.diff(starts, axis=0) < 0) or np.any(starts[0] < 0) or starts[-1, 0] > self.num_rows:
            raise ValueError(f"{self.name}: its index does not rise from 0 to {self.num_rows} rows; damaged, remove it")
        places: NDArray[np.int64] = starts * sizes + np.array([self._rows_at, self._payload_at])
        return places

    def read(self, first: int, last: int) -> Columns:
        """All rows of partitions [first, last), column by column, in file order."""
        starts = self.row_starts(first, last)
        begin, end = int(starts[0]), int(starts[-1])
        self.file.seek(self._rows_at + begin * self._row_bytes)
        data = read_exactly(self.file, (end - begin) * self._row_bytes, "rows")
        return joined_rows(split_rows(data, self.columns, np.diff(starts).tolist()), self.columns)


def row_bytes(columns: Described) -> int:
    """Bytes of a row."""
    return sum(dtype.itemsize * width for _, dtype, width in columns)


def split_rows(data: bytes, columns: Described, rows: list[int]) -> Iterator[Columns]:
    """The columns of each partition that has rows, from the bytes of some partitions of ``rows`` rows each."""
    at = 0
    for number in rows:
        if not number:
            continue
        piece: Columns = {}
        for name, dtype, width in columns:
            values = np.frombuffer(data, dtype, number * width, at)
            piece[name] = values.reshape(-1, width) if width > 1 else values
            at += values.nbytes
        yield piece


def joined_rows(pieces: Iterable[Columns], columns: Described) -> Columns:
    """The columns of all pieces, one after the other."""
    found = list(pieces)
    if len(found) == 1:
        return found[0]
    if not found:
        return {name: np.empty((0, width) if width > 1 else 0, dtype) for name, dtype, width in columns}
    return {name: np.concatenate([piece[name] for piece in found]) for name, _, _ in columns}


def read_items(file: BinaryIO, dtype: np.dtype[Any], items: int) -> Iterator[NDArray[Any]]:
    """The next ``items`` items of an open file, stretch by stretch in one buffer that is used again.

    Raises:
        ValueError: the file ends before.
    """
    buffer = np.empty(min(items, STRETCH_BYTES // dtype.itemsize), dtype)
    while items:
        stretch = buffer[:items]
        if file.readinto(stretch.view(np.uint8)) != stretch.nbytes:  # type: ignore[attr-defined]
            raise _cut_short(file, "payload")
        yield stretch
        items -= len(stretch)


def read_exactly(file: BinaryIO, size: int, what: str) -> bytes:
    """The next ``size`` bytes of an open file.

    Raises:
        ValueError: it ends before; ``what`` says what is missing.
    """
    data = file.read(size)
    if len(data) != size:
        raise _cut_short(file, what)
    return data


def _cut_short(file: BinaryIO, what: str) -> ValueError:
    name = getattr(file, "name", "file")
    return ValueError(f"{name}: it ends in the middle of its {what}; the file was cut short, remove it")


def partitions_for(total_bytes: int, partition_mb: int) -> int:
    """Number of partitions: from the data size alone, at least one."""
    return max(1, -(-total_bytes // (partition_mb * 1_000_000)))


def partition_of_hash(keys: NDArray[np.uint64], num_partitions: int) -> NDArray[np.int64]:
    """Partition int64[N] of uniformly spread keys uint64[N]: rises with the key, so key order is partition order."""
    return (((keys >> np.uint64(32)) * np.uint64(num_partitions)) >> np.uint64(32)).astype(np.int64)
