"""The byte scanner: proves what ``ftfy.fix_text`` leaves alone, makes the plain substitutions, lists the
rest.

ftfy works segment by segment: a segment ends after "\\n", or after ``max_decode_length`` code points. A
segment of plain ASCII is passed over in blocks. In any other the scanner walks the characters and decides one
of three things:

- identical: nothing in it can change;
- substituted: line breaks, quotes, widths, ligatures and control characters are replaced here, and neither
  the text before nor the text after the replacement can trigger another step (ftfy repeats its steps until
  nothing changes);
- a hole: anything else. Its bytes go to ftfy itself, and the result is spliced in by ``splice``.

False doubts cost time only; the tables (``normalise_tables``) are made so that no doubt is missed.
Legend: N documents, B bytes of UTF-8, H holes.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.compiled import inline_kernel, kernel
from pipeline.text.normalise_encoding import encoding_is_idle
from pipeline.text.normalise_tables import (
    AMPERSAND,
    BEGIN_CLASS,
    CAN_BEGIN,
    CARRIAGE_RETURN,
    CONTROL,
    DECOMPOSES,
    END_CLASS,
    INERT,
    MAKES_ASCII,
    MAY_COMPOSE,
    NEWLINE,
    PLAIN,
    STARTS_ANEW,
    SUBSTITUTE,
    TO_FTFY,
)

HTML_OFF = 0
HTML_ON = 1
HTML_AUTO = 2

SOURCE_START = 0
SOURCE_END = 1
WRITTEN = 2
"""Bytes of output before the hole, results of earlier holes not counted."""
DOCUMENT = 3
UNESCAPE = 4
"""1 where HTML entities are still decoded."""

_NO_ENTITY = 0
_ENTITY = 1
_OPEN = 2

_SAW_OPEN_ENTITY = 1
_SAW_ASCII_MADE = 2
_SAW_CONTROL = 4
_SAW_NON_ASCII = 8


@inline_kernel
def _decode(data, at):  # type: ignore[no-untyped-def]
    """Code point and number of bytes of the non-ASCII character at ``at``."""
    lead = np.int64(data[at])
    if lead < 0xE0:
        return ((lead & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F), 2
    if lead < 0xF0:
        low = ((np.int64(data[at + 1]) & 0x3F) << 6) | (np.int64(data[at + 2]) & 0x3F)
        return ((lead & 0x0F) << 12) | low, 3
    high = ((lead & 0x07) << 18) | ((np.int64(data[at + 1]) & 0x3F) << 12)
    low = ((np.int64(data[at + 2]) & 0x3F) << 6) | (np.int64(data[at + 3]) & 0x3F)
    return min(high | low, 0x10FFFF), 4


@kernel
def _copy(source, start, end, target, at):  # type: ignore[no-untyped-def]
    for index in range(end - start):
        target[at + index] = source[start + index]
    return at + end - start


@kernel
def _next_special(data, at, end, ampersand, ascii_kind):  # type: ignore[no-untyped-def]
    """The first byte from ``at`` that is not plain ASCII, or ``end``. ``ampersand`` is the byte "&" or
    0x80."""
    while at < end:
        while at + 64 <= end:  # no early exit inside a block, so that it compiles to vector instructions
            doubt = False
            for index in range(64):
                byte = data[at + index]
                doubt |= byte >= 0x7F
                doubt |= (byte < 0x20) & (byte != 0x0A) & (byte != 0x09)
                doubt |= byte == ampersand
            if doubt:
                break
            at += 64
        block_end = min(at + 64, end)
        while at < block_end:
            byte = data[at]
            kind = ascii_kind[byte]
            if byte >= 0x80 or (kind > NEWLINE and (kind != AMPERSAND or ampersand == 0x26)):
                return at
            at += 1
    return end


@kernel
def _find(data, at, end, wanted):  # type: ignore[no-untyped-def]
    """The first place of a byte from ``at``, or ``end``."""
    while at < end:
        while at + 64 <= end:
            found = False
            for index in range(64):
                found |= data[at + index] == wanted
            if found:
                break
            at += 64
        block_end = min(at + 64, end)
        while at < block_end:
            if data[at] == wanted:
                return at
            at += 1
    return end


@kernel
def _segment_end(data, start, end, max_decode_length):  # type: ignore[no-untyped-def]
    """The end of the segment that begins at ``start``: after a newline or after so many code points."""
    at = start
    for _ in range(max_decode_length):
        if at >= end:
            break
        lead = data[at]
        at += 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
        if lead == 0x0A:
            break
    return min(at, end)


@kernel
def _entity_at(data, at, end):  # type: ignore[no-untyped-def]
    """Whether the "&" at ``at`` begins ``&#?[0-9A-Za-z]{1,24};``, the form that ftfy looks up.

    Returns:
        _NO_ENTITY, _ENTITY, or _OPEN: that depends on what becomes of a control or non-ASCII character.
    """
    at += 1
    if at < end and data[at] == 0x23:
        at += 1
    length = 0
    while at < end and length <= 24:
        byte = data[at]
        if byte < 0x20 or byte >= 0x7F:
            return _OPEN
        if not (0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A):
            if byte == 0x3B and length > 0:
                return _ENTITY
            return _NO_ENTITY
        length += 1
        at += 1
    return _NO_ENTITY


@kernel
def _composes(first, second, compositions):  # type: ignore[no-untyped-def]
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


@kernel
def scan(  # noqa: PLR0917
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    html_mode: int,
    max_decode_length: int,
    ascii_kind: NDArray[np.uint8],
    code_class: NDArray[np.uint8],
    masks: NDArray[np.uint64],
    flags: NDArray[np.uint8],
    combining: NDArray[np.uint8],
    substitutes: NDArray[np.int64],
    compositions: NDArray[np.int64],
    evidence: NDArray[np.uint64],
    lossy_is_restored: bool,
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
) -> tuple[NDArray[np.int64], int, int]:
    """Scan a column once.

    Args:
        data: uint8[B'], valid UTF-8 (lone surrogates replaced before).
        offsets: int64[N + 1] into ``data``.
        html_mode: HTML_OFF, HTML_ON or HTML_AUTO.
        max_decode_length: code points of the longest segment.
        ascii_kind, code_class, masks, flags, combining, substitutes, compositions, evidence: see ``Tables``.
        lossy_is_restored: ftfy's ``replace_lossy_sequences``.
        out: uint8[>= 2 B], is written only from the first change on.
        out_offsets: int64[N + 1], filled with the documents' places in ``out``, holes taken as empty.

    Returns:
        holes int64[H, 5] (SOURCE_START .. UNESCAPE), the bytes of the segments substituted here, and the
        bytes written to ``out`` (0 if nothing was substituted and there is no hole: the text stands as it
        is).
    """
    holes = np.empty((256, 5), np.int64)
    num_holes = 0
    substituted_bytes = 0
    changed = False
    written = 0
    copied = offsets[0]  # source bytes before this place are in `out`
    for document in range(len(offsets) - 1):
        at = offsets[document]
        end = offsets[document + 1]
        unescape = html_mode != HTML_OFF
        angle_checked = at  # no "<" between the document's begin and here
        floor = at  # a segment begins here or later
        while True:
            at = _next_special(data, at, end, 0x26 if unescape else 0x80, ascii_kind)
            if at >= end:
                break
            start = at
            while start > floor and data[start - 1] != 0x0A:
                start -= 1
            limit = end
            if end - start > max_decode_length:
                limit = _segment_end(data, start, end, max_decode_length)
                while limit <= at:
                    start = limit
                    limit = _segment_end(data, start, end, max_decode_length)
            # Where to return to if the segment turns out to be a hole.
            written_before = written
            copied_before = copied
            edited = False
            idle = False  # the encoding step was proven to do nothing
            hole = False
            saw = 0
            last_end = start if at == start else -1  # end of the last non-ASCII character
            last_class = np.int64(BEGIN_CLASS)
            last_code_point = np.int64(0)
            last_combining = np.int64(0)
            starter_can_begin = False
            while at < limit:
                byte = data[at]
                if byte < 0x80:
                    kind = ascii_kind[byte]
                    if kind == PLAIN:
                        at += 1
                        continue
                    if kind == NEWLINE:
                        at += 1
                        break
                    if kind == CARRIAGE_RETURN:
                        written = _copy(data, copied, at, out, written)
                        copied = at + 1
                        if not (copied < limit and data[copied] == 0x0A):
                            out[written] = 0x0A
                            written += 1
                        edited = True
                    elif kind == AMPERSAND:
                        if unescape:
                            entity = _entity_at(data, at, limit)
                            if entity == _ENTITY:
                                if html_mode == HTML_AUTO:
                                    segment_end = min(_find(data, at, limit, 0x0A) + 1, limit)
                                    unescape = _find(data, angle_checked, segment_end, 0x3C) == segment_end
                                    angle_checked = segment_end
                                if unescape:
                                    hole = True
                                    break
                            elif entity == _OPEN:
                                saw |= _SAW_OPEN_ENTITY
                    elif kind == CONTROL:
                        written = _copy(data, copied, at, out, written)
                        copied = at + 1
                        saw |= _SAW_CONTROL
                        edited = True
                    else:
                        hole = True
                        break
                    at += 1
                    continue
                code_point, length = _decode(data, at)
                this = code_class[code_point]
                saw |= _SAW_NON_ASCII
                if this == INERT:
                    at += length
                    last_end = at
                    last_class = np.int64(INERT)
                    last_code_point = code_point
                    last_combining = np.int64(0)
                    starter_can_begin = False
                    continue
                before = np.int64(last_class if last_end == at else code_class[data[at - 1]])
                doubt = masks[before, 0] & masks[this, 1]
                following = at + length
                if doubt != 0 and not idle:
                    if following >= limit:
                        after = np.int64(END_CLASS)
                    elif data[following] < 0x80:
                        after = np.int64(code_class[data[following]])
                    else:
                        after = np.int64(code_class[_decode(data, following)[0]])
                    if doubt & masks[after, 2] != 0:
                        idle = encoding_is_idle(
                            data, start, limit, evidence[0], lossy_is_restored
                        ) and encoding_is_idle(data, start, limit, evidence[1], lossy_is_restored)
                        if not idle:
                            hole = True
                            break
                flag = flags[this]
                if flag & TO_FTFY:
                    hole = True
                    break
                this_combining = np.int64(combining[this])
                if last_end != at:  # after ASCII
                    starter_can_begin = True
                    last_combining = np.int64(0)
                if flag & MAY_COMPOSE and starter_can_begin:
                    simple = last_combining == 0 and flag & SUBSTITUTE == 0
                    first = np.int64(data[at - 1])
                    if last_end == at:
                        simple &= flags[last_class] & (SUBSTITUTE | DECOMPOSES | MAY_COMPOSE) == 0
                        first = last_code_point
                    if not simple or first >= 0x1100 or _composes(first, code_point, compositions):
                        hole = True
                        break
                if this_combining == 0 or flag & STARTS_ANEW:
                    starter_can_begin = (flag & CAN_BEGIN) != 0
                elif last_combining > this_combining:
                    hole = True
                    break
                last_combining = this_combining
                if flag & SUBSTITUTE:
                    packed = substitutes[code_point]
                    # Where a character vanishes, its neighbours meet: only ASCII may.
                    if (
                        packed == 0
                        and at != start
                        and (following >= limit or data[at - 1] | data[following] >= 0x80)
                    ):
                        hole = True
                        break
                    written = _copy(data, copied, at, out, written)
                    for index in range(packed >> 56):
                        out[written] = (packed >> (8 * index)) & 0xFF
                        written += 1
                    copied = following
                    edited = True
                    if flag & MAKES_ASCII:
                        saw |= _SAW_ASCII_MADE
                at = following
                last_end = at
                last_class = np.int64(this)
                last_code_point = code_point
            # A removed control character or a new ASCII one may complete an entity or bring strangers
            # together.
            if saw & _SAW_CONTROL and saw & (_SAW_NON_ASCII | _SAW_OPEN_ENTITY):
                hole = True
            if saw & _SAW_ASCII_MADE and saw & _SAW_OPEN_ENTITY:
                hole = True
            if not hole:
                if edited:
                    changed = True
                    substituted_bytes += at - start
                floor = at
                continue
            at = min(_find(data, at, limit, 0x0A) + 1, limit) if at == start or data[at - 1] != 0x0A else at
            if html_mode == HTML_AUTO and unescape:
                unescape = _find(data, angle_checked, at, 0x3C) == at
                angle_checked = at
            changed = True
            written = written_before
            copied = copied_before
            written = _copy(data, copied, start, out, written)
            copied = at
            floor = at
            if num_holes == len(holes):
                grown = np.empty((2 * num_holes, 5), np.int64)
                grown[:num_holes] = holes
                holes = grown
            holes[num_holes, SOURCE_START] = start
            holes[num_holes, SOURCE_END] = at
            holes[num_holes, WRITTEN] = written
            holes[num_holes, DOCUMENT] = document
            holes[num_holes, UNESCAPE] = unescape
            num_holes += 1
        out_offsets[document + 1] = written + end - copied
    out_offsets[0] = 0
    if changed:
        written = _copy(data, copied, offsets[-1], out, written)
    return holes[:num_holes], substituted_bytes, written


@kernel
def splice(  # noqa: PLR0917
    out: NDArray[np.uint8],
    out_offsets: NDArray[np.int64],
    holes: NDArray[np.int64],
    fixed: NDArray[np.uint8],
    fixed_offsets: NDArray[np.int64],
    target: NDArray[np.uint8],
    target_offsets: NDArray[np.int64],
) -> None:
    """Put ftfy's results into the holes.

    Args:
        out: uint8[W], the scanner's output.
        out_offsets: int64[N + 1], the documents in it.
        holes: int64[H, 5] from ``scan``.
        fixed: uint8, ftfy's results one after the other.
        fixed_offsets: int64[H + 1], the results in it.
        target: uint8[W + len(fixed)], filled.
        target_offsets: int64[N + 1], filled.
    """
    copied = 0
    written = 0
    hole = 0
    target_offsets[0] = 0
    for document in range(len(out_offsets) - 1):
        while hole < len(holes) and holes[hole, DOCUMENT] == document:
            written = _copy(out, copied, holes[hole, WRITTEN], target, written)
            copied = holes[hole, WRITTEN]
            written = _copy(fixed, fixed_offsets[hole], fixed_offsets[hole + 1], target, written)
            hole += 1
        target_offsets[document + 1] = written + out_offsets[document + 1] - copied
    _copy(out, copied, out_offsets[-1], target, written)


@kernel
def count_changed(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    other_data: NDArray[np.uint8],
    other_offsets: NDArray[np.int64],
) -> int:
    """How many documents of two columns of the same length differ."""
    changed = 0
    for document in range(len(offsets) - 1):
        start = offsets[document]
        length = offsets[document + 1] - start
        other_start = other_offsets[document]
        if other_offsets[document + 1] - other_start != length:
            changed += 1
            continue
        at = 0
        differs = False
        while at < length and not differs:
            stop = min(at + 4096, length)
            for index in range(
                at, stop
            ):  # no early exit inside a block, so that it compiles to vector instructions
                differs |= data[start + index] != other_data[other_start + index]
            at = stop
        changed += differs
    return changed
