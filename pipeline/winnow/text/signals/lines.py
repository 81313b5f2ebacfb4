"""Lines: their hash, their length in characters, the white space around them, and what is counted where one ends.

Arrays come as pointers (``scan_bits.pointer_to``): ``data`` to the bytes of all texts, ``pages`` and ``classes`` to the
class tables, ``found`` and ``counts`` to the numbers that ``scan_counts.py`` names.
"""

from typing import Any

import numpy as np

from winnow.numeric.bits import load_eight, trailing_zeros
from winnow.numeric.jit import kernel
from winnow.text.characters import SPACE, TERMINAL, class_of, code_point_at
from winnow.text.signals.blocks import BLOCK, ascii_spaces
from winnow.text.signals.c4 import begin_line, count_printed_line, is_ascii_space, last_class
from winnow.text.signals.counts import (
    BULLET_LINES,
    DATA_END,
    DUPLICATE_LINE_CHARACTERS,
    DUPLICATE_LINES,
    DUPLICATE_PARAGRAPH_CHARACTERS,
    DUPLICATE_PARAGRAPHS,
    ELLIPSIS_LINES,
    FILLED_LINES,
    FIRST_C4_COUNT,
    LINE_SLOTS,
    LINE_START,
    LINES_KEPT,
    PARAGRAPH_CHARACTERS,
    PARAGRAPH_HASH,
    PARAGRAPH_LINES,
    PARAGRAPH_SLOTS,
    PARAGRAPHS,
    PARAGRAPHS_KEPT,
    PRINTED_LINES,
    PRINTED_START,
    REPEATED_LINE_CHARACTERS,
    SHORT_LINE_CHARACTERS,
    SHORT_LINES,
    STRIPPED_END,
    STRIPPED_START,
    TERMINAL_LINES,
    TEXT_LINES,
)
from winnow.text.signals.tables import add_key

_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_BEGIN = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = np.uint64(0xD6E8FEB86659FD93)
_SECOND_CHUNK = np.uint64(0xFF51AFD7ED558CCD)
_NEXT_LINE = np.uint64(0xD6E8FEB86659FD93)


@kernel
def hash_line(data: Any, i: int, end: int, data_end: int) -> Any:
    """A hash (uint64) of bytes i to end, by two chains of eight-byte steps that run side by side; never stored.

    ``data`` is a pointer to ``data_end`` bytes.
    """
    size = np.uint64(end - i)
    first, second = _BEGIN, size
    while i + 16 <= end:
        first = (first ^ load_eight(data, i)) * _CHUNK
        first ^= first >> np.uint64(32)
        second = (second ^ load_eight(data, i + 8)) * _SECOND_CHUNK
        second ^= second >> np.uint64(32)
        i += 16
    if i + 8 <= end:
        first = (first ^ load_eight(data, i)) * _CHUNK
        first ^= first >> np.uint64(32)
        i += 8
    if i < end:
        last: Any = np.uint64(0)
        if i + 8 <= data_end:
            last = load_eight(data, i) & ((np.uint64(1) << np.uint64(8 * (end - i))) - np.uint64(1))
        else:
            for k in range(end - i):
                last |= np.uint64(data[i + k]) << np.uint64(8 * k)
        second = (second ^ last) * _SECOND_CHUNK
        second ^= second >> np.uint64(32)
    return (first * _SECOND_CHUNK) ^ second


@kernel
def count_characters(data: Any, i: int, end: int) -> Any:
    """Bytes that do not continue a code point, eight at a time."""
    count: Any = end - i
    while i + 8 <= end:
        chunk: Any = load_eight(data, i)
        inside = (chunk & ~(chunk << np.uint64(1)) & _HIGH) >> np.uint64(7)
        count -= np.int64((inside * _ONES) >> np.uint64(56))
        i += 8
    while i < end:
        count -= data[i] & 0xC0 == 0x80
        i += 1
    return count


@kernel
def skip_space(data: Any, i: int, end: int, data_end: int, pages: Any, classes: Any) -> int:
    """The first byte from i on that is not white space, or ``end``; there are ``data_end`` bytes."""
    while i < end:
        byte = data[i]
        if byte < 128:
            if not is_ascii_space(byte):
                break
            i += 1
            if i + BLOCK <= data_end:
                i = min(i + trailing_zeros(~ascii_spaces(data, i)), end)
            continue
        code_point, size = code_point_at(data, i)
        if not class_of(pages, classes, code_point) & SPACE:
            break
        i += size
    return i


@kernel
def strip_end(data: Any, start: int, end: int, pages: Any, classes: Any) -> int:
    """The byte after the last one that is not white space, or ``start``."""
    while end > start:
        i = end - 1
        if data[i] < 128:
            if not is_ascii_space(data[i]):
                break
            end = i
            continue
        while i > start and data[i] & 0xC0 == 0x80:
            i -= 1
        if not class_of(pages, classes, code_point_at(data, i)[0]) & SPACE:
            break
        end = i
    return end


@kernel
def close_paragraph(keys: Any, found: Any, counts: Any) -> None:
    """An empty line or the end of the text ends a paragraph, if one is open."""
    if found[PARAGRAPH_LINES] == 0:
        return
    counts[PARAGRAPHS] += 1
    if add_key(keys, found[PARAGRAPH_SLOTS], np.uint64(found[PARAGRAPH_HASH])):
        found[PARAGRAPHS_KEPT] += 1
    else:
        counts[DUPLICATE_PARAGRAPHS] += 1
        counts[DUPLICATE_PARAGRAPH_CHARACTERS] += found[PARAGRAPH_CHARACTERS] + found[PARAGRAPH_LINES] - 1
    found[PARAGRAPH_LINES] = 0
    found[PARAGRAPH_CHARACTERS] = 0
    found[PARAGRAPH_HASH] = 0


@kernel
def close_line(
    data: Any, end: int, text_end: int, length: int, pages: Any, classes: Any, keys: Any, found: Any, counts: Any
) -> None:
    """A line that is not empty ends before byte ``end``, with a line feed or with the text."""
    start = found[LINE_START]
    value = hash_line(data, start, end, found[DATA_END])
    new = add_key(keys, found[LINE_SLOTS], value)
    counts[TEXT_LINES] += 1
    found[LINES_KEPT] += new
    if not new:
        counts[DUPLICATE_LINES] += 1
        counts[DUPLICATE_LINE_CHARACTERS] += length
    if skip_space(data, start, end, found[DATA_END], pages, classes) < end:
        counts[FILLED_LINES] += 1
        counts[TERMINAL_LINES] += last_class(data, start, end, pages, classes) & TERMINAL != 0
        counts[SHORT_LINES] += length <= SHORT_LINE_CHARACTERS
        if not new:
            counts[REPEATED_LINE_CHARACTERS] += length
    first, last = max(start, found[STRIPPED_START]), min(end, found[STRIPPED_END])
    if first < last:  # a line of the stripped text
        if last - first < end - start:
            value = hash_line(data, first, last, found[DATA_END])
            length = count_characters(data, first, last)
        found[PARAGRAPH_HASH] = np.int64(np.uint64(found[PARAGRAPH_HASH]) * _NEXT_LINE + value)
        found[PARAGRAPH_CHARACTERS] += length
        found[PARAGRAPH_LINES] += 1
    fed = end < text_end
    if fed and data[end - 1] == 13:
        end -= 1  # CR LF is one break
    if fed or found[PRINTED_START] < end:
        close_printed_line(data, found[PRINTED_START], end, pages, classes, found, counts)


@kernel
def close_printed_line(data: Any, start: int, end: int, pages: Any, classes: Any, found: Any, counts: Any) -> None:
    """The printed line that starts at byte ``start`` ends before byte ``end``."""
    counts[PRINTED_LINES] += 1
    start = skip_space(data, start, end, found[DATA_END], pages, classes)
    end = strip_end(data, start, end, pages, classes)
    if start < end:
        first = code_point_at(data, start)[0]
        counts[BULLET_LINES] += first in (0x2D, 0x2022)
        if data[end - 1] == 46:
            counts[ELLIPSIS_LINES] += end - start >= 3 and data[end - 2] == 46 and data[end - 3] == 46
        elif end - start >= 3:
            counts[ELLIPSIS_LINES] += data[end - 3] == 0xE2 and data[end - 2] == 0x80 and data[end - 1] == 0xA6
        count_printed_line(data, start, end, found[DATA_END], pages, classes, found, counts, FIRST_C4_COUNT)
    begin_line(found)
