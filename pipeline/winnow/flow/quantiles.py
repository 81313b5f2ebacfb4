"""Thresholds by quantile on a walk over the stages."""

from typing import TYPE_CHECKING

from winnow.engine.records import Json
from winnow.stages import quantiles
from winnow.text.rules.signal_rules import quantile_bounds

if TYPE_CHECKING:
    from winnow.flow.context import RunContext


def cut_quantiles(context: "RunContext") -> Json | None:
    """Where the thresholds are that ``filter.rules`` asks for by quantile; None where it asks for none.

    Args:
        context: measured.
    """
    rules = context.config.filter.rules
    if not quantile_bounds(rules) or not context.parts:
        return None
    engine, parts = context.engine, context.parts
    counting = quantiles.counts_stage(rules)
    counted = engine.run(counting, quantiles.plan_counts(parts))
    counts = engine.listing(counting, counted, "counts")
    (bins,) = engine.run(quantiles.bins_stage(rules), quantiles.plan_bins(counts, counted))
    looking = quantiles.values_stage(rules)
    looked = engine.run(looking, quantiles.plan_values(parts, bins))
    lower = engine.listing(looking, looked, "counts")
    (cut,) = engine.run(quantiles.cuts_stage(), quantiles.plan_cuts(lower, looked, bins))
    return cut.outputs["cuts"].reference()
