"""Labels: which there are, the number of each, and the labels of a part's documents.

Numbers are dense and settled over all readable documents, so that no threshold, seed or split changes them. Labels
that are all integers have the order of their values, others that of their characters' code points; or the order that
the config gives.

Legend: N documents, C labels.
"""

import re
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.sources.source import LABEL
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, ipc_output, parquet_batches, read_ipc, read_listing, read_parquet
from winnow.storage.store import Store

MAX_LABELS = 65_535
"""Labels of a run: more are a text that was taken for a label, and numbers fit two bytes beside `NO_LABEL`."""
NO_LABEL = np.uint16(0xFFFF)
"""Stands where a document's label is not known: documents of earlier runs."""
COLUMN = f"keep.{LABEL}"
_INTEGER = re.compile(r"-?[1-9][0-9]*|0")
_NAMES = pa.schema([("label", pa.string()), ("documents", pa.int64())])


class LabelSet(NamedTuple):
    """The labels of a run."""

    table: Json
    """Where they are listed, for later stages."""
    names: list[str]
    """C, by number."""
    documents: list[int]
    """C, readable documents with each."""


def names_stage() -> Stage:
    """The labels of a part, with their documents."""
    return Stage("label_names", 1, {}, run_names)


def plan_names(parts: list[Part]) -> list[Unit]:
    """One unit a part."""
    return [Unit(part.number, {"documents": part.documents}, part.rows * 8) for part in parts]


def run_names(unit: Unit, workspace: Workspace) -> None:
    """Count each label; the first ``MAX_LABELS`` + 1 are enough to see that there are too many."""
    counts: Counter[str] = Counter()
    for batch in parquet_batches(workspace.store, unit.inputs["documents"], [COLUMN]):
        for entry in pc.value_counts(batch.column(COLUMN)).to_pylist():
            counts[entry["values"]] += entry["counts"]
        if len(counts) > MAX_LABELS:
            break
    names = sorted(counts)[: MAX_LABELS + 1]
    with ipc_output(workspace, "names", _NAMES) as table:
        table.write({"label": names, "documents": [counts[name] for name in names]})


def set_stage(names: tuple[str, ...] | None) -> Stage:
    """All labels in the order of their numbers; ``names`` are those that the config gives, or None."""
    return Stage("label_set", 1, {"names": None if names is None else list(names)}, run_set)


def plan_set(listing: Json, found: list[Record]) -> list[Unit]:
    """A single unit."""
    return [Unit(0, {"names": listing}, total(found, "labels") * 16)]


def run_set(unit: Unit, workspace: Workspace) -> None:
    """Add up the labels of all parts and number them."""
    counts: Counter[str] = Counter()
    for entry in read_listing(workspace.store, unit.inputs["names"]):
        table = read_ipc(workspace.store, entry)
        counts.update(dict(zip(table.column("label").to_pylist(), table.column("documents").to_pylist(), strict=True)))
        if len(counts) > MAX_LABELS:
            break
    given = workspace.settings["names"]
    names = ordered(list(counts)) if given is None else given
    unknown = sorted(counts.keys() - set(names))
    workspace.metadata["unknown"] = [[name, counts[name]] for name in unknown[:5]]
    workspace.count("unknown", len(unknown))
    workspace.count("labels", len(names))
    with ipc_output(workspace, "labels", _NAMES) as out:
        out.write({"label": names, "documents": [counts.get(name, 0) for name in names]})


def ordered(names: list[str]) -> list[str]:
    """Different labels in the order of their numbers."""
    if all(_INTEGER.fullmatch(name) for name in names):
        return sorted(names, key=int)
    return sorted(names)


def label_set(store: Store, record: Record) -> LabelSet:
    """What the stage of :func:`set_stage` wrote."""
    reference = record.outputs["labels"].reference()
    table = read_ipc(store, reference)
    return LabelSet(reference, table.column("label").to_pylist(), table.column("documents").to_pylist())


def read_labels(store: Store, documents: Json, labels: Json) -> tuple[NDArray[np.uint64], NDArray[np.uint16]]:
    """Documents of a part, uint64[N] rising, and the number of each one's label, uint16[N].

    Args:
        store: the run folder.
        documents: the part's documents table.
        labels: ``LabelSet.table``.
    """
    names = read_ipc(store, labels).column("label").combine_chunks()
    table = read_parquet(store, documents, ["doc", COLUMN])
    found = pc.index_in(table.column(COLUMN), value_set=names)
    return column_to_numpy(table, "doc"), found.to_numpy().astype(np.uint16)


def labels_of(docs: NDArray[np.uint64], known: tuple[NDArray[np.uint64], NDArray[np.uint16]]) -> NDArray[np.uint16]:
    """Numbers uint16[N] of the labels of ``docs`` uint64[N], all of them in ``known`` (see :func:`read_labels`)."""
    numbered: NDArray[Any] = known[1][np.searchsorted(known[0], docs)]
    return numbered
