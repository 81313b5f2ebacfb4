"""Are semantic duplicates as near to their keepers as the ledger says? Computed again from the stored vectors."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.audit.verify.streams import Spread, count_kept
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.looking.texts import parts_holding
from winnow.select.vectors import unit_rows
from winnow.stages.tables import column_to_numpy, list_column_to_2d, read_ipc, read_parquet

SAMPLE = 4096
"""Removed documents whose cosine is computed again, spread evenly over the corpus."""
_FLOAT_ERROR = 1e-4


def check_semantics(run: RunRecords) -> list[Balance]:
    """Every semantic duplicate has a keeper that semantic dedup kept; sampled ones have the recorded cosine."""
    config = run.config.select
    if config is None or config.semantic is None or not run.parts:
        return []
    chosen = Spread(SAMPLE)

    def keepers() -> Iterator[NDArray[np.uint64]]:
        for table, outcome in _decisions(run, ["doc", "outcome", "keeper", "similarity"]):
            found = table.filter(pc.equal(outcome, schemas.SEMANTIC_DUPLICATE))
            doc, keeper = found.column("doc"), found.column("keeper").fill_null(0)
            similarity = found.column("similarity").fill_null(-1)
            chosen.add(pa.table({"doc": doc, "keeper": keeper, "similarity": similarity}))
            yield keeper.to_numpy()

    def stayed() -> Iterator[NDArray[np.uint64]]:
        for table, outcome in _decisions(run, ["doc", "outcome"]):
            left = pc.or_(pc.equal(outcome, schemas.KEPT), pc.equal(outcome, schemas.SAMPLED_OUT))
            yield column_to_numpy(table.filter(left), "doc")

    documents, kept = count_kept(keepers(), stayed)
    doc, keeper, similarity = (column_to_numpy(chosen.rows(), name) for name in ("doc", "keeper", "similarity"))
    vectors = vectors_of(run, np.unique(np.concatenate([doc, keeper])))
    names = np.array(sorted(vectors), np.uint64)
    matrix = unit_rows(np.stack([vectors[int(name)] for name in names])) if len(names) else np.empty((0, 1))
    right = 0
    for one, other, recorded in zip(doc, keeper, similarity, strict=True):
        if int(one) in vectors and int(other) in vectors:
            a, b = (matrix[np.searchsorted(names, name)] for name in (one, other))
            cosine = float(a @ b)
            threshold = config.semantic.threshold
            right += abs(cosine - recorded) <= _FLOAT_ERROR and cosine >= threshold - _FLOAT_ERROR
    return [
        Balance("semantic duplicates whose keeper is kept", documents, kept),
        Balance("sampled semantic duplicates as near to their keeper as the ledger says", len(doc), right),
    ]


def _decisions(run: RunRecords, columns: list[str]) -> Iterator[tuple[pa.Table, pa.ChunkedArray]]:
    """Part by part: columns of the ledger, and its outcomes as strings."""
    for record in run.of(run.decided_stage):
        table = read_parquet(run.store, record.outputs["decisions"].reference(), columns)
        yield table, table.column("outcome").cast(pa.string())


def vectors_of(run: RunRecords, docs: NDArray[np.uint64]) -> dict[int, NDArray[np.float16]]:
    """Stored vectors of documents uint64[N] (rising), by number; documents that were not embedded are left out."""
    found: dict[int, NDArray[np.float16]] = {}
    for number, places in parts_holding(run, docs):
        table = read_ipc(run.store, run.of("embed")[number].outputs["embeddings"].reference())
        there = column_to_numpy(table, "doc")
        rows = np.flatnonzero(np.isin(there, docs[places]))
        dimensions = table.schema.field("vector").type.list_size
        vectors = list_column_to_2d(table, "vector", dimensions)[rows]
        found |= dict(zip(there[rows].tolist(), vectors, strict=True))
    return found
