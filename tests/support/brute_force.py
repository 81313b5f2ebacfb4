"""All pairs of similar sets, without signatures, bands or hashing to buckets: what near-duplicate removal must find.

Two sets of Jaccard similarity >= t share one of their rarest elements: of a set of n elements, all but the rarest
n - ceil(t n) + 1 may be passed over. (Chaudhuri, Ganti, Kaushik, "A primitive operator for similarity joins in data
cleaning", 2006.) So nothing is missed; `tests/dedup/test_brute_force.py` compares with every pair.
"""

import numpy as np
from numpy.typing import NDArray


def similar_pairs(
    values: NDArray[np.uint32], starts: NDArray[np.int64], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs int64[K, 2] (smaller first, sorted) of sets with similarity >= threshold, and their similarities.

    Set i is ``values[starts[i] : starts[i + 1]]``, sorted and distinct.
    """
    lengths = np.diff(starts)
    entries = (values.astype(np.uint64) << np.uint64(32)) | np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
    entries.sort()
    owner = (entries & np.uint64(0xFFFFFFFF)).astype(np.int64)
    element = entries >> np.uint64(32)
    del entries
    begins = np.flatnonzero(np.append(True, element[1:] != element[:-1]))
    sizes = np.diff(np.append(begins, len(element)))
    del element
    shared = np.repeat(sizes > 1, sizes)
    alone = np.bincount(owner[~shared], minlength=len(lengths))  # elements of nobody else: the rarest of all
    owner = owner[shared]
    sizes = sizes[sizes > 1]
    rank = np.empty(len(sizes), np.uint64)
    rank[np.argsort(sizes, kind="stable")] = np.arange(len(sizes), dtype=np.uint64)
    keys = (owner.astype(np.uint64) << np.uint64(32)) | np.repeat(rank, sizes)
    keys.sort()
    owner = (keys >> np.uint64(32)).astype(np.int64)
    place = np.arange(len(owner)) - np.searchsorted(owner, owner) + alone[owner]
    rarest = lengths - np.ceil(threshold * lengths - 1e-9).astype(np.int64) + 1
    keys = keys[place < rarest[owner]]
    keys = (keys << np.uint64(32)) | (keys >> np.uint64(32))  # by element, then by set
    keys.sort()
    found = _pairs_of_runs(keys, lengths, threshold)
    similarity = np.array([_jaccard(values, starts, a, b) for a, b in found.tolist()])
    return found[similarity >= threshold], similarity[similarity >= threshold]


def _pairs_of_runs(keys: NDArray[np.uint64], lengths: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """Distinct pairs of sets that share an element among ``keys`` and are not too different in length."""
    owner = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    element = keys >> np.uint64(32)
    found = [np.empty(0, np.int64)]
    shift = 1
    while True:  # sets that stand `shift` apart in a run
        same = np.flatnonzero(element[shift:] == element[:-shift])
        if len(same) == 0:
            break
        a, b = owner[same], owner[same + shift]
        close = np.minimum(lengths[a], lengths[b]) >= threshold * np.maximum(lengths[a], lengths[b]) - 1e-9
        found.append(np.unique(a[close] * len(lengths) + b[close]))
        shift += 1
    pairs = np.unique(np.concatenate(found))
    return np.stack([pairs // len(lengths), pairs % len(lengths)], axis=1)


def _jaccard(values: NDArray[np.uint32], starts: NDArray[np.int64], a: int, b: int) -> float:
    one, other = values[starts[a] : starts[a + 1]], values[starts[b] : starts[b + 1]]
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
