"""The manifest: what a shard set holds, where it came from, and how to check it. Holds no time and no host."""

from typing import Any

import orjson

Json = dict[str, Any]
FORMAT = "winnow-shards-1"


def manifest_bytes(manifest: Json) -> bytes:
    """The manifest as it is stored: sorted keys, so equal runs give equal bytes."""
    return orjson.dumps({"format": FORMAT, **manifest}, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"


def shard_entry(path: str, rows: int, size: int, sha256: str, tokens: int) -> Json:
    """One shard in the manifest; the path is relative to the manifest."""
    return {**file_entry(path, size, sha256), "rows": rows, "tokens": tokens}


def file_entry(path: str, size: int, sha256: str) -> Json:
    """One file in the manifest; the path is relative to the manifest."""
    return {"path": path, "bytes": size, "sha256": sha256.removeprefix("sha256:")}
