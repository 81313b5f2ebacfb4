"""What evaluation sets a finished run, or a folder of documents of others, still holds. Reads; writes nothing.

Documents are searched as the step `decontaminate` searches them. Of a run they are those that it keeps, as they leave:
with what was cut out of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from winnow import schemas
from winnow.audit.tables import TableOf
from winnow.errors import ConfigError, InputError
from winnow.flow.decontaminate import read_files
from winnow.flow.records import RunRecords
from winnow.looking.texts import read_texts
from winnow.sources.inputs import list_paths, look_at
from winnow.sources.read import format_of, read_slice
from winnow.sources.readers.registry import READERS
from winnow.sources.records import RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.stages.decontaminate import items as items_stage
from winnow.stages.decontaminate.search import BY, rule_of
from winnow.stages.edits import edited_columns, read_edits
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.storage.config import StorageConfig
from winnow.storage.open_store import open_store
from winnow.text.contamination.config import DecontaminateConfig
from winnow.text.contamination.coverage import Places
from winnow.text.contamination.find import Finder
from winnow.text.contamination.item_index import build_index
from winnow.text.contamination.items import Items

BATCH_BYTES = 32_000_000
LISTED = 1000
"""Documents that the audit lists, the first ones."""


class Batch(NamedTuple):
    """Some documents."""

    ids: list[str | None]
    where: list[str]
    """Of each document without an id its place."""
    texts: pa.Array


@dataclass
class SetFound:
    """What was found of an evaluation set."""

    name: str
    items: int = 0
    untested: int = 0
    """Too short, or empty."""
    found: int = 0
    documents: int = 0


@dataclass
class FoundDocument:
    """A document that holds an item, and the item of which most is held."""

    document: str
    set: str
    line: int
    question: str
    by: str
    covered: int
    words: int


@dataclass
class ContaminationAudit:
    """The result."""

    documents: int = 0
    text_bytes: int = 0
    unreadable: int = 0
    """Records that could not be read."""
    first_unreadable: str = ""
    contaminated: int = 0
    more_places: int = 0
    """Documents with more places than are listed."""
    sets: list[SetFound] = field(default_factory=list)
    found: list[FoundDocument] = field(default_factory=list)
    """The first ``LISTED`` documents."""


def section_of_sets(paths: list[str], run: RunRecords | None) -> DecontaminateConfig:
    """The settings: the run's, or with sets that are named; files of these, fields told by their names.

    Raises:
        ConfigError: nobody names a set, or one of no kind that can be read.
    """
    own = run.config.decontaminate if run is not None else None
    if not paths:
        if own is None:
            raise ConfigError(
                "no evaluation set is named; give files with --sets, such as --sets gsm8k/test.jsonl (the config of "
                "this run has no `decontaminate.sets`)"
            )
        return own
    settings = {"sets": paths} if own is None else {**own.model_dump(mode="json"), "sets": paths}
    try:
        return DecontaminateConfig.model_validate_json(orjson.dumps(settings))
    except ValidationError as error:
        raise ConfigError(f"--sets: {error.errors()[0]['msg']}") from error


def audit_contamination(
    batches: Iterator[Batch], audit: ContaminationAudit, section: DecontaminateConfig, storage: StorageConfig
) -> None:
    """Search documents for the items of evaluation sets; ``audit`` is filled in.

    Raises:
        ConfigError: a set cannot be used.
    """
    items = read_section(section, storage)
    index, about = build_index(items)
    finder = Finder(index, rule_of(section))
    sets = np.array(items.set, np.int64)
    untested = (about.longest < section.min_words) | (about.question == 0)
    audit.sets = [
        SetFound(name, int((sets == number).sum()), int(untested[sets == number].sum()))
        for number, name in enumerate(items.sets)
    ]
    seen = np.zeros(len(items), bool)
    for batch in batches:
        places = finder(batch.texts)
        audit.documents += len(batch.texts)
        audit.text_bytes += batch.texts.nbytes
        audit.more_places += int(places.cut_short.sum())
        item = index.item[places.entry]
        seen[item] = True
        for number, told in enumerate(audit.sets):
            told.documents += len(np.unique(places.text[sets[item] == number]))
        share = places.covered / np.maximum(places.words, 1)
        order = np.lexsort((item, places.by, -share, places.text))
        texts, first = np.unique(places.text[order], return_index=True)
        audit.contaminated += len(texts)
        for text, row in zip(texts.tolist(), order[first].tolist(), strict=True):
            if len(audit.found) < LISTED:
                audit.found.append(_document(batch, text, items, int(item[row]), places, row))
    leader = np.where(about.same_as >= 0, about.same_as, np.arange(len(items)))
    for number, told in enumerate(audit.sets):
        told.found = int(seen[leader][sets == number].sum())


def _document(batch: Batch, text: int, items: Items, item: int, places: Places, row: int) -> FoundDocument:
    return FoundDocument(
        batch.ids[text] or batch.where[text],
        items.sets[items.set[item]],
        items.line[item],
        items.question[item][:200],
        BY[places.by[row]],
        int(places.covered[row]),
        int(places.words[row]),
    )


def read_section(section: DecontaminateConfig, storage: StorageConfig) -> Items:
    """The items of all sets of a section.

    Raises:
        ConfigError: a set cannot be used.
    """
    files = read_files(section, storage)
    settings = items_stage.stage(section.sets).settings["sets"]
    return items_stage.read_sets(settings, [path for path, _ in files], [entry.path for entry in section.sets])


def documents_of_run(run: RunRecords) -> Iterator[Batch]:
    """What a run keeps, with its edits made; conversations and pairs as they are stored."""
    plain = not any(source.structure_fields for source in run.config.sources)
    for number, (part, record) in enumerate(zip(run.parts, run.ledger, strict=True)):
        decided = read_parquet(run.store, record.outputs["decisions"].reference(), ["doc", "outcome"])
        kept = column_to_numpy(decided.filter(pc.equal(decided.column("outcome"), schemas.KEPT)), "doc")
        named = read_parquet(run.store, part.documents, ["doc", "id"])
        numbers, ids = column_to_numpy(named, "doc"), named.column("id").combine_chunks()
        edits = read_edits(run.store, {"edits": run.edits[number]}) if plain else None
        for docs, texts in read_texts(run, number, kept):
            shown = texts if edits is None else edited_columns(docs, texts, None, edits)[0]
            told = ids.take(pa.array(np.searchsorted(numbers, docs))).to_pylist()
            yield Batch(told, [str(doc) for doc in docs.tolist()], shown)


def documents_of_files(path: str, text: str, audit: ContaminationAudit) -> Iterator[Batch]:
    """Documents of files of others: a folder, a file or a glob, as a source reads them.

    Raises:
        InputError: there are none, or none of them has the text.
    """
    for file, batch in batches_of_files(SourceConfig(name="documents", path=path, text=text)):
        audit.unreadable += len(batch.unreadable)
        if batch.unreadable and not audit.first_unreadable:
            audit.first_unreadable = f"{file}: {batch.unreadable[0].reason}"
        yield Batch(batch.ids.to_pylist(), [f"{file}, row {row:,}" for row in batch.rows.tolist()], batch.texts)
    if audit.documents == 0 and audit.unreadable:
        raise InputError(f"{audit.first_unreadable}; no document could be read: name the field of the text with --text")


def batches_of_files(source: SourceConfig) -> Iterator[tuple[str, RecordBatch]]:
    """Files of a source of one path that belongs to no run, and what each holds, batch by batch.

    Raises:
        InputError: there are no files of documents.
    """
    (path,) = source.paths
    paths = [found for found in list_paths(path) if _is_readable(found, source)]
    records = [found for found in paths if READERS.get(format_of(found, source)).has_fields]
    paths = records or paths  # a README beside records is none
    if not paths:
        raise InputError(
            f"{path}: holds no files of documents; name a run folder, or a folder of Parquet or JSONL files"
        )
    store = open_store(path.rpartition("/")[0] or "/" if path.startswith("/") else ".")
    for file in paths:
        kind = format_of(file, source)
        part = FileSlice(path=file, file=0, source=source.name, format=kind, size=look_at(file).bytes)
        for batch in read_slice(part, source, store.open_input, BATCH_BYTES):
            yield file, batch


def _is_readable(path: str, source: SourceConfig) -> bool:
    try:
        return bool(format_of(path, source))
    except ValueError:
        return False


def contamination_tables(audit: ContaminationAudit) -> list[TableOf]:
    """By set, and the documents."""
    by_set = tuple(
        (told.name, f"{told.items:,}", f"{told.untested:,}", f"{told.found:,}", f"{told.documents:,}")
        for told in audit.sets
    )
    rows = tuple(
        (
            found.document,
            found.set,
            f"{found.line:,}",
            found.question[:80],
            f"{found.covered:,} of {found.words:,}" + (" (question)" if found.by == BY[0] else " (with answer)"),
        )
        for found in audit.found
    )
    note = (
        f"{audit.documents:,} documents, {audit.text_bytes / 1e6:,.1f} MB of text; {audit.contaminated:,} hold an item."
    )
    if audit.unreadable:
        note += f" NOT SEARCHED: {audit.unreadable:,} records that cannot be read, such as {audit.first_unreadable}."
    if audit.more_places:
        note += f" {audit.more_places:,} documents hold items at more places than are listed."
    return [
        TableOf(
            "Contamination by evaluation set",
            note,
            ("set", "items", "too short or empty", "found", "documents"),
            by_set,
            frozenset({1, 2, 3, 4}),
        ),
        TableOf("Documents that hold items", "", ("document", "set", "line", "question", "words held"), rows),
    ]
