"""What a config names beside the inputs (operators, models, files in an object store): settled when a run begins, the
same on every node."""

from typing import TypeVar

from winnow.config.config import Config
from winnow.config.hub_revisions import pin_revisions
from winnow.config.language_model import pin_language_model
from winnow.config.operators import pin_operators
from winnow.config.structured import template_address
from winnow.errors import ConfigError, NamedObjectError
from winnow.section import Section
from winnow.select.config import SelectConfig
from winnow.sources.source import SourceConfig
from winnow.sources.structured.chat import CHATML, inspect_template, template_text
from winnow.storage.config import StorageConfig
from winnow.storage.node_copy import node_copy, pinned
from winnow.text.contamination.config import DecontaminateConfig

S = TypeVar("S", bound=Section)


def pin_remote_files(config: Config) -> Config:
    """The config with every address of a file pinned to what is there now, chat templates in place of addresses, and
    operators pinned to what they are now.

    Inputs on a hub are pinned to a commit; other inputs, paths of disks and folders that are written stay as they are.

    Raises:
        ConfigError: nothing is at an address, or no chat template; an operator cannot be used.
        HubError: a data set of a hub is not there, or may not be read.
        ObjectStorageError: the store refuses.
    """
    config = pin_revisions(config)
    storage = config.storage
    tokenise = _with(config.tokenise, "encoding", _pinned("tokenise.encoding", config.tokenise.encoding, storage))
    select = None if config.select is None else _select(config.select, storage)
    updates = {"tokenise": tokenise, "select": select, "decontaminate": _decontaminate(config)}
    return _with_operators_and_templates(config).model_copy(update=updates)


def pin_for_cleaning(config: Config) -> Config:
    """The config with operators, with chat templates in place of their addresses, and with a commit in addresses of
    hubs: all that cleaning needs.

    Raises:
        ConfigError: nothing is at an address, or no chat template; an operator cannot be used.
        HubError: a data set of a hub is not there, or may not be read.
    """
    return _with_operators_and_templates(pin_revisions(config))


def _with_operators_and_templates(config: Config) -> Config:
    config = pin_language_model(pin_operators(with_provenance_fields(config)))
    return _with(config, "sources", tuple(_with_template(source, config.storage) for source in config.sources))


def with_provenance_fields(config: Config) -> Config:
    """The config with sources that keep the fields which rules on provenance read, whether or not `keep` says so."""
    wanted = config.filter.provenance_fields
    sources = []
    for source in config.sources:
        mine = [name for name, asked in wanted.items() if asked is None or source.name in asked]
        missing = [name for name in mine if name not in source.keep]
        sources.append(_with(source, "keep", (*source.keep, *missing)) if missing else source)
    return _with(config, "sources", tuple(sources))


def _decontaminate(config: Config) -> DecontaminateConfig | None:
    section = config.decontaminate
    if section is None:
        return None
    sets = tuple(
        _with(entry, "path", _pinned(f"decontaminate.sets.{number}.path", entry.path, config.storage))
        for number, entry in enumerate(section.sets)
    )
    return _with(section, "sets", sets)


def _select(select: SelectConfig, storage: StorageConfig) -> SelectConfig:
    if not select.needs_vectors:
        return select
    model = _pinned("select.encoder.model", select.encoder.model, storage)
    given = select.clusters.centres
    centres = given if given is None else _pinned("select.clusters.centres", given, storage)
    encoder, clusters = _with(select.encoder, "model", model), _with(select.clusters, "centres", centres)
    return select.model_copy(update={"encoder": encoder, "clusters": clusters})


def _with(section: S, name: str, value: object) -> S:
    return section.model_copy(update={name: value})


def _pinned(setting: str, address: str, storage: StorageConfig) -> str:
    try:
        return pinned(address, storage)
    except NamedObjectError as error:
        raise ConfigError(f"{setting}: {error}") from error


def _with_template(source: SourceConfig, storage: StorageConfig) -> SourceConfig:
    address = template_address(source)
    if address is None:
        return source
    setting = f"chat_template of source {source.name!r}"
    path = node_copy(_pinned(setting, address, storage), storage)
    try:
        text = template_text(path)
        inspect_template(text or CHATML)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{setting}: {address}: {error}") from error
    return _with(source, "chat_template", text)
