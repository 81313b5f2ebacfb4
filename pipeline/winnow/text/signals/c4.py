"""The line rules of C4 (Raffel et al. 2020, section 2.2; order and details as datatrove has them), on one printed line.

A line is stripped, then dropped if it has a word of over 1,000 characters, has fewer than three words, mentions
JavaScript or states a policy; with terminal punctuation required, also if it does not end in ``. ? ! " '`` (or the full
stop of another script) or ends in an ellipsis. Where the paper means words between spaces, a character of a script
written without spaces counts as one. Every count is taken with and without the rule on terminal punctuation.

A sentence begins at the first word after an end: a full stop, ``!`` or ``?`` that no word follows directly, or the full
stop of another script. Neither two or more full stops nor the one of an initial ("J. Smith") end a sentence.
"""

from typing import Any

import numpy as np

from winnow.numeric.bits import bytes_between, count_ones
from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.characters import BREAK, SPACE, SPACELESS, TERMINAL, WORD, class_of, code_point_at
from winnow.text.signals.blocks import BLOCK, ascii_spaces

C4_COUNTS = (
    "c4_lines",
    "c4_sentences",
    "c4_lorem_ipsum_lines",
    "c4_curly_bracket_lines",
    "c4_terminal_lines",
    "c4_terminal_sentences",
    "c4_terminal_lorem_ipsum_lines",
    "c4_terminal_curly_bracket_lines",
)
"""Lines kept, sentences in them, and lines that reach the two rules that drop a document; then the same with the rule
on terminal punctuation."""

_LONGEST_WORD = 1000
_WORDS_A_LINE = 3

# What is known of the printed line so far: the first numbers of an int64 array
SENTENCES, NEXT_WORD, IS_WORD, LAST_BEGUN, CURLY, LOREM, SCRIPT, POLICY = range(8)

_JAVASCRIPT, _COOKIE, _PRIVACY, _LOREM_IPSUM, _TERMS = (
    np.frombuffer(phrase, np.uint8)
    for phrase in (b"javascript", b"cookie", b"privacy policy", b"lorem ipsum", b"terms of use")
)
_BEFORE_COOKIES = (
    np.frombuffer(b"use ", np.uint8),
    np.frombuffer(b"uses ", np.uint8),
    np.frombuffer(b"use of ", np.uint8),
)
_PLURAL, _COOKIE_POLICY = np.frombuffer(b"cookies", np.uint8), np.frombuffer(b"cookie policy", np.uint8)
_EDIT, _NEEDED = np.frombuffer(b"[edit]", np.uint8), np.frombuffer(b"[citation needed]", np.uint8)


@kernel
def begin_line(found: Any) -> None:
    """Forget the previous printed line."""
    for k in range(8):
        found[k] = 0
    found[NEXT_WORD] = -1
    found[LAST_BEGUN] = -1


@kernel
def _matches(data: Any, at: int, start: int, end: int, phrase: Any) -> bool:
    """Whether ASCII ``phrase`` (lower case) stands at byte ``at``, in any case."""
    if at < start or at + len(phrase) > end:
        return False
    for k in range(len(phrase)):
        byte = data[at + k]
        if byte != phrase[k] and (byte < 65 or byte > 90 or byte + 32 != phrase[k]):
            return False
    return True


@kernel
def note_letter(data: Any, i: int, start: int, end: int, found: Any) -> None:
    """Look for a phrase around one of its rare letters: J, K, M or V at byte i."""
    letter = data[i] | 32
    if letter == 106:
        found[SCRIPT] |= _matches(data, i, start, end, _JAVASCRIPT)
    elif letter == 118:
        found[POLICY] |= _matches(data, i - 3, start, end, _PRIVACY)
    elif letter == 109:
        found[LOREM] |= _matches(data, i - 4, start, end, _LOREM_IPSUM)
        found[POLICY] |= _matches(data, i - 3, start, end, _TERMS)
    elif _matches(data, i - 3, start, end, _COOKIE):
        found[POLICY] |= _matches(data, i - 3, start, end, _COOKIE_POLICY)
        if _matches(data, i - 3, start, end, _PLURAL):
            found[POLICY] |= _matches(data, i - 7, start, end, _BEFORE_COOKIES[0])
            found[POLICY] |= _matches(data, i - 8, start, end, _BEFORE_COOKIES[1])
            found[POLICY] |= _matches(data, i - 10, start, end, _BEFORE_COOKIES[2])


@kernel
def end_sentence(data: Any, i: int, end: int, pages: Any, classes: Any, found: Any) -> None:
    """A sentence ends before byte i; count the one that the next word of the line begins, once."""
    if found[NEXT_WORD] < i:
        kind = 0
        while i < end:
            code_point, size = code_point_at(data, i)
            kind = class_of(pages, classes, code_point)
            if kind & (WORD | BREAK):
                break
            i += size
        found[NEXT_WORD] = i
        found[IS_WORD] = i < end and kind & WORD != 0
    if found[IS_WORD] and found[LAST_BEGUN] != found[NEXT_WORD]:
        found[LAST_BEGUN] = found[NEXT_WORD]
        found[SENTENCES] += 1


@inline_kernel
def is_ascii_space(byte: int) -> bool:
    """White space as ``str.isspace`` has it, of a byte below 128."""
    return 28 <= byte <= 32 or 9 <= byte <= 13


@kernel
def _has_three_words(data: Any, i: int, end: int, data_end: int, pages: Any, classes: Any) -> bool:
    if data[i] < 128 and i + BLOCK <= data_end:
        size = min(BLOCK, end - i)
        line = ~np.uint64(0) >> np.uint64(BLOCK - size)
        wide = bytes_between(data, i, 128, 255) & line
        filled = ~ascii_spaces(data, i) & line
        if wide:
            filled &= (wide & (np.uint64(0) - wide)) - np.uint64(1)  # the bytes before them
        if count_ones(filled & ~(filled << np.uint64(1))) >= _WORDS_A_LINE:
            return True
        if not wide and i + size == end:
            return False
    words = 0
    inside = False
    while i < end:
        byte = data[i]
        if byte < 128:
            i += 1
            if is_ascii_space(byte):
                inside = False
                continue
            if inside:
                continue
            inside = True
            words += 1
        else:
            code_point, size = code_point_at(data, i)
            kind = class_of(pages, classes, code_point)
            i += size
            if kind & SPACE:
                inside = False
            elif kind & SPACELESS:
                words += 1
                inside = False
            elif not inside:
                words += 1
                inside = True
        if words >= _WORDS_A_LINE:
            return True
    return False


@kernel
def _has_long_word(data: Any, i: int, end: int, pages: Any, classes: Any) -> bool:
    while end - i > _LONGEST_WORD:
        # a white space in the next 1,000 bytes: no longer word begins before it
        space = i + _LONGEST_WORD
        while space >= i and data[space] != 32:
            space -= 1
        if space < i:
            break
        i = space + 1
    length = 0
    while i < end and (length or end - i > _LONGEST_WORD):
        code_point, size = code_point_at(data, i)
        length = 0 if class_of(pages, classes, code_point) & (SPACE | SPACELESS) else length + 1
        if length > _LONGEST_WORD:
            return True
        i += size
    return False


@kernel
def _without_citations(data: Any, start: int, end: int) -> int:
    """The end of the line once ``[12]``, ``[edit]`` and ``[citation needed]`` are taken off it."""
    while end > start and data[end - 1] == 93:
        i = end - 1
        while i > start and 48 <= data[i - 1] <= 57:
            i -= 1
        if i > start and data[i - 1] == 91:
            end = i - 1
        elif _same(data, end - len(_EDIT), start, _EDIT):
            end -= len(_EDIT)
        elif _same(data, end - len(_NEEDED), start, _NEEDED):
            end -= len(_NEEDED)
        else:
            break
    return end


@kernel
def _same(data: Any, at: int, start: int, phrase: Any) -> bool:
    if at < start:
        return False
    for k in range(len(phrase)):  # noqa: SIM110 - a generator does not compile
        if data[at + k] != phrase[k]:
            return False
    return True


@kernel
def last_class(data: Any, start: int, end: int, pages: Any, classes: Any) -> int:
    """The class bits of the last code point before ``end``; 0 if there is none."""
    if end <= start:
        return 0
    i = end - 1
    while i > start and data[i] & 0xC0 == 0x80:
        i -= 1
    return class_of(pages, classes, code_point_at(data, i)[0])


@kernel
def count_printed_line(
    data: Any, start: int, end: int, data_end: int, pages: Any, classes: Any, found: Any, counts: Any, base: int
) -> None:
    """Add one stripped, non-blank printed line to counts[base : base + 8] (``C4_COUNTS``)."""
    if end - start > _LONGEST_WORD and _has_long_word(data, start, end, pages, classes):
        return
    if not _has_three_words(data, start, end, data_end, pages, classes):
        return
    _add_line(found, counts, base)
    close = _without_citations(data, start, end)
    if close > start:
        last = data[close - 1]
        if last >= 128:
            terminal = last_class(data, start, close, pages, classes) & TERMINAL != 0
        elif last == 46:
            terminal = not (close - start >= 3 and data[close - 2] == 46 and data[close - 3] == 46)
        else:
            terminal = last in (33, 63, 34, 39)
        if terminal:
            _add_line(found, counts, base + 4)


@inline_kernel
def _add_line(found: Any, counts: Any, base: int) -> None:
    counts[base + 2] += found[LOREM]
    if not found[SCRIPT]:
        counts[base + 3] += found[CURLY]
        if not found[POLICY]:
            counts[base] += 1
            counts[base + 1] += 1 + found[SENTENCES]
