"""Spherical k-means: centres of unit length, documents by largest cosine.

Deterministic, on a GPU as well: the first centres are the vectors whose documents have the smallest keyed hashes, sums
are exact in any order, ties go to the lowest centre. A centre that nobody chose is given the vector that is worst
served by its own centre. Source: I. Dhillon and D. Modha, "Concept decompositions for large sparse text data using
clustering" (2001); Lloyd's iteration.

Legend: N vectors, D dimensions, K centres.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.select.backends import vectors_on
from winnow.select.nearest import HostVectors, Vectors
from winnow.select.step_configs import ClustersConfig
from winnow.select.vectors import unit_rows

MOST_CLUSTERS_AUTO = 50_000
TWO_LEVELS_FROM = 4_096
"""From so many centres on, `levels: auto` clusters the clusters."""
COARSE_ROUNDS, DIVIDING_ROUNDS, NEAR_GROUPS = 10, 5, 8
"""Of two levels: rounds of the coarse clusters and of each one's division; coarse clusters that a vector looks into."""


@dataclass(frozen=True)
class Fit:
    """Centres float32[K, D] of unit length, sum of (1 - cosine) over the fitted vectors, and rounds done."""

    centres: NDArray[np.float32]
    inertia: float
    rounds: int
    repaired: int


def number_of_clusters(config: ClustersConfig, documents: int) -> int:
    """K for so many documents (at least 1, even for none)."""
    wanted = config.number if isinstance(config.number, int) else min(math.isqrt(max(documents, 1)), MOST_CLUSTERS_AUTO)
    return max(1, min(wanted, documents))


def fit_centres(vectors: NDArray[Any], number: int, iterations: int, levels: int | str = 1, device: str = "cpu") -> Fit:
    """Fit centres to vectors that stand in the order of their keyed hashes: the first ones are the first centres.

    Args:
        vectors: float16 or float32 [N, D], no zero rows, in the order of their documents' keyed hashes.
        number: K; no more than N distinct centres can come out, fewer vectors give fewer centres.
        iterations: rounds at most, on each level.
        levels: 1, 2 or ``auto``.
        device: where products are computed (see :func:`winnow.select.nearest.vectors_on`).
    """
    number = min(number, len(vectors))
    if number == 0:
        return Fit(np.zeros((0, vectors.shape[1]), np.float32), 0.0, 0, 0)
    there = vectors_on(device, vectors)
    if isinstance(there, HostVectors):
        there = there.held_as_unit()
    first = unit_rows(vectors[:number])
    if levels == 1 or (levels == "auto" and number < TWO_LEVELS_FROM) or number < 4:
        return _lloyd(there, first, iterations)
    return _two_levels(there, vectors, number, iterations)


def _two_levels(vectors: Vectors, rows: NDArray[Any], number: int, iterations: int) -> Fit:
    """About sqrt(K) coarse clusters, each divided by itself; then rounds over all centres together, in which a vector
    looks at the centres of its ``NEAR_GROUPS`` nearest coarse clusters. ``rows`` are the vectors themselves."""
    coarse = _lloyd(vectors, unit_rows(rows[: math.isqrt(number)]), COARSE_ROUNDS)
    near, _ = vectors.nearest(coarse.centres, min(NEAR_GROUPS, len(coarse.centres)))
    group = near[:, 0]
    shares = _shares(np.bincount(group, minlength=len(coarse.centres)), number)
    pieces = []
    for place, share in enumerate(shares):
        if share:
            mine = np.flatnonzero(group == place)
            pieces.append(_lloyd(vectors.take(mine), unit_rows(rows[mine[:share]]), DIVIDING_ROUNDS).centres)
    starts = np.concatenate([[0], np.cumsum(shares)]).astype(np.int64)
    near = np.sort(near, axis=1)
    return _lloyd(
        vectors, np.concatenate(pieces), iterations, lambda centres: vectors.nearest_within(centres, starts, near)
    )


def _shares(sizes: NDArray[np.int64], number: int) -> list[int]:
    """How many of ``number`` centres each group gets: one if it has vectors, and of the rest in proportion to its size,
    at most its size, by largest remainder. ``number`` is at least the number of groups."""
    least = np.minimum(sizes, 1)
    room = sizes - least
    exact = least + room * ((number - least.sum()) / max(1, room.sum()))
    shares = np.minimum(np.floor(exact).astype(np.int64), sizes)
    while (left := number - int(shares.sum())) > 0:
        open_groups = np.flatnonzero(shares < sizes)
        order = open_groups[np.argsort(-(exact - shares)[open_groups], kind="stable")]
        shares[order[:left]] += 1
    return [int(share) for share in shares]


def _lloyd(
    vectors: Vectors,
    centres: NDArray[np.float32],
    iterations: int,
    nearest: Callable[[NDArray[np.float32]], tuple[NDArray[np.int32], NDArray[np.float32]]] | None = None,
) -> Fit:
    """Rounds of assignment and means. ``nearest`` takes the centres and finds each vector's; all are looked at
    without it."""
    look = nearest or (lambda centres: vectors.nearest(centres, 1))
    group = np.full(len(vectors), -1, np.int32)
    repaired = 0
    for rounds in range(1, iterations + 1):  # noqa: B007 - part of the result
        chosen, cosine = look(centres)
        changed = chosen[:, 0] != group
        group = chosen[:, 0].copy()
        repaired += _repair(group, cosine[:, 0], len(centres))
        if not changed.any():
            break
        centres = _means(vectors.sums(group, len(centres)), centres)
    cosine = look(centres)[1]
    return Fit(centres, float((1.0 - cosine.astype(np.float64)).sum()), rounds, repaired)


def _repair(group: NDArray[np.int32], cosine: NDArray[np.float32], number: int) -> int:
    """Give every centre without vectors the one that is worst served, unless it would leave another centre empty."""
    sizes = np.bincount(group, minlength=number)
    empty = np.flatnonzero(sizes == 0)
    if len(empty) == 0:
        return 0
    worst = iter(np.lexsort((np.arange(len(cosine)), cosine)).tolist())
    given = 0
    for place in empty:
        for vector in worst:
            if sizes[group[vector]] > 1:
                sizes[group[vector]] -= 1
                group[vector] = place
                given += 1
                break
    return given


def _means(sums: NDArray[np.float64], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit means of groups with these sums; a group that is empty, or whose vectors cancel out, keeps its centre."""
    length = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
    return np.where(length > 1e-7, sums / np.maximum(length, 1e-7), before).astype(np.float32)
