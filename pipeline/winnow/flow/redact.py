"""Operators that find spans, on what is kept: what is replaced where texts leave, and what is left out for it."""

from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.flow.context import RunContext
from winnow.flow.operators import failed_most, measured_columns, most_aside_of, rules_on_spans
from winnow.flow.quantiles import SignalTable, cut_quantiles, quantile_stages
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.operators.operator import TOTAL
from winnow.schemas import FILTERED, KEPT
from winnow.stages.redact import spans
from winnow.stages.screen import screen
from winnow.text.rules.signal_rules import SignalRule

PREFIX = "redact_"
"""Of the stages that find quantiles."""
NOTHING_LEFT = "nothing_left"
"""The rule that leaves out documents of which nothing but blanks is left, by all edits together."""


def limits_of(config: Config) -> tuple[SignalRule, ...]:
    """What operators that find spans leave out, as rules: documents with more spans than they may have, or no text."""
    limits = [
        SignalRule(name=entry.name, signal=f"{entry.name}.{TOTAL}", max=entry.spans.limit)
        for entry in config.measure.span_operators
        if entry.spans.limit is not None
    ]
    return (*limits, SignalRule(name=NOTHING_LEFT, signal=spans.LEFT, min=1))


def redact_documents(context: RunContext) -> None:
    """Run the operators, find quantiles, write the ledger anew."""
    config, engine, run = context.config, context.engine, context.run
    measured, most_aside = measured_columns(config), most_aside_of(run)
    operators = [entry.found for entry in config.measure.span_operators]
    before = run.decided_before("redact")
    made = engine.run(
        spans.stage(operators, measured, most_aside), spans.plan(run.parts, before, run.edits_before("redact_spans"))
    )
    rules = rules_on_spans(config)
    cuts = cut_quantiles(engine, rules, [SignalTable.of(record) for record in made], PREFIX)
    sources, limits = [source.name for source in config.sources], limits_of(config)
    always = tuple(str(rule.name) for rule in limits)
    stage = screen.stage(config.filter.mode, (*rules, *limits), (), sources, "redact", always)
    engine.run(stage, screen.plan(before, run.of("filter"), made, cuts))


def _stages(context: RunContext) -> list[str]:
    return ["redact_spans", *quantile_stages(rules_on_spans(context.config), PREFIX), "redact"]


def _balances(run: RunRecords) -> list[Balance]:
    earlier = run.earlier("redact")
    kept, left = (run.totals(stage, "outcome").get(KEPT, 0) for stage in (earlier, "redact"))
    before, after = (run.totals(stage, "outcome").get(FILTERED, 0) for stage in (earlier, "redact"))
    balances = [
        Balance("documents looked through for spans against kept", kept, run.total("redact_spans", "documents")),
        Balance("documents filtered by redact against those that it no longer keeps", kept - left, after - before),
    ]
    if run.config.filter.mode == "filter":
        failed = run.total("redact", "failed_documents")
        balances.append(Balance("documents filtered by redact against those that failed a rule", failed, kept - left))
    return balances


def _manifest(run: RunRecords) -> ManifestPart:
    by_source: dict[str, Json] = {}
    for source in run.config.sources:
        if found := run.totals("redact_spans", f"spans_of/{source.name}"):
            by_source[source.name] = {"spans": found}
    top = {
        "documents": run.total("redact_spans", "documents"),
        "spans": run.totals("redact_spans", "spans"),
        "documents_with_spans": run.totals("redact_spans", "with_spans"),
        "edits": run.total("redact_spans", "edits"),
        "left_out": run.totals("redact", "failed"),
    }
    return ManifestPart(top={"redact": top}, sources=by_source)


def _summary(run: RunRecords) -> list[str]:
    lines = []
    found, holders = (run.totals("redact_spans", prefix) for prefix in ("spans", "with_spans"))
    for entry in run.config.measure.span_operators:
        kinds = [name for name in found if name.startswith(f"{entry.name}.")]
        listed = ", ".join(
            f"{name.partition('.')[2]} {found[name]:,} (in {holders[name]:,} documents)"
            for name in kinds
            if found[name]
        )
        done = {
            "replace": "replaced in shards, clean text and reports",
            "drop": "documents left out",
            "annotate": "only counted",
        }
        none = [name.partition(".")[2] for name in kinds if not found[name]]
        lines.append(
            f"operator {entry.name}, of {run.total('redact_spans', 'documents'):,} documents kept so far: "
            f"{listed or 'no spans'}; {done[entry.spans.action]}"
            + (f"; none of {', '.join(none)}" if none and listed else "")
        )
    lines += [f"  spans of source {name}: {told}" for name, told in _by_source(run).items()]
    if left := run.total("redact_spans", "spans_left"):
        lines.append(
            f"WARNING: {left:,} spans stand in parts of messages that are no strings (arguments of tool calls), and "
            "stay there: use `action: drop` or `max_spans: 0` where that matters"
        )
    failed, rules = run.total("redact", "failed_documents"), failed_most(run, "redact")
    if failed:
        lines.append(f"redact: {failed:,} documents failed a rule on spans: {rules}")
    return lines


def _by_source(run: RunRecords) -> dict[str, str]:
    if len(run.config.sources) == 1:
        return {}
    told = {}
    for source in run.config.sources:
        found = run.totals("redact_spans", f"spans_of/{source.name}")
        if found:
            told[source.name] = ", ".join(f"{name} {number:,}" for name, number in found.items())
    return told


def _enabled(config: Config) -> bool:
    return bool(config.measure.span_operators)


STEP = Step(
    name="redact",
    run=redact_documents,
    stages=_stages,
    enabled=_enabled,
    part_work=PartWork(files=5, records=2, opens=6),
    ledger="redact",
    outcomes=(FILTERED,),
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
)
