"""Prose: a text without its code and markup, as far as these can be told from the text alone.

What a translation shares with the original is code, tags and addresses; what tells the two apart is the rest. Left out
are, each with a space in its stead:

- fenced code blocks (three backticks or tildes at the start of a line, up to a line that begins with the same);
- elements whose content is code (`CODE_ELEMENTS`), CDATA sections and comments, up to their end;
- tags (``<`` and a letter, ``/``, ``!`` or ``?``, up to ``>``, with no other ``<`` between);
- code in backticks inside a line, and character references (``&amp;``).

What has no end is text: an opened block that is never closed is left as it is. Time is linear in the text, whatever it
holds: a search for an end that fails is not made again in the same document.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.bits import bytes_between, copy_block, pointer_to, trailing_zeros
from winnow.numeric.jit import kernel
from winnow.text.normalise.byte_ranges import find_byte

CODE_ELEMENTS = ("script", "style", "pre", "code", "programlisting", "screen", "samp", "kbd")
"""Elements of HTML and DocBook whose content is code or what a program prints."""

_NAMES = np.zeros((len(CODE_ELEMENTS), 16), np.uint8)
for _row, _name in enumerate(CODE_ELEMENTS):
    _NAMES[_row, : len(_name)] = np.frombuffer(_name.encode(), np.uint8)
_LENGTHS = np.array([len(name) for name in CODE_ELEMENTS], np.int64)
_CDATA = np.frombuffer(b"![CDATA[", np.uint8)
_CDATA_END = np.frombuffer(b"]]>", np.uint8)
_COMMENT = np.frombuffer(b"!--", np.uint8)
_COMMENT_END = np.frombuffer(b"-->", np.uint8)
_LONGEST_REFERENCE = 32
_BLOCK = 64


def prose_of(texts: pa.Array) -> pa.LargeStringArray:
    """The prose of each text: large_string[N].

    Args:
        texts: large_string[N] without nulls.

    Raises:
        TypeError, ValueError: another type, or nulls.
    """
    data, offsets = string_buffers(texts)
    out = np.empty(int(offsets[-1] - offsets[0]) + _BLOCK, np.uint8)
    ends = np.zeros(len(offsets), np.int64)
    _strip(data, offsets, _NAMES, _LENGTHS, _CDATA, _CDATA_END, _COMMENT, _COMMENT_END, out, ends)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(out[: max(1, int(ends[-1]))])]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)


@kernel
def _begins(data: Any, i: int, end: int, wanted: Any, length: int) -> bool:
    """Whether bytes i on are ``wanted[:length]``, ASCII letters in either case."""
    if i + length > end:
        return False
    for k in range(length):
        byte = data[i + k]
        if byte != wanted[k] and not (65 <= byte <= 90 and byte + 32 == wanted[k]):
            return False
    return True


@kernel
def _find(data: Any, i: int, end: int, wanted: Any, length: int) -> int:
    """Where ``wanted[:length]`` begins from i on, or -1."""
    i = find_byte(data, i, end, wanted[0])
    while i < end:
        if _begins(data, i, end, wanted, length):
            return i
        i = find_byte(data, i + 1, end, wanted[0])
    return -1


@kernel
def _find_close(data: Any, i: int, end: int, name: Any, length: int) -> int:
    """Where ``</name`` begins from i on, or -1."""
    i = find_byte(data, i, end, 60)
    while i + 1 < end:
        if data[i + 1] == 47 and _begins(data, i + 2, end, name, length):
            return i
        i = find_byte(data, i + 1, end, 60)
    return -1


@kernel
def _is_letter(byte: int) -> bool:
    return 97 <= (byte | 0x20) <= 122


@kernel
def _is_one_of(byte: int, a: int, b: int, c: int) -> bool:
    return (byte == a) | (byte == b) | (byte == c)


@kernel
def _fence_at(data: Any, i: int, end: int) -> int:
    """The byte that a fence at the line start i is made of, or 0."""
    for _ in range(3):
        if i < end and data[i] == 32:
            i += 1
    if i + 3 <= end and (data[i] == 96 or data[i] == 126) and data[i + 1] == data[i] and data[i + 2] == data[i]:
        return int(data[i])
    return 0


@kernel
def _next_line(data: Any, i: int, end: int) -> int:
    return int(min(find_byte(data, i, end, 10) + 1, end))


@kernel
def _fence_end(data: Any, i: int, end: int, fence: int) -> int:
    """The start of the line after the one that closes the block opened at i, or -1."""
    i = _next_line(data, i, end)
    while i < end:
        if _fence_at(data, i, end) == fence:
            return _next_line(data, i, end)
        i = _next_line(data, i, end)
    return -1


@kernel
def _tag_end(data: Any, i: int, end: int) -> int:
    """Past the ``>`` of the tag at i, or -1 if it is none."""
    if i + 1 >= end:
        return -1
    byte = data[i + 1]
    if not (_is_letter(byte) or _is_one_of(byte, 47, 33, 63)):
        return -1
    i += 1
    while i < end and data[i] != 60:
        if data[i] == 62:
            return i + 1
        i += 1
    return -1


@kernel
def _backtick_end(data: Any, i: int, end: int) -> int:
    """Past the backtick that closes the one at i on the same line, or -1."""
    i += 1
    while i < end and data[i] != 10:
        if data[i] == 96:
            return i + 1
        i += 1
    return -1


@kernel
def _reference_end(data: Any, i: int, end: int) -> int:
    """Past the character reference at i, or -1 if it is none."""
    j = i + 1
    if j < end and data[j] == 35:
        j += 1
    first = j
    while j < end and j - i < _LONGEST_REFERENCE and (_is_letter(data[j]) or 48 <= data[j] <= 57):
        j += 1
    return j + 1 if j > first and j < end and data[j] == 59 else -1


@kernel
def _element_end(
    data: Any, i: int, end: int, names: Any, lengths: Any, cdata: Any, cdata_end: Any, comment: Any, comment_end: Any,
    unclosed: Any,
) -> int:  # fmt: skip
    """Past the code element, CDATA section or comment that begins at i, or -1.

    In and out: unclosed bool[elements + 2], kinds of which no end is left in the document.
    """
    kinds = len(lengths)
    if i + 1 < end and data[i + 1] == 33:
        if not unclosed[kinds] and _begins(data, i + 1, end, cdata, len(cdata)):
            found = _find(data, i, end, cdata_end, len(cdata_end))
            unclosed[kinds] = found < 0
            return found + len(cdata_end) if found >= 0 else -1
        if not unclosed[kinds + 1] and _begins(data, i + 1, end, comment, len(comment)):
            found = _find(data, i + 4, end, comment_end, len(comment_end))
            unclosed[kinds + 1] = found < 0
            return found + len(comment_end) if found >= 0 else -1
        return -1
    for kind in range(kinds):
        if unclosed[kind] or not _begins(data, i + 1, end, names[kind], lengths[kind]):
            continue
        after = i + 1 + lengths[kind]
        if after < end and _is_letter(data[after]):
            continue
        found = _find_close(data, after, end, names[kind], lengths[kind])
        unclosed[kind] = found < 0
        if found >= 0:
            closed = _tag_end(data, found, end)
            return closed if closed >= 0 else found
    return -1


@kernel
def _strip(
    data: Any, offsets: Any, names: Any, lengths: Any, cdata: Any, cdata_end: Any, comment: Any, comment_end: Any,
    out: Any, ends: Any,
) -> None:  # fmt: skip
    """Copy what is neither code nor markup. Out: out uint8[bytes + 64], of which some stay free, ends int64[N + 1]."""
    plain = np.ones(256, np.bool_)
    plain[10] = plain[38] = plain[60] = plain[96] = False
    source, target = pointer_to(data), pointer_to(out)
    written = 0
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        unclosed = np.zeros(len(lengths) + 2, np.bool_)
        open_fence = np.zeros(2, np.bool_)  # of backticks, of tildes
        i = begin
        line_start = True
        while i < end:
            byte = data[i]
            if line_start:
                line_start = False
                fence = _fence_at(data, i, end)
                kind = int(fence == 126)
                if fence and not open_fence[kind]:
                    skip = _fence_end(data, i, end, fence)
                    open_fence[kind] = skip < 0
                    if skip >= 0:
                        out[written] = 32
                        written += 1
                        i = skip
                        line_start = True
                        continue
            if plain[byte]:
                step = _BLOCK
                while step == _BLOCK and i + _BLOCK <= end:  # all that is copied is looked at, and no more is kept
                    copy_block(source, i, target, written)
                    stops = bytes_between(source, i, 10, 10) | bytes_between(source, i, 38, 38)
                    stops |= bytes_between(source, i, 60, 60) | bytes_between(source, i, 96, 96)
                    step = trailing_zeros(stops)
                    written += step
                    i += step
                while step == _BLOCK and i < end and plain[data[i]]:
                    out[written] = data[i]
                    written += 1
                    i += 1
                continue
            skip = -1
            if byte == 60:
                skip = _element_end(data, i, end, names, lengths, cdata, cdata_end, comment, comment_end, unclosed)
                if skip < 0:
                    skip = _tag_end(data, i, end)
            elif byte == 96:
                skip = _backtick_end(data, i, end)
            elif byte == 38:
                skip = _reference_end(data, i, end)
            line_start = byte == 10
            out[written] = byte if skip < 0 else 32
            written += 1
            i = i + 1 if skip < 0 else skip
        ends[document + 1] = written
