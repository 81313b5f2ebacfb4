"""Runs of words of texts, and the anchors that they are looked for by: one pass over the bytes, nothing kept.

A *window* is a run of L words of one text, a *gram* one of k words; words and their hashes are those of
:mod:`winnow.text.words`, so case, punctuation and blanks make no difference. The *anchor* of a window is the smallest
hash of its L - k + 1 grams (winnowing: Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms for Document
Fingerprinting", SIGMOD 2003): equal windows have equal anchors, and neighbours mostly share one, so that of a text in
which nothing repeats only about one anchor for every (L - k + 2) / 2 words is ever looked at.

The hash of a run of words is a polynomial of their hashes modulo 2^64, mixed: two different windows share it with a
chance of 2^-64, and are compared only where they share the part of the anchor that names a partition.

Legend: N texts, A anchors, R runs of windows, W windows.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.characters import character_tables
from winnow.text.signals.bits import pointer_to
from winnow.text.words import next_word, word_bytes

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_MIX_AGAIN = np.uint64(0x94D049BB133111EB)
DOCUMENT_BITS = 24
"""Of an anchor as it is exchanged: below, which texts hold it; above, 40 bits of its hash."""
_NONE = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
ELSEWHERE = 1
"""A known anchor that stands in other texts than these, too."""


class KnownAnchors(NamedTuple):
    """Anchors that are repeated, for the kernel that looks every window's up."""

    keys: NDArray[np.uint64]
    """[power of two] 40 bits in slot ``key & (slots - 1)`` or the next free one; all ones: free."""
    elsewhere: NDArray[np.uint8]
    """[slots] ``ELSEWHERE``, or 0 where it is repeated among these texts alone."""


class Windows(NamedTuple):
    """Windows of texts with known anchors, in runs that begin at word after word and share an anchor."""

    text: NDArray[Any]
    """int64[R]."""
    word: NDArray[Any]
    """uint32[R] first word of the run's first window."""
    windows: NDArray[Any]
    """uint32[R] windows."""
    key: NDArray[Any]
    """uint64[R] 40 bits of the anchor's hash."""
    elsewhere: NDArray[Any]
    """bool[R] whether the anchor stands in other texts than these."""
    hashes: NDArray[Any]
    """uint64[W], run by run."""


def anchors_of(
    texts: pa.Array, group: NDArray[np.int64], length: int, gram: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The anchors of all windows of texts.

    Args:
        texts: large_string[N] without nulls.
        group: int64[N], what each text is to be named by, below 2^24; negative: it is passed over.
        length: L, words of a window.
        gram: k, words of an anchor.

    Returns:
        uint64[A], 40 bits of the anchor's hash above the text's group, in the order of the windows, neighbours that
        are one anchor once, twice where that gram stands in a window twice; and int64[N], the words of each text.
    """
    data, bounds = string_buffers(texts)
    found = np.empty(int(bounds[-1] - bounds[0]) // 2 + len(texts) + 1, np.uint64)  # never written, costs no memory
    words = np.zeros(len(texts), np.int64)
    number = _anchors(data, bounds, group, character_tables(), word_bytes(), length, gram, found, words)
    return found[:number].copy(), words


def known_anchors(elsewhere: NDArray[np.uint64], here: NDArray[np.uint64]) -> KnownAnchors:
    """A table of the keys uint64 (40 bits) that stand in other texts, too, and of those that stand only here."""
    both = np.unique(np.concatenate([elsewhere, here]))
    slots = 1 << max(4, int(2 * len(both)).bit_length())
    table = KnownAnchors(np.full(slots, _NONE), np.zeros(slots, np.uint8))
    _fill(both, np.isin(both, elsewhere), table.keys, table.elsewhere)
    return table


def windows_of(texts: pa.Array, wanted: NDArray[np.bool_], known: KnownAnchors, length: int, gram: int) -> Windows:
    """All windows of texts whose anchor is known.

    Args:
        texts: large_string[N] without nulls.
        wanted: bool[N], which are looked at.
        known: anchors.
        length: L, words of a window.
        gram: k, words of an anchor.
    """
    data, bounds = string_buffers(texts)
    room = int(bounds[-1] - bounds[0]) // 2 + len(texts) + 1
    text, word, count = np.empty(room, np.int64), np.empty(room, np.uint32), np.empty(room, np.uint32)
    key, elsewhere, hashes = np.empty(room, np.uint64), np.empty(room, np.bool_), np.empty(room, np.uint64)
    runs, windows = _windows(
        data, bounds, wanted, character_tables(), word_bytes(), known.keys, known.elsewhere, length, gram,
        text, word, count, key, elsewhere, hashes,
    )  # fmt: skip
    columns = [column[:runs].copy() for column in (text, word, count, key, elsewhere)]
    return Windows(*[*columns, hashes[:windows].copy()])


@inline_kernel
def _mixed(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(30))) * _MIX
    value = (value ^ (value >> np.uint64(27))) * _MIX_AGAIN
    return value ^ (value >> np.uint64(31))


@inline_kernel
def _key(value: Any) -> Any:
    """40 bits of an anchor, mixed once more: the smallest of many hashes is small, and would crowd one partition."""
    return _mixed(value + _STEP) >> np.uint64(DOCUMENT_BITS)


@kernel
def _power(exponent: int) -> Any:
    value = np.uint64(1)
    for _ in range(exponent):
        value *= _STEP
    return value


@kernel
def _slots(number: int) -> int:
    size = 1
    while size < number:
        size *= 2
    return size


@kernel
def _anchors(
    data: Any, bounds: Any, group: Any, tables: Any, byte_kinds: Any, length: int, gram: int, found: Any, words: Any
) -> int:
    data_end = len(data)
    data = pointer_to(data)
    pointers = (
        pointer_to(tables.class_pages),
        pointer_to(tables.classes),
        pointer_to(tables.fold_pages),
        pointer_to(tables.folds),
        pointer_to(byte_kinds),
    )
    ring_size = _slots(length + 1)
    ring_mask = ring_size - 1
    sums, grams = np.zeros(ring_size, np.uint64), np.zeros(ring_size, np.uint64)
    oldest = _power(gram)
    number = 0
    for text in range(len(bounds) - 1):
        i, last = bounds[text], bounds[text + 1]
        if group[text] < 0:
            continue
        named = np.uint64(group[text])
        word = 0
        whole, least = np.uint64(0), np.uint64(0)
        sums[0] = whole
        place, told, again = -1, -1, False
        while i < last:
            start, i, value = next_word(data, i, last, data_end, pointers)
            if start == i:
                break
            whole = whole * _STEP + value
            word += 1
            sums[word & ring_mask] = whole
            at = word - gram
            if at < 0:
                continue
            mixed = _mixed(whole - sums[at & ring_mask] * oldest)
            grams[at & ring_mask] = mixed
            first = word - length
            if place < 0 or mixed < least:
                place, least, again = at, mixed, False
            elif place < first:
                place, least, again = first, grams[first & ring_mask], False
                for other in range(first + 1, at + 1):
                    if grams[other & ring_mask] <= least:  # the last of equal ones stays longest
                        again = grams[other & ring_mask] == least
                        place, least = other, grams[other & ring_mask]
            if first >= 0 and place != told:
                told = place
                for _ in range(2 if again else 1):  # equal windows of a short period can share one place
                    found[number] = (_key(least) << np.uint64(DOCUMENT_BITS)) | named
                    number += 1
        words[text] = word
    return number


@kernel
def _fill(keys: Any, elsewhere: Any, table: Any, marks: Any) -> None:
    mask = len(table) - 1
    for index in range(len(keys)):
        slot = np.int64(keys[index]) & mask
        while table[slot] != _NONE:
            slot = (slot + 1) & mask
        table[slot] = keys[index]
        marks[slot] = ELSEWHERE if elsewhere[index] else 0


@kernel
def _windows(
    data: Any, bounds: Any, wanted: Any, tables: Any, byte_kinds: Any, keys: Any, marks: Any, length: int, gram: int,
    text_of: Any, word_of: Any, count_of: Any, key_of: Any, elsewhere_of: Any, hashes: Any,
) -> tuple[int, int]:  # fmt: skip
    data_end = len(data)
    data = pointer_to(data)
    pointers = (
        pointer_to(tables.class_pages),
        pointer_to(tables.classes),
        pointer_to(tables.fold_pages),
        pointer_to(tables.folds),
        pointer_to(byte_kinds),
    )
    ring_size = _slots(length + 1)
    ring_mask = ring_size - 1
    sums, grams = np.zeros(ring_size, np.uint64), np.zeros(ring_size, np.uint64)
    oldest, oldest_of_window = _power(gram), _power(length)
    mask = len(keys) - 1
    runs, windows = 0, 0
    for text in range(len(bounds) - 1):
        i, last = bounds[text], bounds[text + 1]
        if not wanted[text]:
            continue
        word = 0
        whole, least = np.uint64(0), np.uint64(0)
        sums[0] = whole
        place, told = -1, -1
        inside = False
        while i < last:
            start, i, value = next_word(data, i, last, data_end, pointers)
            if start == i:
                break
            whole = whole * _STEP + value
            word += 1
            sums[word & ring_mask] = whole
            at = word - gram
            if at < 0:
                continue
            mixed = _mixed(whole - sums[at & ring_mask] * oldest)
            grams[at & ring_mask] = mixed
            first = word - length
            if place < 0 or mixed < least:
                place, least = at, mixed
            elif place < first:
                place, least = first, grams[first & ring_mask]
                for other in range(first + 1, at + 1):
                    if grams[other & ring_mask] <= least:  # the last of equal ones stays longest
                        place, least = other, grams[other & ring_mask]
            if first < 0:
                continue
            if place != told:
                told = place
                key = _key(least)
                slot = np.int64(key) & mask
                while keys[slot] != _NONE and keys[slot] != key:
                    slot = (slot + 1) & mask
                inside = keys[slot] == key
                if inside:
                    text_of[runs] = text
                    word_of[runs] = first
                    count_of[runs] = 0
                    key_of[runs] = key
                    elsewhere_of[runs] = marks[slot] == ELSEWHERE
                    runs += 1
            if inside:
                count_of[runs - 1] += 1
                hashes[windows] = _mixed(whole - sums[first & ring_mask] * oldest_of_window)
                windows += 1
    return runs, windows
