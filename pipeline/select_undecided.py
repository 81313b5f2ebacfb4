"""Documents embedded and clustered, and nothing decided: what `winnow select --explore` looks at before a first run."""

from pathlib import Path

from pipeline.config import Config, ConfigError, load_config, read_config
from pipeline.engine.engine import Engine
from pipeline.engine.lease import hold_lease
from pipeline.engine.open_store import open_store
from pipeline.engine.stopping import Stop
from pipeline.examples_walk import judge_quality
from pipeline.finished import FinishedRun, load_finished, run_folder
from pipeline.index_run import hold_index, index_of, join_index
from pipeline.named_files import settled
from pipeline.objects.address import is_url
from pipeline.run import STATE, usable_inputs
from pipeline.select_walk import asks_for_gpus, assign, usable_encoder
from pipeline.walk import Walk, clean_documents


def embedded_documents(name: str, overrides: list[str] | None = None, stop: Stop | None = None) -> FinishedRun:
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
        return _walked(load_config(name, overrides), stop)
    if overrides:
        raise ConfigError(f"--set changes a config, and {name} is a run folder; name the config file instead")
    store = run_folder(name)
    if not store.exists(STATE) and store.exists("config.yaml"):
        return _walked(read_config(store.read("config.yaml"), store.location("config.yaml")), stop)
    finished = load_finished(name)
    if "embed" not in finished.records:
        raise ConfigError(
            f"{name}: the run has no embeddings; `select` is off, or none of its steps needs any. Name a config with "
            "`select` instead: then they are made"
        )
    return finished


def _walked(config: Config, stop: Stop | None) -> FinishedRun:
    """Everything up to the clusters (and the quality head), where a run of the same config finds it done."""
    config = settled(config)
    select = config.select
    if select is None:
        raise ConfigError("select: none leaves nothing to explore; write a section `select` with the encoder to use")
    usable_encoder(config)
    stop = stop or Stop()
    stop.grace_seconds = config.compute.grace_seconds
    store, inputs, index = open_store(config.run, config.storage), usable_inputs(config), index_of(config)
    with hold_lease(store) as lease, hold_index(index) as check_index:

        def guard() -> None:
            lease.check()
            check_index()

        store.remove_drafts()
        engine = Engine(store, config.compute, guard=guard, stop=stop)
        walk = Walk(config, engine, inputs, None, join_index(index, config, store, save=False))
        clean_documents(walk)
        assign(walk, select)
        if select.quality is not None:
            judge_quality(walk, select.encoder, select.quality, gpus=asks_for_gpus(config))
    return FinishedRun(store, config, engine.committed, walk.parts, {}, "", walk.indexed)
