"""Removal requests: documents that their authors, or those whom they tell of, want out. See `winnow forget`."""

from winnow.engine.records import Json
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.schemas import REMOVED_ON_REQUEST
from winnow.stages.removals import removals
from winnow.stages.removals.removals import RULES
from winnow.text.urls.config import UrlsConfig


def address_field(run: RunRecords) -> str:
    """The field of records that holds their address: that of `filter.urls`, or its default."""
    urls = run.config.filter.urls
    return str(urls.field if urls is not None else UrlsConfig.model_fields["field"].default)


def remove_documents(context: RunContext) -> None:
    """Write the ledger once more, without what is listed; nothing where nothing is."""
    run, engine, listed = context.run, context.engine, context.removals
    run.removals = "" if listed is None else listed.name
    if listed is None or not run.parts:
        return
    if not engine.dry:
        listed.publish(engine.store)
    before = run.decided_stage
    sources = [source.name for source in context.config.sources]
    stage = removals.stage(before, sources, address_field(run), context.config.shards.cutting_rows)
    units = removals.plan(run.parts, run.of(before), run.of("filter"), run.of("tokenise"), listed)
    engine.run(stage, units)


def _balances(run: RunRecords) -> list[Balance]:
    if not run.of("removals"):
        return []
    listed, came_from = run.total("removals", "removed_documents"), run.totals("removals", "removed_from")
    before, after = (run.totals(stage, "outcome") for stage in (run.decided_stage, "removals"))
    return [
        Balance("documents removed on request against those listed", listed, after.get(REMOVED_ON_REQUEST, 0)),
        *(
            Balance(f"documents with outcome {name} that no list has", n - came_from.get(name, 0), after.get(name, 0))
            for name, n in before.items()
        ),
    ]


def _manifest(run: RunRecords) -> ManifestPart:
    if not run.of("removals"):
        return ManifestPart()
    told: Json = {
        "lists": run.removals,
        "documents": run.total("removals", "removed_documents"),
        "before": run.totals("removals", "removed_from"),
    }
    return ManifestPart(top={"removals": told})


def _summary(run: RunRecords) -> list[str]:
    if not run.of("removals"):
        return []
    removed, came_from = run.total("removals", "removed_documents"), run.totals("removals", "removed_from")
    by = run.totals("removals", "removed_by")
    what = {RULES[0]: "by id", RULES[1]: "by text", RULES[2]: "by address"}
    how = ", ".join(f"{by[name]:,} {told}" for name, told in what.items() if by.get(name))
    before = ", ".join(f"{number:,} {name}" for name, number in came_from.items())
    return [
        f"removal requests: {removed:,} documents removed"
        + (f" ({how}; without the requests: {before})" if removed else ": none that is listed was read")
        + "; what asks for them lies in forget/ of this folder, and in the index"
    ]


STEP = Step(
    name="removals",
    run=remove_documents,
    stages=lambda context: [] if context.removals is None else ["removals"],
    ledger="removals",
    part_work=PartWork(),
    outcomes=(REMOVED_ON_REQUEST,),
    reasons={
        RULES[0]: "a removal request lists its id",
        RULES[1]: "a removal request lists its text, or that of an equal or similar document",
        RULES[2]: "a removal request lists the beginning of its address",
    },
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
)
