"""What a shard set holds, from its manifest: splits, their shards in global order, row length and dtype."""

import contextlib
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from winnow.errors import EncryptionError, ShardError
from winnow.shards.dataset.decrypted import NamedKey
from winnow.shards.dataset.folders import Folder
from winnow.shards.manifest_fields import (
    FORMAT,
    FileFields,
    Part,
    SourceFields,
    check_rows,
    formats_of,
    label_names,
    row_fields,
    shard_fields,
    source_fields,
)
from winnow.storage.address import inside
from winnow.storage.keys import Key, find_key

MANIFEST = "manifest.json"
READABLE = ("parquet", "raw")
"""Formats that this reader reads."""


@dataclass(frozen=True)
class ShardEntry:
    """One shard as the manifest lists it."""

    path: str
    """Relative to the manifest."""
    rows: int
    bytes: int
    sha256: str
    tokens: int
    """Tokens in its rows, padding not counted."""
    files: tuple[FileFields, ...] = ()
    """Files beside it that belong to it."""
    footer: tuple[int, str] | None = None
    """Bytes and sha256 of a Parquet file's footer; None where an older version wrote the set."""


@dataclass(frozen=True)
class Split:
    """A split: its shards, in the global order."""

    name: str
    rows: int
    shards: tuple[ShardEntry, ...]
    identity: str
    """Names the rows and their order, whichever format they are read from."""
    phases: tuple[int, ...] = ()
    """Shards of each phase, of a split that has some; they follow each other."""


@dataclass(frozen=True)
class ShardSet:
    """A shard set as its manifest describes it."""

    location: str
    row_tokens: int
    """Ids in a stored row."""
    dtype: np.dtype[Any]
    """Of the ids, uint16 or uint32."""
    vocabulary_size: int
    end_of_text: int
    file_format: str
    """Of the shards that are read."""
    splits: dict[str, Split]
    labels: tuple[str, ...] = ()
    """Names of the documents' labels by number; none where documents have no labels."""
    vocabulary: str = ""
    """Its sha256; "" where the manifest does not say."""
    preferences: bool = False
    """Whether rows are preference pairs."""
    sources: tuple[SourceFields, ...] = ()
    """Where its documents come from."""
    key_source: NamedKey | None = None
    """Where the key is found; None where nothing is encrypted."""

    def key(self) -> Key:
        """The key that shards are encrypted with.

        Raises:
            EncryptionError: there is none, or another one.
        """
        if self.key_source is None:
            raise EncryptionError(f"{self.location}: encrypted files, of which the manifest does not say the key")
        try:
            return find_key(self.key_source)
        except EncryptionError as error:
            raise EncryptionError(f"{self.location}: {error}") from None

    def split(self, name: str, may_be_empty: bool = False) -> Split:
        """A split that holds rows, or that may be empty.

        Raises:
            ShardError: there is no such split, or it is empty.
        """
        held = ", ".join(f"{split.name} ({split.rows:,} rows)" for split in self.splits.values())
        if name not in self.splits:
            raise ShardError(f"{self.location} has no split {name!r}; it has {held or 'none'}")
        if self.splits[name].rows == 0 and not may_be_empty:
            raise ShardError(
                f"split {name!r} of {self.location} is empty; the splits are {held}. "
                f"Give it a larger share (`shards.splits`) and run again, or read another split"
            )
        return self.splits[name]


def manifest_content(folder: Folder) -> bytes:
    """``manifest.json`` of a shard set.

    Raises:
        ShardError: it is not there, or cannot be read.
    """
    place = f"{folder.location}/{MANIFEST}"
    try:
        return folder.read(MANIFEST)
    except FileNotFoundError:
        raise ShardError(f"{place} does not exist; {_where_it_is(folder)}") from None
    except OSError as error:
        raise ShardError(f"{place}: {error.strerror or error}; {_where_it_is(folder)}") from None


def read_shard_set(
    folder: Folder, file_format: str | None = None, content: bytes | None = None, key: str | None = None
) -> ShardSet:
    """Read ``manifest.json``.

    Args:
        folder: of the shard set.
        file_format: one of :data:`READABLE`; by default the first of the set's own that is.
        content: of the manifest, where it was read before.
        key: ``env:NAME``, in place of the variable that the manifest names.

    Raises:
        ShardError: it is missing, broken, or names no shards that this reader can read.
    """
    place = f"{folder.location}/{MANIFEST}"
    try:
        manifest = Part(json.loads(manifest_content(folder) if content is None else content))
    except (ValueError, RecursionError) as error:
        raise ShardError(f"{place} is no JSON ({error}); copy it again from where it was made") from None
    try:
        if manifest["format"].text() != FORMAT:
            raise ShardError(
                f"{place} has format {manifest['format'].value!r}, this reader knows {FORMAT!r}; "
                "read it with the version of winnow that wrote it, or a newer one"
            )
        shards, vocabulary, formats = manifest["shards"], manifest["vocabulary"], formats_of(manifest["shards"])
        chosen = next((name for name in formats if name in READABLE and file_format in (None, name)), None)
        if chosen is None:
            wanted = f"format {file_format!r}" if file_format else f"none of {' and '.join(READABLE)}"
            raise ShardError(
                f"{place} has {', '.join(formats)}, but {wanted}; add one of {', '.join(READABLE)} to `shards.formats` "
                "and run again, or read it with the library of its format"
            )
        row_tokens, dtype = row_fields(shards)
        main = shards["splits"]
        return ShardSet(
            location=folder.location,
            row_tokens=row_tokens,
            dtype=np.dtype(dtype),
            vocabulary_size=vocabulary["size"].whole(1),
            end_of_text=vocabulary["end_of_text"].whole(),
            file_format=chosen,
            splits=_splits(formats[chosen], main, row_tokens),
            labels=label_names(manifest),
            key_source=_key_source(manifest, key),
            vocabulary="" if (digest := vocabulary.get("sha256")) is None else digest.text(),
            preferences=shards["row"].text() == "preference",
            sources=source_fields(manifest),
        )
    except ValueError as error:
        raise ShardError(f"{place} is not what a manifest is: {error}; copy it again from where it was made") from None


def _key_source(manifest: Part, key: str | None) -> NamedKey | None:
    """Where the key of a set is found; None where nothing is encrypted."""
    encryption = manifest.get("encryption")
    if encryption is None:
        return None
    source = encryption["key"].text() if key is None else key
    if not source.startswith("env:"):
        raise ValueError("key: expected env:NAME, a variable of the environment")
    return NamedKey(source.removeprefix("env:"), encryption["key_id"].text())


def _splits(described: Part, main: Part, row_tokens: int) -> dict[str, Split]:
    """All splits by name; of one with phases also each phase, as SPLIT/PHASE."""
    splits: dict[str, Split] = {}
    for name, split in described.items():
        splits[name] = whole = _split(name, split, main[name], row_tokens)
        phases = main[name].get("phases")
        if phases is None:
            continue
        sizes = [(entry["name"].text(), entry["shards"].whole()) for entry in phases.each()]
        if sum(shards for _, shards in sizes) != len(whole.shards):
            raise ValueError(f"{phases.name}: they have other shards than the split, which has {len(whole.shards):,}")
        first = 0
        for phase, shards in sizes:
            mine = whole.shards[first : first + shards]
            first += shards
            splits[f"{name}/{phase}"] = Split(
                f"{name}/{phase}", sum(shard.rows for shard in mine), mine, f"{whole.identity}/{phase}"
            )
        splits[name] = replace(whole, identity=f"{whole.identity}/{sizes}", phases=tuple(n for _, n in sizes))
    return splits


def _split(name: str, described: Part, main: Part, row_tokens: int) -> Split:
    shards = []
    for entry in described["shards"].each():
        read = shard_fields(entry, row_tokens)
        shards.append(
            ShardEntry(
                path=read.file.path,
                rows=read.rows,
                bytes=read.file.bytes,
                sha256=read.file.sha256,
                tokens=read.tokens,
                files=read.files,
                footer=read.footer,
            )
        )
    rows = sum(shard.rows for shard in shards)
    check_rows(main, rows)
    digest = hashlib.blake2b(digest_size=8)
    for entry in main["shards"].each():
        digest.update(bytes.fromhex(entry["sha256"].sha256()))
    return Split(name, rows, tuple(shards), digest.hexdigest())


def _where_it_is(folder: Folder) -> str:
    """A run folder is not a shard set: name the set in it."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        shards = json.loads((Path(folder.location) / "state.json").read_bytes())["shards"]
        return f"this is a run folder; its shard set is {folder.location}/{inside(shards)}"
    return "give the folder that `winnow run` names at its end (RUN/shards/...), the one with the manifest"
