"""Kept documents to token ids."""

from dataclasses import replace

from winnow.engine.records import Json, total
from winnow.errors import UnreadableShareError
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, PartWork, Step
from winnow.flow.vocabulary_notes import ends_line
from winnow.schemas import KEPT
from winnow.stages.decide.ledger_tables import survivor_units
from winnow.stages.edits import with_edits
from winnow.stages.tokenise import tokenise


def tokenise_documents(context: RunContext) -> None:
    """Ids of every document that is kept so far: what select leaves out has tokens, too."""
    assert context.vocabulary is not None
    config, run = context.config, context.run
    chance: Json | None = None
    units = with_edits(survivor_units(run.parts, run.survivors), run.edits)
    if config.tokenise.dropout:
        drawn = {"seed": config.shards.seed, "epoch": config.shards.epoch, "split": config.shards.split_names[0]}
        chance = {"rate": config.tokenise.dropout, **drawn}
        units = [
            replace(unit, inputs={**unit.inputs, "decisions": decided.outputs["decisions"].reference()})
            for unit, decided in zip(units, run.survivors, strict=True)
        ]
    stage = tokenise.stage(config.tokeniser, context.vocabulary, config.structured, chance)
    context.engine.run(stage, units)
    check_refused(context.run)


def _balances(run: RunRecords) -> list[Balance]:
    kept = total(run.survivors, f"outcome/{KEPT}")
    return [Balance("documents tokenised against kept", kept, run.total("tokenise", "documents"))]


def check_refused(run: RunRecords) -> None:
    """Stop where too many conversations have no ids.

    Raises:
        UnreadableShareError: their share is over ``compute.max_unreadable_share``.
    """
    refused, documents = run.total("tokenise", "refused_conversations"), run.total("tokenise", "documents")
    limit = run.config.compute.max_unreadable_share
    if refused > limit * documents:
        raise UnreadableShareError(
            f"{refused:,} of {documents:,} documents ({refused / documents:.2%}) are {_talks(run)} that get no ids, "
            f"and compute.max_unreadable_share allows {limit:.2%}: {_first_refused(run)}; change what it names, or "
            "raise the share"
        )


def _talks(run: RunRecords) -> str:
    return "preference pairs" if run.config.marks == "preference" else "conversations"


def _first_refused(run: RunRecords) -> str:
    first = next(entry for record in run.of("tokenise") for entry in record.metadata.get("refused", []))
    return f"such as document {first['doc']}: {first['reason']}"


def _summary(run: RunRecords) -> list[str]:
    checked, mismatches = run.total("tokenise", "checked"), run.total("tokenise", "mismatches")
    engines = sorted({record.metadata["engine"] for record in run.of("tokenise") if "engine" in record.metadata})
    told = f"tokeniser ({', '.join(engines)}) checked against its reference on {checked:,} documents: {mismatches:,}"
    lines = [f"{told} differences"] if engines else []  # none, where no document came so far
    facts = run.vocabulary
    if facts is not None and facts.ends:  # runs of an earlier version did not note it
        lines.append(ends_line(run.config, facts.begins, facts.ends))
        lines += [f"WARNING: {warning}" for warning in facts.warnings]
    if rate := run.config.tokenise.dropout:
        documents, more = (run.total("tokenise", name) for name in ("dropout_documents", "dropout_more_tokens"))
        lines.append(
            f"BPE-dropout {rate:g}, seed {run.config.shards.seed}, epoch {run.config.shards.epoch}: the ids of "
            f"{documents:,} documents are drawn, {more:,} more tokens than without"
        )
        if uncut := run.total("tokenise", "dropout_uncut"):
            lines.append(f"WARNING: {uncut:,} documents have megabytes without a place to cut: their ids are not drawn")
    if unchecked := run.total("tokenise", "unchecked"):
        lines.append(f"WARNING: {unchecked:,} documents of the sample were too long to compare with the reference")
    if lossy := run.total("tokenise", "lossy"):
        lines.append(
            f"the ids of {lossy:,} of {checked:,} compared documents decode to another text than theirs: the "
            "vocabulary alters text (case, spaces, characters that it lacks)"
        )
    if refused := run.total("tokenise", "refused_conversations"):
        lines.append(f"WARNING: {refused:,} {_talks(run)} have no ids, {_first_refused(run)}")
    if unanswered := run.total("tokenise", "unanswered_conversations"):
        lines.append(
            f"WARNING: the assistant says nothing in {unanswered:,} conversations: they stand in rows, and nothing is "
            "learned of them; leave them out, or give the source that has their answers"
        )
    if truncated := run.total("tokenise", "truncated_pairs"):
        what = (
            "preference pairs lost the end of an answer, so as"
            if run.config.marks == "preference"
            else "pairs were cut"
        )
        lines.append(f"{truncated:,} {what} to fit a row")
    spelled = run.totals("tokenise", "spelled")
    if spelled:
        listed = ", ".join(f"{name} ({number:,} conversations)" for name, number in list(spelled.items())[:8])
        lines.append(
            f"WARNING: chat templates wrote {listed}, which the vocabulary has not got as special tokens: they are "
            "spelled out in pieces; set tokenise.added_tokens if each is to be one token"
        )
    unread = run.totals("tokenise", "unread")
    if unread:
        listed = ", ".join(f"{name} ({number:,} conversations)" for name, number in unread.items())
        lines.append(
            f"WARNING: chat templates wrote nothing of {listed}: what stands there is in no row, and an answer that "
            "has nothing else is trained as an empty one; set a chat_template that reads it (the model's), or leave "
            "such conversations out"
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
