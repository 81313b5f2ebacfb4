"""The largest clusters: a kept document and those removed for it, with texts to look at."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.audit.documents import EXACT, dedup_of, read_rows
from winnow.audit.exact_search import shingles_of
from winnow.dedup.keeper_search import exact_similarity
from winnow.flow.records import RunRecords
from winnow.looking.texts import ids_of, shown_texts, text_by_document
from winnow.text.words import hash_words

_BEFORE = 80  # characters shown before the first difference


@dataclass(frozen=True)
class Cluster:
    """A kept document and the documents removed for it; texts are shown from shortly before they differ."""

    keeper: int
    keeper_id: str
    documents: int
    """The kept one among them, where it is of this run."""
    exact_copies: int
    sources: dict[str, int]
    """Documents of each source."""
    lowest: float
    highest: float
    """Recorded similarity to the kept document."""
    other: int
    other_id: str
    """The removed document with the lowest recorded similarity."""
    other_similarity: float | None
    """Its true similarity; None where the kept document is of an earlier run."""
    shown_from: int
    """Character at which both excerpts begin."""
    keeper_text: str
    other_text: str


@dataclass
class _Members:
    exact: int = 0
    lowest: float = 2.0
    highest: float = 0.0
    other: int = 0


def largest_clusters(run: RunRecords, count: int, characters: int) -> tuple[Cluster, ...]:
    """The largest clusters of a run, largest first; ``characters`` of each text are shown."""
    keepers = _largest(run, count)
    members = {int(keeper): _Members() for keeper in keepers}
    sources: dict[int, Counter[int]] = {int(keeper): Counter() for keeper in keepers}
    for number in range(len(run.parts)):
        rows = read_rows(run, number)
        for at in np.flatnonzero(np.isin(rows.doc, keepers)).tolist():
            sources[int(rows.doc[at])][int(rows.source[at])] += 1
        for at in np.flatnonzero(rows.removed & np.isin(rows.keeper, keepers)).tolist():
            keeper, similarity = int(rows.keeper[at]), float(rows.similarity[at])
            cluster = members[keeper]
            sources[keeper][int(rows.source[at])] += 1
            cluster.exact += int(rows.outcome[at] == EXACT)
            cluster.highest = max(cluster.highest, similarity)
            if similarity < cluster.lowest:
                cluster.lowest, cluster.other = similarity, int(rows.doc[at])
    shown = np.array(sorted({*members, *(cluster.other for cluster in members.values())}), np.uint64)
    texts, leaving = text_by_document(run, set(shown.tolist())), shown_texts(run, set(shown.tolist()))
    ids = ids_of(run, set(shown.tolist()))
    names = [source.name for source in run.config.sources]
    clusters = []
    for keeper in map(int, keepers):
        cluster = members[keeper]
        a, b = texts.get(keeper, ""), texts[cluster.other]
        shown_a, shown_b = leaving.get(keeper, ""), leaving[cluster.other]
        begin = max(0, _common_start(shown_a, shown_b) - _BEFORE)
        clusters.append(
            Cluster(
                keeper,
                ids[keeper],
                sources[keeper].total(),
                cluster.exact,
                {names[source]: number for source, number in sorted(sources[keeper].items())},
                cluster.lowest,
                cluster.highest,
                cluster.other,
                ids[cluster.other],
                _true_similarity(run, a, b) if keeper in texts else None,
                begin,
                shown_a[begin : begin + characters],
                shown_b[begin : begin + characters],
            )
        )
    return tuple(clusters)


def _largest(run: RunRecords, count: int) -> NDArray[np.uint64]:
    """Keepers with the most removed documents, the most first, ties by number."""
    removed = [rows.keeper[rows.removed] for rows in (read_rows(run, number) for number in range(len(run.parts)))]
    keepers, sizes = np.unique(np.concatenate([*removed, np.empty(0, np.uint64)]), return_counts=True)
    sizes = sizes[keepers != schemas.NO_DOC]
    keepers = keepers[keepers != schemas.NO_DOC]
    largest: NDArray[np.uint64] = keepers[np.lexsort((keepers, -sizes))[:count]]
    return largest


def _common_start(a: str, b: str) -> int:
    """Characters that both begin with."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _true_similarity(run: RunRecords, a: str, b: str) -> float:
    words = hash_words(pa.array([a, b], pa.large_string()))
    sets = shingles_of(words, dedup_of(run).minhash.ngram)
    return 1.0 if a == b else float(exact_similarity(sets.of(0), sets.of(1)))
