"""One outcome and one split for every document: the first ledger."""

from winnow.engine.records import Json
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, PartWork, Step
from winnow.schemas import KEPT
from winnow.stages.decide import decide, label_cuts


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


STEP = Step(
    name="decide",
    run=decide_outcomes,
    stages=_stages,
    part_work=PartWork(files=2, records=1, opens=3),
    ledger="decide",
    outcomes=(KEPT,),
    balances=_balances,
)
