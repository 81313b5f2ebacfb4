"""64 bytes of a text as masks: bit k of a mask tells of byte k. What one looks for is a set bit, found in one step.

Masks are of ASCII bytes; leads of longer characters are only pointed out.
"""

from typing import Any, NamedTuple

import numpy as np

from winnow.numeric.bits import bytes_between, folded_between
from winnow.numeric.jit import inline_kernel, kernel

BLOCK = 64
READ_AHEAD = 2
"""Bytes after a block that are read with it: phrases are recognised by three letters in a row."""


class Block(NamedTuple):
    """Masks (uint64) of up to 64 bytes; the bits past the text are 0."""

    feeds: np.uint64  # line feeds
    breaks: np.uint64  # the other ASCII breaks of str.splitlines
    marks: np.uint64  # visible and no letter or digit
    word: np.uint64  # letters and digits
    stops: np.uint64  # full stops
    shouts: np.uint64  # exclamation and question marks
    quotes: np.uint64  # apostrophes
    hashes: np.uint64  # number signs
    curly: np.uint64  # opening curly brackets
    phrases: np.uint64  # letters J, K, M, V within what may be one of the phrases of C4
    leads: np.uint64  # first bytes of characters that are not ASCII
    inside: np.uint64  # further bytes of them


@kernel
def read_block(data: Any, i: int, size: int) -> Block:
    """The masks of ``size`` (at most 64) bytes from i on; 66 bytes must exist."""
    valid = (np.uint64(1) << np.uint64(size)) - np.uint64(1) if size < BLOCK else ~np.uint64(0)
    word = folded_between(data, i, 97, 122) | bytes_between(data, i, 48, 57)
    j, k = folded_between(data, i, 106, 106), folded_between(data, i, 107, 107)
    m, v = folded_between(data, i, 109, 109), folded_between(data, i, 118, 118)
    a_next, i_next = folded_between(data, i + 1, 97, 97), folded_between(data, i + 1, 105, 105)
    space_next, s_next = folded_between(data, i + 1, 32, 32), folded_between(data, i + 1, 115, 115)
    e_third, i_third = folded_between(data, i + 2, 101, 101), folded_between(data, i + 2, 105, 105)
    c_third, v_third = folded_between(data, i + 2, 99, 99), folded_between(data, i + 2, 118, 118)
    space_third = folded_between(data, i + 2, 32, 32)
    phrases = a_next & (j & v_third | v & c_third) | k & i_next & e_third  # jav, vac, kie
    phrases |= m & (space_next & i_third | s_next & space_third)  # "m i", "ms "
    return Block(
        feeds=bytes_between(data, i, 10, 10) & valid,
        breaks=(bytes_between(data, i, 11, 13) | bytes_between(data, i, 28, 30)) & valid,
        marks=bytes_between(data, i, 33, 126) & ~word & valid,
        word=word & valid,
        stops=bytes_between(data, i, 46, 46) & valid,
        shouts=(bytes_between(data, i, 33, 33) | bytes_between(data, i, 63, 63)) & valid,
        quotes=bytes_between(data, i, 39, 39) & valid,
        hashes=bytes_between(data, i, 35, 35) & valid,
        curly=bytes_between(data, i, 123, 123) & valid,
        phrases=phrases & valid,
        leads=bytes_between(data, i, 0xC0, 0xFF) & valid,
        inside=bytes_between(data, i, 0x80, 0xBF) & valid,
    )


@inline_kernel
def ascii_spaces(data: Any, i: int) -> Any:
    """Bit k is set where byte i + k is ASCII white space, as ``str.isspace`` has it; 64 bytes must exist."""
    return bytes_between(data, i, 9, 13) | bytes_between(data, i, 28, 32)
