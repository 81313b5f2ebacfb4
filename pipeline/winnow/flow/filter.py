"""Rules on signals: which documents go on."""

from winnow.flow.context import RunContext
from winnow.flow.operators import failed_most, rules_on, verdicts_on
from winnow.flow.quantiles import cut_quantiles, quantile_stages
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, PartWork, Step
from winnow.schemas import EMPTY, FILTERED
from winnow.stages import filter as filtering


def filter_documents(context: RunContext) -> None:
    """Decide every rule on every document."""
    weights = {source.name: source.weight for source in context.config.sources}
    rules, verdicts = rules_on(context.config, gpu=False), verdicts_on(context.config, gpu=False)
    config = context.config.filter.model_copy(update={"rules": rules})
    stage = filtering.stage(config, weights, context.config.shards.seed, verdicts)
    cuts = cut_quantiles(context.engine, rules, context.run.parts)
    context.engine.run(stage, filtering.plan(context.run.parts, cuts))


def _stages(context: RunContext) -> list[str]:
    return [*quantile_stages(rules_on(context.config, gpu=False)), "filter"]


def _balances(run: RunRecords) -> list[Balance]:
    readable = sum(run.totals("measure", "readable").values())
    return [Balance("documents filtered against readable", readable, run.total("filter", "documents"))]


def _summary(run: RunRecords) -> list[str]:
    rules = failed_most(run, "filter")
    return [f"rules failed most, in documents: {rules}"] if rules else []


STEP = Step(
    name="filter",
    run=filter_documents,
    stages=_stages,
    part_work=PartWork(files=2, records=1, opens=1),
    outcomes=(FILTERED, EMPTY),
    balances=_balances,
    summary=_summary,
)
