"""Nearest centres of vectors, and sums of groups of vectors: what k-means and assignment are made of.

Two implementations with the same decisions: :class:`HostVectors` computes with numpy, and
:class:`winnow.select.device_vectors.DeviceVectors` with torch where the vectors lie on a GPU.

Sums are exact: coordinates are rounded to multiples of 2**-28 and added in float64, which holds such sums of up to
2**25 unit vectors without another rounding. So they depend on no order, and a GPU's atomic additions give the bits
that numpy gives.

Legend: N vectors, D dimensions, K centres, P near groups.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.equal_runs import equal_runs
from winnow.select.vectors import BLOCK_ROWS, FIXED_POINT, unit_rows

BLOCK_BYTES = 64_000_000
"""A block of cosines on the host, at most: never all vectors with all centres."""


class Vectors(Protocol):
    """N vectors of unit length, wherever they lie."""

    def __len__(self) -> int:
        """N."""

    def nearest(self, centres: NDArray[np.float32], number: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The ``number`` centres of largest cosine: int32[N, number] and float32[N, number], best first; equal ones
        by number. ``centres`` float32[K, D] have unit length, ``number`` <= K."""

    def nearest_within(
        self, centres: NDArray[np.float32], starts: NDArray[np.int64], near: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The nearest centre among those of some groups only: int32[N, 1] and float32[N, 1].

        Group g has the centres ``starts[g]`` to ``starts[g + 1]``, and vector n looks at the groups near[n] (int32[N,
        P], one of them with a centre at least).
        """

    def sums(self, group: NDArray[np.int32], number: int) -> NDArray[np.float64]:
        """float64[number, D]: the exact sum of each group's vectors (in fixed point); ``group`` is int32[N]."""

    def take(self, places: NDArray[np.int64]) -> "Vectors":
        """Some of them."""


class HostVectors:
    """Vectors in this machine's memory, computed with in float32 by numpy."""

    def __init__(self, vectors: NDArray[Any], *, are_unit: bool = False) -> None:
        self.vectors = vectors
        self.are_unit = are_unit

    def __len__(self) -> int:
        """N."""
        return len(self.vectors)

    def held_as_unit(self) -> "HostVectors":
        """The same with unit rows in memory: for work that goes over them again and again."""
        return self if self.are_unit else HostVectors(unit_rows(self.vectors), are_unit=True)

    def take(self, places: NDArray[np.int64]) -> "HostVectors":
        """Some of them."""
        return HostVectors(self.vectors[places], are_unit=self.are_unit)

    def nearest(self, centres: NDArray[np.float32], number: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """See :class:`Vectors`."""
        chosen = np.empty((len(self), number), np.int32)
        cosine = np.empty((len(self), number), np.float32)
        turned = np.ascontiguousarray(centres.T)
        step = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (4 * max(1, len(centres)))))
        for begin in range(0, len(self), step):
            block = self._unit(slice(begin, begin + step)) @ turned
            rows = np.arange(len(block))
            for place in range(number):
                best = block.argmax(axis=1)  # the first of equal ones
                chosen[begin : begin + len(block), place] = best
                cosine[begin : begin + len(block), place] = block[rows, best]
                block[rows, best] = -np.inf
        return chosen, cosine

    def nearest_within(
        self, centres: NDArray[np.float32], starts: NDArray[np.int64], near: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """See :class:`Vectors`."""
        chosen = np.zeros(len(self), np.int32)
        cosine = np.full(len(self), -np.inf, np.float32)
        flat = near.reshape(-1)
        order = np.argsort(flat, kind="stable")  # groups rise, so of equal cosines the lowest centre comes first
        for begin, end in equal_runs(flat[order]):
            first, last = starts[flat[order[begin]] : flat[order[begin]] + 2]
            turned = np.ascontiguousarray(centres[first:last].T)
            for at in range(begin, end if last > first else begin, BLOCK_ROWS):
                rows = order[at : min(at + BLOCK_ROWS, end)] // near.shape[1]
                block = self._unit(rows) @ turned
                best = block.argmax(axis=1)
                found = block[np.arange(len(block)), best]
                better = found > cosine[rows]
                chosen[rows[better]] = best[better] + first
                cosine[rows[better]] = found[better]
        return chosen[:, None], cosine[:, None]

    def sums(self, group: NDArray[np.int32], number: int) -> NDArray[np.float64]:
        """See :class:`Vectors`."""
        sums = np.zeros((number, self.vectors.shape[1]), np.float64)
        order = np.argsort(group, kind="stable")
        ordered = group[order]
        for begin, end in equal_runs(ordered):
            for at in range(begin, end, BLOCK_ROWS):
                rows = self._unit(order[at : min(at + BLOCK_ROWS, end)])
                sums[ordered[begin]] += np.rint(rows * np.float32(FIXED_POINT)).sum(axis=0, dtype=np.float64)
        return sums / FIXED_POINT

    def _unit(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        block: NDArray[Any] = self.vectors[rows]
        return block if self.are_unit else unit_rows(block)
