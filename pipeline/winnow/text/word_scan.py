"""From bytes to words: one scan for all kernels that read words. What a word is, and its hash, :mod:`winnow.text.words`
says.

:func:`next_words` fills arrays with many words at once, and is the one to take: in ASCII it finds them in masks of 64
bytes, in half the time of :func:`next_word`.
"""

from typing import Any

import numpy as np

from winnow.numeric.bits import bytes_between, folded_between, load_eight, pointer_to, trailing_zeros
from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.characters import IGNORED, LETTER, SPACELESS, WORD, class_of, code_point_at

START = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = np.uint64(0xD6E8FEB86659FD93)
_FINISH = np.uint64(0xFF51AFD7ED558CCD)
_BLOCK = 64
_BEHIND = 8
"""Bytes behind a block that are read with its last word."""

_HIGH = np.uint64(0x8080808080808080)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)
_FROM_A = np.uint64(0x1F1F1F1F1F1F1F1F)  # 0x80 - "a"
_PAST_Z = np.uint64(0x0505050505050505)  # 0x80 - "z" - 1
_FROM_0 = np.uint64(0x5050505050505050)  # 0x80 - "0"
_PAST_9 = np.uint64(0x4646464646464646)  # 0x80 - "9" - 1

BETWEEN, PLAIN = 0, 1
"""Of ``BYTES``: between words; a letter or digit. Bytes that are not ASCII are 2."""
BYTES = np.zeros(256, np.uint8)
"""uint8[256]: what a byte is."""
BYTES[[*range(48, 58), *range(65, 91), *range(97, 123)]] = PLAIN
BYTES[128:] = 2


@inline_kernel
def _add_chunk(value: Any, chunk: Any) -> Any:
    value = (value ^ chunk) * _CHUNK
    return value ^ (value >> np.uint64(32))


@kernel
def _eight_bytes(data: Any, i: int, end: int, data_end: int) -> Any:
    """Bytes i to end, at most eight, as a little-endian number; reads nothing past ``data_end``."""
    if i + 8 <= data_end:
        return load_eight(data, i)
    chunk = np.uint64(0)
    for k in range(min(8, end - i)):
        chunk |= np.uint64(data[i + k]) << np.uint64(8 * k)
    return chunk


@kernel
def general_word(
    data: Any, i: int, end: int, pages: Any, classes: Any, fold_pages: Any, folds: Any
) -> tuple[int, Any, int, bool, bool, bool]:
    """The word at byte i, whatever its script: its end, hash, code points, has a letter, was folded, is spaceless."""
    value = START
    chunk = np.uint64(0)
    filled = np.uint64(0)
    characters = 0
    letter = False
    changed = False
    spaceless = False
    word_end = i
    while i < end:
        code_point, size = code_point_at(data, i)
        kind = class_of(pages, classes, code_point)
        if kind & IGNORED and characters:
            i += size
            continue
        if not kind & WORD or (kind & SPACELESS and characters):
            break
        fold = folds[np.int64(fold_pages[code_point >> 8]) << 8 | code_point & 255]
        changed |= fold != 0
        count = size if fold == 0 else np.int64(fold >> np.uint64(56))
        for k in range(count):
            byte = np.uint64(data[i + k]) if fold == 0 else (fold >> np.uint64(8 * k)) & np.uint64(255)
            chunk |= byte << filled
            filled += np.uint64(8)
            if filled == 64:
                value = _add_chunk(value, chunk)
                chunk = np.uint64(0)
                filled = np.uint64(0)
        letter |= kind & LETTER != 0
        characters += 1
        i += size
        word_end = i
        if kind & SPACELESS:
            spaceless = True
            break
    if filled:
        value = _add_chunk(value, chunk)
    return word_end, value, characters, letter, changed, spaceless


@inline_kernel
def plain_run(data: Any, i: int, end: int, data_end: int) -> tuple[int, Any, Any, Any]:
    """The ASCII letters and digits at byte i: their end, hash, bits of letters, and bits that folding changes."""
    value = START
    letters = np.uint64(0)
    differs = np.uint64(0)
    while True:
        chunk = _eight_bytes(data, i, end, data_end)
        low = chunk & _LOW
        folded = (chunk | _CASE) & _LOW
        letter = (folded + _FROM_A) & ~(folded + _PAST_Z)
        digit = (low + _FROM_0) & ~(low + _PAST_9)
        outside = ~((letter | digit) & ~chunk) & _HIGH
        size = min(trailing_zeros(outside) >> 3, end - i)
        keep = (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1) if size < 8 else ~np.uint64(0)
        folded = (chunk | _CASE) & keep
        letters |= letter & keep & _HIGH
        differs |= folded ^ (chunk & keep)
        if size:
            value = _add_chunk(value, folded)
        i += size
        if size < 8 or i >= end:
            break
    return i, value, letters, differs


@inline_kernel
def finished(value: Any) -> Any:
    """The hash of a word whose chunks are all taken."""
    value *= _FINISH
    return value ^ (value >> np.uint64(29))


@inline_kernel
def word_tables(tables: Any) -> Any:
    """The pointers that the scan goes by, into ``character_tables()``, which the caller's caller must hold."""
    return (
        pointer_to(tables.class_pages),
        pointer_to(tables.classes),
        pointer_to(tables.fold_pages),
        pointer_to(tables.folds),
    )


@kernel
def next_word(data: Any, i: int, end: int, data_end: int, tables: Any) -> tuple[int, int, Any]:
    """The first word at or behind byte i: its first byte, its end and its hash; (end, end, 0) where there is none.

    Args:
        data: pointer to the bytes.
        i: where to begin; not inside a word.
        end: of the text.
        data_end: how many bytes there are.
        tables: of :func:`word_tables`.
    """
    pages, classes, fold_pages, folds = tables
    while i < end:
        kind = BYTES[data[i]]
        if kind == BETWEEN:
            i += 1
            continue
        start = i
        if kind == PLAIN:
            i, value, _, _ = plain_run(data, i, end, data_end)
            if i >= end or data[i] < 128:
                return start, i, finished(value)
        else:
            code_point, size = code_point_at(data, i)
            known = class_of(pages, classes, code_point)
            if not known & WORD:
                i += size
                continue
            if known & SPACELESS:  # of these, no case is folded
                chunk = np.uint64(0)
                for k in range(size):
                    chunk |= np.uint64(data[i + k]) << np.uint64(8 * k)
                return start, i + size, finished(_add_chunk(START, chunk))
        i, value, _, _, _, _ = general_word(data, start, end, pages, classes, fold_pages, folds)
        return start, i, finished(value)
    return end, end, np.uint64(0)


@kernel
def next_words(
    data: Any, i: int, end: int, data_end: int, tables: Any, hashes: Any, begins: Any, ends: Any, have: int, room: int
) -> tuple[int, int]:
    """Words at or behind byte i, up to a number.

    Args:
        data: pointer to the bytes.
        i: where to begin; not inside a word.
        end: of the text.
        data_end: how many bytes there are.
        tables: of :func:`word_tables`.
        hashes: uint64[K], of the words.
        begins: int64[K], their first bytes.
        ends: int64[K], their ends.
        have: how many of the K places are taken.
        room: how many may be.

    Returns:
        Where to go on, and how many places are taken now: fewer than ``room`` where the text ends.
    """
    while have < room and i < end:
        size = min(_BLOCK, end - i)
        stop, odd = 0, True
        if data[i] < 128 and i + _BLOCK + _BEHIND <= data_end:
            inside = ~np.uint64(0) >> np.uint64(_BLOCK - size)
            plain = (folded_between(data, i, 97, 122) | bytes_between(data, i, 48, 57)) & inside
            other = bytes_between(data, i, 128, 255) & inside
            rest = plain | other
            stop, odd = size, False
            while rest:
                first = trailing_zeros(rest)
                last = first + trailing_zeros(~(plain >> np.uint64(first)))
                if last >= size and i + size < end:  # it may go on behind the block
                    stop, odd = first, first == 0
                    break
                if last < _BLOCK and (other >> np.uint64(last)) & np.uint64(1):
                    stop, odd = first, True
                    break
                if have == room:
                    return i + first, have
                value, at, left = START, i + first, last - first
                while left > 8:
                    value = _add_chunk(value, load_eight(data, at) | _CASE)
                    at, left = at + 8, left - 8
                chunk = (load_eight(data, at) | _CASE) & (~np.uint64(0) >> np.uint64(64 - 8 * left))
                hashes[have], begins[have], ends[have] = finished(_add_chunk(value, chunk)), i + first, i + last
                have += 1
                if last >= _BLOCK:
                    break
                rest &= ~np.uint64(0) << np.uint64(last)
        i += stop
        if odd and have < room:
            start, i, value = next_word(data, i, end, data_end, tables)
            if start < i:
                hashes[have], begins[have], ends[have] = value, start, i
                have += 1
    return i, have
