"""Plan: go through the flow without doing or writing anything."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from winnow.config.config import Config
from winnow.config.remote_files import pin_remote_files
from winnow.engine.engine import Engine
from winnow.engine.executors.private_ray import cores_of
from winnow.errors import NotReadyError
from winnow.flow.context import RunContext
from winnow.flow.flow import check_steps, run_steps, stage_names
from winnow.flow.surroundings import surroundings_of
from winnow.flow.vocabulary_notes import ends_line, token_name, vocabulary_warnings
from winnow.index.join import index_of, join_index
from winnow.runs.estimate.cluster import seconds_on_this_machine
from winnow.runs.estimate.sizes import Corpus, corpus_of, sizes_of
from winnow.runs.first_look import look_at_sources
from winnow.runs.folder import check_folder
from winnow.runs.run import check_shard_sizes, check_templates, load_run_vocabulary, resolve_inputs
from winnow.runs.run_key import with_key
from winnow.stages.ingest.estimates import estimated_text
from winnow.storage.open_store import open_store


@dataclass(frozen=True)
class PlannedStage:
    """One stage: ``units`` is None while the stages before it have work left."""

    name: str
    units: int | None
    done: int


@dataclass(frozen=True)
class Planned:
    """What a run would do and need."""

    sources: dict[str, tuple[int, int]]
    """By name: files, and bytes of them as they are stored."""
    files: int
    unasked: int
    """Of these, files that lists name and whose size is taken to be that of a few."""
    corpus: Corpus
    tokens: int
    """Counted, or expected where they are not yet."""
    counted: bool
    """Whether documents and tokens have been counted."""
    id_bytes: int
    stages: list[PlannedStage]
    work_bytes: int
    fullest_bytes: int
    """Of these, on the disk at the same time."""
    shard_bytes: int
    worker_memory_mb: int
    workers: int
    seconds: float
    """From nothing, on these workers, at the rate a core that was measured."""
    disk_left: int | None
    """Bytes free where the run folder lies; None where nobody can tell."""
    ends: str
    """Which tokens begin and end documents."""
    warnings: list[str]
    """What is not as the vocabulary's file or a chat template would have it."""


def plan_run(config: Config) -> Planned:
    """Look at inputs and records; nothing is written.

    Raises:
        InputError: an input is missing.
    """
    config = with_key(pin_remote_files(config))
    store = open_store(config.run, config.storage)
    check_folder(config, store)
    vocabulary = load_run_vocabulary(config)
    surroundings = surroundings_of(config, vocabulary)
    engine = Engine(store, config.compute, dry=True, surroundings=surroundings)
    joined = join_index(index_of(config), config, engine.store, save=False)
    check_shard_sizes(config, vocabulary)
    check_templates(config, vocabulary)
    check_steps(config)
    inputs = resolve_inputs(config)
    look_at_sources(config, inputs, engine.store)
    context = RunContext.of(config, engine, inputs, vocabulary, joined)
    with contextlib.suppress(NotReadyError):
        run_steps(context)
    known = {summary.name: PlannedStage(summary.name, summary.units, summary.reused) for summary in engine.summaries}
    run = context.run
    sources = {source.name: source for source in config.sources}
    text = run.total("measure", "text_bytes") or estimated_text(run.files, sources)
    tokens = run.total("tokenise", "tokens") or None
    by_source: dict[str, tuple[int, int]] = {source.name: (0, 0) for source in config.sources}
    for file in run.files:
        number, size = by_source[file.source]
        by_source[file.source] = number + 1, size + file.probable_bytes
    workers = cores_of(config.compute.workers)
    stored = sum(file.probable_bytes for file in run.files)
    corpus = corpus_of(text, stored, sum(part.rows for part in run.parts) or None)
    sizes = sizes_of(corpus, config, context.id_dtype.itemsize, tokens)
    return Planned(
        sources=by_source,
        files=len(run.files),
        unasked=sum(file.assumed_bytes > 0 for file in run.files),
        corpus=corpus,
        tokens=sizes.tokens,
        counted=tokens is not None,
        id_bytes=context.id_dtype.itemsize,
        stages=[known.get(name, PlannedStage(name, None, 0)) for name in stage_names(context)],
        work_bytes=sizes.written_bytes,
        fullest_bytes=sizes.fullest_bytes,
        shard_bytes=sizes.tables["shards"],
        worker_memory_mb=config.compute.worker_memory_mb,
        workers=workers,
        seconds=seconds_on_this_machine(config, text, workers),
        disk_left=None if store.is_remote else _disk_left(store.root),
        ends=ends_line(
            config, token_name(vocabulary, vocabulary.first_token), token_name(vocabulary, vocabulary.end_of_text)
        ),
        warnings=vocabulary_warnings(config, vocabulary),
    )


def _disk_left(folder: str) -> int:
    """Bytes free where a folder lies, or will lie."""
    place = Path(folder)
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
