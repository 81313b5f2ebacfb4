"""Lines of JSON (RFC 8259) as one pass over their bytes: where they end, and what those that are plain say.

Every line ends with a line feed, and the walks stop at one: it can stand in no value. What is no JSON ends at -1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.bits import bytes_between, copy_block, pointer_to, trailing_zeros
from winnow.numeric.jit import kernel

_BLOCK = 64
_MOST_DIGITS = 18
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
def _past_blanks(data: Any, i: int) -> int:
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
def _read_string(data: Any, i: int, size: int, escapes: Any, digits: Any, out: Any, at: int) -> tuple[int, int]:
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
def _number_end(data: Any, i: int) -> int:
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
def _literal_end(data: Any, i: int) -> int:
    """Past ``true``, ``false`` or ``null`` at i, or -1."""
    if data[i] == 116 and data[i + 1] == 114 and data[i + 2] == 117 and data[i + 3] == 101:
        return i + 4
    if data[i] == 110 and data[i + 1] == 117 and data[i + 2] == 108 and data[i + 3] == 108:
        return i + 4
    if data[i] == 102 and data[i + 1] == 97 and data[i + 2] == 108 and data[i + 3] == 115 and data[i + 4] == 101:
        return i + 5
    return -1


@kernel
def _value_end(data: Any, i: int, size: int, escapes: Any, digits: Any, out: Any, at: int) -> int:
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
            i = _past_blanks(data, i + 1)
            if data[i] == (125 if objects & 1 else 93):
                opened = False
                objects >>= 1
                levels -= 1
                i += 1
        elif byte == 34:
            i, _ = _read_string(data, i + 1, size, escapes, digits, out, at)
        elif byte == 45 or 48 <= byte <= 57:
            i = _number_end(data, i)
        else:
            i = _literal_end(data, i)
        if i < 0:
            return -1
        while not opened and levels:  # what may stand behind a value
            i = _past_blanks(data, i)
            if data[i] == 44:
                i = _past_blanks(data, i + 1)
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
            i, _ = _read_string(data, i + 1, size, escapes, digits, out, at)
            if i < 0:
                return -1
            i = _past_blanks(data, i)
            if data[i] != 58:
                return -1
            i = _past_blanks(data, i + 1)


@kernel
def gather(data: Any, places: Any, joined: Any) -> None:
    """Values one behind the other; ``places`` int64[G, 2] are begin and length of each, negative of none."""
    at = 0
    for row in range(len(places)):
        for k in range(places[row, 1]):
            joined[at + k] = data[places[row, 0] + k]
        at += max(0, places[row, 1])


@kernel
def line_bounds(array: Any) -> Any:
    """int64[L + 1]: where each line begins, the end after the last one as if a separator stood there."""
    data, size = pointer_to(array), len(array)
    bounds = np.empty(1024, np.int64)
    bounds[0] = 0
    found: Any = 1
    at: Any = 0
    while at < size:
        if found + _BLOCK + 1 > len(bounds):
            more = np.empty(2 * len(bounds), np.int64)
            for k in range(found):
                more[k] = bounds[k]
            bounds = more
        if at + _BLOCK <= size:
            ends = bytes_between(data, at, 10, 10)
            while ends:
                bounds[found] = at + trailing_zeros(ends) + 1
                found += 1
                ends &= ends - np.uint64(1)
            at += _BLOCK
        else:
            if data[at] == 10:
                bounds[found] = at + 1
                found += 1
            at += 1
    bounds[found] = size + 1
    return bounds[: found + 1]


@kernel
def _field_of(data: Any, begin: int, end: int, names: Any, name_starts: Any) -> int:
    """Which wanted field is called so; -1: none, -2: the key has an escape or a control character."""
    for k in range(begin, end):
        if data[k] == 92 or data[k] < 32:
            return -2
    for field in range(len(name_starts) - 1):
        first = name_starts[field]
        if name_starts[field + 1] - first != end - begin:
            continue
        same = True
        for k in range(end - begin):
            same &= data[begin + k] == names[first + k]
        if same:
            return field
    return -1


@kernel
def _read_line(
    data: Any, i: int, end: int, size: int, names: Any, name_starts: Any, escapes: Any, digits: Any,
    texts: Any, text_at: int, others: Any, other_at: int, place: Any,
) -> tuple[bool, int, int]:  # fmt: skip
    """Read one line; whether it is plain, and past what was written to ``texts`` and ``others``.

    ``place`` int64[F, 2] becomes begin and length of each field; the length of one that is null or missing is -1.
    """
    for field in range(len(place)):
        place[field, 0], place[field, 1] = 0, -1
    have = np.int64(0)
    i = _past_blanks(data, i)
    if data[i] != 123:
        return False, text_at, other_at
    i = _past_blanks(data, i + 1)
    while True:
        if data[i] != 34:
            return False, text_at, other_at
        begin = i + 1
        i = begin
        while data[i] != 34 and data[i] != 10:
            i += 1
        field = _field_of(data, begin, i, names, name_starts)
        if data[i] == 10 or field == -2 or (field >= 0 and have >> field & 1):
            return False, text_at, other_at
        i = _past_blanks(data, i + 1)
        if data[i] != 58:
            return False, text_at, other_at
        i = _past_blanks(data, i + 1)
        byte = data[i]
        if field < 0:
            i = _value_end(data, i, size, escapes, digits, others, other_at)
        elif byte == 34 and field == 0:
            begin = text_at
            i, text_at = _read_string(data, i + 1, size, escapes, digits, texts, text_at)
            place[0, 0], place[0, 1] = begin, text_at - begin
        elif byte == 34:
            begin = other_at
            i, other_at = _read_string(data, i + 1, size, escapes, digits, others, other_at)
            place[field, 0], place[field, 1] = begin, other_at - begin
        elif field == 0:
            return False, text_at, other_at
        elif byte == 110:
            i = _literal_end(data, i)
        else:
            begin = i
            i = _number_end(data, i)
            length = i - begin
            # as it is written, if that is how Python writes it
            if length > _MOST_DIGITS or (length > 1 and data[begin] == 45 and data[begin + 1] == 48):
                return False, text_at, other_at
            for k in range(max(0, length)):
                if data[begin + k] != 45 and not 48 <= data[begin + k] <= 57:
                    return False, text_at, other_at
                others[other_at + k] = data[begin + k]
            place[field, 0], place[field, 1] = other_at, length
            other_at += max(0, length)
        if i < 0:
            return False, text_at, other_at
        if field >= 0:
            have |= np.int64(1) << field
        i = _past_blanks(data, i)
        if data[i] == 44:
            i = _past_blanks(data, i + 1)
            continue
        if data[i] != 125:
            return False, text_at, other_at
        return _past_blanks(data, i + 1) == end and have & 1 == 1, text_at, other_at


@kernel
def read_lines(
    array: Any, begins: Any, ends: Any, names: Any, name_starts: Any, longest: int, escape_table: Any, digit_table: Any,
    text_array: Any, other_array: Any, sizes: Any, places: Any, kinds: Any,
) -> int:  # fmt: skip
    """Read all lines whose kind is 0, each of which ends before a line end; the bytes of text that were written.

    Out: texts and others uint8[B + 64], sizes int64[L] of the texts, places int64[L, F, 2], kinds uint8[L].
    """
    data, escapes, digits = pointer_to(array), pointer_to(escape_table), pointer_to(digit_table)
    texts, others, size = pointer_to(text_array), pointer_to(other_array), len(array)
    text_at, other_at = 0, 0
    for line in range(len(begins)):
        begin, end = begins[line], ends[line]
        if kinds[line] or end - begin > longest:
            continue
        if begin == end:
            kinds[line] = 2
            continue
        plain, new_text, new_other = _read_line(
            data, begin, end, size, names, name_starts, escapes, digits, texts, text_at, others, other_at, places[line]
        )
        if plain:
            kinds[line] = 1
            sizes[line] = new_text - text_at
            text_at, other_at = new_text, new_other
    return text_at
