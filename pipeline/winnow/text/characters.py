"""What kind of character a code point is, and what it becomes when case is folded: the tables of the text kernels.

A table has two levels of 256 entries, so both fit in a processor's cache. General categories and case folding are
those of the interpreter's Unicode version; whoever stores results names that version beside them.
"""

import unicodedata
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import inline_kernel, kernel

WORD = np.uint16(1)
"""Part of a word: general category L*, M* or Nd."""
SPACELESS = np.uint16(2)
"""A word character of a script written without spaces: a word of its own."""
LETTER = np.uint16(4)
"""General category L* (``str.isalpha``)."""
SPACE = np.uint16(8)
"""White space as ``str.isspace``, ``str.strip`` and ``str.split`` have it."""
BREAK = np.uint16(16)
"""Ends a line of ``str.splitlines``."""
TERMINAL = np.uint16(32)
"""Terminal punctuation of FineWeb (159 code points)."""
MARK = np.uint16(64)
"""Visible and not a word: general category P*, S*, Nl or No."""

IGNORED = np.uint16(128)
"""Drawn as nothing: a word goes on across it, and nothing else is told of it."""

IGNORABLE = (
    "AD 34F 61C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0 FFF0-FFF8 "
    "1BCA0-1BCA3 1D173-1D17A E0000-E01FF"
)
"""Code points with the Unicode property Default_Ignorable_Code_Point (hexadecimal): soft hyphens, zero-width spaces and
joiners, directions, variation selectors."""

SPACELESS_BLOCKS = {
    "Thai": (0x0E00, 0x0E7F),
    "Lao": (0x0E80, 0x0EFF),
    "Myanmar": (0x1000, 0x109F),
    "Khmer": (0x1780, 0x17FF),
    "CJK Symbols and Punctuation": (0x3000, 0x303F),
    "Hiragana": (0x3040, 0x309F),
    "Katakana": (0x30A0, 0x30FF),
    "Katakana Phonetic Extensions": (0x31F0, 0x31FF),
    "CJK Unified Ideographs Extension A": (0x3400, 0x4DBF),
    "CJK Unified Ideographs": (0x4E00, 0x9FFF),
    "Myanmar Extended-B": (0xA9E0, 0xA9FF),
    "Myanmar Extended-A": (0xAA60, 0xAA7F),
    "CJK Compatibility Ideographs": (0xF900, 0xFAFF),
    "Halfwidth Katakana": (0xFF66, 0xFF9F),
    "Kana Extended-B, Kana Supplement, Kana Extended-A, Small Kana Extension": (0x1AFF0, 0x1B16F),
    "CJK Unified Ideographs Extensions B to F, Compatibility Supplement": (0x20000, 0x2FA1F),
    "CJK Unified Ideographs Extensions G and H": (0x30000, 0x323AF),
}
"""Blocks of the scripts written without spaces; only their letters, marks and digits are meant."""

LINE_BREAKS = (0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029)
"""The breaks of ``str.splitlines``; CR LF is one."""

TERMINAL_PUNCTUATION = (
    "21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E "
    "1735-1736 17D4-17D6 17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E "
    "1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 "
    "A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52 FE56-FE57 FF01 FF0E FF1F "
    "FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 111C5-111C6 "
    "111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 "
    "11641-11642 1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 "
    "11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 16B44 16E98 1BC9F 1DA88"
)
"""Terminal punctuation of FineWeb: the figures of datatrove's list, in ranges (hexadecimal)."""

_UNIFORM = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x17000, 0x187F7), (0x20000, 0x3FFFF))
_EMPTY = ((0xD800, 0xF8FF), (0x1FC00, 0x1FFFF), (0x40000, 0xDFFFF), (0xE0200, 0x10FFFF))
_CATEGORIES = tuple(
    "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()  # noqa: SIM905
)
_FOLDED_BELOW = 0x1E944  # no cased letter lies above; checked by the tests


class CharacterTables(NamedTuple):
    """The tables, as the kernels take them."""

    class_pages: NDArray[np.uint16]  # [0x1100] page of 256 code points -> page in `classes`
    classes: NDArray[np.uint16]  # [pages * 256] the class bits
    fold_pages: NDArray[np.uint16]  # [0x1100]
    folds: NDArray[np.uint64]  # [pages * 256] 0: folds to itself; else UTF-8 bytes, first lowest, length on top


@kernel
def class_of(pages: Any, classes: Any, code_point: int) -> int:
    """The class bits of a code point; ``pages`` and ``classes`` as in ``CharacterTables``."""
    return classes[(np.int64(pages[code_point >> 8]) << 8) | (code_point & 255)]  # type: ignore[no-any-return]


@inline_kernel
def code_point_at(data: Any, i: int) -> tuple[int, int]:
    """The code point that starts at byte i, and the number of its bytes. Valid UTF-8 is taken for granted."""
    lead: Any = np.int64(data[i])
    code_point = lead
    size = 1
    if lead >= 0xF0:
        code_point = (
            (lead & 7) << 18
            | np.int64(data[i + 1] & 63) << 12
            | np.int64(data[i + 2] & 63) << 6
            | np.int64(data[i + 3] & 63)
        )
        size = 4
    elif lead >= 0xE0:
        code_point = (lead & 15) << 12 | np.int64(data[i + 1] & 63) << 6 | np.int64(data[i + 2] & 63)
        size = 3
    elif lead >= 0xC0:
        code_point = (lead & 31) << 6 | np.int64(data[i + 1] & 63)
        size = 2
    return code_point, size


@cache
def character_tables() -> CharacterTables:
    """Build the tables once a process (some 20 ms)."""
    classes = _classes()
    folds = np.zeros(0x110000, np.uint64)
    for code_point in np.flatnonzero(classes[:_FOLDED_BELOW] & LETTER | classes[:_FOLDED_BELOW] & WORD).tolist():
        if 0x3400 <= code_point < 0xA000 or 0xAC00 <= code_point < 0xD7A4:
            continue
        character = chr(code_point)
        folded = character.casefold()
        if folded != character:
            encoded = folded.encode()
            folds[code_point] = int.from_bytes(encoded, "little") | len(encoded) << 56
    return CharacterTables(*_paged(classes), *_paged(folds))


def _classes() -> NDArray[np.uint16]:
    classes = np.zeros(0x110000, np.uint16)
    bits = {"L": WORD | LETTER, "M": WORD, "Nd": WORD, "P": MARK, "S": MARK, "Nl": MARK, "No": MARK}
    by_category = {category: bits.get(category, bits.get(category[0], np.uint16(0))) for category in _CATEGORIES}
    category = unicodedata.category
    for page in range(0, 0x110000, 256):
        if any(first <= page and page + 255 <= last for first, last in _EMPTY):
            continue
        if any(first <= page and page + 255 <= last for first, last in _UNIFORM):
            kinds = {category(chr(code_point)) for code_point in range(page, page + 256, 8)}
            if len(kinds) == 1:
                classes[page : page + 256] = by_category[kinds.pop()]
                continue
        classes[page : page + 256] = [by_category[category(chr(c))] for c in range(page, page + 256)]
    for first, last in SPACELESS_BLOCKS.values():
        block = classes[first : last + 1]
        block[(block & WORD) != 0] |= SPACELESS
    for code_point in range(0x3001):
        if chr(code_point).isspace():
            classes[code_point] |= SPACE
    classes[list(LINE_BREAKS)] |= BREAK
    for first, last in spans(TERMINAL_PUNCTUATION):
        classes[first : last + 1] |= TERMINAL
    for first, last in spans(IGNORABLE):
        classes[first : last + 1] = IGNORED
    return classes


def spans(listed: str) -> list[tuple[int, int]]:
    """First and last code points of ranges written as ``41-5A 5F``."""
    pairs = (span.partition("-") for span in listed.split())
    return [(int(first, 16), int(last or first, 16)) for first, _, last in pairs]


def _paged(table: NDArray[Any]) -> tuple[NDArray[np.uint16], NDArray[Any]]:
    """Store equal pages once."""
    numbers: dict[bytes, int] = {}
    pages: list[NDArray[Any]] = []
    index = np.zeros(0x1100, np.uint16)
    for number, page in enumerate(table.reshape(0x1100, 256)):
        key = page.tobytes()
        if key not in numbers:
            numbers[key] = len(pages)
            pages.append(page)
        index[number] = numbers[key]
    return index, np.concatenate(pages)
