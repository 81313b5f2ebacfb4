"""Puts ftfy's results into the scanner's output, and compares columns."""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.normalise.byte_ranges import copy_bytes
from winnow.text.normalise.prove import DOCUMENT, WRITTEN


@kernel
def splice(
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
            written = copy_bytes(out, copied, holes[hole, WRITTEN], target, written)
            copied = holes[hole, WRITTEN]
            written = copy_bytes(fixed, fixed_offsets[hole], fixed_offsets[hole + 1], target, written)
            hole += 1
        target_offsets[document + 1] = written + out_offsets[document + 1] - copied
    copy_bytes(out, copied, out_offsets[-1], target, written)


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
