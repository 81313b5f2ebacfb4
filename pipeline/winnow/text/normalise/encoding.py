"""Proof that ftfy's encoding step does nothing to a line that looks like mojibake, C1 controls apart.

Much of what ``BADNESS_RE`` finds cannot be repaired: ftfy tries ten encodings in vain and leaves the line as
it is, or reads its C1 controls as Windows-1252, character by character. That takes ftfy longest of all, and
is proven here by one walk over the line. The step (``ftfy._fix_encoding_one_step_and_explain``) can only act

1. through an encoding that can represent every character of the line and whose bytes then decode as UTF-8.
Before
   decoding, ftfy may turn a space after or between the bytes of a sequence into A0, and sequences with "?" or
   1A into U+FFFD. Neither touches, so each of these makes the decoding fail: a byte C1 or F5..FF; a lead byte
   C2..F4 before a byte other than 80..BF, space, "?" and 1A; a byte 80..BF after ASCII other than those
   (after a space, if ASCII stands before it), or at the begin;
2. through ``UTF8_DETECTOR_RE``: a lead character and its continuation characters, or
3. on C1 controls, which become what Windows-1252 has there: the scanner substitutes them.

A line of ASCII and U+FFFD alone is left as it is too: U+FFFD goes to 1A and back.

ftfy repeats its steps on the changed line. So the proof is made twice: for the line as it stands and after 3,
where every statement must hold for both versions of a character; and for the line after the plain
substitutions.
"""

from collections.abc import Sequence

import numpy as np
from ftfy import chardata
from numpy.typing import NDArray

from winnow.numeric.jit import kernel

_NUM_ENCODINGS = len(chardata.CHARMAP_ENCODINGS)
_ALL = (1 << _NUM_ENCODINGS) - 1
# Five fields of a bit an encoding, then three bits for the detector.
_LEAD = _NUM_ENCODINGS
_CONTINUATION = 2 * _NUM_ENCODINGS
_NOT_CONTINUATION = 3 * _NUM_ENCODINGS
_INVALID = 4 * _NUM_ENCODINGS
_FIRST_OF_2 = 1 << (5 * _NUM_ENCODINGS)
_FIRST_OF_3_OR_4 = _FIRST_OF_2 << 1
_FOLLOWS = _FIRST_OF_2 << 2
_NOT_ASCII = _FIRST_OF_2 << 3

_REPLACEMENT = 0xFFFD

# ASCII bytes that ftfy may turn into part of a sequence; in these encodings it does not.
_SPACE_IS_SAFE = 1 << chardata.CHARMAP_ENCODINGS.index("macroman")
_LOSSY_IS_SAFE = sum(
    1 << number for number, encoding in enumerate(chardata.CHARMAP_ENCODINGS) if not encoding.startswith("sloppy")
)


def _expand(characters: str) -> set[str]:
    """The characters of a regular expression's class body that holds plain characters and ranges."""
    expanded: set[str] = set()
    for at, character in enumerate(characters):
        if character == "-" and 0 < at < len(characters) - 1:
            expanded.update(map(chr, range(ord(characters[at - 1]), ord(characters[at + 1]) + 1)))
        else:
            expanded.add(character)
    return expanded


_CLUES = {name: _expand(characters) for name, characters in chardata.UTF8_CLUES.items()}
_TO_BYTE: list[dict[str, int]] = [
    {bytes([byte]).decode(encoding): byte for byte in [*range(0x80, 0x100), 0x1A]}
    for encoding in chardata.CHARMAP_ENCODINGS
]


def named_characters() -> set[str]:
    """Every non-ASCII character that one of the encodings can represent or that the detector names."""
    return {character for character in set().union(*_TO_BYTE, *_CLUES.values()) if character >= "\x80"}


def _not_continuation(byte: int, number: int) -> bool:
    if byte == 0x20:
        return bool(_SPACE_IS_SAFE >> number & 1)
    if byte in b"?\x1a":
        return bool(_LOSSY_IS_SAFE >> number & 1)
    return not 0x80 <= byte <= 0xBF


def evidence(versions: Sequence[str]) -> int:
    """What a character contributes to the proof, as bits.

    Args:
        versions: the character as it stands and what a step makes of it; a version is one character, or
        several of
            ASCII, or nothing.
    """
    bits = 0 if all(version.isascii() for version in versions) else _NOT_ASCII
    for number, to_byte in enumerate(_TO_BYTE):
        # A version that the encoding cannot represent makes the whole line safe from it, so it needs no
        # statement.
        ends = [
            (to_byte.get(version[0], ord(version[0])), to_byte.get(version[-1], ord(version[-1])))
            for version in versions
            if version and (version.isascii() or version in to_byte)
        ]
        removed = "" in versions
        if not ends and not removed:
            continue
        bits |= 1 << number
        if removed:
            continue
        statements = {
            _LEAD: all(0xC2 <= last <= 0xF4 for _, last in ends),
            _CONTINUATION: all(0x80 <= first <= 0xBF for first, _ in ends),
            _NOT_CONTINUATION: all(_not_continuation(first, number) for first, _ in ends),
            _INVALID: all(first == 0xC1 or first >= 0xF5 for first, _ in ends),
        }
        for field, holds in statements.items():
            bits |= holds << (field + number)
    if any(version in _CLUES["utf8_first_of_2"] for version in versions):
        bits |= _FIRST_OF_2
    if any(version in _CLUES["utf8_first_of_3"] | _CLUES["utf8_first_of_4"] for version in versions):
        bits |= _FIRST_OF_3_OR_4
    if "" in versions or any(version in _CLUES["utf8_continuation"] for version in versions):
        bits |= _FOLLOWS
    return bits


@kernel
def encoding_is_idle(
    data: NDArray[np.uint8], start: int, end: int, evidence: NDArray[np.uint64], lossy_is_restored: bool
) -> bool:
    """Whether the encoding step leaves a segment as it is, its C1 controls apart.

    Args:
        data: uint8, valid UTF-8.
        start, end: a segment; it also ends after its first newline.
        evidence: uint64[0x10000], see the function of that name; 0 = no encoding has the character.
        lossy_is_restored: ``replace_lossy_sequences`` is on.
    """
    possible = np.int64(_ALL)
    invalid = np.int64(0)
    previous = np.int64(0)  # evidence of the character before; of ASCII only the detector's bit
    before_previous = np.int64(0)
    only_replacements = True
    only_ascii = True
    at = start
    while at < end:
        byte = np.int64(data[at])
        if byte < 0x80:
            this = np.int64(_FOLLOWS if byte == 0x20 else 0)
            if byte == 0x20:
                invalid |= (previous >> _LEAD) & _SPACE_IS_SAFE
            elif byte in (0x3F, 0x1A):
                invalid |= (previous >> _LEAD) & _LOSSY_IS_SAFE
            else:
                invalid |= previous >> _LEAD
            length = 1
        else:
            if byte < 0xE0:
                length = 2
                code_point = ((byte & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F)
            elif byte < 0xF0:
                length = 3
                low = ((np.int64(data[at + 1]) & 0x3F) << 6) | (np.int64(data[at + 2]) & 0x3F)
                code_point = ((byte & 0x0F) << 12) | low
            else:
                length = 4
                code_point = np.int64(0)  # beyond every encoding: evidence 0, as U+0000 has
            only_replacements &= code_point == _REPLACEMENT
            this = np.int64(evidence[code_point])
            only_ascii &= this & _NOT_ASCII == 0 and this != 0
            possible &= this
            invalid |= this >> _INVALID
            before = np.int64(data[at - 1]) if at > start else 0
            if before >= 0x80:
                invalid |= (previous >> _LEAD) & (this >> _NOT_CONTINUATION)
            elif before == 0x20:
                if at - 1 == start or data[at - 2] < 0x80:
                    invalid |= this >> _CONTINUATION
            elif before not in (0x3F, 0x1A):
                invalid |= this >> _CONTINUATION
        if this & _FOLLOWS and (previous & _FIRST_OF_2 or (before_previous & _FIRST_OF_3_OR_4 and previous & _FOLLOWS)):
            return False
        before_previous = previous
        previous = this
        at += length
        if byte == 0x0A:
            break
    if only_ascii or (only_replacements and lossy_is_restored):
        return True
    return bool(possible & ~invalid & _ALL == 0)
