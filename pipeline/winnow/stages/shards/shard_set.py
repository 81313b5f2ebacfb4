"""What a shard set's manifest says of its files, by format and split. Paths are relative to the manifest."""

from typing import NamedTuple

from winnow.engine.records import Json, Output, Record
from winnow.shards.formats.formats import FORMATS
from winnow.shards.manifest import file_entry, shard_entry


class WrittenShard(NamedTuple):
    """One shard in all of its formats."""

    tokens: int
    outputs: dict[str, Output]
    entries: dict[str, Json]
    """By format, what writing it told beside the files."""


def written_shards(sharded: list[Record], sections: list[int]) -> list[WrittenShard]:
    """The shards of one split, which has these sections, in the global order."""
    return [
        WrittenShard(record.counters["tokens"], record.outputs, record.metadata)
        for record in sharded
        if record.metadata["split"] in sections
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
