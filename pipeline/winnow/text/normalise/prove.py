"""The byte scanner: proves what ``ftfy.fix_text`` leaves alone, makes the plain substitutions, lists the
rest.

ftfy works segment by segment: a segment ends after "\\n", or after ``max_decode_length`` code points. A
segment of plain ASCII is passed over in blocks. In any other the scanner walks the characters and decides one
of three things:

- identical: nothing in it can change;
- substituted: line breaks, quotes, widths, ligatures and control characters are replaced here, and neither
  the text before nor the text after the replacement can trigger another step (ftfy repeats its steps until
  nothing changes);
- a hole: anything else. Its bytes go to ftfy itself, and the result is spliced in by ``normalise_splice``.

False doubts cost time only; the tables (``normalise_tables``) are made so that no doubt is missed.
Legend: N documents, B bytes of UTF-8, H holes.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.normalise.byte_ranges import (
    ENTITY,
    OPEN,
    copy_bytes,
    decode_at,
    entity_at,
    find_byte,
    next_special,
    segment_end_from,
)
from winnow.text.normalise.encoding import encoding_is_idle
from winnow.text.normalise.form import composes
from winnow.text.normalise.tables import (
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
    Tables,
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

_SAW_OPEN_ENTITY = 1
_SAW_ASCII_MADE = 2
_SAW_CONTROL = 4
_SAW_NON_ASCII = 8


@kernel
def scan(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    html_mode: int,
    max_decode_length: int,
    usual: Tables,
    cjk: Tables,
    is_cjk: NDArray[np.bool_],
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
        usual, cjk: what is looked up for documents of either kind.
        is_cjk: bool[N], the kind of each.
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
        tables = cjk if is_cjk[document] else usual
        ascii_kind, code_class, masks, flags, combining, substitutes, compositions, evidence = tables
        at = offsets[document]
        end = offsets[document + 1]
        unescape = html_mode != HTML_OFF
        angle_checked = at  # no "<" between the document's begin and here
        floor = at  # a segment begins here or later
        while True:
            at = next_special(data, at, end, 0x26 if unescape else 0x80, ascii_kind)
            if at >= end:
                break
            start = at
            while start > floor and data[start - 1] != 0x0A:
                start -= 1
            limit = end
            if end - start > max_decode_length:
                limit = segment_end_from(data, start, end, max_decode_length)
                while limit <= at:
                    start = limit
                    limit = segment_end_from(data, start, end, max_decode_length)
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
                        written = copy_bytes(data, copied, at, out, written)
                        copied = at + 1
                        if not (copied < limit and data[copied] == 0x0A):
                            out[written] = 0x0A
                            written += 1
                        edited = True
                    elif kind == AMPERSAND:
                        if unescape:
                            entity = entity_at(data, at, limit)
                            if entity == ENTITY:
                                if html_mode == HTML_AUTO:
                                    segment_end = min(find_byte(data, at, limit, 0x0A) + 1, limit)
                                    unescape = find_byte(data, angle_checked, segment_end, 0x3C) == segment_end
                                    angle_checked = segment_end
                                if unescape:
                                    hole = True
                                    break
                            elif entity == OPEN:
                                saw |= _SAW_OPEN_ENTITY
                    elif kind == CONTROL:
                        written = copy_bytes(data, copied, at, out, written)
                        copied = at + 1
                        saw |= _SAW_CONTROL
                        edited = True
                    else:
                        hole = True
                        break
                    at += 1
                    continue
                code_point, length = decode_at(data, at)
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
                        after = np.int64(code_class[decode_at(data, following)[0]])
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
                    if not simple or first >= 0x1100 or composes(first, code_point, compositions):
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
                    if packed == 0 and at != start and (following >= limit or data[at - 1] | data[following] >= 0x80):
                        hole = True
                        break
                    written = copy_bytes(data, copied, at, out, written)
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
            at = min(find_byte(data, at, limit, 0x0A) + 1, limit) if at == start or data[at - 1] != 0x0A else at
            if html_mode == HTML_AUTO and unescape:
                unescape = find_byte(data, angle_checked, at, 0x3C) == at
                angle_checked = at
            changed = True
            written = written_before
            copied = copied_before
            written = copy_bytes(data, copied, start, out, written)
            copied = at
            floor = at
            if num_holes == len(holes):
                grown = np.empty((2 * num_holes, 5), np.int64)
                for row in range(num_holes):  # a slice would bring numba's words on shapes: 3 s of compiling
                    for column in range(5):
                        grown[row, column] = holes[row, column]
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
        written = copy_bytes(data, copied, offsets[-1], out, written)
    return holes[:num_holes], substituted_bytes, written
