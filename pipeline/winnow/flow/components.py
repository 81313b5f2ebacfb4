"""Candidate components of the edges of a step: in one unit where that fits a worker, else in rounds."""

from winnow.dedup.config import DedupConfig
from winnow.engine.records import Json, Record, total
from winnow.engine.stage import Stage
from winnow.flow.context import RunContext
from winnow.stages.dedup import component_rounds as rounds
from winnow.stages.dedup.components import components_stage, fit_one_unit, plan_components

STAGE = "components"
HALVES = ("component_links", "large_star", "small_star", "component_ranges")
"""Stages of rounds, before the one that both ways end with."""


def stages_of_components(context: RunContext, prefix: str = "") -> list[str]:
    """Names of the stages; the ones of rounds where the config asks for them, or they have begun."""
    in_rounds = _how(context) == "rounds" or f"{prefix}{HALVES[0]}" in context.run.records
    return [f"{prefix}{name}" for name in (*(HALVES if in_rounds else ()), STAGE)]


def find_components(
    context: RunContext, edging: Stage, edged: list[Record], groups: Record | None = None, prefix: str = ""
) -> list[Record]:
    """Records of the tables of components, in document order.

    Args:
        context: the run.
        edging: the stage that wrote the edges.
        edged: its records.
        groups: of the components that an index already has.
        prefix: of the names of stages.
    """
    engine, compute = context.engine, context.config.compute
    edges = engine.listing(edging, edged, "edges")
    grouped = None if groups is None else groups.outputs["groups"].reference()
    documents = sum(part.rows for part in context.run.parts) + (total([groups], "documents") if groups else 0)
    how = _how(context)
    if how == "auto":
        how = "one_unit" if fit_one_unit(total(edged, "edges"), documents, compute.worker_memory_mb) else "rounds"
    if how == "one_unit":
        return engine.run(components_stage(prefix), plan_components(edges, edged, grouped))
    return _find_in_rounds(context, edges, edged, grouped, prefix)


def _how(context: RunContext) -> str:
    return (context.config.dedup or DedupConfig()).components


def _find_in_rounds(
    context: RunContext, edges: Json, edged: list[Record], groups: Json | None, prefix: str
) -> list[Record]:
    """Rounds until no edge changes."""
    engine, partition_mb = context.engine, context.sizes.partition_mb
    linking, larger, smaller = (
        make(prefix) for make in (rounds.links_stage, rounds.large_star_stage, rounds.small_star_stage)
    )
    stage, records = linking, engine.run(linking, rounds.plan_links(edges, edged, partition_mb, groups))
    changed = 1
    while changed:
        changed = 0
        for half, ways in ((larger, 1), (smaller, 2)):
            rows = engine.listing(stage, records, "rows")
            stage, records = half, engine.run(half, rounds.plan_half(rows, records, partition_mb, ways=ways))
            changed += total(records, "changed")
    starts = rounds.range_starts(context.run.parts, partition_mb, indexed=groups is not None)
    ranging, writing = rounds.ranges_stage(prefix), components_stage(prefix)
    listed = engine.publish_list(ranging, "starts", [{"first_doc": start} for start in starts])
    rows = engine.listing(stage, records, "rows")
    ranged = engine.run(ranging, rounds.plan_ranges(rows, records, listed))
    return engine.run(writing, rounds.plan_tables(engine.listing(ranging, ranged, "rows"), ranged, starts, groups))
