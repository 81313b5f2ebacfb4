"""Semantic duplicates: which documents are linked by a cosine, and who stays among linked ones.

Links are looked for inside a cluster, and between a cluster's own documents (residents) and those of other clusters
that lie near it (visitors). Let t be the angle of the threshold. If x lies in cluster c, y in c', and the angle between
x and y is at most t, then at least one of them is nearly as near to the other's centre as to its own: the two
differences of angles add up to 2t at most, so one is at most t. A document therefore visits the clusters whose centres
are at most t further away than its own, and no link is missed, as long as it may visit all of them (`neighbours`).

Links only say who is compared. A document is removed for a *kept* one whose cosine with it is over the threshold.

Legend: N documents, D dimensions, R residents, V visitors.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.equal_runs import equal_runs
from winnow.select.kernels.greedy import choose_in_block
from winnow.select.vectors import unit_rows

BLOCK = 1024
"""Documents of one product with another block: its cosines take 4 MB."""
GREEDY_BLOCK = 512


def visited(cosines: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Which other clusters a document visits.

    Args:
        cosines: float32[N, 1 + neighbours] with the nearest centres, its own first.
        threshold: smallest cosine of a duplicate.

    Returns:
        bool[N, neighbours].
    """
    angles = np.arccos(np.clip(cosines.astype(np.float64), -1.0, 1.0))
    near: NDArray[np.bool_] = angles[:, 1:] - angles[:, :1] <= np.arccos(threshold) + 1e-6
    return near


def links_in_cluster(
    residents: NDArray[Any], visitors: NDArray[Any], threshold: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All pairs of residents, and of a resident and a visitor, whose cosine is at least ``threshold``.

    Args:
        residents: float16 or float32 [R, D].
        visitors: [V, D].
        threshold: smallest cosine.

    Yields:
        int64[E] and int64[E]: places of both; a visitor's place is R + its number. Memory is a block of products.
    """
    own, others = unit_rows(residents), unit_rows(visitors)
    for begin in range(0, len(own), BLOCK):
        rows = own[begin : begin + BLOCK]
        for across in range(begin, len(own), BLOCK):
            near = rows @ own[across : across + BLOCK].T >= threshold
            if across == begin:
                near = np.triu(near, 1)
            first, second = np.nonzero(near)
            yield first + begin, second + across
        for across in range(0, len(others), BLOCK):
            first, second = np.nonzero(rows @ others[across : across + BLOCK].T >= threshold)
            yield first + begin, second + across + len(own)


def choose_semantic_keepers(
    vectors: NDArray[Any], component: NDArray[np.uint64], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Who stays: inside a component best first, each is compared with the kept ones before it.

    Args:
        vectors: float16 or float32 [N, D], ordered by component, and inside a component best first.
        component: uint64[N].
        threshold: smallest cosine at which a document is removed.

    Returns:
        int64[N] place of the first kept document (in this order) that each is removed for, or -1; float32[N] their
        cosine, NaN where kept.
    """
    keeper = np.full(len(component), -1, np.int64)
    cosine = np.full(len(component), np.nan, np.float32)
    for begin, end in equal_runs(component):
        _choose(unit_rows(vectors[begin:end]), threshold, keeper[begin:end], cosine[begin:end])
        mine = keeper[begin:end]
        mine[mine >= 0] += begin
    return keeper, cosine


def _choose(
    unit: NDArray[np.float32], threshold: float, keeper: NDArray[np.int64], cosine: NDArray[np.float32]
) -> None:
    """Fill ``keeper`` and ``cosine`` of one component, block by block against what is kept so far."""
    for begin in range(0, len(unit), GREEDY_BLOCK):
        block = unit[begin : begin + GREEDY_BLOCK]
        in_block = np.full(len(block), -1, np.int64)
        cosines = np.full(len(block), np.nan, np.float32)
        kept = np.flatnonzero(keeper[:begin] == -1)
        for across in range(0, len(kept), BLOCK):
            places = kept[across : across + BLOCK]
            products = block @ unit[places].T
            near = products >= threshold
            first = near.argmax(axis=1)
            found = np.flatnonzero(near.any(axis=1) & (in_block == -1))
            in_block[found] = places[first[found]]
            cosines[found] = products[found, first[found]]
        outside = in_block != -1
        choose_in_block(block @ block.T, np.float32(threshold), in_block, cosines)
        inside = ~outside & (in_block != -1)
        in_block[inside] += begin
        keeper[begin : begin + len(block)] = in_block
        cosine[begin : begin + len(block)] = cosines
