"""Semantic duplicates: links inside clusters, components of linked documents, and who stays in each.

The same road as near-duplicates: links only say who is compared, components bring them together, and a document is
removed only for a kept one over the threshold.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.components import connected_components
from winnow.engine.exchange import partition_of_hash, partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.numeric.equal_runs import equal_runs
from winnow.select.semantic import choose_semantic_keepers, links_in_cluster
from winnow.select.vectors import STORED
from winnow.stages.dedup.candidate_sets import lookup
from winnow.stages.dedup.candidates import spread_components
from winnow.stages.dedup.components import table_of
from winnow.stages.dedup.keepers import ranking
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    ipc_output,
    list_column_to_2d,
    read_ipc,
    read_listing,
    read_parquet,
    read_partition,
)


def links_stage(threshold: float) -> Stage:
    """Reduce side of the clusters: which documents are linked."""
    return Stage("semantic_links", 1, {"threshold": threshold}, run_links)


def plan_links(members: Json, assigned: list[Record], partitions: int, dimensions: int) -> list[Unit]:
    """One unit a range of clusters."""
    rows = total(assigned, "documents") + total(assigned, "visits")
    size = rows * dimensions * STORED.itemsize // partitions
    return [Unit(number, {"members": members, "partition": number}, size) for number in range(partitions)]


def run_links(unit: Unit, workspace: Workspace) -> None:
    """Compare cluster by cluster; write a star of edges for each group that is linked within this range."""
    threshold = workspace.settings["threshold"]
    members = read_partition(workspace.store, unit.inputs["members"], unit.inputs["partition"])
    order = np.lexsort((members["doc"], members["visitor"], members["cluster"]))
    cluster = members["cluster"][order]
    largest = 0

    def edges() -> Iterator[NDArray[np.uint64]]:
        nonlocal largest
        for begin, end in equal_runs(cluster):
            rows = order[begin:end]
            residents = int((members["visitor"][rows] == 0).sum())
            largest = max(largest, len(rows))
            docs, vectors = members["doc"][rows], members["vector"][rows]
            for first, second in links_in_cluster(vectors[:residents], vectors[residents:], threshold):
                workspace.count("links", len(first))
                yield np.stack([docs[first], docs[second]], axis=1)

    with workspace.timed("compare"):
        docs, component = connected_components(edges())
    linked = docs != component
    with ipc_output(workspace, "edges", schemas.EDGES) as table:
        table.write({"a": component[linked], "b": docs[linked]})
    workspace.count("edges", linked.sum())
    workspace.metadata["largest_cluster"] = largest


def candidates_stage(dimensions: int) -> Stage:
    """Map side: vector and ranking attributes of every document that is in a component."""
    return Stage("semantic_candidates", 1, {"dimensions": dimensions}, run_candidates)


def plan_candidates(
    parts: list[Part],
    embedded: list[Record],
    filtered: list[Record],
    components: list[Record],
    dimensions: int,
    partition_mb: int,
) -> list[Unit]:
    """One unit a part."""
    size = total(components, "documents") * (dimensions * STORED.itemsize + 32)
    partitions = partitions_for(size, partition_mb)
    return [
        Unit(
            vectors.number,
            {
                "embeddings": vectors.outputs["embeddings"].reference(),
                "verdicts": verdicts.outputs["verdicts"].reference(),
                "components": table_of(components, part.first_doc),
                "partitions": partitions,
            },
            vectors.outputs["embeddings"].rows * 64,
        )
        for part, vectors, verdicts in zip(parts, embedded, filtered, strict=True)
    ]


def run_candidates(unit: Unit, workspace: Workspace) -> None:
    """Send the part's linked documents to the partition of their component."""
    store, inputs = workspace.store, unit.inputs
    table = read_ipc(store, inputs["embeddings"])
    components = read_ipc(store, inputs["components"])
    docs = column_to_numpy(table, "doc")
    row, component = lookup(docs, column_to_numpy(components, "doc"), column_to_numpy(components, "component"))
    order, spread = spread_components(component, docs[row])
    row, component = row[order], component[order]
    verdicts = read_parquet(store, inputs["verdicts"], ["doc", "failed_rules", "characters", "source"])
    ranked = np.searchsorted(column_to_numpy(verdicts, "doc"), docs[row])
    columns: dict[str, NDArray[Any]] = {
        "doc": docs[row],
        "component": component,
        **{name: column_to_numpy(verdicts, name)[ranked] for name in ("source", "failed_rules", "characters")},
        "vector": list_column_to_2d(table, "vector", workspace.settings["dimensions"])[row],
    }
    partition = partition_of_hash(spread, inputs["partitions"])
    exchange_output(workspace, "candidates", partition, columns, inputs["partitions"])
    workspace.count("candidates", len(row))


def keepers_stage(threshold: float, keep: tuple[str, ...], synthetic: list[int]) -> Stage:
    """Who stays in each component; ranked as near-duplicates are."""
    more = {"synthetic": synthetic} if synthetic else {}
    return Stage("semantic_keepers", 1, {"threshold": threshold, "keep": list(keep), **more}, run_keepers)


def plan_keepers(candidates: Json, records: list[Record], partitions: int, starts: Json, dimensions: int) -> list[Unit]:
    """One unit a partition of components. ``starts`` lists the first document of every part."""
    size = total(records, "candidates") * (dimensions * STORED.itemsize + 32) // partitions
    return [
        Unit(number, {"candidates": candidates, "partition": number, "starts": starts}, size)
        for number in range(partitions)
    ]


def run_keepers(unit: Unit, workspace: Workspace) -> None:
    """Choose keepers in one partition and send every removed document's decision back to its part."""
    settings, inputs = workspace.settings, unit.inputs
    columns = read_partition(workspace.store, inputs["candidates"], inputs["partition"])
    order = ranking(columns, settings)
    docs = columns["doc"][order]
    kept_by, cosine = choose_semantic_keepers(
        columns["vector"][order], columns["component"][order], settings["threshold"]
    )
    removed = np.flatnonzero(kept_by >= 0)
    removed = removed[np.argsort(docs[removed])]
    starts = np.array([e["first_doc"] for e in read_listing(workspace.store, inputs["starts"])], np.uint64)
    part = np.searchsorted(starts, docs[removed], side="right") - 1
    decisions = {"doc": docs[removed], "keeper": docs[kept_by[removed]], "similarity": cosine[removed]}
    exchange_output(workspace, "member_decisions", part, decisions, len(starts))
    workspace.count("compared", len(docs))
    workspace.count("removed", len(removed))
