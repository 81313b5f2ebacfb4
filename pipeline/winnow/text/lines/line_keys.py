"""Lines and paragraphs of a text, and the 64-bit key that stands for each: the ground of boilerplate removal.

A text's lines are ``text.split("\\n")``. Two lines are the same when they are equal after ``str.strip``; a paragraph is
a run of lines that are not blank, and two are the same when they are equal after ``str.strip`` of the whole. Of D
different lines, D x B / 2^64 have by chance the key of one of B boilerplate lines: 0.1 line of the 2 x 10^10 in 1 TB at
B = 10^8. Keys are kept between stages: where they change, the stages that hold them need a new version.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.bits import bytes_between, trailing_zeros
from winnow.numeric.jit import kernel
from winnow.text.signals.lines import count_characters, hash_line, skip_space, strip_end

LINE_FEED = 10
_FIRST_MIX = np.uint64(0xFF51AFD7ED558CCD)
_SECOND_MIX = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


@kernel
def _next_feed(data: Any, i: int, end: int, data_end: int) -> int:
    """The first line feed from byte i on, or ``end``."""
    while i + 64 <= data_end and i < end:
        found = bytes_between(data, i, LINE_FEED, LINE_FEED)
        if found != 0:
            return min(end, i + trailing_zeros(found))  # type: ignore[no-any-return]
        i += 64
    while i < end and data[i] != LINE_FEED:
        i += 1
    return min(i, end)


@kernel
def next_piece(
    data: Any, i: int, end: int, data_end: int, paragraphs: bool, pages: Any, classes: Any
) -> tuple[int, int, int, int]:
    """The line (or paragraph, or blank line) that starts at byte i of a text that ends before ``end``.

    Returns first and last byte + 1 of what is compared (equal: the line is blank), the line feed or text end behind it,
    and its number of lines.
    """
    stop = _next_feed(data, i, end, data_end)
    first = skip_space(data, i, stop, data_end, pages, classes)
    if first == stop:
        return first, first, stop, 1
    last = strip_end(data, first, stop, pages, classes)
    lines = 1
    while paragraphs and stop < end:
        next_stop = _next_feed(data, stop + 1, end, data_end)
        next_first = skip_space(data, stop + 1, next_stop, data_end, pages, classes)
        if next_first == next_stop:
            break
        last = strip_end(data, next_first, next_stop, pages, classes)
        stop = next_stop
        lines += 1
    return first, last, stop, lines


@kernel
def is_long(data: Any, first: int, last: int, min_characters: int) -> bool:
    """Whether bytes first to last hold at least ``min_characters`` code points."""
    size = last - first
    if size >= 4 * min_characters or size < min_characters:
        return size >= min_characters
    return count_characters(data, first, last) >= min_characters  # type: ignore[no-any-return]


@kernel
def line_key(data: Any, first: int, last: int, data_end: int) -> Any:
    """Key (uint64, not 0) of bytes first to last: all bits spread evenly, so that key ranges are even partitions."""
    value = hash_line(data, first, last, data_end)
    value = (value ^ (value >> _SHIFT)) * _FIRST_MIX
    value = (value ^ (value >> _SHIFT)) * _SECOND_MIX
    value ^= value >> _SHIFT
    return value if value != 0 else np.uint64(1)


def readable_buffers(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Bytes and offsets of large_string[N], the bytes read-only."""
    data, offsets = string_buffers(texts)
    data = data.view()
    data.flags.writeable = False  # one type of array, so one compilation
    return data, offsets
