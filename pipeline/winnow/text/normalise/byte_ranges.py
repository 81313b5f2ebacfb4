"""Small readers of UTF-8 that the scanner is made of.

``at`` and ``end`` are places in ``data``, uint8[B] of valid UTF-8.
"""

import numpy as np

from winnow.numeric.bits import bytes_between, pointer_to, trailing_zeros
from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.normalise.tables import AMPERSAND, NEWLINE

NO_ENTITY = 0
ENTITY = 1
OPEN = 2


@inline_kernel
def decode_at(data, at):  # type: ignore[no-untyped-def]
    """Code point and number of bytes of the non-ASCII character at ``at``."""
    lead = np.int64(data[at])
    if lead < 0xE0:
        return ((lead & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F), 2
    if lead < 0xF0:
        low = ((np.int64(data[at + 1]) & 0x3F) << 6) | (np.int64(data[at + 2]) & 0x3F)
        return ((lead & 0x0F) << 12) | low, 3
    high = ((lead & 0x07) << 18) | ((np.int64(data[at + 1]) & 0x3F) << 12)
    low = ((np.int64(data[at + 2]) & 0x3F) << 6) | (np.int64(data[at + 3]) & 0x3F)
    return min(high | low, 0x10FFFF), 4


@kernel
def copy_bytes(source, start, end, target, at):  # type: ignore[no-untyped-def]
    """Copy ``source[start:end]`` to ``target[at:]``; the place after the copy."""
    into, out_of = pointer_to(target), pointer_to(source)  # of arrays, each index might be negative: no vector code
    for index in range(end - start):
        into[at + index] = out_of[start + index]
    return at + end - start


@kernel
def next_special(data, at, end, ampersand, ascii_kind):  # type: ignore[no-untyped-def]
    """The first byte from ``at`` that is not plain ASCII, or ``end``. ``ampersand`` is the byte "&" or
    0x80."""
    bytes_, whole_blocks = pointer_to(data), len(data) - 64
    while at < end:
        if at <= whole_blocks:
            doubt = bytes_between(bytes_, at, 0x7F, 0xFF) | bytes_between(bytes_, at, ampersand, ampersand)
            doubt |= bytes_between(bytes_, at, 0, 0x1F) & ~bytes_between(bytes_, at, 0x09, 0x0A)
            at += trailing_zeros(doubt)
            if doubt == 0:
                continue
            if at >= end:
                break
        byte = data[at]
        kind = ascii_kind[byte]
        if byte >= 0x80 or (kind > NEWLINE and (kind != AMPERSAND or ampersand == 0x26)):
            return at
        at += 1
    return end


@kernel
def plain_end(data, at, end):  # type: ignore[no-untyped-def]
    """The first byte from ``at`` that may be more than a plain character, or ``end``."""
    bytes_, whole_blocks = pointer_to(data), len(data) - 64
    while at < end and at <= whole_blocks:
        doubt = bytes_between(bytes_, at, 0x7F, 0xFF) | bytes_between(bytes_, at, 0, 0x1F)
        doubt |= bytes_between(bytes_, at, 0x26, 0x26)
        at += trailing_zeros(doubt)
        if doubt:
            break
    return min(at, end)


@kernel
def find_byte(data, at, end, wanted):  # type: ignore[no-untyped-def]
    """The first place of a byte from ``at``, or ``end``."""
    bytes_, whole_blocks = pointer_to(data), len(data) - 64
    while at < end:
        found = bytes_between(bytes_, at, wanted, wanted) if at <= whole_blocks else np.uint64(data[at] == wanted)
        if found:
            return min(at + trailing_zeros(found), end)
        at += 64 if at <= whole_blocks else 1
    return end


@kernel
def segment_end_from(data, start, end, max_decode_length):  # type: ignore[no-untyped-def]
    """The end of the segment that begins at ``start``: after a newline or after so many code points."""
    at = start
    for _ in range(max_decode_length):
        if at >= end:
            break
        lead = data[at]
        at += 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
        if lead == 0x0A:
            break
    return min(at, end)


@kernel
def entity_at(data, at, end):  # type: ignore[no-untyped-def]
    """Whether the "&" at ``at`` begins ``&#?[0-9A-Za-z]{1,24};``, the form that ftfy looks up.

    Returns:
        NO_ENTITY, ENTITY, or OPEN: that depends on what becomes of a control or non-ASCII character.
    """
    at += 1
    if at < end and data[at] == 0x23:
        at += 1
    length = 0
    while at < end and length <= 24:
        byte = data[at]
        if byte < 0x20 or byte >= 0x7F:
            return OPEN
        if not (0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A):
            if byte == 0x3B and length > 0:
                return ENTITY
            return NO_ENTITY
        length += 1
        at += 1
    return NO_ENTITY
