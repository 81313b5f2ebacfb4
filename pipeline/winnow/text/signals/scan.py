"""One pass over the characters and lines of each text: every count that is not about words.

Four kinds of line occur in the published rules, and each is kept apart:

- text line: between runs of line feeds (``re.split("\\n+", text)``); a leading or trailing run adds an empty one
- filled line: between line feeds, with a character that is not white space
- printed line: as ``str.splitlines`` has it (also vertical tab, form feed, NEL, U+2028 ...)
- paragraph: of the stripped text, between two or more line feeds

The text is read in blocks of 64 bytes. What needs no order is counted by the masks of a block; only where a line, a
sentence, a phrase or a character of another script may begin or end does the scan stop and look (an event).
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.bits import count_ones, pointer_to, trailing_zeros
from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.characters import (
    BREAK,
    MARK,
    TERMINAL,
    WORD,
    CharacterTables,
    character_tables,
    class_of,
    code_point_at,
)
from winnow.text.signals.blocks import BLOCK, READ_AHEAD, read_block
from winnow.text.signals.c4 import CURLY, begin_line, end_sentence, last_class, note_letter
from winnow.text.signals.counts import (
    BYTES,
    CHARACTERS,
    DATA_END,
    DUPLICATE_LINES,
    ELLIPSES,
    FOUND_NUMBERS,
    HASH_SIGNS,
    LINE_FEEDS,
    LINE_SLOTS,
    LINE_START,
    LINES_KEPT,
    MARK_RUNS,
    MARKS,
    PARAGRAPH_SLOTS,
    PARAGRAPHS,
    PARAGRAPHS_KEPT,
    PRINTED_LINES,
    PRINTED_START,
    SCAN_COUNTS,
    STRIPPED_END,
    STRIPPED_START,
    TEXT_LINES,
)
from winnow.text.signals.lines import close_line, close_paragraph, close_printed_line, skip_space, strip_end
from winnow.text.signals.tables import grown, slots_for


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
    data = data.view()
    data.flags.writeable = False  # one type of array, so one compilation
    tables = character_tables()
    out = np.zeros((len(SCAN_COUNTS), len(offsets) - 1), np.uint32)
    found, counts = np.zeros(FOUND_NUMBERS, np.int64), np.zeros(len(SCAN_COUNTS), np.int64)
    _scan(data, _tail(data), offsets, tables.class_pages, tables.classes, _plain_leads(tables), found, counts, out)
    return out


def _tail(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The last bytes and zeros after them, from where a block may be read that reaches past the end."""
    last = data[-(BLOCK + READ_AHEAD) :]
    tail = np.concatenate([last, np.zeros(2 * (BLOCK + READ_AHEAD) - len(last), np.uint8)])
    tail.flags.writeable = False
    return tail


def _plain_leads(tables: CharacterTables) -> NDArray[np.uint8]:
    """Lead bytes under which no mark and no line break lies: Cyrillic, most of Han and Hangul."""
    plain = np.zeros(256, np.uint8)
    basic = tables.classes.reshape(-1, 256)[tables.class_pages[:256]].reshape(-1)
    for lead in range(0xC2, 0xF0):
        first, last = ((lead & 31) << 6, 63) if lead < 0xE0 else ((lead & 15) << 12, 4095)
        plain[lead] = not (basic[first : first + last + 1] & (MARK | BREAK)).any()
    return plain


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
def _event(data: Any, i: int, start: int, end: int, pages: Any, classes: Any, found: Any, counts: Any) -> None:
    """What stands at byte i, line feeds apart, may end a sentence or a printed line or belong to a phrase."""
    byte = data[i]
    if byte == 46:
        after = i + 1
        while after < end and data[after] == 46:
            after += 1
        counts[ELLIPSES] += (after - i) // 3
        if after == i + 1 and _ends_sentence(data, i, start, end, pages, classes):
            end_sentence(data, after, end, pages, classes, found)
    elif byte in (33, 63):
        if _ends_sentence(data, i, start, end, pages, classes):
            end_sentence(data, i + 1, end, pages, classes, found)
    elif byte == 123:
        found[CURLY] = 1
    elif 32 < byte < 128:
        note_letter(data, i, start, end, found)
    else:
        code_point, size = code_point_at(data, i)
        if not class_of(pages, classes, code_point) & BREAK:
            end_sentence(data, i + size, end, pages, classes, found)
        elif byte != 13 or i + 1 == end or data[i + 1] != 10:
            close_printed_line(data, found[PRINTED_START], i, pages, classes, found, counts)
            found[PRINTED_START] = i + size


@kernel
def _read_leads(
    data: Any, at: int, leads: Any, start: int, end: int, pages: Any, classes: Any, plain: Any, counts: Any
) -> tuple[Any, Any, Any]:
    """Look at each character of a block that is not ASCII, at the bits of ``leads`` from byte ``at`` on.

    Returns masks: all bytes of marks, those of them that lie in the next block, and where sentences or printed lines
    may end.
    """
    marks, next_marks, events = np.uint64(0), np.uint64(0), np.uint64(0)
    while leads:
        bit = np.uint64(trailing_zeros(leads))
        leads &= leads - np.uint64(1)
        i: Any = at + np.int64(bit)
        if plain[data[i]]:
            continue
        code_point, size = code_point_at(data, i)
        kind = class_of(pages, classes, code_point)
        if kind & MARK:
            counts[MARKS] += 1
            shape = (np.uint64(1) << np.uint64(size)) - np.uint64(1)
            marks |= shape << bit
            if bit > 60:
                next_marks = shape >> (np.uint64(BLOCK) - bit)
            if code_point == 0x2026:
                counts[ELLIPSES] += 1
            elif code_point == 0x2019:
                counts[MARK_RUNS] -= _between_words(data, i, i + size, start, end, pages, classes)
        if kind & (BREAK | TERMINAL):
            events |= np.uint64(1) << bit
    return marks, next_marks, events


@inline_kernel
def _has_room(found: Any) -> bool:
    """Whether both sets stay at most half full when each byte of the next block ends a line and a paragraph."""
    lines = 2 * (found[LINES_KEPT] + BLOCK) <= found[LINE_SLOTS]
    return bool(lines and 2 * (found[PARAGRAPHS_KEPT] + BLOCK) <= found[PARAGRAPH_SLOTS])


@kernel
def _scan_text(
    data: Any, data_end: int, tail: Any, start: int, end: int, pages: Any, classes: Any, plain: Any, lines: Any,
    paragraphs: Any, found: Any, counts: Any,
) -> None:  # fmt: skip
    """Count the text of bytes ``start`` to ``end`` out of ``data_end``.

    ``lines`` and ``paragraphs`` are arrays, empty sets of 256 slots or more; all others are pointers.
    """
    one = np.uint64(1)
    for k in range(FOUND_NUMBERS):
        found[k] = 0
    begin_line(found)
    found[DATA_END] = data_end
    found[LINE_START] = found[PRINTED_START] = start
    found[STRIPPED_START] = skip_space(data, start, end, data_end, pages, classes)
    found[STRIPPED_END] = strip_end(data, found[STRIPPED_START], end, pages, classes)
    inside: Any = 0  # bytes before the block that continue a character; those before the line
    inside_before_line: Any = 0
    marks_before = stops_before = words_before = wide_before = next_marks = np.uint64(0)  # the byte before the block
    at = start
    while at <= end:
        line_keys, found[LINE_SLOTS] = pointer_to(lines), len(lines)
        paragraph_keys, found[PARAGRAPH_SLOTS] = pointer_to(paragraphs), len(paragraphs)
        # within the inner loop no array is named: numba counts references with each turn that could change one
        while at <= end and _has_room(found):
            size = min(BLOCK, end - at)
            if at + BLOCK + READ_AHEAD <= data_end:
                block = read_block(data, at, size)
            else:
                block = read_block(tail, at - max(0, data_end - BLOCK - READ_AHEAD), size)
            marks = block.marks | next_marks
            next_marks = events = np.uint64(0)
            wide = block.leads | block.inside
            if block.leads:
                wide_marks, next_marks, events = _read_leads(
                    data, at, block.leads, start, end, pages, classes, plain, counts
                )
                marks |= wide_marks
            counts[MARKS] += count_ones(block.marks)
            counts[MARK_RUNS] += count_ones(marks & ~(marks << one | marks_before))
            counts[HASH_SIGNS] += count_ones(block.hashes)
            if block.quotes:
                before, after = block.word << one | words_before, block.word >> one
                unsure = block.quotes & (wide << one | wide_before | wide >> one | one << np.uint64(BLOCK - 1))
                counts[MARK_RUNS] -= count_ones(block.quotes & ~unsure & before & after)
                while unsure:
                    i: Any = at + trailing_zeros(unsure)
                    unsure &= unsure - one
                    counts[MARK_RUNS] -= _between_words(data, i, i + 1, start, end, pages, classes)
            events |= (block.stops & ~(block.stops << one | stops_before) | block.shouts) & ~(block.word >> one)
            events |= block.feeds | block.breaks | block.curly | block.phrases
            if size < BLOCK:
                events |= one << np.uint64(size)  # the end of the text
            while events:
                bit: Any = trailing_zeros(events)
                events &= events - one
                i = at + bit
                if i < end and data[i] != 10:
                    _event(data, i, start, end, pages, classes, found, counts)
                    continue
                counts[LINE_FEEDS] += i < end
                if i > found[LINE_START]:
                    inside_line = (
                        inside + count_ones(block.inside & ((one << np.uint64(bit)) - one)) - inside_before_line
                    )
                    length = i - found[LINE_START] - inside_line
                    close_line(data, i, end, length, pages, classes, line_keys, found, counts)
                    inside_before_line += inside_line
                    if i == end:
                        close_paragraph(paragraph_keys, found, counts)
                else:
                    counts[PRINTED_LINES] += i < end
                    close_paragraph(paragraph_keys, found, counts)
                found[LINE_START] = found[PRINTED_START] = i + 1
            inside += count_ones(block.inside)
            last = np.uint64(BLOCK - 1)
            marks_before, stops_before = marks >> last, block.stops >> last
            words_before, wide_before = block.word >> last, wide >> last
            at += BLOCK
        if 2 * (found[LINES_KEPT] + BLOCK) > found[LINE_SLOTS]:
            lines = grown(lines)
        if 2 * (found[PARAGRAPHS_KEPT] + BLOCK) > found[PARAGRAPH_SLOTS]:
            paragraphs = grown(paragraphs)
    if counts[PARAGRAPHS] == 0:
        counts[PARAGRAPHS] = 1
    counts[BYTES] = end - start
    counts[CHARACTERS] = end - start - inside
    if start == end:
        counts[TEXT_LINES] = 1
    elif data[start] == 10 or data[end - 1] == 10:
        counts[TEXT_LINES] += int(data[start] == 10) + int(data[end - 1] == 10)
        counts[DUPLICATE_LINES] += data[start] == 10 and data[end - 1] == 10


@kernel
def _scan(
    data: Any, tail: Any, offsets: Any, pages: Any, classes: Any, plain: Any, found: Any, counts: Any, out: Any
) -> None:
    data_end = len(data)
    data, tail, plain = pointer_to(data), pointer_to(tail), pointer_to(plain)
    pages, classes = pointer_to(pages), pointer_to(classes)
    state, totals = pointer_to(found), pointer_to(counts)
    line_room, paragraph_room = np.empty(4096, np.uint64), np.empty(4096, np.uint64)
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        slots = min(max(256, slots_for((end - start) // 32)), len(line_room))
        lines, paragraphs = line_room[:slots], paragraph_room[: max(256, slots // 4)]
        lines[:] = 0
        paragraphs[:] = 0
        counts[:] = 0
        _scan_text(data, data_end, tail, start, end, pages, classes, plain, lines, paragraphs, state, totals)
        for k in range(len(counts)):
            out[k, document] = min(counts[k], 0xFFFFFFFF)
