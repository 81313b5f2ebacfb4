"""Keepers: inside one component of candidates, which documents stay and which go.

The rule: documents kept by earlier runs stay. Then, best-ranked first, a document goes if a document that
stays equals its text, or reaches the threshold with it and has what it says (`winnow.dedup.guard`), and stays
otherwise. So every removed document has a kept one at verified similarity >= threshold (no chains), and its
recorded keeper is the best-ranked such document (earlier runs' documents rank before this run's).

How the work is bounded, without changing the outcome (search in `keeper_search`):

- a copy of a text already met takes over the outcome of its first copy: one table look-up;
- a pair is first compared by sketch, one byte an entry, and given up once too many bytes differ;
- from 256 keepers on, keepers are found through an index of signature pieces, which is exact.

Legend: M members (all components together), C components, P permutations.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.guard import UNKNOWN, Guard, no_guard
from winnow.dedup.keeper_search import (
    clear_index,
    exact_similarity,
    find_keeper,
    insert_keeper,
    make_index,
    write_sketch,
)
from winnow.dedup.verification import Verify, verification
from winnow.numeric.jit import kernel

_NO_SHINGLES = np.empty(0, np.uint32)
_NO_BOUNDS = np.empty((0, 2), np.int64)

__all__ = ["MemberDecisions", "choose_keepers", "exact_similarity"]


class MemberDecisions(NamedTuple):
    """What becomes of M members."""

    keeper: NDArray[np.int64]
    """int64[M], the member that stays in its stead, or -1 where the member stays itself."""
    similarity: NDArray[np.float32]
    """float32[M], to the keeper, or to the one refused; 0 where there is neither."""
    exact: NDArray[np.bool_]
    """bool[M], removed by a keeper of equal text."""
    lost: NDArray[np.int64]
    """int64[M], runs of words that the keeper (or the one refused) lacks; `UNKNOWN` where contents are not known."""
    refused: NDArray[np.int64]
    """int64[M], the best-ranked member that would have removed it but for the guard, or -1; of one that was removed
    after all, its keeper ranks behind that."""
    reason: NDArray[np.uint8]
    """uint8[M], why: a code of `winnow.dedup.guard.REASONS`; 0 where none was refused."""


@kernel
def _order_members(
    by_rank: NDArray[np.int64], component_offsets: NDArray[np.int64], already_kept: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Members of each component, earlier runs' first, then best-ranked first: int64[M]. Linear time."""
    component_of = np.empty(len(by_rank), np.int64)
    for component in range(len(component_offsets) - 1):
        component_of[component_offsets[component] : component_offsets[component + 1]] = component
    ordered = np.empty(len(by_rank), np.int64)
    place = component_offsets[:-1].copy()
    for turn in range(2):
        for member in by_rank:
            if already_kept[member] == (turn == 0):
                component = component_of[member]
                ordered[place[component]] = member
                place[component] += 1
    return ordered


@kernel
def _choose(
    ordered: NDArray[np.int64],
    component_offsets: NDArray[np.int64],
    signatures: NDArray[np.uint32],
    has_shingles: NDArray[np.bool_],
    hashes: NDArray[np.uint64],
    already_kept: NDArray[np.bool_],
    need: int,
    accept_from: int,
    threshold: float,
    shingles: NDArray[np.uint32],
    shingle_bounds: NDArray[np.int64],
    guard: Guard,
    keeper: NDArray[np.int64],
    similarity: NDArray[np.float32],
    exact: NDArray[np.bool_],
    lost: NDArray[np.int64],
    refused: NDArray[np.int64],
    reason: NDArray[np.uint8],
) -> None:
    """Decide every member of every component.

    ``need`` entries must agree for a pair to be considered, and ``accept_from`` are enough without the shingles.
    """
    num_perm = signatures.shape[1]
    largest = 1
    for component in range(len(component_offsets) - 1):
        largest = max(largest, component_offsets[component + 1] - component_offsets[component])
    slots = 2
    while slots < 2 * largest:
        slots *= 2
    first_copy = np.empty(slots, np.int64)  # hash table: text hash -> member met with it
    row_of = np.empty(len(ordered), np.int64)  # a kept member's row among the keepers of its component
    keepers = np.empty(256, np.int64)
    sketches = np.zeros((257, (num_perm + 63) // 64 * 8), np.uint64)
    index = make_index()

    for component in range(len(component_offsets) - 1):
        start, end = component_offsets[component], component_offsets[component + 1]
        slots = 2
        while slots < 2 * (end - start):
            slots *= 2
        first_copy[:slots] = -1
        num_keepers = 0
        index = clear_index(index)
        for member in ordered[start:end]:
            slot = np.int64((hashes[member, 0] ^ (hashes[member, 1] >> np.uint64(7))) & np.uint64(slots - 1))
            while first_copy[slot] >= 0 and (
                hashes[first_copy[slot], 0] != hashes[member, 0] or hashes[first_copy[slot], 1] != hashes[member, 1]
            ):
                slot = (slot + 1) & (slots - 1)
            copy = first_copy[slot]
            if copy < 0:
                first_copy[slot] = member

            if not already_kept[member]:
                if copy >= 0 and keeper[copy] >= 0:
                    keeper[member] = keeper[copy]
                    similarity[member] = similarity[copy]
                    exact[member] = exact[copy]
                    lost[member] = lost[copy]
                    refused[member] = refused[copy]
                    reason[member] = reason[copy]
                    continue
                # A kept copy removes this one, unless it was kept before this run and an earlier run's
                # document of better rank reaches the threshold too.
                search = has_shingles[member] and (copy < 0 or already_kept[copy])
                if search:
                    write_sketch(signatures[member], sketches[num_keepers])
                    rows = num_keepers if copy < 0 else row_of[copy]
                    row, share, number, no_row, no_share, no_number, why, index = find_keeper(
                        member, rows, num_keepers, keepers, sketches, signatures, need, accept_from, threshold,
                        shingles, shingle_bounds, guard, index,
                    )  # fmt: skip
                    if row >= 0:
                        keeper[member] = keepers[row]
                        similarity[member] = share
                        lost[member] = number
                    elif no_row >= 0:
                        similarity[member] = no_share
                        lost[member] = no_number
                    if no_row >= 0:
                        refused[member] = keepers[no_row]
                        reason[member] = why
                if copy >= 0:
                    if keeper[member] < 0:
                        keeper[member] = copy
                        similarity[member] = 1.0
                        exact[member] = True
                        lost[member] = 0
                        refused[member] = -1
                        reason[member] = 0
                    first_copy[slot] = member  # further copies take over this outcome
                if keeper[member] >= 0:
                    continue
            if not has_shingles[member]:
                continue
            if num_keepers == len(keepers):
                keepers = np.concatenate((keepers, np.empty(len(keepers), np.int64)))
                sketches = np.concatenate((sketches, np.zeros((num_keepers, sketches.shape[1]), np.uint64)))
            write_sketch(signatures[member], sketches[num_keepers])
            keepers[num_keepers] = member
            row_of[member] = num_keepers
            num_keepers += 1
            index = insert_keeper(index, num_keepers, keepers, signatures, need)


def choose_keepers(
    rank: NDArray[np.int64],
    component_offsets: NDArray[np.int64],
    signatures: NDArray[np.uint32],
    shingle_counts: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    threshold: float,
    already_kept: NDArray[np.bool_],
    shingles: tuple[NDArray[np.uint32], NDArray[np.int64]] | None = None,
    verify: Verify = "estimate",
    guard: Guard | None = None,
) -> MemberDecisions:
    """Decide which members of each component stay.

    The similarity of two documents is the Jaccard similarity of their shingle sets (``exact``), the share of
    equal signature entries (``estimate``), or this share where it is far from the threshold and the former
    where it is not (``signature``): `winnow.dedup.verification` has the bounds. Documents of equal text hash
    count as 1.0 and are flagged, unless a better-ranked keeper was recorded for the first of them. Documents
    without shingles match equal texts only. Never quadratic in copies of one document.

    Args:
        rank: int64[M], position in the ranking, 0 is best; unique.
        component_offsets: int64[C + 1]; component c owns members ``component_offsets[c]`` up to the next.
        signatures: uint32[M, P], C order.
        shingle_counts: int64[M]; only zero or not matters.
        hashes: uint64[M, 2] from `text_hashes`; equal hashes must have equal signatures.
        threshold: least similarity that removes, above 0, at most 1. Shares are compared in float64.
        already_kept: bool[M], documents of earlier runs: never removed, ranked before all others.
        shingles: uint32[S], sets of sorted distinct shingles in any order; int64[M, 2], where each member's set
            starts and ends there (members of equal text may share one). Only `estimate` does without.
        verify: how a pair is verified.
        guard: what a keeper must have besides; None asks nothing.

    Raises:
        ValueError: the threshold is not in (0, 1], the offsets do not cover the members, or shingles are missing.
    """
    members, num_perm = signatures.shape
    verified = verification(verify, threshold, num_perm)
    if len(component_offsets) == 0 or component_offsets[0] != 0 or component_offsets[-1] != members:
        raise ValueError(f"component_offsets must run from 0 to the number of members ({members})")
    if verified.reads_texts and shingles is None:
        raise ValueError(f"verify: {verify} compares sets of shingles, and none are given; `estimate` does without")
    keeper = np.full(members, -1, np.int64)
    similarity = np.zeros(members, np.float32)
    exact = np.zeros(members, np.bool_)
    lost = np.full(members, UNKNOWN, np.int64)
    refused = np.full(members, -1, np.int64)
    reason = np.zeros(members, np.uint8)
    _choose(
        _order_members(np.argsort(rank, kind="stable"), component_offsets, already_kept),
        component_offsets,
        signatures,
        shingle_counts > 0,
        hashes,
        already_kept,
        verified.reject_below,
        verified.accept_from,
        threshold,
        *(shingles if shingles is not None else (_NO_SHINGLES, _NO_BOUNDS)),
        guard if guard is not None else no_guard(members),
        keeper,
        similarity,
        exact,
        lost,
        refused,
        reason,
    )
    return MemberDecisions(keeper, similarity, exact, lost, refused, reason)
