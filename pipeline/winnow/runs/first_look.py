"""The first records of each source, looked at before any work: a wrong name in the config costs seconds, not hours."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from winnow.config.config import Config
from winnow.errors import InputError
from winnow.flow.reading import named_fields, no_value
from winnow.operators.config import OperatorConfig
from winnow.sources.inputs import look_at
from winnow.sources.read import format_of, odd_files, read_slice
from winnow.sources.readers.registry import READERS
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import TRANSIENT_ERRORS
from winnow.stages.ingest.slices import reader_settings
from winnow.storage.store import Store

log = logging.getLogger("winnow")

LOOK_BYTES = 64 << 10
"""About so much of a file's first records is looked at."""
_OF_SETTINGS = ("missing", "wrong type", "wrong structure", "ambiguous column")
"""Kinds of reason that say that a field or column is not what the config takes it for."""
_SHAPES = (
    *((name, f"`messages: {name}` reads conversations") for name in ("messages", "conversations", "conversation")),
    ("chosen rejected", "`chosen: chosen` with `rejected: rejected` reads preference pairs"),
    ("instruction input output", "`prompt: [instruction, input]` with `response: output` reads instructions"),
    ("instruction output", "`prompt: instruction` with `response: output` reads instructions"),
    ("prompt response", "`prompt: prompt` with `response: response` reads them"),
    ("prompt completion", "`prompt: prompt` with `response: completion` reads them"),
)
"""Fields that records of other kinds than text usually have, and the settings that read them."""


class _Look(NamedTuple):
    """The first records of a file."""

    readable: bool
    reason: str
    """Why the first one that cannot be read cannot."""
    fields: tuple[str, ...]
    empty: list[tuple[str, str]]
    """Setting and name of each of ``id`` and ``keep`` that should have a value, and has none in any record."""


def look_at_sources(config: Config, inputs: dict[str, list[str]], store: Store) -> None:
    """Read the schema and the first records of the first file of each source that has fields; where none of them can
    be read, of one in the middle and of the last as well. Warn of what is probably not meant.

    Args:
        config: of the run.
        inputs: for every source its files.
        store: the run folder, by which inputs are opened.

    Raises:
        InputError: no record that was looked at has the field or column with its text (or structure, or label).
    """
    for source in config.sources:
        for line in odd_files(source, inputs[source.name]):
            log.warning("%s", line)
        paths = [path for path in inputs[source.name] if READERS.get(format_of(path, source)).has_fields]
        look: _Look | None = None
        for path in dict.fromkeys(paths[at] for at in (0, len(paths) // 2, -1)) if paths else ():
            look = _look(config, source, path, store)
            if look is None or look.readable or not look.reason.startswith(_OF_SETTINGS):
                break
        else:
            if look is not None and config.compute.max_unreadable_share < 1:
                raise InputError(
                    f"source {source.name}: none of the first records of {_told(paths)} can be read: {look.reason}; "
                    f"correct {_settings(source)} of the source, or `path`{_shape(source, look.fields)}"
                )
        if look is None:
            continue
        if not look.readable:
            log.warning("source %s: none of the first records of %s can be read: %s", source.name, path, look.reason)
        else:
            for setting, name in look.empty:
                log.warning("of the first records: %s", ": ".join(no_value(source, setting, name, look.fields)))


def _look(config: Config, source: SourceConfig, path: str, store: Store) -> _Look | None:
    """None where nothing can be told: no records, or a fault of the surroundings."""
    settings = reader_settings(source) | {"name": source.name, "path": path}
    if isinstance(source.extract, OperatorConfig):  # which is loaded where there is work to do
        settings["extract"] = "raw"
    read = SourceConfig.model_validate(settings)
    kind = format_of(path, source)
    try:
        size = look_at(path, store.storage).bytes
        part = FileSlice(path=path, file=0, source=source.name, format=kind, size=size)
        batch = next(read_slice(part, read, store.open_input, LOOK_BYTES), None)
    except OSError:
        return None
    if batch is None or not (len(batch.rows) or batch.unreadable):
        return None
    reason = batch.unreadable[0].reason if batch.unreadable else ""
    if reason.split(":")[0] in TRANSIENT_ERRORS:
        return None
    named = {("id", source.id): batch.ids} if source.id else {}
    columns = named | {("keep", name): batch.keep[name] for name in source.keep}
    columns |= {("filter", name): batch.keep[name] for name in source.keep}
    empty = [
        named
        for named in named_fields(config, source, batch.fields)
        if columns[named].null_count == len(columns[named])
    ]
    return _Look(len(batch.rows) > 0, reason, batch.fields, empty)


def _settings(source: SourceConfig) -> str:
    names = ("messages", "prompt", "response", "chosen", "rejected", "pair", "label")
    given = [name for name in names if getattr(source, name) is not None]
    return " and ".join(f"`{name}`" for name in (given if source.is_chat else ["text", *given]))


def _shape(source: SourceConfig, fields: Sequence[str]) -> str:
    """What else reads records of such fields, where the source says nothing of their structure."""
    if source.structure_fields:
        return ""
    return next((f"; {what}" for names, what in _SHAPES if set(names.split()) <= set(fields)), "")


def _told(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and others of {len(paths):,} files"
