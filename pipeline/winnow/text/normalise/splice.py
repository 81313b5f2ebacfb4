"""Makes the scanner's edits and puts ftfy's results into its holes; compares columns."""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.normalise.byte_ranges import copy_bytes
from winnow.text.normalise.prove import HOLE, SIZE, SOURCE_END, SOURCE_START, TEXT


@kernel
def splice(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    edits: NDArray[np.int64],
    fixed: NDArray[np.uint8],
    fixed_offsets: NDArray[np.int64],
    target: NDArray[np.uint8],
    target_offsets: NDArray[np.int64],
) -> None:
    """Write the edited column.

    Args:
        data: uint8[B'], the text.
        offsets: int64[N + 1], the documents in it.
        edits: int64[E, 3] from ``scan``.
        fixed: uint8, ftfy's results one after the other.
        fixed_offsets: int64[H + 1], the results in it.
        target: uint8, filled: as many bytes as the edited texts have.
        target_offsets: int64[N + 1], filled.
    """
    copied, written, edit = offsets[0], 0, 0
    target_offsets[0] = 0
    for document in range(len(offsets) - 1):
        end = offsets[document + 1]
        while edit < len(edits) and edits[edit, SOURCE_START] < end:
            written = copy_bytes(data, copied, edits[edit, SOURCE_START], target, written)
            copied, text = edits[edit, SOURCE_END], edits[edit, TEXT]
            edit += 1
            if text >> SIZE == HOLE:
                hole = text & ((1 << SIZE) - 1)
                written = copy_bytes(fixed, fixed_offsets[hole], fixed_offsets[hole + 1], target, written)
                continue
            for index in range(text >> SIZE):
                target[written + index] = (text >> (8 * index)) & 0xFF
            written += text >> SIZE
        target_offsets[document + 1] = written + end - copied
    copy_bytes(data, copied, offsets[-1], target, written)


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
            for index in range(at, stop):  # no early exit inside a block, so that it compiles to vector instructions
                differs |= data[start + index] != other_data[other_start + index]
            at = stop
        changed += differs
    return changed
