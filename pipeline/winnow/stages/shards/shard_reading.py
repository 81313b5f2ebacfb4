"""Rows of published shards, back from any format: for looking at them, counting, and writing them in another one."""

from collections.abc import Callable, Iterator

import numpy as np

from winnow.engine.records import Json
from winnow.errors import FormatError
from winnow.shards.formats.formats import FORMATS, formats_that, has_document_boundaries
from winnow.shards.formats.shard_format import RowShape, ShardFiles
from winnow.shards.packed_rows import PackedRows
from winnow.storage.store import Store


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
        FormatError: the format does not tell where documents begin, or cannot be read at all.
        OSError, ValueError: the file is missing, or does not hold what the manifest says.
    """
    rows = shard["rows"] if first_rows is None else min(first_rows, shard["rows"])
    read = _reader(path, file_format)
    if not has_document_boundaries(file_format, shape) and not whole_rows:
        raise FormatError(
            f"{path}: {file_format} files do not say where documents begin; add "
            f"{formats_that(lambda known: known.read and known.has_document_boundaries)} to shards.formats"
        )
    packed = read(ShardFiles(store, path, shard), shape, rows)
    tokens = _checked(packed, shape)
    if first_rows is None:
        _check_whole(len(packed.rows), tokens, file_format, shard, shape)
    return _first(packed, rows)


def read_shard_parts(store: Store, path: str, file_format: str, shard: Json, shape: RowShape) -> Iterator[PackedRows]:
    """All rows of one shard, in order; some at a time where the format can.

    Args, Raises: as :func:`read_shard` with ``whole_rows``.
    """
    files, read_parts = ShardFiles(store, path, shard), FORMATS.get(file_format).read_parts
    rows = tokens = 0
    for packed in read_parts(files, shape) if read_parts else [_reader(path, file_format)(files, shape, shard["rows"])]:
        rows, tokens = rows + len(packed.rows), tokens + _checked(packed, shape)
        yield packed
    _check_whole(rows, tokens, file_format, shard, shape)


def _reader(path: str, file_format: str) -> Callable[[ShardFiles, RowShape, int], PackedRows]:
    read = FORMATS.get(file_format).read
    if read is None:
        raise FormatError(f"{path}: shard format {file_format} only writes; add another one to shards.formats")
    return read


def _check_whole(rows: int, tokens: int, file_format: str, shard: Json, shape: RowShape) -> None:
    """ValueError if a whole shard is not what its entry in the manifest says."""
    if rows != shard["rows"]:
        raise ValueError(f"holds {rows:,} rows, the manifest says {shard['rows']:,}")
    if tokens != shard["tokens"] and has_document_boundaries(file_format, shape):
        raise ValueError(f"document pieces hold {tokens:,} tokens, the manifest says {shard['tokens']:,}")


def _checked(packed: PackedRows, shape: RowShape) -> int:
    """Tokens of all pieces; ValueError if rows or pieces have another shape."""
    if packed.rows.dtype != shape.dtype or packed.rows.shape[1] != shape.row_tokens:
        raise ValueError(
            f"rows of {packed.rows.shape[1]:,} {packed.rows.dtype} ids, the manifest says "
            f"{shape.row_tokens:,} {shape.dtype}"
        )
    return _checked_pieces(packed, shape)


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
        packed.preferences,
    )
