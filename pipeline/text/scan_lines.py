"""Lines as bytes: where they end, their hash, their length in characters, and the white space around them."""

from typing import Any

import numpy as np

from pipeline.compiled import kernel
from pipeline.text.characters import SPACE, class_of
from pipeline.text.scan_bits import load_eight, trailing_zeros
from pipeline.text.scan_c4 import is_ascii_space
from pipeline.text.words import code_point_at

_FEEDS = np.uint64(0x0A0A0A0A0A0A0A0A)
_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_START = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = np.uint64(0xD6E8FEB86659FD93)


@kernel
def find_line(data: Any, i: int, end: int) -> tuple[int, Any, bool]:
    """The end of the line that starts at byte i, the hash of its bytes, and whether one of them is not ASCII."""
    start = i
    value = _START
    high = np.uint64(0)
    while i < end:
        if i + 8 <= len(data):
            chunk: Any = load_eight(data, i)
        else:
            chunk = np.uint64(0)
            for k in range(end - i):
                chunk |= np.uint64(data[i + k]) << np.uint64(8 * k)
        other = chunk ^ _FEEDS
        size = min(trailing_zeros((other - _ONES) & ~other & _HIGH) >> 3, end - i)
        if size < 8:
            chunk &= (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1)
        if size:
            high |= chunk
            value = (value ^ chunk) * _CHUNK
            value ^= value >> np.uint64(32)
            i += size
        if size < 8:
            break
    return i, value ^ np.uint64(i - start), high & _HIGH != 0


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
def skip_space(data: Any, i: int, end: int, pages: Any, classes: Any) -> int:
    """The first byte from i on that is not white space, or ``end``."""
    while i < end:
        byte = data[i]
        if byte < 128:
            if not is_ascii_space(byte):
                break
            i += 1
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
