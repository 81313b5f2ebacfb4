"""Stratified splits: each split holds its share of every label, exact to one component of candidates.

Every component belongs to one label, its stratum. The components of a stratum stand in the order of a keyed hash, and
each split is a range of that order: it ends where the documents before come closest to the exact share.

Legend: N documents, M members of components, C labels, K splits besides train.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.stages.ingest.labels import NO_LABEL

MAX_KEY = (1 << 64) - 1


class Cut(NamedTuple):
    """Where a split ends: components before (key, group) are in it, or in a split before it."""

    key: int
    group: int


EVERYTHING = Cut(MAX_KEY, MAX_KEY)
"""After every component: no group has this number."""


def component_labels(
    component: NDArray[np.uint64], label: NDArray[np.uint16], kept: NDArray[np.bool_]
) -> NDArray[np.uint16]:
    """The stratum of every member's component: the label that most of its kept members have, the first of several.

    Args:
        component: uint64[M], in any order.
        label: uint16[M].
        kept: bool[M], members that count.

    Returns:
        uint16[M], NO_LABEL where no member counts.
    """
    rows = np.flatnonzero(kept)
    pairs, documents = np.unique(
        np.stack([component[rows], label[rows].astype(np.uint64)], axis=1), axis=0, return_counts=True
    )
    order = np.lexsort((pairs[:, 1], -documents, pairs[:, 0]))
    named, first = np.unique(pairs[order, 0], return_index=True)
    found = np.full(len(component), NO_LABEL)
    if len(named):
        place = np.minimum(np.searchsorted(named, component), len(named) - 1)
        known = named[place] == component
        found[known] = pairs[order][first, 1].astype(np.uint16)[place[known]]
    return found


def exact_bounds(documents: int, shares: Sequence[float]) -> list[Fraction]:
    """How many of a stratum's documents the first split has, the first two together, and so on."""
    exact = [Fraction(str(share)) for share in shares]
    return [documents * sum(exact[: number + 1], Fraction(0)) for number in range(len(exact))]


def closest(reached: NDArray[np.int64], bound: Fraction) -> int:
    """Which of the rising numbers int64[B] comes closest to ``bound``; the later of two that are as close."""
    after = int(np.searchsorted(reached, -(-bound.numerator // bound.denominator)))
    if after == len(reached):
        return after - 1
    if after and bound - int(reached[after - 1]) < int(reached[after]) - bound:
        return after - 1
    return after


def cut_in_range(
    key: NDArray[np.uint64],
    group: NDArray[np.uint64],
    documents: NDArray[np.int64],
    before: int,
    bound: Fraction,
    end: Cut,
) -> Cut:
    """The cut closest to ``bound`` among those of one range of a stratum.

    Args:
        key: uint64[N] of documents of the range, in any order.
        group: uint64[N], their components; all documents of one have the same key.
        documents: int64[N], how many documents each row stands for.
        before: documents of the stratum before the range.
        bound: documents before the exact cut, no less than ``before`` and no more than up to the end of the range.
        end: where the range ends.
    """
    pairs, row = np.unique(np.stack([key, group], axis=1), axis=0, return_inverse=True)
    held = np.zeros(len(pairs), np.int64)
    np.add.at(held, row.reshape(-1), documents)
    number = closest(before + np.concatenate([[0], np.cumsum(held)]), bound)
    return Cut(int(pairs[number, 0]), int(pairs[number, 1])) if number < len(pairs) else end


def stratified_splits(
    key: NDArray[np.uint64],
    group: NDArray[np.uint64],
    stratum: NDArray[np.uint16],
    cut_keys: NDArray[np.uint64],
    cut_groups: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """Split of each document: int64[N] in 0 .. K, 0 is train.

    Args:
        key: uint64[N], of its component.
        group: uint64[N], its component.
        stratum: uint16[N], the label that the component counts for.
        cut_keys: uint64[C, K], where each split of each stratum ends.
        cut_groups: uint64[C, K].
    """
    splits = cut_keys.shape[1]
    ended: NDArray[Any] = np.zeros(len(key), np.int64)
    for number in range(splits):
        cut_key, cut_group = cut_keys[stratum, number], cut_groups[stratum, number]
        ended += (key > cut_key) | ((key == cut_key) & (group >= cut_group))
    return np.where(ended == splits, 0, ended + 1)
