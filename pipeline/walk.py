"""One walk over the stages, in order: what is missing is run.

Reads top to bottom as the data flows. Every stage gets the records of the stages before it, never their data.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from pipeline.alarms import Alarm, dedup_alarms
from pipeline.config import Config, ConfigError
from pipeline.engine.catalogue import InputFile, build_catalogue
from pipeline.engine.engine import Engine
from pipeline.engine.records import Json, Record, Unit, total, totals_under
from pipeline.engine.set_aside import all_set_aside
from pipeline.engine.work_sizes import WorkSizes, work_sizes
from pipeline.index_run import IndexRun
from pipeline.label_walk import cut_strata, settle_labels
from pipeline.mixture_walk import mix_documents
from pipeline.select_walk import select_documents
from pipeline.sources.stored_file import PASSING_FAULTS
from pipeline.stages import (
    bands,
    boilerplate,
    candidate_sets,
    components,
    decide,
    index_lookup,
    keepers,
    line_removal,
    lines,
    measure,
    row_groups,
    shard_index,
    shards,
    shuffle,
    slices,
    tokenise,
)
from pipeline.stages import filter as filtering
from pipeline.stages.labels import LabelSet
from pipeline.stages.ledger_tables import survivor_units
from pipeline.stages.shard_files import INDEXED
from pipeline.stages.shard_set import folder_of
from pipeline.stages.tables import read_parquet
from pipeline.text.lines import LinesConfig
from pipeline.tokens.marks import MARK
from pipeline.tokens.vocabulary import Vocabulary
from pipeline.unreadable import told_reasons


class UnreadableShareError(RuntimeError):
    """More of the input could not be read than the config allows."""


@dataclass
class Walk:
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


def walk_stages(walk: Walk) -> None:
    """All stages in order of the data flow. A dry engine raises NotReadyError at the first one with work left."""
    assert walk.vocabulary is not None
    clean_documents(walk)
    tokenising = tokenise.stage(walk.config.tokeniser, walk.vocabulary, walk.config.structured)
    walk.tokenised = walk.engine.run(tokenising, survivor_units(walk.parts, walk.decided))
    if walk.config.select is not None:
        walk.selected = select_documents(walk, walk.config.select)
    if walk.config.shards.mixes:
        walk.mixed = mix_documents(walk, walk.ledger)
    if walk.index is not None:  # after select: later runs rely on what comes out
        walk.index.plan_append(walk.config, walk.parts, walk.filtered, walk.ledger, walk.duplicates, files_taken(walk))
    _shuffle_and_shard(walk, walk.vocabulary)


def clean_documents(walk: Walk) -> None:
    """From files to decisions: everything that the vocabulary has no part in."""
    config, engine = walk.config, walk.engine
    sources = {source.name: source for source in config.sources}
    inputs = walk.inputs if walk.index is None else walk.index.new_inputs(walk.inputs)
    walk.files = build_catalogue(engine.store, inputs, save=not engine.dry)
    unit_bytes = walk.sizes.unit_mb * 1_000_000

    counted = engine.run(slices.count_stage(), slices.plan_count(walk.files, sources, unit_bytes))
    minhash = config.dedup.minhash if config.dedup else keepers.DedupConfig().minhash
    runtime = {"batch_bytes": batch_bytes(config.compute.worker_memory_mb), "part_bytes": unit_bytes}
    lines_config = config.dedup.lines if config.dedup else None
    measuring = measure.stage(config.measure, minhash, lines_config, runtime)
    planned = slices.plan_measure(walk.files, sources, counted, unit_bytes, all_set_aside(engine.store))
    if lines_config:
        planned = _find_boilerplate(walk, planned, lines_config, runtime)
    walk.measured = engine.run(measuring, planned, outdated=met_passing_fault)
    walk.parts = measure.parts_of(walk.measured)
    check_unreadable(walk)

    walk.labels = settle_labels(walk)
    weights = {source.name: source.weight for source in config.sources}
    filter_stage = filtering.stage(config.filter, weights, config.shards.seed)
    walk.filtered = engine.run(filter_stage, filtering.plan(walk.parts))
    fates, touched = find_duplicates(walk) if config.dedup and walk.parts else (None, None)

    segment = walk.index.pin.segment if walk.index else 0
    deciding = decide.stage(config.shards.seed, config.shards.splits, weights, segment)
    strata = cut_strata(walk, fates, segment)
    walk.decided = engine.run(deciding, decide.plan(walk.parts, walk.filtered, fates, strata))
    walk.duplicates = None if fates is None else (fates, touched)


def met_passing_fault(record: Record) -> bool:
    """Whether a measured unit met a fault of the surroundings, which may be gone without a trace in the file."""
    return any(record.counters.get(f"unreadable_reason/{kind}") for kind in PASSING_FAULTS)


def files_taken(walk: Walk) -> list[InputFile]:
    """Files that later runs of an index need not read: all but those that met a fault of the surroundings."""
    failed: set[str] = set()
    for record in filter(met_passing_fault, walk.measured):
        table = read_parquet(walk.engine.store, record.outputs["unreadable"].reference(), ["path", "reason"])
        failed |= {row["path"] for row in table.to_pylist() if row["reason"].split(":")[0] in PASSING_FAULTS}
    return [file for file in walk.files if file.path not in failed]


def _find_boilerplate(walk: Walk, units: list[Unit], config: LinesConfig, runtime: Json) -> list[Unit]:
    """Lines, boilerplate, boilerplate_set; returns measure's units with the boilerplate of their sources."""
    engine = walk.engine
    counting = lines.stage(config, walk.config.measure.normalise, runtime)
    counted = engine.run(counting, lines.plan(units, config.sources), outdated=met_passing_fault)
    by_source = boilerplate.counts_by_source(counted)
    listings = {source: engine.publish_list(counting, "lines", entries) for source, entries in by_source.items()}
    rows = {source: sum(entry["rows"] for entry in entries) for source, entries in by_source.items()}

    reducing = boilerplate.stage(config.max_documents)
    reduced = engine.run(reducing, boilerplate.plan(listings, rows, walk.sizes.partition_mb))
    ranges = {source: [r for r in reduced if r.notes["source"] == source] for source in by_source}
    kept = {source: engine.listing(reducing, records, "boilerplate") for source, records in ranges.items()}
    walk.boilerplate = engine.run(boilerplate.set_stage(), boilerplate.plan_set(kept, reduced))
    return line_removal.with_boilerplate(units, boilerplate.sets_by_source(walk.boilerplate))


def find_duplicates(walk: Walk) -> tuple[Json, Json | None]:
    """Bands, edges, components, candidates, keepers.

    Returns where every member's fate is listed, and the components of an index that were met.
    """
    engine, parts, config = walk.engine, walk.parts, walk.config.dedup
    assert config is not None
    partition_mb = walk.sizes.partition_mb
    banding = bands.bands_stage(config.minhash)
    band_units = bands.plan_bands(parts, walk.filtered, config.minhash, partition_mb)
    banded = engine.run(banding, band_units)
    listing = engine.listing(banding, banded, "bands")
    edging = bands.edges_stage()
    entries = walk.index.entries if walk.index else []
    run_indexed = partial(walk.index.run, engine) if walk.index else engine.run
    index, groups = None, None
    if entries:
        index = walk.indexed = engine.publish_list(edging, "index", entries)
        grouped = run_indexed(index_lookup.groups_stage(), index_lookup.plan_groups(index, entries))
        groups = grouped[0].outputs["groups"].reference()
    edged = run_indexed(edging, bands.plan_edges(listing, banded, band_units[0].description["partitions"], index))

    connecting = components.components_stage()
    edges = engine.listing(edging, edged, "edges")
    connected = engine.run(connecting, components.plan_components(edges, edged, groups))
    sets = config.verification.reads_texts
    sized = engine.run(candidate_sets.sizes_stage(), candidate_sets.plan_sizes(parts, connected)) if sets else None
    if sized is not None and index is not None:
        units = index_lookup.plan_candidates(index, entries, connected)
        sized = sized + run_indexed(index_lookup.sizes_stage(), units)
    num_perm = config.minhash.num_perm
    labels = walk.labels.table if walk.labels else None
    gathering = components.candidates_stage(num_perm, config.minhash.ngram if sets else None)
    gather_units = components.plan_candidates(parts, walk.filtered, connected, num_perm, partition_mb, sized, labels)
    gathered = engine.run(gathering, gather_units)
    partitions = gather_units[0].description["partitions"]
    if index is not None:
        units = index_lookup.plan_candidates(index, entries, connected, partitions)
        gathered = gathered + run_indexed(
            index_lookup.candidates_stage(num_perm, sets=sets, labelled=labels is not None), units
        )

    choosing = keepers.stage(config, walk.index.pin.segment if walk.index else 0)
    starts = engine.publish_list(choosing, "starts", keepers.part_starts(parts))
    candidates = engine.listing(gathering, gathered, "candidates")
    walk.clustered = engine.run(choosing, keepers.plan(candidates, gathered, partitions, starts, num_perm))
    touched = None if index is None else connected[0].outputs["touched"].reference()
    return engine.listing(choosing, walk.clustered, "fates"), touched


def _shuffle_and_shard(walk: Walk, vocabulary: Vocabulary) -> None:
    engine, config = walk.engine, walk.config.shards
    id_bytes = walk.id_dtype.itemsize
    shuffling = shuffle.stage(config.seed, config.epoch, config.split_names)
    shuffled_bytes = id_bytes if walk.config.marks is None else MARK.itemsize
    labelled = None
    if walk.labels is not None:
        labelled = [{"documents": part.documents, "labels": walk.labels.table} for part in walk.parts]
    units = shuffle.plan(walk.tokenised, walk.ledger, shuffled_bytes, walk.sizes.partition_mb, labelled)
    walk.shuffled = engine.run(shuffling, units)
    if not units:
        return
    partitions = units[0].description["partitions"]
    rows = engine.listing(shuffling, walk.shuffled, "rows")
    laying_out = shuffle.layout_stage(config.split_names)
    laid_out = engine.run(laying_out, shuffle.plan_layout(rows, partitions, len(walk.shuffled)))
    layout, extents = (laid_out[0].outputs[name].reference() for name in ("layout", "extents"))
    exchange = {"rows": rows, "extents": extents}
    walk.layout = {"exchange": exchange, "layout": layout, "partitions": partitions}
    tokens = [total(walk.shuffled, f"tokens/{name}") for name in config.split_names]
    documents = [total(walk.shuffled, f"documents/{name}") for name in config.split_names]
    group_rows = None
    if config.packs_by_groups:
        counting = row_groups.stage(config.row_settings, config.row_tokens)
        walk.counted = engine.run(counting, row_groups.plan(config.row_settings, documents, exchange, partitions))
        group_rows = [row_groups.rows_of_groups(walk.counted, split) for split in range(len(documents))]
    sharding = shards.stage(config, vocabulary, walk.config.marks, labelled=labelled is not None)
    units = shards.plan(sharding, config, tokens, id_bytes, exchange, layout, partitions, group_rows)
    if tokens[0] and not any(unit.description["split"] == 0 for unit in units):
        raise ConfigError(
            f"row: {config.row} makes no row of {config.row_tokens:,} tokens of split {config.split_names[0]}, out of "
            f"{documents[0]:,} documents with {tokens[0]:,} tokens; lower shards.sequence_tokens, or choose another row"
        )
    walk.sharded = engine.run(sharding, units)
    _index_shards(walk, id_bytes)


def _index_shards(walk: Walk, id_bytes: int) -> None:
    """One index file for each split, in the formats that have one."""
    engine, config = walk.engine, walk.config.shards
    wanted = [name for name in config.ordered_formats if name in INDEXED]
    if not wanted or not walk.sharded:
        return
    indexing = shard_index.stage(id_bytes)
    listings: dict[tuple[int, str], Json] = {}
    for split, name in enumerate(config.split_names):
        for kind in wanted:
            entries = shard_index.shard_entries(walk.sharded, split, kind)
            if entries:
                listings[split, kind] = engine.publish_list(indexing, f"{kind}-{name}", entries)
    folder = folder_of(next(iter(walk.sharded[0].outputs.values())).path)
    walk.shard_indexes = engine.run(indexing, shard_index.plan(folder, wanted, config.split_names, listings))


def batch_bytes(worker_memory_mb: int) -> int:
    """Text of one batch: a 64th of the worker's memory, because a batch exists in about 20 forms at once."""
    return min(32_000_000, worker_memory_mb * 1_000_000 // 64)


def check_unreadable(walk: Walk) -> None:
    """Stop before anything is decided on a broken input.

    Two shares count: unreadable records among all records, and bytes of files that could not be read to their end
    among all input bytes (a file that breaks early is one record, however much it held).

    Raises:
        UnreadableShareError: either share is over ``compute.max_unreadable_share``.
    """
    limit = walk.config.compute.max_unreadable_share
    bad = sum(totals_under(walk.measured, "unreadable").values())
    records = bad + sum(totals_under(walk.measured, "readable").values())
    unread, size = total(walk.measured, "unread_bytes"), sum(file.bytes for file in walk.files)
    for part, whole, what in ((bad, records, "records"), (unread, size, "input bytes")):
        if whole and part / whole > limit:
            listed = "\n".join(f"  {line}" for line in told_reasons(walk.engine.store, walk.measured))
            raise UnreadableShareError(
                f"{part:,} of {whole:,} {what} ({part / whole:.2%}) cannot be read, and "
                f"compute.max_unreadable_share allows {limit:.2%}\n{listed}\n"
                f"the list with file, position and reason: work/measure/*/*.unreadable.parquet in {walk.config.run}; "
                "mend the input or raise the share, then run the same command: what was read stays"
            )
