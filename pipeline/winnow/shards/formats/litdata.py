"""litdata chunks for its ``TokensLoader``: the body is one flat array of tokens, cut again by the loader's block size.

A chunk is ``uint32 n | uint32 offset[n + 1] | items``, little-endian, offsets from the file's start; one row is one
item. The loader drops what is left of a chunk behind whole blocks, so it must be given ``block_size`` = row length;
then chunks hold whole rows and nothing is dropped. Layout: litdata's ``streaming/writer.py`` and ``item_loader.py``.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import FormatError
from winnow.shards.formats.payload import OFFSET_LIMIT, check_signed, pieces_of_bytes
from winnow.shards.formats.shard_format import (
    Compression,
    RowShape,
    ShardFiles,
    ShardFormat,
    ShardId,
    ShardSink,
    rows_without_boundaries,
)
from winnow.shards.packed_rows import PackedRows

Json = dict[str, Any]
_TORCH_TYPES = {2: "no_header_tensor:20", 4: "no_header_tensor:16"}
"""By bytes of an id: uint16, and int32 (litdata knows no unsigned 32-bit tensor)."""
_FLAT_SPEC = '[1, {"type": null, "context": null, "children_spec": []}]'


def file_name(number: int) -> str:
    """Name of a chunk inside its split's folder."""
    return f"chunk-0-{number}.bin"


def file_bytes(rows: int, row_bytes: int) -> int:
    """Size of a chunk."""
    return 8 + 4 * rows + rows * row_bytes


def contents(packed: PackedRows, vocabulary_size: int) -> Iterator[Any]:
    """The bytes of a chunk.

    Raises:
        FormatError: too many rows for one file, further columns, or ids that do not fit int32.
    """
    if packed.columns:
        raise FormatError(f"litdata's TokensLoader holds token ids only, not {', '.join(packed.columns)}; use parquet")
    if packed.rows.dtype.itemsize == 4:
        check_signed(vocabulary_size, "litdata")
    number, row_bytes = len(packed.rows), packed.rows.shape[1] * packed.rows.dtype.itemsize
    if file_bytes(number, row_bytes) > OFFSET_LIMIT:
        raise FormatError(
            f"a litdata chunk of {file_bytes(number, row_bytes):,} bytes: its offsets end at 4 GiB; lower shard_mb"
        )
    offsets = 4 + 4 * (number + 1) + np.arange(number + 1, dtype=np.int64) * row_bytes
    yield np.uint32(number).tobytes() + offsets.astype("<u4").tobytes()
    yield from pieces_of_bytes(packed.rows)


def entry(packed: PackedRows, number: int, size: int) -> Json:
    """The chunk in ``index.json``."""
    return {
        "chunk_bytes": size,
        "chunk_size": len(packed.rows),
        "dim": packed.rows.size,
        "filename": file_name(number),
    }


def index_json(entries: list[Json], id_bytes: int, identity: Any) -> bytes:
    """``index.json`` of a split. ``identity`` stands for the chunks' content: litdata names its cache by it."""
    config = {
        "chunk_bytes": None,
        "chunk_size": None,
        "compression": None,
        "data_format": [_TORCH_TYPES[id_bytes]],
        "data_spec": _FLAT_SPEC,
        "encryption": None,
        "item_loader": "TokensLoader",
    }
    named = hashlib.sha256(json.dumps([entries, identity], sort_keys=True).encode()).hexdigest()
    return json.dumps({"chunks": entries, "config": config, "updated_at": named}, sort_keys=True).encode()


def rows_of(content: NDArray[np.uint8], row_tokens: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """ids[R, L] from the bytes of a chunk.

    Raises:
        ValueError: its offsets are not those of its bytes.
    """
    number = int(content[:4].view("<u4")[0])
    offsets = content[4 : 8 + 4 * number].view("<u4")
    if offsets[-1] != len(content):
        raise ValueError(f"{len(content):,} bytes, its own offsets say {offsets[-1]:,}")
    rows: NDArray[Any] = content[offsets[0] :].view(dtype.newbyteorder("<")).reshape(-1, row_tokens)
    return rows


def _write(packed: PackedRows, sink: ShardSink) -> Json:
    stored = sink.write(contents(packed, sink.vocabulary_size))
    return entry(packed, sink.shard.number, stored.content_bytes)


def _read(files: ShardFiles, shape: RowShape, _rows: int) -> PackedRows:
    return rows_without_boundaries(rows_of(files.mapped(), shape.row_tokens, shape.dtype), files, shape)


def _name(shard: ShardId, _compression: Compression) -> str:
    return file_name(shard.number)


def _index(entries: list[Json], hashes: list[str], id_bytes: int) -> bytes:
    return index_json(entries, id_bytes, hashes)


FORMAT = ShardFormat(
    name="litdata",
    suffix=".bin",
    write=_write,
    read=_read,
    index=_index,
    max_bytes=OFFSET_LIMIT,
    file_bytes=file_bytes,
    file_name=_name,
)
