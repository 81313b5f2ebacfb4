"""Are semantic duplicates as near to their keepers as the ledger says? Computed again from the stored vectors."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.looking.texts import parts_holding
from winnow.select.vectors import unit_rows
from winnow.stages.tables import column_to_numpy, list_column_to_2d, read_ipc, read_parquet

SAMPLE = 4096
"""Removed documents whose cosine is computed again: those of the lowest numbers in each part, spread evenly."""
_FLOAT_ERROR = 1e-4


def check_semantics(run: RunRecords) -> list[Balance]:
    """Every semantic duplicate has a keeper that semantic dedup kept; sampled ones have the recorded cosine."""
    config = run.config.select
    if config is None or config.semantic is None or not run.parts:
        return []
    docs, keepers, similarities, stayed = [], [], [], []
    for record in run.of(run.decided_stage):
        reference = record.outputs["decisions"].reference()
        table = read_parquet(run.store, reference, ["doc", "outcome", "keeper", "similarity"])
        outcome = table.column("outcome").cast(pa.string())
        found = table.filter(pc.equal(outcome, schemas.SEMANTIC_DUPLICATE))
        docs.append(column_to_numpy(found, "doc"))
        keepers.append(found.column("keeper").fill_null(0).to_numpy())
        similarities.append(found.column("similarity").fill_null(-1).to_numpy())
        left = pc.or_(pc.equal(outcome, schemas.KEPT), pc.equal(outcome, schemas.SAMPLED_OUT))
        stayed.append(column_to_numpy(table.filter(left), "doc"))
    doc, keeper, similarity = np.concatenate(docs), np.concatenate(keepers), np.concatenate(similarities)
    kept = np.isin(keeper, np.concatenate(stayed))
    step = max(1, len(doc) // SAMPLE)
    chosen = slice(None, None, step)
    vectors = vectors_of(run, np.unique(np.concatenate([doc[chosen], keeper[chosen]])))
    names = np.array(sorted(vectors), np.uint64)
    matrix = unit_rows(np.stack([vectors[int(name)] for name in names])) if len(names) else np.empty((0, 1))
    right = 0
    for one, other, recorded in zip(doc[chosen], keeper[chosen], similarity[chosen], strict=True):
        if int(one) in vectors and int(other) in vectors:
            a, b = (matrix[np.searchsorted(names, name)] for name in (one, other))
            cosine = float(a @ b)
            threshold = config.semantic.threshold
            right += abs(cosine - recorded) <= _FLOAT_ERROR and cosine >= threshold - _FLOAT_ERROR
    return [
        Balance("semantic duplicates whose keeper is kept", len(doc), int(kept.sum())),
        Balance("sampled semantic duplicates as near to their keeper as the ledger says", len(doc[chosen]), right),
    ]


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
