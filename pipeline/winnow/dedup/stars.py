"""Connected components in rounds, where the documents of all edges fit no worker: every round sees partitions alone.

A round has two halves. *Large-star*: every document joins its larger neighbours to the smallest of all its neighbours
and itself. *Small-star*: every document joins its smaller neighbours, and itself, to the smallest of them. Neither
parts what was connected, and once neither changes an edge, each component is a star around its smallest document.

Source: R. Kiveris, S. Lattanzi, V. Mirrokni, V. Rastogi, S. Vassilvitskii, "Connected Components in MapReduce and
Beyond" (SoCC 2014): at most O(log^2 n) rounds, and under ten on every graph that they measured.

Legend: R rows of a partition, E edges.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.components import mixed
from winnow.numeric.jit import kernel
from winnow.numeric.radix import sort_pairs


class Star(NamedTuple):
    """Edges that one half of a round makes in a partition, sorted and distinct."""

    larger: NDArray[np.uint64]
    """uint64[E], the larger end of each."""
    smaller: NDArray[np.uint64]
    """uint64[E]."""
    changed: int
    """Edges that came in and had another end then."""


@kernel
def _large_star(
    docs: NDArray[np.uint64], others: NDArray[np.uint64], larger: NDArray[np.uint64], smaller: NDArray[np.uint64]
) -> tuple[int, int]:
    """Fills ``larger`` and ``smaller``; returns edges made, and how many of them have a new end."""
    made, changed, least = 0, 0, np.uint64(0)
    for row in range(len(docs)):
        if row == 0 or docs[row] != docs[row - 1]:
            least = min(docs[row], others[row])
        elif others[row] == others[row - 1]:
            continue
        if others[row] > docs[row]:
            larger[made], smaller[made] = others[row], least
            made += 1
            changed += least != docs[row]
    return made, changed


@kernel
def _small_star(
    docs: NDArray[np.uint64], others: NDArray[np.uint64], larger: NDArray[np.uint64], smaller: NDArray[np.uint64]
) -> tuple[int, int]:
    """Fills ``larger`` and ``smaller``; returns edges made, and how many of them have a new end."""
    made, changed, least = 0, 0, np.uint64(0)
    for row in range(len(docs)):
        if row == 0 or docs[row] != docs[row - 1]:
            least = others[row]
            larger[made] = docs[row]
        elif others[row] == others[row - 1]:
            continue
        else:
            larger[made] = others[row]
            changed += 1
        smaller[made] = least
        made += 1
    return made, changed


@kernel
def _distinct(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> int:
    """Moves the distinct ones of sorted pairs to the front; returns how many there are."""
    kept = 0
    for row in range(len(first)):
        if kept == 0 or first[row] != first[kept - 1] or second[row] != second[kept - 1]:
            first[kept], second[kept] = first[row], second[row]
            kept += 1
    return kept


def distinct_pairs(
    first: NDArray[np.uint64], second: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Distinct pairs uint64[R], sorted by both columns."""
    first, second = sort_pairs(first, second, True)
    kept = _distinct(first, second)
    return first[:kept], second[:kept]


def large_star(docs: NDArray[np.uint64], others: NDArray[np.uint64]) -> Star:
    """The first half of a round, for the documents of a partition.

    Args:
        docs: uint64[R], in any order.
        others: uint64[R], a neighbour of each, never itself; all neighbours of every document, repeats allowed.
    """
    docs, others = sort_pairs(docs, others, True)
    larger, smaller = np.empty_like(docs), np.empty_like(docs)
    made, changed = _large_star(docs, others, larger, smaller)
    del docs, others
    return Star(*distinct_pairs(larger[:made], smaller[:made]), changed)


def small_star(docs: NDArray[np.uint64], others: NDArray[np.uint64]) -> Star:
    """The second half of a round, for the documents of a partition.

    Args:
        docs: uint64[R], in any order.
        others: uint64[R], a smaller neighbour of each; all smaller neighbours of every document, repeats allowed.
    """
    docs, others = sort_pairs(docs, others, True)
    larger, smaller = np.empty_like(docs), np.empty_like(docs)
    made, changed = _small_star(docs, others, larger, smaller)
    del docs, others
    return Star(*distinct_pairs(larger[:made], smaller[:made]), changed)


@kernel
def _partitions(docs: NDArray[np.uint64], count: np.uint64, found: NDArray[np.uint16]) -> None:
    for row in range(len(docs)):
        found[row] = ((mixed(docs[row]) >> np.uint64(32)) * count) >> np.uint64(32)


MOST_PARTITIONS = 1 << 16


def partition_order(docs: NDArray[np.uint64], partitions: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows in order of the partition that a hash of their document puts them in, and that partition: int64[R] twice.

    Args:
        docs: uint64[R].
        partitions: of how many; MOST_PARTITIONS at most.
    """
    found = np.empty(len(docs), np.uint16)
    _partitions(docs, np.uint64(partitions), found)
    order = np.argsort(found, kind="stable")  # of 16 bits: numpy's radix sort
    return order, found[order].astype(np.int64)
