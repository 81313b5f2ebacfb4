"""Documents of an index in components that a run meets, a range of the index a unit.

`components` names what a run's documents are linked with by the index's components, range by range of those names. The
documents of one such component lie anywhere in the index: each table of index_groups is looked through for them, and so
nobody holds all that a run meets.
"""

from bisect import bisect_left, bisect_right

import numpy as np

from winnow import schemas
from winnow.dedup.index import is_indexed
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.numeric.radix import sort_pairs
from winnow.stages.dedup.components import FIRST_DOC, group_of, group_tables
from winnow.stages.tables import column_to_numpy, ipc_output, read_ipc

_ROWS = 1 << 20
"""Rows of a table that are looked through at a time."""
_END = (1 << 64) - 1


def stage() -> Stage:
    """The documents of the index's components that a run meets."""
    return Stage("index_members", 1, {}, run)


def plan(grouped: list[Record], matched: Json, starts: list[int]) -> list[Unit]:
    """One unit a table of the index's components. ``starts``: first document of the range of each, rising."""
    return [
        Unit(
            number,
            {"groups": record.outputs["groups"].reference(), "matched": matched, FIRST_DOC: start, "end_doc": end},
            record.outputs["groups"].rows * 16,
        )
        for number, (record, start, end) in enumerate(zip(grouped, starts, [*starts[1:], _END], strict=True))
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Members of matched components; and matched documents that are in no component of the index."""
    store, inputs = workspace.store, unit.inputs
    matched, table = group_tables(store, inputs["matched"]), read_ipc(store, inputs["groups"])
    linked, group = column_to_numpy(table, "doc"), column_to_numpy(table, "component")
    docs, components = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    for begin in range(0, len(linked) if matched else 0, _ROWS):
        component = group_of(group[begin : begin + _ROWS], matched)
        met = np.flatnonzero(~is_indexed(component))  # the others keep their names, which are documents of the index
        docs.append(linked[begin + met])
        components.append(component[met])
    for names, component in matched:
        first, end = np.searchsorted(names, np.array([inputs[FIRST_DOC], inputs["end_doc"]], np.uint64))
        place = np.searchsorted(linked, names[first:end])
        alone = np.append(linked, np.uint64(_END))[place] != names[first:end]
        docs.append(names[first:end][alone])
        components.append(component[first:end][alone])
    found, of_found = sort_pairs(np.concatenate(docs), np.concatenate(components), False)
    with ipc_output(workspace, "indexed", schemas.COMPONENTS) as out:
        out.write({"doc": found, "component": of_found})
    workspace.count("documents", len(found))
    workspace.metadata[FIRST_DOC] = inputs[FIRST_DOC]


def tables_of(members: list[Record], first_doc: int, end_doc: int) -> list[Json]:
    """Where members among documents [first_doc, end_doc) of the index are, in order."""
    starts = [record.metadata[FIRST_DOC] for record in members]
    there = members[max(0, bisect_right(starts, first_doc) - 1) : bisect_left(starts, end_doc)]
    return [record.outputs["indexed"].reference() for record in there]
