"""A finished shard set in another format, shard by shard, without computing anything again.

The result is a shard set of its own, with a manifest: byte for byte what the run would have written with
``shards.formats: [FORMAT]``.
"""

from collections.abc import Callable

from winnow.engine.records import Json, Output
from winnow.errors import ConfigError, FormatError
from winnow.finished.shards import best_source, check_stored, read_stored, row_shape, stored_shards
from winnow.flow.records import RunRecords
from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.payload import check_ids
from winnow.shards.formats.shard_format import ShardId
from winnow.shards.manifest import manifest_bytes
from winnow.stages.shards.shard_files import KEY, Written, write_format
from winnow.stages.shards.shard_set import WrittenShard, format_entries
from winnow.stages.versions import format_versions
from winnow.storage.address import absolute
from winnow.storage.open_store import open_store
from winnow.storage.store import Store


def convert(
    run: RunRecords, file_format: str, out: str | None = None, progress: Callable[[str], None] = lambda _path: None
) -> str:
    """Write the current shard set of a run in another format.

    Args:
        run: a finished run.
        file_format: one of ``FORMATS``.
        out: folder of the new set; default is beside the run's own.
        progress: called with the path of each shard that was written.

    Returns:
        The folder.

    Raises:
        ConfigError: the folder holds a finished set already, or the format cannot hold these rows.
        StorageError: a shard of the run is missing or altered, or the new one cannot be written.
    """
    target = run.store.location(f"{run.shards}-{file_format}") if out is None else out.rstrip("/")
    parent, _, folder = absolute(target).rpartition("/")
    store = open_store(parent, run.store.storage)
    if store.exists(f"{folder}/manifest.json"):
        raise ConfigError(f"{target}: holds a finished shard set; name another folder with --out")
    manifest = run.manifest
    source, shape = best_source(manifest), row_shape(manifest)
    chosen = FORMATS.get(file_format)
    compression = run.config.shards.compression if chosen.compressible else "none"
    settings = {
        "compression": compression,
        "vocabulary_size": manifest["vocabulary"]["size"],
        "joined_by": shape.document_separator,
        **({KEY: run.config.key_id} if run.config.key_id else {}),
    }
    written: dict[str, list[tuple[int, Written]]] = {name: [] for name in manifest["shards"]["splits"]}
    for shard in stored_shards(run, source):
        check_stored(run, shard)
        packed = read_stored(run, source, shard)
        place = ShardId(folder, shard.split, shard.number, shard.of)
        try:
            check_ids(packed.rows, settings["vocabulary_size"])
            result = write_format(store, file_format, place, packed, settings)
        except FormatError as error:
            raise ConfigError(f"{shard.path}: {error}") from error
        written[shard.split].append((shard.entry["tokens"], result))
        progress(result.outputs[file_format].path)

    splits = {}
    for name, described in manifest["shards"]["splits"].items():
        index = _write_index(
            store, folder, file_format, name, written[name], shape.dtype.itemsize, encrypted=KEY in settings
        )
        shards = [
            WrittenShard(tokens, result.outputs, {file_format: result.entry or {}}) for tokens, result in written[name]
        ]
        kept = {key: value for key, value in described.items() if key not in ("shards", "files")}
        splits[name] = kept | format_entries(folder, file_format, shards, index)
    config = manifest["config"]
    asked = [name for name in config["shards"]["columns"] if chosen.docs or name != "docs"]
    stored = [name for name in manifest["shards"]["columns"] if chosen.docs or name != "docs"]
    changed = {"formats": [file_format], "compression": compression, "columns": asked}
    new_files = {"format": file_format, "formats": {}, "columns": stored, "splits": splits}
    kept_versions = {
        n: v for n, v in manifest["versions"].items() if n not in format_versions(run.config.shards.formats)
    }
    described_set = {
        **manifest,
        "versions": kept_versions | format_versions([file_format]),
        "shards": {**manifest["shards"], **new_files},
        "config": {**config, "shards": {**config["shards"], **changed}},
    }
    store.replace(f"{folder}/manifest.json", manifest_bytes(described_set))
    return target


def _write_index(
    store: Store,
    folder: str,
    file_format: str,
    split: str,
    written: list[tuple[int, Written]],
    id_bytes: int,
    *,
    encrypted: bool,
) -> Output | None:
    """The index of one split, for the formats that have one."""
    chosen = FORMATS.get(file_format)
    if chosen.index is None or not written:
        return None
    entries: list[Json] = [result.entry for _, result in written if result.entry is not None]
    hashes = [result.content_hash for _, result in written]
    path = chosen.index_path(folder, split, encrypted=encrypted)
    with store.create(path, "sha256") as draft:
        draft.write(chosen.index(entries, hashes, id_bytes))
    return Output(path, draft.bytes, len(written), draft.hash)
