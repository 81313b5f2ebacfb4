"""The components of an index: in one unit where that fits a worker, else in rounds as those of a run.

A component of a run is named by a document number of that run, so a name means something in one segment of the index
only. In one unit, segments are united one after the other. For rounds, two stages make edges of the links first:
index_links (a unit some parts of the index: links sent to where their component is) and index_edges (a unit a
partition); those go through the stages of :mod:`winnow.stages.dedup.component_rounds`, and index_groups writes a table
a range of the index's documents.
"""

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.bands import group_edges
from winnow.dedup.components import connected_components
from winnow.dedup.index import first_document_of
from winnow.engine.exchange import partition_of_hash, partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.numeric.equal_runs import equal_runs
from winnow.numeric.radix import sort_pairs
from winnow.shards.order import keyed_hash
from winnow.stages.dedup.component_rounds import JOINED_SHARE, PAIR_BYTES, starts_of_ranges
from winnow.stages.tables import column_to_numpy, exchange_output, ipc_output, read_ipc, read_listing, read_partition
from winnow.storage.store import Store

PREFIX = "index_"
"""Of the names of stages."""
LINK_BYTES = 20
"""Two document numbers and a segment."""
_SPREAD = 0x6C696E6B73  # "links": where a component's links are sent


def number_of_links(entries: list[Json]) -> int:
    """Rows of all links of an index."""
    return sum(entry["links"]["rows"] for entry in entries)


def groups_stage() -> Stage:
    """The components of the index, from the links of all its segments."""
    return Stage("index_groups", 1, {}, run_groups)


def plan_groups(index: Json, entries: list[Json]) -> list[Unit]:
    """A single unit. ``index`` is the published list of the parts, ``entries`` its content."""
    return [Unit(0, {"index": index}, number_of_links(entries) * PAIR_BYTES)]


def plan_group_tables(rows: Json, ranged: list[Record], starts: list[int]) -> list[Unit]:
    """One unit a range of documents, behind rounds."""
    size = sum(record.outputs["rows"].rows for record in ranged) * PAIR_BYTES // len(starts)
    return [Unit(number, {"rows": rows, "partition": number}, size) for number in range(len(starts))]


def run_groups(unit: Unit, workspace: Workspace) -> None:
    """Name the component of every linked document of the index by its earliest one."""
    store, inputs = workspace.store, unit.inputs
    if "rows" in inputs:
        columns = read_partition(store, inputs["rows"], inputs["partition"])
        docs, component = sort_pairs(columns["doc"].astype(np.uint64), columns["other"].astype(np.uint64), False)
    else:
        segments = groupby(read_listing(store, inputs["index"]), key=lambda entry: entry["segment"])
        docs, component = connected_components(group_edges(*_links(store, list(entries))) for _, entries in segments)
    with ipc_output(workspace, "groups", schemas.COMPONENTS) as table:
        table.write({"doc": docs, "component": component})
    workspace.count("documents", len(docs))


def _links(store: Store, entries: list[Json]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Names of components, which mean something in one segment only, and a document of each."""
    tables = [read_ipc(store, entry["links"]) for entry in entries]
    names, docs = (
        np.concatenate([column_to_numpy(table, column) for table in tables]) for column in ("component", "doc")
    )
    return names, docs


def links_stage() -> Stage:
    """Links of the index, sent to the partition of their component."""
    return Stage("index_links", 1, {}, run_links)


def plan_links(index: Json, entries: list[Json], partition_mb: int) -> list[Unit]:
    """One unit for a run of parts whose links together are no more than a share of a partition."""
    most = partition_mb * 1_000_000 // JOINED_SHARE // LINK_BYTES
    partitions = partitions_for(number_of_links(entries) * LINK_BYTES, partition_mb)
    units: list[Unit] = []
    first = links = 0
    for last, entry in enumerate(entries, 1):
        links += entry["links"]["rows"]
        if last == len(entries) or links + entries[last]["links"]["rows"] > most:
            inputs = {"index": index, "first": first, "last": last, "partitions": partitions}
            units.append(Unit(len(units), inputs, links * PAIR_BYTES))
            first, links = last, 0
    return units


def run_links(unit: Unit, workspace: Workspace) -> None:
    """Send each link to where all of its component in its segment are."""
    store, inputs = workspace.store, unit.inputs
    entries = read_listing(store, inputs["index"])[inputs["first"] : inputs["last"]]
    names, docs = _links(store, entries)
    segment = np.repeat(
        np.array([entry["segment"] for entry in entries], np.uint32), [entry["links"]["rows"] for entry in entries]
    )
    spread = keyed_hash((0, _SPREAD), np.stack([segment.astype(np.uint64), names], axis=1))[:, 0]
    place = partition_of_hash(spread, inputs["partitions"])
    order = np.argsort(place, kind="stable")
    columns: dict[str, NDArray[Any]] = {"segment": segment[order], "component": names[order], "doc": docs[order]}
    exchange_output(workspace, "links", place[order], columns, inputs["partitions"])
    workspace.count("links", len(docs))


def edges_stage() -> Stage:
    """The links of each component as a star around its earliest document."""
    return Stage("index_edges", 1, {}, run_edges)


def plan_edges(links: Json, linked: list[Record], partitions: int) -> list[Unit]:
    """One unit a partition."""
    size = total(linked, "links") * LINK_BYTES // partitions
    return [Unit(number, {"links": links, "partition": number}, size) for number in range(partitions)]


def run_edges(unit: Unit, workspace: Workspace) -> None:
    """Stars of a partition, segment by segment."""
    links = read_partition(workspace.store, unit.inputs["links"], unit.inputs["partition"])
    order = np.argsort(links["segment"], kind="stable")
    links = {name: column[order] for name, column in links.items()}
    with ipc_output(workspace, "edges", schemas.EDGES) as table:
        for begin, end in equal_runs(links["segment"]):
            edges = group_edges(*(links[name][begin:end].astype(np.uint64) for name in ("component", "doc")))
            table.write({"a": np.ascontiguousarray(edges[:, 0]), "b": np.ascontiguousarray(edges[:, 1])})
            workspace.count("edges", len(edges))


def range_starts(entries: list[Json], partition_mb: int) -> list[int]:
    """First document of every range of the index: of parts side by side whose linked documents fit a partition.

    Documents of a part that are linked are kept, or were linked by the run that removed them.
    """
    parts = [(first_document_of(entry["part"]), entry["kept"] + entry["links"]["rows"]) for entry in entries]
    return starts_of_ranges(parts, partition_mb)
