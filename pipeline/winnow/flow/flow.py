"""Which steps there are, in which order. Everything that goes over all steps goes over this list."""

from winnow.errors import BooksError
from winnow.flow import decide, dedup, filter, index, labels, measure, mixture, screen, select, shards, tokenise
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, Step

CLEANING: tuple[Step, ...] = (measure.STEP, labels.STEP, filter.STEP, dedup.STEP, decide.STEP, screen.STEP)
"""From files to decisions: everything that the vocabulary has no part in."""
FLOW: tuple[Step, ...] = (*CLEANING, tokenise.STEP, select.STEP, mixture.STEP, index.STEP, shards.STEP)
"""All steps. A new one is a file in this folder and its place here."""

REASONS = {rule: sentence for step in FLOW for rule, sentence in step.reasons.items()}
"""By rule of the ledger that is none of the filter's: how ``why`` tells of it."""


def run_steps(context: RunContext, steps: tuple[Step, ...] = FLOW) -> None:
    """Run steps in order; what is committed already is not computed again.

    Raises:
        NotReadyError: the engine is dry, and a stage has work left.
    """
    for step in steps:
        if not step.enabled(context.config):
            continue
        step.run(context)
        if step.ledger in context.run.records:
            context.run.ledger_stage = step.ledger


def stage_names(context: RunContext) -> list[str]:
    """All stages that a run in this context has, in order."""
    return [name for step in FLOW if step.enabled(context.config) for name in step.stages(context)]


def balances(run: RunRecords) -> list[Balance]:
    """All equations of a run's books."""
    return [balance for step in FLOW if step.enabled(run.config) for balance in step.balances(run)]


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
