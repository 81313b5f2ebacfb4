"""Components in rounds: the stages that take the place of the one unit of `components` where its table fits no worker.

Edges go to the partitions of both their documents (by a hash), where large-star and small-star join them to ever
smaller ones; once no edge changes, every document's component is known, and goes to the range of documents that its
part lies in. A unit holds a partition, and no unit knows all documents.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.components import connected_components
from winnow.dedup.stars import MOST_PARTITIONS, distinct_pairs, large_star, partition_order, small_star
from winnow.engine.exchange import partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.stages.dedup.components import FIRST_DOC, grouped_edges
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import exchange_output, read_listing, read_partition

PAIR_BYTES = 16
"""Two document numbers."""
FIRST_INDEXED = 1 << 63
"""Documents of an index have this and larger numbers (:mod:`winnow.dedup.index`)."""
JOINED_SHARE = 4
"""A unit that joins edges before the first round holds this part of a partition of them: a table of what occurs in
them takes several times as much."""


def links_stage(prefix: str = "") -> Stage:
    """What is joined within a few files of edges, sent to the partitions of both documents of each edge."""
    return Stage(f"{prefix}component_links", 1, {}, run_links)


def plan_links(listing: Json, edged: list[Record], partition_mb: int, groups: Json | None = None) -> list[Unit]:
    """One unit for a run of edge files that together are no more than a share of a partition."""
    most = partition_mb * 1_000_000 // JOINED_SHARE // PAIR_BYTES
    partitions = _partitions(2 * total(edged, "edges"), partition_mb)
    units: list[Unit] = []
    first = edges = 0
    for last, record in enumerate(edged, 1):
        edges += total([record], "edges")
        if last == len(edged) or edges + total([edged[last]], "edges") > most:
            inputs = {"edges": listing, "first": first, "last": last, "partitions": partitions}
            units.append(Unit(len(units), inputs | ({} if groups is None else {"groups": groups}), edges * PAIR_BYTES))
            first, edges = last, 0
    return units


def run_links(unit: Unit, workspace: Workspace) -> None:
    """Union-find over a few files of edges: of what they join, an edge for each document remains."""
    inputs = unit.inputs
    entries = read_listing(workspace.store, inputs["edges"])[inputs["first"] : inputs["last"]]
    docs, component = connected_components(grouped_edges(workspace.store, entries, inputs.get("groups")))
    inner = docs != component
    _write_both_ways(workspace, docs[inner], component[inner], inputs["partitions"])


def large_star_stage(prefix: str = "") -> Stage:
    """The first half of a round."""
    return Stage(f"{prefix}large_star", 1, {}, run_large_star)


def small_star_stage(prefix: str = "") -> Stage:
    """The second half of a round."""
    return Stage(f"{prefix}small_star", 1, {}, run_small_star)


def plan_half(rows: Json, before: list[Record], partition_mb: int) -> list[Unit]:
    """One unit a partition of what the stage before wrote, whose edges go to partitions of half a partition's size:
    small-star, which reads each edge once, writes it for both its documents."""
    count, edges = partitions_of(before), total(before, "edges")
    partitions = _partitions(2 * edges, partition_mb)
    size = total(before, "rows") * PAIR_BYTES // count
    return [
        Unit(number, {"rows": rows, "partition": number, "partitions": partitions}, size) for number in range(count)
    ]


def run_large_star(unit: Unit, workspace: Workspace) -> None:
    """Join the larger neighbours of every document of a partition to its smallest one."""
    docs, others = _read_pairs(unit, workspace)
    star = large_star(docs, others)
    _write_pairs(workspace, star.larger, star.smaller, unit.inputs["partitions"])
    workspace.count("edges", len(star.larger))
    workspace.count("changed", star.changed)


def run_small_star(unit: Unit, workspace: Workspace) -> None:
    """Join the smaller neighbours of every document of a partition to their smallest one."""
    docs, others = _read_pairs(unit, workspace)
    star = small_star(docs, others)
    _write_both_ways(workspace, star.larger, star.smaller, unit.inputs["partitions"])
    workspace.count("changed", star.changed)


def ranges_stage(prefix: str = "") -> Stage:
    """Every document with its component, sent to the range of documents that it lies in."""
    return Stage(f"{prefix}component_ranges", 1, {}, run_ranges)


def range_starts(parts: list[Part], partition_mb: int) -> list[int]:
    """First document of every range: of parts side by side whose documents all fit a partition."""
    return starts_of_ranges([(part.first_doc, part.rows) for part in parts], partition_mb)


def starts_of_ranges(parts: list[tuple[int, int]], partition_mb: int) -> list[int]:
    """First document of every range, of parts with (first document, documents at most)."""
    starts: list[int] = []
    room = 0
    for first_doc, rows in parts:
        if rows > room or not starts:
            starts.append(first_doc)
            room = partition_mb * 1_000_000 // PAIR_BYTES
        room -= rows
    return starts


def plan_ranges(rows: Json, before: list[Record], starts: Json) -> list[Unit]:
    """One unit a partition of what the last round left."""
    count = partitions_of(before)
    size = total(before, "rows") * PAIR_BYTES // count
    return [Unit(number, {"rows": rows, "partition": number, "starts": starts}, size) for number in range(count)]


def run_ranges(unit: Unit, workspace: Workspace) -> None:
    """All edges are stars: the smaller end of each names the component of both."""
    starts = np.array([entry["first_doc"] for entry in read_listing(workspace.store, unit.inputs["starts"])], np.uint64)
    docs, others = _read_pairs(unit, workspace)
    docs, component = distinct_pairs(docs, np.minimum(docs, others))
    place = np.searchsorted(starts, docs, side="right") - 1
    exchange_output(workspace, "rows", place, {"doc": docs, "other": component}, len(starts))


def plan_tables(rows: Json, before: list[Record], starts: list[int], groups: Json | None = None) -> list[Unit]:
    """Units of the stage `components`, one a range; with ``groups`` the last ones are of documents of an index."""
    size = sum(record.outputs["rows"].rows for record in before) * PAIR_BYTES // len(starts)
    return [
        Unit(
            number,
            {"rows": rows, "partition": number, FIRST_DOC: start}
            | ({"groups": groups} if groups is not None and start >= FIRST_INDEXED else {}),
            size,
        )
        for number, start in enumerate(starts)
    ]


def partitions_of(records: list[Record]) -> int:
    """Partitions of the exchange that a stage of rounds wrote."""
    return int(records[0].metadata["partitions"])


def _partitions(rows: int, partition_mb: int) -> int:
    return min(MOST_PARTITIONS, partitions_for(rows * PAIR_BYTES, partition_mb))


def _read_pairs(unit: Unit, workspace: Workspace) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    columns = read_partition(workspace.store, unit.inputs["rows"], unit.inputs["partition"])
    return columns["doc"].astype(np.uint64, copy=False), columns["other"].astype(np.uint64, copy=False)


def _write_both_ways(
    workspace: Workspace, larger: NDArray[np.uint64], smaller: NDArray[np.uint64], partitions: int
) -> None:
    workspace.count("edges", len(larger))
    _write_pairs(workspace, np.concatenate([larger, smaller]), np.concatenate([smaller, larger]), partitions)


def _write_pairs(workspace: Workspace, docs: NDArray[np.uint64], others: NDArray[np.uint64], partitions: int) -> None:
    """Send pairs to the partitions of their first document."""
    order, place = partition_order(docs, partitions)
    exchange_output(workspace, "rows", place, {"doc": docs[order], "other": others[order]}, partitions)
    workspace.count("rows", len(docs))
    workspace.metadata["partitions"] = partitions
