"""From words to bytes: what is cut of a text for a range of its words.

A cut goes from the first to the last word of the range, takes what clings to these (quotes and brackets before,
punctuation behind), and the blanks on both sides. What is left before and behind becomes two paragraphs.

Legend: N texts, S ranges.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import kernel
from winnow.text.characters import character_tables
from winnow.text.signals.bits import pointer_to
from winnow.text.words import next_word, word_bytes

JOINT = "\n\n"
"""Stands between what is left before and behind a cut."""
MOST_CLINGING = 64
"""Bytes that cling to a word at most; of more, such as a ruled line, none go."""


class Stretches(NamedTuple):
    """Bytes of texts that are cut."""

    begin: NDArray[np.int64]
    """[S]."""
    end: NDArray[np.int64]
    """[S] behind the last."""
    inside: NDArray[np.bool_]
    """[S] whether text is left on both sides."""


def stretches_of(
    texts: pa.Array, row: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64], *, clinging: bool
) -> Stretches:
    """The bytes of ranges of words.

    Args:
        texts: large_string[N] without nulls.
        row: int64[S], rising, the text of each range.
        begin: int64[S], first word, rising within a text.
        end: int64[S], behind the last word; not over the next range.
        clinging: whether the bytes around the words that a cut takes belong to them.

    Raises:
        ValueError: a text has fewer words than a range says.
    """
    data, bounds = string_buffers(texts)
    found_begin, found_end = np.full(len(row), -1, np.int64), np.full(len(row), -1, np.int64)
    inside = np.zeros(len(row), np.bool_)
    _stretches(
        data, bounds, character_tables(), word_bytes(), row, begin, end, clinging, found_begin, found_end, inside
    )
    if (found_end < 0).any():
        place = int(np.argmax(found_end < 0))
        raise ValueError(
            f"text {row[place]} has fewer than {end[place]:,} words; passages and texts do not belong together"
        )
    return Stretches(found_begin, found_end, inside)


@kernel
def _is_blank(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13


@kernel
def _grown_back(data: Any, at: int, least: int) -> int:
    """Back over what clings to the word at ``at``, then over blanks; not before ``least``."""
    clinging = at
    while clinging > least and not _is_blank(data[clinging - 1]):
        clinging -= 1
    if at - clinging > MOST_CLINGING:
        return at
    while clinging > least and _is_blank(data[clinging - 1]):
        clinging -= 1
    return clinging


@kernel
def _grown_on(data: Any, at: int, most: int) -> int:
    """The same behind a word that ends at ``at``."""
    clinging = at
    while clinging < most and not _is_blank(data[clinging]):
        clinging += 1
    if clinging - at > MOST_CLINGING:
        return at
    while clinging < most and _is_blank(data[clinging]):
        clinging += 1
    return clinging


@kernel
def _stretches(
    data: Any, bounds: Any, tables: Any, byte_kinds: Any, row: Any, begin: Any, end: Any, clinging: bool,
    found_begin: Any, found_end: Any, inside: Any,
) -> None:  # fmt: skip
    data_end = len(data)
    data = pointer_to(data)
    pointers = (
        pointer_to(tables.class_pages),
        pointer_to(tables.classes),
        pointer_to(tables.fold_pages),
        pointer_to(tables.folds),
        pointer_to(byte_kinds),
    )
    number = 0
    while number < len(row):
        text = row[number]
        first, last = bounds[text], bounds[text + 1]
        i, word, before = first, 0, first
        while number < len(row) and row[number] == text:
            start, stop = i, i
            while word <= begin[number]:
                before = i
                start, i, _ = next_word(data, i, last, data_end, pointers)
                if start == i:
                    break
                word += 1
            found_begin[number] = (_grown_back(data, start, before) if clinging else start) - first
            while word < end[number]:
                other, i, _ = next_word(data, i, last, data_end, pointers)
                if other == i:
                    break
                word += 1
            if word < end[number]:
                found_end[number] = -1
                break
            stop = i
            following, i, _ = next_word(data, i, last, data_end, pointers)
            grown = _grown_on(data, stop, following) if clinging else stop
            found_end[number] = grown - first
            inside[number] = found_begin[number] > 0 and grown < last
            i = stop
            number += 1
        while number < len(row) and row[number] == text:
            number += 1
