"""Texts as tokens of an n-gram model, in sentences: a line is one, or a whole text.

Legend: N texts, T tokens of all.
"""

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import kernel
from winnow.text.words import NO_STOP_WORDS, read_words

TokenKind = Literal["whitespace", "words"]
"""`whitespace`: what stands between ASCII whitespace, as KenLM and lmplz have it; `words`: ours (``text.words``)."""
_SPACE = np.zeros(256, np.bool_)
_SPACE[list(b" \t\n\r\v\f")] = True
_NEWLINE = 10
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_FINISH = np.uint64(0xFF51AFD7ED558CCD)


class Tokens(NamedTuple):
    """The tokens of N texts."""

    hashes: NDArray[np.uint64]
    """uint64[T]."""
    places: NDArray[np.uint32]
    """uint32[T, 2], first byte and end of each, from its text's first byte on."""
    begins: NDArray[np.bool_]
    """bool[T], whether a sentence begins with it."""
    offsets: NDArray[np.int64]
    """int64[N + 1], the tokens of text n are offsets[n] to offsets[n + 1]."""


def tokens_of(texts: pa.Array, kind: TokenKind, *, by_line: bool) -> Tokens:
    """Take texts large_string[N] without nulls apart.

    Args:
        texts: as above.
        kind: of tokens.
        by_line: whether every line is a sentence; else every text.
    """
    data, offsets = string_buffers(texts)
    if kind == "words":
        read = read_words(texts, NO_STOP_WORDS)
        begins = np.zeros(len(read.places), np.bool_)
        _sentences(data, offsets, read.words.offsets, read.places, by_line, begins)
        return Tokens(read.words.hashes, read.places, begins, read.words.offsets)
    room = int(offsets[-1] - offsets[0]) // 2 + len(texts) + 1
    hashes, places, ends = np.empty(room, np.uint64), np.empty((room, 2), np.uint32), np.zeros(len(offsets), np.int64)
    _split(data, offsets, hashes, places, ends)
    number = int(ends[-1])
    begins = np.zeros(number, np.bool_)
    _sentences(data, offsets, ends, places, by_line, begins)
    return Tokens(hashes[:number], places[:number], begins, ends)


@kernel
def hash_of_bytes(data, start, end):  # type: ignore[no-untyped-def]
    """FNV-1a of 64 bits, mixed once more; never 0."""
    value = _BASIS
    for at in range(start, end):
        value = (value ^ np.uint64(data[at])) * _PRIME
    value *= _FINISH
    value ^= value >> np.uint64(29)
    return value if value != 0 else np.uint64(1)


@kernel
def _split(data, offsets, hashes, places, ends):  # type: ignore[no-untyped-def]
    number = 0
    for text in range(len(offsets) - 1):
        begin, stop = offsets[text], offsets[text + 1]
        at = begin
        while at < stop:
            while at < stop and _SPACE[data[at]]:
                at += 1
            start = at
            while at < stop and not _SPACE[data[at]]:
                at += 1
            if at > start:
                hashes[number] = hash_of_bytes(data, start, at)
                places[number, 0], places[number, 1] = start - begin, at - begin
                number += 1
        ends[text + 1] = number


@kernel
def _sentences(data, offsets, ends, places, by_line, begins):  # type: ignore[no-untyped-def]
    for text in range(len(offsets) - 1):
        for token in range(ends[text], ends[text + 1]):
            begins[token] = token == ends[text]
            if by_line and not begins[token]:
                for at in range(places[token - 1, 1], places[token, 0]):
                    if data[offsets[text] + at] == _NEWLINE:
                        begins[token] = True
                        break
