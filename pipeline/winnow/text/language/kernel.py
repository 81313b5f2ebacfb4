"""The compiled half of language identification: prefixes, the state machine and the scores.

Legend: N documents, B bytes, S states, R distinct rows of the state machine, F features, L columns.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.characters import LETTER, character_tables, class_of, code_point_at

NOT_SURE = -1
"""In place of a label: the best two are too close for the reference's rounding."""

_UNIT_ROUNDOFF = 2.0**-24  # of float32

# Ranges of code points that NFC leaves alone wherever they stand: composed, of combining class 0, never
# the second half of a composition. Flag 1: holds cased letters, so a text of these alone may be all capitals.
COMPOSED = np.array(
    [
        (0x80, 0x2FF, 1),
        (0x400, 0x482, 1),
        (0x48A, 0x52F, 1),
        (0x5D0, 0x5EA, 0),
        (0x600, 0x60F, 0),
        (0x61B, 0x64A, 0),
        (0x660, 0x66F, 0),
        (0x671, 0x6D5, 0),
        (0x1E00, 0x1EFF, 1),
        (0x2002, 0x20CF, 1),
        (0x2190, 0x2328, 0),
        (0x232B, 0x24B5, 0),
        (0x2500, 0x2ADB, 0),
        (0x2B00, 0x2BFF, 0),
        (0x3000, 0x3029, 0),
        (0x3030, 0x3098, 0),
        (0x309B, 0x319F, 0),
        (0x31F0, 0x9FFF, 0),
        (0xAC00, 0xD7A3, 0),
        (0xE000, 0xF8FF, 0),
        (0xFE0F, 0xFE0F, 0),
        (0xFEFF, 0xFEFF, 0),
        (0xFF00, 0xFF20, 0),
        (0xFF5B, 0xFFEF, 0),
        (0xFFFD, 0xFFFD, 0),
        (0x1F200, 0x1FAFF, 0),
        (0x20000, 0x2A6DF, 0),
    ],
    np.int64,
)


def _flags() -> NDArray[np.uint8]:
    """uint8[0x30000] per code point: 0 unknown, 1 composed and caseless, 2 composed and maybe cased."""
    flags = np.zeros(0x30000, np.uint8)
    flags[:0x80] = 1
    flags[ord("A") : ord("Z") + 1] = 2
    for first, last, cased in COMPOSED.tolist():
        flags[first : last + 1] = 2 if cased else 1
    flags[ord("a") : ord("z") + 1] = 3
    flags[0x430:0x460] = 3
    return flags


CHARACTER_FLAGS = _flags()
"""As above; 3 = a lower-case letter (one of these proves that a text is not all capitals)."""


def prefixes(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], characters: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each document's first characters end, and whether py3langid would walk them as they are.

    Returns:
        ends int64[N], and plain bool[N]: False where the text may be all capitals or not composed (NFC).
    """
    return _prefixes(data, offsets, characters, CHARACTER_FLAGS)


@kernel
def _prefixes(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], characters: int, flags: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    count = len(offsets) - 1
    ends = np.empty(count, np.int64)
    plain = np.empty(count, np.bool_)
    for row in range(count):
        at, end = offsets[row], offsets[row + 1]
        left = characters
        seen = np.uint8(0)  # one bit for each flag
        while at < end and left > 0:
            byte = np.int64(data[at])
            if byte < 0x80:
                code = byte
                at += 1
            elif byte < 0xE0:
                code = (byte & 0x1F) << 6 | np.int64(data[at + 1]) & 0x3F
                at += 2
            elif byte < 0xF0:
                code = (byte & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | np.int64(data[at + 2]) & 0x3F
                at += 3
            else:
                code = (byte & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12
                code |= (np.int64(data[at + 2]) & 0x3F) << 6 | np.int64(data[at + 3]) & 0x3F
                at += 4
            seen |= np.uint8(1) << (flags[code] if code < len(flags) else np.uint8(0))
            left -= 1
        ends[row] = at
        # unknown characters, or maybe capitals without any small letter: Python decides
        plain[row] = (seen & 1) == 0 and ((seen & 4) == 0 or (seen & 8) != 0)
    return ends, plain


STEP_FEATURE_BITS = np.uint64(32)
"""A step of the state machine: the row that follows above these bits, the feature it emits plus one (0: none) below."""
_FEATURE = np.uint64(0xFFFF_FFFF)


@kernel
def _walk(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    steps: NDArray[np.uint64],
    first_row: int,
    features: NDArray[np.int32],
    seen: NDArray[np.int64],
) -> None:
    """Features that four documents emit, in order, each plus one.

    A step waits for the one before it, and the table is far larger than the processor's caches: so four documents
    walk at a time, and one waits while the others fetch.

    In: starts, ends int64[4]. Out: features int32[4, B + 1], of which ``seen`` int64[4] are filled.
    """
    together = min(ends[0] - starts[0], ends[1] - starts[1], ends[2] - starts[2], ends[3] - starts[3])
    at0, at1, at2, at3 = starts[0], starts[1], starts[2], starts[3]
    row0 = row1 = row2 = row3 = np.int64(first_row)
    seen0, seen1, seen2, seen3 = 0, 0, 0, 0
    out0, out1, out2, out3 = features[0], features[1], features[2], features[3]
    for i in range(together):
        step0 = steps[row0 << 8 | np.int64(data[at0 + i])]
        step1 = steps[row1 << 8 | np.int64(data[at1 + i])]
        step2 = steps[row2 << 8 | np.int64(data[at2 + i])]
        step3 = steps[row3 << 8 | np.int64(data[at3 + i])]
        row0, row1 = np.int64(step0 >> STEP_FEATURE_BITS), np.int64(step1 >> STEP_FEATURE_BITS)
        row2, row3 = np.int64(step2 >> STEP_FEATURE_BITS), np.int64(step3 >> STEP_FEATURE_BITS)
        # written in any case, kept only if there is one: no branch to guess
        out0[seen0] = np.int32(step0 & _FEATURE)
        out1[seen1] = np.int32(step1 & _FEATURE)
        out2[seen2] = np.int32(step2 & _FEATURE)
        out3[seen3] = np.int32(step3 & _FEATURE)
        seen0 += (step0 & _FEATURE) != 0
        seen1 += (step1 & _FEATURE) != 0
        seen2 += (step2 & _FEATURE) != 0
        seen3 += (step3 & _FEATURE) != 0
    rows = (row0, row1, row2, row3)
    counts = (seen0, seen1, seen2, seen3)
    for lane in range(4):
        row, count = rows[lane], counts[lane]
        for at in range(starts[lane] + together, ends[lane]):
            step = steps[row << 8 | np.int64(data[at])]
            row = np.int64(step >> STEP_FEATURE_BITS)
            features[lane, count] = np.int32(step & _FEATURE)
            count += (step & _FEATURE) != 0
        seen[lane] = count


@kernel
def best_columns(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    steps: NDArray[np.uint64],
    first_row: int,
    weights: NDArray[np.int16],
    priors: NDArray[np.float64],
    log_counts: NDArray[np.float64],
    label_of_column: NDArray[np.int16],
) -> NDArray[np.int16]:
    """Label number of every document.

    Args:
        data: uint8[B]; document i is ``data[starts[i] : ends[i]]``.
        starts: int64[N].
        ends: int64[N].
        steps: uint64[R * 256] by row and byte, see STEP_FEATURE_BITS.
        first_row: the row of the first state.
        weights: int16[F + 1, W >= L], log-probabilities * 512; the last row and the rest of each are zero.
        priors: float64[L].
        log_counts: float64[C], log1p of a count.
        label_of_column: int16[L]; scripts of one language share a label.

    Returns:
        int16[N]: the label of the column with the highest score (label 0 where there is no feature at all),
        NOT_SURE where another label's score is within the error bound of a float32 sum.
    """
    columns, width = len(priors), weights.shape[1]
    nothing = weights.shape[0] - 1
    counts = np.zeros(nothing, np.int32)
    longest = 0
    for document in range(len(starts)):
        longest = max(longest, ends[document] - starts[document])
    walked = np.empty((4, longest + 1), np.int32)
    emitted = np.zeros(4, np.int64)
    features = np.empty(longest + 1, np.int32)
    by_count = np.empty(longest + 1, np.int32)
    first_of_count = np.zeros(longest + 2, np.int32)
    total = np.empty(width, np.int32)
    scores = np.empty(width, np.float64)
    labels = np.empty(len(starts), np.int16)
    for document in range(len(starts)):
        lane = document & 3
        if lane == 0:
            if document + 4 <= len(starts):
                _walk(data, starts[document:], ends[document:], steps, first_row, walked, emitted)
            else:  # the last few: lanes without a document walk over nothing
                lane_starts, lane_ends = np.zeros(4, np.int64), np.zeros(4, np.int64)
                for rest in range(len(starts) - document):
                    lane_starts[rest] = starts[document + rest]
                    lane_ends[rest] = ends[document + rest]
                _walk(data, lane_starts, lane_ends, steps, first_row, walked, emitted)
        seen = 0
        most = 0
        for position in range(emitted[lane]):
            feature = walked[lane, position] - 1
            if counts[feature] == 0:
                features[seen] = feature
                seen += 1
            counts[feature] += 1
        if seen == 0:
            labels[document] = label_of_column[0]
            continue
        # Counting sort by count, so that each group's weights are added as integers.
        for position in range(seen):
            most = max(most, counts[features[position]])
        first_of_count[: most + 2] = 0
        for position in range(seen):
            first_of_count[counts[features[position]] + 1] += 1
        for count in range(1, most + 2):
            first_of_count[count] += first_of_count[count - 1]
        for position in range(seen):
            feature = features[position]
            count = counts[feature]
            by_count[first_of_count[count]] = feature
            first_of_count[count] += 1
            counts[feature] = 0
        scores[:] = 0.0
        position = 0
        for count in range(1, most + 1):
            stop = first_of_count[count]
            if stop == position:
                continue
            total[:] = 0
            while position < stop:
                # Four rows at a time, so that a sum is loaded and stored once for four weights.
                first = weights[by_count[position]]
                second = weights[by_count[position + 1] if position + 1 < stop else nothing]
                third = weights[by_count[position + 2] if position + 2 < stop else nothing]
                fourth = weights[by_count[position + 3] if position + 3 < stop else nothing]
                for column in range(width):
                    pair = np.int32(first[column]) + np.int32(second[column])
                    total[column] += pair + np.int32(third[column]) + np.int32(fourth[column])
                position += 4
            position = stop
            factor = log_counts[count] / 512.0
            for column in range(width):
                scores[column] += factor * total[column]
        best = 0
        for column in range(1, columns):
            if scores[column] + priors[column] > scores[best] + priors[best]:
                best = column
        label = label_of_column[best]
        top = scores[best] + priors[best]
        # |computed - exact| <= (terms + 4) * u * sum |term| for any order of a float32 sum (Higham, Accuracy
        # and Stability of Numerical Algorithms, 3.1), for the best column and for its rival.
        sure = True
        for column in range(columns):
            size = abs(scores[column]) + abs(scores[best]) + abs(priors[column]) + abs(priors[best])
            slack = 1.01 * (seen + 4) * _UNIT_ROUNDOFF * size
            if label_of_column[column] != label and top - (scores[column] + priors[column]) <= slack:
                sure = False
        labels[document] = label if sure else NOT_SURE
    return labels


def has_letters(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[N]: a letter (general category L*) stands between the two places of a document."""
    tables = character_tables()
    return _has_letters(data, starts, ends, tables.class_pages, tables.classes)  # type: ignore[no-any-return]


@kernel
def _has_letters(  # type: ignore[no-untyped-def]
    data,
    starts,
    ends,
    pages,
    classes,
):
    found = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        at = starts[row]
        while at < ends[row] and not found[row]:
            code_point, size = code_point_at(data, at)
            found[row] = class_of(pages, classes, code_point) & LETTER != 0
            at += size
    return found
