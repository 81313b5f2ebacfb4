"""What became of synthetic texts beside the documents that they were made of, by the final ledger."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.tables import column_to_numpy, read_ipc, read_listing, read_parquet

_ABSENT = "not_read"
"""Stands for the outcome of a document that the run does not have."""


def stage() -> Stage:
    """The stage."""
    return Stage("family_outcomes", 2, {}, run)


def plan(linked: list[Record], decisions: Json, rows: int) -> list[Unit]:
    """One unit a partition of families, which reads four columns of the ledger. ``decisions`` lists its parts."""
    return [
        Unit(
            number,
            {"links": record.outputs["links"].reference(), "partition": number, "decisions": decisions},
            rows * 8,
        )
        for number, record in enumerate(linked)
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Count kept texts by the outcome of what they were made of, and those in another split than it."""
    store = workspace.store
    links = read_ipc(store, unit.inputs["links"])
    doc, parent = column_to_numpy(links, "doc"), column_to_numpy(links, "parent")
    asked = np.unique(np.concatenate([doc, parent[parent != schemas.NO_DOC]]))
    names: dict[str | None, int] = {}  # each once, whatever the number of members
    of_absent, of_none = (names.setdefault(name, len(names)) for name in (_ABSENT, None))
    outcome, split = np.full(len(asked), of_absent, np.int32), np.full(len(asked), of_none, np.int32)
    keeper = np.full(len(asked), schemas.NO_DOC)
    for entry in read_listing(store, unit.inputs["decisions"]):
        table = read_parquet(store, entry, ["doc", "outcome", "split", "keeper"])
        there = column_to_numpy(table, "doc")
        rows = np.flatnonzero(np.isin(there, asked, assume_unique=True))
        if len(rows) == 0:
            continue
        place, mine = np.searchsorted(asked, there[rows]), table.take(rows)
        outcome[place], split[place] = (_codes(mine.column(column), names) for column in ("outcome", "split"))
        keeper[place] = pc.fill_null(mine.column("keeper"), int(schemas.NO_DOC)).to_numpy()
    _count(workspace, asked, (doc, parent), outcome, split, keeper, names)


def _codes(column: pa.ChunkedArray, names: dict[str | None, int]) -> NDArray[np.int32]:
    """Names as numbers, int32[N]; new ones get the next."""
    encoded = pc.dictionary_encode(column.cast(pa.string()), "encode").combine_chunks()
    codes = np.array([names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()], np.int32)
    found: NDArray[np.int32] = codes[encoded.indices.to_numpy(zero_copy_only=False)]
    return found


def _count(
    workspace: Workspace,
    asked: NDArray[np.uint64],
    links: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    outcome: NDArray[np.int32],
    split: NDArray[np.int32],
    keeper: NDArray[np.uint64],
    names: dict[str | None, int],
) -> None:
    """The counters; columns [M] belong to the documents ``asked`` uint64[M], rising. ``names`` are those of codes."""
    doc, parent = links
    own, known = np.searchsorted(asked, doc), parent != schemas.NO_DOC
    of = np.searchsorted(asked, np.where(known, parent, asked[0] if len(asked) else 0))
    of_kept = names.get(schemas.KEPT, -1)
    kept = outcome[own] == of_kept
    came_from = np.where(known, outcome[of], names[_ABSENT])
    for name, code in names.items():
        if number := (came_from[kept] == code).sum():
            workspace.count(f"kept_of/{name}", number)
    both = kept & (came_from == of_kept)
    workspace.count("kept", kept.sum())
    workspace.count("apart", (split[own][both] != split[of][both]).sum())
    workspace.count("like_parent", (known & (keeper[own] == parent)).sum())
