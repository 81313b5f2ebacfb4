"""Keepers: inside every component, who stays, and for whom each removed document makes room.

No document is removed unless a kept one has verified similarity >= threshold to it, and what the guard asks for.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.config import DedupConfig, KeepRule
from winnow.dedup.guard import REASONS, Guard, make_guard
from winnow.dedup.guard_config import GuardConfig
from winnow.dedup.index import is_indexed, member_groups
from winnow.dedup.keepers import MemberDecisions, choose_keepers
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.stages.decide.strata import component_labels
from winnow.stages.dedup.candidate_sets import bounds_of, holders
from winnow.stages.dedup.copies import compared, decisions_of_all, read_members
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import exchange_output, read_listing, read_partition_payload
from winnow.storage.store import Store


def stage(config: DedupConfig, segment: int, synthetic: list[int]) -> Stage:
    """The stage. Bands are computed upstream; here count threshold and ranking.

    ``segment`` is this run's number in an index, 0 without one; ``synthetic`` are sources of synthetic texts.
    """
    settings: Json = {
        "threshold": config.threshold,
        "keep": list(config.keep),
        "segment": segment,
        "verify": config.verify,
        "guard": config.guard.model_dump() if config.guarded and config.guard else None,
    }
    return Stage("keepers", 4, settings | ({"synthetic": synthetic} if synthetic else {}), run)


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


class Decided(NamedTuple):
    """Members of the components of a partition, ranked, and what becomes of them."""

    columns: dict[str, NDArray[Any]]
    decisions: MemberDecisions
    ngrams: NDArray[np.int64]
    """int64[M], different runs of three words of each; 0 where they are not known."""


def run(unit: Unit, workspace: Workspace) -> None:
    """Choose keepers in one partition and send every member's decision back to its part."""
    settings = workspace.settings
    columns, decided, ngrams = decide_members(
        workspace.store, unit.inputs["candidates"], unit.inputs["partition"], settings
    )
    component, docs = columns["component"], columns["doc"]
    indexed, kept_by = is_indexed(docs), decided.keeper
    removed = kept_by >= 0
    group = member_groups(docs, component, columns["group"], settings["segment"])

    starts = np.array([e["first_doc"] for e in read_listing(workspace.store, unit.inputs["starts"])], np.uint64)
    back = np.flatnonzero(~indexed)  # earlier runs have decided about theirs
    back = back[np.argsort(docs[back])]  # parts are ranges of document numbers
    part = np.searchsorted(starts, docs[back], side="right") - 1
    decisions: dict[str, NDArray[Any]] = {
        "doc": docs[back],
        "component": component[back],
        "group": group[back],
        "keeper": np.where(removed, docs[kept_by], schemas.NO_DOC)[back],
        "similarity": decided.similarity[back],
        "exact": decided.exact[back].astype(np.uint8),
        "ngrams": ngrams[back].astype(np.uint32),
        "lost": decided.lost[back].astype(np.int32),
        "refused": np.where(decided.refused >= 0, docs[decided.refused], schemas.NO_DOC)[back],
        "reason": decided.reason[back],
    }
    if "label" in columns:
        stays = ~removed & ~indexed
        decisions["label"] = component_labels(component, columns["label"], stays)[back]
        gone = np.flatnonzero(removed & ~indexed)
        gone = gone[~indexed[kept_by[gone]]]  # an index holds no labels
        workspace.count("label_conflicts", (columns["label"][gone] != columns["label"][kept_by[gone]]).sum())
    exchange_output(workspace, "member_decisions", part, decisions, len(starts))
    workspace.count("members", len(back))
    workspace.count("removed", removed.sum())
    workspace.count("removed_for_index", is_indexed(docs[kept_by[removed]]).sum())
    if settings["guard"] is not None:
        count_losses(workspace, docs, decided)
    workspace.metadata["largest_group"] = largest_group(group, docs, ~removed & ~indexed)
    workspace.metadata["largest_clusters"] = largest_clusters(docs, columns["source"], kept_by)


def decide_members(store: Store, candidates: Json, partition: int, settings: Json) -> Decided:
    """Read one partition of the candidates and choose keepers among them. ``settings`` are the stage's."""
    columns, signature_row, signatures = read_members(store, candidates, partition)
    columns["text"] = signature_row
    items, guarded = np.empty(0, np.uint32), settings["guard"] is not None
    if settings["verify"] != "estimate":
        items = read_partition_payload(store, candidates, partition)
        _find_sets(columns, guarded=guarded)
    order = ranking(columns, settings)
    columns = {name: values[order] for name, values in columns.items()}
    component, indexed, text = columns["component"], is_indexed(columns["doc"]), columns["text"]
    guard = _guard(GuardConfig.model_validate(settings["guard"]), items, columns) if guarded else None
    chosen = compared(text, indexed)
    own = component[chosen]
    decisions = choose_keepers(
        np.arange(len(chosen)),
        np.concatenate([np.flatnonzero(np.diff(own, prepend=~own[:1])), [len(own)]]).astype(np.int64),
        signatures[text[chosen]],
        columns["shingles"][chosen].astype(np.int64),
        np.stack([columns["exact_high"][chosen], columns["exact_low"][chosen]], axis=1),
        settings["threshold"],
        indexed[chosen],
        (items, columns["bounds"][chosen]) if settings["verify"] != "estimate" else None,
        settings["verify"],
        guard.take(chosen) if guard is not None else None,
    )
    sizes = guard.sizes() if guard is not None else np.zeros(len(text), np.int64)
    return Decided(columns, decisions_of_all(chosen, decisions, text, indexed), sizes)


def _find_sets(columns: dict[str, NDArray[Any]], *, guarded: bool) -> None:
    """Add where in the payload each member's sets are; give every member what is known of its text."""
    lengths = columns.pop("length").astype(np.int64)
    holder = holders(columns["exact_high"], columns["exact_low"], lengths)
    columns["bounds"] = bounds_of(holder, lengths)
    if guarded:
        for name in ("known", "shingle_items", "script", "language", "text_characters"):
            columns[name] = columns[name][holder]
        ends = columns["bounds"][:, 1].copy()
        known = columns["known"] == 1
        columns["bounds"][known, 1] = columns["bounds"][known, 0] + columns["shingle_items"][known]
        columns["content_bounds"] = np.stack([columns["bounds"][:, 1], ends], axis=1)


def _guard(config: GuardConfig, items: NDArray[np.uint32], columns: dict[str, NDArray[Any]]) -> Guard:
    return make_guard(
        config,
        items,
        columns["content_bounds"],
        columns["known"] == 1,
        columns["script"],
        columns["language"],
        columns["text_characters"].astype(np.int64),
        columns["component"],
    )


def count_losses(workspace: Workspace, docs: NDArray[np.uint64], decided: MemberDecisions) -> None:
    """Count what near-duplicates lost, and what the guard refused."""
    near = (decided.keeper >= 0) & ~decided.exact
    measured = np.flatnonzero(near & (decided.lost >= 0))
    lost = decided.lost[measured]
    workspace.count("removed_near", near.sum())
    workspace.count("removed_unguarded", (near & (decided.lost < 0)).sum())
    workspace.count("lost_ngrams", lost.sum())
    workspace.count("removed_without_loss", (lost == 0).sum())
    for code, reason in enumerate(REASONS[1:], 1):
        workspace.count(f"guard_kept/{reason}", ((decided.keeper < 0) & (decided.reason == code)).sum())
    workspace.count("guard_other_keeper", (near & (decided.refused >= 0)).sum())
    worst = measured[np.lexsort((docs[measured], -lost))[:1]]
    workspace.metadata["worst_removal"] = [{"doc": int(docs[m]), "lost": int(decided.lost[m])} for m in worst.tolist()]


def ranking(columns: dict[str, NDArray[Any]], settings: Json) -> NDArray[np.int64]:
    """Order by component, and inside a component best first: by `dedup.keep` (``keep`` of the settings), but synthetic
    texts (of sources ``synthetic``) behind all others, so that no other document goes for one."""
    keep: list[KeepRule] = settings["keep"]
    sort_keys = {
        "source_priority": columns["source"],
        "highest_quality": columns["failed_rules"],
        "longest": np.iinfo(np.uint32).max - columns["characters"],
        "first": columns["doc"],
    }
    ranked = [np.isin(columns["source"], settings.get("synthetic", [])), *(sort_keys[rule] for rule in keep)]
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
