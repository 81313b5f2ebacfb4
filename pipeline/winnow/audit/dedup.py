"""The audit of a run's deduplication: everything that is measured, put together."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.audit.clusters import Cluster, largest_clusters
from winnow.audit.contents import Contents
from winnow.audit.documents import Rows, dedup_of, draw, rows_of
from winnow.audit.exact_search import Sets, join_sets, shingles_of
from winnow.audit.losses import Losses, measure_losses
from winnow.audit.planted import MIN_WORDS, Planted, Words, measure_planted
from winnow.audit.removed import Removed, measure_removed
from winnow.audit.twins import Twins, measure_twins
from winnow.errors import NothingToAuditError
from winnow.flow.dedup_alarms import dedup_alarms
from winnow.flow.records import RunRecords
from winnow.looking.texts import texts_of
from winnow.stages.ingest.languages import languages_of
from winnow.text.words import hash_words

_EXCERPTS = 4
"""Of a removal's texts, so many times the characters are shown that are of a cluster's: what is lost lies scattered."""


@dataclass(frozen=True)
class SampleSizes:
    """How much is looked at. Memory: about 20 KB a sampled document of 7 KB."""

    documents: int = 20_000
    """Compared exactly with the whole corpus."""
    removed: int = 10_000
    """Compared exactly with their keepers."""
    planted: int = 1_000
    """Edited, nine times each."""
    clusters: int = 20
    worst: int = 20
    """Removals that lost most, shown."""
    characters: int = 600
    """Of each text that is shown."""


@dataclass(frozen=True)
class DedupAudit:
    """What was measured."""

    run: str
    seed: int
    verify: str
    threshold: float
    bands: int
    rows: int
    num_perm: int
    ngram: int
    twins: Twins
    removed: Removed
    planted: Planted
    losses: Losses
    clusters: tuple[Cluster, ...]
    alarms: tuple[str, ...]

    @property
    def guaranteed(self) -> bool:
        """Whether every sampled removed document has a kept one at verified similarity >= threshold."""
        return self.removed.violations_count == 0


def audit_dedup(run: RunRecords, sizes: SampleSizes, seed: int) -> DedupAudit:
    """Measure a finished run. Reads the whole text once, and that of the sample once more.

    Raises:
        ConfigError: the run has no dedup.
        NothingToAuditError: no document took part in it.
    """
    config = dedup_of(run)
    sample = draw(run, lambda rows: rows.passed, sizes.documents, seed)
    if not len(sample):
        raise NothingToAuditError(f"{run.store.root}: nothing to audit, no document took part in dedup")
    planted = draw(run, lambda rows: rows.passed, sizes.planted, seed + 1)
    removed = draw(run, _removed, sizes.removed, seed)
    removed_rows, _ = rows_of(run, removed)
    wanted = np.unique(np.concatenate([sample, removed, removed_rows.keeper]))
    language = run.config.guard_language
    contents = None if language is None else Contents(languages_of(language, run.store))
    compared = np.union1d(removed, removed_rows.keeper)
    known, sets, words = _read(run, wanted, planted, compared, contents)
    return DedupAudit(
        run.store.root,
        seed,
        config.verify,
        config.threshold,
        config.minhash.num_bands,
        config.minhash.band_rows,
        config.minhash.num_perm,
        config.minhash.ngram,
        measure_twins(run, sample, known, sets),
        measure_removed(run, removed, removed_rows, known, sets, contents),
        measure_planted(run, words, seed),
        measure_losses(run, sizes.worst, _EXCERPTS * sizes.characters),
        largest_clusters(run, sizes.clusters, sizes.characters),
        tuple(map(str, dedup_alarms(run.config, run.of("keepers"), run.of("decide")))),
    )


def _removed(rows: Rows) -> NDArray[np.bool_]:
    return rows.removed


def _read(
    run: RunRecords,
    wanted: NDArray[np.uint64],
    planted: NDArray[np.uint64],
    compared: NDArray[np.uint64],
    contents: Contents | None,
) -> tuple[NDArray[np.uint64], Sets, dict[int, Words]]:
    """Documents that were found, rising, with their shingles; and the words of those to be edited.

    ``contents`` takes what the ``compared`` documents say.
    """
    ngram = dedup_of(run).minhash.ngram
    found, pieces, kept_words = [np.empty(0, np.uint64)], [], {}
    for docs, texts in texts_of(run, np.union1d(wanted, planted)):
        words = hash_words(texts)
        for row in np.flatnonzero(np.isin(docs, planted) & (np.diff(words.offsets) >= MIN_WORDS)).tolist():
            kept_words[int(docs[row])] = words.hashes[words.offsets[row] : words.offsets[row + 1]].copy()
        found.append(docs)
        pieces.append(shingles_of(words, ngram))
        if contents is not None and (rows := np.flatnonzero(np.isin(docs, compared))).size:
            own = texts.take(pa.array(rows))
            contents.add(docs[rows], own, hash_words(own))
    return np.concatenate(found), join_sets(pieces), kept_words
