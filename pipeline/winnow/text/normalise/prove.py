"""The byte scanner: proves what ``ftfy.fix_text`` leaves alone, makes the plain substitutions, lists the
rest.

ftfy works segment by segment: a segment ends after "\\n", or after ``max_decode_length`` code points. A
segment of plain ASCII is passed over in blocks. In any other the scanner walks the characters and decides one
of three things:

- identical: nothing in it can change;
- substituted: line breaks, quotes, widths, ligatures and control characters get an edit each, and neither
  the text before nor the text after the replacement can trigger another step (ftfy repeats its steps until
  nothing changes);
- a hole: anything else. Its bytes go to ftfy itself, and the result is spliced in by ``normalise_splice``.

False doubts cost time only; the tables (``normalise_tables``) are made so that no doubt is missed.
Legend: N documents, B bytes of UTF-8, H holes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.normalise.byte_ranges import (
    ENTITY,
    OPEN,
    decode_at,
    entity_at,
    find_byte,
    next_special,
    plain_end,
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
DOCUMENT = 2
UNESCAPE = 3
"""1 where HTML entities are still decoded."""
TEXT = 2
"""What an edit puts there: the bytes, the first lowest, and their number from bit `SIZE` on; HOLE there: ftfy decides,
and the number of the hole stands below."""
SIZE = 56
HOLE = 127

_SAW_OPEN_ENTITY = 1
_SAW_ASCII_MADE = 2
_SAW_CONTROL = 4
_SAW_NON_ASCII = 8


@kernel
def _with(rows: Any, number: int, first: Any, second: Any, third: Any, last: Any) -> Any:
    """Rows int64[R, K] with one more in place ``number``, in an array with more room where it is full."""
    width = rows.shape[1]
    if number == len(rows):
        grown = np.empty((2 * number, width), np.int64)
        for row in range(number):  # a slice would bring numba's words on shapes: 3 s of compiling
            for column in range(width):
                grown[row, column] = rows[row, column]
        rows = grown
    rows[number, 0], rows[number, 1], rows[number, 2] = first, second, third
    if width > 3:
        rows[number, 3] = last
    return rows


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
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Scan a column once.

    Args:
        data: uint8[B'], valid UTF-8 (lone surrogates replaced before).
        offsets: int64[N + 1] into ``data``.
        html_mode: HTML_OFF, HTML_ON or HTML_AUTO.
        max_decode_length: code points of the longest segment.
        usual, cjk: what is looked up for documents of either kind.
        is_cjk: bool[N], the kind of each.
        lossy_is_restored: ftfy's ``replace_lossy_sequences``.

    Returns:
        holes int64[H, 4] (SOURCE_START .. UNESCAPE), edits int64[E, 3] (SOURCE_START, SOURCE_END, TEXT; in order), and
        the bytes of the segments substituted here.
    """
    holes, edits = np.empty((256, 4), np.int64), np.empty((1024, 3), np.int64)
    num_holes = num_edits = 0
    substituted_bytes = 0
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
            edits_before = num_edits  # what stays if the segment turns out to be a hole
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
                        if at < limit and data[at] < 0x80:
                            at = plain_end(data, at, limit)
                        continue
                    if kind == NEWLINE:
                        at += 1
                        break
                    if kind == CARRIAGE_RETURN:
                        fed = at + 1 < limit and data[at + 1] == 0x0A
                        edits = _with(edits, num_edits, at, at + 1, 0 if fed else (1 << SIZE) | 0x0A, 0)
                        num_edits += 1
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
                        edits = _with(edits, num_edits, at, at + 1, 0, 0)
                        num_edits += 1
                        saw |= _SAW_CONTROL
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
                    edits = _with(edits, num_edits, at, following, np.int64(packed), 0)
                    num_edits += 1
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
                if num_edits > edits_before:
                    substituted_bytes += at - start
                floor = at
                continue
            at = min(find_byte(data, at, limit, 0x0A) + 1, limit) if at == start or data[at - 1] != 0x0A else at
            if html_mode == HTML_AUTO and unescape:
                unescape = find_byte(data, angle_checked, at, 0x3C) == at
                angle_checked = at
            floor = at
            holes = _with(holes, num_holes, start, at, document, np.int64(unescape))
            edits = _with(edits, edits_before, start, at, HOLE << SIZE | num_holes, 0)
            num_holes, num_edits = num_holes + 1, edits_before + 1
    return holes[:num_holes], edits[:num_edits], substituted_bytes
