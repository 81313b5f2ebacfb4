"""One outcome and one split for every document: the first ledger."""

import math

import numpy as np

from winnow.engine.records import Json
from winnow.flow.alarm import Alarm
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, PartWork, Step
from winnow.schemas import KEPT
from winnow.shards.order import draw_splits
from winnow.stages.decide import decide, label_cuts

LEAST_EXPECTED = 3
"""Documents that a split without any was to have, from which its emptiness is no chance (5 % of draws)."""


def decide_outcomes(context: RunContext) -> None:
    """Where splits end in each label, if they are drawn label by label; then the decisions."""
    config, run = context.config, context.run
    weights = {source.name: source.weight for source in config.sources}
    segment = context.index.pin.segment if context.index else 0
    found = context.duplicates[0] if context.duplicates else None
    stage = decide.stage(config.shards.seed, config.shards.splits, weights, segment)
    strata = _cut_strata(context, found, segment)
    context.engine.run(stage, decide.plan(run.parts, run.of("filter"), found, strata))


def _cut_strata(context: RunContext, found: Json | None, segment: int) -> tuple[Json, Json] | None:
    """The labels, and where splits end in each; None where splits are not stratified.

    Args:
        context: filtered and deduplicated.
        found: where decisions on members of components are listed; None where dedup is off.
        segment: this run's number in an index, 0 without one.
    """
    labels = context.run.labels
    if labels is None or not context.config.stratified:
        return None
    engine, run, config = context.engine, context.run, context.config.shards
    counting = label_cuts.counts_stage(config.seed, [source.weight for source in context.config.sources], segment)
    counted = engine.run(counting, label_cuts.plan_counts(run.parts, run.of("filter"), found, labels.table))
    entries, sums = (engine.listing(counting, counted, name) for name in ("entries", "sums"))
    cutting = label_cuts.cuts_stage(list(config.splits.values()))
    (cut,) = engine.run(cutting, label_cuts.plan_cuts(entries, sums, counted, len(labels.names)))
    return labels.table, cut.outputs["cuts"].reference()


def _stages(context: RunContext) -> list[str]:
    return [*(("label_counts", "label_cuts") if context.config.stratified else ()), "decide"]


def _balances(run: RunRecords) -> list[Balance]:
    """Every readable document has one outcome in the last ledger, source by source, too."""
    readable = run.totals("measure", "readable")
    outcomes = sum(run.totals(run.ledger_stage, "outcome").values())
    balances = [Balance("outcomes against readable documents", sum(readable.values()), outcomes)]
    for source in run.config.sources:
        decided = sum(run.totals(run.ledger_stage, f"source/{source.name}").values())
        balances.append(Balance(f"outcomes of source {source.name}", readable.get(source.name, 0), decided))
    return balances


def _far(found: int, kept: int, share: float) -> bool:
    """Whether a split has another share than chance gives it: off by four standard errors and a quarter, or nothing
    where three documents and more were to be expected."""
    expected = kept * share
    if found == 0:
        return expected >= LEAST_EXPECTED
    return abs(found - expected) > max(4 * math.sqrt(expected * (1 - share)), expected / 4)


def _alarms(run: RunRecords) -> list[Alarm]:
    """Splits that are far from their share, with the component that may hold what they lack or have too much."""
    config, found = run.config.shards, run.totals("decide", "split")
    kept = sum(found.values())
    alarms = []
    for name, share in config.splits.items():
        if kept and _far(found.get(name, 0), kept, share):
            what = (
                f"split {name} has {found.get(name, 0):,} of {kept:,} kept documents "
                f"({found.get(name, 0) / kept:.2%}), its share is {share:.2%}"
            )
            alarms.append(Alarm("split", name, what, _largest_component(run, kept)))
    return alarms


def _largest_component(run: RunRecords, kept: int) -> str:
    groups = [record.metadata["largest_group"] for record in run.of("keepers") if record.metadata["largest_group"]]
    if not groups:
        return "draw with another shards.seed, or give more text"
    largest = max(groups, key=lambda group: (group["documents"], -group["group"]))
    config, where = run.config.shards, ""
    if not run.config.stratified:
        drawn = draw_splits(np.array([largest["group"]], np.uint64), np.array([*config.splits.values()]), config.seed)
        where = f", all in split {config.split_names[drawn[0]]}"
    return (
        f"splits are drawn by component of near-duplicate candidates, and the largest, that of document "
        f"{largest['doc']}, holds {largest['documents']:,} ({largest['documents'] / kept:.1%} of all){where}; if only "
        "a template or a system prompt makes its documents alike, leave that out (dedup.lines; compare_system: false)"
    )


STEP = Step(
    name="decide",
    run=decide_outcomes,
    stages=_stages,
    part_work=PartWork(files=2, records=1, opens=3),
    ledger="decide",
    outcomes=(KEPT,),
    balances=_balances,
    alarms=_alarms,
)
