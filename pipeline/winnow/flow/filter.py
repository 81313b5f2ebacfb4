"""Rules on signals: which documents go on."""

import shlex

from winnow.config.config import Config
from winnow.flow.alarm import Alarm
from winnow.flow.context import RunContext
from winnow.flow.operators import failed_most, rules_on, verdicts_on
from winnow.flow.quantiles import cut_quantiles, quantile_stages
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, PartWork, Step
from winnow.schemas import EMPTY, FILTERED
from winnow.stages import filter as filtering

LEAST_ALARMING = 20
"""Documents from which a source or language can be an alarm: a language that is found by mistake has a few."""


def filter_documents(context: RunContext) -> None:
    """Decide every rule on every document."""
    weights = {source.name: source.weight for source in context.config.sources}
    rules, verdicts = rules_on(context.config, gpu=False), verdicts_on(context.config, gpu=False)
    config = context.config.filter.model_copy(update={"rules": rules})
    prose = [source.name for source in context.config.sources if source.is_prose]
    stage = filtering.stage(config, weights, prose, context.config.shards.seed, verdicts)
    cuts = cut_quantiles(context.engine, rules, context.run.parts)
    provenance = context.run.of("provenance") if "provenance" in context.run.records else None
    context.engine.run(stage, filtering.plan(context.run.parts, cuts, provenance))


def _stages(context: RunContext) -> list[str]:
    return [*quantile_stages(rules_on(context.config, gpu=False)), "filter"]


def _balances(run: RunRecords) -> list[Balance]:
    readable = sum(run.totals("measure", "readable").values())
    return [Balance("documents filtered against readable", readable, run.total("filter", "documents"))]


def _summary(run: RunRecords) -> list[str]:
    rules, spared = failed_most(run, "filter"), _spared(run.config)
    return [
        *([f"rules failed most, in documents: {rules}"] if rules else []),
        *([f"rule sets for prose were not applied to {spared}"] if spared else []),
    ]


def _spared(config: Config) -> str:
    """Sources that some rule set leaves alone because they are not prose, and how to change that."""
    sets = [name for name, rules in config.filter.rule_sets.items() if rules.sources == "prose"]
    sources = [source.name for source in config.sources if not source.is_prose]
    if not sets or not sources:
        return ""
    return (
        f"{', '.join(sources)}, whose documents are conversations, pairs or labelled: {', '.join(sets)} (to apply "
        f"them, write `filter: {{{sets[0]}: on}}`)"
    )


def _alarms(run: RunRecords) -> list[Alarm]:
    return [alarm for kind in ("source", "language") for alarm in _lost_most(run, kind)]


def _lost_most(run: RunRecords, kind: str) -> list[Alarm]:
    """Sources, or languages, that lost more than ``filter.alarm_share`` of their documents, with the rule."""
    config = run.config.filter
    of, dropped = run.totals("filter", f"of_{kind}"), run.totals("filter", f"dropped_{kind}")
    chosen = config.languages if kind == "language" else None
    folder = shlex.quote(run.config.run)
    alarms = []
    for name, lost in sorted(dropped.items(), key=lambda item: (-item[1], item[0])):
        if of[name] < LEAST_ALARMING or lost <= config.alarm_share * of[name] or (chosen and name not in chosen):
            continue
        failed = run.totals("filter", f"most_{kind}/{name}")
        most = max(failed, key=failed.__getitem__)
        what = (
            f"{kind} {name} lost {lost:,} of {of[name]:,} documents ({lost / of[name]:.1%}) to the rules, over "
            f"{config.alarm_share:.1%} (filter.alarm_share); most of them failed {most}"
        )
        do = (
            f"`winnow dropped {folder} --{kind} {shlex.quote(name)} --sample 20` shows some, `winnow tune {folder} "
            f"--rule {most}` what other thresholds would keep"
        )
        alarms.append(Alarm("rules", name, what, do))
    return alarms


STEP = Step(
    name="filter",
    run=filter_documents,
    stages=_stages,
    part_work=PartWork(files=2, records=1, opens=1),
    outcomes=(FILTERED, EMPTY),
    balances=_balances,
    summary=_summary,
    alarms=_alarms,
)
