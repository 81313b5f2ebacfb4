"""Kernels that judge one line: C4's rules, and whether it looks like a link of a menu.

C4's rules are those of Raffel et al. 2020, section 2.2, in the order and with the details of datatrove's
``C4QualityFilter``; where it means words between spaces, a character of a script written without spaces counts as one,
and the full stops of other scripts end a line as ``.`` does.
"""

from typing import Any

from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.characters import LETTER, MARK, SPACE, SPACELESS, TERMINAL, WORD, class_of, code_point_at
from winnow.text.signals.c4 import (
    CURLY,
    LOREM,
    POLICY,
    SCRIPT,
    begin_line,
    is_ascii_space,
    last_class,
    note_letter,
)

KEPT, NAVIGATION, LONG_WORD, TERMINAL_MARK, FEW_WORDS, JAVASCRIPT, POLICY_LINE, CITATION, BLANK = range(9)
"""Numbers of ``RULES`` (:mod:`winnow.text.line_rules.config`), each its place there and one; 0 is none."""
_EDIT = (91, 101, 100, 105, 116, 93)  # [edit]
_NEEDED = (91, 99, 105, 116, 97, 116, 105, 111, 110, 32, 110, 101, 101, 100, 101, 100, 93)  # [citation needed]
_BULLETS = (0x2022, 0xB7, 0xBB, 0x203A, 0x25AA, 0x25CF, 0x2023, 0x2013)
_COMMAS = (0x3001, 0xFF0C, 0xFF1A, 0xFF1B)


@kernel
def _stands(data: Any, i: int, end: int, phrase: Any) -> bool:
    if i + len(phrase) > end:
        return False
    for k in range(len(phrase)):  # noqa: SIM110 - a generator does not compile
        if data[i + k] != phrase[k]:
            return False
    return True


@kernel
def citation_end(data: Any, i: int, end: int) -> int:
    """Where the citation that begins at byte i, a bracket, ends; i where there is none."""
    k = i + 1
    while k < end and 48 <= data[k] <= 57:
        k += 1
    if k < end and data[k] == 93:
        return k + 1
    if _stands(data, i, end, _EDIT):
        return i + len(_EDIT)
    if _stands(data, i, end, _NEEDED):
        return i + len(_NEEDED)
    return i


@kernel
def words_and_longest(data: Any, i: int, end: int, pages: Any, classes: Any) -> tuple[int, int]:
    """Words of a line, and characters of the longest; a character of a script without spaces is a word."""
    words, longest, length = 0, 0, 0
    while i < end:
        byte = data[i]
        if byte < 128:
            i += 1
            if is_ascii_space(byte):
                length = 0
                continue
        else:
            code_point, size = code_point_at(data, i)
            kind = class_of(pages, classes, code_point)
            i += size
            if kind & SPACE:
                length = 0
                continue
            if kind & SPACELESS:
                words += 1
                length = 0
                longest = max(longest, 1)
                continue
        words += length == 0
        length += 1
        longest = max(longest, length)
    return words, longest


@kernel
def ends_terminally(data: Any, start: int, end: int, pages: Any, classes: Any) -> bool:
    """Whether the very last character is terminal punctuation, and the line no ellipsis."""
    if end <= start:
        return False
    last = data[end - 1]
    if last >= 128:
        return last_class(data, start, end, pages, classes) & TERMINAL != 0  # type: ignore[no-any-return]
    if last == 46:
        return not (end - start >= 3 and data[end - 2] == 46 and data[end - 3] == 46)
    return last in (33, 63, 34, 39)


@kernel
def look_for_phrases(data: Any, start: int, end: int, found: Any) -> None:
    """Set ``found`` (as :mod:`winnow.text.signals.c4` numbers it) for the phrases that stand in the line."""
    begin_line(found)
    for i in range(start, end):
        byte = data[i]
        if byte == 123:
            found[CURLY] = 1
        letter = byte | 32
        if letter in (106, 107, 109, 118):  # j k m v
            note_letter(data, i, start, end, found)


@inline_kernel
def phrase_rule(found: Any, javascript: bool, policy: bool) -> int:
    """The rule that the phrases of a line break; a line that C4 drops the whole document for stays, for the filter."""
    if found[LOREM]:
        return KEPT
    if javascript and found[SCRIPT]:
        return JAVASCRIPT
    if found[CURLY]:
        return KEPT
    return POLICY_LINE if policy and found[POLICY] else KEPT


@inline_kernel
def _is_plain_mark(byte: int) -> bool:
    return byte in (38, 39, 43, 45, 47, 124)  # & ' + - / |


@kernel
def is_link_like(data: Any, i: int, end: int, max_words: int, max_characters: int, pages: Any, classes: Any) -> bool:
    """Whether a stripped line looks like a link of a menu.

    Behind a bullet, if there is one: a capital letter or one of a script without capitals first; no digit; of marks
    only ``& ' + - / |`` and those that are not ASCII and neither end sentences nor part clauses; few words and
    characters.
    """
    if end - i > 4 * (max_characters + 2) + 8:
        return False
    first, size = code_point_at(data, i)
    if (first in (0x2A, 0x2B, 0x2D, 0x7C) or first in _BULLETS) and i + size < end:
        behind, _ = code_point_at(data, i + size)
        if class_of(pages, classes, behind) & SPACE:
            i += size
            while i < end:
                behind, size = code_point_at(data, i)
                if not class_of(pages, classes, behind) & SPACE:
                    break
                i += size
    characters, half_words, letters, inside = 0, 0, 0, False
    while i < end:
        code_point, size = code_point_at(data, i)
        kind = class_of(pages, classes, code_point)
        i += size
        characters += 1
        if kind & SPACE:
            inside = False
            continue
        if kind & LETTER:
            if letters == 0 and (97 <= code_point <= 122 or inside):
                return False
            letters += 1
        elif code_point < 128:
            if not _is_plain_mark(code_point) or letters == 0:
                return False
        elif kind & TERMINAL or code_point in _COMMAS or (kind & WORD and not kind & LETTER and letters == 0):
            return False
        elif kind & MARK == 0 and kind & WORD == 0:
            continue  # drawn as nothing
        if kind & SPACELESS:
            half_words += 1
            inside = False
        elif not inside:
            half_words += 2
            inside = True
        if half_words > 2 * max_words or characters > max_characters:
            return False
    return letters > 0
