"""Kept documents to token ids."""

from winnow.engine.records import total
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, PartWork, Step
from winnow.schemas import KEPT
from winnow.stages.decide.ledger_tables import survivor_units
from winnow.stages.tokenise import tokenise


def tokenise_documents(context: RunContext) -> None:
    """Ids of every document that is kept so far: what select leaves out has tokens, too."""
    assert context.vocabulary is not None
    stage = tokenise.stage(context.config.tokeniser, context.vocabulary, context.config.structured)
    context.engine.run(stage, survivor_units(context.run.parts, context.run.survivors))


def _balances(run: RunRecords) -> list[Balance]:
    kept = total(run.survivors, f"outcome/{KEPT}")
    return [Balance("documents tokenised against kept", kept, run.total("tokenise", "documents"))]


def _summary(run: RunRecords) -> list[str]:
    checked, mismatches = run.total("tokenise", "checked"), run.total("tokenise", "mismatches")
    lines = [f"tokeniser checked against its reference on {checked:,} documents: {mismatches:,} differences"]
    if refused := run.total("tokenise", "refused_conversations"):
        lines.append(f"WARNING: {refused:,} conversations have no ids: their template refuses them")
    if truncated := run.total("tokenise", "truncated_pairs"):
        lines.append(f"{truncated:,} pairs were cut to fit a row")
    if lossy := run.total("tokenise", "lossy"):
        lines.append(
            f"the ids of {lossy:,} of these documents decode to another text than theirs: the vocabulary "
            "alters text (case, spaces, characters that it lacks)"
        )
    return lines


STEP = Step(
    name="tokenise",
    run=tokenise_documents,
    stages=lambda _context: ["tokenise"],
    part_work=PartWork(files=1, records=1, opens=2),
    balances=_balances,
    summary=_summary,
)
