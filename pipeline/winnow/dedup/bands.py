"""Bands: documents that agree in all rows of at least one band become candidates.

A signature is cut into ``bands`` runs of ``rows`` entries; two documents of similarity s share at least one
run with probability ``1 - (1 - s^rows)^bands``. Each run is hashed to a 64-bit key; equal keys are brought
together by the exchange, and every group becomes a star of edges around its smallest document.

Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.

Legend: N documents, P permutations, K (key, document) pairs, E edges.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.minhash import has_shingles
from winnow.dedup.minhash_config import MinHashConfig
from winnow.numeric.jit import kernel
from winnow.numeric.radix import sort_pairs

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


@kernel
def _hash_bands(signatures: NDArray[np.uint32], bands: int, rows: int, keys: NDArray[np.uint64]) -> None:
    for doc in range(len(signatures)):
        for band in range(bands):
            h = np.uint64(band + 1) * _STEP
            for row in range(band * rows, (band + 1) * rows):
                h = (h ^ np.uint64(signatures[doc, row])) * _MIX
                h ^= h >> _HALF
            h *= _STEP
            keys[doc, band] = h ^ (h >> _HALF)


def band_keys(signatures: NDArray[np.uint32], config: MinHashConfig) -> NDArray[np.uint64]:
    """Key of each band of each signature: uint64[N, bands].

    Equal keys mean the same band with equal rows (but for a chance of 2^-64 a pair). Rows of documents
    without shingles are all alike and must not be exchanged: mask them with `has_shingles`, or use
    `exchange_rows`.

    Args:
        signatures: uint32[N, num_perm], C order.
        config: bands and rows are used, as `DedupConfig` has chosen them.

    Raises:
        ValueError: the signatures are shorter than bands x rows.
    """
    if signatures.shape[1] < config.num_bands * config.band_rows:
        raise ValueError(
            f"signatures have {signatures.shape[1]} entries but bands x rows needs "
            f"{config.num_bands * config.band_rows}; compute them with the same settings"
        )
    keys = np.empty((len(signatures), config.num_bands), np.uint64)
    _hash_bands(signatures, config.num_bands, config.band_rows, keys)
    return keys


def exchange_rows(
    signatures: NDArray[np.uint32], hashes: NDArray[np.uint64], docs: NDArray[np.uint64], config: MinHashConfig
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The (key, document) pairs that a batch of documents sends to the exchange.

    A document with shingles sends its bands (equal texts have equal bands, so exact duplicates meet there
    too); one without sends a single key made of its text hash, so that it can meet only equal texts.

    Args:
        signatures: uint32[N, num_perm].
        hashes: uint64[N, 2] from `text_hashes`.
        docs: uint64[N].
        config: bands and rows are used, as `DedupConfig` has chosen them.

    Returns:
        keys uint64[K] and docs uint64[K], in the order of the documents (those without shingles last).
    """
    signs = has_shingles(signatures)
    keys = band_keys(signatures[signs], config)
    alone = ~signs
    # Mixed once more: a text hash is well spread, but it must not be mistaken for a band key made of the same
    # bits.
    text_keys = (hashes[alone, 0] ^ (hashes[alone, 1] * _STEP)) * _MIX
    return (
        np.concatenate([keys.ravel(), text_keys]),
        np.concatenate([np.repeat(docs[signs], config.num_bands), docs[alone]]),
    )


def prompt_keys(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A key uint64[N] that preference pairs of one prompt share, so that they are in one component whatever their
    answers say; from hashes uint64[N, 2] of the prompts."""
    keys: NDArray[np.uint64] = (hashes[:, 1] ^ (hashes[:, 0] * _STEP)) * _MIX
    return keys


@kernel
def _star_edges(
    keys: NDArray[np.uint64],
    docs: NDArray[np.uint64],
    smallest: NDArray[np.uint64],
    others: NDArray[np.uint64],
) -> int:
    """Edges (smallest document, other) of each run of equal keys; returns how many were written."""
    count = 0
    start = 0
    while start < len(keys):
        end = start + 1
        least = docs[start]
        while end < len(keys) and keys[end] == keys[start]:
            least = min(least, docs[end])
            end += 1
        for i in range(start, end):
            if docs[i] != least:
                smallest[count] = least
                others[count] = docs[i]
                count += 1
        start = end
    return count


@kernel
def _unique_rows(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Distinct pairs of two sorted columns: uint64[E, 2]."""
    count = 0
    for i in range(len(first)):
        if i == 0 or first[i] != first[i - 1] or second[i] != second[i - 1]:
            count += 1
    rows = np.empty((count, 2), np.uint64)
    count = 0
    for i in range(len(first)):
        if i == 0 or first[i] != first[i - 1] or second[i] != second[i - 1]:
            rows[count, 0] = first[i]
            rows[count, 1] = second[i]
            count += 1
    return rows


def group_edges(keys: NDArray[np.uint64], docs: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Star edges of every group of equal keys, inside one partition of the exchange.

    Linear in the number of pairs, whatever the size of the groups: a group of g documents gives g - 1 edges.

    Args:
        keys: uint64[K], in any order.
        docs: uint64[K], the document of each key.

    Returns:
        uint64[E, 2]: (smallest document of the group, other document), distinct, sorted by both columns. The
        result depends on the set of pairs alone, not on their order.
    """
    sorted_keys, sorted_docs = sort_pairs(keys, docs, False)
    del keys, docs
    smallest, others = np.empty_like(sorted_docs), np.empty_like(sorted_docs)
    count = _star_edges(sorted_keys, sorted_docs, smallest, others)
    del sorted_keys, sorted_docs
    edges: NDArray[np.uint64] = _unique_rows(*sort_pairs(smallest[:count], others[:count], True))
    return edges


def candidate_probability(
    similarity: float | NDArray[np.float64], config: MinHashConfig
) -> float | NDArray[np.float64]:
    """Probability that two documents of this Jaccard similarity (0 to 1) share at least one band."""
    return 1.0 - (1.0 - similarity**config.band_rows) ** config.num_bands
