"""The manifest: what a shard set holds, where it came from, and how to check it. Holds no time and no host."""

from typing import Any

import orjson

from winnow.errors import StorageError
from winnow.shards.manifest_fields import (
    FORMAT,
    Part,
    check_rows,
    files_of,
    formats_of,
    label_names,
    row_fields,
    shard_fields,
)
from winnow.storage.store import Store

Json = dict[str, Any]


def manifest_bytes(manifest: Json) -> bytes:
    """The manifest as it is stored: sorted keys, so equal runs give equal bytes."""
    return json_bytes({"format": FORMAT, **manifest})


def json_bytes(content: Json) -> bytes:
    """JSON for people and programs, with sorted keys."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"


def shard_entry(path: str, rows: int, size: int, sha256: str, tokens: int) -> Json:
    """One shard in the manifest; the path is relative to the manifest."""
    return {**file_entry(path, size, sha256), "rows": rows, "tokens": tokens}


def columns_of(shards: Json) -> list[str]:
    """All columns of the rows that a manifest's section ``shards`` describes."""
    return [*(() if shards["row"] == "preference" else ("input_ids",)), *shards["columns"]]


def file_entry(path: str, size: int, sha256: str) -> Json:
    """One file in the manifest; the path is relative to the manifest."""
    return {"path": path, "bytes": size, "sha256": sha256.removeprefix("sha256:")}


def parse_manifest(content: bytes) -> Json:
    """A manifest as a run or ``winnow shards convert`` wrote it.

    Raises:
        ValueError: it is no JSON, or a field is missing or not what belongs there; the message names it.
    """
    read = orjson.loads(content)
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        raise ValueError(f"it does not say format {FORMAT}")
    manifest = Part(read)
    for name in ("vocabulary", "books", "sources", "config"):
        manifest[name].section()
    manifest["vocabulary"]["end_of_text"].whole()
    for section in (manifest["books"], *(part for _, part in manifest["books"]["outcomes"].items())):
        _ = section["records"].whole() if section.name == "books" else section.whole()
    shards, labels = manifest["shards"], label_names(manifest)
    row_tokens, _ = row_fields(shards)
    shards["row"].text()
    for name, splits in formats_of(shards).items():
        for split_name, split in splits.items():
            held = sum(shard_fields(shard, row_tokens).rows for shard in split["shards"].each())
            files_of(split)
            if name == shards["format"].text():
                for count in ("documents", "tokens", "rows"):
                    split[count].whole()
                check_rows(split, held)
                for number in split["labels"].each() if labels else ():
                    number.whole()
            elif split_name not in shards["splits"].section():
                raise ValueError(f"{split.name}: the set has no such split")
    return read


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
