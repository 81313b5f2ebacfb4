"""Vectors as they are stored and compared: float16 of unit length; a zero vector stands for a document without one.

Everything that is decided is computed from the stored float16 values, so a decision can be checked from the tables.

Legend: N documents, D dimensions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

STORED = np.dtype(np.float16)
"""Type of a stored coordinate."""
BLOCK_ROWS = 4096
"""Rows of one product: its result and operands stay a few tens of MB."""


def stored_vectors(vectors: NDArray[Any]) -> NDArray[np.float16]:
    """float16[N, D] of unit length. Rows that are zero, or hold NaN or infinity, become zero: "no vector"."""
    stored = np.empty(vectors.shape, STORED)
    for begin in range(0, len(vectors), BLOCK_ROWS):
        wide = np.asarray(vectors[begin : begin + BLOCK_ROWS], np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            length = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
        usable = np.isfinite(length) & (length > 0)
        scaled = np.divide(wide, length, out=np.zeros_like(wide), where=usable)
        stored[begin : begin + BLOCK_ROWS] = scaled.astype(STORED)
    return stored


def has_vector(stored: NDArray[np.float16]) -> NDArray[np.bool_]:
    """bool[N]: which rows are not zero."""
    return np.asarray(stored.any(axis=1))


def unit_rows(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """float32[N, D] scaled to length 1 once more (float16 is off by up to 0.0005); zero rows stay zero."""
    wide = np.asarray(vectors, np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", wide, wide, dtype=np.float64))[:, None].astype(np.float32)
    return np.asarray(np.divide(wide, length, out=np.zeros_like(wide), where=length > 0))


def device_of_this_process() -> str:
    """``cuda`` where torch is installed and sees a GPU, else ``cpu``."""
    try:
        import torch  # noqa: PLC0415 - optional, and slow to load
    except ImportError:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


FIXED_POINT = 2.0**28
"""Coordinates are added as multiples of 1 / FIXED_POINT."""
