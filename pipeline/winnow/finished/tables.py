"""The tables of a run that people look at, by name, as pyarrow datasets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.dataset as ds

from winnow.engine.records import Json
from winnow.engine.release import Released
from winnow.errors import ConfigError
from winnow.flow.records import EDITING, RunRecords
from winnow.storage.encrypted_names import is_encrypted


@dataclass(frozen=True)
class Table:
    """One table: what a row is, and its files in the order of the documents."""

    row: str
    format: Literal["parquet", "ipc"]
    files: Callable[[RunRecords], list[Json]]


def _outputs(stage: str, output: str) -> Callable[[RunRecords], list[Json]]:
    return lambda run: [record.outputs[output].reference() for record in run.of(stage)]


TABLES = {
    "documents": Table(
        "a readable document: id, cleaned text, source, kept fields",
        "parquet",
        lambda run: [part.documents for part in run.parts],
    ),
    "signals": Table(
        "a readable document: what its rules are decided by",
        "parquet",
        lambda run: [part.signals for part in run.parts],
    ),
    "signatures": Table(
        "a readable document: MinHash signature and exact hash",
        "ipc",
        lambda run: [part.signatures for part in run.parts],
    ),
    "unreadable": Table(
        "a record, or rest of a file, that could not be read", "parquet", _outputs("measure", "unreadable")
    ),
    "verdicts": Table("a readable document: what the filter decided", "parquet", _outputs("filter", "verdicts")),
    "screen_signals": Table(
        "a document that dedup kept: what operators on GPUs found", "parquet", _outputs("screen_signals", "signals")
    ),
    "screen_failures": Table(
        "a rule on these signals that a document failed: value and threshold", "parquet", _outputs("screen", "failures")
    ),
    "redact_signals": Table(
        "a document that was kept so far: spans of each kind", "parquet", _outputs("redact_spans", "signals")
    ),
    "redact_failures": Table(
        "a rule on these signals that a document failed: value and threshold", "parquet", _outputs("redact", "failures")
    ),
    "edits": Table(
        "a stretch of a kept document's text that is replaced where the text leaves",
        "parquet",
        lambda run: [record.outputs["edits"].reference() for stage in EDITING for record in run.of(stage)],
    ),
    "failures": Table("a rule that a document failed: value and threshold", "parquet", _outputs("filter", "failures")),
    "decisions": Table(
        "a readable document: outcome, rule, keeper, similarity, containment, guard, split, copies",
        "parquet",
        lambda run: [record.outputs["decisions"].reference() for record in run.ledger],
    ),
    "augmented_from": Table(
        "a synthetic text: the document that it was made of",
        "ipc",
        lambda run: [record.outputs["links"].reference() for record in run.of("family_links")],
    ),
    "evaluation_items": Table(
        "an item of an evaluation set: question, words, what was found of it",
        "parquet",
        _outputs("contaminated_items", "items"),
    ),
    "item_places": Table(
        "a place at which a document holds an evaluation item", "parquet", _outputs("contamination", "places")
    ),
    "passages": Table(
        "a passage that stands in the corpus before: place, words, and who has it first",
        "parquet",
        _outputs("passage_spans", "spans"),
    ),
    "tokens": Table("a kept document: token ids", "ipc", _outputs("tokenise", "tokens")),
    "embeddings": Table("a kept document: its vector", "ipc", _outputs("embed", "embeddings")),
    "clusters": Table("a kept document: its cluster", "ipc", _outputs("assign", "clusters")),
    "scores": Table("a kept document: all that select decides by", "parquet", _outputs("scores", "scores")),
}
"""By name. ``doc`` joins them."""


def tables_of(run: RunRecords) -> tuple[str, ...]:
    """Names of the tables that a run has."""
    released = Released(run.store)
    files = {name: table.files(run) for name, table in TABLES.items()}
    return tuple(name for name, of in files.items() if of and not released.holds(of[0]["path"]))


def table_of(run: RunRecords, name: str) -> Any:
    """One table as a ``pyarrow.dataset.Dataset``; files of an object store are fetched to this node's cache, those that
    are encrypted are decrypted as they are read.

    Raises:
        ConfigError: there is no such table, or this run has none. EncryptionError: the key is not there.
    """
    there = tables_of(run)
    if name not in there:
        what = "no such table"
        if name in TABLES:
            what = "removed by compute.keep: needed" if TABLES[name].files(run) else "this run has none"
        raise ConfigError(f"table {name!r}: {what}; there are: {', '.join(there)}")
    table = TABLES[name]
    files = table.files(run)
    if is_encrypted(files[0]["path"]):
        kind = ds.ParquetFileFormat() if table.format == "parquet" else ds.IpcFileFormat()
        fragments = [kind.make_fragment(run.store.columns_of(file["path"])) for file in files]
        return ds.FileSystemDataset(fragments, fragments[0].physical_schema, kind)
    paths = [str(run.store.local(file["path"], file["hash"])) for file in files]
    return ds.dataset(paths, format=table.format, schema=_schema(paths[0], table.format))


def _schema(path: str, kind: str) -> pa.Schema:
    return ds.dataset(path, format=kind).schema
