"""Which files of a finished run make a data set on a hub, where they lie there, and whether they are what they were."""

import hashlib
from typing import NamedTuple

import orjson

from winnow.engine.records import Json
from winnow.errors import ConfigError, StorageError
from winnow.finished.shards import check_file
from winnow.flow.documents import MANIFEST as DOCUMENTS_MANIFEST
from winnow.flow.documents import written_documents
from winnow.flow.records import RunRecords
from winnow.shards.manifest import json_bytes, manifest_bytes
from winnow.stages.shards.shard_set import described_formats, files_of
from winnow.storage.address import inside
from winnow.storage.store import Store

SHARDS, DOCUMENTS = "shards", "documents"
"""Folders of the data set."""


class PushedFile(NamedTuple):
    """One file of the data set."""

    path: str
    """On the hub."""
    size: int
    sha256: str
    stored: str = ""
    """In the run folder; empty for what is made here."""
    content: bytes = b""
    """Of what is made here."""
    split: str = ""


class RunFiles(NamedTuple):
    """The files of a run, and what describes them."""

    files: list[PushedFile]
    manifest: Json
    documents: Json
    """Manifest of the clean text; empty where there is none."""


def run_files(run: RunRecords, documents: str | None = None) -> RunFiles:
    """Shards in all formats, clean text where there is some, and the manifests of both.

    Args:
        run: a finished run.
        documents: which folder of clean text; None is the run's own, or the only one that was exported.

    Raises:
        StorageError: a manifest is missing or damaged. ConfigError: no such folder, or several.
    """
    manifest, folder = run.manifest, run.shards
    files: list[PushedFile] = []
    for splits in described_formats(manifest["shards"]).values():
        for split, described in splits.items():
            files += [_stored(SHARDS, folder, file, split) for file in files_of(described)]
    files.append(made(f"{SHARDS}/manifest.json", manifest_bytes(manifest)))
    described = _documents(run, documents)
    if described:
        for by_split in described["files"].values():
            for split, entries in by_split.items():
                files += [_stored(DOCUMENTS, described["folder"], file, split) for file in entries]
        files.append(made(f"{DOCUMENTS}/manifest.json", json_bytes(described)))
    return RunFiles(files, manifest, described)


def made(path: str, content: bytes) -> PushedFile:
    """A file that is made here."""
    return PushedFile(path, len(content), hashlib.sha256(content).hexdigest(), content=content)


def check_files(store: Store, files: list[PushedFile]) -> None:
    """Read what is stored and compare it with its manifest.

    Raises:
        StorageError: a file is missing, cut or altered; up to three are named.
    """
    checked = (
        check_file(store, file.stored, {"bytes": file.size, "sha256": file.sha256}, file.split)
        for file in files
        if file.stored
    )
    faults = [fault for fault in checked if fault]
    if faults:
        more = f"; and {len(faults) - 3:,} more" if len(faults) > 3 else ""
        raise StorageError(
            f"nothing was pushed: {'; '.join(faults[:3])}{more}; run `winnow run` again: it writes what is missing "
            "(remove a file that was altered first)"
        )


def _stored(place: str, folder: str, file: Json, split: str) -> PushedFile:
    path = inside(file["path"])
    return PushedFile(f"{place}/{path}", file["bytes"], file["sha256"], f"{folder}/{path}", split=split)


def _documents(run: RunRecords, asked: str | None) -> Json:
    if asked == "none":
        return {}
    own = written_documents(run)
    if own and asked in (None, own["folder"].rpartition("/")[2]):
        return own
    found = {name: told for name in run.store.folders(DOCUMENTS) if (told := _exported(run, name))}
    if asked is not None:
        if asked not in found:
            there = ", ".join(found) or "none"
            raise ConfigError(f"--documents {asked}: no such folder of this run's documents; there are {there}")
        return found[asked]
    if len(found) > 1:
        raise ConfigError(
            f"{run.store.location(DOCUMENTS)} holds {len(found)} exports of clean text ({', '.join(found)}); name one "
            "with --documents, or push without any: --documents none"
        )
    return next(iter(found.values()), {})


def _exported(run: RunRecords, name: str) -> Json:
    """The manifest of an export of the documents that are in the shards; empty for anything else."""
    try:
        told: Json = orjson.loads(run.store.read(f"{DOCUMENTS}/{name}/manifest.json"))
        kept = {split: described["documents"] for split, described in run.manifest["shards"]["splits"].items()}
        same = told["format"] == DOCUMENTS_MANIFEST and told["folder"] == f"{DOCUMENTS}/{name}"
        return told if same and _without_none(told["documents"]) == _without_none(kept) else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _without_none(counts: Json) -> Json:
    return {name: number for name, number in counts.items() if number}
