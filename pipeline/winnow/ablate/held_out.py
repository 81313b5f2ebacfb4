"""Held-out text: documents of files, or of a split of a run, drawn by a hash and set by set."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from winnow import schemas
from winnow.ablate.plan import HeldOutConfig
from winnow.audit.contamination import batches_of_files
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.looking.texts import read_texts
from winnow.runs.state import load_run
from winnow.sources.source import SourceConfig
from winnow.stages.tables import column_to_numpy, read_parquet

NOTHING = "(none)"
"""The part of documents without a value of `by`."""


class Document(NamedTuple):
    """One held-out document."""

    set: str
    """Name of the set, and after a / the part that it belongs to, where the set has parts."""
    id: str
    whole: str
    """Its text."""


def held_out(entry: HeldOutConfig, arms: dict[str, RunRecords]) -> tuple[list[Document], int]:
    """Documents of a set, and how many records could not be read.

    Args:
        entry: the set.
        arms: runs of the arms of settings.

    Raises:
        ConfigError: it holds no document. InputError: a path names nothing.
    """
    unreadable = 0
    parts: dict[str, list[tuple[int, str, str]]] = {}
    if entry.path is not None:
        for part, name, text in _of_files(entry):
            if text is None:
                unreadable += 1
            else:
                _offer(parts.setdefault(part, []), name, text)
    else:
        run = arms[entry.arm] if entry.arm is not None else load_run(str(entry.run))
        for part, name, text in _of_run(run, entry.split):
            _offer(parts.setdefault(part, []), name, text)
    found = []
    for part in sorted(parts):
        set_name = f"{entry.name}/{part}" if part else entry.name
        found += [Document(set_name, name, text) for name, text in _drawn(parts[part], entry)]
    if not found:
        where = entry.path or f"split {entry.split} of {entry.run or entry.arm}"
        told = f"; {unreadable:,} records could not be read: name the field of the text as `text`" if unreadable else ""
        raise ConfigError(
            f"evaluate.sets: set {entry.name} ({where}) holds no document, so nothing could be judged{told}"
        )
    return found, unreadable


def _offer(texts: list[tuple[int, str, str]], name: str, text: str) -> None:
    if not text.isspace():
        texts.append((xxhash.xxh3_64_intdigest(text.encode("utf-8", "replace")), name, text))


def _drawn(texts: list[tuple[int, str, str]], entry: HeldOutConfig) -> Iterator[tuple[str, str]]:
    """Texts in the order of their hashes, each once and from its middle, until there is enough."""
    most, left, before = entry.document_kb * 1000, entry.kb * 1000, -1
    for digest, name, text in sorted(texts):
        if digest == before:
            continue
        before = digest
        encoded = text.encode("utf-8", "replace")
        if len(encoded) > most:
            start = (len(encoded) - most) // 2
            text = encoded[start : start + most].decode("utf-8", "ignore")  # noqa: PLW2901 - the part that is taken
        yield name, text
        left -= min(most, len(encoded))
        if left <= 0:
            return


def _of_files(entry: HeldOutConfig) -> Iterator[tuple[str, str, str | None]]:
    """Part, place and text of every document; without a text where one cannot be read."""
    keep = (entry.by,) if entry.by else ()
    source = SourceConfig(name=entry.name, path=str(entry.path), text=entry.text, keep=keep)
    for file, batch in batches_of_files(source):
        yield from (("", file, None) for _ in batch.unreadable)
        values = batch.keep[entry.by].to_pylist() if entry.by else [""] * len(batch.rows)
        for row, value, text in zip(batch.rows.tolist(), values, batch.texts.to_pylist(), strict=True):
            yield NOTHING if value is None else value, f"{file}, row {row:,}", text


def _of_run(run: RunRecords, split: str) -> Iterator[tuple[str, str, str]]:
    """Source, id and text of every kept document of a split, as ``measure`` left it."""
    for number, (part, record) in enumerate(zip(run.parts, run.ledger, strict=True)):
        decided = read_parquet(run.store, record.outputs["decisions"].reference(), ["doc", "outcome", "split"])
        mine = pc.and_(pc.equal(decided.column("outcome"), schemas.KEPT), pc.equal(decided.column("split"), split))
        docs = column_to_numpy(decided.filter(mine), "doc")
        named = read_parquet(run.store, part.documents, ["doc", "id", "source"])
        numbers = column_to_numpy(named, "doc")
        for there, texts in read_texts(run, number, docs):
            rows = named.take(pa.array(np.searchsorted(numbers, there)))
            columns = (rows.column("source"), rows.column("id"), texts)
            for source, name, text, doc in zip(*(c.to_pylist() for c in columns), there.tolist(), strict=True):
                yield source, name or str(doc), text
