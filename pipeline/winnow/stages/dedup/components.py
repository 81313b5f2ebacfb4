"""Components: which documents may be duplicates of each other, joined by union-find in one unit.

Where that does not fit a worker, :mod:`winnow.stages.dedup.component_rounds` does the same in rounds.
"""

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.components import connected_components
from winnow.dedup.index import is_indexed
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.numeric.radix import sort_pairs
from winnow.stages.tables import column_to_numpy, ipc_output, read_ipc, read_listing, read_partition
from winnow.storage.store import Store

FIRST_DOC = "first_doc"
"""In records of ranges of documents: where each begins."""
TABLE_BYTES = 84
"""Of union-find, a document that occurs in an edge, while its table doubles (:mod:`winnow.dedup.components`)."""


def fit_one_unit(edges: int, documents: int, worker_memory_mb: int) -> bool:
    """Whether union-find over edges among so many documents fits a worker, whichever documents they join."""
    return min(2 * edges, documents) * TABLE_BYTES <= worker_memory_mb * 1_000_000


def components_stage(prefix: str = "") -> Stage:
    """One unit: union-find over all edges (a few bytes a document that occurs in an edge); or, behind rounds, one a
    range of documents."""
    return Stage(f"{prefix}components", 1, {}, run_components)


def plan_components(listing: Json, edged: list[Record], groups: Json | None = None) -> list[Unit]:
    """A single unit. ``groups`` lists the tables of the components that an index already has."""
    inputs = {"edges": listing} | ({} if groups is None else {"groups": groups})
    return [Unit(0, inputs, total(edged, "edges") * 16)]


def run_components(unit: Unit, workspace: Workspace) -> None:
    """Name every document's component by its smallest document, which is one of this run."""
    store, inputs, groups = workspace.store, unit.inputs, unit.inputs.get("groups")
    if "rows" in inputs:
        columns = read_partition(store, inputs["rows"], inputs["partition"])
        docs, component = sort_pairs(columns["doc"].astype(np.uint64), columns["other"].astype(np.uint64), False)
        workspace.metadata[FIRST_DOC] = inputs[FIRST_DOC]
    else:
        docs, component = connected_components(grouped_edges(store, read_listing(store, inputs["edges"]), groups))
    write_components(workspace, docs, component, indexed=groups is not None)


GroupTables = list[tuple[NDArray[np.uint64], NDArray[np.uint64]]]
"""Documents of an index, sorted, and the component of each: range by range, mapped, not held."""


def group_tables(store: Store, groups: Json | None) -> GroupTables:
    """The tables of documents and components that ``groups`` lists, in order; none without an index."""
    tables = [] if groups is None else [read_ipc(store, entry) for entry in read_listing(store, groups)]
    return [(column_to_numpy(table, "doc"), column_to_numpy(table, "component")) for table in tables if table.num_rows]


def grouped_edges(store: Store, entries: list[Json], groups: Json | None) -> Iterator[NDArray[np.uint64]]:
    """The edges of each file, uint64[E, 2], documents of an index named by their components there."""
    tables = group_tables(store, groups)
    for entry in entries:
        table = read_ipc(store, entry)
        yield np.stack([column_to_numpy(table, "a"), group_of(column_to_numpy(table, "b"), tables)], axis=1)


def write_components(
    workspace: Workspace, docs: NDArray[np.uint64], component: NDArray[np.uint64], *, indexed: bool
) -> None:
    """Write documents uint64[M], sorted, with their components; ``indexed``: those of an index apart."""
    new = int(np.searchsorted(is_indexed(docs), True))  # documents of the index have the largest numbers
    with ipc_output(workspace, "components", schemas.COMPONENTS) as table:
        table.write({"doc": docs[:new], "component": component[:new]})
    workspace.count("documents", new)
    workspace.count("components", (docs == component).sum())
    if indexed:
        with ipc_output(workspace, "matched_components", schemas.LINKS) as table:
            table.write({"component": component[new:], "doc": docs[new:]})


def table_of(components: list[Record], first_doc: int) -> Json:
    """Where the components of the part that begins with this document are: in one table, or in that of its range."""
    starts = [record.metadata.get(FIRST_DOC, 0) for record in components]
    return components[max(0, bisect_right(starts, first_doc) - 1)].outputs["components"].reference()


def group_of(docs: NDArray[np.uint64], tables: GroupTables) -> NDArray[np.uint64]:
    """``docs`` uint64[N], those in some table named by their component there."""
    if not tables:
        return docs
    named = docs.copy()
    of_table = np.searchsorted([linked[0] for linked, _ in tables], docs, side="right") - 1
    for number in np.unique(of_table[of_table >= 0]).tolist():
        here, (linked, group) = np.flatnonzero(of_table == number), tables[number]
        place = np.minimum(np.searchsorted(linked, docs[here]), len(linked) - 1)
        found = linked[place] == docs[here]
        named[here[found]] = group[place[found]]
    return named
