"""Rows of a model's matrices, in the order of additions in which fastText takes them, so that float32 comes out alike.

Legend: N documents, R rows, D dimensions, C columns that are asked for.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.fasttext.file import Matrix

_COPIED = 64 << 20
"""Matrices up to so many bytes are copied out of the mapped file, so that numbers are aligned."""
_AT_ONCE = 1 << 16


def settled(matrix: Matrix) -> Matrix:
    """A small matrix in memory of its own; a larger one stays in the mapped file."""
    if matrix.dense.nbytes + matrix.codes.nbytes > _COPIED:
        return matrix
    return matrix._replace(dense=matrix.dense.copy(), codes=matrix.codes.copy())


def across(matrix: Matrix) -> NDArray[np.float32]:
    """A small matrix with its rows as columns, float32[D, R]; empty where it is large, or codes."""
    if matrix.dense.nbytes > _COPIED:
        return np.empty((0, 0), np.float32)
    return np.ascontiguousarray(matrix.dense.T)


def plain_rows(matrix: Matrix, start: int, stop: int) -> NDArray[np.float32]:
    """Rows as numbers, float32[stop - start, D]."""
    if len(matrix.dense):
        return matrix.dense[start:stop].copy()
    out = np.zeros((min(stop, matrix.rows) - start, matrix.dense.shape[1]), np.float32)
    _decode(matrix, start, out)
    return out


def collapsed(matrix: Matrix, direction: NDArray[np.float64]) -> Matrix:
    """A matrix of one column: each row's product with a direction float64[D]."""
    out = np.empty((matrix.rows, 1), np.float32)
    for start in range(0, matrix.rows, _AT_ONCE):
        _products(plain_rows(matrix, start, start + _AT_ONCE), direction, out[start : start + _AT_ONCE])
    nothing = np.empty(0, np.float32)
    return Matrix(out, np.empty((0, 0), np.uint8), nothing, 1, nothing)


@kernel
def _decode(matrix, start, out):  # type: ignore[no-untyped-def]
    dense, codes, centroids, piece, norms = matrix
    for row in range(len(out)):
        add_row(dense, codes, centroids, piece, norms, start + row, out[row])


@kernel
def _products(rows, direction, out):  # type: ignore[no-untyped-def]
    for row in range(len(rows)):
        total = 0.0
        for place in range(len(direction)):
            total += np.float64(rows[row, place]) * direction[place]
        out[row, 0] = total


@kernel
def add_row(dense, codes, centroids, piece, norms, row, total):  # type: ignore[no-untyped-def]
    """Add a row to ``total``, [D]."""
    if len(codes) == 0:
        for place in range(len(total)):
            total[place] += dense[row, place]
        return
    norm = norms[row] if len(norms) else np.float32(1)
    for number in range(codes.shape[1]):
        first = number * piece
        length = min(piece, len(total) - first)
        at = 256 * first + length * np.int64(codes[row, number])
        for place in range(length):
            total[first + place] += norm * centroids[at + place]


@kernel
def dots(matrix, rows, hidden, out):  # type: ignore[no-untyped-def]
    """Products of rows of a matrix, by number, with texts float32[N, D]: into float32[N, C]."""
    dense, codes, centroids, piece, norms = matrix
    size = hidden.shape[1]
    for text in range(len(hidden)):
        for column in range(len(rows)):
            row = rows[column]
            total = np.float32(0)
            if len(codes) == 0:
                for place in range(size):
                    total += dense[row, place] * hidden[text, place]
            else:
                for number in range(codes.shape[1]):
                    first = number * piece
                    length = min(piece, size - first)
                    at = 256 * first + length * np.int64(codes[row, number])
                    for place in range(length):
                        total += hidden[text, first + place] * centroids[at + place]
                if len(norms):
                    total *= norms[row]
            out[text, column] = total


@kernel
def all_dots(across, hidden, out):  # type: ignore[no-untyped-def]
    """Products of all rows of a matrix, which stands with its rows as columns float32[D, L], with texts float32[N, D]:
    added to float32[N, L]. The additions of each are in the same order as in :func:`dots`; labels stand side by side,
    so that the processor does several at a time."""
    for text in range(len(hidden)):
        for place in range(len(across)):
            factor = hidden[text, place]
            for column in range(across.shape[1]):
                out[text, column] += across[place, column] * factor
