"""From words to bytes: where words stand in a text, and what is cut for a range of them.

A cut goes from the first to the last word of the range, takes what clings to these (quotes and brackets before,
punctuation behind), and the blanks on both sides. What is left before and behind becomes two paragraphs.

Legend: N texts, S ranges, P words.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.text.characters import character_tables
from winnow.text.passages.windows import BLOCK, Blocks
from winnow.text.word_scan import next_word, word_tables

JOINT = "\n\n"
"""Stands between what is left before and behind a cut."""
MOST_CLINGING = 64
"""Bytes that cling to a word at most; of more, such as a ruled line, none go."""
_WORD_BITS, _WORD = np.uint64(32), np.uint64(0xFFFFFFFF)


class WordPlaces(NamedTuple):
    """Where some words of texts stand, in bytes of their text."""

    key: NDArray[Any]
    """uint64[P] text and number of the word, rising."""
    start: NDArray[Any]
    """int64[P]."""
    end: NDArray[Any]
    """int64[P]."""
    before: NDArray[Any]
    """int64[P] where the word before ends; 0 for the first."""
    after: NDArray[Any]
    """int64[P] where the next word begins; the text's end for the last."""

    def of(self, row: NDArray[np.int64], word: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where words stand in these columns: int64, for texts and numbers that were asked for."""
        return np.searchsorted(self.key, _keys(row, word))


class Stretches(NamedTuple):
    """Bytes of texts that are cut."""

    begin: NDArray[np.int64]
    """[S]."""
    end: NDArray[np.int64]
    """[S] behind the last."""
    inside: NDArray[np.bool_]
    """[S] whether text is left on both sides."""


def word_places(texts: pa.Array, blocks: Blocks, row: NDArray[np.int64], word: NDArray[np.int64]) -> WordPlaces:
    """Find words, each from the beginning of a block on.

    Args:
        texts: large_string[N] without nulls.
        blocks: all of the texts that are asked for.
        row: int64, the text of each word that is asked for, in any order, some of them twice.
        word: int64, its number.

    Raises:
        ValueError: a text has fewer words.
    """
    data, bounds = string_buffers(texts)
    key = np.sort(_keys(row, word))
    new = np.ones(len(key), np.bool_)
    new[1:] = key[1:] != key[:-1]
    key = key[new]
    number = np.maximum((key & _WORD).astype(np.int64) - 1, 0) // BLOCK
    block = np.searchsorted(blocks.text, (key >> _WORD_BITS).astype(np.int64)) + number
    found = np.full((4, len(key)), -1, np.int64)
    inside = np.minimum(block, len(blocks.text) - 1)
    _places(data, bounds, character_tables(), key, blocks.begin[inside], number * BLOCK, *found)
    if (found[0] < 0).any():
        lacking = int(key[int(np.argmax(found[0] < 0))])
        raise ValueError(
            f"text {lacking >> 32} has no word {lacking & 0xFFFFFFFF:,}; passages and texts do not belong together"
        )
    return WordPlaces(key, *found)


def cuts_of(
    texts: pa.Array, places: WordPlaces, row: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]
) -> Stretches:
    """What is cut for ranges of words, of which ``places`` has the first and the last.

    Args:
        texts: large_string[N] without nulls.
        places: of their words.
        row: int64[S], the text of each range.
        begin: int64[S], first word.
        end: int64[S], behind the last word; ranges lie apart.
    """
    data, bounds = string_buffers(texts)
    first, last = places.of(row, begin), places.of(row, end - 1)
    found_begin, found_end = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
    _grow(
        data, bounds[row], places.start[first], places.before[first], places.end[last], places.after[last],
        found_begin, found_end,
    )  # fmt: skip
    return Stretches(found_begin, found_end, (found_begin > 0) & (found_end < np.diff(bounds)[row]))


def count_words(texts: pa.Array, most: int) -> NDArray[np.int64]:
    """Words of each text, int64[N]; no more than ``most`` are counted."""
    data, bounds = string_buffers(texts)
    counts = np.zeros(len(texts), np.int64)
    _count(data, bounds, character_tables(), most, counts)
    return counts


def _keys(row: NDArray[np.int64], word: NDArray[np.int64]) -> NDArray[np.uint64]:
    return (row.astype(np.uint64) << _WORD_BITS) | word.astype(np.uint64)


@kernel
def _is_blank(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13


@kernel
def _grow(
    data: Any, base: Any, start: Any, before: Any, end: Any, after: Any, found_begin: Any, found_end: Any
) -> None:
    """From the words' bytes over what clings to them, then over blanks, as far as the words beside them."""
    for number in range(len(base)):
        first, least = base[number] + start[number], base[number] + before[number]
        at = first
        while at > least and not _is_blank(data[at - 1]):
            at -= 1
        if first - at > MOST_CLINGING:
            at = first
        else:
            while at > least and _is_blank(data[at - 1]):
                at -= 1
        found_begin[number] = at - base[number]
        last, most = base[number] + end[number], base[number] + after[number]
        at = last
        while at < most and not _is_blank(data[at]):
            at += 1
        if at - last > MOST_CLINGING:
            at = last
        else:
            while at < most and _is_blank(data[at]):
                at += 1
        found_end[number] = at - base[number]


@kernel
def _places(
    data: Any, bounds: Any, tables: Any, key: Any, origin: Any, first_word: Any, start: Any, end: Any, before: Any,
    after: Any,
) -> None:  # fmt: skip
    """Each word, read on from the word ``first_word``, which begins at byte ``origin``: one before it, if there is."""
    data_end = len(data)
    data, tables = pointer_to(data), word_tables(tables)
    of, word = np.int64(-1), np.int64(0)
    i: Any = np.int64(0)
    for number in range(len(key)):
        text, wanted = np.int64(key[number] >> _WORD_BITS), np.int64(key[number] & _WORD)
        first, last = bounds[text], bounds[text + 1]
        if text != of or word < first_word[number]:
            of, i, word = text, first + np.int64(origin[number]), first_word[number]
        begin, ended = i, first
        while word <= wanted:
            ended = i if word else first
            begin, i, _ = next_word(data, i, last, data_end, tables)
            if begin == i:
                return
            word += 1
        start[number], end[number], before[number] = begin - first, i - first, ended - first
        after[number] = next_word(data, i, last, data_end, tables)[0] - first


@kernel
def _count(data: Any, bounds: Any, tables: Any, most: int, counts: Any) -> None:
    data_end = len(data)
    data, tables = pointer_to(data), word_tables(tables)
    for text in range(len(bounds) - 1):
        i, last = bounds[text], bounds[text + 1]
        words = 0
        while words < most:
            start, i, _ = next_word(data, i, last, data_end, tables)
            if start == i:
                break
            words += 1
        counts[text] = words
