"""The columns of clean text, and where each of them stands."""

from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.shards.documents.cells import is_text
from winnow.sources.source import STRUCTURE
from winnow.stages.edits import edited_columns, read_edits
from winnow.stages.licences import licences_of
from winnow.stages.tables import column_to_numpy, list_lengths, read_ipc, read_parquet, read_partition
from winnow.storage.store import Store
from winnow.text.edits import Edits

KEEP = "keep."
"""What the documents table puts before kept fields."""
_STRUCTURE = KEEP + STRUCTURE
MADE = {"tokens": pa.int64(), "duplicates": pa.int64(), "licence": pa.string()}
"""Columns that stand in no table: token ids of the text, documents removed as copies of it, and the licence that it or
else its source states."""


class Column(NamedTuple):
    """One column of clean text."""

    name: str
    table: str
    """Where it stands: ``documents``, ``decisions``, ``signals``, ``screen_signals``, ``scores``; or it is made."""
    field: str
    """Its name there; of ``licence`` JSON with ``fields`` that hold it and the licences of ``sources``."""


def schema_of(store: Store, columns: list[Column], tables: Json) -> list[list[str]]:
    """Name and type of each column, as the tables of one part have them; strings are ``large_string``.

    ``tables`` names that part's tables. What no source of the part has is a string: a kept field.
    """
    known = {
        table: pq.read_schema(store.columns_of(tables[table]["path"]))
        for table in sorted({column.table for column in columns} - set(MADE))
    }
    types = []
    for column in columns:
        if column.table in MADE:
            kind = MADE[column.table]
        elif column.field in known[column.table].names:
            kind = known[column.table].field(column.field).type
        else:
            kind = pa.string()
        types.append([column.name, "large_string" if is_text(kind) else str(kind)])
    return types


def arrow_schema(described: list[list[str]]) -> pa.Schema:
    """The schema that :func:`schema_of` describes."""
    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in described])


class PartDocuments(NamedTuple):
    """Kept documents of a part, in document order."""

    docs: NDArray[np.uint64]
    """uint64[N]."""
    split: NDArray[np.object_]
    """str[N]: names of splits."""
    table: pa.Table
    """N rows, the columns asked for."""


def read_part(store: Store, tables: Json, columns: list[Column], schema: pa.Schema) -> PartDocuments:
    """Gather the columns of one part.

    Args:
        store: holds the tables.
        tables: references by name; ``duplicates`` and ``part`` where these are counted.
        columns: asked for.
        schema: what they become.

    Raises:
        ValueError: a table lacks a kept document.
    """
    ledger = read_parquet(store, tables["decisions"], ["doc", "split", "copies"])
    kept = ledger.filter(pc.greater(ledger.column("copies"), 0))
    docs = column_to_numpy(kept, "doc")
    found: dict[str, pa.ChunkedArray | pa.Array] = {}
    for name in sorted({column.table for column in columns} - set(MADE)):
        wanted = [column for column in columns if column.table == name]
        with pq.ParquetFile(store.columns_of(tables[name]["path"]), memory_map=True) as file:
            there = {column.field for column in wanted} & set(file.schema_arrow.names)
            beside = {_STRUCTURE} if "edits" in tables and "text" in there else set()
            read = file.read(sorted({"doc", *there, *(beside & set(file.schema_arrow.names))}), use_threads=False)
        rows = read.take(pa.array(_rows_of(column_to_numpy(read, "doc"), docs, tables[name]["path"])))
        if name == "documents" and "edits" in tables and "text" in there:
            rows = _edited(rows, read_edits(store, tables))
        nothing = pa.nulls(len(docs), pa.large_string())
        for column in wanted:
            found[column.name] = rows.column(column.field) if column.field in there else nothing
    for column in columns:
        if column.table == "licence":
            found[column.name] = _licences(store, tables["documents"]["path"], docs, **orjson.loads(column.field))
    if any(column.table == "tokens" for column in columns):
        tokens = read_ipc(store, tables["tokens"])
        found["tokens"] = pa.array(
            list_lengths(tokens, "ids")[_rows_of(column_to_numpy(tokens, "doc"), docs, tables["tokens"]["path"])]
        )
    if any(column.table == "duplicates" for column in columns):
        found["duplicates"] = pa.array(_copies_of(docs, read_partition(store, tables["duplicates"], tables["part"])))
    table = pa.table([found[column.name].cast(schema.field(column.name).type) for column in columns], schema)
    return PartDocuments(docs, kept.column("split").cast(pa.string()).to_numpy(), table)


def _licences(
    store: Store, path: str, docs: NDArray[np.uint64], fields: list[str], sources: dict[str, str | None]
) -> pa.ChunkedArray:
    """string[N]: the licence of each of docs uint64[N], or of its source."""
    with pq.ParquetFile(store.columns_of(path), memory_map=True) as file:
        there = [name for name in (KEEP + field for field in fields) if name in file.schema_arrow.names]
        read = file.read(["doc", "source", *there], use_threads=False)
    return licences_of(read.take(pa.array(_rows_of(column_to_numpy(read, "doc"), docs, path))), fields, sources)


def _edited(rows: pa.Table, edits: Edits) -> pa.Table:
    """Rows of the table of documents with every edit of their texts made."""
    structures = rows.column(_STRUCTURE).combine_chunks() if _STRUCTURE in rows.column_names else None
    docs, texts = column_to_numpy(rows, "doc"), rows.column("text").combine_chunks()
    if len(docs) == 0:
        return rows
    texts, _ = edited_columns(docs, texts, structures, edits)
    return rows.set_column(rows.column_names.index("text"), "text", texts)


def _rows_of(there: NDArray[np.uint64], docs: NDArray[np.uint64], path: str) -> NDArray[np.int64]:
    """Rows int64[N] of documents uint64[N] in a table with documents uint64[T], both rising."""
    rows = np.searchsorted(there, docs)
    if len(docs) and (rows[-1] >= len(there) or np.any(there[rows] != docs)):
        raise ValueError(f"{path}: it lacks documents that the ledger keeps; remove it and run again")
    return rows


def _copies_of(docs: NDArray[np.uint64], counted: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """int64[N]: removed documents whose keeper each of docs uint64[N] is."""
    keepers, documents = counted["doc"], counted["documents"]
    row = np.searchsorted(docs, keepers)
    mine = row < len(docs)
    mine[mine] = docs[row[mine]] == keepers[mine]
    return np.bincount(row[mine], documents[mine], minlength=len(docs)).astype(np.int64)
