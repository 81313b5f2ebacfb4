"""What a shard set's manifest says of its files, by format and split. Paths are relative to the manifest."""

from typing import NamedTuple

import orjson

from winnow.engine.records import Json, Output, Record
from winnow.shards.formats.formats import FORMATS
from winnow.shards.manifest import FORMAT, file_entry, shard_entry


def parse_manifest(content: bytes) -> Json:
    """A manifest as a run or ``winnow shards convert`` wrote it.

    Raises:
        ValueError: it is no JSON, or not all of it is there.
    """
    manifest = orjson.loads(content)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"it does not say format {FORMAT}")
    try:
        for part in ("vocabulary", "books", "sources", "config"):
            _needs(manifest, part)
        shards = _needs(manifest, "shards")
        _ = [shards[key] for key in ("format", "row", "row_tokens", "dtype")]
        for splits in (_needs(shards, "splits"), *shards.get("formats", {}).values()):
            for split in splits.values():
                for file in [*split["shards"], *split.get("files", [])]:
                    _ = [file[key] for key in ("path", "bytes", "sha256")]
                _ = [shard[key] for shard in split["shards"] for key in ("rows", "tokens")]
        _ = [split[key] for split in shards["splits"].values() for key in ("documents", "tokens", "rows")]
        if "labels" in manifest:
            _ = _needs(manifest, "labels")["names"], [split["labels"] for split in shards["splits"].values()]
    except KeyError as error:
        raise ValueError(f"{error} is not there") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not what a manifest holds: {error}") from error
    return manifest


def _needs(described: Json, part: str) -> Json:
    if not isinstance(described[part], dict):
        raise TypeError(f"{part!r} has no parts")
    found: Json = described[part]
    return found


class WrittenShard(NamedTuple):
    """One shard in all of its formats."""

    tokens: int
    outputs: dict[str, Output]
    entries: dict[str, Json]
    """By format, what writing it told beside the files."""


def written_shards(sharded: list[Record], split: int) -> list[WrittenShard]:
    """The shards of one split, in the global order."""
    return [
        WrittenShard(record.counters["tokens"], record.outputs, record.metadata)
        for record in sharded
        if record.metadata["split"] == split
    ]


def folder_of(path: str) -> str:
    """The shard set that a file belongs to."""
    return "/".join(path.split("/")[:2])


def format_entries(folder: str, file_format: str, shards: list[WrittenShard], index: Output | None) -> Json:
    """One split in one format: ``shards`` in the global order, and ``files`` over all of them."""
    entries = []
    for shard in shards:
        main = shard.outputs[file_format]
        beside = [o for name, o in sorted(shard.outputs.items()) if name.startswith(f"{file_format}_")]
        entry = shard_entry(_inside(folder, main), main.rows, main.bytes, main.hash, shard.tokens)
        if FORMATS.get(file_format).index is None:
            entry = {**shard.entries.get(file_format, {}), **entry}
        if beside:
            entry["files"] = [file_entry(_inside(folder, o), o.bytes, o.hash) for o in beside]
        entries.append(entry)
    if index is None:
        return {"shards": entries}
    return {"shards": entries, "files": [file_entry(_inside(folder, index), index.bytes, index.hash)]}


def files_of(described: Json) -> list[Json]:
    """Every file that the manifest names for one split in one format: path, bytes, sha256; shards with rows, tokens."""
    files: list[Json] = []
    for shard in described["shards"]:
        files += [shard, *shard.get("files", [])]
    return [*files, *described.get("files", [])]


def described_formats(shards: Json) -> dict[str, dict[str, Json]]:
    """Format -> split -> ``format_entries`` from the part ``shards`` of a manifest, the main format first."""
    return {shards["format"]: shards["splits"], **shards.get("formats", {})}


def _inside(folder: str, output: Output) -> str:
    return output.path.removeprefix(folder + "/")
