"""The passages that a finished run's kept documents are asked about, part by part, in document order."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import xxhash

from winnow.augment.config import AugmentConfig
from winnow.augment.passages import passages_of
from winnow.errors import ConfigError
from winnow.flow.columns import find_column
from winnow.flow.records import RunRecords
from winnow.stages.documents.columns import arrow_schema, read_part, schema_of
from winnow.suggest import meant_or_known
from winnow.text.language.codes import LANGUAGES

_COLUMNS = ("id", "source", "text", "language", "licence")
UNKNOWN_LANGUAGE = "the language of the original"


class Passage(NamedTuple):
    """A piece of a kept document."""

    parent: str
    """The document's id."""
    source: str
    licence: str | None
    language: str
    """In English, for prompts."""
    number: int
    """From 0."""
    text: str


@dataclass
class Taken:
    """What was counted on the way."""

    documents: int = 0
    by_source: dict[str, int] = field(default_factory=dict)
    passages: int = 0
    passed_over: int = 0
    """Passages behind `max_passages`."""
    shortened: int = 0
    """Documents with such passages."""


def asked_sources(run: RunRecords, config: AugmentConfig) -> frozenset[str]:
    """Names of the sources whose documents are taken.

    Raises:
        ConfigError: one is not there, or its documents are no plain texts.
    """
    prose = {source.name for source in run.config.sources if not source.structure_fields}
    if config.sources is None:
        if not prose:
            raise ConfigError(f"{config.of}: every source holds conversations or pairs; only plain texts are augmented")
        return frozenset(prose)
    names = [source.name for source in run.config.sources]
    for name in config.sources:
        if name not in names:
            raise ConfigError(f"sources: {name!r}: the run has no such source; {meant_or_known(name, names)}")
        if name not in prose:
            raise ConfigError(f"sources: {name!r} holds conversations or pairs; only plain texts are augmented")
    return frozenset(config.sources)


def passages_by_part(run: RunRecords, config: AugmentConfig, taken: Taken) -> Iterator[list[Passage]]:
    """Passages of each part; counts them."""
    sources = asked_sources(run, config)
    columns = [find_column(run.config, name, "augment") for name in _COLUMNS]
    for place, part in enumerate(run.parts):
        tables = {"documents": part.documents, "signals": part.signals}
        tables["decisions"] = run.ledger[place].outputs["decisions"].reference()
        if run.edits[place]:
            tables["edits"] = run.edits[place]  # type: ignore[assignment]
        table = read_part(run.store, tables, columns, arrow_schema(schema_of(run.store, columns, tables))).table
        passages: list[Passage] = []
        for row in zip(*(table.column(name).to_pylist() for name in _COLUMNS), strict=True):
            if row[1] in sources and _drawn(row[1], row[0], config.share):
                passages += _of_document(row, config, taken)
        yield passages


def _of_document(
    row: tuple[str, str, str, str | None, str | None], config: AugmentConfig, taken: Taken
) -> list[Passage]:
    name, source, text, language, licence = row
    pieces = passages_of(text, config.passage_characters)
    taken.documents += 1
    taken.by_source[source] = taken.by_source.get(source, 0) + 1
    taken.passed_over += max(0, len(pieces) - config.max_passages)
    taken.shortened += len(pieces) > config.max_passages
    pieces = pieces[: config.max_passages]
    taken.passages += len(pieces)
    called = LANGUAGES.get(language or "", UNKNOWN_LANGUAGE)
    return [Passage(name, source, licence, called, number, piece) for number, piece in enumerate(pieces)]


def _drawn(source: str, name: str, share: float) -> bool:
    """Whether a document is in the share: by a hash of what names it, so that a larger share holds a smaller one."""
    return share >= 1 or xxhash.xxh3_64_intdigest(f"{source}\0{name}".encode()) < share * 2.0**64
