"""What filter and dedup together say of a part's documents, before splits are drawn."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.index import own_groups
from winnow.engine.records import Json
from winnow.shards.order import draw_copies
from winnow.stages.decide.ledger_tables import KEPT, OUTCOMES
from winnow.stages.ingest.labels import NO_LABEL
from winnow.stages.tables import column_to_numpy, read_parquet, read_partition
from winnow.storage.store import Store

_EXACT, _NEAR = (OUTCOMES.index(name) for name in (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE))


class PartDecisions(NamedTuple):
    """The readable documents of a part, rising."""

    docs: NDArray[np.uint64]
    """uint64[N]."""
    source: NDArray[np.uint16]
    """uint16[N], position of the source in the config."""
    outcome: NDArray[np.int64]
    """int64[N] into ``OUTCOMES``."""
    keeper: NDArray[np.uint64]
    """uint64[N], NO_DOC for none."""
    similarity: NDArray[np.float32]
    """float32[N], NaN for none."""
    containment: NDArray[np.float32]
    """float32[N], NaN where not known."""
    lost: NDArray[np.int64]
    """int64[N], runs of words that the keeper does not hold; -1 where not known."""
    guard: NDArray[np.uint8]
    """uint8[N], why the guard refused a better-ranked keeper: a code of ``REASONS``; 0 where it did not."""
    guard_keeper: NDArray[np.uint64]
    """uint64[N], the one refused; NO_DOC for none."""
    group: NDArray[np.uint64]
    """uint64[N], by which splits are drawn: the candidate component."""
    stratum: NDArray[np.uint16]
    """uint16[N], the label of the component; NO_LABEL for documents in none, and in runs without labels."""

    def copies(self, weights: list[float], seed: int) -> NDArray[np.int64]:
        """int64[N], how often each document enters an epoch; 0 unless kept. ``weights`` are those of the sources."""
        drawn = draw_copies(self.docs, np.array(weights)[self.source], seed)
        return np.where(self.outcome == KEPT, drawn, 0)


def read_decisions(
    store: Store, verdicts: Json, member_decisions: Json | None, part: int, segment: int
) -> PartDecisions:
    """Join a part's verdicts with the decisions about its members of components.

    Args:
        store: the run folder.
        verdicts: the part's table.
        member_decisions: where they are listed; None where dedup is off.
        part: its number.
        segment: this run's number in an index, 0 without one.
    """
    table = read_parquet(store, verdicts).combine_chunks()
    docs = column_to_numpy(table, "doc")
    column = table.column("outcome").combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # an empty table keeps a chunked column
        column = pa.array([], column.type)
    codes = np.array([OUTCOMES.index(name) for name in column.dictionary.to_pylist()] or [0])
    outcome = np.where(column_to_numpy(table, "passed"), KEPT, codes[column.indices.fill_null(0).to_numpy()])
    keeper = np.full(len(docs), schemas.NO_DOC)
    similarity = np.full(len(docs), np.nan, np.float32)
    containment = similarity.copy()
    lost = np.full(len(docs), -1, np.int64)
    guard, guard_keeper = np.zeros(len(docs), np.uint8), keeper.copy()
    group = own_groups(docs, segment)
    stratum = np.full(len(docs), NO_LABEL)
    if member_decisions is not None:
        members = read_partition(store, member_decisions, part)
        row = np.searchsorted(docs, members["doc"])
        group[row] = members["group"]
        removed = members["keeper"] != schemas.NO_DOC
        keeper[row[removed]] = members["keeper"][removed]
        guard[row], guard_keeper[row] = members["reason"], members["refused"]
        paired = removed | (members["reason"] > 0)
        similarity[row[paired]] = members["similarity"][paired]
        known = paired & (members["lost"] >= 0)
        lost[row[known]] = members["lost"][known]
        runs = np.maximum(members["ngrams"][known], 1).astype(np.float64)  # an exact copy of no words loses nothing
        containment[row[known]] = 1.0 - members["lost"][known] / runs
        outcome[row[removed]] = np.where(members["exact"][removed] == 1, _EXACT, _NEAR)
        if "label" in members:
            stratum[row] = members["label"]
    source = column_to_numpy(table, "source")
    return PartDecisions(
        docs, source, outcome, keeper, similarity, containment, lost, guard, guard_keeper, group, stratum
    )
