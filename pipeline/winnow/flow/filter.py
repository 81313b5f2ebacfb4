"""Rules on signals: which documents go on."""

from winnow.engine.records import Json
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, Step
from winnow.schemas import EMPTY, FILTERED
from winnow.stages import filter as filtering
from winnow.stages import quantiles
from winnow.text.rules.signal_rules import quantile_bounds


def filter_documents(context: RunContext) -> None:
    """Decide every rule on every document."""
    weights = {source.name: source.weight for source in context.config.sources}
    verdicts = tuple(o.found.name for o in context.config.measure.operators if o.found.kind == "filter")
    stage = filtering.stage(context.config.filter, weights, context.config.shards.seed, verdicts)
    context.engine.run(stage, filtering.plan(context.run.parts, _cut_quantiles(context)))


def _cut_quantiles(context: RunContext) -> Json | None:
    """Where the thresholds are that ``filter.rules`` asks for by quantile; None where it asks for none."""
    rules = context.config.filter.rules
    if not quantile_bounds(rules) or not context.run.parts:
        return None
    engine, parts = context.engine, context.run.parts
    counting = quantiles.counts_stage(rules)
    counted = engine.run(counting, quantiles.plan_counts(parts))
    counts = engine.listing(counting, counted, "counts")
    (bins,) = engine.run(quantiles.bins_stage(rules), quantiles.plan_bins(counts, counted))
    looking = quantiles.values_stage(rules)
    looked = engine.run(looking, quantiles.plan_values(parts, bins))
    lower = engine.listing(looking, looked, "counts")
    (cut,) = engine.run(quantiles.cuts_stage(), quantiles.plan_cuts(lower, looked, bins))
    return cut.outputs["cuts"].reference()


def _stages(context: RunContext) -> list[str]:
    by_quantile = bool(quantile_bounds(context.config.filter.rules))
    cutting = ("quantile_counts", "quantile_bins", "quantile_values", "quantile_cuts")
    return [*(cutting if by_quantile else ()), "filter"]


def _balances(run: RunRecords) -> list[Balance]:
    readable = sum(run.totals("measure", "readable").values())
    return [Balance("documents filtered against readable", readable, run.total("filter", "documents"))]


def _summary(run: RunRecords) -> list[str]:
    rules = run.totals("filter", "failed")
    if not rules:
        return []
    top = sorted(rules.items(), key=lambda item: (-item[1], item[0]))[:6]
    return ["rules failed most, in documents: " + ", ".join(f"{name} {number:,}" for name, number in top)]


STEP = Step(
    name="filter",
    run=filter_documents,
    stages=_stages,
    outcomes=(FILTERED, EMPTY),
    balances=_balances,
    summary=_summary,
)
