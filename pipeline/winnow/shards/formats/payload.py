"""The token payload that all formats share: little-endian ids, row after row, nothing between them."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import FormatError

PIECE_BYTES = 1 << 20
"""Bytes handed on at a time: still in the processor's cache when they are hashed and written."""
SIGNED_LIMIT = 1 << 31
"""Megatron and litdata know no unsigned 32-bit ids: from here on an id would be read as a negative one."""
OFFSET_LIMIT = (1 << 32) - 1
"""Largest file of a format whose offsets are uint32."""


def pieces_of_bytes(values: NDArray[Any]) -> Iterator[memoryview]:
    """The array's bytes, little-endian, in order."""
    if sys.byteorder == "big":  # pragma: no cover - no such machine among those that run numba
        values = values.byteswap()
    view = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]


def check_ids(rows: NDArray[Any], vocabulary_size: int) -> None:
    """Look at every id once.

    Raises:
        FormatError: an id does not belong to the vocabulary.
    """
    largest = int(rows.max(initial=0))
    if largest >= vocabulary_size:
        row = int(np.argmax(rows.max(axis=1)))
        raise FormatError(
            f"row {row:,} of the shard holds token id {largest:,}, but the vocabulary ends at {vocabulary_size - 1:,}; "
            "the tokens were not made with this vocabulary, or the file was altered"
        )


def check_signed(vocabulary_size: int, kind: str) -> None:
    """Raise FormatError if ids of the vocabulary do not fit int32, which ``kind`` reads."""
    if vocabulary_size > SIGNED_LIMIT:
        raise FormatError(f"{kind} reads 4-byte ids as int32, and a vocabulary of {vocabulary_size:,} ids does not fit")
