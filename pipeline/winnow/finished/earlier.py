"""Kept documents of earlier runs, as a finished run can look them up in the index that it was compared with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.index import is_indexed, split_indexed_document
from winnow.engine.records import Json
from winnow.flow.records import RunRecords
from winnow.stages.tables import column_to_numpy, read_ipc, read_parquet


@dataclass(frozen=True)
class EarlierDocument:
    """A kept document of an earlier run: which one it is, and what later runs are compared with."""

    doc: int
    id: str
    source: str
    run: str
    text_hash: tuple[int, int]
    signature: NDArray[np.uint32]
    shingles: NDArray[np.uint32] | None
    """Sorted distinct shingles; None where the index was begun with `verify: estimate`."""
    ngrams: NDArray[np.uint32] | None = None
    """Sorted distinct runs of three words; None where the run that kept it had no guard."""


def is_earlier(doc: int) -> bool:
    """Whether a document number, as a ledger names it, is of an earlier run."""
    return bool(is_indexed(np.array([doc], np.uint64))[0])


def parts_there(run: RunRecords) -> dict[int, Json]:
    """Parts of the index that the run was compared with, by number, whose files are still there."""
    return {part: entry for part, entry in run.index_parts.items() if _is_there(run, entry)}


def _is_there(run: RunRecords, entry: Json) -> bool:
    return run.store.exists(entry["signatures"]["path"])


def run_of(run: RunRecords, doc: int) -> str:
    """The run folder that an earlier document came from, as it was called then.

    Raises:
        LookupError: the run was never compared with such a document.
    """
    part, _ = split_indexed_document(doc)
    if part not in run.index_parts:
        raise LookupError(f"document {doc} is in no part of the index that {run.store.root} was compared with")
    return str(run.index_parts[part]["run"])


def read_earlier(run: RunRecords, doc: int) -> EarlierDocument | None:
    """One earlier document; None where its segment was dropped or the index is gone."""
    part, row = split_indexed_document(doc)
    entry = run.index_parts.get(part)
    if entry is None or not _is_there(run, entry):
        return None
    who = read_parquet(run.store, entry["documents"], ["id", "source"]).slice(row, 1).to_pylist()[0]
    table = read_ipc(run.store, entry["signatures"]).slice(row, 1)
    shingles = None
    if "shingles" in entry:
        shingles = np.array(read_ipc(run.store, entry["shingles"]).column("shingles")[row].values.to_numpy())
    ngrams = None
    if "contents" in entry:
        ngrams = np.array(read_ipc(run.store, entry["contents"]).column("ngrams")[row].values.to_numpy())
    return EarlierDocument(
        doc,
        who["id"],
        who["source"],
        entry["run"],
        (int(column_to_numpy(table, "exact_high")[0]), int(column_to_numpy(table, "exact_low")[0])),
        np.array(table.column("signature")[0].values.to_numpy()),
        shingles,
        ngrams,
    )
