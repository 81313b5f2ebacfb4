"""Synthetic texts counted apart, and the check that each is in the split of the document that it was made of."""

from winnow import schemas
from winnow.engine.records import Json
from winnow.flow.context import RunContext
from winnow.flow.families import has_families
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.stages.families import outcomes


def follow_families(context: RunContext) -> None:
    """Compare what became of synthetic texts with what became of their parents."""
    engine, run = context.engine, context.run
    if not run.parts:
        return
    stage = outcomes.stage()
    decisions = engine.publish_list(stage, "decisions", [r.outputs["decisions"].reference() for r in run.ledger])
    engine.run(stage, outcomes.plan(run.of("family_links"), decisions, sum(part.rows for part in run.parts)))


def synthetic_counts(run: RunRecords) -> Json:
    """Documents and tokens that are synthetic, in all and by source, and what became of their parents; empty where no
    source holds synthetic texts."""
    if not has_families(run.config):
        return {}
    by_source = {source.name: run.totals(run.ledger_stage, f"source/{source.name}") for source in run.config.sources}
    kept = {name: outcomes.get(schemas.KEPT, 0) for name, outcomes in by_source.items()}
    tokens = {name: run.total("tokenise", f"source_tokens/{name}") for name in by_source}
    synthetic = list(run.config.augmented)
    return {
        "sources": {name: {"documents": kept[name], "tokens": tokens[name]} for name in synthetic},
        "documents": sum(kept[name] for name in synthetic),
        "documents_of_all": sum(kept.values()),
        "tokens": sum(tokens[name] for name in synthetic),
        "tokens_of_all": sum(tokens.values()),
        "kept_by_outcome_of_parent": run.totals("family_outcomes", "kept_of"),
        "dropped_as_duplicates_of_parent": run.total("family_outcomes", "like_parent"),
        "without_parent_in_run": run.total("family_links", "without_parent"),
        "naming_no_parent": run.total("family_members", "nameless"),
        "ids_of_several_documents": run.total("family_links", "shared_ids"),
    }


def _balances(run: RunRecords) -> list[Balance]:
    kept = sum(run.totals("family_outcomes", "kept_of").values())
    return [
        Balance("kept synthetic texts in another split than their parent", 0, run.total("family_outcomes", "apart")),
        Balance("kept synthetic texts by what became of their parents", run.total("family_outcomes", "kept"), kept),
    ]


def _manifest(run: RunRecords) -> ManifestPart:
    return ManifestPart(top={"synthetic": synthetic_counts(run)})


def _summary(run: RunRecords) -> list[str]:
    told = synthetic_counts(run)
    documents, tokens = (f"{told[w]:,} ({told[w] / max(1, told[f'{w}_of_all']):.1%})" for w in ("documents", "tokens"))
    by_source = ", ".join(f"{name} {n['documents']:,} and {n['tokens']:,}" for name, n in told["sources"].items())
    lines = [f"synthetic: {documents} of the documents kept, {tokens} of their tokens ({by_source})"]
    parents = told["kept_by_outcome_of_parent"]
    if parents:
        by_outcome = ", ".join(
            f"{name} {number:,}" for name, number in sorted(parents.items(), key=lambda o: (-o[1], o[0]))
        )
        lines.append(f"synthetic texts kept, by what became of their parents: {by_outcome}")
    if told["dropped_as_duplicates_of_parent"]:
        lines.append(
            f"synthetic texts dropped as duplicates of their parent: {told['dropped_as_duplicates_of_parent']:,}"
        )
    if told["without_parent_in_run"]:
        lines.append(
            f"WARNING: {told['without_parent_in_run']:,} synthetic texts name a parent that this run has not read: "
            "those of one parent share a split, with nothing to say which"
        )
    if told["naming_no_parent"]:
        lines.append(
            f"WARNING: {told['naming_no_parent']:,} synthetic texts name no parent (the field of augmented_from is "
            "empty): their splits are drawn as those of other documents"
        )
    if told["ids_of_several_documents"]:
        lines.append(
            f"{told['ids_of_several_documents']:,} ids of parents belong to several documents: these share a split"
        )
    return lines


STEP = Step(
    name="family_outcomes",
    run=follow_families,
    stages=lambda _context: ["family_outcomes"],
    enabled=has_families,
    part_work=PartWork(opens=1),
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
)
