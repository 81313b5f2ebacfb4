"""What became of synthetic texts beside the documents that they were made of, by the final ledger."""

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.tables import column_to_numpy, read_ipc, read_listing, read_parquet

_ABSENT = "not_read"
"""Stands for the outcome of a document that the run does not have."""


def stage() -> Stage:
    """The stage."""
    return Stage("family_outcomes", 1, {}, run)


def plan(links: Json, decisions: Json, rows: int) -> list[Unit]:
    """A single unit, which reads three columns of the ledger. ``decisions`` lists its parts."""
    return [Unit(0, {"links": links, "decisions": decisions}, rows * 8)]


def run(unit: Unit, workspace: Workspace) -> None:
    """Count kept texts by the outcome of what they were made of, and those in another split than it."""
    store = workspace.store
    links = read_ipc(store, unit.inputs["links"])
    doc, parent = column_to_numpy(links, "doc"), column_to_numpy(links, "parent")
    asked = np.unique(np.concatenate([doc, parent[parent != schemas.NO_DOC]]))
    outcome, split = np.full(len(asked), _ABSENT, object), np.full(len(asked), None, object)
    keeper = np.full(len(asked), schemas.NO_DOC)
    for entry in read_listing(store, unit.inputs["decisions"]):
        table = read_parquet(store, entry, ["doc", "outcome", "split", "keeper"])
        there = column_to_numpy(table, "doc")
        rows = np.flatnonzero(np.isin(there, asked, assume_unique=True))
        place, mine = np.searchsorted(asked, there[rows]), table.take(rows)
        outcome[place] = mine.column("outcome").to_pylist()
        split[place] = mine.column("split").to_pylist()
        keeper[place] = pc.fill_null(mine.column("keeper"), int(schemas.NO_DOC)).to_numpy()
    _count(workspace, asked, (doc, parent), outcome, split, keeper)


def _count(
    workspace: Workspace,
    asked: NDArray[np.uint64],
    links: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    outcome: NDArray[np.object_],
    split: NDArray[np.object_],
    keeper: NDArray[np.uint64],
) -> None:
    """The counters; columns [M] belong to the documents ``asked`` uint64[M], rising."""
    doc, parent = links
    own, known = np.searchsorted(asked, doc), parent != schemas.NO_DOC
    of = np.searchsorted(asked, np.where(known, parent, asked[0] if len(asked) else 0))
    kept = outcome[own] == schemas.KEPT
    came_from = np.where(known, outcome[of], _ABSENT)
    for name in sorted(set(came_from[kept].tolist())):
        workspace.count(f"kept_of/{name}", (came_from[kept] == name).sum())
    both = kept & (came_from == schemas.KEPT)
    workspace.count("kept", kept.sum())
    workspace.count("apart", (split[own][both] != split[of][both]).sum())
    workspace.count("like_parent", (known & (keeper[own] == parent)).sum())
