"""The manifest: what a shard set holds, where it came from, and how to check it. Holds no time and no host."""

from typing import Any

import orjson

from winnow.errors import StorageError
from winnow.storage.store import Store

Json = dict[str, Any]
FORMAT = "winnow-shards-1"


def manifest_bytes(manifest: Json) -> bytes:
    """The manifest as it is stored: sorted keys, so equal runs give equal bytes."""
    return json_bytes({"format": FORMAT, **manifest})


def json_bytes(content: Json) -> bytes:
    """JSON for people and programs, with sorted keys."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"


def shard_entry(path: str, rows: int, size: int, sha256: str, tokens: int) -> Json:
    """One shard in the manifest; the path is relative to the manifest."""
    return {**file_entry(path, size, sha256), "rows": rows, "tokens": tokens}


def file_entry(path: str, size: int, sha256: str) -> Json:
    """One file in the manifest; the path is relative to the manifest."""
    return {"path": path, "bytes": size, "sha256": sha256.removeprefix("sha256:")}


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


def read_manifest(store: Store, folder: str) -> Json:
    """The manifest of a run's own shard set.

    Raises:
        StorageError: it is missing or damaged.
    """
    path = f"{folder}/manifest.json"
    try:
        return parse_manifest(store.read(path))
    except FileNotFoundError as error:
        raise StorageError(f"{path}: missing; run `winnow run` again, it writes it anew") from error
    except ValueError as error:
        raise StorageError(f"{path}: damaged ({error}); run `winnow run` again, it writes it anew") from error
