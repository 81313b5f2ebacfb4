"""Plan: walk the stages without doing or writing anything."""

import contextlib
import os
from dataclasses import dataclass

from winnow.config.config import Config
from winnow.config.remote_files import pin_remote_files
from winnow.engine.engine import Engine
from winnow.engine.records import total
from winnow.errors import NotReadyError
from winnow.flow.context import RunContext, run_all_stages
from winnow.index.join import index_of, join_index
from winnow.runs.estimate.sizes import Corpus, corpus_of, sizes_of
from winnow.runs.run import check_shard_sizes, load_run_vocabulary, resolve_inputs
from winnow.shards.formats.formats import INDEXED
from winnow.stages.ingest.slices import estimated_bytes
from winnow.storage.open_store import open_store
from winnow.text.rules.signal_rules import quantile_bounds

STAGES = (
    "count",
    "lines",
    "boilerplate",
    "boilerplate_set",
    "measure",
    "label_names",
    "label_set",
    "quantile_counts",
    "quantile_bins",
    "quantile_values",
    "quantile_cuts",
    "filter",
    "bands",
    "index_groups",
    "edges",
    "components",
    "candidate_sizes",
    "index_candidate_sizes",
    "candidates",
    "index_candidates",
    "keepers",
    "label_counts",
    "label_cuts",
    "decide",
    "tokenise",
    "embed",
    "centres",
    "assign",
    "semantic_links",
    "semantic_components",
    "semantic_candidates",
    "semantic_keepers",
    "quality_examples",
    "quality_embed",
    "quality_fit",
    "quality",
    "importance_target",
    "importance_counts",
    "importance_ratio",
    "importance",
    "scores",
    "sample",
    "select",
    "mixture_counts",
    "mixture_limits",
    "mixture",
    "shuffle",
    "layout",
    "row_counts",
    "shards",
    "shard_index",
)
_LINE_STAGES = ("lines", "boilerplate", "boilerplate_set")
_DEDUP_STAGES = ("bands", "edges", "components", "candidate_sizes", "candidates", "keepers")
_QUANTILE_STAGES = ("quantile_counts", "quantile_bins", "quantile_values", "quantile_cuts")
_TEXT_STAGES = ("candidate_sizes", "index_candidate_sizes")
_INDEX_STAGES = ("index_groups", "index_candidate_sizes", "index_candidates")
_CLUSTER_STAGES = ("centres", "assign")
_SEMANTIC_STAGES = ("semantic_links", "semantic_components", "semantic_candidates", "semantic_keepers")
_QUALITY_STAGES = ("quality_examples", "quality_embed", "quality_fit", "quality")
_IMPORTANCE_STAGES = ("importance_target", "importance_counts", "importance_ratio", "importance")


@dataclass(frozen=True)
class PlannedStage:
    """One stage: ``units`` is None while the stages before it have work left."""

    name: str
    units: int | None
    done: int


@dataclass(frozen=True)
class Planned:
    """What a run would do and need."""

    files: int
    corpus: Corpus
    tokens: int | None
    """None: not counted yet."""
    id_bytes: int
    stages: list[PlannedStage]
    work_bytes: int
    shard_bytes: int
    worker_memory_mb: int
    workers: int


def plan_run(config: Config) -> Planned:
    """Look at inputs and records; nothing is written.

    Raises:
        InputError: an input is missing.
    """
    config = pin_remote_files(config)
    engine = Engine(open_store(config.run, config.storage), config.compute, dry=True)
    joined = join_index(index_of(config), config, engine.store, save=False)
    vocabulary = load_run_vocabulary(config)
    check_shard_sizes(config, vocabulary)
    context = RunContext(config, engine, resolve_inputs(config), vocabulary, joined)
    with contextlib.suppress(NotReadyError):
        run_all_stages(context)
    known = {summary.name: PlannedStage(summary.name, summary.units, summary.reused) for summary in engine.summaries}
    off = [] if config.dedup else list(_DEDUP_STAGES)
    off += [] if config.dedup and config.dedup.lines else list(_LINE_STAGES)
    off += [] if config.dedup and config.dedup.verification.reads_texts else list(_TEXT_STAGES)
    off += [] if quantile_bounds(config.filter.rules) else list(_QUANTILE_STAGES)
    off += [] if config.labelled else ["label_names", "label_set"]
    off += [] if config.stratified else ["label_counts", "label_cuts"]
    off += [] if config.shards.packs_by_groups else ["row_counts"]
    off += [] if config.shards.mixes else ["mixture_counts", "mixture_limits", "mixture"]
    off += [] if joined and joined.entries else list(_INDEX_STAGES)
    off += [] if set(config.shards.formats) & set(INDEXED) else ["shard_index"]
    select = config.select
    off += [] if select else ["scores", "select"]
    off += [] if select and select.needs_vectors else ["embed"]
    off += [] if select and select.needs_clusters else list(_CLUSTER_STAGES)
    off += [] if select and select.quality else list(_QUALITY_STAGES)
    off += [] if select and select.importance else list(_IMPORTANCE_STAGES)
    off += [] if select and select.semantic else list(_SEMANTIC_STAGES)
    off += [] if select and select.leaves_out_by_score else ["sample"]
    names = [name for name in STAGES if name not in off]
    text = total(context.measured, "text_bytes") or sum(estimated_bytes(file) for file in context.files)
    tokens = total(context.tokenised, "tokens") or None
    corpus = corpus_of(
        text, sum(file.bytes for file in context.files), sum(part.rows for part in context.parts) or None
    )
    sizes = sizes_of(corpus, config, context.id_dtype.itemsize, tokens)
    workers = config.compute.workers if isinstance(config.compute.workers, int) else os.cpu_count() or 1
    return Planned(
        files=len(context.files),
        corpus=corpus,
        tokens=tokens,
        id_bytes=context.id_dtype.itemsize,
        stages=[known.get(name, PlannedStage(name, None, 0)) for name in names],
        work_bytes=sizes.written_bytes,
        shard_bytes=sizes.tables["shards"],
        worker_memory_mb=config.compute.worker_memory_mb,
        workers=workers,
    )
