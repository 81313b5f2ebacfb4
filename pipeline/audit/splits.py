"""What splits still share: near-duplicates between them, and runs of 13 words, by exact search.

All documents of the smaller splits are looked at, against all documents of the others. They are indexed in rounds that
fit in memory, and everything else is streamed past.

Legend: N documents of a batch, W words, G n-grams.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.documents import (
    ids_of,
    minhash_of,
    read_rows,
    signed_of,
)
from pipeline.audit.exact_search import SetIndex, Sets, join_sets, shingles_of
from pipeline.audit.intervals import Share, share_of
from pipeline.compiled import kernel
from pipeline.dedup.bands import band_keys, chance_to_meet
from pipeline.dedup.minhash import has_shingles
from pipeline.dedup.shingles import shingle_hashes
from pipeline.finished import FinishedRun, read_texts, texts_of
from pipeline.stages.keepers import DedupConfig
from pipeline.stages.tables import numbers, read_ipc
from pipeline.text.words import WordHashes, hash_words

SIMILARITY = 0.8
"""Pairs between splits are reported from this true similarity on, or from the run's threshold if that is lower."""
NGRAM = 13
"""Words in the n-grams of contamination checks, as GPT-3 used them (Brown et al., 2020, appendix C)."""
ROUND_SHINGLES = 40_000_000
"""Shingles of small splits that are indexed at a time: 20 to 30 bytes each."""
_SHOWN = 100
_SECOND = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class SplitOverlap:
    """What one of the smaller splits shares with `train`."""

    split: str
    documents: int
    with_ngram: Share
    """Of documents with at least 13 words, those that have a run of 13 words in common with a document of `train`."""
    ngrams: Share
    """Of their different 13-word runs (counted once a document), those that occur in `train`."""


@dataclass(frozen=True)
class SplitPair:
    """Two kept documents in different splits that are alike."""

    id: str
    split: str
    other_id: str
    other_split: str
    doc: int
    other: int
    similarity: float
    met: bool
    """Whether they share a band."""
    chance_missed: float
    """Chance that two documents of this similarity share no band, by formula."""


@dataclass(frozen=True)
class SplitsAudit:
    """What was measured."""

    run: str
    threshold: float
    similarity: float
    documents: dict[str, int]
    overlaps: tuple[SplitOverlap, ...]
    pairs_count: int
    at_threshold: int
    """Pairs of true similarity >= the run's threshold."""
    pairs: tuple[SplitPair, ...]


class _Ngrams(NamedTuple):
    """Different n-grams of some documents."""

    values: NDArray[np.uint64]  # [G] rising, each once
    place: NDArray[np.int64]  # for each document's each n-gram, its place in values
    owner: NDArray[np.int64]  # and the document


class _Found:
    """Counts pairs and keeps the most similar ones."""

    def __init__(self, threshold: float) -> None:
        self.count = 0
        self.at_threshold = 0
        self._threshold = threshold
        self._pairs: list[tuple[float, int, int, int, int]] = []

    def add(self, similarity: float, pair: tuple[int, int, int, int]) -> None:
        """Note a pair: two documents and their splits."""
        self.count += 1
        self.at_threshold += similarity >= self._threshold
        self._pairs.append((-similarity, *pair))
        if len(self._pairs) > 10 * _SHOWN:
            self._pairs = sorted(self._pairs)[:_SHOWN]

    @property
    def most_similar(self) -> list[tuple[float, int, int, int, int]]:
        """(-similarity, document, other, split, other's split), the most similar first."""
        return sorted(self._pairs)[:_SHOWN]


def audit_splits(run: FinishedRun) -> SplitsAudit:
    """Measure what is shared between the splits of a finished run. Reads its text once a round, usually once."""
    config = run.config.dedup or DedupConfig()
    names = run.config.shards.split_names
    floor = min(SIMILARITY, config.threshold)
    small, small_split, counts = _small_documents(run)
    found = _Found(config.threshold)
    documents = np.zeros(len(names), np.int64)
    long_enough, with_ngram, ngrams, shared = (np.zeros(len(names), np.int64) for _ in range(4))
    for start, end in _rounds(run, small):
        docs, split = small[start:end], small_split[start:end]
        sets, grams = _read_small(run, docs)
        hit = np.zeros(len(grams.values), np.bool_)
        index, directory = SetIndex(sets), _Directory(grams.values)
        for batch_docs, batch_split, words in _kept(run):
            for pairs in index.search(shingles_of(words, config.minhash.ngram), floor):
                differ = split[pairs.indexed] != batch_split[pairs.row]
                for q in np.flatnonzero(differ).tolist():
                    i, row = int(pairs.indexed[q]), int(pairs.row[q])
                    pair = (int(docs[i]), int(batch_docs[row]), int(split[i]), int(batch_split[row]))
                    if batch_split[row] == 0 or pair[0] < pair[1]:  # two small splits meet twice
                        found.add(float(pairs.similarity[q]), pair)
            in_train = np.flatnonzero(batch_split == 0)
            directory.mark(_hash_ngrams(words, in_train), hit)
        common = np.bincount(grams.owner, hit[grams.place], minlength=len(docs)).astype(np.int64)
        total = np.bincount(grams.owner, minlength=len(docs))
        documents += np.bincount(split, minlength=len(names))
        long_enough += np.bincount(split, total > 0, minlength=len(names)).astype(np.int64)
        with_ngram += np.bincount(split, common > 0, minlength=len(names)).astype(np.int64)
        ngrams += np.bincount(split, total, minlength=len(names)).astype(np.int64)
        shared += np.bincount(split, common, minlength=len(names)).astype(np.int64)
    overlaps = tuple(
        SplitOverlap(
            name,
            int(documents[n]),
            share_of(int(with_ngram[n]), int(long_enough[n])),
            share_of(int(shared[n]), int(ngrams[n])),
        )
        for n, name in enumerate(names)
        if n
    )
    return SplitsAudit(
        run.store.root,
        config.threshold,
        floor,
        dict(zip(names, counts.tolist(), strict=True)),
        overlaps,
        found.count,
        found.at_threshold,
        _described(run, found.most_similar, names),
    )


def _small_documents(run: FinishedRun) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Documents of all splits but `train`, their splits, and the number of documents of every split."""
    docs, splits = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    counts = np.zeros(len(run.config.shards.split_names), np.int64)
    for number in range(len(run.parts)):
        rows = read_rows(run, number)
        docs.append(rows.doc[rows.split > 0])
        splits.append(rows.split[rows.split > 0])
        counts += np.bincount(rows.split[rows.split >= 0], minlength=len(counts))
    return np.concatenate(docs), np.concatenate(splits), counts


def _rounds(run: FinishedRun, docs: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Stretches of ``docs`` with about `ROUND_SHINGLES` each, at least one document."""
    sizes = []
    for part in run.parts:
        table = read_ipc(run.store, part.signatures)
        sizes.append(numbers(table, "shingles")[np.isin(numbers(table, "doc"), docs, assume_unique=True)])
    ends = np.cumsum(np.concatenate([*sizes, np.empty(0, np.uint32)]), dtype=np.int64)
    start = 0
    while start < len(docs):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + ROUND_SHINGLES, side="right")))
        yield start, end
        start = end


def _read_small(run: FinishedRun, docs: NDArray[np.uint64]) -> tuple[Sets, _Ngrams]:
    sets, hashes, owners = [], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    first = 0
    for batch_docs, texts in texts_of(run, docs):
        words = hash_words(texts)
        sets.append(shingles_of(words, minhash_of(run).ngram))
        for row in range(len(batch_docs)):
            grams = np.unique(_hash_ngrams(words, np.array([row])))
            hashes.append(grams)
            owners.append(np.full(len(grams), first + row))
        first += len(batch_docs)
    values, place = np.unique(np.concatenate(hashes), return_inverse=True)
    return join_sets(sets), _Ngrams(values, place.reshape(-1), np.concatenate(owners))


def _kept(run: FinishedRun) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64], WordHashes]]:
    """All kept documents, batch by batch: numbers, splits, words."""
    for number in range(len(run.parts)):
        rows = read_rows(run, number)
        for docs, texts in read_texts(run, number, rows.doc[rows.split >= 0]):
            yield docs, rows.split[np.searchsorted(rows.doc, docs)], hash_words(texts)


def _hash_ngrams(words: WordHashes, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64-bit hashes of the runs of `NGRAM` words of some documents with at least so many: uint64[G].

    Two 32-bit hashes side by side, as 32 bits alone would make one run in a hundred of a large corpus look known.
    """
    long = rows[np.diff(words.offsets)[rows] >= NGRAM]
    sizes = words.offsets[long + 1] - words.offsets[long]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    if len(long) == len(words.offsets) - 1:
        hashes = words.hashes
    else:
        hashes = words.hashes[np.arange(offsets[-1]) + np.repeat(words.offsets[long] - offsets[:-1], sizes)]
    high, _ = shingle_hashes(hashes, offsets, NGRAM)
    low, _ = shingle_hashes(hashes * _SECOND, offsets, NGRAM)
    return (high.astype(np.uint64) << np.uint64(32)) | low


@kernel
def _mark(keys: Any, directory: Any, shift: Any, values: Any, hit: Any) -> None:
    for value in values:
        bucket = np.int64(value >> shift)
        for place in range(directory[bucket], directory[bucket + 1]):
            if keys[place] == value:
                hit[place] = True


class _Directory:
    """Quick look-up in sorted numbers."""

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        bits = max(4, len(keys).bit_length())
        self._keys = keys
        self._shift = np.uint64(64 - bits)
        starts = np.searchsorted(keys, np.arange(1 << bits, dtype=np.uint64) << self._shift)
        self._starts = np.append(starts, len(keys)).astype(np.int64)

    def mark(self, values: NDArray[np.uint64], hit: NDArray[np.bool_]) -> None:
        """Set ``hit`` at the place of every key that is among ``values``."""
        _mark(self._keys, self._starts, self._shift, values, hit)


def _described(
    run: FinishedRun, found: list[tuple[float, int, int, int, int]], names: list[str]
) -> tuple[SplitPair, ...]:
    minhash = minhash_of(run)
    docs = np.array(sorted({doc for _, a, b, _, _ in found for doc in (a, b)}), np.uint64)
    ids = ids_of(run, set(docs.tolist()))
    signed = signed_of(run, docs).signatures
    keys = dict(zip(docs.tolist(), band_keys(signed, minhash), strict=True))
    signs = dict(zip(docs.tolist(), has_shingles(signed).tolist(), strict=True))
    return tuple(
        SplitPair(
            ids[a],
            names[split_a],
            ids[b],
            names[split_b],
            a,
            b,
            -negative,
            bool(signs[a] and (keys[a] == keys[b]).any()),
            float(1 - chance_to_meet(-negative, minhash)),
        )
        for negative, a, b, split_a, split_b in found
    )
