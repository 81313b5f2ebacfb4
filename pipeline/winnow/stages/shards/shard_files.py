"""The files of a shard: its rows in every format that the config asks for.

Each format writes one main file a shard, and what its readers want beside it. Parquet files lie in the shard set's
folder; another format has a folder of its own with one folder a split, as its library expects.
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from winnow.engine.records import Json, Output
from winnow.engine.stage import Workspace
from winnow.errors import FormatError
from winnow.shards.footer import describe_footer
from winnow.shards.formats import litdata, mds, raw
from winnow.shards.formats.payload import OFFSET_LIMIT, check_ids
from winnow.shards.packed_rows import PackedRows
from winnow.shards.parquet import ParquetShardWriter
from winnow.storage.store import Store


def document_separator(row: str, end_of_text: int) -> int | None:
    """The id that ends documents where rows are one stream, so that a document may go on in the next row; else None."""
    return end_of_text if row == "concat" else None


class ShardId(NamedTuple):
    """Which shard of a set."""

    folder: str
    """The shard set."""
    split: str
    number: int
    of: int

    @property
    def name(self) -> str:
        """E.g. ``train-00000-of-00007``."""
        return f"{self.split}-{self.number:05d}-of-{self.of:05d}"

    def path(self, file_format: str, compression: str) -> str:
        """Main file of the shard in one format."""
        if file_format == "parquet":
            return f"{self.folder}/{self.name}.parquet"
        names = {
            "raw": self.name + raw.PAYLOAD,
            "mds": mds.file_name(self.number, compression),
            "litdata": litdata.file_name(self.number),
        }
        return f"{self.folder}/{file_format}/{self.split}/{names[file_format]}"


class Written(NamedTuple):
    """What one format wrote of one shard."""

    outputs: dict[str, Output]
    """By name: the format's own for the main file, the format and a suffix for others."""
    entry: Json | None
    """The shard's entry in the format's index of the split; of a Parquet file, its ``footer`` for the manifest."""


def write_rows(workspace: Workspace, place: ShardId, packed: PackedRows) -> None:
    """Write a shard in every format of the stage's settings and publish the files."""
    settings = workspace.settings
    check_ids(packed.rows, settings["vocabulary_size"])
    for file_format in settings["formats"]:
        with workspace.timed(f"write_{file_format}"):
            written = write_format(workspace.store, file_format, place, packed, settings)
        workspace.outputs |= written.outputs
        if written.entry is not None:
            workspace.metadata[file_format] = written.entry


def write_format(store: Store, file_format: str, place: ShardId, packed: PackedRows, settings: Json) -> Written:
    """Write a shard in one format.

    Args:
        store: where the shard set lies.
        file_format: one of ``FORMATS``.
        place: which shard.
        packed: its rows.
        settings: of the shards stage: ``compression``, ``vocabulary_size``, ``document_separator``.

    Raises:
        FormatError: the format cannot hold these rows.
    """
    path = place.path(file_format, settings["compression"])
    size = settings["vocabulary_size"]
    entry: Json | None = None
    outputs: dict[str, Output] = {}
    if file_format == "parquet":
        outputs["parquet"] = _write_parquet(store, path, packed, settings["compression"])
        with store.open(path) as file:
            entry = {"footer": describe_footer(file)}
    elif file_format == "raw":
        outputs["raw"] = _write(store, path, raw.payload(packed), len(packed.rows))
        for suffix, content in raw.sidecars(packed, settings["joined_by"], size):
            beside = path.removesuffix(raw.PAYLOAD) + suffix
            outputs[f"raw{suffix.replace('.', '_')}"] = _write(store, beside, [content], len(packed.rows))
        for suffix in raw.NAMES:
            store.link(path, path.removesuffix(raw.PAYLOAD) + suffix)
    elif file_format == "mds":
        shard = mds.MdsShard(packed, place.number, settings["compression"])
        stored = outputs["mds"] = _write(store, path, shard.contents(), len(packed.rows))
        entry = shard.entry(stored.bytes, stored.hash.removeprefix("sha256:"))
    else:
        stored = outputs["litdata"] = _write(store, path, litdata.contents(packed, size), len(packed.rows))
        entry = litdata.entry(packed, place.number, stored.bytes)
    for output in outputs.values():
        store.drop_page_cache(output.path)
    return Written(outputs, entry)


def _write(store: Store, path: str, contents: Iterable[Any], rows: int) -> Output:
    with store.create(path, "sha256") as draft:
        for piece in contents:
            draft.write(piece)
    return Output(path, draft.bytes, rows, draft.hash)


def _write_parquet(store: Store, path: str, packed: PackedRows, compression: Literal["none", "zstd"]) -> Output:
    with store.create(path, "sha256") as draft:
        writer = ParquetShardWriter(
            draft.arrow(),
            packed.rows.shape[1],
            packed.rows.dtype,
            compression,
            {name: column.dtype for name, column in packed.columns.items()},
            docs=packed.docs is not None,
            labels=packed.labels is not None,
        )
        writer.write(*packed)
        writer.close()
    return Output(path, draft.bytes, len(packed.rows), draft.hash)


def index_bytes(file_format: str, entries: list[Json], hashes: list[str], id_bytes: int) -> bytes:
    """``index.json`` of one split in one format of ``INDEXED``.

    Args:
        file_format: mds or litdata.
        entries: as ``Written.entry`` has them, in the order of the shards.
        hashes: of the shards' main files.
        id_bytes: of one token id.
    """
    return mds.index_json(entries) if file_format == "mds" else litdata.index_json(entries, id_bytes, hashes)


def check_formats(formats: Iterable[str], rows: int, row_bytes: int) -> None:
    """Look at the largest shard before anything is computed.

    Args:
        formats: that are to be written.
        rows: of the largest shard.
        row_bytes: of a row, further columns included.

    Raises:
        FormatError: a format's files cannot be that large.
    """
    for name, file_bytes in (("mds", mds.file_bytes), ("litdata", litdata.file_bytes)):
        if name in formats and file_bytes(rows, row_bytes) > OFFSET_LIMIT:
            raise FormatError(
                f"{name} cannot hold a shard of {rows * row_bytes / 1e6:,.0f} MB: its offsets end at 4 GiB; set "
                "shards.shard_mb to 4000 or less, or shards.shard_tokens to less"
            )
