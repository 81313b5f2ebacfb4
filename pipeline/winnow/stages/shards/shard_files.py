"""The files of a shard: its rows in every format that the config asks for.

Each format writes one main file a shard, and what its readers want beside it. Parquet files lie in the shard set's
folder; another format has a folder of its own with one folder a split, as its library expects.
"""

from typing import NamedTuple

from winnow.engine.records import Json, Output
from winnow.engine.stage import Workspace
from winnow.errors import EncryptionError, FormatError
from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.payload import check_ids
from winnow.shards.formats.shard_format import ShardId, ShardSink, beside
from winnow.shards.packed_rows import PackedRows
from winnow.storage.store import Store


def document_separator(row: str, end_of_text: int) -> int | None:
    """The id that ends documents where rows are one stream, so that a document may go on in the next row; else None."""
    return end_of_text if row == "concat" else None


def outside_formats(names: list[str]) -> Json:
    """Setting ``code``: version and code of the formats that other packages bring; nothing where there are none."""
    found = {name: origin for name in names if (origin := FORMATS.origin(name)) is not None}
    return {"code": found} if found else {}


KEY = "encrypted_with"
"""Setting of stages whose files leave encrypted: the id of the key. Where it is not set, they leave as they are."""

CONTENTS = "contents"
"""In the records of encrypted shards: hashes of what is in the main files, of formats that have an index."""


class Written(NamedTuple):
    """What one format wrote of one shard."""

    outputs: dict[str, Output]
    """By name: the format's own for the main file, the format and a suffix for others."""
    entry: Json | None
    """The shard's entry in the format's index of the split; for formats without one, more of its manifest entry."""
    content_hash: str
    """Of the main file before it was encrypted, if it was: what the index of the split names it by."""


def encrypts(store: Store, settings: Json) -> bool:
    """Whether what a stage with these settings writes is encrypted; then the key is the one that they name.

    Raises:
        EncryptionError: this process has no key, or another one.
    """
    if KEY in settings and (found := store.key().id) != settings[KEY]:
        raise EncryptionError(f"wrong key: this process has the one with id {found}, the run's has id {settings[KEY]}")
    return KEY in settings


def write_rows(workspace: Workspace, place: ShardId, packed: PackedRows) -> None:
    """Write a shard in every format of the stage's settings and publish the files."""
    settings = workspace.settings
    check_ids(packed.rows, settings["vocabulary_size"])
    for file_format in settings["formats"]:
        FORMATS.check_origin(file_format, settings.get("code", {}).get(file_format))
        with workspace.timed(f"write_{file_format}"):
            written = write_format(workspace.store, file_format, place, packed, settings, once=KEY in settings)
        workspace.outputs |= written.outputs
        if written.entry is not None:
            workspace.metadata[file_format] = written.entry
        if KEY in settings and FORMATS.get(file_format).index is not None:
            workspace.metadata.setdefault(CONTENTS, {})[file_format] = written.content_hash


def write_format(
    store: Store, file_format: str, place: ShardId, packed: PackedRows, settings: Json, *, once: bool = False
) -> Written:
    """Write a shard in one format.

    Args:
        store: where the shard set lies.
        file_format: one of ``FORMATS``.
        place: which shard.
        packed: its rows.
        settings: of the shards stage: ``compression``, ``vocabulary_size``, ``joined_by``; :data:`KEY` to encrypt.
        once: as of :meth:`winnow.storage.store.Store.create`.

    Raises:
        FormatError: the format cannot hold these rows, or does not write what it says.
    """
    chosen = FORMATS.get(file_format)
    chosen.check_rows(packed)
    compression, encrypted = settings["compression"], encrypts(store, settings)
    path = chosen.path(place, compression, encrypted=encrypted)
    sink = ShardSink(
        store, path, place, compression, settings["vocabulary_size"], settings["joined_by"], encrypted, once
    )
    entry = chosen.write(packed, sink)
    expected = {"", *chosen.sidecars, *(s for name, s in chosen.column_files.items() if name in packed.columns)}
    if set(sink.drafts) != expected:
        raise FormatError(
            f"shard format {file_format!r} wrote {_suffixes(set(sink.drafts))}, and says that it writes "
            f"{_suffixes(expected)}"
        )
    outputs = {
        file_format + suffix.replace(".", "_"): Output(path, draft.bytes, len(packed.rows), draft.hash)
        for suffix, (path, draft) in sink.drafts.items()
    }
    for suffix in () if encrypted else chosen.links:  # for trainers, which read nothing that is encrypted
        store.link(path, beside(path, suffix))
    for output in outputs.values():
        store.drop_page_cache(output.path)
    return Written(outputs, entry, sink.drafts[""][1].content_hash)


def _suffixes(suffixes: set[str]) -> str:
    return ", ".join(suffix or "the main file" for suffix in sorted(suffixes)) or "nothing"
