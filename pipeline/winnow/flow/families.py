"""Synthetic texts and the documents that they were made of: linked before duplicates are looked for."""

from winnow.config.config import Config
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, PartWork, Step
from winnow.stages.families import families


def find_families(context: RunContext) -> None:
    """Ids that are named, who has them, links."""
    engine, run, fields = context.engine, context.run, context.config.augmented
    if not run.parts:
        return
    naming = families.names_stage(fields)
    named = engine.run(naming, families.plan_names(run.parts))
    collected = engine.run(families.set_stage(), families.plan_set(engine.listing(naming, named, "keys"), named))
    joining = families.members_stage(fields)
    keys = collected[0].outputs["keys"].reference()
    partitions = families.partitions_of(named, context.sizes.partition_mb)
    members = engine.run(joining, families.plan_members(run.parts, run.of("filter"), keys, partitions))
    listing = engine.listing(joining, members, "members")
    engine.run(families.links_stage(), families.plan_links(listing, members, partitions))


def has_families(config: Config) -> bool:
    """Whether a source holds synthetic texts."""
    return bool(config.augmented)


def _balances(run: RunRecords) -> list[Balance]:
    read = sum(run.totals("measure", "readable").get(source, 0) for source in run.config.augmented)
    told = run.total("family_links", "synthetic") + run.total("family_members", "nameless")
    return [Balance("synthetic texts, with those that name no parent, against those that were read", read, told)]


STEP = Step(
    name="families",
    run=find_families,
    stages=lambda _context: ["parent_names", "parent_set", "family_members", "family_links"],
    enabled=has_families,
    part_work=PartWork(files=2, records=2, opens=6),
    balances=_balances,
)
