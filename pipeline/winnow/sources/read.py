"""The way in: which reader a file needs, and reading a slice of it."""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from winnow.operators.config import OperatorConfig
from winnow.sources.folders import folder_values, tables_with_a_log, with_folder_values
from winnow.sources.readers.outside import checked_batches, named_faults
from winnow.sources.readers.registry import READERS, formats_by_suffix, formats_with_fields, is_cut_by_bytes, suffix_of
from winnow.sources.records import FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice, OpenBinary
from winnow.sources.source import AUTO, SourceConfig
from winnow.sources.stored_file import COMPRESSIONS, StoredFile, compression_of, fault_of
from winnow.sources.structured.refused import without_refused
from winnow.sources.web.records import text_of_html
from winnow.storage.address import without_query


def format_of(path: str, config: SourceConfig) -> str:
    """What a file of a source holds: the name of its reader.

    ``auto`` goes by suffix. A format without fields takes every file. Others take files with their suffix, and others
    only where the source's path names the file, or its suffix behind a glob (``raw/*.data``): a README in a folder of
    records is not a record.

    Raises:
        ValueError: the suffix says nothing, or something else than the config; the message names the file.
    """
    compression = compression_of(path)
    address, path = path, without_query(path)
    bare = path[: len(path) - len(compression)]
    suffix = suffix_of(bare)
    suffixes = formats_by_suffix()
    wanted = suffixes.get(suffix)
    if config.format != AUTO and not READERS.get(config.format).has_fields:
        return config.format
    if wanted is not None and config.structure_fields and not READERS.get(wanted).has_fields:
        raise ValueError(
            f"{path}: source {config.name!r} reads {' and '.join(config.structure_fields)}, and files of format "
            f"{wanted} have no fields; narrow `path` to files of {formats_with_fields()}, or set `format`"
        )
    if config.format not in (AUTO, wanted):
        name = PurePosixPath(path).name
        last_parts = [PurePosixPath(without_query(entry)).name for entry in config.paths]
        named = any(part == name or (suffix and part.endswith(suffix + compression)) for part in last_parts)
        named |= bool(config.paths_from or config.ranges_from)  # a list names its files
        wanted = config.format if named else None
    if wanted is None:
        is_known = config.format == AUTO
        expected = "a known suffix" if is_known else f"a suffix of format {config.format}"
        there_are = [name for name, of in suffixes.items() if is_known or of == config.format]
        raise ValueError(
            f"{address}: source {config.name!r} cannot tell what this file holds: suffix {suffix or '(none)'!r} "
            f"is not {expected} ({', '.join(there_are)}; {' '.join(COMPRESSIONS)} may follow). Narrow `path` "
            f"with a glob such as folder/**/*.jsonl.zst, or name the file itself{', or set `format`' * is_known}"
        )
    if compression and not READERS.get(wanted).may_be_compressed:
        raise ValueError(f"{path}: a {wanted} file cannot be read through {compression}; decompress it first")
    if wanted == "wiki" and isinstance(config.extract, OperatorConfig):
        raise ValueError(f"{path}: `extract: {{use: ...}}` is for HTML; of wikitext, `raw` and a mapper in operators")
    if compression == ".lz4" and find_spec("lz4") is None:
        raise ValueError(f"{path}: .lz4 needs the package lz4: pip install 'winnow-corpus[web]', on every node")
    if config.ranges_from and not READERS.get(wanted).takes_ranges:
        raise ValueError(f"{path}: ranges_from is for web archives (format warc), and this file is {wanted}")
    return wanted


def odd_files(config: SourceConfig, paths: list[str]) -> list[str]:
    """Warnings where the files of a source may be other ones than are meant: a README among records (files without
    fields beside others that have them), and files of a table whose log says that they belong to it no longer."""
    tables = [
        f"source {config.name}: {folder} is a table of {kind}, whose files are read as they lie there, and its log is "
        "not: rows that were deleted or replaced since come back; write what the table holds now into plain "
        "Parquet files, and read that"
        for folder, kind in tables_with_a_log(paths)
    ]
    plain = [path for path in paths if not READERS.get(format_of(path, config)).has_fields]
    if not plain or len(plain) == len(paths):
        return tables
    return [
        *tables,
        f"source {config.name}: {len(plain):,} of {len(paths):,} files are plain text beside records, and become "
        f"documents, such as {plain[0]}; narrow `path` to the files that are meant, such as folder/**/*.jsonl, or give "
        "the texts a source of their own",
    ]


def can_split(path: str, file_format: str, source: SourceConfig) -> bool:
    """Whether parts of a file can be read by themselves."""
    reader, compression = READERS.get(file_format), compression_of(path)
    if reader.pieces is None or (reader.by_separator and source.separator is None):
        return False
    return not compression or compression in reader.split_compressions


def read_slice(
    file_slice: FileSlice, source: SourceConfig, open_binary: OpenBinary, batch_bytes: int
) -> Iterator[RecordBatch]:
    """Read a slice of a file as batches of about ``batch_bytes`` of records; one record may exceed that.

    Every record comes out once: as a row of a batch, or as an ``Unreadable`` with its row. A fault of the
    file ends it with one ``Unreadable`` without a row, after everything before the fault. Rows, texts and
    reasons do not depend on ``batch_bytes``, nor on how a file is cut into slices.

    Raises:
        OSError: only errors that say nothing about the file (too many open files, a lost connection): try
        again. ValueError: ``batch_bytes`` is not positive, or a part is asked of something that has none.
        ReaderError: a reader of another package yields something that is no batch.
    """
    if batch_bytes < 1:
        raise ValueError(f"batch_bytes ({batch_bytes}) must be positive")
    if (file_slice.start or file_slice.stop is not None) and not can_split(file_slice.path, file_slice.format, source):
        raise ValueError(
            f"{file_slice.path}: a {file_slice.format} file like this cannot be read in parts; read it whole"
        )
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
    reader = READERS.get(file_slice.format)
    with file:
        stored = StoredFile(file, file_slice.size)
        batches = reader.read(file_slice, source, stored, batch_bytes)
        if not READERS.is_built_in(reader.name):
            batches = checked_batches(batches, reader.name, file_slice, source, stored)
        batches = named_faults(batches, reader.name, file_slice, stored)
        if source.html:
            batches = text_of_html(batches, source, stored)
        if source.is_chat:
            batches = (without_refused(batch, source, file_slice) for batch in batches)
        values = folder_values(file_slice.path)
        yield from map(partial(with_folder_values, values), batches) if values else batches


def _fault_batch(file_slice: FileSlice, source: SourceConfig, fault: FileFaultError) -> RecordBatch:
    ends = file_slice.size
    if file_slice.stop is not None and is_cut_by_bytes(file_slice.path, file_slice.format):
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
