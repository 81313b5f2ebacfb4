"""Recall, and the chance to meet: a sample of documents, compared exactly with every document of the corpus.

Each sampled text is compared with every text that took part in dedup, through an inverted index of its shingles: no
band and no signature decides what is looked at. So a pair that the bands missed is found here.

Legend: D sampled documents, T different texts among them, N documents of a batch, Q pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.audit.documents import (
    KEPT,
    DocumentSignatures,
    components_of,
    dedup_of,
    read_rows,
    read_signatures,
    rows_of,
    signatures_of,
)
from winnow.audit.exact_search import Pairs, SetIndex, Sets, sets_of, shingles_of, take_sets
from winnow.audit.intervals import Share, share_of
from winnow.dedup.bands import band_keys, candidate_probability
from winnow.dedup.guard import REASONS
from winnow.dedup.minhash import has_shingles
from winnow.dedup.minhash_config import MinHashConfig
from winnow.flow.records import RunRecords
from winnow.looking.texts import ids_of, read_texts
from winnow.text.words import hash_words

_FLOOR = 0.3
"""Pairs below are counted, but not told apart: with 32 bands of 8 rows one in 500 of them meets at most. Runs of a
threshold below 0.4 tell them apart from 0.1 below it."""
_STEP = 0.05
_SHOWN_PAIRS = 50


@dataclass(frozen=True)
class Recall:
    """Sampled documents that have a twin of another text."""

    similarity: float
    joined: Share
    """Of those, documents with every twin dealt with: one of the two was removed, or the two were compared."""
    removed: Share
    """Of those, documents with one of each such pair removed. The difference: compared, but estimated too low."""


@dataclass(frozen=True)
class CurveBin:
    """Pairs of different texts within a range of true similarity."""

    low: float
    high: float
    pairs: int
    met: Share
    theory: float | None
    """Mean chance to share a band, by formula; None below the floor, where pairs are not told apart."""


@dataclass(frozen=True)
class LeftPair:
    """Two kept documents of high true similarity."""

    id: str
    twin_id: str
    doc: int
    twin: int
    similarity: float
    compared: bool
    """Whether dedup compared them (they met, and the verified similarity was below the threshold)."""
    guard: str = ""
    """Why `dedup.guard` kept one of them, if it did."""


@dataclass(frozen=True)
class Twins:
    """What exact search found."""

    documents: int
    texts: int
    corpus_documents: int
    recall: tuple[Recall, ...]
    curve: tuple[CurveBin, ...]
    candidates_alike: Share
    """Of pairs that share a band, those of true similarity >= threshold: what bands without verification would give."""
    copies_left: int
    """Sampled kept documents with another kept document of equal text."""
    left_pairs_count: int
    left_pairs: tuple[LeftPair, ...]
    """Pairs of kept documents with true similarity >= the run's threshold, the most similar first."""


class _Sample(NamedTuple):
    """The sampled documents by text."""

    docs: NDArray[np.uint64]  # [D]
    kept: NDArray[np.bool_]  # [D]
    text_of: NDArray[np.int64]  # [D] text of each document
    hashes: NDArray[np.uint64]  # [T, 2] rising
    first: NDArray[np.uint64]  # [T] a document of each text
    components: NDArray[np.uint64]  # [T]
    shingles: SetIndex
    bands: SetIndex


class _Batch(NamedTuple):
    """Documents that are streamed past."""

    docs: NDArray[np.uint64]  # [N]
    kept: NDArray[np.bool_]  # [N]
    signatures: DocumentSignatures
    components: NDArray[np.uint64]  # [N]
    sets: Sets


def twin_similarities(threshold: float) -> tuple[float, ...]:
    """Similarities from which documents of different text are called twins: above the run's threshold, and at it."""
    return tuple(sorted({min(1.0, round(threshold + _STEP, 6)), threshold}, reverse=True))


def curve_bins(threshold: float) -> NDArray[np.float64]:
    """Lower ends of the ranges of similarity that pairs are told apart by, rising; the threshold is one of them."""
    floor = min(_FLOOR, max(_STEP, _STEP * np.floor((threshold - 0.1) / _STEP)))
    ends = np.round(np.arange(floor, 1.0 - _STEP / 2, _STEP), 2)
    return np.union1d(ends, [threshold] if threshold < 1.0 else [])


class _Tally:
    """What is known of each sampled text so far."""

    def __init__(self, texts: int, threshold: float) -> None:
        self.threshold = threshold
        self.bins = curve_bins(threshold)
        self.nearest = np.zeros(texts)  # similarity of the nearest other text
        self.nearest_unmet = np.zeros(texts)  # of the nearest kept one that was never compared
        self.nearest_kept = np.zeros(texts)  # of the nearest kept one
        self.kept_copies = np.zeros(texts, np.int64)
        self.pairs = np.zeros(len(self.bins) + 1, np.int64)  # [0] is below the floor
        self.met = np.zeros(len(self.bins) + 1, np.int64)
        self.theory = np.zeros(len(self.bins) + 1)
        self.met_alike = 0
        self.left: list[tuple[float, int, int, bool]] = []
        self.left_count = 0


def measure_twins(run: RunRecords, docs: NDArray[np.uint64], known: NDArray[np.uint64], sets: Sets) -> Twins:
    """Compare sampled documents with everything that took part in dedup.

    Args:
        run: a finished run.
        docs: uint64[D], rising, of documents that took part in dedup.
        known: uint64[K], rising, documents whose sets are given, all of ``docs`` among them.
        sets: their shingles.
    """
    config = dedup_of(run)
    sample = _index(run, docs, known, sets, config.minhash)
    tally = _Tally(len(sample.first), config.threshold)
    corpus = 0
    for batch in _batches(run, config.minhash):
        corpus += len(batch.docs)
        _compare(sample, batch, config.minhash, tally)
    return _result(run, sample, tally, corpus)


def _index(
    run: RunRecords, docs: NDArray[np.uint64], known: NDArray[np.uint64], sets: Sets, minhash: MinHashConfig
) -> _Sample:
    rows, _ = rows_of(run, docs)
    signatures = signatures_of(run, docs)
    hashes, first, text_of = np.unique(signatures.hashes, axis=0, return_index=True, return_inverse=True)
    first_docs = docs[first]
    return _Sample(
        docs,
        rows.outcome == KEPT,
        text_of.reshape(-1),
        hashes,
        first_docs,
        components_of(run, first_docs),
        SetIndex(take_sets(sets, np.searchsorted(known, first_docs))),
        SetIndex(_band_sets(signatures.entries[first], minhash)),
    )


def _band_sets(signatures: NDArray[np.uint32], minhash: MinHashConfig) -> Sets:
    """Band keys of each document as a set; documents without words have none."""
    signs = has_shingles(signatures)
    offsets = np.concatenate([[0], np.cumsum(np.where(signs, minhash.num_bands, 0))])
    return sets_of(band_keys(signatures[signs], minhash).ravel(), offsets)


def _batches(run: RunRecords, minhash: MinHashConfig) -> Iterator[_Batch]:
    for number in range(len(run.parts)):
        rows = read_rows(run, number)
        passed = rows.doc[rows.passed]
        for docs, texts in read_texts(run, number, passed):
            at = np.searchsorted(rows.doc, docs)
            words = hash_words(texts)
            sets = shingles_of(words, minhash.ngram)
            kept = rows.outcome[at] == KEPT
            yield _Batch(docs, kept, read_signatures(run, number, at), components_of(run, docs), sets)


def _compare(sample: _Sample, batch: _Batch, minhash: MinHashConfig, tally: _Tally) -> None:
    found = _all(sample.shingles.search(batch.sets, float(tally.bins[0])))
    met = _all(sample.bands.search(_band_sets(batch.signatures.entries, minhash), 0.0))
    _count_copies(sample, batch, tally)

    other = (sample.hashes[found.indexed] != batch.signatures.hashes[found.row]).any(axis=1)
    found = found.where(other)
    other = (sample.hashes[met.indexed] != batch.signatures.hashes[met.row]).any(axis=1)
    width = np.int64(len(sample.first))
    met_keys = met.row[other] * width + met.indexed[other]
    was_met = np.isin(found.row * width + found.indexed, met_keys)

    bins = np.searchsorted(tally.bins, found.similarity, side="right")
    tally.pairs += np.bincount(bins, minlength=len(tally.pairs))
    tally.pairs[0] += len(sample.first) * len(batch.docs) - len(bins)  # copies among them are taken out in the end
    tally.met += np.bincount(bins[was_met], minlength=len(tally.met))
    tally.met[0] += len(met_keys) - was_met.sum()
    tally.theory += np.bincount(bins, candidate_probability(found.similarity, minhash), minlength=len(tally.theory))
    tally.met_alike += int((found.similarity[was_met] >= tally.threshold).sum())

    np.maximum.at(tally.nearest, found.indexed, found.similarity)
    left = batch.kept[found.row] & (found.similarity >= tally.threshold)
    found = found.where(left)
    compared = sample.components[found.indexed] == batch.components[found.row]
    np.maximum.at(tally.nearest_kept, found.indexed, found.similarity)
    np.maximum.at(tally.nearest_unmet, found.indexed[~compared], found.similarity[~compared])
    _note_left(sample, batch, found, compared, tally)


def _all(pieces: Iterator[Pairs]) -> Pairs:
    listed = list(pieces)
    if not listed:
        empty = np.empty(0, np.int64)
        return Pairs(empty, empty, empty, np.empty(0))
    return Pairs(
        np.concatenate([pairs.indexed for pairs in listed]),
        np.concatenate([pairs.row for pairs in listed]),
        np.concatenate([pairs.common for pairs in listed]),
        np.concatenate([pairs.similarity for pairs in listed]),
    )


def _count_copies(sample: _Sample, batch: _Batch, tally: _Tally) -> None:
    """Kept documents of exactly a sampled text; through the text's hash, as texts without words have no shingles."""
    at = np.minimum(np.searchsorted(sample.hashes[:, 0], batch.signatures.hashes[:, 0]), len(sample.hashes) - 1)
    same = (sample.hashes[at] == batch.signatures.hashes).all(axis=1)
    tally.pairs[0] -= int(same.sum())
    np.add.at(tally.kept_copies, at[same & batch.kept], 1)


def _note_left(sample: _Sample, batch: _Batch, found: Pairs, compared: NDArray[np.bool_], tally: _Tally) -> None:
    """Pairs of which both are kept; each once, even if both are in the sample."""
    kept_text = np.zeros(len(sample.first), bool)
    kept_text[sample.text_of[sample.kept]] = True
    kept_doc = sample.first.copy()
    kept_doc[sample.text_of[sample.kept]] = sample.docs[sample.kept]
    mine, theirs = kept_doc[found.indexed], batch.docs[found.row]
    counts = kept_text[found.indexed] & ~(np.isin(theirs, kept_doc[kept_text]) & (theirs < mine))
    tally.left_count += int(counts.sum())
    for q in np.flatnonzero(counts).tolist():
        tally.left.append((-float(found.similarity[q]), int(mine[q]), int(theirs[q]), bool(compared[q])))
    tally.left = sorted(tally.left)[:_SHOWN_PAIRS]


def _result(run: RunRecords, sample: _Sample, tally: _Tally, corpus: int) -> Twins:
    recall = []
    for similarity in twin_similarities(tally.threshold):
        twin = tally.nearest[sample.text_of] >= similarity
        unmet = twin & sample.kept & (tally.nearest_unmet[sample.text_of] >= similarity)
        left = twin & sample.kept & (tally.nearest_kept[sample.text_of] >= similarity)
        count = int(twin.sum())
        recall.append(
            Recall(similarity, share_of(count - int(unmet.sum()), count), share_of(count - int(left.sum()), count))
        )
    edges = [0.0, *tally.bins.tolist(), 1.0]
    curve = tuple(
        CurveBin(
            edges[n],
            edges[n + 1],
            int(pairs),
            share_of(int(tally.met[n]), int(pairs)),
            float(tally.theory[n] / pairs) if n and pairs else None,
        )
        for n, pairs in enumerate(tally.pairs)
    )
    ids = ids_of(run, {doc for _, a, b, _ in tally.left for doc in (a, b)})
    guards = _guards(run, {doc for _, a, b, _ in tally.left for doc in (a, b)})
    left_pairs = tuple(
        LeftPair(ids[a], ids[b], a, b, -negative, met, guards.get(a) or guards.get(b) or "")
        for negative, a, b, met in tally.left
    )
    copies_left = int((tally.kept_copies[sample.text_of[sample.kept]] > 1).sum())
    return Twins(
        len(sample.docs),
        len(sample.first),
        corpus,
        tuple(recall),
        curve,
        share_of(tally.met_alike, int(tally.met.sum())),
        copies_left,
        tally.left_count,
        left_pairs,
    )


def _guards(run: RunRecords, docs: set[int]) -> dict[int, str]:
    """Of some documents, those that the guard kept, and why."""
    wanted = np.array(sorted(docs), np.uint64)
    rows, found = rows_of(run, wanted)
    kept = np.flatnonzero(found & (rows.guard > 0))
    return {int(wanted[n]): REASONS[rows.guard[n]] for n in kept.tolist()}
