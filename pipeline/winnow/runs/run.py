"""A whole run: lease, stages, books, and the one moment at which a new shard set becomes the current one."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import numpy as np

from winnow.config.config import Config
from winnow.config.hub_revisions import publish_revisions
from winnow.config.remote_files import pin_remote_files
from winnow.config.strict_yaml import write_yaml
from winnow.config.structured import template_of
from winnow.engine.attempt import Attempt, State, next_attempt
from winnow.engine.doing import doing
from winnow.engine.engine import Engine, StageFailedError
from winnow.engine.executors.demand import joins_cluster
from winnow.engine.executors.processes import ended_at_the_end
from winnow.engine.lease import hold_lease
from winnow.engine.quarantine import times_quarantined
from winnow.engine.release import ReleasedError
from winnow.engine.stopping import Stop
from winnow.errors import (
    ConfigError,
    ForcedStop,
    FormatError,
    InputError,
    LeaseHeldError,
    NamedObjectError,
    StoppedError,
)
from winnow.flow.context import RunContext
from winnow.flow.flow import FLOW, balances, check_steps, close_books, published_files, run_steps, stage_names
from winnow.flow.records import Observations
from winnow.flow.select import check_encoder
from winnow.flow.shards import shards_folder
from winnow.flow.surroundings import release_outdated, surroundings_of
from winnow.index.join import hold_index, index_of, join_index
from winnow.operators.config import OperatorConfig
from winnow.operators.files import publish
from winnow.report.manifest import manifest_of
from winnow.report.reports import begin_reports, write_reports
from winnow.runs.estimate.stage_time import stage_weights
from winnow.runs.first_look import look_at_sources
from winnow.runs.folder import CONFIG, check_folder
from winnow.runs.lineage import Lineage
from winnow.runs.run_key import with_key
from winnow.runs.state import note_facts, save_observations, save_state
from winnow.shards.formats.formats import check_formats
from winnow.shards.packed_rows import LABEL
from winnow.shards.packing.assemble import column_bytes
from winnow.sources.catalogue import Inputs, list_inputs
from winnow.sources.read import format_of
from winnow.sources.structured.chat import render
from winnow.sources.structured.template_environment import TemplateBoundError
from winnow.sources.wanted import wanted_of
from winnow.stages.ingest.extractors import publish_extractors
from winnow.stages.kernel_sets import compile_in_background
from winnow.stages.select.examples import list_examples
from winnow.stages.shards.shards import written_columns
from winnow.storage.node_copy import node_copy, pinned, with_user_addresses
from winnow.storage.open_store import open_store
from winnow.tokens.dropout import pattern_of
from winnow.tokens.vocabulary import Vocabulary, load_vocabulary

log = logging.getLogger("winnow")
_SHARDS = [step.name for step in FLOW].index("shards")


def run(
    config: Config, stop: Stop | None = None, corpus: str | None = None, started: float | None = None
) -> RunContext:
    """Do what is missing, close the books, publish the shard set.

    Args:
        config: the run.
        stop: whether this process is asked to stop while it runs.
        corpus: the folder of the corpus that this run adds a set to.
        started: when the command began, by ``time.perf_counter``; None is now.

    Raises:
        InputError, LeaseHeldError, StageFailedError, UnreadableShareError, BooksError, StorageError, StoppedError:
            each with a message that says what to do.
    """
    started = time.perf_counter() if started is None else started
    stop = stop or Stop()
    stop.grace_seconds = config.compute.grace_seconds
    check_folder(config, open_store(config.run, config.storage))
    config = with_key(config)
    store = open_store(config.run, config.storage)
    if not joins_cluster():
        compile_in_background()
    written, config = config, pin_remote_files(config)
    inputs = resolve_inputs(config, corpus)
    look_at_sources(config, inputs, store)
    vocabulary = load_run_vocabulary(config)
    check_shard_sizes(config, vocabulary)
    check_templates(config, vocabulary)
    check_encoder(config)
    check_steps(config)
    index = index_of(config)
    with ended_at_the_end(), hold_lease(store) as lease, hold_index(index) as check_index:

        def guard() -> None:
            lease.check()
            check_index()

        store.remove_drafts()
        publish(store, config.measure.named_files)
        publish_extractors(config.sources, store)
        publish_revisions(written, config, store)
        store.replace(CONFIG, _own_config(written, config))
        attempt = next_attempt(store)
        surroundings = surroundings_of(config, vocabulary)
        if again := release_outdated(store, config, surroundings):
            log.warning("%d quarantined documents are tried again: machine, versions or models are others now", again)

        def attempt_run() -> RunContext:
            joined = join_index(index, config, store, save=True)
            engine = Engine(store, config.compute, guard=guard, stop=stop, attempt=attempt, surroundings=surroundings)
            context = RunContext.of(config, engine, inputs, vocabulary, joined)
            attempt.planned = stage_weights(stage_names(context))
            run_steps(context, FLOW[:_SHARDS])
            begin_reports(config, until_reported)  # beside the last units: at the end somebody would wait for it
            run_steps(context, FLOW[_SHARDS:])
            note_facts(context)
            close_books(balances(context.run))
            context.run.shards = shards_folder(context.run)
            manifest = manifest_of(context.run)
            guard()
            for path, content in published_files(context.run).items():
                store.replace(path, content)
            store.replace(f"{context.run.shards}/manifest.json", manifest)
            save_state(context.run)
            if context.index is not None:
                context.index.append(context.engine)  # after the shards: what the index holds has come out somewhere
            return context

        lineage, until_reported = Lineage(config, store.root), ExitStack()
        with record_outcome(attempt, lineage), until_reported:
            lineage.start()
            context = rerun_without_quarantined(attempt_run, attempt)
            engine = context.engine
            seconds = time.perf_counter() - started
            lineage.complete(context.run)
            stages = tuple(engine.summaries)
            context.run.observed = Observations(
                seconds, engine.start_seconds, stages, engine.executor_told, lineage.sent, lineage.lost
            )
            save_observations(context.run)
            with doing("writing the reports"):
                write_reports(context.run)
        store.remove_drafts()  # of workers that were killed on the way
    return context


def _own_config(written: Config, config: Config) -> bytes:
    """The config as it was written, with operators and the model of languages as they lie in the run folder: enough to
    do the run again."""
    settled = {"pinned": None, "on_gpu": False, "finds_spans": False, "made_columns": ()}
    operators = [entry.model_copy(update=settled) for entry in config.measure.operators]
    language = written.measure.language.model_copy(update={"model": config.measure.language.model})
    measure = written.measure.model_copy(update={"operators": tuple(operators), "language": language})
    sources = [
        source.model_copy(update={"extract": found.extract.model_copy(update=settled)})
        if isinstance(found.extract, OperatorConfig)
        else source
        for source, found in zip(written.sources, config.sources, strict=True)
    ]
    values = written.model_copy(update={"measure": measure, "sources": tuple(sources)}).model_dump(mode="json")
    return write_yaml(values)


def rerun_without_quarantined(attempt_run: Callable[[], RunContext], attempt: Attempt) -> RunContext:
    """Walk; again, and without them, whenever documents were quarantined on the way; again where tables are needed
    that were removed.

    Raises:
        StageFailedError: a stage failed, and no document was quarantined.
    """
    known, restored = times_quarantined(attempt.store), set[str]()
    while True:
        try:
            return attempt_run()
        except ReleasedError as error:
            if error.stage in restored:  # it comes behind the stage that lets the table go
                raise
            restored.add(error.stage)
            log.info("%s needs tables that were removed (compute.keep: needed): they are computed again", error.stage)
            attempt.stages.clear()
        except StageFailedError:
            now = times_quarantined(attempt.store)
            if now == known:
                raise
            new, known = now - known, now
            log.warning("%d documents cannot be worked on; the run goes on without them", new)
            attempt.stages.clear()


@contextmanager
def record_outcome(attempt: Attempt, lineage: Lineage) -> Iterator[None]:
    """However the attempt ends, its file and its lineage say so; unless the folder belongs to another run."""
    attempt.save()
    try:
        yield
    except BaseException as error:
        state: State = "stopped" if isinstance(error, StoppedError | ForcedStop | KeyboardInterrupt) else "failed"
        if not isinstance(error, LeaseHeldError):
            with suppress(OSError):
                attempt.end(state, str(error))
            lineage.fail(str(error) or type(error).__name__, stopped=state == "stopped")
        raise
    attempt.end("finished")


def resolve_inputs(config: Config, corpus: str | None = None) -> Inputs:
    """The files of every source, before any work is done; none that runs wrote, here or in the corpus.

    Raises:
        InputError: a path names nothing, a file belongs to two sources, or nobody can tell what a file holds.
    """
    written = (*config.written_folders, corpus) if corpus else config.written_folders
    wanted = {source.name: wanted_of(source, config.storage) for source in config.sources}
    inputs = list_inputs(wanted, config.storage, written)
    for source in config.sources:
        for path in inputs[source.name]:
            try:
                format_of(path, source)
            except ValueError as error:
                raise InputError(str(error)) from error
    for sets in config.select.example_sets if config.select else ():
        list_examples(sets, config.storage, written)
    return inputs


def load_run_vocabulary(config: Config) -> Vocabulary:
    """The vocabulary, before any work is done.

    Raises:
        ConfigError: it is not there or cannot be used.
    """
    encoding = config.tokenise.encoding
    try:
        encoding = pinned(encoding, config.storage)
        local = config.tokeniser.model_copy(update={"encoding": node_copy(encoding, config.storage)})
        vocabulary = load_vocabulary(local)
        if config.tokenise.dropout:
            pattern_of(vocabulary)
        return vocabulary
    except NamedObjectError as error:
        raise ConfigError(f"tokenise.encoding: {error}") from error
    except (ValueError, FileNotFoundError) as error:
        raise ConfigError(with_user_addresses(error, config.storage, encoding)) from error


def check_templates(config: Config, vocabulary: Vocabulary) -> None:
    """Render a few words with each chat template: one that goes on and on would do so for every conversation.

    Raises:
        ConfigError: a template has to be ended, or cannot be compiled.
    """
    talk = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello"}]
    for source in config.sources:
        if source.is_chat:
            (found,) = render(template_of(source), [{"messages": talk, "tools": None}], (), vocabulary.template_names)
            if isinstance(found, TemplateBoundError):
                raise ConfigError(f"source {source.name!r}: chat_template: of two short messages, {found}")


def check_shard_sizes(config: Config, vocabulary: Vocabulary) -> None:
    """Look whether every format can hold shards of the size asked for, before any work is done.

    Raises:
        ConfigError: one cannot.
    """
    shards, id_bytes = config.shards, np.dtype(vocabulary.dtype).itemsize
    rows = shards.shard_bytes(id_bytes) // (shards.row_tokens * id_bytes) + 1
    columns = written_columns(shards, vocabulary, config.marks, labelled=config.labelled)
    row_bytes = shards.row_tokens * (id_bytes + column_bytes(columns, shards.row_tokens)) + 8 * (LABEL in columns)
    try:
        check_formats(shards.formats, rows, row_bytes, columns)
    except FormatError as error:
        raise ConfigError(str(error)) from error
