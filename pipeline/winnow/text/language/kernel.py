"""The compiled half of language identification: prefixes, the state machine and the scores.

Legend: N documents, B bytes, S states, R distinct rows of the state machine, F features, L columns.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.bits import pointer_to
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


class Machine(NamedTuple):
    """py3langid's state machine, small enough for few of its steps to miss the processor's caches."""

    byte_classes: NDArray[np.uint8]  # [256] the class of a byte; what is seen most comes first
    steps: NDArray[np.uint32]  # [R, classes] the row that follows << 8 | which of its features is emitted; 0: none
    first_features: NDArray[np.int32]  # [R] where a row's features begin in `features`, less one
    features: NDArray[np.int32]  # of all states that emit one


_ROW_BITS, _EMITS = np.uint32(8), np.uint32(255)
_TOGETHER = 12
"""Documents that are walked at a time: a step waits for the one before it, and meanwhile the others fetch."""


@kernel
def _walk(data: Any, machine: Any, lanes: int, length: int, at: Any, rows: Any, seen: Any, emitted: Any) -> None:
    """Take the next ``length`` bytes of each of the first ``lanes`` documents; steps that emit go to ``emitted``."""
    width, room = machine.steps.shape[1], emitted.shape[1]
    data, steps, classes = pointer_to(data), pointer_to(machine.steps), pointer_to(machine.byte_classes)
    at, rows, seen, emitted = pointer_to(at), pointer_to(rows), pointer_to(seen), pointer_to(emitted)
    for i in range(length):
        for lane in range(lanes):
            step = steps[rows[lane] * width + np.int64(classes[data[at[lane] + i]])]
            rows[lane] = np.int64(step >> _ROW_BITS)
            # written in any case, kept only if there is one: no branch to guess
            emitted[lane * room + seen[lane]] = step
            seen[lane] += (step & _EMITS) != 0
    for lane in range(lanes):
        at[lane] += length


@kernel
def best_columns(
    data: Any,
    starts: Any,
    ends: Any,
    machine: Any,
    first_row: int,
    weights: Any,
    priors: Any,
    log_counts: Any,
    label_of_column: Any,
) -> NDArray[np.int16]:
    """Label number of every document.

    Args:
        data: uint8[B]; document i is ``data[starts[i] : ends[i]]``.
        starts: int64[N].
        ends: int64[N].
        machine: the states.
        first_row: the row of the first state.
        weights: int16[F + 1, W >= L], log-probabilities * 512; the last row and the rest of each are zero.
        priors: float64[L].
        log_counts: float64[C], log1p of a count.
        label_of_column: int16[L]; scripts of one language share a label.

    Returns:
        int16[N]: the label of the column with the highest score (label 0 where there is no feature at all),
        NOT_SURE where another label's score is within the error bound of a float32 sum.
    """
    longest = 0
    for document in range(len(starts)):
        longest = max(longest, ends[document] - starts[document])
    emitted = np.empty((_TOGETHER, longest + 1), np.uint32)
    documents, at = np.zeros(_TOGETHER, np.int64), np.zeros(_TOGETHER, np.int64)
    rows, seen = np.zeros(_TOGETHER, np.int64), np.zeros(_TOGETHER, np.int64)
    counts = np.zeros(weights.shape[0] - 1, np.int32)
    room = (np.empty(longest + 1, np.int32), np.empty(longest + 1, np.int32), np.zeros(longest + 2, np.int32))
    sums = (np.empty(weights.shape[1], np.int32), np.empty(weights.shape[1], np.float64))
    labels = np.empty(len(starts), np.int16)
    lanes, begun = min(_TOGETHER, len(starts)), 0
    while begun < lanes:
        documents[begun], at[begun], rows[begun] = begun, starts[begun], first_row
        begun += 1
    while lanes:
        length = longest
        for lane in range(lanes):
            length = min(length, ends[documents[lane]] - at[lane])
        _walk(data, machine, lanes, length, at, rows, seen, emitted)
        lane = 0
        while lane < lanes:
            document = documents[lane]
            if at[lane] < ends[document]:
                lane += 1
                continue
            labels[document] = _best_column(
                emitted[lane, : seen[lane]], machine, weights, priors, log_counts, label_of_column, counts, room, sums
            )
            if begun < len(starts):
                documents[lane], at[lane], rows[lane], seen[lane] = begun, starts[begun], first_row, 0
                begun += 1
                lane += 1
            else:
                lanes -= 1
                documents[lane], at[lane] = documents[lanes], at[lanes]
                rows[lane], seen[lane] = rows[lanes], seen[lanes]
                for k in range(seen[lane]):
                    emitted[lane, k] = emitted[lanes, k]
    return labels


@kernel
def _best_column(
    steps: Any,
    machine: Any,
    weights: Any,
    priors: Any,
    log_counts: Any,
    label_of_column: Any,
    counts: Any,
    room: Any,
    sums: Any,
) -> Any:
    """The label number of one document from the steps that emitted its features. ``counts`` int32[F], zeros, are left
    as they were; ``room`` and ``sums`` are scratch."""
    features, by_count, first_of_count = room
    total, scores = sums
    columns, width, nothing = len(priors), weights.shape[1], weights.shape[0] - 1
    different, most = 0, 0
    for step in steps:
        feature = machine.features[machine.first_features[step >> _ROW_BITS] + np.int64(step & _EMITS)]
        if counts[feature] == 0:
            features[different] = feature
            different += 1
        counts[feature] += 1
    if different == 0:
        return label_of_column[0]
    # Counting sort by count, so that each group's weights are added as integers.
    for position in range(different):
        most = max(most, counts[features[position]])
    first_of_count[: most + 2] = 0
    for position in range(different):
        first_of_count[counts[features[position]] + 1] += 1
    for count in range(1, most + 2):
        first_of_count[count] += first_of_count[count - 1]
    for position in range(different):
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
    for column in range(columns):
        size = abs(scores[column]) + abs(scores[best]) + abs(priors[column]) + abs(priors[best])
        slack = 1.01 * (different + 4) * _UNIT_ROUNDOFF * size
        if label_of_column[column] != label and top - (scores[column] + priors[column]) <= slack:
            return np.int16(NOT_SURE)
    return label


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
