"""Boilerplate: the lines of a source that too many of its documents hold.

``boilerplate`` adds up one range of keys over all runs that ``lines`` wrote. ``boilerplate_set`` joins a source's
ranges into one sorted array, which ``measure`` maps into memory: 8 bytes a line, shared by all workers of a node. Each
source has a set of its own, named by its content in the inputs of the units that need it, so another limit or
source recomputes only the units whose set has really changed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.exchange import partitions_for
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.numeric.radix import sort_pairs
from winnow.stages.tables import column_to_numpy, ipc_output, read_ipc, read_listing, read_parquet
from winnow.storage.draft import Draft
from winnow.storage.store import Store

ROW_BYTES = 16  # a key and a number of documents, as they are sorted
LISTED_LINES = 1_000
"""Lines of a source at either end, the most frequent and the least, of which measure keeps an example."""


def stage(max_documents: int) -> Stage:
    """Reduce side of ``lines``; the limit is settled here, so that a new one reads no text."""
    return Stage("boilerplate", 1, {"max_documents": max_documents}, run)


def counts_by_source(counted: list[Record]) -> dict[str, list[Json]]:
    """What ``lines`` wrote of every source, in unit order."""
    outputs: dict[str, list[Json]] = {}
    for record in counted:
        for number, source in enumerate(record.metadata["sources"]):
            outputs.setdefault(source, []).append(record.outputs[f"lines-{number:03d}"].reference())
    return outputs


def plan(listings: dict[str, Json], rows: dict[str, int], partition_mb: int) -> list[Unit]:
    """One unit a source and range of keys. The number of ranges follows from the number of rows alone."""
    units: list[Unit] = []
    for source, listing in listings.items():
        size = rows[source] * ROW_BYTES
        ranges = partitions_for(size, partition_mb)
        for number in range(ranges):
            inputs = {"source": source, "lines": listing, "range": number, "ranges": ranges}
            units.append(Unit(len(units), inputs, size // ranges))
    return units


def run(unit: Unit, workspace: Workspace) -> None:
    """Add up one range of keys over all runs and keep the lines over the limit."""
    keys, documents = _read_range(workspace.store, unit.inputs)
    first_of = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
    summed = np.add.reduceat(documents, first_of) if len(keys) else documents
    over = summed > workspace.settings["max_documents"]
    with ipc_output(workspace, "boilerplate", schemas.LINE_COUNTS) as table:
        table.write({"key": keys[first_of][over], "documents": np.minimum(summed[over], 0xFFFFFFFF).astype(np.uint32)})
    workspace.metadata["source"] = unit.inputs["source"]
    workspace.count("different_lines", len(first_of))
    workspace.count(f"boilerplate/{unit.inputs['source']}", over.sum())


def _read_range(store: Store, inputs: Json) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Keys and documents of all runs in one range of keys, sorted by key."""
    number, ranges = inputs["range"], inputs["ranges"]
    low = np.uint64(-(-number * 2**64 // ranges))
    all_keys, all_documents = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    for entry in read_listing(store, inputs["lines"]):
        for run_of_keys in read_ipc(store, entry).to_batches():
            keys, documents = (run_of_keys.column(name).to_numpy() for name in ("key", "documents"))
            first, last = int(np.searchsorted(keys, low)), len(keys)
            if number + 1 < ranges:
                last = int(np.searchsorted(keys, np.uint64(-(-(number + 1) * 2**64 // ranges))))
            all_keys.append(keys[first:last])
            all_documents.append(documents[first:last].astype(np.uint64))
    return sort_pairs(np.concatenate(all_keys), np.concatenate(all_documents), False)


def set_stage() -> Stage:
    """Joins the ranges of each source."""
    return Stage("boilerplate_set", 1, {"listed": LISTED_LINES}, run_set)


def plan_set(listings: dict[str, Json], reduced: list[Record]) -> list[Unit]:
    """One unit a source."""
    size = sum(record.outputs["boilerplate"].bytes for record in reduced) // max(1, len(listings))
    return [
        Unit(number, {"source": source, "boilerplate": listing}, size)
        for number, (source, listing) in enumerate(listings.items())
    ]


def run_set(unit: Unit, workspace: Workspace) -> None:
    """Write the keys as one sorted array, and list the most and the least frequent ones."""
    store, listed = workspace.store, workspace.settings["listed"]
    listed_keys, listed_documents = np.empty(0, np.uint64), np.empty(0, np.uint32)

    def write(draft: Draft) -> int:
        nonlocal listed_keys, listed_documents
        rows = 0
        for entry in read_listing(store, unit.inputs["boilerplate"]):
            table = read_ipc(store, entry)
            keys, documents = column_to_numpy(table, "key"), column_to_numpy(table, "documents")
            draft.write(np.ascontiguousarray(keys, "<u8"))
            rows += len(keys)
            keys, documents = np.concatenate([listed_keys, keys]), np.concatenate([listed_documents, documents])
            order = np.lexsort((keys, ~documents))
            if len(order) > 2 * listed:
                order = np.concatenate([order[:listed], order[-listed:]])
            listed_keys, listed_documents = keys[order], documents[order]
        return rows

    workspace.write("keys.u64", write)
    order = np.argsort(listed_keys)
    listed_keys, listed_documents = listed_keys[order], listed_documents[order]
    # keys and numbers apart: measure is not to run again for another number
    workspace.write("listed_keys.u64", lambda draft: draft.write(np.ascontiguousarray(listed_keys, "<u8")) // 8)
    with ipc_output(workspace, "listed", schemas.LINE_COUNTS) as table:
        table.write({"key": listed_keys, "documents": listed_documents})
    workspace.count("lines", workspace.outputs["keys"].rows)
    workspace.metadata["source"] = unit.inputs["source"]


def sets_by_source(joined: list[Record]) -> dict[str, Json]:
    """What a unit of ``measure`` says of each source's boilerplate."""
    return {
        record.metadata["source"]: {name: record.outputs[name].reference() for name in ("keys", "listed_keys")}
        for record in joined
    }


class RemovedLine(NamedTuple):
    """A boilerplate line."""

    source: str
    documents: int
    """Documents of the source that hold it."""
    text: str
    """Its text, cut after 400 bytes."""


def listed_lines(
    store: Store,
    joined: list[Record],
    measured: list[Record],
    source: str | None = None,
    first: int = 10,
    rarest: bool = False,
) -> list[RemovedLine]:
    """The ``first`` most (or least) frequent boilerplate lines, of one source or of all in turn, with their texts."""
    ranked: list[tuple[int, int, str, int]] = []
    for record in joined:
        name = record.metadata["source"]
        if source in (None, name):
            listed = read_ipc(store, record.outputs["listed"].reference()).to_pydict()
            sign = 1 if rarest else -1
            ordered = sorted((sign * n, key) for key, n in zip(listed["key"], listed["documents"], strict=True))
            ranked += [(place, n, name, key) for place, (n, key) in enumerate(ordered[:first])]
    ranked = sorted(ranked)[:first]
    wanted = {(name, key) for _, _, name, key in ranked}
    texts: dict[tuple[str, int], str] = {}
    for record in measured:
        if len(texts) == len(wanted):
            break
        for row in read_parquet(store, record.outputs["examples"].reference()).to_pylist():
            line = (row["source"], row["key"])
            if line in wanted:
                texts.setdefault(line, row["text"])
    return [RemovedLine(name, abs(n), texts.get((name, key), "")) for _, n, name, key in ranked]
