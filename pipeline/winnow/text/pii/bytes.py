"""Classes of bytes, and where numbers may stand: all ASCII, so that no other letter is part of anything.

``at``, ``begin`` and ``stop`` are places in ``data``, uint8[B]; a document is ``data[begin:stop]``.
"""

import string

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel

DIGIT, UPPER, LOWER, UNDERSCORE, HYPHEN, HEX, LOCAL = (1 << bit for bit in range(7))
ALPHA = UPPER | LOWER
WORD = ALPHA | DIGIT | UNDERSCORE
LABEL = ALPHA | DIGIT | HYPHEN
BASE64URL = WORD | HYPHEN


def _classes() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    for characters, bit in (
        (string.digits, DIGIT),
        (string.ascii_uppercase, UPPER),
        (string.ascii_lowercase, LOWER),
        ("_", UNDERSCORE),
        ("-", HYPHEN),
        (string.hexdigits, HEX),
        (string.ascii_letters + string.digits + "._%+-", LOCAL),
    ):
        table[list(characters.encode())] |= bit
    return table


CLASS = _classes()


@kernel
def has(data, at, begin, stop, mask):  # type: ignore[no-untyped-def]
    """Whether a byte of the document is of one of the classes; outside of it none is."""
    return begin <= at < stop and (CLASS[data[at]] & mask) != 0


@kernel
def is_byte(data, at, begin, stop, byte):  # type: ignore[no-untyped-def]
    """Whether this byte stands there, in the document."""
    return begin <= at < stop and data[at] == byte


@kernel
def number_begins(data, at, begin, stop):  # type: ignore[no-untyped-def]
    """Whether a number may begin here: no letter, digit or _ before it, nor digit and ``.`` or ``-``, nor hex digit and
    ``:``."""
    if has(data, at - 1, begin, stop, WORD):
        return False
    if is_byte(data, at - 1, begin, stop, 0x2E) or is_byte(data, at - 1, begin, stop, 0x2D):
        return not has(data, at - 2, begin, stop, DIGIT)
    return not (is_byte(data, at - 1, begin, stop, 0x3A) and has(data, at - 2, begin, stop, HEX))


@kernel
def number_ends(data, at, begin, stop):  # type: ignore[no-untyped-def]
    """Whether a number may end before ``at``: the same behind it."""
    if has(data, at, begin, stop, WORD):
        return False
    if is_byte(data, at, begin, stop, 0x2E) or is_byte(data, at, begin, stop, 0x2D):
        return not has(data, at + 1, begin, stop, DIGIT)
    return not (is_byte(data, at, begin, stop, 0x3A) and has(data, at + 1, begin, stop, HEX))


@kernel
def run_end(data, at, limit, mask):  # type: ignore[no-untyped-def]
    """Behind the last byte from ``at`` that is of the classes, at most ``limit``."""
    while at < limit and CLASS[data[at]] & mask:
        at += 1
    return at
