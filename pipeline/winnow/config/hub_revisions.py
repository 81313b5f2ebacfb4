"""Which commit each ``hf://`` address of a config means: settled when a run begins, and kept until it has finished.

A branch may move at any time. So sources and example files name a commit from here on, in the catalogue too, and
``revisions.json`` of the run folder says which branch or tag it was. An unfinished run goes on with the commits that it
began with, whatever has become of the branches; the next run after a finished one takes what is there then.
"""

import logging

import orjson

from winnow.config.config import Config
from winnow.engine.attempt import read_attempt
from winnow.errors import ConfigError
from winnow.section import Section
from winnow.select.config import SelectConfig
from winnow.select.step_configs import ExamplesConfig
from winnow.sources.source import SourceConfig
from winnow.storage.config import StorageConfig
from winnow.storage.hub import HubRevision, is_hub, parse_hub
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

REVISIONS = "revisions.json"
_FORMAT = "winnow-revisions-1"

log = logging.getLogger("winnow")


def pin_revisions(config: Config) -> Config:
    """The config with a commit in every ``hf://`` address of sources and examples.

    A source that says no licence has that of the cards of its data sets.

    Raises:
        HubError: a data set or revision is not there, or may not be read. ObjectStorageError: the hub does not answer.
        ConfigError: the folder's ``revisions.json`` is damaged.
    """
    names = sorted({parse_hub(path).name for path in _paths(config) if is_hub(path)})
    if not names:
        return config
    store = open_store(config.run, config.storage)
    known, attempt = _read(store), read_attempt(store)
    finished = attempt is not None and attempt.state == "finished"
    found = {name: _settle(name, known.get(name), config.storage, finished=finished) for name in names}
    sources = tuple(_pin_source(source, found) for source in config.sources)
    select = None if config.select is None else _pin_examples(config.select, found)
    return config.model_copy(update={"sources": sources, "select": select})


def publish_revisions(written: Config, pinned: Config, store: Store) -> None:
    """Keep in the run folder which commits the addresses mean; only while holding the lease."""
    commits = {
        parse_hub(path).name: parse_hub(settled).revision
        for path, settled in zip(_paths(written), _paths(pinned), strict=True)
        if is_hub(path)
    }
    if commits:
        content = {"format": _FORMAT, "commits": commits}
        store.replace(REVISIONS, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


def _paths(config: Config) -> list[str]:
    paths = [path for source in config.sources for path in source.paths]
    for sets in config.select.example_sets if config.select else ():
        paths += [path for examples in sets.values() for path in examples.source("examples").paths]
    return paths


def _read(store: Store) -> dict[str, str]:
    try:
        content = orjson.loads(store.read(REVISIONS))
        commits = {name: str(commit) for name, commit in content["commits"].items()}
        if content["format"] != _FORMAT or not all(parse_hub(n).at(commits[n]).is_pinned for n in commits):
            raise ValueError("it does not hold commits")
        return commits
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{store.location(REVISIONS)}: damaged ({error}); remove it, and the run takes what the branches hold now"
        ) from error


def _settle(name: str, before: str | None, storage: StorageConfig, *, finished: bool) -> HubRevision:
    """What an address means in this run."""
    from winnow.storage.object_files import object_files  # noqa: PLC0415 - only hubs need it

    hub, address = object_files(name, storage), parse_hub(name)
    now = hub.hub_revision(name)
    if before in (None, now.commit):
        if not address.is_pinned:
            log.info("%s is commit %s", name, now.commit)
        return now
    if finished:
        log.warning("%s has moved since the last run of this folder: from %s to %s", name, before, now.commit)
        return now
    log.warning(
        "%s has moved to %s; this run began with %s and goes on with it, and the next one after it has finished takes "
        "what is new. To take it now, write the commit in `path`, or remove %s from the run folder",
        name,
        now.commit,
        before,
        REVISIONS,
    )
    return hub.hub_revision(address.at(str(before)).name)


def _pinned(path: str, found: dict[str, HubRevision]) -> str:
    if not is_hub(path):
        return path
    address = parse_hub(path)
    return address.at(found[address.name].commit).url


def _pin_paths(paths: str | tuple[str, ...], found: dict[str, HubRevision]) -> str | tuple[str, ...]:
    return _pinned(paths, found) if isinstance(paths, str) else tuple(_pinned(path, found) for path in paths)


def _pin_source(source: SourceConfig, found: dict[str, HubRevision]) -> SourceConfig:
    hubs = [found[parse_hub(path).name] for path in source.paths if is_hub(path)]
    if not hubs:
        return source
    pinned: dict[str, object] = {"path": _pin_paths(source.path, found)}
    told = {revision.licence for revision in hubs}
    if source.licence is None and len(hubs) == len(source.paths) and told != {""}:
        if len(told) == 1:
            (pinned["licence"],) = told
            log.info("source %s: licence %s, as the data set's card says", source.name, pinned["licence"])
        else:
            said = ", ".join(sorted(licence or "none" for licence in told))
            log.warning("source %s: its data sets have several licences (%s); say `licence`", source.name, said)
    return source.model_copy(update=pinned)


def _pin_examples(select: SelectConfig, found: dict[str, HubRevision]) -> SelectConfig:
    steps: dict[str, Section] = {}
    for name in ("importance", "quality"):
        step = getattr(select, name)
        if step is not None:
            fields = {key: getattr(step, key) for key in type(step).model_fields}
            pinned = {
                key: examples.model_copy(update={"path": _pin_paths(examples.path, found)})
                for key, examples in fields.items()
                if isinstance(examples, ExamplesConfig)
            }
            steps[name] = step.model_copy(update=pinned)
    return select.model_copy(update=steps)
