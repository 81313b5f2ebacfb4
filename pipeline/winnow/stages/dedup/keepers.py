"""Keepers: inside every component, who stays, and for whom each removed document makes room.

No document is removed unless a kept one has verified similarity >= threshold to it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.config import DedupConfig, KeepRule
from winnow.dedup.index import is_indexed, member_groups
from winnow.dedup.keepers import choose_keepers
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.stages.decide.strata import component_labels
from winnow.stages.dedup.candidate_sets import bounds_of
from winnow.stages.dedup.copies import compared, decisions_of_all, read_members
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import exchange_output, read_listing, read_partition_payload


def stage(config: DedupConfig, segment: int) -> Stage:
    """The stage. Bands are computed upstream; here count threshold and ranking.

    ``segment`` is this run's number in an index, 0 without one.
    """
    settings: Json = {
        "threshold": config.threshold,
        "keep": list(config.keep),
        "segment": segment,
        "verify": config.verify,
    }
    return Stage("keepers", 3, settings, run)


def plan(candidates: Json, records: list[Record], partitions: int, starts: Json, num_perm: int) -> list[Unit]:
    """One unit a partition of components. ``starts`` lists the first document of every part."""
    size = (total(records, "candidates") * (num_perm * 4 + 64) + total(records, "payload_bytes")) // partitions
    return [
        Unit(number, {"candidates": candidates, "partition": number, "starts": starts}, size)
        for number in range(partitions)
    ]


def part_starts(parts: list[Part]) -> list[Json]:
    """First document of each part, for sending decisions back to where the documents are."""
    return [{"first_doc": part.first_doc} for part in parts]


def run(unit: Unit, workspace: Workspace) -> None:
    """Choose keepers in one partition and send every member's decision back to its part."""
    settings, partition = workspace.settings, unit.inputs["partition"]
    columns, signature_row, signatures = read_members(workspace.store, unit.inputs["candidates"], partition)
    columns["signature_row"] = signature_row
    shingles = None
    if settings["verify"] != "estimate":
        shingles = read_partition_payload(workspace.store, unit.inputs["candidates"], partition)
        lengths = columns.pop("length").astype(np.int64)
        columns["bounds"] = bounds_of(columns["exact_high"], columns["exact_low"], lengths)
    order = ranking(columns, settings["keep"])
    columns = {name: values[order] for name, values in columns.items()}
    component, indexed = columns["component"], is_indexed(columns["doc"])
    text = columns["signature_row"]
    chosen = compared(text, indexed)
    own = component[chosen]
    decisions_of_chosen = choose_keepers(
        np.arange(len(chosen)),
        np.concatenate([np.flatnonzero(np.diff(own, prepend=~own[:1])), [len(own)]]).astype(np.int64),
        signatures[text[chosen]],
        columns["shingles"][chosen].astype(np.int64),
        np.stack([columns["exact_high"][chosen], columns["exact_low"][chosen]], axis=1),
        settings["threshold"],
        indexed[chosen],
        None if shingles is None else (shingles, columns["bounds"][chosen]),
        settings["verify"],
    )
    kept_by, similarity, exact = decisions_of_all(chosen, decisions_of_chosen, text, indexed)
    removed = kept_by >= 0
    keeper = np.full(len(component), schemas.NO_DOC)
    keeper[removed] = columns["doc"][kept_by[removed]]

    group = member_groups(columns["doc"], component, columns["group"], settings["segment"])

    starts = np.array([e["first_doc"] for e in read_listing(workspace.store, unit.inputs["starts"])], np.uint64)
    back = np.flatnonzero(~indexed)  # earlier runs have decided about theirs
    back = back[np.argsort(columns["doc"][back])]  # parts are ranges of document numbers
    part = np.searchsorted(starts, columns["doc"][back], side="right") - 1
    decisions: dict[str, NDArray[Any]] = {
        "doc": columns["doc"][back],
        "component": component[back],
        "group": group[back],
        "keeper": keeper[back],
        "similarity": similarity[back],
        "exact": exact[back].astype(np.uint8),
    }
    if "label" in columns:
        stays = (kept_by < 0) & ~indexed
        decisions["label"] = component_labels(component, columns["label"], stays)[back]
        gone = np.flatnonzero(removed & ~indexed)
        gone = gone[~indexed[kept_by[gone]]]  # an index holds no labels
        workspace.count("label_conflicts", (columns["label"][gone] != columns["label"][kept_by[gone]]).sum())
    exchange_output(workspace, "member_decisions", part, decisions, len(starts))
    workspace.count("members", len(back))
    workspace.count("removed", removed.sum())
    workspace.count("removed_for_index", is_indexed(columns["doc"][kept_by[removed]]).sum())
    workspace.metadata["largest_group"] = largest_group(group, columns["doc"], ~removed & ~indexed)
    workspace.metadata["largest_clusters"] = largest_clusters(columns["doc"], columns["source"], kept_by)


def ranking(columns: dict[str, NDArray[Any]], keep: list[KeepRule]) -> NDArray[np.int64]:
    """Order by component, and inside a component best first."""
    sort_keys = {
        "source_priority": columns["source"],
        "highest_quality": columns["failed_rules"],
        "longest": np.iinfo(np.uint32).max - columns["characters"],
        "first": columns["doc"],
    }
    ranked = [sort_keys[rule] for rule in keep]
    return np.lexsort((columns["doc"], *reversed(ranked), columns["component"]))


def largest_group(group: NDArray[np.uint64], docs: NDArray[np.uint64], stays: NDArray[np.bool_]) -> Json | None:
    """Of what splits are drawn by, the group with most documents that stay: ``{group, documents, doc}``, ``doc`` the
    first of them; None where none stays.

    Args:
        group: uint64[M] of each member.
        docs: uint64[M] members.
        stays: bool[M] kept ones of this run.
    """
    names, documents = np.unique(group[stays], return_counts=True)
    if not len(names):
        return None
    most = int(documents.argmax())
    first = docs[stays & (group == names[most])].min()
    return {"group": int(names[most]), "documents": int(documents[most]), "doc": int(first)}


def largest_clusters(
    docs: NDArray[np.uint64], source: NDArray[np.integer[Any]], kept_by: NDArray[np.int64]
) -> list[Json]:
    """For each source that lost a document, the cluster with most documents of it: ``{source, keeper, documents}``.

    Args:
        docs: uint64[M] members.
        source: int[M] of each member.
        kept_by: int64[M] member kept in its stead, or -1. A cluster is a kept member and all removed for it; a kept
            member of an earlier run is not counted, since this run's sources do not hold it.
    """
    removed = np.flatnonzero(kept_by >= 0)
    keepers = np.unique(kept_by[removed])
    keepers = keepers[~is_indexed(docs[keepers])]
    clusters = np.concatenate([kept_by[removed], keepers])
    sources = np.concatenate([source[removed], source[keepers]]).astype(np.int64)
    pairs, documents = np.unique(np.stack([sources, clusters], axis=1), axis=0, return_counts=True)
    names = docs[pairs[:, 1]]
    order = np.lexsort((names, -documents, pairs[:, 0]))
    _, first = np.unique(pairs[order, 0], return_index=True)
    largest = order[first]
    return [
        {"source": int(pairs[n, 0]), "keeper": int(names[n]), "documents": int(documents[n])} for n in largest.tolist()
    ]
