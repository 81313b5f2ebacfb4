"""Components: which documents may be duplicates of each other, and their signatures side by side."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import schemas
from pipeline.dedup.components import connected_components
from pipeline.engine.exchange import partition_of_hash, partitions_for, write_exchange
from pipeline.engine.records import Json, Record, Unit, total
from pipeline.engine.stage import Stage, Workspace
from pipeline.engine.store import Draft
from pipeline.shards.order import keyed_hash
from pipeline.stages.measure import Part
from pipeline.stages.tables import fixed_width, ipc_output, numbers, read_ipc, read_listing, read_parquet

_PARTITION_KEY = (0x636F6D70, 0)  # spreads components over partitions; no secret, no seed


def components_stage() -> Stage:
    """One unit: union-find over all edges (a few bytes a document that occurs in an edge)."""
    return Stage("components", 1, {}, run_components)


def plan_components(listing: Json, edged: list[Record]) -> list[Unit]:
    """A single unit."""
    return [Unit(0, {"edges": listing}, total(edged, "edges") * 16)]


def run_components(unit: Unit, workspace: Workspace) -> None:
    """Name every document's component by its smallest document."""
    listing = read_listing(workspace.store, unit.description["edges"])

    def chunks() -> Iterator[NDArray[np.uint64]]:
        for entry in listing:
            table = read_ipc(workspace.store, entry)
            yield np.stack([numbers(table, "a"), numbers(table, "b")], axis=1)

    docs, component = connected_components(chunks())
    with ipc_output(workspace, "components", schemas.COMPONENTS) as table:
        table.write({"doc": docs, "component": component})
    workspace.count("documents", len(docs))
    workspace.count("components", len(np.unique(component)))


def candidates_stage(num_perm: int) -> Stage:
    """Map side: signature and ranking attributes of every document that is in a component."""
    return Stage("candidates", 1, {"num_perm": num_perm}, run_candidates)


def plan_candidates(
    parts: list[Part], filtered: list[Record], components: list[Record], num_perm: int, partition_mb: int
) -> list[Unit]:
    """One unit a part; partitions by the size of the signatures to be gathered."""
    documents = total(components, "documents")
    partitions = partitions_for(documents * (num_perm * 4 + 64), partition_mb)
    return [
        Unit(
            part.number,
            {
                "signatures": part.signatures,
                "verdicts": record.outputs["verdicts"].reference(),
                "components": components[0].outputs["components"].reference(),
                "partitions": partitions,
            },
            part.rows * 64,
        )
        for part, record in zip(parts, filtered, strict=True)
    ]


def run_candidates(unit: Unit, workspace: Workspace) -> None:
    """Send the part's candidates to the partition of their component."""
    store, description = workspace.store, unit.description
    table = read_ipc(store, description["signatures"])
    verdicts = read_parquet(store, description["verdicts"], ["doc", "failed_rules", "characters", "source"])
    docs = numbers(table, "doc")
    components = read_ipc(store, description["components"])
    row, component = lookup(docs, numbers(components, "doc"), numbers(components, "component"))

    spread = keyed_hash(_PARTITION_KEY, component[:, None])[:, 0]
    order = np.lexsort((docs[row], spread))
    row, component = row[order], component[order]
    partition = partition_of_hash(spread[order], description["partitions"])
    columns: dict[str, NDArray[Any]] = {
        "doc": docs[row],
        "component": component,
        "source": numbers(verdicts, "source")[row],
        "failed_rules": numbers(verdicts, "failed_rules")[row],
        "characters": numbers(verdicts, "characters")[row],
        "exact_high": numbers(table, "exact_high")[row],
        "exact_low": numbers(table, "exact_low")[row],
        "shingles": numbers(table, "shingles")[row],
        "signature": fixed_width(table, "signature", workspace.settings["num_perm"])[row],
    }

    def write(draft: Draft) -> int:
        write_exchange(draft, partition, columns, description["partitions"])
        return len(row)

    workspace.write("candidates.exchange", write)
    workspace.count("candidates", len(row))


def lookup(
    docs: NDArray[np.uint64], sorted_docs: NDArray[np.uint64], values: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Rows of ``docs`` (rising) that stand in ``sorted_docs``, and their values: int64[M], uint64[M]."""
    if len(docs) == 0 or len(sorted_docs) == 0:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    first, last = np.searchsorted(sorted_docs, [docs[0], docs[-1] + np.uint64(1)])
    near = sorted_docs[first:last]
    place = np.searchsorted(docs, near)
    found = docs[np.minimum(place, len(docs) - 1)] == near
    return place[found], np.asarray(values[first:last][found])
