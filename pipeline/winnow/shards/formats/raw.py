"""Raw shards: the bare token payload, with an index of documents for each trainer that reads such files.

One payload (``.bin``) serves Megatron-LM and NeMo (``.idx``), datatrove and nanotron (``.ds.index``), OLMo-core
(``.csv.gz``; ``.ds.loss`` for loss masks), and whoever maps the file itself (nanoGPT; ``.offsets``). Layouts:
Megatron's ``megatron/core/datasets/indexed_dataset.py``, datatrove's ``utils/dataset.py``, OLMo-core's
``data/utils.py`` and ``data/numpy_dataset.py``.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import FormatError
from winnow.shards.formats.documents import Documents, documents_of, pieces_of
from winnow.shards.formats.payload import check_signed, pieces_of_bytes
from winnow.shards.formats.shard_format import RowShape, ShardFiles, ShardFormat, ShardSink
from winnow.shards.packed_rows import PackedRows

PAYLOAD = ".bin"
SIDECARS = (".idx", ".ds.index", ".csv.gz", ".offsets")
"""Written beside the payload, in this order."""
LOSS = ".ds.loss"
"""One byte a token, 1 where it is to be learned: ``label_mask_paths`` of OLMo-core; the name is datatrove's."""
LOSS_MASK = "loss_mask"
"""The one further column that readers of raw files know."""
NAMES = (".ds", ".npy")
"""Names under which datatrove, nanotron and OLMo-core look for the payload: hard links, where the disk has them."""
_MAGIC = b"MMIDIDX\x00\x00"
_HEADER = struct.Struct("<9sQBQQ")
_TYPE_CODES = {np.dtype(np.int32): 4, np.dtype(np.uint16): 8}
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def sidecars(packed: PackedRows, document_separator: int | None, vocabulary_size: int) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of every index of the payload.

    Args:
        packed: the rows; of columns only ``loss_mask`` has a place here, numbers of documents have none.
        joined_by: as for :func:`documents_of`.
        vocabulary_size: largest id + 1.

    Raises:
        FormatError: the rows have other columns, or ids do not fit int32.
    """
    others = [name for name in packed.columns if name != LOSS_MASK]
    if others:
        raise FormatError(
            f"raw shards hold token ids and {LOSS_MASK} only, not {', '.join(others)}; use parquet or mds"
        )
    check_signed(vocabulary_size, "Megatron")
    documents = documents_of(packed, document_separator)
    # The kinds that store nothing but borders cannot leave padding out: it counts to the document before it.
    borders = np.append(documents.starts, packed.rows.size)
    borders[0] = 0
    yield ".idx", megatron_index(documents, packed.rows.dtype)
    yield ".ds.index", borders[1:].astype("<u8").tobytes()
    yield ".csv.gz", gzipped("".join(f"{s},{e}\n" for s, e in zip(*map(np.ndarray.tolist, documents), strict=True)))
    file = io.BytesIO()
    np.save(file, borders.astype("<i8"))
    yield ".offsets", file.getvalue()
    if LOSS_MASK in packed.columns:
        yield LOSS, packed.columns[LOSS_MASK].astype(np.uint8).tobytes()


def loss_mask(content: bytes | NDArray[np.uint8], row_tokens: int) -> NDArray[np.uint8]:
    """uint8[R, L] from the content of a ``.ds.loss`` file."""
    mask: NDArray[np.uint8] = np.frombuffer(content, np.uint8)
    if len(mask) % row_tokens:
        raise FormatError(f"a loss mask of {len(mask):,} bytes has no whole rows of {row_tokens:,}; the file was cut")
    return mask.reshape(-1, row_tokens)


def payload(packed: PackedRows) -> Iterator[memoryview]:
    """The bytes of the ``.bin`` file."""
    return pieces_of_bytes(packed.rows)


def megatron_index(documents: Documents, dtype: np.dtype[np.generic]) -> bytes:
    """Megatron's ``.idx``: one sequence a document. uint32 ids are written as int32, which has the same bytes.

    Raises:
        FormatError: a document is longer than int32 counts.
    """
    lengths = documents.ends - documents.starts
    if len(lengths) and int(lengths.max()) >= 1 << 31:
        raise FormatError(f"a document of {int(lengths.max()):,} tokens: Megatron counts to {(1 << 31) - 1:,}")
    code = _TYPE_CODES[np.dtype(np.int32) if dtype.itemsize == 4 else np.dtype(np.uint16)]
    number = len(lengths)
    return b"".join(
        [
            _HEADER.pack(_MAGIC, 1, code, number, number + 1),
            lengths.astype("<i4").tobytes(),
            (documents.starts * dtype.itemsize).astype("<i8").tobytes(),
            np.arange(number + 1, dtype="<i8").tobytes(),
        ]
    )


def gzipped(text: str) -> bytes:
    """A gzip member without time and name, so that equal text gives equal bytes."""
    data = text.encode()
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush()
    return _GZIP_HEADER + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFF_FFFF)


def read(ids: bytes | NDArray[np.uint8], index: bytes, row_tokens: int) -> PackedRows:
    """Rows from the contents of ``.bin`` and ``.idx``.

    Args:
        ids: the payload.
        index: Megatron's index.
        row_tokens: L.

    Raises:
        FormatError: the two do not belong together.
    """
    pieces, offsets, dtype = read_index(len(ids), index, row_tokens)
    return PackedRows(np.frombuffer(ids, dtype).reshape(-1, row_tokens), pieces, offsets)


def read_index(
    payload_bytes: int, index: bytes, row_tokens: int
) -> tuple[NDArray[np.uint32], NDArray[np.int64], np.dtype[Any]]:
    """Lengths uint32[P] of the pieces in the rows, offsets int64[R + 1] into them, and the type of the ids.

    Args and errors as of :func:`read`, of a payload of so many bytes.
    """
    if len(index) < _HEADER.size:
        raise FormatError(f"not a Megatron index: {len(index):,} bytes; the file was cut")
    magic, version, code, number, borders = _HEADER.unpack_from(index)
    dtypes: dict[int, np.dtype[Any]] = {4: np.dtype(np.uint32), 8: np.dtype(np.uint16)}
    dtype = dtypes.get(code)
    if magic != _MAGIC or version != 1 or dtype is None:
        raise FormatError(f"not a Megatron index of 2- or 4-byte ids (magic {magic!r}, version {version}, type {code})")
    if payload_bytes % (dtype.itemsize * row_tokens):
        raise FormatError(
            f"{payload_bytes:,} bytes are no whole number of rows of {row_tokens:,} ids; the file was cut"
        )
    if len(index) != _HEADER.size + 12 * number + 8 * borders:
        raise FormatError(f"{len(index):,} bytes are no Megatron index of {number:,} documents; the file was cut")
    held, at = payload_bytes // dtype.itemsize, _HEADER.size
    lengths: NDArray[np.int64] = np.frombuffer(index, "<i4", number, at).astype(np.int64)
    starts = np.frombuffer(index, "<i8", number, at + 4 * number) // dtype.itemsize
    ends = starts + lengths
    if (lengths < 0).any() or (starts < np.append(0, ends[:-1])).any() or (ends > held).any():
        raise FormatError(f"the documents of the Megatron index do not follow each other in {held:,} ids")
    return *pieces_of(Documents(starts, ends), held // row_tokens, row_tokens), dtype


def _write(packed: PackedRows, sink: ShardSink) -> None:
    sink.write(payload(packed))
    for suffix, content in sidecars(packed, sink.document_separator, sink.vocabulary_size):
        sink.write([content], suffix)


def _read(files: ShardFiles, shape: RowShape, _rows: int) -> PackedRows:
    packed = read(files.mapped(), files.read(".idx"), shape.row_tokens)
    if not files.has(LOSS):
        return packed
    mask = loss_mask(files.mapped(LOSS), shape.row_tokens)
    if len(mask) != len(packed.rows):
        raise ValueError(f"its loss mask has {len(mask):,} rows, the payload {len(packed.rows):,}")
    return packed._replace(columns={LOSS_MASK: mask})


def _versions(_compression: str) -> dict[str, str]:
    return {"zlib": zlib.ZLIB_RUNTIME_VERSION}


FORMAT = ShardFormat(
    name="raw",
    suffix=PAYLOAD,
    write=_write,
    read=_read,
    sidecars=SIDECARS,
    column_files={LOSS_MASK: LOSS},
    links=NAMES,
    columns=(LOSS_MASK,),
    has_document_boundaries=True,
    versions=_versions,
)
