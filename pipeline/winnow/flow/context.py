"""One walk over the stages, in order: what is missing is run.

Reads top to bottom as the data flows. Every stage gets the records of the stages before it, never their data.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from winnow.config.config import Config
from winnow.dedup.config import DedupConfig
from winnow.engine.engine import Engine
from winnow.engine.quarantine import quarantined_documents
from winnow.engine.records import Json, Record, Unit, total, totals_under
from winnow.engine.work_sizes import WorkSizes, work_sizes
from winnow.errors import ConfigError, UnreadableShareError
from winnow.flow.labels import cut_strata, settle_labels
from winnow.flow.mixture import mix_documents
from winnow.flow.quantiles import cut_quantiles
from winnow.flow.select import select_documents
from winnow.index.join import IndexRun
from winnow.operators.find import publish_operators
from winnow.report.alarms import Alarm, dedup_alarms
from winnow.report.unreadable import unreadable_summary
from winnow.shards.formats.formats import INDEXED
from winnow.sources.catalogue import InputFile, build_catalogue
from winnow.sources.stored_file import TRANSIENT_ERRORS
from winnow.stages import filter as filtering
from winnow.stages.decide import decide
from winnow.stages.decide.ledger_tables import survivor_units
from winnow.stages.dedup import bands, candidate_sets, components, index_lookup, keepers
from winnow.stages.ingest import boilerplate, line_removal, lines, measure, slices
from winnow.stages.ingest.labels import LabelSet
from winnow.stages.shards import row_groups, shard_index, shards, shuffle
from winnow.stages.shards.shard_set import folder_of
from winnow.stages.tables import read_parquet
from winnow.stages.tokenise import tokenise
from winnow.text.lines.config import LinesConfig
from winnow.tokens.marks import MARK
from winnow.tokens.vocabulary import Vocabulary


@dataclass
class RunContext:
    """Everything one walk over the stages has learned; fields fill up from top to bottom."""

    config: Config
    engine: Engine
    inputs: dict[str, list[str]]
    vocabulary: Vocabulary | None
    """None where nothing is tokenised."""
    index: IndexRun | None = None
    files: list[InputFile] = field(default_factory=list)
    boilerplate: list[Record] = field(default_factory=list)
    measured: list[Record] = field(default_factory=list)
    parts: list[measure.Part] = field(default_factory=list)
    labels: LabelSet | None = None
    """None where documents have no labels."""
    filtered: list[Record] = field(default_factory=list)
    clustered: list[Record] = field(default_factory=list)
    duplicates: tuple[Json, Json | None] | None = None
    """Where fates of members of components, and met components of an index, are listed; None without dedup."""
    decided: list[Record] = field(default_factory=list)
    tokenised: list[Record] = field(default_factory=list)
    embedded: list[Record] = field(default_factory=list)
    semantic: list[Record] = field(default_factory=list)
    scored: list[Record] = field(default_factory=list)
    sampled: list[Record] = field(default_factory=list)
    selected: list[Record] | None = None
    """Records of the ledger that select wrote; None where it is off."""
    shuffled: list[Record] = field(default_factory=list)
    counted: list[Record] = field(default_factory=list)
    """Rows of every row group; none where rows are cut from the stream."""
    sharded: list[Record] = field(default_factory=list)
    shard_indexes: list[Record] = field(default_factory=list)
    layout: Json = field(default_factory=dict)
    indexed: Json | None = None
    """Where the parts of an index that this run was compared with are listed."""

    mixed: list[Record] | None = None
    """Records of the ledger that the mixture wrote; None where there is none."""
    mixture_limits: Record | None = None

    @property
    def sizes(self) -> WorkSizes:
        """Of units and partitions; known once the files are."""
        return work_sizes(self.config.compute, sum(map(slices.estimated_bytes, self.files)))

    @property
    def alarms(self) -> list[Alarm]:
        """Signs that deduplication took more than it should have."""
        return dedup_alarms(self.config, self.clustered, self.decided)

    @property
    def ledger(self) -> list[Record]:
        """Records of the tables that hold every document's final outcome."""
        if self.mixed is not None:
            return self.mixed
        return self.decided if self.selected is None else self.selected

    @property
    def id_dtype(self) -> np.dtype[Any]:
        """Type of token ids: uint16 where the vocabulary allows, else uint32."""
        assert self.vocabulary is not None
        return np.dtype(self.vocabulary.dtype)


def run_all_stages(context: RunContext) -> None:
    """All stages in order of the data flow. A dry engine raises NotReadyError at the first one with work left."""
    assert context.vocabulary is not None
    clean_documents(context)
    tokenising = tokenise.stage(context.config.tokeniser, context.vocabulary, context.config.structured)
    context.tokenised = context.engine.run(tokenising, survivor_units(context.parts, context.decided))
    if context.config.select is not None:
        context.selected = select_documents(context, context.config.select)
    if context.config.shards.mixes:
        context.mixed = mix_documents(context, context.ledger)
    if context.index is not None:  # after select: later runs rely on what comes out
        context.index.plan_append(
            context.config, context.parts, context.filtered, context.ledger, context.duplicates, files_taken(context)
        )
    _shuffle_and_shard(context, context.vocabulary)


def clean_documents(context: RunContext) -> None:
    """From files to decisions: everything that the vocabulary has no part in."""
    config, engine = context.config, context.engine
    sources = {source.name: source for source in config.sources}
    inputs = context.inputs if context.index is None else context.index.new_inputs(context.inputs)
    context.files = build_catalogue(engine.store, inputs, save=not engine.dry)
    unit_bytes = context.sizes.unit_mb * 1_000_000

    counted = engine.run(slices.count_stage(), slices.plan_count(context.files, sources, unit_bytes))
    minhash = config.dedup.minhash if config.dedup else DedupConfig().minhash
    runtime = {"batch_bytes": batch_bytes(config.compute.worker_memory_mb), "part_bytes": unit_bytes}
    lines_config = config.dedup.lines if config.dedup else None
    if not engine.dry:
        publish_operators(config.measure.operators, engine.store)
    measuring = measure.stage(config.measure, minhash, lines_config, runtime)
    planned = slices.plan_measure(context.files, sources, counted, unit_bytes, quarantined_documents(engine.store))
    if lines_config:
        planned = _find_boilerplate(context, planned, lines_config, runtime)
    context.measured = engine.run(measuring, planned, recompute_if=had_transient_error)
    context.parts = measure.parts_of(context.measured)
    check_unreadable(context)

    context.labels = settle_labels(context)
    weights = {source.name: source.weight for source in config.sources}
    verdicts = tuple(o.found.name for o in config.measure.operators if o.found.kind == "filter")
    filter_stage = filtering.stage(config.filter, weights, config.shards.seed, verdicts)
    context.filtered = engine.run(filter_stage, filtering.plan(context.parts, cut_quantiles(context)))
    fates, touched = find_duplicates(context) if config.dedup and context.parts else (None, None)

    segment = context.index.pin.segment if context.index else 0
    deciding = decide.stage(config.shards.seed, config.shards.splits, weights, segment)
    strata = cut_strata(context, fates, segment)
    context.decided = engine.run(deciding, decide.plan(context.parts, context.filtered, fates, strata))
    context.duplicates = None if fates is None else (fates, touched)


def had_transient_error(record: Record) -> bool:
    """Whether a measured unit met a fault of the surroundings, which may be gone without a trace in the file."""
    return any(record.counters.get(f"unreadable_reason/{kind}") for kind in TRANSIENT_ERRORS)


def files_taken(context: RunContext) -> list[InputFile]:
    """Files that later runs of an index need not read: all but those that met a fault of the surroundings."""
    failed: set[str] = set()
    for record in filter(had_transient_error, context.measured):
        table = read_parquet(context.engine.store, record.outputs["unreadable"].reference(), ["path", "reason"])
        failed |= {row["path"] for row in table.to_pylist() if row["reason"].split(":")[0] in TRANSIENT_ERRORS}
    return [file for file in context.files if file.path not in failed]


def _find_boilerplate(context: RunContext, units: list[Unit], config: LinesConfig, runtime: Json) -> list[Unit]:
    """Lines, boilerplate, boilerplate_set; returns measure's units with the boilerplate of their sources."""
    engine = context.engine
    counting = lines.stage(config, context.config.measure.normalise, runtime)
    counted = engine.run(counting, lines.plan(units, config.sources), recompute_if=had_transient_error)
    by_source = boilerplate.counts_by_source(counted)
    listings = {source: engine.publish_list(counting, "lines", entries) for source, entries in by_source.items()}
    rows = {source: sum(entry["rows"] for entry in entries) for source, entries in by_source.items()}

    reducing = boilerplate.stage(config.max_documents)
    reduced = engine.run(reducing, boilerplate.plan(listings, rows, context.sizes.partition_mb))
    ranges = {source: [r for r in reduced if r.metadata["source"] == source] for source in by_source}
    kept = {source: engine.listing(reducing, records, "boilerplate") for source, records in ranges.items()}
    context.boilerplate = engine.run(boilerplate.set_stage(), boilerplate.plan_set(kept, reduced))
    return line_removal.with_boilerplate(units, boilerplate.sets_by_source(context.boilerplate))


def find_duplicates(context: RunContext) -> tuple[Json, Json | None]:
    """Bands, edges, components, candidates, keepers.

    Returns where every member's fate is listed, and the components of an index that were met.
    """
    engine, parts, config = context.engine, context.parts, context.config.dedup
    assert config is not None
    partition_mb = context.sizes.partition_mb
    banding = bands.bands_stage(config.minhash)
    band_units = bands.plan_bands(parts, context.filtered, config.minhash, partition_mb)
    banded = engine.run(banding, band_units)
    listing = engine.listing(banding, banded, "bands")
    edging = bands.edges_stage()
    entries = context.index.entries if context.index else []
    run_indexed = partial(context.index.run, engine) if context.index else engine.run
    index, groups = None, None
    if entries:
        index = context.indexed = engine.publish_list(edging, "index", entries)
        grouped = run_indexed(index_lookup.groups_stage(), index_lookup.plan_groups(index, entries))
        groups = grouped[0].outputs["groups"].reference()
    edged = run_indexed(edging, bands.plan_edges(listing, banded, band_units[0].inputs["partitions"], index))

    connecting = components.components_stage()
    edges = engine.listing(edging, edged, "edges")
    connected = engine.run(connecting, components.plan_components(edges, edged, groups))
    sets = config.verification.reads_texts
    sized = engine.run(candidate_sets.sizes_stage(), candidate_sets.plan_sizes(parts, connected)) if sets else None
    if sized is not None and index is not None:
        units = index_lookup.plan_candidates(index, entries, connected)
        sized = sized + run_indexed(index_lookup.sizes_stage(), units)
    num_perm = config.minhash.num_perm
    labels = context.labels.table if context.labels else None
    gathering = components.candidates_stage(num_perm, config.minhash.ngram if sets else None)
    gather_units = components.plan_candidates(parts, context.filtered, connected, num_perm, partition_mb, sized, labels)
    gathered = engine.run(gathering, gather_units)
    partitions = gather_units[0].inputs["partitions"]
    if index is not None:
        units = index_lookup.plan_candidates(index, entries, connected, partitions)
        gathered = gathered + run_indexed(
            index_lookup.candidates_stage(num_perm, sets=sets, labelled=labels is not None), units
        )

    choosing = keepers.stage(config, context.index.pin.segment if context.index else 0)
    starts = engine.publish_list(choosing, "starts", keepers.part_starts(parts))
    candidates = engine.listing(gathering, gathered, "candidates")
    context.clustered = engine.run(choosing, keepers.plan(candidates, gathered, partitions, starts, num_perm))
    touched = None if index is None else connected[0].outputs["touched"].reference()
    return engine.listing(choosing, context.clustered, "fates"), touched


def _shuffle_and_shard(context: RunContext, vocabulary: Vocabulary) -> None:
    engine, config = context.engine, context.config.shards
    id_bytes = context.id_dtype.itemsize
    shuffling = shuffle.stage(config.seed, config.epoch, config.split_names)
    shuffled_bytes = id_bytes if context.config.marks is None else MARK.itemsize
    labelled = None
    if context.labels is not None:
        labelled = [{"documents": part.documents, "labels": context.labels.table} for part in context.parts]
    units = shuffle.plan(context.tokenised, context.ledger, shuffled_bytes, context.sizes.partition_mb, labelled)
    context.shuffled = engine.run(shuffling, units)
    if not units:
        return
    partitions = units[0].inputs["partitions"]
    rows = engine.listing(shuffling, context.shuffled, "rows")
    laying_out = shuffle.layout_stage(config.split_names)
    laid_out = engine.run(laying_out, shuffle.plan_layout(rows, partitions, len(context.shuffled)))
    layout, extents = (laid_out[0].outputs[name].reference() for name in ("layout", "extents"))
    exchange = {"rows": rows, "extents": extents}
    context.layout = {"exchange": exchange, "layout": layout, "partitions": partitions}
    tokens = [total(context.shuffled, f"tokens/{name}") for name in config.split_names]
    documents = [total(context.shuffled, f"documents/{name}") for name in config.split_names]
    group_rows = None
    if config.packs_by_groups:
        counting = row_groups.stage(config.row_settings, config.row_tokens)
        context.counted = engine.run(counting, row_groups.plan(config.row_settings, documents, exchange, partitions))
        group_rows = [row_groups.rows_of_groups(context.counted, split) for split in range(len(documents))]
    sharding = shards.stage(config, vocabulary, context.config.marks, labelled=labelled is not None)
    units = shards.plan(sharding, config, tokens, id_bytes, exchange, layout, partitions, group_rows)
    if tokens[0] and not any(unit.inputs["split"] == 0 for unit in units):
        raise ConfigError(
            f"row: {config.row} makes no row of {config.row_tokens:,} tokens of split {config.split_names[0]}, out of "
            f"{documents[0]:,} documents with {tokens[0]:,} tokens; lower shards.sequence_tokens, or choose another row"
        )
    context.sharded = engine.run(sharding, units)
    _index_shards(context, id_bytes)


def _index_shards(context: RunContext, id_bytes: int) -> None:
    """One index file for each split, in the formats that have one."""
    engine, config = context.engine, context.config.shards
    wanted = [name for name in config.ordered_formats if name in INDEXED]
    if not wanted or not context.sharded:
        return
    indexing = shard_index.stage(id_bytes)
    listings: dict[tuple[int, str], Json] = {}
    for split, name in enumerate(config.split_names):
        for kind in wanted:
            entries = shard_index.shard_entries(context.sharded, split, kind)
            if entries:
                listings[split, kind] = engine.publish_list(indexing, f"{kind}-{name}", entries)
    folder = folder_of(next(iter(context.sharded[0].outputs.values())).path)
    context.shard_indexes = engine.run(indexing, shard_index.plan(folder, wanted, config.split_names, listings))


def batch_bytes(worker_memory_mb: int) -> int:
    """Text of one batch: a 64th of the worker's memory, because a batch exists in about 20 forms at once."""
    return min(32_000_000, worker_memory_mb * 1_000_000 // 64)


def check_unreadable(context: RunContext) -> None:
    """Stop before anything is decided on a broken input.

    Two shares count: unreadable records among all records, and bytes of files that could not be read to their end
    among all input bytes (a file that breaks early is one record, however much it held).

    Raises:
        UnreadableShareError: either share is over ``compute.max_unreadable_share``.
    """
    limit = context.config.compute.max_unreadable_share
    bad = sum(totals_under(context.measured, "unreadable").values())
    records = bad + sum(totals_under(context.measured, "readable").values())
    unread, size = total(context.measured, "unread_bytes"), sum(file.bytes for file in context.files)
    for part, whole, what in ((bad, records, "records"), (unread, size, "input bytes")):
        if whole and part / whole > limit:
            listed = "\n".join(f"  {line}" for line in unreadable_summary(context.engine.store, context.measured))
            raise UnreadableShareError(
                f"{part:,} of {whole:,} {what} ({part / whole:.2%}) cannot be read, and "
                f"compute.max_unreadable_share allows {limit:.2%}\n{listed}\n"
                f"the list with file, position and reason: work/measure/*/*.unreadable.parquet in {context.config.run}; "
                "mend the input or raise the share, then run the same command: what was read stays"
            )
