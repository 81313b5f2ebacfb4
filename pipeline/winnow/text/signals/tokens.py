"""Tokens of the repetition rules: words and marks in the order in which published tools count them.

Gopher's n-grams are of words *and* marks, and published tools (datatrove) take those of spaCy's English tokeniser, so
that `...` and `;` take part and `style.css` is one. This is that tokeniser's shape by a few rules that hold for every
script; its lists of exceptions (contractions, abbreviations, URLs) are left out. A *piece* is what stands between
white space or controls; a word of a script written without spaces is a token of its own and ends a piece. Inside it

- a run of full stops or of hyphens is one mark, every other mark one by itself;
- marks before the first word and after the last are tokens, but one of ``- / \\ @ ^ | ~ + .`` before the first word
  begins a token with all that follows it;
- words with marks between them are one token, unless a single mark separates them: ``, ~`` or a hyphen or dash between
  letters; ``: < > = /`` between a letter or digit and a letter; two or more full stops, or an ellipsis.

The hash of a token of one word is that word's; others are mixed from those of their words and marks, in order.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.characters import IGNORED, LETTER, MARK, SPACELESS, WORD, class_of, code_point_at

GOES_ON = "-/\\@^|~+."
"""Marks that begin a token with what follows them."""
BETWEEN_LETTERS = ",-~\u2013\u2014"
"""Marks that separate words where letters stand on both sides."""
BEFORE_A_LETTER = ":<>=/"
"""Marks that separate words where a letter or digit stands before them and a letter behind."""

_FULL_STOP, _HYPHEN, _ELLIPSIS = 0x2E, 0x2D, 0x2026
_MIX = np.uint64(0xD6E8FEB86659FD93)
_ROLES_END = 0x2015
_NONE, _BEGINS, _LETTERS, _LETTER = (np.uint8(bit) for bit in (0, 1, 2, 4))


def _roles() -> NDArray[np.uint8]:
    roles = np.zeros(_ROLES_END, np.uint8)
    for marks, role in ((GOES_ON, _BEGINS), (BETWEEN_LETTERS, _LETTERS), (BEFORE_A_LETTER, _LETTER)):
        roles[[ord(mark) for mark in marks]] |= role
    return roles


ROLES = _roles()
"""uint8[_ROLES_END]: what a mark does, by its code point."""


@inline_kernel
def _joined(first: Any, second: Any) -> Any:
    value = (first ^ (second << np.uint64(1)) ^ (second >> np.uint64(63))) * _MIX
    return value ^ (value >> np.uint64(32))


@kernel
def _class_before(data: Any, i: int, pages: Any, classes: Any) -> Any:
    i -= 1
    while data[i] & 0xC0 == 0x80:
        i -= 1
    return class_of(pages, classes, code_point_at(data, i)[0])


@kernel
def _separates(data: Any, mark: int, run: int, before: int, after: int, pages: Any, classes: Any, roles: Any) -> bool:
    """Whether a single mark separates the word that ends at byte ``before`` and the one that begins at ``after``."""
    if mark == _ELLIPSIS or (mark == _FULL_STOP and run > 1):
        return True
    role = roles[mark] if mark < _ROLES_END else _NONE
    if not role & (_LETTERS | _LETTER):
        return False
    if not class_of(pages, classes, code_point_at(data, after)[0]) & LETTER:
        return False
    return bool(_class_before(data, before, pages, classes) & (LETTER if role & _LETTERS else WORD))


@kernel
def tokens_of(
    data: Any, begin: int, end: int, pages: Any, classes: Any, roles: Any, word_hashes: Any, word_lengths: Any,
    places: Any, words: int, hashes: Any, lengths: Any,
) -> int:  # fmt: skip
    """Join the words of one text, bytes ``begin`` to ``end``, with its marks: the number of its tokens.

    Arrays come as pointers: the text's words, the class tables, ``ROLES``, and hashes and lengths of tokens to write.
    """
    number: Any = 0
    i: Any = begin
    core: Any = -1  # the token that goes on, and where its last word or mark ends
    core_end: Any = begin
    pending: Any = 0  # marks after it, which are tokens unless a word follows
    mark: Any = 0  # the last of them, and how many of it
    run = 0
    for word in range(words + 1):
        last = word == words
        start: Any = end if last else begin + np.int64(places[2 * word])
        while i < start:
            point: Any = np.int64(data[i])
            size: Any = 1
            if point <= 0x20:
                core, pending = -1, 0
                i += 1
                continue
            if point >= 0x7F:  # what else is ASCII and in no word is a mark
                point, size = code_point_at(data, i)
                kind = class_of(pages, classes, point)
                if not kind & MARK:
                    if not kind & IGNORED:
                        core, pending = -1, 0
                    i += size
                    continue
            mark, run = point, 1
            value = _joined(_MIX, np.uint64(mark))
            if mark in (_FULL_STOP, _HYPHEN):
                while i + run < start and data[i + run] == mark:
                    value = _joined(value, np.uint64(mark))
                    run += 1
            i += size * run
            hashes[number], lengths[number] = value, run
            number += 1
            if core >= 0:
                pending += 1
            elif mark < _ROLES_END and roles[mark] & _BEGINS and not (mark == _FULL_STOP and run > 1):
                core, core_end = number - 1, i
        if last:
            break
        value, length = word_hashes[word], word_lengths[word]
        i = begin + np.int64(places[2 * word + 1])
        if data[start] >= 0xE0 and class_of(pages, classes, code_point_at(data, start)[0]) & SPACELESS:
            hashes[number], lengths[number] = value, length
            number += 1
            core, pending = -1, 0
            continue
        if core >= 0 and not (pending == 1 and _separates(data, mark, run, core_end, start, pages, classes, roles)):
            for k in range(core + 1, number):
                hashes[core] = _joined(hashes[core], hashes[k])
                lengths[core] += lengths[k]
            hashes[core] = _joined(hashes[core], value)
            lengths[core] += length
            number = core + 1
        else:
            hashes[number], lengths[number] = value, length
            core = number
            number += 1
        pending, core_end = 0, i
    return number  # type: ignore[no-any-return]
