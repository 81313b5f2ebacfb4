"""Operators on GPUs, on what dedup kept: their signals, and the rules on these."""

from winnow.config.config import Config
from winnow.flow.context import RunContext
from winnow.flow.operators import (
    failed_most,
    measured_columns,
    most_aside_of,
    operator_lines,
    rules_on,
    verdicts_on,
)
from winnow.flow.quantiles import SignalTable, cut_quantiles, quantile_stages
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, Step
from winnow.schemas import FILTERED, KEPT
from winnow.stages.screen import screen, signals

PREFIX = "screen_"
"""Of the stages that find quantiles."""


def screen_documents(context: RunContext) -> None:
    """Run the operators, find quantiles, write the ledger anew."""
    config, engine, run = context.config, context.engine, context.run
    measured, most_aside = measured_columns(config), most_aside_of(run)
    operators = [entry.found for entry in config.measure.operators_on(gpu=True)]
    made = engine.run(signals.stage(operators, measured, most_aside), signals.plan(run.parts, run.of("decide")))
    rules = rules_on(config, gpu=True)
    cuts = cut_quantiles(engine, rules, [SignalTable.of(record) for record in made], PREFIX)
    sources = [source.name for source in config.sources]
    stage = screen.stage(config.filter.mode, rules, verdicts_on(config, gpu=True), sources)
    engine.run(stage, screen.plan(run.of("decide"), run.of("filter"), made, cuts))


def _stages(context: RunContext) -> list[str]:
    return ["screen_signals", *quantile_stages(rules_on(context.config, gpu=True), PREFIX), "screen"]


def _balances(run: RunRecords) -> list[Balance]:
    kept, left = (run.totals(stage, "outcome").get(KEPT, 0) for stage in ("decide", "screen"))
    before, after = (run.totals(stage, "outcome").get(FILTERED, 0) for stage in ("decide", "screen"))
    failed = run.total("screen", "failed_documents") if run.config.filter.mode == "filter" else 0
    seen = [
        Balance(
            f"documents that operator {entry.name} saw against those that dedup kept",
            kept,
            run.total("screen_signals", f"operator/{entry.name}/documents"),
        )
        for entry in run.config.measure.operators_on(gpu=True)
    ]
    return [
        Balance("documents screened against kept by dedup", kept, run.total("screen_signals", "documents")),
        *seen,
        Balance("documents filtered by screen against those that failed a rule", failed, after - before),
        Balance("documents that screen kept against the others", kept - failed, left),
    ]


def _manifest(run: RunRecords) -> ManifestPart:
    screened, failed = run.total("screen", "documents"), run.total("screen", "failed_documents")
    by_rule = run.totals("screen", "failed")
    return ManifestPart(top={"screen": {"documents": screened, "failed_documents": failed, "failed": by_rule}})


def _summary(run: RunRecords) -> list[str]:
    screened, failed = run.total("screen", "documents"), run.total("screen", "failed_documents")
    rules = failed_most(run, "screen")
    named = f"; rules failed most: {rules}" if rules else ""
    what = "failed a rule and are left out" if run.config.filter.mode == "filter" else "failed a rule"
    line = f"screen: {failed:,} of {screened:,} documents that dedup kept {what}{named}"
    return [*operator_lines(run, gpu=True), line]


def _enabled(config: Config) -> bool:
    return bool(config.measure.operators_on(gpu=True))


STEP = Step(
    name="screen",
    run=screen_documents,
    stages=_stages,
    enabled=_enabled,
    ledger="screen",
    outcomes=(FILTERED,),
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
)
