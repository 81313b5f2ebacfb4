"""Texts without the lines that go by what they are.

What is left of a text: menus first, then line by line what C4's rules keep, then blank lines as far as they may follow
one another. With C4's rules lines are those of ``str.splitlines``, kept ones are stripped and joined by line feeds;
without them lines end at line feeds and kept ones stay as they are, to the byte. Blank lines on both sides of what went
do not add up. A text of which only blank lines would be left becomes empty.

Legend: N documents, R rules (``RULES``).
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import strings_from_buffers
from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.text.characters import BREAK, character_tables, class_of, code_point_at
from winnow.text.line_rules.config import RULES, LineRulesConfig
from winnow.text.line_rules.judge import (
    BLANK,
    CITATION,
    FEW_WORDS,
    KEPT,
    LONG_WORD,
    NAVIGATION,
    TERMINAL_MARK,
    citation_end,
    ends_terminally,
    is_link_like,
    look_for_phrases,
    phrase_rule,
    words_and_longest,
)
from winnow.text.lines.line_keys import LINE_FEED, readable_buffers
from winnow.text.signals.lines import skip_space, strip_end

_R = len(RULES)
# of the settings, as an array of numbers
_C4, _TERMINAL, _MIN_WORDS, _MAX_WORD, _SCRIPTS, _POLICIES, _CITATIONS, _MIN_RUN, _MAX_WORDS, _MAX_LENGTH, _BLANKS = (
    range(11)
)
_SETTINGS = 11
# of what is going on in a document: where blank lines wait, whether lines went since the last kept one
_FROM, _TO, _WAITING, _WENT, _WRITTEN, _STATE = range(6)


@kernel
def _next_line(data: Any, i: int, end: int, printed: bool, pages: Any, classes: Any) -> tuple[int, int]:
    """Where the line that begins at byte i ends, and where the next one begins; equal for the last one."""
    while i < end:
        byte = data[i]
        if byte == LINE_FEED:
            return i, i + 1
        if printed:
            if byte == 13:
                return i, i + 2 if i + 1 < end and data[i + 1] == LINE_FEED else i + 1
            if 11 <= byte <= 12 or 28 <= byte <= 30:
                return i, i + 1
            if byte in (0xC2, 0xE2):
                code_point, size = code_point_at(data, i)
                if class_of(pages, classes, code_point) & BREAK:
                    return i, i + size
        i += 1
    return end, end


@kernel
def _copy(source: Any, start: int, end: int, target: Any, at: int) -> int:
    for k in range(end - start):
        target[at + k] = source[start + k]
    return at + end - start


@kernel
def _blank(state: Any, start: int, following: int) -> None:
    """A blank line waits for the next kept one; behind lines that went, only if none waits yet."""
    if state[_WAITING] == 0:
        state[_FROM] = start
    elif state[_WENT]:
        return
    state[_TO] = following
    state[_WAITING] += 1


@kernel
def _write_blanks(data: Any, state: Any, most: int, target: Any, at: int) -> int:
    """The blank lines that wait, each with its line feed; at most ``most`` (negative: all)."""
    i, number = state[_FROM], state[_WAITING]
    if most >= 0:
        number = min(number, most)
    for _ in range(number):
        while i < state[_TO] and data[i] != LINE_FEED:
            target[at] = data[i]
            at += 1
            i += 1
        if i < state[_TO]:
            target[at] = LINE_FEED
            at += 1
            i += 1
    state[_WRITTEN] += number
    state[_WAITING] = 0
    state[_WENT] = 0
    return at


@kernel
def _take_c4_line(
    data: Any, first: int, last: int, begun: int, settings: Any, pages: Any, classes: Any, found: Any, out: Any, at: int
) -> tuple[int, int, int]:
    """Write a stripped line if C4's rules keep it: the rule it breaks, where the text now ends, bytes of citations."""
    words, longest = words_and_longest(data, first, last, pages, classes)
    if longest > settings[_MAX_WORD]:
        return LONG_WORD, at, 0
    start = at
    if at > begun:
        out[at] = LINE_FEED
        at += 1
    line, cited, i = at, 0, first
    while i < last:
        if settings[_CITATIONS] and data[i] == 91:
            behind = citation_end(data, i, last)
            if behind > i:
                cited += behind - i
                i = behind
                continue
        out[at] = data[i]
        at += 1
        i += 1
    if settings[_TERMINAL] and not ends_terminally(out, line, at, pages, classes):
        return TERMINAL_MARK, start, 0
    if words < settings[_MIN_WORDS]:
        return FEW_WORDS, start, 0
    look_for_phrases(out, line, at, found)
    rule = phrase_rule(found, settings[_SCRIPTS] != 0, settings[_POLICIES] != 0)
    if rule != KEPT:
        return rule, start, 0
    if line == begun:  # what a citation has left before the text
        clear = skip_space(out, line, at, at, pages, classes)
        at = _copy(out, clear, at, out, line)
    return KEPT, at, cited


@kernel
def _clean(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    settings: NDArray[np.int64],
    pages_array: NDArray[np.uint16],
    classes_array: NDArray[np.uint16],
    out_array: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
    counts_array: NDArray[np.int64],
) -> None:
    """Write the texts to ``out``; ``counts`` int64[N, 2, R]: lines and bytes that went by each rule."""
    bytes_, out = pointer_to(data), pointer_to(out_array)
    pages, classes = pointer_to(pages_array), pointer_to(classes_array)
    found, state_array, saved_state = np.zeros(8, np.int64), np.zeros(_STATE, np.int64), np.zeros(_STATE, np.int64)
    saved_counts = np.zeros((2, _R), np.int64)
    state, c4 = pointer_to(state_array), settings[_C4] != 0
    at = 0
    out_offsets[0] = 0
    for n in range(len(offsets) - 1):
        i, end = offsets[n], offsets[n + 1]
        begun, counts = at, counts_array[n]
        state_array[:] = 0
        run, run_bytes, saved_at, blanks, any_went = 0, 0, at, 0, False
        blank_from, blank_to = 0, -1
        ended = False
        while i < end or run:
            start = i
            stop, i = _next_line(bytes_, start, end, c4, pages, classes)
            over = start >= end
            first = skip_space(bytes_, start, stop, len(data), pages, classes)
            if first == stop and not over:
                blanks += 1
                _blank(state, start, i)
                if run and blank_to < 0:
                    blank_from, blank_to = start, i
                ended = i > stop
                continue
            last = strip_end(bytes_, first, stop, pages, classes)
            link = (
                not over
                and settings[_MIN_RUN] > 0
                and is_link_like(bytes_, first, last, settings[_MAX_WORDS], settings[_MAX_LENGTH], pages, classes)
            )
            if link:
                if run == 0:
                    saved_state[:] = state_array
                    saved_counts[:] = counts
                    saved_at, run_bytes, blank_to = at, 0, -1
                run += 1
                run_bytes += i - start
            elif run:
                if run >= settings[_MIN_RUN]:
                    state_array[:] = saved_state
                    counts[:] = saved_counts
                    at = saved_at
                    if state[_WAITING] == 0 and blank_to >= 0:  # the first one within or behind it
                        state[_FROM], state[_TO], state[_WAITING] = blank_from, blank_to, 1
                    state[_WENT] = 1
                    any_went = True
                    counts[0, NAVIGATION - 1] += run
                    counts[1, NAVIGATION - 1] += run_bytes
                run = 0
            if over:
                break
            ended = i > stop
            if c4:
                rule, at, cited = _take_c4_line(bytes_, first, last, begun, settings, pages, classes, found, out, at)
                counts[0, CITATION - 1] += cited > 0
                counts[1, CITATION - 1] += cited
            else:
                rule = KEPT
            if rule != KEPT:
                counts[0, rule - 1] += 1
                counts[1, rule - 1] += i - start
                state[_WENT] = 1
                any_went = True
                continue
            if c4:
                state[_WAITING] = 0
                state[_WENT] = 0
            else:
                if at > begun:
                    out[at] = LINE_FEED
                    at += 1
                at = _write_blanks(bytes_, state, settings[_BLANKS], out, at)
                at = _copy(bytes_, start, stop, out, at)
        if c4:
            at = strip_end(out, begun, at, pages, classes)
        elif at > begun and ended:
            out[at] = LINE_FEED
            at = _write_blanks(bytes_, state, settings[_BLANKS], out, at + 1)
        elif state[_WAITING] and settings[_BLANKS] != 0 and not any_went:
            if at > begun:
                out[at] = LINE_FEED
                at += 1
            at = _write_blanks(bytes_, state, settings[_BLANKS], out, at)
            at -= not ended and out[at - 1] == LINE_FEED  # it is the last line now
        counts[0, BLANK - 1] = blanks - state[_WRITTEN]
        gone = 0
        for rule in range(_R):
            gone += counts[1, rule]
        counts[1, BLANK - 1] = end - offsets[n] - (at - begun) - gone
        out_offsets[n + 1] = at


class Cleaned(NamedTuple):
    """The texts of a batch without the lines that went."""

    texts: pa.Array
    """large_string[N]; the very input where nothing went."""
    lines: NDArray[np.int64]
    """int64[N, R], lines that went by each rule; of `citation`, lines that lost one."""
    bytes: NDArray[np.int64]
    """int64[N, R]: a line's with its line feed; of `blank`, also white space around lines. Their sum is what the text
    is shorter by."""


class LineCleaner:
    """Takes lines out of texts by the rules of a config."""

    def __init__(self, config: LineRulesConfig) -> None:
        c4, navigation = config.c4, config.navigation
        numbers = np.zeros(_SETTINGS, np.int64)
        if c4 is not None:
            numbers[_C4], numbers[_TERMINAL] = 1, c4.terminal_punctuation
            numbers[_MIN_WORDS], numbers[_MAX_WORD] = c4.min_words, c4.max_word_characters
            numbers[_SCRIPTS], numbers[_POLICIES], numbers[_CITATIONS] = c4.javascript, c4.policy, c4.citations
        if navigation is not None:
            numbers[_MIN_RUN] = navigation.min_lines
            numbers[_MAX_WORDS], numbers[_MAX_LENGTH] = navigation.max_words, navigation.max_characters
        numbers[_BLANKS] = -1 if config.max_blank_lines is None else config.max_blank_lines
        self._settings = numbers

    def __call__(self, texts: pa.Array) -> Cleaned:
        """Clean a batch, large_string[N] without nulls.

        Raises:
            TypeError, ValueError: another type, or nulls.
        """
        data, offsets = readable_buffers(texts)
        tables = character_tables()
        out, out_offsets = np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint8), np.empty(len(offsets), np.int64)
        counts = np.zeros((len(texts), 2, _R), np.int64)
        _clean(data, offsets, self._settings, tables.class_pages, tables.classes, out, out_offsets, counts)
        lines, sizes = counts[:, 0], counts[:, 1]
        if not sizes.any():
            return Cleaned(texts, lines, sizes)
        return Cleaned(strings_from_buffers(out[: out_offsets[-1]], out_offsets), lines, sizes)
