"""Parquet shards: one row a training sequence, read by Hugging Face datasets, torchtitan, DuckDB, Ray and others as is.

Columns: ``input_ids`` fixed_size_list<uint16 or uint32>[L] and ``doc_lens`` list<uint32>: the lengths of the document
pieces in the row, end-of-text included; what they do not cover at the end of a row is padding. Where the config asks
for them: columns with one number a token, fixed_size_list<uint8, uint16 or uint32>[L], and ``docs`` list<uint64> with
``doc_starts`` list<uint32>, one entry a piece like ``doc_lens``. Rows of labelled documents have ``label`` int64.
Preference pairs have lists of their three parts in place of ``input_ids`` and ``doc_lens``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.shards.footer import describe_footer
from winnow.shards.formats.shard_format import Json, RowShape, ShardFiles, ShardFormat, ShardSink
from winnow.shards.packed_rows import LABEL, NO_COLUMNS, PackedRows
from winnow.shards.preferences import PARTS, pair_columns, pairs_of

A_PIECE = ("doc_lens", "docs", "doc_starts")
"""Columns with one entry for each document piece; all others have one a token."""
ROWS_A_GROUP = 1024
"""Rows of a row group: the unit of random access for readers (16 MB at 4,096 tokens of 4 bytes)."""


def shard_schema(
    row_tokens: int,
    dtype: np.dtype[Any],
    columns: Mapping[str, np.dtype[Any]] | None = None,
    *,
    docs: bool = False,
    labels: bool = False,
    preferences: bool = False,
) -> pa.Schema:
    """Arrow schema of a shard with rows of ``row_tokens`` ids.

    Args:
        row_tokens: L.
        dtype: of the ids.
        columns: further columns with one number a token, and their types.
        docs: whether ``docs`` and ``doc_starts`` are there.
        labels: whether ``label`` is there.
        preferences: whether rows are preference pairs.
    """
    ids = pa.from_numpy_dtype(dtype)
    fields = [
        *([pa.field(name, _list(ids)) for name in PARTS] if preferences else []),
        *(
            []
            if preferences
            else [pa.field("input_ids", _fixed(dtype, row_tokens)), pa.field("doc_lens", _list(pa.uint32()))]
        ),
        *(pa.field(name, _fixed(kind, row_tokens)) for name, kind in (columns or {}).items()),
    ]
    if docs:
        fields += [pa.field("docs", _list(pa.uint64())), pa.field("doc_starts", _list(pa.uint32()))]
    if labels:
        fields.append(pa.field(LABEL, pa.int64()))
    return pa.schema(fields)


def _fixed(dtype: np.dtype[Any], row_tokens: int) -> pa.DataType:
    return pa.list_(pa.field("element", pa.from_numpy_dtype(dtype), nullable=False), row_tokens)


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind, nullable=False))


class ParquetShardWriter:
    """Appends packed rows to one shard; row groups are equal whatever the calls."""

    def __init__(
        self,
        sink: pa.NativeFile,
        row_tokens: int,
        dtype: np.dtype[Any],
        compression: Literal["none", "zstd"],
        columns: Mapping[str, np.dtype[Any]] | None = None,
        *,
        docs: bool = False,
        labels: bool = False,
        preferences: bool = False,
        encryption: Json | None = None,
    ) -> None:
        self._schema = shard_schema(row_tokens, dtype, columns, docs=docs, labels=labels, preferences=preferences)
        self._writer = pq.ParquetWriter(
            sink,
            self._schema,
            compression=compression,
            use_dictionary=False,
            write_statistics=False,
            store_schema=True,
            **(encryption or {}),
        )

    def write(
        self,
        rows: NDArray[Any],
        pieces: NDArray[np.uint32],
        offsets: NDArray[np.int64],
        columns: Mapping[str, NDArray[Any]] = NO_COLUMNS,
        docs: NDArray[np.uint64] | None = None,
        doc_starts: NDArray[np.uint32] | None = None,
        labels: NDArray[np.int64] | None = None,
        preferences: bool = False,
    ) -> None:
        """Append rows; the arguments are the fields of :class:`winnow.shards.packed_rows.PackedRows`."""
        a_token = {"input_ids": rows, **columns}
        a_piece: dict[str, NDArray[Any]] = {"doc_lens": pieces}
        if docs is not None and doc_starts is not None:
            a_piece |= {"docs": docs, "doc_starts": doc_starts}
        for start in range(0, len(rows), ROWS_A_GROUP):
            stop = min(start + ROWS_A_GROUP, len(rows))
            first, last = int(offsets[start]), int(offsets[stop])
            bounds = pa.array((offsets[start : stop + 1] - first).astype(np.int32))
            pairs = pair_columns(rows[start:stop], pieces[first:last]) if preferences else {}
            arrays = []
            for field in self._schema:
                if field.name in pairs:
                    arrays.append(pairs[field.name].cast(field.type))
                elif field.name in a_token:
                    flat = pa.array(a_token[field.name][start:stop].reshape(-1))
                    arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
                elif field.name == LABEL and labels is not None:
                    arrays.append(pa.array(labels[start:stop]))
                else:
                    values = pa.array(a_piece[field.name][first:last])
                    arrays.append(pa.ListArray.from_arrays(bounds, values, type=field.type))
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=ROWS_A_GROUP)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def _write(packed: PackedRows, sink: ShardSink) -> Json:
    with sink.create() as draft:
        writer = ParquetShardWriter(
            draft.arrow(),
            packed.rows.shape[1],
            packed.rows.dtype,
            sink.compression,
            {name: column.dtype for name, column in packed.columns.items()},
            docs=packed.docs is not None,
            labels=packed.labels is not None,
            preferences=packed.preferences,
            encryption=sink.store.encryption() if sink.encrypted else None,
        )
        writer.write(*packed)
        writer.close()
    with sink.store.open(sink.path) as file:
        return {"footer": describe_footer(file)}


def _opened(files: ShardFiles) -> pq.ParquetFile:
    return pq.ParquetFile(files.columns(), **files.decryption())


def _read(files: ShardFiles, shape: RowShape, rows: int) -> PackedRows:
    with _opened(files) as file:
        groups, there = 0, 0
        while there < rows and groups < file.num_row_groups:
            there += file.metadata.row_group(groups).num_rows
            groups += 1
        return _packed(file.read_row_groups(range(groups), use_threads=False), shape)


def _read_parts(files: ShardFiles, shape: RowShape) -> Iterator[PackedRows]:
    """A row group at a time: new memory for a whole shard takes ten times as long as reading it."""
    with _opened(files) as file:
        for group in range(file.num_row_groups):
            yield _packed(file.read_row_group(group, use_threads=False), shape)


def _packed(table: pa.Table, shape: RowShape) -> PackedRows:
    if PARTS[0] in table.column_names:
        return _read_pairs(table, shape)
    lens = _one_array(table.column("doc_lens"))
    offsets = lens.offsets.to_numpy().astype(np.int64)
    a_piece = {name: _one_array(table.column(name)).values.to_numpy() for name in A_PIECE if name in table.column_names}
    a_token: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        if name not in (*A_PIECE, LABEL):
            column = _one_array(table.column(name))
            if not pa.types.is_fixed_size_list(column.type) or column.type.list_size != shape.row_tokens:
                raise ValueError(f"column {name} is {column.type}, expected {shape.row_tokens} numbers a row")
            a_token[name] = column.values.to_numpy().reshape(-1, shape.row_tokens)
    ids = a_token.pop("input_ids")
    labels = _one_array(table.column(LABEL)).to_numpy() if LABEL in table.column_names else None
    return PackedRows(
        ids, a_piece["doc_lens"], offsets, a_token, a_piece.get("docs"), a_piece.get("doc_starts"), labels
    )


def _read_pairs(table: pa.Table, shape: RowShape) -> PackedRows:
    columns = {name: _one_array(table.column(name)) for name in table.column_names}
    rows, pieces = pairs_of(columns, shape.row_tokens, shape.end_of_text)
    docs, starts = (columns[name].values.to_numpy() if name in columns else None for name in A_PIECE[1:])
    offsets = np.arange(len(rows) + 1) * len(PARTS)
    return PackedRows(rows, pieces, offsets, docs=docs, doc_starts=starts, preferences=True)


def _one_array(column: pa.ChunkedArray) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _count(files: ShardFiles) -> tuple[int, int]:
    with _opened(files) as file:
        if PARTS[0] in file.schema_arrow.names:
            pairs = file.read(columns=list(PARTS))
            held = sum(len(chunk.flatten()) for column in pairs.columns for chunk in column.chunks)
            return pairs.num_rows, held + pairs.num_rows
        table = file.read(columns=["doc_lens"])
    tokens = sum(int(chunk.flatten().to_numpy().sum(dtype=np.int64)) for chunk in table.column("doc_lens").chunks)
    return table.num_rows, tokens


FORMAT = ShardFormat(
    name="parquet",
    suffix=".parquet",
    write=_write,
    read=_read,
    read_parts=_read_parts,
    count=_count,
    columns=None,
    docs=True,
    labels=True,
    preferences=True,
    has_document_boundaries=True,
    encrypts=True,
    compressible=True,
    own_folder=False,
    reads_after_writing=1,
)
