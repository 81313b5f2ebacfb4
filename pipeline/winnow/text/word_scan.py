"""From bytes to words: one scan for all kernels that read words. What a word is, and its hash, :mod:`winnow.text.words`
says.

:func:`next_words` fills arrays with many words at once, and is the one to take: in ASCII it finds them in masks of 64
bytes, in half the time of :func:`next_word`.
"""

from typing import Any

import numpy as np

from winnow.numeric.bits import bytes_between, count_ones, folded_between, load_eight, pointer_to, trailing_zeros
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

HAS_LETTER, IS_FOLDED, IS_SPACELESS = 1, 2, 4
"""Bits of a word's kind: it has a letter; case folding changes it; it is a character of a script without spaces."""


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


@inline_kernel
def _kind(letter: bool, folded: bool, spaceless: bool) -> Any:
    return np.uint8(letter * HAS_LETTER | folded * IS_FOLDED | spaceless * IS_SPACELESS)


@kernel
def _word_at(data: Any, i: int, end: int, data_end: int, tables: Any) -> tuple[int, Any, int, Any]:
    """The word that begins at byte i: its end, hash, code points and kind; where none does, where to go on, 0, 0, 0."""
    pages, classes, fold_pages, folds = tables
    kind = BYTES[data[i]]
    if kind == BETWEEN:
        return i + 1, np.uint64(0), 0, np.uint8(0)
    if kind == PLAIN:
        after, value, letters, differs = plain_run(data, i, end, data_end)
        if after >= end or data[after] < 128:
            return after, finished(value), after - i, _kind(letters != 0, differs != 0, False)
    else:
        code_point, size = code_point_at(data, i)
        known = class_of(pages, classes, code_point)
        if not known & WORD:
            return i + size, np.uint64(0), 0, np.uint8(0)
        if known & SPACELESS:  # of these, no case is folded
            chunk = _eight_bytes(data, i, i + size, data_end) & ((np.uint64(1) << np.uint64(8 * size)) - np.uint64(1))
            return i + size, finished(_add_chunk(START, chunk)), 1, _kind(known & LETTER != 0, False, True)
    after, value, characters, letter, folded, spaceless = general_word(data, i, end, pages, classes, fold_pages, folds)
    return after, finished(value), characters, _kind(letter, folded, spaceless)


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
    while i < end:
        after, value, characters, _ = _word_at(data, i, end, data_end, tables)
        if characters:
            return i, after, value
        i = after
    return end, end, np.uint64(0)


@kernel
def next_words(
    data: Any,
    i: int,
    end: int,
    data_end: int,
    tables: Any,
    hashes: Any,
    begins: Any,
    ends: Any,
    have: int,
    room: int,
    characters: Any = None,
    kinds: Any = None,
) -> tuple[int, int]:
    """Words at or behind byte i, up to a number.

    Args:
        data: pointer to the bytes.
        i: where to begin; not inside a word.
        end: of the text.
        data_end: how many bytes there are.
        tables: of :func:`word_tables`.
        hashes: uint64[K], of the words; array or pointer, as the next two.
        begins: int64[K], their first bytes.
        ends: int64[K], their ends.
        have: how many of the K places are taken.
        room: how many may be.
        characters: pointer to int64[K], their code points; or None.
        kinds: pointer to uint8[K], their bits of ``HAS_LETTER`` and so on; None if ``characters`` is.

    Returns:
        Where to go on, and how many places are taken now: fewer than ``room`` where the text ends.
    """
    one, all_ones = np.uint64(1), ~np.uint64(0)
    hashes, begins, ends = pointer_to(hashes), pointer_to(begins), pointer_to(ends)
    while have < room and i < end:
        if data[i] < 128 and i + _BLOCK + _BEHIND <= data_end:
            size = min(_BLOCK, end - i)
            inside = all_ones >> np.uint64(_BLOCK - size)
            letters = folded_between(data, i, 97, 122)
            plain = (letters | bytes_between(data, i, 48, 57)) & inside
            other = bytes_between(data, i, 128, 255) & inside
            behind = plain << one  # bytes with a letter or digit before them
            first_bits, end_bits = plain & ~behind, behind & ~plain
            remains = False  # the last word may go on behind what the masks tell
            go_on = size
            if other:
                at = trailing_zeros(other)
                first_bits &= (one << np.uint64(at)) - one
                code_point, wide = code_point_at(data, i + at)
                known = class_of(tables[0], tables[1], code_point)
                go_on = at if known & (WORD | IGNORED) else at + wide
                remains = (
                    known & (WORD | IGNORED) != 0 and not known & SPACELESS and (behind >> np.uint64(at)) & one != 0
                )
            elif i + size < end:
                remains = plain >> np.uint64(_BLOCK - 1) != 0
            for _ in range(min(count_ones(first_bits) - remains, room - have)):
                first, last = trailing_zeros(first_bits), trailing_zeros(end_bits)
                first_bits &= first_bits - one
                end_bits &= end_bits - one
                value, at, left = START, i + first, last - first
                while left > 8:
                    value = _add_chunk(value, load_eight(data, at) | _CASE)
                    at, left = at + 8, left - 8
                chunk = (load_eight(data, at) | _CASE) & (all_ones >> np.uint64(64 - 8 * left))
                hashes[have], begins[have], ends[have] = finished(_add_chunk(value, chunk)), i + first, i + last
                if characters is not None:
                    characters[have] = last - first
                    shape = (all_ones >> np.uint64(_BLOCK - (last - first))) << np.uint64(first)
                    upper = bytes_between(data, i, 65, 90)
                    kinds[have] = _kind(letters & shape != 0, upper & shape != 0, False)
                have += 1
            if first_bits:
                go_on = trailing_zeros(first_bits)
            i += go_on
            if not remains or have == room or not (other or go_on == 0):
                continue
        # characters of scripts without spaces, and marks between them
        while have < room and i + _BEHIND <= data_end and i < end and 0xE0 <= data[i] < 0xF0:
            code_point, wide = code_point_at(data, i)
            known = class_of(tables[0], tables[1], code_point)
            if known & WORD:
                if not known & SPACELESS:
                    break
                chunk = load_eight(data, i) & np.uint64(0xFFFFFF)
                hashes[have], begins[have], ends[have] = finished(_add_chunk(START, chunk)), i, i + 3
                if characters is not None:
                    characters[have], kinds[have] = 1, _kind(known & LETTER != 0, False, True)
                have += 1
            i += 3
        if have == room or i >= end:
            break
        after, value, length, kind = _word_at(data, i, end, data_end, tables)
        if length:
            hashes[have], begins[have], ends[have] = value, i, after
            if characters is not None:
                characters[have], kinds[have] = length, kind
            have += 1
        i = after
    return i, have
