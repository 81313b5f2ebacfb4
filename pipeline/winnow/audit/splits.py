"""What splits still share: near-duplicates between them, and runs of 13 words, by exact search.

All documents of the smaller splits are looked at, against all documents of the others. They are indexed in rounds that
fit in memory, and everything else is streamed past. With an index, the splits of a run are those of a corpus that has
grown over several runs: this run's documents are compared with those of the earlier runs, too, in both directions.

Legend: N documents, D documents of the smaller splits, R runs: this one, then earlier ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.audit.documents import minhash_of, read_splits, signatures_of
from winnow.audit.earlier_runs import earlier_runs
from winnow.audit.exact_search import Pairs, SetIndex, Sets, join_sets, shingles_of
from winnow.audit.intervals import Share, share_of
from winnow.audit.ngrams import Directory, Ngrams, hash_ngrams
from winnow.dedup.bands import band_keys, candidate_probability
from winnow.dedup.config import DedupConfig
from winnow.dedup.minhash import has_shingles
from winnow.flow.records import RunRecords
from winnow.looking.texts import ids_of, read_texts, texts_of
from winnow.stages.tables import column_to_numpy, read_ipc
from winnow.text.words import WordHashes, hash_words

SIMILARITY = 0.8
"""Pairs between splits are reported from this true similarity on, or from the run's threshold if that is lower."""
ROUND_SHINGLES = 40_000_000
"""Shingles of small splits that are indexed at a time: 20 to 30 bytes each."""
_SHOWN = 100

Runs = tuple[RunRecords, ...]
"""This run, then the earlier ones."""


@dataclass(frozen=True)
class SplitOverlap:
    """What one of the smaller splits shares with `train`."""

    split: str
    documents: int
    with_ngram: Share
    """Of documents with at least 13 words, those that have a run of 13 words in common with a document of `train`: of
    this run and of earlier ones. Documents of earlier runs are held against this run's `train` alone."""
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
    run: str
    """The run folder that the first one is of."""
    other_run: str
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
    earlier_documents: dict[str, int] = field(default_factory=dict)
    """Documents of earlier runs by split; empty where there are none."""
    earlier_runs: int = 0
    """Earlier runs of the index that were looked at."""
    missing_runs: tuple[str, ...] = ()
    """Folders of earlier runs that are gone, so that their documents could not be looked at."""


class _Small(NamedTuple):
    """Documents of the smaller splits, run by run."""

    run: NDArray[np.int64]  # [D] 0 is this run
    doc: NDArray[np.uint64]  # [D] rising in each run
    split: NDArray[np.int64]  # [D]

    def rows_between(self, start: int, end: int) -> "_Small":
        """Some of them."""
        return _Small(self.run[start:end], self.doc[start:end], self.split[start:end])


DocumentLocation = tuple[int, int, int]
"""A document of a pair: run, number, split."""


class _Found:
    """Counts pairs and keeps the most similar ones."""

    def __init__(self, threshold: float) -> None:
        self.count = 0
        self.at_threshold = 0
        self._threshold = threshold
        self._pairs: list[tuple[float, DocumentLocation, DocumentLocation]] = []

    def add(self, similarity: float, a: DocumentLocation, b: DocumentLocation) -> None:
        """Note a pair."""
        self.count += 1
        self.at_threshold += similarity >= self._threshold
        self._pairs.append((-similarity, a, b))
        if len(self._pairs) > 10 * _SHOWN:
            self._pairs = sorted(self._pairs)[:_SHOWN]

    @property
    def most_similar(self) -> list[tuple[float, DocumentLocation, DocumentLocation]]:
        """(-similarity, a document, another), the most similar first."""
        return sorted(self._pairs)[:_SHOWN]


def audit_splits(run: RunRecords) -> SplitsAudit:
    """Measure what is shared between the splits of a finished run, and with those of the runs before it.

    Reads the text of this run and of the earlier ones once a round, usually once.
    """
    config = run.config.dedup or DedupConfig()
    names = run.config.shards.split_names
    floor = min(SIMILARITY, config.threshold)
    earlier = earlier_runs(run)
    runs = (run, *earlier.found)
    small, counts = _small_documents(runs)
    found = _Found(config.threshold)
    groups = 2 * len(names)  # splits of this run, then of the earlier ones
    tally = np.zeros((5, groups), np.int64)
    for start, end in _rounds(runs, small):
        indexed = small.rows_between(start, end)
        sets, grams = _read_small(runs, indexed)
        in_own, in_earlier = (np.zeros(len(grams.values), np.bool_) for _ in range(2))
        index, directory = SetIndex(sets), Directory(grams.values)
        for number, streamed in enumerate(runs):
            if number and indexed.run[0] > 0:
                break  # two documents of earlier runs are those runs' affair
            for docs, split, words in _kept(streamed):
                for pairs in index.search(shingles_of(words, config.minhash.ngram), floor):
                    _note_pairs(found, pairs, indexed, number, docs, split)
                directory.mark(hash_ngrams(words, np.flatnonzero(split == 0)), in_earlier if number else in_own)
        met = np.where(indexed.run[grams.owner] == 0, (in_own | in_earlier)[grams.place], in_own[grams.place])
        common = np.bincount(grams.owner, met, minlength=end - start).astype(np.int64)
        total = np.bincount(grams.owner, minlength=end - start)
        group = indexed.split + np.where(indexed.run > 0, len(names), 0)
        for row, weights in enumerate((np.ones(end - start), total > 0, common > 0, total, common)):
            tally[row] += np.bincount(group, weights, minlength=groups).astype(np.int64)
    documents, long_enough, with_ngram, ngrams, shared = tally
    overlaps = tuple(
        SplitOverlap(
            names[n % len(names)] + (" of earlier runs" if n >= len(names) else ""),
            int(documents[n]),
            share_of(int(with_ngram[n]), int(long_enough[n])),
            share_of(int(shared[n]), int(ngrams[n])),
        )
        for n in range(groups if earlier.found else len(names))
        if n % len(names)
    )
    return SplitsAudit(
        run.store.root,
        config.threshold,
        floor,
        dict(zip(names, counts[0].tolist(), strict=True)),
        overlaps,
        found.count,
        found.at_threshold,
        _described(runs, found.most_similar, names),
        dict(zip(names, counts[1:].sum(axis=0).tolist(), strict=True)) if earlier.found else {},
        len(earlier.found),
        earlier.missing,
    )


def _note_pairs(
    found: _Found,
    pairs: Pairs,
    indexed: _Small,
    number: int,
    docs: NDArray[np.uint64],
    split: NDArray[np.int64],
) -> None:
    """Note the pairs between splits of indexed documents and a batch ``docs`` of run ``number``, each of them once."""
    between = indexed.split[pairs.indexed] != split[pairs.row]
    between &= (indexed.run[pairs.indexed] == 0) | (number == 0)
    for q in np.flatnonzero(between).tolist():
        i, row = int(pairs.indexed[q]), int(pairs.row[q])
        a = (int(indexed.run[i]), int(indexed.doc[i]), int(indexed.split[i]))
        b = (number, int(docs[row]), int(split[row]))
        if split[row] == 0 or a < b:  # two of the smaller splits meet twice
            found.add(float(pairs.similarity[q]), a, b)


def _small_documents(runs: Runs) -> tuple[_Small, NDArray[np.int64]]:
    """Documents of all splits but `train`, and the number of documents of every run and split: int64[R, splits]."""
    of_run, docs, splits = [np.empty(0, np.int64)], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    counts = np.zeros((len(runs), len(runs[0].config.shards.split_names)), np.int64)
    for number, run in enumerate(runs):
        for part in range(len(run.parts)):
            rows = read_splits(run, part)
            docs.append(rows.doc[rows.split > 0])
            splits.append(rows.split[rows.split > 0])
            of_run.append(np.full(len(docs[-1]), number))
            counts[number] += np.bincount(rows.split[rows.split >= 0], minlength=counts.shape[1])
    return _Small(np.concatenate(of_run), np.concatenate(docs), np.concatenate(splits)), counts


def _rounds(runs: Runs, small: _Small) -> Iterator[tuple[int, int]]:
    """Ranges of ``small`` with about `ROUND_SHINGLES` each, at least one document."""
    sizes = [np.empty(0, np.uint32)]
    for number, run in enumerate(runs):
        docs = small.doc[small.run == number]
        for part in run.parts:
            table = read_ipc(run.store, part.signatures)
            sizes.append(
                column_to_numpy(table, "shingles")[np.isin(column_to_numpy(table, "doc"), docs, assume_unique=True)]
            )
    ends = np.cumsum(np.concatenate(sizes), dtype=np.int64)
    start = 0
    while start < len(small.doc):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + ROUND_SHINGLES, side="right")))
        yield start, end
        start = end


def _read_small(runs: Runs, small: _Small) -> tuple[Sets, Ngrams]:
    sets, hashes, owners = [], [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    first = 0
    for number in np.unique(small.run).tolist():
        for batch_docs, texts in texts_of(runs[number], small.doc[small.run == number]):
            words = hash_words(texts)
            sets.append(shingles_of(words, minhash_of(runs[0]).ngram))
            for row in range(len(batch_docs)):
                grams = np.unique(hash_ngrams(words, np.array([row])))
                hashes.append(grams)
                owners.append(np.full(len(grams), first + row))
            first += len(batch_docs)
    values, place = np.unique(np.concatenate(hashes), return_inverse=True)
    return join_sets(sets), Ngrams(values, place.reshape(-1), np.concatenate(owners))


def _kept(run: RunRecords) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64], WordHashes]]:
    """All kept documents, batch by batch: numbers, splits, words."""
    for number in range(len(run.parts)):
        rows = read_splits(run, number)
        for docs, texts in read_texts(run, number, rows.doc[rows.split >= 0]):
            yield docs, rows.split[np.searchsorted(rows.doc, docs)], hash_words(texts)


def _described(
    runs: Runs, found: list[tuple[float, DocumentLocation, DocumentLocation]], names: list[str]
) -> tuple[SplitPair, ...]:
    minhash = minhash_of(runs[0])
    ids: dict[tuple[int, int], str] = {}
    keys: dict[tuple[int, int], NDArray[np.uint64]] = {}
    for number, run in enumerate(runs):
        docs = np.array(sorted({p[1] for _, *pair in found for p in pair if p[0] == number}), np.uint64)
        signatures = signatures_of(run, docs).entries
        signs = has_shingles(signatures)
        ids |= {(number, doc): name for doc, name in ids_of(run, set(docs.tolist())).items()}
        bands = band_keys(signatures, minhash)
        keys |= {(number, doc): bands[row] for row, doc in enumerate(docs.tolist()) if signs[row]}
    return tuple(
        SplitPair(
            ids[a[:2]],
            names[a[2]],
            ids[b[:2]],
            names[b[2]],
            a[1],
            b[1],
            -negative,
            a[:2] in keys and b[:2] in keys and bool((keys[a[:2]] == keys[b[:2]]).any()),
            runs[a[0]].store.root,
            runs[b[0]].store.root,
            float(1 - candidate_probability(-negative, minhash)),
        )
        for negative, a, b in found
    )
