"""What filter and dedup together say of a part's documents, before splits are drawn."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline import schemas
from pipeline.dedup.index import own_groups
from pipeline.engine.records import Json
from pipeline.engine.store import Store
from pipeline.shards.order import draw_copies
from pipeline.stages.labels import NO_LABEL
from pipeline.stages.ledger_tables import KEPT, OUTCOMES
from pipeline.stages.tables import numbers, read_parquet, read_partition

_EXACT, _NEAR = (OUTCOMES.index(name) for name in (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE))


class PartFates(NamedTuple):
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
    group: NDArray[np.uint64]
    """uint64[N], by which splits are drawn: the candidate component."""
    stratum: NDArray[np.uint16]
    """uint16[N], the label of the component; NO_LABEL for documents in none, and in runs without labels."""

    def copies(self, weights: list[float], seed: int) -> NDArray[np.int64]:
        """int64[N], how often each document enters an epoch; 0 unless kept. ``weights`` are those of the sources."""
        drawn = draw_copies(self.docs, np.array(weights)[self.source], seed)
        return np.where(self.outcome == KEPT, drawn, 0)


def read_fates(store: Store, verdicts: Json, fates: Json | None, part: int, segment: int) -> PartFates:
    """Join a part's verdicts with the fates of its members of components.

    Args:
        store: the run folder.
        verdicts: the part's table.
        fates: where fates are listed; None where dedup is off.
        part: its number.
        segment: this run's number in an index, 0 without one.
    """
    table = read_parquet(store, verdicts).combine_chunks()
    docs = numbers(table, "doc")
    column = table.column("outcome").combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # an empty table keeps a chunked column
        column = pa.array([], column.type)
    codes = np.array([OUTCOMES.index(name) for name in column.dictionary.to_pylist()] or [0])
    outcome = np.where(numbers(table, "passed"), KEPT, codes[column.indices.fill_null(0).to_numpy()])
    keeper = np.full(len(docs), schemas.NO_DOC)
    similarity = np.full(len(docs), np.nan, np.float32)
    group = own_groups(docs, segment)
    stratum = np.full(len(docs), NO_LABEL)
    if fates is not None:
        members = read_partition(store, fates, part)
        row = np.searchsorted(docs, members["doc"])
        group[row] = members["group"]
        removed = members["keeper"] != schemas.NO_DOC
        keeper[row[removed]] = members["keeper"][removed]
        similarity[row[removed]] = members["similarity"][removed]
        outcome[row[removed]] = np.where(members["exact"][removed] == 1, _EXACT, _NEAR)
        if "label" in members:
            stratum[row] = members["label"]
    return PartFates(docs, numbers(table, "source"), outcome, keeper, similarity, group, stratum)
