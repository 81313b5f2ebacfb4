"""What quality, prototypes and the budget leave out: the stages that find it, part by part and range by range."""

from winnow.engine.records import Json, Record, total
from winnow.flow.context import RunContext
from winnow.select.config import SelectConfig
from winnow.stages.dedup.keepers import part_starts
from winnow.stages.select import sample, sample_ranges

PASSED = (
    ("prototype_clusters", "members"),
    ("prototypes", "drops"),
    ("sample_draw", "rows"),
    ("sample_draw", "members"),
    ("sample_levels", "rows"),
    ("sample_ranges", "rows"),
    ("sample_ranges", "sums"),
    ("sample_places", "drops"),
)
"""What nothing reads once the sample is found: stages and their outputs."""


def stages_of_sample(config: SelectConfig) -> list[str]:
    """Names of the stages."""
    groups = {
        ("prototype_clusters", "prototypes"): config.prototypes is not None,
        ("sample_draw",): config.sample is not None,
        ("sample_levels",): sample_ranges.is_balanced(config),
        ("sample_ranges", "sample_limit", "sample_places"): config.sample is not None,
        ("sample",): True,
    }
    return [name for names, there in groups.items() if there for name in names]


def find_sample(context: RunContext, config: SelectConfig, scored: list[Record]) -> list[Record]:
    """Records of what each part loses, from those of its scores."""
    sources = [source.name for source in context.config.sources]
    sampling = sample.sample_stage(config, sources)
    starts = context.engine.publish_list(sampling, "starts", part_starts(context.run.parts))
    partitions = sample_ranges.partitions_of(total(scored, "stay"), context.sizes.partition_mb)
    prototypes, limits = None, {}
    if config.prototypes is not None:
        prototypes = _find_prototypes(context, config, scored, starts, partitions)
    if config.sample is not None:
        limits = _find_limits(context, config, scored, prototypes, starts, partitions)
    return context.engine.run(sampling, sample.plan_sample(scored, prototypes, limits))


def _find_prototypes(
    context: RunContext, config: SelectConfig, scored: list[Record], starts: Json, partitions: int
) -> Json:
    """Where those that are dropped are listed."""
    assert config.prototypes is not None
    engine, clustering = context.engine, sample.clusters_stage(config)
    clustered = engine.run(clustering, sample.plan_clusters(scored, partitions))
    members = engine.listing(clustering, clustered, "members")
    finding = sample.prototypes_stage(config.prototypes.drop_share)
    found = engine.run(finding, sample.plan_prototypes(members, clustered, partitions, starts))
    return engine.listing(finding, found, "drops")


def _find_limits(
    context: RunContext,
    config: SelectConfig,
    scored: list[Record],
    prototypes: Json | None,
    starts: Json,
    partitions: int,
) -> Json:
    """Where the budget ends, and where what does not fit is listed; nothing where everything fits."""
    engine, sources = context.engine, context.config.sources
    drawing, ranging = sample_ranges.draw_stage(config), sample_ranges.ranges_stage()
    written = engine.run(drawing, sample_ranges.plan_draw(scored, prototypes, partitions))
    if sample_ranges.is_balanced(config):
        members = engine.listing(drawing, written, "members")
        written = engine.run(sample_ranges.levels_stage(config), sample_ranges.plan_levels(members, scored, partitions))
    of_ranges = sample_ranges.starts_of(written, len(sources) if sample_ranges.by_source(config) else 1, partitions)
    begins = engine.publish_list(ranging, "starts", of_ranges)
    ranged = engine.run(ranging, sample_ranges.plan_ranges(written, begins))
    rows, sums = (engine.listing(ranging, ranged, name) for name in ("rows", "sums"))
    shares = sample.shares_of(sample.steps_of(config), [source.name for source in sources])
    limiting = sample_ranges.limit_stage(config, shares)
    (limit,) = engine.run(limiting, sample_ranges.plan_limit(rows, sums, begins, ranged))
    placing = sample_ranges.places_stage(config)
    placed = engine.run(placing, sample_ranges.plan_places(rows, ranged, limit, starts))
    if not placed:
        return {}
    return {"drops": engine.listing(placing, placed, "drops"), "water": limit.metadata["water"]}
