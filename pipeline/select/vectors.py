"""Vectors as they are stored and compared: float16 of unit length; a zero vector stands for a document without one.

Everything that is decided is computed from the stored float16 values, so a decision can be checked from the tables.

Legend: N documents, D dimensions, K centres.
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
    wide = np.asarray(vectors, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        length = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    usable = np.isfinite(length) & (length > 0)
    scaled = np.divide(wide, length, out=np.zeros_like(wide), where=usable)
    return np.asarray(scaled.astype(STORED))


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


def nearest_centres(
    vectors: NDArray[Any], centres: NDArray[np.float32], number: int = 1, device: str = "cpu"
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``number`` centres of largest cosine for each vector, best first; equal ones by number.

    Args:
        vectors: float16 or float32 [N, D]; scaled to unit length here.
        centres: float32[K, D] of unit length, ``number`` <= K.
        number: of centres for each vector.
        device: ``cpu`` computes with numpy, ``cuda`` (or any other name of a torch device) with torch.

    Returns:
        int32[N, number] and float32[N, number], the cosines.
    """
    chosen = np.empty((len(vectors), number), np.int32)
    cosine = np.empty((len(vectors), number), np.float32)
    products = _products_on(device, centres)
    for begin in range(0, len(vectors), BLOCK_ROWS):
        block = products(unit_rows(vectors[begin : begin + BLOCK_ROWS]))
        rows = np.arange(len(block))
        for place in range(number):
            best = block.argmax(axis=1)  # the first of equal ones
            chosen[begin : begin + len(block), place] = best
            cosine[begin : begin + len(block), place] = block[rows, best]
            block[rows, best] = -np.inf
    return chosen, cosine


def _products_on(device: str, centres: NDArray[np.float32]) -> Any:
    """A function that gives float32[B, K] cosines of unit rows float32[B, D] with all centres."""
    turned = np.ascontiguousarray(centres.T)
    if device == "cpu":
        return lambda rows: rows @ turned
    import torch  # noqa: PLC0415 - only where a GPU is used

    there = torch.from_numpy(turned).to(device)
    return lambda rows: (torch.from_numpy(rows).to(device) @ there).cpu().numpy()
