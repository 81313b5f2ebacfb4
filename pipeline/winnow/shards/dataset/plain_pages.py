"""Where the values of a Parquet column lie in the file, when they lie there as plain numbers.

Uncompressed, PLAIN-encoded pages without nulls hold nothing but little-endian numbers after their levels, so rows of a
fixed-size list can be taken from the mapped file as bytes, without decoding (Arrow's reader decodes the levels of every
value: 0.4 to 0.9 GB/s). Anything else is left to Arrow's reader.

Source: Apache Parquet format, "Data Pages" and ``parquet.thrift`` (PageHeader, DataPageHeader, DataPageHeaderV2);
Thrift compact protocol specification.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_WIDTHS = {"INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8}
_PLAIN = 0
_DATA_PAGE, _DATA_PAGE_V2 = 0, 3


class Pages(NamedTuple):
    """Pages of one column of one file, in order. P pages."""

    first_values: NDArray[np.int64]
    """int64[P + 1], number of the first value of each page, and of all values."""
    offsets: NDArray[np.int64]
    """int64[P], where a page's first value stands in the file."""
    width: int
    """Bytes of a value."""


class _NotPlainError(Exception):
    """The page has a form that is not read here."""


def plain_pages(data: memoryview, metadata: Any, column: int) -> Pages | None:
    """Pages of a list column whose lists are all there and hold no nulls.

    Args:
        data: the whole file.
        metadata: its ``pyarrow.parquet.FileMetaData``.
        column: number of the leaf column.

    Returns:
        None if any page is compressed, encoded or holds a null or an empty list.
    """
    counts: list[int] = [0]
    offsets: list[int] = []
    width = 0
    try:
        for group in range(metadata.num_row_groups):
            chunk = metadata.row_group(group).column(column)
            width = _WIDTHS.get(chunk.physical_type, 0)
            if not width or chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
                return None
            at, end, values = chunk.data_page_offset, 0, 0
            end = at + chunk.total_compressed_size
            while at < end and values < chunk.num_values:
                before = at
                count, first, at = _page(data, at, width)
                if count < 1 or not before < first < at <= len(data):
                    return None
                counts.append(count)
                offsets.append(first)
                values += count
            if values != chunk.num_values or at > end:
                return None
    except (_NotPlainError, IndexError, KeyError, TypeError, RecursionError):  # no page header: Arrow's reader says so
        return None
    return Pages(np.cumsum(counts), np.array(offsets, np.int64), width)


def _page(data: memoryview, at: int, width: int) -> tuple[int, int, int]:
    """Number of values, offset of the first one, and offset of the next page's header."""
    header, body = _struct(data, at)
    end = body + header[3]
    if header[1] == _DATA_PAGE:
        count, encoding = header[5][1], header[5][2]
        first = body
        for _ in range(2):  # repetition and definition levels, each after its size
            first += 4 + int.from_bytes(data[first : first + 4], "little")
    elif header[1] == _DATA_PAGE_V2:
        count, encoding = header[8][1], header[8][4]
        first = body + header[8][5] + header[8][6]
    else:
        raise _NotPlainError
    if encoding != _PLAIN or first + count * width != end:  # fewer values than levels: nulls or empty lists
        raise _NotPlainError
    return count, first, end


def _struct(data: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """A Thrift struct by field numbers, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(data, at)
        fields[number], at = _value(head & 15, data, at)
    return fields, at + 1


def _value(kind: int, data: memoryview, at: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true, false
        return kind == 1, at
    if kind in (4, 5, 6):  # i16, i32, i64
        return _zigzag(data, at)
    if kind == 8:  # binary
        size, at = _varint(data, at)
        return bytes(data[at : at + size]), at + size
    if kind == 12:
        return _struct(data, at)
    raise _NotPlainError


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise _NotPlainError


def _zigzag(data: memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at
