"""How many values the rows of a Parquet column hold, told before any is built.

A run of equal values takes a few bytes, however many they are, so one row whose list has 10^9 of them fits into a page
of 100 bytes, and Arrow builds a row whole. The headers of the pages say how many values come (the footer says so, too,
but Arrow goes by the pages), and the repetition levels at the front of each page where a row begins: level 0.

Source: the format's parquet.thrift, and its page of encodings (hybrid of run lengths and bit packing).

Legend: L levels of a page.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.numeric.jit import kernel

MOST_PAGE_BYTES = 1 << 30
"""Arrow decompresses a page whole. Larger ones there are (the format ends at 2 GiB) ..."""
PAGE_RATIO = 64
"""... but not of text or numbers, where they hold so much more than the bytes that are stored."""
_HEADER_BYTES = 4_096
_MOST_HEADER_BYTES = 16 << 20
"""Statistics in it hold a longest and a shortest value."""
_MOST_LEVEL_BYTES = 256 << 20
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_RLE = 3
_STREAMED = {"GZIP": "gzip", "ZSTD": "zstd", "BROTLI": "brotli"}
_WHOLE = {"SNAPPY": "snappy", "LZ4": "lz4_raw"}


class Page(NamedTuple):
    """One page of a column chunk."""

    values: int
    """0 of a dictionary."""
    uncompressed: int
    compressed: int
    at: int
    """Byte of the file at which its data begin."""
    level_bytes: int | None
    """Of repetition levels that stand uncompressed at its front; None where they are part of the compressed data."""
    level_encoding: int

    @property
    def expands(self) -> bool:
        """Whether it becomes far more than it is."""
        return self.uncompressed > max(MOST_PAGE_BYTES, PAGE_RATIO * self.compressed)


class RowLengths(NamedTuple):
    """Values of the rows of a column chunk."""

    rows: int
    longest: int
    """Values of the longest row that is not too long."""
    too_long: int | None
    """The first row with more values than allowed."""


class ListPages:
    """The pages of a column whose values are in lists, by their headers.

    Args:
        file: where the column is read from.
        chunk: of the column.
        most_level: its maximum repetition level.
        rows: of the row group.

    Raises:
        ValueError: they are no pages.
    """

    def __init__(self, file: Any, chunk: pq.ColumnChunkMetaData, most_level: int, rows: int) -> None:
        self.pages = pages_of(file, chunk)
        self.values = sum(page.values for page in self.pages)
        self.most = max(0, self.values - rows + 1)
        """Values that one row can have: each has one at least, if only a null."""
        self._file, self._codec, self._level, self._rows = file, chunk.compression, most_level, rows

    def lengths(self, most_values: int) -> RowLengths:
        """Values of each row; more than ``most_values`` are too long a row.

        Raises:
            ValueError: see :func:`row_lengths`; or the column has other rows than its row group.
        """
        found = row_lengths(self._file, self.pages, self._codec, self._level, most_values)
        if found.rows != self._rows:
            raise ValueError(f"a column of {found.rows:,} rows in a row group of {self._rows:,}")
        return found


def page_too_large(file: Any, chunk: pq.ColumnChunkMetaData, name: str, rows: int, lists: ListPages | None) -> str:
    """Why a column cannot be read: a page that becomes far more than it is. Empty where it can.

    Raises:
        ValueError: it has other rows than its row group.
    """
    size = chunk.total_uncompressed_size
    if lists is None and size <= max(MOST_PAGE_BYTES, PAGE_RATIO * chunk.total_compressed_size):
        return ""
    pages = pages_of(file, chunk) if lists is None else lists.pages
    page = next((page for page in pages if page.expands), None)
    if page is None:
        return ""
    if lists is not None:
        lists.lengths(lists.most)
    elif sum(page.values for page in pages) != rows:
        raise ValueError(f"a column of other rows than its row group, which has {rows:,}")
    return f"a page of column {name!r} takes {page.uncompressed:,} bytes, stored in {page.compressed:,}"


def pages_of(file: Any, chunk: pq.ColumnChunkMetaData) -> list[Page]:
    """The pages of a column chunk, by their headers.

    Raises:
        ValueError: what stands there are no pages. OSError: reading fails.
    """
    at = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))
    end = at + chunk.total_compressed_size
    pages = []
    while at < end:
        fields, length = _header(file, at, end)
        kind, uncompressed, compressed = (int(fields.get(number, -1)) for number in (1, 2, 3))
        if compressed < 0 or uncompressed < 0:
            raise ValueError("a page without a size")
        first, second = fields.get(5, {}), fields.get(8, {})
        values = {_DATA: first.get(1, -1), _DATA_V2: second.get(1, -1)}.get(kind, 0)
        if values < 0:
            raise ValueError("a page without a number of values")
        level_bytes = int(second.get(6, 0)) if kind == _DATA_V2 else None
        pages.append(Page(values, uncompressed, compressed, at + length, level_bytes, int(first.get(4, _RLE))))
        at += length + compressed
    return pages


def row_lengths(file: Any, pages: list[Page], codec: str, most_level: int, most_values: int) -> RowLengths:
    """Values of each row, from the repetition levels alone.

    Args:
        file: as for :func:`pages_of`.
        pages: of a repeated column.
        codec: compression as the metadata name it.
        most_level: maximum repetition level.
        most_values: more of them are too long a row.

    Raises:
        ValueError: the levels are damaged, or of a kind that cannot be read without the values.
    """
    row, held, longest, too_long = -1, 0, 0, -1
    for page in pages:
        if not page.values:
            continue
        levels = np.frombuffer(_levels(file, page, codec), np.uint8)
        bits = most_level.bit_length()
        row, held, longest, too_long = _walk(levels, bits, page.values, most_values, row, held, longest, too_long)
        if row < 0:
            raise ValueError("damaged repetition levels")
    if held <= most_values:
        longest = max(longest, held)
    return RowLengths(row + 1, longest, None if too_long < 0 else too_long)


@kernel
def _walk(
    levels: NDArray[np.uint8], bits: int, number: int, most: int, row: int, held: int, longest: int, too_long: int
) -> tuple[int, int, int, int]:
    """Go over the levels of a page.

    Args:
        levels: uint8[L], encoded.
        bits: of a level.
        number: of levels.
        most: values of a row.
        row: the row in which the page begins, -1 before the first.
        held: its values so far.
        longest: as in ``RowLengths``.
        too_long: the same, -1 for none.

    Returns:
        The last four behind the page; a row of -1 where the levels are damaged.
    """
    at, size, wide = 0, len(levels), (bits + 7) // 8
    while number > 0:
        head, shift = 0, 0
        while True:
            if at >= size or shift > 35:
                return -1, 0, 0, -1
            byte = int(levels[at])
            at += 1
            head |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        begin, packed = at, head & 1
        count = min(number, (head >> 1) * (8 if packed else 1))
        at += (head >> 1) * bits if packed else wide
        if at > size or count == 0:
            return -1, 0, 0, -1
        number -= count
        # a run is one item that stands `count` times
        items, times = (count, 1) if packed else (1, count)
        for item in range(items):
            level = 0
            for bit in range(item * bits, (item + 1) * bits if packed else 8 * wide):
                level |= (levels[begin + (bit >> 3)] >> (bit & 7)) & 1
            if level:
                held += times
                if row < 0:
                    return -1, 0, 0, -1
                if held > most and too_long < 0:
                    too_long = row
            else:
                if held <= most:
                    longest = max(longest, held, 1 if times > 1 else 0)
                row += times
                held = 1
    return row, held, longest, too_long


def _levels(file: Any, page: Page, codec: str) -> bytes:
    """The encoded repetition levels at the front of a page, and nothing behind them where that can be."""
    file.seek(page.at)
    if page.level_bytes is not None:
        return _exactly(file, min(page.level_bytes, page.compressed))
    if page.level_encoding != _RLE:
        raise ValueError("repetition levels in an encoding of old")
    stored = _exactly(file, page.compressed)
    if codec == "UNCOMPRESSED":
        return _front(pa.BufferReader(stored))
    if codec in _STREAMED:
        with pa.CompressedInputStream(pa.BufferReader(stored), _STREAMED[codec]) as stream:
            return _front(stream)
    if codec not in _WHOLE or page.uncompressed > MOST_PAGE_BYTES:
        raise ValueError(f"a page of {page.uncompressed:,} bytes in {codec}, which is read whole or not at all")
    whole = pa.Codec(_WHOLE[codec]).decompress(stored, decompressed_size=page.uncompressed)
    return _front(pa.BufferReader(whole))


def _front(stream: Any) -> bytes:
    length = int.from_bytes(_exactly(stream, 4), "little")
    if length > _MOST_LEVEL_BYTES:
        raise ValueError(f"{length:,} bytes of repetition levels in one page")
    return _exactly(stream, length)


def _exactly(stream: Any, number: int) -> bytes:
    data = bytes(stream.read(number))
    if len(data) < number:
        raise ValueError("a page that ends too early")
    return data


def _header(file: Any, at: int, end: int) -> tuple[dict[int, Any], int]:
    """Fields of the page header at a byte, by number, and its length."""
    wanted = _HEADER_BYTES
    while True:
        file.seek(at)
        data = file.read(min(wanted, end - at))
        try:
            return _struct(data, 0, 0)
        except IndexError:
            if len(data) < wanted or wanted >= _MOST_HEADER_BYTES:
                raise ValueError("a page header that ends too early") from None
            wanted *= 16


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """A struct of thrift's compact protocol: its numbers and structs, by field; and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step:
            number += step
        else:
            number, at = _integer(data, at)
        value, at = _value(data, at, kind, depth)
        if isinstance(value, int | dict):
            fields[number] = value
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if depth > 8:
        raise ValueError("a page header nested too deeply")
    if kind in (1, 2):
        return None, at
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):
        return _integer(data, at)
    if kind == 7:
        return None, at + 8
    if kind == 8:
        length, at = _varint(data, at)
        if at + length > len(data):
            raise IndexError
        return None, at + length
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise ValueError("a page header with a field that the format does not have")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    raw, at = _varint(data, at)
    return (raw >> 1) ^ -(raw & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without an end")
