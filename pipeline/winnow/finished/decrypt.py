"""An encrypted shard set, or folder of clean text, in the clear: for trainers that read files by themselves.

Of shards the result is, byte for byte, the set that the run would have written without encryption.
"""

from collections.abc import Callable

import orjson
import pyarrow.parquet as pq

from winnow.engine.records import Json
from winnow.errors import ConfigError, StorageError
from winnow.finished.shards import check_file, row_shape
from winnow.flow.documents import MANIFEST as DOCUMENTS
from winnow.runs.folder import STATE
from winnow.shards.documents.formats import TEXT_FORMATS
from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.shard_format import ShardId, beside
from winnow.shards.manifest import file_entry, json_bytes, manifest_bytes, parse_manifest
from winnow.stages.shards.shard_files import write_format
from winnow.stages.shards.shard_reading import read_shard
from winnow.stages.shards.shard_set import described_formats
from winnow.storage.address import absolute, inside
from winnow.storage.config import EncryptionConfig, StorageConfig
from winnow.storage.draft import PIECE_BYTES
from winnow.storage.encrypted_names import content_name, is_encrypted
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

Progress = Callable[[str], None]


def decrypt(folder: str, out: str, key: str | None = None, progress: Progress = lambda _path: None) -> str:
    """Write what is in an encrypted folder into another one.

    Args:
        folder: of a shard set or of clean text, with its manifest; or a run folder, whose shard set is meant.
        out: folder of the files in the clear.
        key: ``env:NAME``, in place of the variable that the manifest names.
        progress: called with the path of each file that was written.

    Returns:
        The folder that was read.

    Raises:
        ConfigError: there is no manifest, nothing is encrypted, or ``out`` holds a finished set.
        EncryptionError: the key is not there, or another one: nothing is written.
        StorageError: a file is missing or altered; of that one nothing is written, and no manifest.
    """
    source, manifest = _opened(absolute(folder), key)
    parent, _, name = absolute(out).rpartition("/")
    target = open_store(parent)
    if target.exists(f"{name}/manifest.json"):
        raise ConfigError(f"{out}: holds a finished set; name another folder")
    if manifest["format"] == DOCUMENTS:
        content = json_bytes(_documents(source, manifest, target, name, progress))
    else:
        content = manifest_bytes(_shards(source, manifest, target, name, progress))
    target.replace(f"{name}/manifest.json", content)
    return source.location()


def _opened(folder: str, key: str | None) -> tuple[Store, Json]:
    """A folder with its key, which is the right one, and its manifest."""
    store = open_store(folder)
    if store.exists(STATE):
        folder = store.location(inside(orjson.loads(store.read(STATE))["shards"]))
        store = open_store(folder)
    try:
        content = store.read("manifest.json")
        manifest = orjson.loads(content)
        manifest = manifest if manifest["format"] == DOCUMENTS else parse_manifest(content)
    except FileNotFoundError:
        raise ConfigError(f"{folder}: no manifest.json; name a shard set, a folder of clean text or a run") from None
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(f"{folder}/manifest.json: damaged ({error}); copy it again from where it was made") from None
    if "encryption" not in manifest:
        raise ConfigError(f"{folder}: nothing in it is encrypted; use it as it is")
    told = manifest.pop("encryption")
    encryption = EncryptionConfig(key=key or str(told["key"]), key_id=str(told["key_id"]))
    store = open_store(folder, StorageConfig(encryption=encryption))
    store.key()
    return store, manifest


def _shards(source: Store, manifest: Json, target: Store, folder: str, progress: Progress) -> Json:
    """Write the shards; what the manifest says of them."""
    shape = row_shape(manifest)
    settings = {
        "compression": manifest["config"]["shards"]["compression"],
        "vocabulary_size": manifest["vocabulary"]["size"],
        "joined_by": shape.document_separator,
    }
    for kind, splits in described_formats(manifest["shards"]).items():
        written = FORMATS.get(kind)
        for split, described in splits.items():
            for number, shard in enumerate(described["shards"]):
                shard["path"] = inside(shard["path"])
                _check(source, shard, split)
                if written.encrypts:
                    place = ShardId(folder, split, number, len(described["shards"]))
                    packed = read_shard(source, shard["path"], kind, shard, shape)
                    found = write_format(target, kind, place, packed, settings)
                    output = found.outputs[kind]
                    shard.update(
                        {**(found.entry or {}), "bytes": output.bytes, "sha256": output.hash.partition(":")[2]}
                    )
                else:
                    shard.update(_copied(source, shard, target, folder))
                    for suffix in written.links:
                        target.link(f"{folder}/{shard['path']}", beside(f"{folder}/{shard['path']}", suffix))
                progress(shard["path"])
                shard.update({"files": _all(source, shard["files"], target, folder, split)} if "files" in shard else {})
            if "files" in described:
                described["files"] = _all(source, described["files"], target, folder, split)
    return {name: value for name, value in manifest.items() if name != "format"}


def _documents(source: Store, manifest: Json, target: Store, folder: str, progress: Progress) -> Json:
    """Write clean text; what the manifest says of it."""
    for kind, splits in manifest["files"].items():
        for split, files in splits.items():
            for file in files:
                file["path"] = inside(file["path"])
                _check(source, file, split)
                if is_encrypted(file["path"]):
                    file.update(_copied(source, file, target, folder))
                else:
                    table = pq.read_table(
                        source.columns_of(file["path"]), use_threads=False, **source.decryption(file["path"])
                    )
                    with target.create(f"{folder}/{file['path']}", "sha256") as draft:
                        TEXT_FORMATS.get(kind).write(table, draft)
                    file.update(file_entry(file["path"], draft.bytes, draft.hash))
                progress(file["path"])
    return manifest


def _all(source: Store, files: list[Json], target: Store, folder: str, split: str) -> list[Json]:
    for file in files:
        file["path"] = inside(file["path"])
        _check(source, file, split)
    return [_copied(source, file, target, folder) for file in files]


def _check(source: Store, file: Json, split: str) -> None:
    if fault := check_file(source, file["path"], file, split):
        raise StorageError(f"{source.location()}: {fault}")


def _copied(source: Store, file: Json, target: Store, folder: str) -> Json:
    """A file in the clear, and what a manifest says of it."""
    path = content_name(file["path"])
    with source.open(file["path"]) as read, target.create(f"{folder}/{path}", "sha256") as draft:
        while piece := read.read(PIECE_BYTES):
            draft.write(piece)
    return file_entry(path, draft.bytes, draft.hash)
