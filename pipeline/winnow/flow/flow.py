"""Which steps there are, in which order. Everything that goes over all steps goes over this list."""

from typing import Any

from winnow.config.config import Config
from winnow.errors import BooksError, ConfigError
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, PartWork, Step
from winnow.registry import Registry

STEPS: Registry[Step] = Registry(
    what="step",
    kind="winnow.flow.step:Step",
    group="winnow.steps",
    built_in={
        "measure": "winnow.flow.measure:STEP",
        "labels": "winnow.flow.labels:STEP",
        "provenance": "winnow.flow.provenance:STEP",
        "filter": "winnow.flow.filter:STEP",
        "families": "winnow.flow.families:STEP",
        "dedup": "winnow.flow.dedup:STEP",
        "decide": "winnow.flow.decide:STEP",
        "screen": "winnow.flow.screen:STEP",
        "decontaminate": "winnow.flow.decontaminate:STEP",
        "redact": "winnow.flow.redact:STEP",
        "passages": "winnow.flow.passages:STEP",
        "tokenise": "winnow.flow.tokenise:STEP",
        "select": "winnow.flow.select:STEP",
        "mixture": "winnow.flow.mixture:STEP",
        "index": "winnow.flow.index:STEP",
        "removals": "winnow.flow.removals:STEP",
        "family_outcomes": "winnow.flow.family_outcomes:STEP",
        "shards": "winnow.flow.shards:STEP",
        "documents": "winnow.flow.documents:STEP",
    },
)
"""All steps, in order. A new one is a file in this folder and its line here, or an entry point of another package: that
one comes behind the step that its ``after`` names, and runs where the config's `steps` names it."""


def _in_order() -> tuple[Step, ...]:
    """Every step at its place.

    Raises:
        ConfigError: a step of another package comes behind none that there is.
    """
    flow = [STEPS.get(name) for name in STEPS if STEPS.is_built_in(name)]
    for name in STEPS:
        if STEPS.is_built_in(name):
            continue
        step = STEPS.get(name)
        places = [number for number, other in enumerate(flow) if other.name == step.after]
        if not places:
            raise ConfigError(
                f"step {name!r} comes behind {step.after!r}, which there is not; its `after` must be one of "
                f"{', '.join(other.name for other in flow)}"
            )
        flow.insert(places[0] + 1, step)
    return tuple(flow)


FLOW = _in_order()
"""All steps."""
CLEANING = FLOW[: [step.name for step in FLOW].index("tokenise")]
"""From files to decisions: everything that the vocabulary has no part in."""
REASONS = {rule: sentence for step in FLOW for rule, sentence in step.reasons.items()}
"""By rule of the ledger that is none of the filter's: how ``why`` tells of it."""


def enabled_steps(config: Config) -> list[Step]:
    """The steps that a run has, in order."""
    return [
        step for step in FLOW if step.enabled(config) and (STEPS.is_built_in(step.name) or step.name in config.steps)
    ]


def part_work(config: Config) -> PartWork:
    """What all steps of a run do for each part."""
    return sum((step.part_work for step in enabled_steps(config)), PartWork())


def check_steps(config: Config) -> None:
    """Look whether every step that the config names is there and can work, before any work is done.

    Raises:
        ConfigError: one is not, is always there, or cannot do what its settings ask for.
    """
    for name in config.steps:
        STEPS.check(name)
        if STEPS.is_built_in(name):
            raise ConfigError(
                f"steps.{name}: this step is Winnow's own, and has its own section; `steps` is for others"
            )
    for step in enabled_steps(config):
        step.check(config)


def published_files(run: RunRecords) -> dict[str, bytes]:
    """What all steps write once the books are closed, by path."""
    return {path: content for step in enabled_steps(run.config) for path, content in step.publishes(run).items()}


def summary_lines(run: RunRecords) -> list[str]:
    """What all steps say of a finished run."""
    return [line for step in enabled_steps(run.config) for line in step.summary(run)]


def run_steps(context: RunContext, steps: tuple[Step, ...] = FLOW) -> None:
    """Run steps in order; what is committed already is not computed again.

    Raises:
        NotReadyError: the engine is dry, and a stage has work left.
    """
    for step in enabled_steps(context.config):
        if step not in steps:
            continue
        step.run(context)
        if step.ledger in context.run.records:
            context.run.ledger_stage = step.ledger


def stage_names(context: RunContext) -> list[str]:
    """All stages that a run in this context has, in order."""
    return [name for step in enabled_steps(context.config) for name in step.stages(context)]


def stages_of(config: Config) -> list[str]:
    """Names of all stages of a run that joins no index, before there is one."""
    nothing: Any = None  # what a step's stages follow from is the config
    return stage_names(RunContext(RunRecords(nothing, config), nothing, {}))


def balances(run: RunRecords) -> list[Balance]:
    """All equations of a run's books."""
    return [balance for step in enabled_steps(run.config) for balance in step.balances(run)]


def close_books(equations: list[Balance]) -> None:
    """Check every equation.

    Raises:
        BooksError: with every equation that does not hold.
    """
    open_books = [balance for balance in equations if balance.expected != balance.found]
    if open_books:
        listed = "\n".join(f"  {balance}" for balance in open_books)
        raise BooksError(
            f"the books do not close; nothing was published. This is a fault in winnow, please report:\n{listed}"
        )
