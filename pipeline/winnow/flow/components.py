"""Components of a step's edges, and those of an index: in one unit where that fits a worker, else in rounds."""

from winnow.dedup.config import DedupConfig
from winnow.engine.records import Json, Record, total
from winnow.engine.stage import Stage
from winnow.flow.context import RunContext
from winnow.stages.dedup import component_rounds as rounds
from winnow.stages.dedup import index_groups, index_members
from winnow.stages.dedup.components import components_stage, fit_one_unit, plan_components

STAGE = "components"
HALVES = ("component_links", "large_star", "small_star", "component_ranges")
"""Stages of rounds, before the one that both ways end with."""


def stages_of_components(context: RunContext, prefix: str = "") -> list[str]:
    """Names of the stages; the ones of rounds where the config asks for them, or they have begun."""
    in_rounds = _how(context) == "rounds" or f"{prefix}{HALVES[0]}" in context.run.records
    return [f"{prefix}{name}" for name in (*(HALVES if in_rounds else ()), STAGE)]


def rows_of_rounds(prefix: str = "") -> list[tuple[str, str]]:
    """Outputs of the stages of rounds, (stage, output), that nothing reads once the tables of components are there."""
    return [(f"{prefix}{stage}", "rows") for stage in HALVES]


def find_components(
    context: RunContext, edging: Stage, edged: list[Record], groups: list[Record] | None = None, prefix: str = ""
) -> list[Record]:
    """Records of the tables of components, in document order.

    Args:
        context: the run.
        edging: the stage that wrote the edges.
        edged: its records.
        groups: of the components that an index already has.
        prefix: of the names of stages.
    """
    engine = context.engine
    edges = engine.listing(edging, edged, "edges")
    grouped = None if groups is None else engine.listing(index_groups.groups_stage(), groups, "groups")
    documents = sum(part.rows for part in context.run.parts) + total(groups or [], "documents")
    if _in_one_unit(context, total(edged, "edges"), documents):
        return engine.run(components_stage(prefix), plan_components(edges, edged, grouped))
    starts = rounds.range_starts(context.run.parts, context.sizes.partition_mb)
    if groups is not None:
        assert context.index is not None
        starts += index_groups.range_starts(context.index.entries, context.sizes.partition_mb)
    rows, ranged = _go_in_rounds(context, edges, edged, starts, grouped, prefix)
    return engine.run(components_stage(prefix), rounds.plan_tables(rows, ranged, starts, grouped))


def find_members(context: RunContext, connected: list[Record], grouped: list[Record]) -> tuple[Json, list[Record]]:
    """Where the index's components that the run meets are listed; records of the tables of their documents.

    Args:
        context: the run, which has an index.
        connected: records of the run's components.
        grouped: of the index's.
    """
    assert context.index is not None
    engine = context.engine
    named = [record for record in connected if "matched_components" in record.outputs]
    matched = engine.listing(components_stage(), named, "matched_components")
    starts = index_groups.range_starts(context.index.entries, context.sizes.partition_mb)[: len(grouped)]
    return matched, engine.run(index_members.stage(), index_members.plan(grouped, matched, starts))


def stages_of_groups(context: RunContext) -> list[str]:
    """Names of the stages that find the components of an index."""
    in_rounds = _how(context) == "rounds" or "index_links" in context.run.records
    halves = ["index_links", "index_edges", *(f"{index_groups.PREFIX}{name}" for name in HALVES)]
    return [*(halves if in_rounds else []), "index_groups"]


def find_groups(context: RunContext, index: Json, entries: list[Json]) -> list[Record]:
    """Records of the tables of an index's components, in the order of its documents.

    Args:
        context: the run, which has an index.
        index: the published list of its parts.
        entries: these parts.
    """
    assert context.index is not None
    engine, partition_mb = context.engine, context.sizes.partition_mb
    grouping, links = index_groups.groups_stage(), index_groups.number_of_links(entries)
    if _in_one_unit(context, links, links):
        return context.index.run(engine, grouping, index_groups.plan_groups(index, entries))
    linking, starring = index_groups.links_stage(), index_groups.edges_stage()
    units = index_groups.plan_links(index, entries, partition_mb)
    linked = context.index.run(engine, linking, units)
    listed = engine.listing(linking, linked, "links")
    edged = engine.run(starring, index_groups.plan_edges(listed, linked, units[0].inputs["partitions"]))
    starts = index_groups.range_starts(entries, partition_mb)
    edges = engine.listing(starring, edged, "edges")
    rows, ranged = _go_in_rounds(context, edges, edged, starts, None, index_groups.PREFIX)
    return engine.run(grouping, index_groups.plan_group_tables(rows, ranged, starts))


def _in_one_unit(context: RunContext, edges: int, documents: int) -> bool:
    how = _how(context)
    return how == "one_unit" or (
        how == "auto" and fit_one_unit(edges, documents, context.config.compute.worker_memory_mb)
    )


def _how(context: RunContext) -> str:
    return (context.config.dedup or DedupConfig()).components


def _go_in_rounds(
    context: RunContext, edges: Json, edged: list[Record], starts: list[int], groups: Json | None, prefix: str
) -> tuple[Json, list[Record]]:
    """Rounds until no edge changes; every document with its component, sent to ranges that begin at ``starts``."""
    engine, partition_mb = context.engine, context.sizes.partition_mb
    linking, larger, smaller = (
        make(prefix) for make in (rounds.links_stage, rounds.large_star_stage, rounds.small_star_stage)
    )
    stage, records = linking, engine.run(linking, rounds.plan_links(edges, edged, partition_mb, groups))
    changed = 1
    while changed:
        changed = 0
        for half in (larger, smaller):
            rows = engine.listing(stage, records, "rows")
            stage, records = half, engine.run(half, rounds.plan_half(rows, records, partition_mb))
            changed += total(records, "changed")
    ranging = rounds.ranges_stage(prefix)
    listed = engine.publish_list(ranging, "starts", [{"first_doc": start} for start in starts])
    rows = engine.listing(stage, records, "rows")
    ranged = engine.run(ranging, rounds.plan_ranges(rows, records, listed))
    return engine.listing(ranging, ranged, "rows"), ranged
