"""What verifying by texts adds to the candidates: the shingle set of every distinct text among them.

Documents of equal text are one set: a part sends it once, whatever the number of copies, and whoever compares them
looks it up by the hash of the text.
"""

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.dedup.shingle_sets import shingle_sets
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.fault_point import fault_point
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, parquet_batches, read_ipc
from winnow.storage.store import Store
from winnow.text.words import hash_words

SHINGLE_DTYPE = np.dtype(np.uint32)


def sizes_stage() -> Stage:
    """How many shingles the candidates of every part have, so that partitions can be as large as they should be."""
    return Stage("candidate_sizes", 1, {}, run_sizes)


def plan_sizes(parts: list[Part], components: list[Record]) -> list[Unit]:
    """One unit a part."""
    reference = components[0].outputs["components"].reference()
    return [
        Unit(part.number, {"signatures": part.signatures, "components": reference}, part.rows * 28) for part in parts
    ]


def run_sizes(unit: Unit, workspace: Workspace) -> None:
    """Count shingles, repeats included: an upper bound of what will be sent."""
    table = read_ipc(workspace.store, unit.inputs["signatures"])
    components = read_ipc(workspace.store, unit.inputs["components"])
    docs = column_to_numpy(table, "doc")
    row, _ = lookup(docs, column_to_numpy(components, "doc"), column_to_numpy(components, "component"))
    row = row[first_of_each_text(column_to_numpy(table, "exact_high")[row], column_to_numpy(table, "exact_low")[row])]
    workspace.count("shingles", column_to_numpy(table, "shingles")[row].sum(dtype=np.int64))


def lookup(
    docs: NDArray[np.uint64], sorted_docs: NDArray[np.uint64], values: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Rows of ``docs`` (rising) that stand in ``sorted_docs``, and their values: int64[M], uint64[M]."""
    if len(docs) == 0 or len(sorted_docs) == 0:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    first, last = np.searchsorted(sorted_docs, [docs[0], docs[-1] + np.uint64(1)])
    near = sorted_docs[first:last]
    place = np.searchsorted(docs, near)
    found = docs[np.minimum(place, len(docs) - 1)] == near
    return place[found], np.asarray(values[first:last][found])


def first_of_each_text(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows, rising, that hold the first document of each text hash: int64[distinct]."""
    order = np.lexsort((low, high))  # stable: among equals the first comes first
    high, low = high[order], low[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    first = np.zeros(len(order), np.bool_)
    first[order[new]] = True
    return np.flatnonzero(first)


def sets_of(
    workspace: Workspace, store: Store, documents: Json, docs: NDArray[np.uint64], ngram: int
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Shingle sets of some documents of a part, read from their texts.

    Args:
        workspace: of the unit that reads them.
        store: where the part is: the run folder.
        documents: reference to the part's documents table.
        docs: uint64[N], rising.
        ngram: words in a shingle.

    Returns:
        uint32[S] set after set, and int64[N + 1], where each begins.

    Raises:
        ValueError: the table lacks some of the documents.
        QuarantineError: some of them end the process that works on them.
    """
    pieces, lengths = [np.empty(0, SHINGLE_DTYPE)], [np.empty(0, np.int64)]
    for batch in parquet_batches(store, documents, ["doc", "text"]) if len(docs) else ():
        found = np.flatnonzero(np.isin(batch.column("doc").to_numpy(), docs, assume_unique=True))
        if len(found):
            texts = batch.column("text").take(found)
            work = partial(_sets, workspace.stage_name, ngram)
            probe_in_child(workspace, batch.column("doc").to_numpy()[found], texts, work, store)
            values, starts = work(texts)
            pieces.append(values)
            lengths.append(np.diff(starts))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
    if len(starts) != len(docs) + 1:
        raise ValueError(f"{documents['path']} holds {len(starts) - 1} of {len(docs)} candidates; it was altered")
    return np.concatenate(pieces), starts


def _sets(stage: str, ngram: int, texts: pa.Array) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    fault_point("batch", stage=stage, texts=texts)
    words = hash_words(texts)
    return shingle_sets(words.hashes, words.offsets, ngram)


def bounds_of(high: NDArray[np.uint64], low: NDArray[np.uint64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each document's set starts and ends in the payload: int64[M, 2]; equal texts share the set of one of them.

    Args:
        high: uint64[M], upper half of each text's hash.
        low: uint64[M], lower half.
        lengths: int64[M], items that each row has in the payload, which is in row order; 0 where an equal text's row
            has them.
    """
    ends = np.cumsum(lengths)
    order = np.lexsort((lengths, low, high))  # among equals, those with a set come last
    high, low = high[order], low[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    text: NDArray[np.int64] = np.cumsum(last) - last  # number of the text that each ordered row has
    holder = order[last][text]
    bounds = np.empty((len(order), 2), np.int64)
    bounds[order] = np.stack([ends[holder] - lengths[holder], ends[holder]], axis=1)
    return bounds
