"""What a Unicode normal form may do to a character, read from ``unicodedata``.

Quick check of the normal form (Unicode Standard Annex 15, section 9), made sharper: a character that may
compose with the one before it (``may_compose``) does so only if the last starter can be the first of a
composition (``can_begin``). So Bengali or Thai text is proven, and a letter followed by its combining accent
is not.
"""

import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

from winnow.numeric.jit import kernel


class NormalForm(NamedTuple):
    """What a normal form may do to a character; sets of code points."""

    changed: frozenset[int]
    combining: dict[int, int]
    compositions: frozenset[tuple[int, int]]
    """Without Hangul."""
    decomposing: frozenset[int]
    can_begin: frozenset[int]
    may_compose: frozenset[int]


_BLOCK = 128
_LAST_PLANE_WITH_MARKS = 0x20000
"""Above it Unicode has no combining mark (a test holds this against ``unicodedata``)."""


@lru_cache(maxsize=8)
def normal_form(form: Literal["NFC", "NFD", "NFKC", "NFKD"]) -> NormalForm:
    """What ``unicodedata.normalize(form, text)`` may do, a character."""
    changed: set[int] = set()
    for start in range(0x80, 0x110000, _BLOCK):
        if 0xD800 <= start < 0xE000:
            continue  # surrogates do not occur in UTF-8
        # The separator keeps neighbours from composing; most blocks hold nothing that changes.
        if not unicodedata.is_normalized(form, "\n".join(map(chr, range(start, start + _BLOCK)))):
            changed.update(
                code_point
                for code_point in range(start, start + _BLOCK)
                if unicodedata.normalize(form, chr(code_point)) != chr(code_point)
            )
    combining = {
        code_point: combining
        for code_point in range(0x80, _LAST_PLANE_WITH_MARKS)
        if (combining := unicodedata.combining(chr(code_point)))
    }
    if form in ("NFD", "NFKD"):
        return NormalForm(frozenset(changed), combining, frozenset(), frozenset(), frozenset(), frozenset())
    compositions: set[tuple[int, int]] = set()
    decomposing: set[int] = set()
    can_begin = set(range(0x1100, 0x1113)) | set(range(0xAC00, 0xD7A4, 28))  # Hangul L, LV
    may_compose = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))  # Hangul V, T
    for code_point in range(0x80, _LAST_PLANE_WITH_MARKS):
        decomposed = unicodedata.decomposition(chr(code_point))
        if not decomposed or decomposed[0] == "<":
            continue
        decomposing.add(code_point)  # a lower mark after it goes between its parts: e-acute, dot below
        if " " not in decomposed:
            continue
        first, second = (int(part, 16) for part in decomposed.split())
        if unicodedata.normalize("NFC", chr(first) + chr(second)) == chr(code_point):
            compositions.add((first, second))
    return NormalForm(
        frozenset(changed),
        combining,
        frozenset(compositions),
        frozenset(decomposing),
        frozenset(can_begin.union(decomposing, (first for first, _ in compositions))),
        frozenset(may_compose.union(second for _, second in compositions)),
    )


@kernel
def composes(first, second, compositions):  # type: ignore[no-untyped-def]
    """Whether two characters, the first not a composition itself, are a canonical composition."""
    wanted = (first << 21) | second
    low = 0
    high = len(compositions)
    while low < high:
        middle = (low + high) >> 1
        if compositions[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low < len(compositions) and compositions[low] == wanted
