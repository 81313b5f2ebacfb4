"""Runs of words of texts, and the anchors that they are looked for by.

A *window* is a run of L words of one text, a *gram* one of k words; words and their hashes are those of
:mod:`winnow.text.words`, so case, punctuation and blanks make no difference. The *anchor* of a window is the smallest
hash of its L - k + 1 grams (winnowing: Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms for Document
Fingerprinting", SIGMOD 2003): equal windows have equal anchors, and neighbours mostly share one, so that of a text in
which nothing repeats only about one anchor for every (L - k + 2) / 2 words is ever looked at.

A *block* is ``BLOCK`` words of one text. Anchors say in which block their windows begin, and blocks at which byte they
do, so the words of the few windows that are compared are found without reading the text once more from its beginning.

The hash of a run of words is a polynomial of their hashes modulo 2^64, mixed: two different windows share it with a
chance of 2^-64, and are compared only where they share the part of the anchor that names a partition.

Legend: N texts, A anchors, B blocks, R runs of windows, W windows.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.characters import character_tables
from winnow.text.word_scan import next_words, word_tables
from winnow.text.words import room_for_words

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_MIX_AGAIN = np.uint64(0x94D049BB133111EB)
BLOCK = 32
"""Words of a block: of fewer, the table of blocks is larger; of more, more words are read for a window."""
BLOCK_BITS = 24
"""Of an anchor as it is exchanged: below, its block, by its last bits; above, 40 bits of its hash."""
_NONE = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
ELSEWHERE = 1
"""A known anchor that stands in other texts than these, too."""
_READ = 512
"""Windows that are looked at between two readings of words."""
_MORE = 32
"""Words read at a time where a run of windows goes on behind its blocks."""


class Anchors(NamedTuple):
    """The anchors of all windows of texts."""

    anchors: NDArray[np.uint64]
    """[A] 40 bits of the hash above the block in which the first window begins, in the order of the windows; neighbours
    that are one anchor once, twice where that gram stands in a window twice."""
    begins: NDArray[np.uint32]
    """[B] first byte of each block, from the text's first byte on; 0 for the first block of each text that was wanted,
    and for no other."""
    words: NDArray[np.int64]
    """[N] of each text; 0 for those that were not wanted."""


class KnownAnchors(NamedTuple):
    """Anchors that are repeated, for the kernel that looks every window's up."""

    keys: NDArray[np.uint64]
    """[power of two] 40 bits in slot ``key & (slots - 1)`` or the next free one; all ones: free."""
    elsewhere: NDArray[np.uint8]
    """[slots] ``ELSEWHERE``, or 0 where it is repeated among these texts alone."""


class Blocks(NamedTuple):
    """Blocks of texts, by text and number."""

    text: NDArray[np.int64]
    """[B]."""
    number: NDArray[np.int64]
    """[B] in its text."""
    begin: NDArray[Any]
    """uint32[B] first byte."""

    def renamed(self, texts: NDArray[np.int64], names: NDArray[np.int64]) -> "Blocks":
        """Those of some texts, rising, under other numbers, rising too."""
        name = np.full(int(self.text[-1]) + 1 if len(self.text) else 0, -1)
        name[texts] = names
        text = name[self.text]
        mine = text >= 0
        return Blocks(text[mine], self.number[mine], self.begin[mine])


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


class _Held(NamedTuple):
    """Words that are held, H of them, and what is known of them; arrays of the kernels."""

    hashes: Any
    """uint64[H]."""
    begins: Any
    """int64[H] first byte."""
    ends: Any
    """int64[H]."""
    sums: Any
    """uint64[H + 1] polynomials of all words before."""
    grams: Any
    """uint64[H] hash of the gram that begins with each word."""
    anchor: Any
    """int64[H] of the window that begins with each word: the word with which the anchor begins."""


def anchors_of(texts: pa.Array, wanted: NDArray[np.bool_], first_block: int, length: int, gram: int) -> Anchors:
    """The anchors of all windows of texts.

    Args:
        texts: large_string[N] without nulls.
        wanted: bool[N], which are looked at.
        first_block: how many blocks there are before these.
        length: L, words of a window.
        gram: k, words of an anchor.
    """
    data, bounds = string_buffers(texts)
    found = np.empty(room_for_words(bounds), np.uint64)
    begins = np.empty(room_for_words(bounds) // BLOCK + len(texts), np.uint32)
    words = np.zeros(len(texts), np.int64)
    anchors, blocks = _anchors(
        data, bounds, wanted, character_tables(), held_for(length), first_block, length, gram, found, begins, words
    )
    return Anchors(found[:anchors].copy(), begins[:blocks].copy(), words)


def known_anchors(elsewhere: NDArray[np.uint64], here: NDArray[np.uint64]) -> KnownAnchors:
    """A table of the keys uint64 (40 bits), both rising, that stand in other texts, too, and that stand only here."""
    new = np.ones(len(here), np.bool_)
    new[1:] = here[1:] != here[:-1]
    here = here[new]
    slots = 1 << max(4, int(2 * (len(elsewhere) + len(here))).bit_length())
    table = KnownAnchors(np.full(slots, _NONE), np.zeros(slots, np.uint8))
    for keys, mark in ((elsewhere, ELSEWHERE), (here, 0)):
        _fill(keys, mark, table.keys, table.elsewhere)
    return table


def windows_of(texts: pa.Array, blocks: Blocks, known: KnownAnchors, length: int, gram: int) -> Windows:
    """All windows of texts whose anchor is known.

    Args:
        texts: large_string[N] without nulls.
        blocks: those in which windows begin whose anchor is known.
        known: anchors.
        length: L, words of a window.
        gram: k, words of an anchor.
    """
    data, bounds = string_buffers(texts)
    room = room_for_words(bounds)
    text, word, count = np.empty(room, np.int64), np.empty(room, np.uint32), np.empty(room, np.uint32)
    key, elsewhere, hashes = np.empty(room, np.uint64), np.empty(room, np.bool_), np.empty(room, np.uint64)
    runs, windows = _windows(
        data, bounds, blocks, character_tables(), held_for(length), known.keys, known.elsewhere, length, gram,
        text, word, count, key, elsewhere, hashes,
    )  # fmt: skip
    columns = [column[:runs].copy() for column in (text, word, count, key, elsewhere)]
    return Windows(*[*columns, hashes[:windows].copy()])


def held_for(length: int) -> _Held:
    """Room for the words of ``_READ`` windows."""
    room = _READ + length
    kinds = (np.uint64, np.int64, np.int64, np.uint64, np.uint64, np.int64)
    return _Held(*(np.zeros(room + 1, kind) for kind in kinds))


@inline_kernel
def _mixed(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(30))) * _MIX
    value = (value ^ (value >> np.uint64(27))) * _MIX_AGAIN
    return value ^ (value >> np.uint64(31))


@inline_kernel
def _key(value: Any) -> Any:
    """40 bits of an anchor, mixed once more: the smallest of many hashes is small, and would crowd one partition."""
    return _mixed(value + _STEP) >> np.uint64(BLOCK_BITS)


@kernel
def _power(exponent: int) -> Any:
    value = np.uint64(1)
    for _ in range(exponent):
        value *= _STEP
    return value


@inline_kernel
def _pointers(held: Any) -> Any:
    return pointer_to(held.hashes), pointer_to(held.sums), pointer_to(held.grams), pointer_to(held.anchor)


@kernel
def _read(
    data: Any, i: int, end: int, data_end: int, tables: Any, held: Any, before: int, room: int, length: int, gram: int,
    oldest: Any, last: int,
) -> tuple[int, int]:  # fmt: skip
    """Read words behind the ``before`` that are held, up to ``room``; and the anchors of the windows that end there.

    Args:
        oldest: the factor of a gram's first word.
        last: where the anchor of the window before the first new one begins, or less than that one's first word.
    """
    i, have = next_words(data, i, end, data_end, tables, held.hashes, held.begins, held.ends, before, room)
    hashes, sums, grams, anchor = _pointers(held)
    for word in range(before, have):
        sums[word + 1] = sums[word] * _STEP + hashes[word]
    for at in range(max(0, before - gram + 1), have - gram + 1):
        grams[at] = _mixed(sums[at + gram] - sums[at] * oldest)
    for window in range(max(0, before - length + 1), have - length + 1):
        newest = window + length - gram
        if last < window:
            least = grams[window]
            for at in range(window + 1, newest + 1):
                least = min(least, grams[at])
            last = newest  # the last of equal ones stays longest
            while grams[last] != least:
                last -= 1
        elif grams[newest] < grams[last]:
            last = newest
        anchor[window] = last
    return i, have


@kernel
def _let_go(held: Any, number: int, have: int) -> None:
    """Move what is held behind the first ``number`` words to the front."""
    for word in range(have - number):
        held.begins[word] = held.begins[word + number]
        held.sums[word] = held.sums[word + number]
        held.grams[word] = held.grams[word + number]
    held.sums[have - number] = held.sums[have]


@kernel
def _anchors(
    data: Any, bounds: Any, wanted: Any, tables: Any, held: Any, first_block: int, length: int, gram: int,
    found: Any, block_begins: Any, words: Any,
) -> tuple[int, int]:  # fmt: skip
    data_end = len(data)
    data, tables = pointer_to(data), word_tables(tables)
    oldest, room = _power(gram), _READ + length - 1
    _, sums, grams, anchor = _pointers(held)
    mask = np.uint64((1 << BLOCK_BITS) - 1)
    number, blocks = 0, 0
    for text in range(len(bounds) - 1):
        if not wanted[text]:
            continue
        i, end = bounds[text], bounds[text + 1]
        first, have, base, last, told = first_block + blocks, 0, 0, -1, -1
        block_begins[blocks] = 0
        blocks += 1
        sums[0] = np.uint64(0)
        while True:
            before = have
            i, have = _read(data, i, end, data_end, tables, held, have, room, length, gram, oldest, last)
            for word in range(max(BLOCK, -(-(base + before) // BLOCK) * BLOCK), base + have, BLOCK):
                block_begins[blocks] = held.begins[word - base] - bounds[text]
                blocks += 1
            windows = have - length + 1
            for window in range(windows):
                if anchor[window] == told:
                    continue
                told = anchor[window]
                least, times = grams[told], 0
                for at in range(window, window + length - gram + 1):
                    times += grams[at] == least
                block = np.uint64(first + (base + window) // BLOCK) & mask
                for _ in range(min(times, 2)):  # equal windows of a short period can share one place
                    found[number] = (_key(least) << np.uint64(BLOCK_BITS)) | block
                    number += 1
            if have < room:
                break
            _let_go(held, windows, have)
            last, told, have, base = anchor[windows - 1] - windows, told - windows, have - windows, base + windows
        words[text] = base + have
    return number, blocks


@kernel
def _fill(keys: Any, mark: int, table: Any, marks: Any) -> None:
    mask = len(table) - 1
    for index in range(len(keys)):
        slot = np.int64(keys[index]) & mask
        while table[slot] != _NONE and table[slot] != keys[index]:
            slot = (slot + 1) & mask
        table[slot] = keys[index]
        marks[slot] |= mark


@kernel
def _windows(
    data: Any, bounds: Any, blocks: Any, tables: Any, held: Any, keys: Any, marks: Any, length: int, gram: int,
    text_of: Any, word_of: Any, count_of: Any, key_of: Any, elsewhere_of: Any, hashes: Any,
) -> tuple[int, int]:  # fmt: skip
    data_end = len(data)
    data, tables = pointer_to(data), word_tables(tables)
    oldest, oldest_of_window, most = _power(gram), _power(length), _READ + length - 1
    _, sums, grams, anchor = _pointers(held)
    mask, near = len(keys) - 1, max(length, _MORE)  # what is read anyway is not read twice
    runs, windows, block = 0, 0, 0
    while block < len(blocks.text):
        text, base = blocks.text[block], blocks.number[block] * BLOCK
        i, end = bounds[text] + blocks.begin[block], bounds[text + 1]
        have, last, told, border = 0, -1, -1, base
        inside, least = False, np.uint64(0)
        sums[0] = np.uint64(0)
        while True:
            ahead = base + max(0, have - length + 1)
            while (
                block < len(blocks.text)
                and blocks.text[block] == text
                and (blocks.number[block] * BLOCK < max(border, ahead) + near)
            ):
                border = (blocks.number[block] + 1) * BLOCK
                block += 1
            if ahead >= border and not inside:
                break
            room = min(most, max(border - base + length - 1, have + _MORE))
            begin = max(0, have - length + 1)
            i, have = _read(data, i, end, data_end, tables, held, have, room, length, gram, oldest, last)
            ended = have < room
            for window in range(begin, have - length + 1):
                last = anchor[window]
                if last != told:
                    told = last
                    if not inside or grams[last] != least:
                        least = grams[last]
                        key = _key(least)
                        slot = np.int64(key) & mask
                        while keys[slot] != _NONE and keys[slot] != key:
                            slot = (slot + 1) & mask
                        inside = keys[slot] == key
                        if inside:
                            text_of[runs], word_of[runs], count_of[runs] = text, base + window, 0
                            key_of[runs], elsewhere_of[runs] = key, marks[slot] == ELSEWHERE
                            runs += 1
                if inside:
                    count_of[runs - 1] += 1
                    hashes[windows] = _mixed(sums[window + length] - sums[window] * oldest_of_window)
                    windows += 1
                elif base + window >= border:
                    ended = True
                    break
            if ended:
                break
            gone = have - length + 1
            _let_go(held, gone, have)
            last, told, have, base = last - gone, told - gone, have - gone, base + gone
    return runs, windows
