"""Values of JSON (RFC 8259) in a line of bytes: where they end, and what a string says.

Every line ends with a line feed, and the walks stop at one: it can stand in no value. What is no JSON ends at -1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.signals.bits import bytes_between, copy_block, trailing_zeros

_BLOCK = 64
_MOST_LEVELS = 60
"""Of values that nobody reads: as many as fit the bits of a number."""


def _escapes() -> NDArray[np.uint8]:
    escapes = np.zeros(256, np.uint8)
    for letter, byte in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
        escapes[letter] = byte
    return escapes


def _digits() -> NDArray[np.uint8]:
    digits = np.full(256, 255, np.uint8)
    for number, letters in enumerate([*"0123456789", "aA", "bB", "cC", "dD", "eE", "fF"]):
        digits[list(letters.encode())] = number
    return digits


ESCAPES, HEX_DIGITS = _escapes(), _digits()


@kernel
def past_blanks(data: Any, i: int) -> int:
    """Past spaces, tabs and carriage returns."""
    while data[i] == 32 or data[i] == 9 or data[i] == 13:
        i += 1
    return i


@kernel
def _hex4(data: Any, i: int, digits: Any) -> int:
    """The four hexadecimal digits at i, or -1."""
    value: Any = 0
    for k in range(4):
        digit = np.int64(digits[data[i + k]])
        if digit > 15:
            return -1
        value = value << 4 | digit
    return int(value)


@kernel
def read_string(data: Any, i: int, size: int, escapes: Any, digits: Any, out: Any, at: int) -> tuple[int, int]:
    """Write the string whose first byte is i to ``out[at:]``: past its closing quote and past what was written.

    Past its quote is -1 where it is none. ``out`` has room for as many bytes as are read, and for a block more. A line
    end, which is a control character, ends every string.
    """
    while True:
        if i + _BLOCK <= size:
            stops = bytes_between(data, i, 34, 34) | bytes_between(data, i, 92, 92) | bytes_between(data, i, 0, 31)
            copy_block(data, i, out, at)
            step = trailing_zeros(stops)
            i += step
            at += step
            if step == _BLOCK:
                continue
        else:
            while data[i] != 34 and data[i] != 92 and data[i] > 31:
                out[at] = data[i]
                i += 1
                at += 1
        if data[i] == 34:
            return i + 1, at
        if data[i] != 92:
            return -1, at
        simple: Any = escapes[data[i + 1]]
        if simple:
            out[at] = simple
            i += 2
            at += 1
            continue
        if data[i + 1] != 117:
            return -1, at
        code = _hex4(data, i + 2, digits)
        i += 6
        if code < 0 or 0xDC00 <= code < 0xE000:
            return -1, at
        if 0xD800 <= code < 0xDC00:
            if data[i] != 92 or data[i + 1] != 117:
                return -1, at
            low = _hex4(data, i + 2, digits)
            if not 0xDC00 <= low < 0xE000:
                return -1, at
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            i += 6
        if code < 0x80:
            out[at] = code
            at += 1
            continue
        if code < 0x800:
            out[at] = 0xC0 | code >> 6
            at += 1
        elif code < 0x10000:
            out[at], out[at + 1] = 0xE0 | code >> 12, 0x80 | (code >> 6 & 0x3F)
            at += 2
        else:
            out[at], out[at + 1], out[at + 2] = 0xF0 | code >> 18, 0x80 | (code >> 12 & 0x3F), 0x80 | (code >> 6 & 0x3F)
            at += 3
        out[at] = 0x80 | (code & 0x3F)
        at += 1


@kernel
def number_end(data: Any, i: int) -> int:
    """Past the number at i, or -1."""
    if data[i] == 45:
        i += 1
    if not 48 <= data[i] <= 57:
        return -1
    leading_zero = data[i] == 48
    i += 1
    if not leading_zero:
        while 48 <= data[i] <= 57:
            i += 1
    if data[i] == 46:
        i += 1
        if not 48 <= data[i] <= 57:
            return -1
        while 48 <= data[i] <= 57:
            i += 1
    if data[i] | 32 == 101:
        i += 1
        if data[i] == 43 or data[i] == 45:
            i += 1
        if not 48 <= data[i] <= 57:
            return -1
        while 48 <= data[i] <= 57:
            i += 1
    return i


@kernel
def literal_end(data: Any, i: int) -> int:
    """Past ``true``, ``false`` or ``null`` at i, or -1."""
    if data[i] == 116 and data[i + 1] == 114 and data[i + 2] == 117 and data[i + 3] == 101:
        return i + 4
    if data[i] == 110 and data[i + 1] == 117 and data[i + 2] == 108 and data[i + 3] == 108:
        return i + 4
    if data[i] == 102 and data[i + 1] == 97 and data[i + 2] == 108 and data[i + 3] == 115 and data[i + 4] == 101:
        return i + 5
    return -1


@kernel
def value_end(data: Any, i: int, size: int, escapes: Any, digits: Any, out: Any, at: int) -> int:
    """Past the value at i, which nobody reads, or -1. ``out[at:]`` is scratch, with room for what is read."""
    objects = np.int64(0)  # a bit for each level that is open, the innermost lowest: whether it is an object
    levels = 0
    while True:
        # A value begins at i.
        byte = data[i]
        opened = byte | 32 == 123  # { or [
        if opened:
            if levels == _MOST_LEVELS:
                return -1
            objects = objects << 1 | np.int64(byte == 123)
            levels += 1
            i = past_blanks(data, i + 1)
            if data[i] == (125 if objects & 1 else 93):
                opened = False
                objects >>= 1
                levels -= 1
                i += 1
        elif byte == 34:
            i, _ = read_string(data, i + 1, size, escapes, digits, out, at)
        elif byte == 45 or 48 <= byte <= 57:
            i = number_end(data, i)
        else:
            i = literal_end(data, i)
        if i < 0:
            return -1
        while not opened and levels:  # what may stand behind a value
            i = past_blanks(data, i)
            if data[i] == 44:
                i = past_blanks(data, i + 1)
                opened = True
            elif data[i] == (125 if objects & 1 else 93):
                objects >>= 1
                levels -= 1
                i += 1
            else:
                return -1
        if not levels:
            return i
        if objects & 1:
            if data[i] != 34:
                return -1
            i, _ = read_string(data, i + 1, size, escapes, digits, out, at)
            if i < 0:
                return -1
            i = past_blanks(data, i)
            if data[i] != 58:
                return -1
            i = past_blanks(data, i + 1)
