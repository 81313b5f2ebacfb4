"""The way in: which reader a file needs, and reading a slice of it."""

from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from winnow.sources.readers.jsonl import read_jsonl
from winnow.sources.readers.parquet import read_parquet
from winnow.sources.readers.plain_text import read_text
from winnow.sources.records import FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice, OpenBinary
from winnow.sources.source import Format, SourceConfig
from winnow.sources.stored_file import COMPRESSIONS, StoredFile, compression_of, fault_of

SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".markdown": "text",
    ".rst": "text",
    ".org": "text",
    ".adoc": "text",
    ".tex": "text",
}


def format_of(path: str, config: SourceConfig) -> Format:
    """What a file of a source holds.

    ``auto`` goes by suffix. ``text`` takes every file. ``jsonl`` and ``parquet`` take files with such a
    suffix, and others only where the source's path names the file, or its suffix behind a glob
    (``raw/*.data``): a README in a folder of records is not a record.

    Raises:
        ValueError: the suffix says nothing, or something else than the config; the message names the file.
    """
    compression = compression_of(path)
    bare = path[: len(path) - len(compression)]
    suffix = PurePosixPath(bare).suffix.lower()
    found = SUFFIXES.get(suffix)
    if config.format == "text":
        return "text"
    wanted = found
    if found == "text" and config.structure_fields:
        raise ValueError(
            f"{path}: source {config.name!r} reads {' and '.join(config.structure_fields)}, and plain text has no "
            "fields; narrow `path` to JSONL or Parquet files, or set `format`"
        )
    if config.format != "auto" and config.format != found:  # noqa: PLR1714 (types)
        name = PurePosixPath(path).name
        last_parts = [PurePosixPath(entry).name for entry in config.paths]
        named = any(part == name or (suffix and part.endswith(suffix + compression)) for part in last_parts)
        wanted = config.format if named else None
    if wanted is None:
        expected = "a known suffix" if config.format == "auto" else f"a suffix of format {config.format}"
        raise ValueError(
            f"{path}: source {config.name!r} cannot tell what this file holds: suffix {suffix or '(none)'!r} "
            f"is not {expected} ({', '.join(SUFFIXES)}; {' '.join(COMPRESSIONS)} may follow). Narrow `path` "
            "with a glob such as folder/**/*.jsonl.zst, name the file itself, or set `format`"
        )
    if wanted == "parquet" and compression:
        raise ValueError(f"{path}: a Parquet file cannot be read through {compression}; decompress it first")
    return wanted


def read_slice(
    file_slice: FileSlice, source: SourceConfig, open_binary: OpenBinary, batch_bytes: int
) -> Iterator[RecordBatch]:
    """Read a slice of a file as batches of about ``batch_bytes`` of records; one record may exceed that.

    Every record comes out once: as a row of a batch, or as an ``Unreadable`` with its row. A fault of the
    file ends it with one ``Unreadable`` without a row, after everything before the fault. Rows, texts and
    reasons do not depend on ``batch_bytes``, nor on how a file is cut into slices.

    Raises:
        OSError: only errors that say nothing about the file (too many open files, a lost connection): try
        again. ValueError: ``batch_bytes`` is not positive, or a byte range is asked of something that has
        none.
    """
    if batch_bytes < 1:
        raise ValueError(f"batch_bytes ({batch_bytes}) must be positive")
    if (file_slice.start or file_slice.stop is not None) and (
        file_slice.format == "text" or (file_slice.format == "jsonl" and compression_of(file_slice.path))
    ):
        raise ValueError(f"{file_slice.path}: only uncompressed JSONL and Parquet can be read in parts; read it whole")
    try:
        yield from _read(file_slice, source, open_binary, batch_bytes)
    except FileFaultError as fault:
        yield _fault_batch(file_slice, source, fault)


def _read(
    file_slice: FileSlice, source: SourceConfig, open_binary: OpenBinary, batch_bytes: int
) -> Iterator[RecordBatch]:
    try:
        file = open_binary(file_slice.path)
    except OSError as error:
        raise fault_of(error, 0) from error
    with file:
        stored = StoredFile(file, file_slice.size)
        if file_slice.format == "parquet":
            stored.check_kind("Parquet")
            yield from read_parquet(file_slice, source, file, batch_bytes)
        elif file_slice.format == "jsonl":
            yield from read_jsonl(file_slice, source, stored, batch_bytes)
        else:
            yield from read_text(file_slice, source, stored, batch_bytes)


def _fault_batch(file_slice: FileSlice, source: SourceConfig, fault: FileFaultError) -> RecordBatch:
    ends = file_slice.size
    if file_slice.format == "jsonl" and file_slice.stop is not None:
        ends = file_slice.stop
    lost = Unreadable(None, fault.position, fault.reason, max(0, ends - fault.position))
    none = pa.array([], pa.string())
    return RecordBatch(
        rows=np.empty(0, np.uint32),
        ids=none,
        texts=pa.array([], pa.large_string()),
        keep=dict.fromkeys(source.carried, none),
        unreadable=[lost],
        replaced=0,
        bytes_read=0,
    )
