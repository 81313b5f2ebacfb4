"""Planted near-duplicates: edited copies of real documents, and how many of them the run's settings would find.

Edits are made on the sequence of words (by their hashes), so that they mean the same in every script; from there on
the run's own code and settings are used: shingles, signature, bands, verified similarity.

Legend: N documents, W words of a document.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from winnow.audit.documents import dedup_of
from winnow.audit.exact_search import Sets, shingles_of
from winnow.audit.intervals import Share, share_of
from winnow.dedup.bands import band_keys, candidate_probability
from winnow.dedup.config import DedupConfig
from winnow.dedup.keeper_search import exact_similarity
from winnow.dedup.minhash import signatures
from winnow.flow.records import RunRecords
from winnow.text.words import WordHashes

MIN_WORDS = 50
"""Shorter documents are not edited: a share of their words is no word, or half of them."""
_BOILERPLATE_WORDS = 20
_BINS = (0.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)  # and the threshold

Words = NDArray[np.uint64]
Edit = Callable[[Words, np.random.Generator], Words]


def _replace(share: float) -> Edit:
    def edit(words: Words, rng: np.random.Generator) -> Words:
        edited = words.copy()
        places = rng.choice(len(words), max(1, round(share * len(words))), replace=False)
        edited[places] = rng.integers(0, 2**64, len(places), np.uint64)
        return edited

    return edit


def _cut(share: float) -> Edit:
    return lambda words, _: words[: round(share * len(words))]


def _wrap(words: Words, rng: np.random.Generator) -> Words:
    # another one for every document: with one for all, the copies would meet or miss together
    boilerplate = rng.integers(0, 2**64, 2 * _BOILERPLATE_WORDS, np.uint64)
    return np.concatenate([boilerplate[:_BOILERPLATE_WORDS], words, boilerplate[_BOILERPLATE_WORDS:]])


def _swap_halves(words: Words, _: np.random.Generator) -> Words:
    return np.roll(words, len(words) // 2)


EDITS: dict[str, Edit] = {
    "1 % of words replaced": _replace(0.01),
    "5 % of words replaced": _replace(0.05),
    "10 % of words replaced": _replace(0.10),
    "20 % of words replaced": _replace(0.20),
    "cut to 95 %": _cut(0.95),
    "cut to 85 %": _cut(0.85),
    "cut to 50 %": _cut(0.50),
    "boilerplate of 20 words before and after": _wrap,
    "two halves swapped": _swap_halves,
}


@dataclass(frozen=True)
class PlantedKind:
    """Copies that were edited in one way."""

    edit: str
    copies: int
    mean_similarity: float | None
    alike: int
    """Copies whose true similarity to the original reaches the threshold."""
    met: Share
    """All copies that share a band with their original."""
    theory: float | None
    """Mean chance to, by formula."""
    found: Share
    """Of the alike, those that meet and whose verified similarity reaches the threshold: recall."""
    wrongly_found: int
    """Copies found although their true similarity is below the threshold."""


@dataclass(frozen=True)
class PlantedBin:
    """All copies within a range of true similarity."""

    low: float
    high: float
    met: Share
    theory: float | None
    found: Share


@dataclass(frozen=True)
class Planted:
    """What came of all planted copies."""

    documents: int
    kinds: tuple[PlantedKind, ...]
    bins: tuple[PlantedBin, ...]


def measure_planted(run: RunRecords, words: dict[int, Words], seed: int) -> Planted:
    """Edit documents, and see which copies would be found.

    Args:
        run: a finished run; its dedup settings are used.
        words: word hashes uint64[W] of each document, by number; at least `MIN_WORDS` each.
        seed: of the edits.
    """
    config = dedup_of(run)
    originals = [words[doc] for doc in sorted(words)]
    kinds, similarity, met, found = [], [], [], []
    for number, (name, edit) in enumerate(EDITS.items()):
        rngs = [np.random.default_rng([seed, number, doc]) for doc in sorted(words)]
        copies = [edit(original, rng) for original, rng in zip(originals, rngs, strict=True)]
        true, meets, verified = _compare(originals, copies, config)
        kinds.append(_kind(name, true, meets, meets & verified, config))
        similarity.append(true)
        met.append(meets)
        found.append(meets & verified)
    bins = _bins(np.concatenate(similarity), np.concatenate(met), np.concatenate(found), config)
    return Planted(len(words), tuple(kinds), bins)


def _compare(
    originals: list[Words], copies: list[Words], config: DedupConfig
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """True similarity, whether a band is shared, whether the verified similarity reaches the threshold: [N] each."""
    (sets_a, signed_a), (sets_b, signed_b) = _sign(originals, config), _sign(copies, config)
    similarity = np.array([exact_similarity(sets_a.of(n), sets_b.of(n)) for n in range(len(originals))])
    met = (band_keys(signed_a, config.minhash) == band_keys(signed_b, config.minhash)).any(axis=1)
    verified = config.verification.similarity((signed_a == signed_b).sum(axis=1), similarity)
    return similarity, met, verified >= config.threshold


def _sign(documents: list[Words], config: DedupConfig) -> tuple[Sets, NDArray[np.uint32]]:
    hashes = np.concatenate([*documents, np.empty(0, np.uint64)])
    offsets = np.concatenate([[0], np.cumsum([len(words) for words in documents], dtype=np.int64)]).astype(np.int64)
    return shingles_of(WordHashes(hashes, offsets), config.minhash.ngram), signatures(hashes, offsets, config.minhash)


def _kind(
    name: str,
    similarity: NDArray[np.float64],
    met: NDArray[np.bool_],
    found: NDArray[np.bool_],
    config: DedupConfig,
) -> PlantedKind:
    alike = similarity >= config.threshold
    some = len(similarity) > 0
    return PlantedKind(
        name,
        len(similarity),
        float(similarity.mean()) if some else None,
        int(alike.sum()),
        share_of(int(met.sum()), len(met)),
        float(np.mean(candidate_probability(similarity, config.minhash))) if some else None,
        share_of(int((found & alike).sum()), int(alike.sum())),
        int((found & ~alike).sum()),
    )


def _bins(
    similarity: NDArray[np.float64], met: NDArray[np.bool_], found: NDArray[np.bool_], config: DedupConfig
) -> tuple[PlantedBin, ...]:
    bins = []
    for low, high in pairwise(sorted({*_BINS, config.threshold})):
        inside = (similarity >= low) & ((similarity < high) | ((high == 1.0) & (similarity == 1.0)))
        count = int(inside.sum())
        theory = float(np.mean(candidate_probability(similarity[inside], config.minhash))) if count else None
        bins.append(
            PlantedBin(
                low, high, share_of(int(met[inside].sum()), count), theory, share_of(int(found[inside].sum()), count)
            )
        )
    return tuple(bins)
