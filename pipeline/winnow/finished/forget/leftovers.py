"""What still holds removed documents once the new set is out, and removing the old set."""

import numpy as np

from winnow.engine.records import Json
from winnow.flow.documents import written_documents
from winnow.flow.records import RunRecords
from winnow.looking.texts import parts_holding
from winnow.schemas import split_document_number
from winnow.stages.shards.shard_set import folder_of

_OF_SETS = ("removals", "shuffle", "layout", "row_counts", "shards", "shard_index")
_OF_TEXTS = ("duplicate_counts", "document_shuffle", "document_layout", "document_shards")


def files_of_set(run: RunRecords) -> list[str]:
    """Files that only the shard set and the clean text of a run need: theirs, and the tables they are made from."""
    files = {output.path for name in (*_OF_SETS, *_OF_TEXTS) for r in run.of(name) for output in r.outputs.values()}
    files |= {f"work/{name}/{r.fingerprint}/{r.key}.json" for name in (*_OF_SETS, *_OF_TEXTS) for r in run.of(name)}
    folders = [run.shards, *(f"shards/{name}" for name in run.store.folders("shards") if _is_of(name, run.shards))]
    if described := written_documents(run):
        folders.append(described["folder"])
    return sorted(files | {path for folder in folders for path in run.store.files_below(folder)})


def _is_of(name: str, shards: str) -> bool:
    """Whether a folder holds what was converted from a shard set."""
    return name.startswith(f"{shards.removeprefix('shards/')}-")


def remove_files(run: RunRecords, files: list[str]) -> tuple[int, int]:
    """Remove files of an old set that the current one does not need; returns how many, and their bytes."""
    needed = {path for record in _all(run) for path in record} | set(files_of_set(run))
    removed = size = 0
    for path in files:
        if path not in needed and (there := run.store.size(path)) is not None:
            run.store.remove(path)
            removed, size = removed + 1, size + there
    for folder in sorted({folder_of(path) for path in files} - {folder_of(path) for path in needed}):
        run.store.remove_empty_folders(folder)
        run.store.remove_empty_folders(folder.partition("/")[0])
    return removed, size


def _all(run: RunRecords) -> list[list[str]]:
    return [[output.path for output in record.outputs.values()] for some in run.records.values() for record in some]


def still_held(run: RunRecords, found: Json) -> Json:
    """Where texts of removed documents still lie: what the user has to delete where they must be gone altogether."""
    docs = np.array(sorted(document["doc"] for document in found["documents"]), np.uint64)
    tables, inputs = set(), set()
    paths = {file.number: file.path for file in run.files}
    for number, places in parts_holding(run, docs):
        tables.add(run.parts[number].documents["path"])
        tables |= {record.outputs["tokens"].path for record in run.of("tokenise")[number : number + 1]}
        inputs |= {paths.get(split_document_number(doc)[0], "") for doc in docs[places].tolist()}
    folder = written_documents(run).get("folder", "")
    old = {folder_of(path) for path in found["old_set"]["files"] if not path.startswith("work/")}
    exported = {f"documents/{name}" for name in run.store.folders("documents")} - {folder}
    there = {path for path in (old | exported) - {run.shards, folder} if run.store.files_below(path)}
    return {
        "old_sets": sorted(there),
        "tables": sorted(tables),
        "inputs": sorted(inputs - {""}),
    }
