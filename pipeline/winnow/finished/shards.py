"""The shards of a finished run: which files hold which rows, in which format."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import zstandard

from winnow.engine.records import Json
from winnow.errors import ConfigError, FormatError, StorageError
from winnow.flow.records import RunRecords
from winnow.shards.footer import footer_fault
from winnow.shards.formats.formats import FORMATS, in_order
from winnow.shards.formats.shard_format import RowShape
from winnow.shards.packed_rows import PackedRows
from winnow.stages.shards.shard_files import document_separator
from winnow.stages.shards.shard_reading import read_shard
from winnow.stages.shards.shard_set import described_formats
from winnow.storage.store import Store


class StoredShard(NamedTuple):
    """One shard of a set."""

    split: str
    number: int
    of: int
    entry: Json
    """In the manifest."""
    path: str
    """In the run folder."""


def row_shape(manifest: Json) -> RowShape:
    """What the manifest says of the rows."""
    shards, vocabulary = manifest["shards"], manifest["vocabulary"]
    return RowShape(
        shards["row_tokens"],
        np.dtype(shards["dtype"]),
        document_separator(shards["row"], vocabulary["end_of_text"]),
        vocabulary["end_of_text"],
    )


def best_source(manifest: Json) -> str:
    """The written format that tells most about the rows.

    Raises:
        ConfigError: no format of the set can be read back.
    """
    written = in_order(described_formats(manifest["shards"]))
    readable = [name for name in written if FORMATS.get(name).read is not None]
    if not readable:
        raise ConfigError(f"{', '.join(written)} shards are only written; add another format to shards.formats")
    return next((name for name in readable if FORMATS.get(name).has_document_boundaries), readable[0])


def stored_shards(run: RunRecords, file_format: str, split: str | None = None) -> Iterator[StoredShard]:
    """Shards in one format, split by split, in the global order.

    Raises:
        ConfigError: there is no such split.
    """
    splits = described_formats(run.manifest["shards"])[file_format]
    if split is not None and split not in splits:
        raise ConfigError(f"{run.shards} has no split {split!r}; there are {', '.join(splits)}")
    for name in splits if split is None else [split]:
        entries = splits[name]["shards"]
        for number, entry in enumerate(entries):
            yield StoredShard(name, number, len(entries), entry, f"{run.shards}/{entry['path']}")


def read_stored(
    run: RunRecords, file_format: str, shard: StoredShard, first_rows: int | None = None, *, whole_rows: bool = False
) -> PackedRows:
    """Rows of a shard; ``whole_rows`` as in :func:`winnow.stages.shards.shard_reading.read_shard`.

    Raises:
        StorageError: the file is missing or not as the manifest describes it.
        ConfigError: its format cannot tell where documents begin.
    """
    try:
        shape = row_shape(run.manifest)
        _check_footer(run, shard)
        return read_shard(run.store, shard.path, file_format, shard.entry, shape, first_rows, whole_rows=whole_rows)
    except FormatError as error:
        raise ConfigError(str(error)) from error
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException, zstandard.ZstdError) as error:
        raise StorageError(
            f"{shard.path}: cannot be read ({error}); `winnow verify` lists all damaged files"
        ) from error


def _check_footer(run: RunRecords, shard: StoredShard) -> None:
    """ValueError if the footer of a Parquet shard is not the one that the manifest describes."""
    if "footer" in shard.entry:
        footer = shard.entry["footer"]
        with run.store.open(shard.path) as file:
            file.seek(max(0, file.seek(0, 2) - footer["bytes"]))
            fault = footer_fault(file.read(), footer["bytes"], footer["sha256"])
        if fault is not None:
            raise ValueError(fault)


def check_stored(run: RunRecords, shard: StoredShard) -> None:
    """Raise StorageError if a shard's files are not those that the manifest describes."""
    folder = shard.path.removesuffix(shard.entry["path"])
    for file in [shard.entry, *shard.entry.get("files", [])]:
        fault = check_file(run.store, folder + file["path"], file, shard.split)
        if fault is not None:
            raise StorageError(fault)


def check_file(store: Store, path: str, file: Json, split: str) -> str | None:
    """What is wrong with a file that the manifest describes: missing, cut or grown, altered; or None."""
    size = store.size(path)
    if size is None:
        return f"{path}: missing; the manifest names it in split {split}"
    if size != file["bytes"]:
        what = "cut" if size < file["bytes"] else "grown"
        return f"{path}: {what}; it has {size:,} bytes, the manifest says {file['bytes']:,}"
    found = store.hash(path, "sha256").removeprefix("sha256:")
    if found != file["sha256"]:
        return f"{path}: altered; sha256 is {found}, the manifest says {file['sha256']}"
    return None
