"""Documents embedded and clustered, and nothing decided: what `winnow select --explore` looks at before a first run."""

from pathlib import Path

from winnow.config.config import Config
from winnow.config.hub_revisions import publish_revisions
from winnow.config.load import load_config, read_config
from winnow.config.remote_files import pin_remote_files
from winnow.engine.engine import Engine
from winnow.engine.lease import hold_lease
from winnow.engine.stopping import Stop
from winnow.errors import ConfigError
from winnow.flow.context import RunContext
from winnow.flow.flow import CLEANING, run_steps
from winnow.flow.records import RunRecords
from winnow.flow.select import asks_for_gpus, assign, check_encoder
from winnow.flow.select_examples import judge_quality
from winnow.flow.surroundings import surroundings_of
from winnow.index.join import hold_index, index_of, join_index
from winnow.runs.folder import CONFIG, STATE, check_folder, run_folder
from winnow.runs.run import load_run_vocabulary, resolve_inputs
from winnow.runs.run_key import with_key
from winnow.runs.state import load_run, note_facts
from winnow.storage.address import is_url
from winnow.storage.open_store import open_store


def embedded_documents(name: str, overrides: list[str] | None = None, stop: Stop | None = None) -> RunRecords:
    """What a run has embedded; for a config, or the folder of a run that has not finished, what is missing is done.

    Args:
        name: a config file, or a run folder.
        overrides: settings ``a.b=c``; only with a config.
        stop: whether this process is asked to stop.

    Raises:
        ConfigError: it is neither, `select` is off, or the encoder cannot be used.
        InputError, LeaseHeldError, StageFailedError, UnreadableShareError, StorageError, StoppedError: as a run.
    """
    if not is_url(name) and not Path(name).is_dir():
        return _up_to_clusters(load_config(name, overrides), stop)
    if overrides:
        raise ConfigError(f"--set changes a config, and {name} is a run folder; name the config file instead")
    store = run_folder(name)
    if not store.exists(STATE) and store.exists(CONFIG):
        return _up_to_clusters(read_config(store.read(CONFIG), store.location(CONFIG)), stop)
    finished = load_run(name)
    if "embed" not in finished.records:
        raise ConfigError(
            f"{name}: the run has no embeddings; `select` is off, or none of its steps needs any. Name a config with "
            "`select` instead: then they are made"
        )
    return finished


def _up_to_clusters(config: Config, stop: Stop | None) -> RunRecords:
    """Everything up to the clusters (and the quality head), where a run of the same config finds it done."""
    config = with_key(config)
    written, config = config, pin_remote_files(config)
    select = config.select
    if select is None:
        raise ConfigError("select: none leaves nothing to explore; write a section `select` with the encoder to use")
    check_encoder(config)
    stop = stop or Stop()
    stop.grace_seconds = config.compute.grace_seconds
    store, inputs, index = open_store(config.run, config.storage), resolve_inputs(config), index_of(config)
    check_folder(config, store)
    with hold_lease(store) as lease, hold_index(index) as check_index:

        def guard() -> None:
            lease.check()
            check_index()

        store.remove_drafts()
        publish_revisions(written, config, store)
        surroundings = surroundings_of(config, load_run_vocabulary(config))
        engine = Engine(store, config.compute, guard=guard, stop=stop, surroundings=surroundings)
        context = RunContext.of(config, engine, inputs, None, join_index(index, config, store, save=False))
        run_steps(context, CLEANING)
        assign(context, select)
        if select.quality is not None:
            judge_quality(context, select.encoder, select.quality, gpus=asks_for_gpus(config))
        note_facts(context)
    return context.run
