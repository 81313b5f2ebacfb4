"""MDS shards, read by MosaicML Streaming and LLM Foundry (column ``tokens``).

A shard is ``uint32 n | uint32 offset[n + 1] | JSON | samples``, little-endian, offsets from the file's start; a sample
with nothing but fixed-size columns is their bytes in the order of their names. ``index.json`` lists all shards of a
split. Layout: streaming's ``base/format/mds/writer.py``, version 2.
"""

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from winnow.errors import FormatError
from winnow.shards.formats.payload import OFFSET_LIMIT, PIECE_BYTES, pieces_of_bytes
from winnow.shards.formats.shard_format import (
    Compression,
    RowShape,
    ShardFiles,
    ShardFormat,
    ShardId,
    ShardSink,
    rows_without_boundaries,
)
from winnow.shards.packed_rows import LABEL, PackedRows
from winnow.storage.encrypted_names import content_name

Json = dict[str, Any]
TOKENS = "tokens"
"""Name of the column that holds the ids: the one LLM Foundry reads."""
_HASHES = ["sha256"]


def file_name(number: int, compression: str) -> str:
    """Name of a shard inside its split's folder."""
    return f"shard.{number:05d}.mds" + (".zstd" if compression == "zstd" else "")


def file_bytes(rows: int, row_bytes: int) -> int:
    """Size of a shard with ``rows`` samples of ``row_bytes``, at most (the JSON is under 4,096 bytes)."""
    return 8 + 4 * rows + 4096 + rows * row_bytes


class MdsShard:
    """One shard: its bytes, and after these were taken, its entry in ``index.json``."""

    def __init__(self, packed: PackedRows, number: int, compression: str) -> None:
        """Raise FormatError if the rows are too many for one file."""
        columns = {TOKENS: packed.rows, **packed.columns, **({} if packed.labels is None else {LABEL: packed.labels})}
        self._columns = {name: columns[name] for name in sorted(columns)}
        self._rows = len(packed.rows)
        self._number = number
        self._config = _config(self._columns, compression)
        self._head = self._header()
        self._hash = hashlib.sha256()
        self._bytes = 0

    def _header(self) -> bytes:
        row_bytes = sum(self._config["column_sizes"])
        text = json.dumps(self._config, sort_keys=True).encode()
        first = 4 + 4 * (self._rows + 1) + len(text)
        size = first + self._rows * row_bytes
        if size > OFFSET_LIMIT:
            raise FormatError(f"an mds shard of {size:,} bytes: its offsets end at 4 GiB; lower shard_mb")
        offsets = first + np.arange(self._rows + 1, dtype=np.int64) * row_bytes
        self._size = size
        return np.uint32(self._rows).tobytes() + offsets.astype("<u4").tobytes() + text

    def _raw(self) -> Iterator[memoryview]:
        yield memoryview(self._head)
        if len(self._columns) == 1:
            yield from pieces_of_bytes(next(iter(self._columns.values())))
            return
        row_bytes = sum(self._config["column_sizes"])
        step = max(1, PIECE_BYTES // row_bytes)
        for start in range(0, self._rows, step):
            block = [c[start : start + step] for c in self._columns.values()]
            parts = [np.ascontiguousarray(c).view(np.uint8).reshape(len(c), -1) for c in block]
            yield from pieces_of_bytes(np.concatenate(parts, axis=1))

    def contents(self) -> Iterator[Any]:
        """The bytes of the file, piece by piece."""
        compressor = None
        if self._config["compression"]:
            compressor = zstandard.ZstdCompressor(level=3).compressobj(size=self._size)
        for piece in self._raw():
            self._bytes += len(piece)
            if compressor:
                self._hash.update(piece)
            yield compressor.compress(piece) if compressor else piece
        if compressor:
            yield compressor.flush()

    def entry(self, size: int, sha256: str) -> Json:
        """The shard in ``index.json``: ``size`` and ``sha256`` are those of the file, before it is encrypted."""
        name = file_name(self._number, "none")
        raw = {"basename": name, "bytes": self._bytes, "hashes": {"sha256": sha256}}
        stored = None
        if self._config["compression"]:
            raw["hashes"] = {"sha256": self._hash.hexdigest()}
            stored = {"basename": file_name(self._number, "zstd"), "bytes": size, "hashes": {"sha256": sha256}}
        return {"samples": self._rows, "raw_data": raw, "zip_data": stored, **self._config}


def _config(columns: dict[str, Any], compression: str) -> Json:
    return {
        "version": 2,
        "format": "mds",
        "compression": "zstd" if compression == "zstd" else None,
        "hashes": _HASHES,
        "size_limit": None,
        "column_names": list(columns),
        "column_encodings": [_encoding(column) for column in columns.values()],
        "column_sizes": [int(np.prod(column.shape[1:])) * column.dtype.itemsize for column in columns.values()],
    }


def _encoding(column: NDArray[Any]) -> str:
    """A number a row is a scalar, a row of numbers an array."""
    name = column.dtype.name
    return name if column.ndim == 1 else f"ndarray:{name}:{column.shape[1]}"


def index_json(entries: list[Json]) -> bytes:
    """``index.json`` of a split."""
    return json.dumps({"version": 2, "shards": entries}, sort_keys=True).encode()


def columns_of(content: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Columns by name, from the bytes of a shard that is not compressed.

    Raises:
        ValueError: its offsets are not those of its bytes.
    """
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


def _write(packed: PackedRows, sink: ShardSink) -> Json:
    shard = MdsShard(packed, sink.shard.number, sink.compression)
    stored = sink.write(shard.contents())
    return shard.entry(stored.content_bytes, stored.content_hash.removeprefix("sha256:"))


def _read(files: ShardFiles, shape: RowShape, _rows: int) -> PackedRows:
    content = files.mapped()
    if content_name(files.path).endswith(".zstd"):
        content = np.frombuffer(zstandard.ZstdDecompressor().decompress(content.data), np.uint8)
    columns = columns_of(content)
    ids, labels = columns.pop(TOKENS), columns.pop(LABEL, None)
    return rows_without_boundaries(ids, files, shape, columns, labels)


def _name(shard: ShardId, compression: Compression) -> str:
    return file_name(shard.number, compression)


def _index(entries: list[Json], _hashes: list[str], _id_bytes: int) -> bytes:
    return index_json(entries)


def _versions(compression: str) -> dict[str, str]:
    return {"zstandard": version("zstandard")} if compression == "zstd" else {}


FORMAT = ShardFormat(
    name="mds",
    suffix=".mds",
    write=_write,
    read=_read,
    index=_index,
    columns=None,
    labels=True,
    compressible=True,
    max_bytes=OFFSET_LIMIT,
    file_bytes=file_bytes,
    file_name=_name,
    versions=_versions,
)
