"""Rows of published shards, back from any format: for looking at them, counting, and writing them in another one."""

import json
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.errors import FormatError
from winnow.shards.formats import mds, raw
from winnow.shards.formats.documents import Documents, pieces_of
from winnow.shards.packed_rows import LABEL, PackedRows
from winnow.storage.store import Store

A_PIECE = ("doc_lens", "docs", "doc_starts")
"""Parquet columns with one entry for each document piece; all others have one a token."""


class RowShape(NamedTuple):
    """What the manifest says of every row of a set."""

    row_tokens: int
    dtype: np.dtype[Any]
    document_separator: int | None
    """End-of-text id where rows are one stream (``concat``), else None."""


def has_document_boundaries(file_format: str, shape: RowShape) -> bool:
    """Whether files of a format tell where documents begin: mds and litdata only where rows are one stream."""
    return file_format in ("parquet", "raw") or shape.document_separator is not None


def read_shard(
    store: Store,
    path: str,
    file_format: str,
    shard: Json,
    shape: RowShape,
    first_rows: int | None = None,
    *,
    whole_rows: bool = False,
) -> PackedRows:
    """Rows of one shard.

    Args:
        store: where the shard set lies.
        path: its main file.
        file_format: of the file.
        shard: its entry in the manifest.
        shape: of the set's rows.
        first_rows: read no more rows than these from the start; None = all.
        whole_rows: where the format does not tell where documents begin, give each row as one piece, padding included.

    Raises:
        FormatError: the format does not tell where documents begin.
        OSError, ValueError: the file is missing, or does not hold what the manifest says.
    """
    rows = shard["rows"] if first_rows is None else min(first_rows, shard["rows"])
    if file_format == "parquet":
        packed = _read_parquet(store.columns_of(path), rows, shape)
    elif file_format == "raw":
        index = store.read(str(PurePosixPath(path).with_suffix(".idx")))
        packed = raw.read(np.memmap(_local(store, path, shard), np.uint8, "r"), index, shape.row_tokens)
        if any(file["path"].endswith(raw.LOSS) for file in shard.get("files", [])):
            marks = store.local(str(PurePosixPath(path).with_suffix(raw.LOSS)))
            mask = raw.loss_mask(np.memmap(marks, np.uint8, "r"), shape.row_tokens)
            if len(mask) != len(packed.rows):
                raise ValueError(f"its loss mask has {len(mask):,} rows, the payload {len(packed.rows):,}")
            packed = packed._replace(columns={raw.LOSS_MASK: mask})
    elif not has_document_boundaries(file_format, shape) and not whole_rows:
        raise FormatError(
            f"{path}: {file_format} files do not say where documents begin; add parquet or raw to shards.formats"
        )
    else:
        content: Any = np.memmap(_local(store, path, shard), np.uint8, "r")
        if path.endswith(".zstd"):
            content = np.frombuffer(zstandard.ZstdDecompressor().decompress(content), np.uint8)
        columns = _mds_columns(content) if file_format == "mds" else {mds.TOKENS: _litdata_rows(content, shape)}
        ids, labels = columns.pop(mds.TOKENS), columns.pop(LABEL, None)
        if has_document_boundaries(file_format, shape):
            packed = PackedRows(ids, *_pieces_of_stream(ids, shard["tokens"], shape), columns)
        else:
            packed = PackedRows(ids, np.full(len(ids), shape.row_tokens, np.uint32), np.arange(len(ids) + 1), columns)
        packed = packed._replace(labels=labels)
    if first_rows is None and len(packed.rows) != shard["rows"]:
        raise ValueError(f"holds {len(packed.rows):,} rows, the manifest says {shard['rows']:,}")
    if packed.rows.dtype != shape.dtype or packed.rows.shape[1] != shape.row_tokens:
        raise ValueError(
            f"rows of {packed.rows.shape[1]:,} {packed.rows.dtype} ids, the manifest says "
            f"{shape.row_tokens:,} {shape.dtype}"
        )
    tokens = _checked_pieces(packed, shape)
    if first_rows is None and tokens != shard["tokens"] and has_document_boundaries(file_format, shape):
        raise ValueError(f"document pieces hold {tokens:,} tokens, the manifest says {shard['tokens']:,}")
    return _first(packed, rows)


def _checked_pieces(packed: PackedRows, shape: RowShape) -> int:
    """Tokens of all pieces; ValueError if the pieces are not those of these rows."""
    offsets = packed.offsets
    a_piece = [packed.docs, packed.doc_starts]
    if len(offsets) != len(packed.rows) + 1 or offsets[0] != 0 or offsets[-1] != len(packed.pieces):
        raise ValueError("its document pieces are not those of its rows")
    if any(column is not None and len(column) != len(packed.pieces) for column in a_piece):
        raise ValueError("docs, doc_starts and doc_lens differ in length")
    if packed.labels is not None and (len(packed.labels) != len(packed.rows) or packed.labels.dtype.kind != "i"):
        raise ValueError("its labels are not one integer a row")
    held = np.diff(np.concatenate([[0], np.cumsum(packed.pieces, dtype=np.int64)])[offsets])
    if len(held) and held.max() > shape.row_tokens:
        row = int(np.argmax(held))
        raise ValueError(f"document pieces of row {row:,} hold {held[row]:,} tokens, more than {shape.row_tokens:,}")
    return int(held.sum())


def _first(packed: PackedRows, rows: int) -> PackedRows:
    if rows == len(packed.rows):
        return packed
    pieces = int(packed.offsets[rows])
    return PackedRows(
        packed.rows[:rows],
        packed.pieces[:pieces],
        packed.offsets[: rows + 1],
        {name: column[:rows] for name, column in packed.columns.items()},
        None if packed.docs is None else packed.docs[:pieces],
        None if packed.doc_starts is None else packed.doc_starts[:pieces],
        None if packed.labels is None else packed.labels[:rows],
    )


def _local(store: Store, path: str, shard: Json) -> Path:
    return store.local(path, f"sha256:{shard['sha256']}")


def _read_parquet(source: Any, rows: int, shape: RowShape) -> PackedRows:
    with pq.ParquetFile(source) as file:
        groups, there = 0, 0
        while there < rows and groups < file.num_row_groups:
            there += file.metadata.row_group(groups).num_rows
            groups += 1
        table = file.read_row_groups(range(groups), use_threads=False)
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


def _one_array(column: pa.ChunkedArray) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _pieces_of_stream(ids: NDArray[Any], tokens: int, shape: RowShape) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Pieces of rows that are one stream: every end-of-text ends a document, and behind ``tokens`` there is padding."""
    ends = np.flatnonzero(ids.reshape(-1)[:tokens] == shape.document_separator) + 1
    if len(ends) == 0 or ends[-1] != tokens:
        ends = np.append(ends, tokens)
    return pieces_of(Documents(np.concatenate([[0], ends[:-1]]), ends), len(ids), shape.row_tokens)


def _mds_columns(content: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    number = int(content[:4].view("<u4")[0])
    offsets = content[4 : 8 + 4 * number].view("<u4")
    if offsets[-1] != len(content):
        raise ValueError(f"{len(content):,} bytes, its own offsets say {offsets[-1]:,}")
    config = json.loads(content[8 + 4 * number : offsets[0]].tobytes())
    body = content[offsets[0] :].reshape(number, -1)
    columns, at = {}, 0
    for name, encoding, size in zip(*(config[f"column_{k}"] for k in ("names", "encodings", "sizes")), strict=True):
        _, several, kind = encoding.partition("ndarray:")
        values = np.ascontiguousarray(body[:, at : at + size]).view(
            np.dtype(kind.split(":")[0] if several else encoding).newbyteorder("<")
        )
        columns[name] = values if several else values[:, 0]
        at += size
    return columns


def _litdata_rows(content: NDArray[np.uint8], shape: RowShape) -> NDArray[Any]:
    number = int(content[:4].view("<u4")[0])
    offsets = content[4 : 8 + 4 * number].view("<u4")
    if offsets[-1] != len(content):
        raise ValueError(f"{len(content):,} bytes, its own offsets say {offsets[-1]:,}")
    rows: NDArray[Any] = content[offsets[0] :].view(shape.dtype.newbyteorder("<")).reshape(-1, shape.row_tokens)
    return rows
