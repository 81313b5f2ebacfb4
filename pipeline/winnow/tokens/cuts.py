"""Where a long document can be cut so that its parts can be encoded one after the other.

An engine needs about 25 bytes of memory, and time that grows faster than the text, for a run that the split
pattern does not split (a megabyte of one letter is *one* word), and tiktoken's regular expression overflows
its stack on a megabyte of white space. So long documents are encoded in parts. There are two kinds of cut;
both hold for the patterns r50k, cl100k and o200k alone.

*Hard*: a place where all three patterns always end a word, and where nothing that they look ahead to matters,
so that ids(A + B) = ids(A) + ids(B): letter|digit, digit|letter, letter or digit|ASCII other than an
apostrophe, letter|、。，, and any character that is no white space|space. (Letters here: ASCII, Han, kana,
Hangul. An apostrophe may begin a contraction that belongs to the word before it in o200k.)

*Soft*: inside a run of one class (letters, CJK letters, punctuation, white space) that may be one long word.
The part after the cut is encoded together with the last tokens before it; where the first of these comes out
unchanged the two encodings can be joined there. Proof: merging takes the lowest rank first, leftmost first.
Let e1 .. en be tokens of which each neighbouring pair is the encoding of its own text. Suppose that encoding
the whole merges across some e_i | e_(i+1), and take the first time that it does. Until then every merge was
inside one token, so restricted to the text of that pair the merges were those of encoding the pair alone, and
so is this one; but that encoding does not merge across. So the whole encodes to e1 .. en. A pair of the join
lies within one of the two encodings, whence it is the encoding of its own text by the same argument.

Conditions on soft cuts keep the words themselves (what the pattern splits) the same in both parts:
- the run is long enough that the tokens taken along lie inside it;
- letters: a lower-case letter before the cut, for o200k looks for one after capitals;
- CJK letters follow no other letter (o200k ends a word before a capital if a small letter is in it);
- punctuation with a slash does not follow a line break (o200k joins slashes to line breaks before them);
- white space follows a letter, a digit or a hard cut (o200k joins line breaks to punctuation), and the cut is
  behind a line break, or no line break came before it (a line break takes the blanks before it along).

Legend: B bytes, P parts.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import inline_kernel, kernel

_NONE, _LETTER, _CJK, _PUNCTUATION, _SPACE = 0, 1, 2, 3, 4


@inline_kernel
def _is_ascii_letter(byte: int) -> bool:
    return 97 <= (byte | 32) <= 122


@inline_kernel
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@kernel
def _code_point(data: NDArray[np.uint8], at: int) -> int:
    """The character that begins at ``at``."""
    byte = int(data[at])
    if byte < 0x80:
        return byte
    if byte < 0xE0:
        return (byte & 0x1F) << 6 | int(data[at + 1]) & 0x3F
    if byte < 0xF0:
        return (byte & 0x0F) << 12 | (int(data[at + 1]) & 0x3F) << 6 | int(data[at + 2]) & 0x3F
    high = (byte & 0x07) << 18 | (int(data[at + 1]) & 0x3F) << 12
    return high | (int(data[at + 2]) & 0x3F) << 6 | int(data[at + 3]) & 0x3F


@inline_kernel
def _is_cjk_letter(code: int) -> bool:
    """Han, kana and Hangul syllables that are letters (Lo) in every version of Unicode in use."""
    return 0x4E00 <= code <= 0x9FA5 or 0x3041 <= code <= 0x3096 or 0x30A1 <= code <= 0x30FA or 0xAC00 <= code <= 0xD7A3


@inline_kernel
def _is_cjk_stop(code: int) -> bool:
    return code in (0x3001, 0x3002, 0xFF0C)


@inline_kernel
def _is_wide_space(code: int) -> bool:
    """White_Space outside ASCII."""
    return code in (0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000) or 0x2000 <= code <= 0x200A


@kernel
def _is_hard(data: NDArray[np.uint8], start: int, at: int) -> bool:
    """Whether there is a hard cut before byte ``at`` of a text that begins at ``start`` < at."""
    current = data[at]
    if 0x80 <= current < 0xC0:
        return False  # inside a character
    before = at - 1
    while before > start and 0x80 <= data[before] < 0xC0:
        before -= 1
    previous = _code_point(data, before)
    if current == 32:
        if previous < 0x80:
            return not (previous == 32 or 9 <= previous <= 13)
        return not _is_wide_space(previous)
    letter = _is_ascii_letter(previous) or _is_cjk_letter(previous)
    digit = _is_digit(previous)
    if not (letter or digit):
        return False
    if current >= 0x80:
        code = _code_point(data, at)
        if digit:
            return bool(_is_cjk_letter(code))
        return _is_cjk_stop(code)
    if _is_ascii_letter(current):
        return digit
    if _is_digit(current):
        return letter
    return bool(current != 39)


@inline_kernel
def _class_of(code: int) -> int:
    if _is_ascii_letter(code):
        return _LETTER
    if code in (9, 10, 13, 32):
        return _SPACE
    if 33 <= code <= 126:
        return _NONE if _is_digit(code) else _PUNCTUATION
    if 0x1F300 <= code <= 0x1F64F:
        return _PUNCTUATION  # pictographs: neither letters nor numbers nor white space
    return _CJK if _is_cjk_letter(code) else _NONE


@kernel
def cut_long(
    data: NDArray[np.uint8], start: int, end: int, part_bytes: int, soft_bytes: int, min_run: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut one document into parts.

    Args:
        data: uint8[B], UTF-8.
        start: where the document begins.
        end: where it ends.
        part_bytes: a part longer than this is cut where it can be.
        soft_bytes: length of the parts between soft cuts.
        min_run: a soft cut has a run of at least this many bytes before it.

    Returns:
        ends int64[P] of the parts, and floors int64[P]: -1 for a hard cut (or the end), else where the run of
        a soft cut begins (and one more): the tokens taken along must begin behind that.
    """
    room = 4 * (end - start) // min(part_bytes, soft_bytes) + 4
    ends = np.empty(room, np.int64)
    floors = np.empty(room, np.int64)
    count = 0
    begin = start
    while end - begin > part_bytes:
        # Ordinary text has a hard cut within a few bytes.
        at = begin + part_bytes
        lowest = max(begin, at - 4096)
        while at > lowest and not _is_hard(data, begin, at):
            at -= 1
        if at > lowest:
            ends[count], floors[count] = at, -1
            count += 1
            begin = at
            continue
        # No such luck: look at every character until the next hard cut.
        run_class, run_start, clean, previous = _NONE, begin, True, 0
        newline = lower = slash = False  # seen in this run
        last_hard = -1
        at = begin
        while at < end:
            code = _code_point(data, at)
            kind = _class_of(code)
            if at > begin and _is_hard(data, begin, at):
                last_hard = at
            if last_hard > begin and at - begin >= part_bytes:
                break
            if kind != run_class:
                # What stands before a run decides whether it may be cut where its words depend on that.
                plain = previous < 0x80 and run_class != _LETTER and previous != 39
                clean = (
                    at in (begin, last_hard)
                    or (kind == _LETTER and plain)
                    or (kind == _CJK and (plain or _is_cjk_stop(previous)))
                    or (kind == _PUNCTUATION and previous not in (10, 13))
                    or (kind == _SPACE and run_class in (_LETTER, _CJK))
                )
                run_class, run_start = kind, at
                newline = lower = slash = False
            elif last_hard <= begin and at - begin >= soft_bytes and at - run_start >= min_run:  # noqa: SIM102 - first the cheap half, which nearly always fails
                if (
                    (kind == _CJK and clean)
                    or (kind == _PUNCTUATION and (clean or not slash))
                    or (kind == _LETTER and (97 <= previous <= 122 or (clean and not lower)))
                    or (kind == _SPACE and clean and (previous in (10, 13) or not newline))
                ):
                    # one more, for the run may begin with the two letters of a contraction
                    ends[count], floors[count] = at, run_start + 1
                    count += 1
                    begin = at
            if code in (10, 13):
                newline = True
            if 97 <= code <= 122:
                lower = True
            if code == 47:
                slash = True
            previous = code
            at += 1 if code < 0x80 else (2 if code < 0x800 else (3 if code < 0x10000 else 4))
        if last_hard <= begin:
            break  # the rest is one part
        ends[count], floors[count] = last_hard, -1
        count += 1
        begin = last_hard
    ends[count], floors[count] = end, -1
    return ends[: count + 1].copy(), floors[: count + 1].copy()
