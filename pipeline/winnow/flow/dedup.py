"""Duplicates: bands, candidate components, and who is kept in each."""

from functools import partial

from winnow import schemas
from winnow.config.config import Config
from winnow.engine.records import Record
from winnow.flow.alarm import Alarm
from winnow.flow.components import (
    find_components,
    find_groups,
    find_members,
    rows_of_rounds,
    stages_of_components,
    stages_of_groups,
)
from winnow.flow.context import RunContext
from winnow.flow.dedup_alarms import dedup_alarms
from winnow.flow.guard import guard_lines, losses_of
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.stages.dedup import bands, candidate_sets, candidates, index_lookup, keepers


def find_duplicates(context: RunContext) -> None:
    """Bands, edges, components, candidates, keepers; leaves where the decisions are listed in the context."""
    engine, run, config = context.engine, context.run, context.config.dedup
    if config is None or not run.parts:
        return
    parts, filtered = run.parts, run.of("filter")
    partition_mb = context.sizes.partition_mb
    banding = bands.bands_stage(config.minhash)
    prompts = any(source.is_preference for source in context.config.sources)
    band_units = bands.plan_bands(parts, filtered, config.minhash, partition_mb, prompts=prompts)
    banded = engine.run(banding, band_units)
    listing = engine.listing(banding, banded, "bands")
    edging = bands.edges_stage()
    entries = context.index.entries if context.index else []
    run_indexed = partial(context.index.run, engine) if context.index else engine.run
    index, grouped, matched = None, None, None
    if context.index is not None and entries:
        index = context.index.listing = engine.publish_list(edging, "index", entries)
        grouped = find_groups(context, index, entries)
    edged = run_indexed(edging, bands.plan_edges(listing, banded, band_units[0].inputs["partitions"], index))

    linked = [*edged, *run.of("family_links")]
    connected, members = find_components(context, edging, linked, grouped), list[Record]()
    if grouped is not None:
        matched, members = find_members(context, connected, grouped)
    sets = config.verification.reads_texts
    sized = engine.run(candidate_sets.sizes_stage(), candidate_sets.plan_sizes(parts, connected)) if sets else None
    if sized is not None and index is not None:
        units = index_lookup.plan_candidates(index, entries, members)
        sized = sized + run_indexed(index_lookup.sizes_stage(), units)
    num_perm = config.minhash.num_perm
    labels = run.labels.table if run.labels else None
    guarded = config.guarded
    ngram = config.minhash.ngram if sets else None
    gathering = candidates.candidates_stage(num_perm, ngram, context.config.guard_language)
    gather_units = candidates.plan_candidates(
        parts, filtered, [*connected, *members], num_perm, partition_mb, sized, labels, guarded=guarded
    )
    gathered = engine.run(gathering, gather_units)
    partitions = gather_units[0].inputs["partitions"]
    if index is not None:
        units = index_lookup.plan_candidates(index, entries, members, partitions)
        gathered = gathered + run_indexed(
            index_lookup.candidates_stage(num_perm, sets=sets, labelled=labels is not None, guarded=guarded), units
        )

    choosing = keepers.stage(
        config, context.index.pin.segment if context.index else 0, context.config.synthetic_sources
    )
    starts = engine.publish_list(choosing, "starts", keepers.part_starts(parts))
    listing = engine.listing(gathering, gathered, "candidates")
    chosen = engine.run(choosing, keepers.plan(listing, gathered, partitions, starts, num_perm))
    context.release(("bands", "bands"), ("edges", "edges"), *rows_of_rounds(), *rows_of_rounds("index_"))
    context.release(("index_links", "links"), ("index_edges", "edges"))
    context.release(("candidates", "candidates"), ("index_candidates", "candidates"))
    context.duplicates = engine.listing(choosing, chosen, "member_decisions"), matched


def _stages(context: RunContext) -> list[str]:
    dedup = context.config.dedup
    reads_texts = dedup is not None and dedup.verification.reads_texts
    indexed = context.index is not None and bool(context.index.entries)
    names = {
        "bands": True,
        **dict.fromkeys(stages_of_groups(context), indexed),
        "edges": True,
        **dict.fromkeys(stages_of_components(context), True),
        "index_members": indexed,
        "candidate_sizes": reads_texts,
        "index_candidate_sizes": reads_texts and indexed,
        "candidates": True,
        "index_candidates": indexed,
        "keepers": True,
    }
    return [name for name, there in names.items() if there]


def _balances(run: RunRecords) -> list[Balance]:
    outcomes = run.totals(run.decided_stage, "outcome")
    decided = outcomes.get(schemas.EXACT_DUPLICATE, 0) + outcomes.get(schemas.NEAR_DUPLICATE, 0)
    balances = [Balance("duplicates decided against duplicates found", run.total("keepers", "removed"), decided)]
    if run.config.dedup is not None and run.config.dedup.guarded:
        near = outcomes.get(schemas.NEAR_DUPLICATE, 0)
        found = run.total("keepers", "removed_near")
        balances.append(Balance("near-duplicates decided against those that the guard let go", found, near))
    return balances


def _manifest(run: RunRecords) -> ManifestPart:
    losses = losses_of(run)
    return ManifestPart() if losses is None else ManifestPart(top={"dedup": losses})


def _alarms(run: RunRecords) -> list[Alarm]:
    return [lost.alarm for lost in dedup_alarms(run.config, run.of("keepers"), run.of("decide"))]


def _enabled(config: Config) -> bool:
    return config.dedup is not None


STEP = Step(
    name="dedup",
    run=find_duplicates,
    stages=_stages,
    part_work=PartWork(files=2, records=3, opens=8),  # bands opens 2, candidate_sizes 2, candidates 4
    enabled=_enabled,
    outcomes=(schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE),
    balances=_balances,
    manifest=_manifest,
    summary=guard_lines,
    alarms=_alarms,
)
