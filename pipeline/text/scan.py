"""One pass over the characters and lines of each text: every count that is not about words.

Four kinds of line occur in the published rules, and each is kept apart:

- text line: between runs of line feeds (``re.split("\\n+", text)``); a leading or trailing run adds an empty one
- filled line: between line feeds, with a character that is not white space
- printed line: as ``str.splitlines`` has it (also vertical tab, form feed, NEL, U+2028 ...)
- paragraph: of the stripped text, between two or more line feeds
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.arrow_strings import string_buffers
from pipeline.compiled import kernel
from pipeline.text.characters import BREAK, MARK, TERMINAL, WORD, CharacterTables, character_tables, class_of
from pipeline.text.scan_bits import borrowed
from pipeline.text.scan_c4 import (
    C4_COUNTS,
    CURLY,
    begin_line,
    count_printed_line,
    end_sentence,
    last_class,
    note_letter,
)
from pipeline.text.scan_lines import count_characters, find_line, skip_space, strip_end
from pipeline.text.scan_tables import add_key, grown, slots_for
from pipeline.text.words import code_point_at

SCAN_COUNTS = (
    "bytes",
    "characters",
    "marks",
    "mark_runs",
    "hash_signs",
    "ellipses",
    "line_feeds",
    "filled_lines",
    "terminal_lines",
    "short_lines",
    "repeated_line_characters",
    "text_lines",
    "duplicate_lines",
    "duplicate_line_characters",
    "paragraphs",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "printed_lines",
    "bullet_lines",
    "ellipsis_lines",
    *C4_COUNTS,
)
"""What is counted, in the order of the rows; meanings in ``signals.py``."""

(
    _BYTES, _CHARACTERS, _MARKS, _MARK_RUNS, _HASH_SIGNS, _ELLIPSES, _LINE_FEEDS, _FILLED, _TERMINAL,
    _SHORT, _REPEATED, _TEXT_LINES, _DUPLICATE_LINES, _DUPLICATE_LINE_CHARACTERS, _PARAGRAPHS,
    _DUPLICATE_PARAGRAPHS, _DUPLICATE_PARAGRAPH_CHARACTERS, _PRINTED, _BULLETS, _ELLIPSIS_LINES,
) = range(20)  # fmt: skip
_C4 = 20

SHORT_LINE_CHARACTERS = 30
"""A line of at most so many characters is short (FineWeb)."""

_NEXT_LINE = np.uint64(0xD6E8FEB86659FD93)

# What the scan stops at, a byte
_PLAIN, _MARK, _FULL_STOP, _QUOTE, _EXCLAIM, _HASH, _BRACKET, _LETTER, _CONTROL, _NOT_ASCII = range(10)


def scan(texts: pa.Array) -> NDArray[np.uint32]:
    """Count characters, marks, lines and paragraphs of each text.

    Args:
        texts: large_string[N] without nulls.

    Returns:
        uint32[len(SCAN_COUNTS), N].

    Raises:
        TypeError, ValueError: another type, or nulls.
    """
    data, offsets = string_buffers(texts)
    tables = character_tables()
    out = np.zeros((len(SCAN_COUNTS), len(offsets) - 1), np.uint32)
    found, counts = np.zeros(8, np.int64), np.zeros(len(SCAN_COUNTS), np.int64)
    _scan(data, offsets, tables.class_pages, tables.classes, _byte_kinds(tables), found, counts, out)
    return out


def _byte_kinds(tables: CharacterTables) -> NDArray[np.uint8]:
    kinds = np.full(256, _PLAIN, np.uint8)
    kinds[:32] = _CONTROL
    kinds[9] = _PLAIN
    kinds[list(b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")] = _MARK
    kinds[list(b"jJkKmMvV")] = _LETTER
    kinds[list(b"!?")] = _EXCLAIM
    kinds[ord(".")], kinds[ord("'")], kinds[ord("#")], kinds[ord("{")] = _FULL_STOP, _QUOTE, _HASH, _BRACKET
    # a lead byte under which no mark and no line break lies (Cyrillic, most of Han and Hangul) is plain too
    basic = tables.classes.reshape(-1, 256)[tables.class_pages[:256]].reshape(-1)
    for lead in range(0xC2, 0xF5):
        first, last = ((lead & 31) << 6, 63) if lead < 0xE0 else ((lead & 15) << 12, 4095)
        if lead >= 0xF0 or (basic[first : first + last + 1] & (MARK | BREAK)).any():
            kinds[lead] = _NOT_ASCII
    return kinds


@kernel
def _between_words(data: Any, i: int, after: int, start: int, end: int, pages: Any, classes: Any) -> bool:
    """Whether word characters stand directly before byte i and at byte ``after``."""
    if i == start or after >= end or not last_class(data, start, i, pages, classes) & WORD:
        return False
    return bool(class_of(pages, classes, code_point_at(data, after)[0]) & WORD)


@kernel
def _ends_sentence(data: Any, i: int, start: int, end: int, pages: Any, classes: Any) -> bool:
    """Whether the ASCII mark at byte i ends a sentence."""
    if i + 1 < end and class_of(pages, classes, code_point_at(data, i + 1)[0]) & WORD:
        return False
    initial = data[i] == 46 and i > start and 65 <= data[i - 1] <= 90
    return not (initial and (i - 1 == start or not last_class(data, start, i - 1, pages, classes) & WORD))


@kernel
def _close_printed_line(data: Any, start: int, end: int, pages: Any, classes: Any, found: Any, counts: Any) -> None:
    counts[_PRINTED] += 1
    start = skip_space(data, start, end, pages, classes)
    end = strip_end(data, start, end, pages, classes)
    if start < end:
        first = code_point_at(data, start)[0]
        counts[_BULLETS] += first in (0x2D, 0x2022)
        if data[end - 1] == 46:
            counts[_ELLIPSIS_LINES] += end - start >= 3 and data[end - 2] == 46 and data[end - 3] == 46
        elif end - start >= 3:
            counts[_ELLIPSIS_LINES] += data[end - 3] == 0xE2 and data[end - 2] == 0x80 and data[end - 1] == 0xA6
        count_printed_line(data, start, end, pages, classes, found, counts, _C4)
    begin_line(found)


@kernel
def _scan_line(
    data: Any,
    i: int,
    line_end: int,
    start: int,
    end: int,
    pages: Any,
    classes: Any,
    kinds: Any,
    found: Any,
    counts: Any,
) -> None:
    """Count the marks of one line, and its printed lines. ``start`` and ``end`` bound the text."""
    fed = line_end < end
    if fed and line_end > i and data[line_end - 1] == 13:
        line_end -= 1  # CR LF is one break
    begun = i
    marks, runs, mark_end = 0, 0, -1
    while i < line_end:
        kind = kinds[data[i]]
        if kind == _PLAIN:
            i += 1
            continue
        if kind == _MARK:
            marks += 1
            runs += mark_end != i
            i += 1
            mark_end = i
            continue
        size = 1
        mark = True
        counted = True
        if kind == _NOT_ASCII:
            code_point, size = code_point_at(data, i)
            bits = class_of(pages, classes, code_point)
            mark = bits & MARK != 0
            if mark:
                if code_point == 0x2019:
                    counted = not _between_words(data, i, i + size, start, end, pages, classes)
                counts[_ELLIPSES] += code_point == 0x2026
                if bits & TERMINAL:
                    end_sentence(data, i + size, line_end, pages, classes, found)
            elif bits & BREAK:
                _close_printed_line(data, begun, i, pages, classes, found, counts)
                begun = i + size
        elif kind == _LETTER:
            i += 1
            if i < line_end:
                follows = data[i] | 32  # jA, vA, kI, mS, m and a space: the others begin no phrase
                if follows in (97, 105, 115, 32):
                    note_letter(data, i - 1, start, end, found)
            continue
        elif kind == _FULL_STOP:
            while i + size < line_end and data[i + size] == 46:
                size += 1
            marks += size - 1
            counts[_ELLIPSES] += size // 3
            if size == 1 and _ends_sentence(data, i, start, end, pages, classes):
                end_sentence(data, i + 1, line_end, pages, classes, found)
        elif kind == _QUOTE:
            counted = not _between_words(data, i, i + 1, start, end, pages, classes)
        elif kind == _EXCLAIM:
            if _ends_sentence(data, i, start, end, pages, classes):
                end_sentence(data, i + 1, line_end, pages, classes, found)
        elif kind == _HASH:
            counts[_HASH_SIGNS] += 1
        elif kind == _BRACKET:
            found[CURLY] = 1
        elif kind == _CONTROL:
            mark = False
            if class_of(pages, classes, int(data[i])) & BREAK:
                _close_printed_line(data, begun, i, pages, classes, found, counts)
                begun = i + 1
        if mark:
            marks += 1
            runs += counted and mark_end != i
            mark_end = i + size
        i += size
    counts[_MARKS] += marks
    counts[_MARK_RUNS] += runs
    if fed or begun < line_end:
        _close_printed_line(data, begun, line_end, pages, classes, found, counts)


@kernel
def _scan_paragraphs(data: Any, start: int, end: int, pages: Any, classes: Any, keys: Any, counts: Any) -> None:
    i = skip_space(data, start, end, pages, classes)
    end = strip_end(data, i, end, pages, classes)
    used = 0
    while i < end:
        begun = i
        value = np.uint64(0)
        not_ascii = False
        while True:
            line_end, line_hash, high = find_line(data, i, end)
            value = value * _NEXT_LINE + line_hash
            not_ascii |= high
            i = line_end + 1
            if line_end >= end or data[i] == 10:  # the text is stripped: a byte follows every line feed
                break
        while i < end and data[i] == 10:
            i += 1
        counts[_PARAGRAPHS] += 1
        if add_key(keys, value):
            used += 1
            if 2 * used >= len(keys):
                keys = grown(keys)
        else:
            counts[_DUPLICATE_PARAGRAPHS] += 1
            length = count_characters(data, begun, line_end) if not_ascii else line_end - begun
            counts[_DUPLICATE_PARAGRAPH_CHARACTERS] += length


@kernel
def _scan(data: Any, offsets: Any, pages: Any, classes: Any, kinds: Any, found: Any, counts: Any, out: Any) -> None:
    data, offsets, kinds = borrowed(data), borrowed(offsets), borrowed(kinds)
    pages, classes = borrowed(pages), borrowed(classes)
    found, counts = borrowed(found), borrowed(counts)
    room = np.zeros(4096, np.uint64)
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        counts[:] = 0
        begin_line(found)
        slots = min(slots_for((end - start) // 32), len(room))
        keys = room[:slots]
        keys[:] = 0
        used = 0
        characters, text_lines, filled, terminal, short = 0, 0, 0, 0, 0
        gap = False  # two line feeds in a row
        i = start
        while i < end:
            line_end, value, high = find_line(data, i, end)
            length = count_characters(data, i, line_end) if high else line_end - i
            characters += length
            if line_end > i:
                text_lines += 1
                new = add_key(keys, value)
                if new:
                    used += 1
                    if 2 * used >= len(keys):
                        keys = grown(keys)
                else:
                    counts[_DUPLICATE_LINES] += 1
                    counts[_DUPLICATE_LINE_CHARACTERS] += length
                if skip_space(data, i, line_end, pages, classes) < line_end:
                    filled += 1
                    terminal += last_class(data, i, line_end, pages, classes) & TERMINAL != 0
                    short += length <= SHORT_LINE_CHARACTERS
                    if not new:
                        counts[_REPEATED] += length
                _scan_line(data, i, line_end, start, end, pages, classes, kinds, found, counts)
            else:
                counts[_PRINTED] += 1
                gap = True
            if line_end < end:
                characters += 1
                counts[_LINE_FEEDS] += 1
            i = line_end + 1
        if start == end:
            text_lines = 1
        elif data[start] == 10 or data[end - 1] == 10:
            text_lines += int(data[start] == 10) + int(data[end - 1] == 10)
            counts[_DUPLICATE_LINES] += data[start] == 10 and data[end - 1] == 10
        if gap:
            keys = room[:slots]
            keys[:] = 0
            _scan_paragraphs(data, start, end, pages, classes, keys, counts)
        if counts[_PARAGRAPHS] == 0:
            counts[_PARAGRAPHS] = 1
        counts[_BYTES] = end - start
        counts[_CHARACTERS] = characters
        counts[_TEXT_LINES] = text_lines
        counts[_FILLED] = filled
        counts[_TERMINAL] = terminal
        counts[_SHORT] = short
        for k in range(len(counts)):
            out[k, document] = min(counts[k], 0xFFFFFFFF)
