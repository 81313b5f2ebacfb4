"""URL lists: one table a kind out of the user's lists, which all workers of a node map.

A table is named by the content of its lists, so it is built once, and again only for other lists.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.errors import StorageError
from winnow.numeric.jit import compile_once
from winnow.stages.versions import library_versions
from winnow.storage.draft import Draft
from winnow.text.urls.config import KINDS
from winnow.text.urls.hosts import PACKAGES
from winnow.text.urls.lists import keys, read_bytes, read_lines
from winnow.text.urls.match import match
from winnow.text.urls.table import NOTHING, Table, build, open_table, parts_of_file

_OF_LISTS = {"lists": "name", "hashes": "hash"}


def stage() -> Stage:
    """The stage; its units name the lists."""
    return Stage("url_lists", 1, {"versions": library_versions(*PACKAGES)}, run)


def plan(lists: dict[str, list[Json]]) -> list[Unit]:
    """One unit a kind that has lists; each list has ``name``, ``path`` in the run folder, ``hash`` and ``bytes``."""
    given = [(kind, lists[kind]) for kind in KINDS if lists.get(kind)]
    return [
        Unit(
            number,
            {"kind": kind, "lists": [{name: entry[name] for name in ("name", "path", "hash")} for entry in of_kind]},
            sum(entry["bytes"] for entry in of_kind),
        )
        for number, (kind, of_kind) in enumerate(given)
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Read the lists of a kind and write their table."""
    kind = unit.inputs["kind"]
    data, sizes, numbers = [], [], []
    odd: Json = {}
    for number, entry in enumerate(unit.inputs["lists"]):
        path = workspace.store.local(entry["path"])
        if (found := workspace.store.hash(entry["path"], "sha256")) != entry["hash"]:
            raise StorageError(f"{entry['path']}: is not what the run began with ({found}); run the same command again")
        lines = read_lines(read_bytes(Path(path)), kind)
        made, offsets = keys(lines, kind)
        data.append(made[offsets[0] : offsets[-1]])
        sizes.append(np.diff(offsets))
        numbers.append(np.full(len(offsets) - 1, number, np.uint8))
        workspace.count(f"entries/{entry['name']}", len(lines.entries))
        if lines.odd:
            odd[entry["name"]] = {told: list(found) for told, found in lines.odd.items()}
        workspace.count(f"one_label/{entry['name']}", _one_label(made, offsets) if kind == "domains" else 0)
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
    table = build(np.concatenate(data), offsets, np.concatenate(numbers))

    def write(draft: Draft) -> int:
        for part in parts_of_file(table):
            draft.write(part)
        return table.entries

    workspace.write("table.bin", write)
    workspace.metadata |= {"kind": kind, "odd": odd}
    workspace.metadata |= {key: [entry[name] for entry in unit.inputs["lists"]] for key, name in _OF_LISTS.items()}


def _one_label(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> int:
    """Hosts without a dot: such an entry, as `com`, blocks all that ends with it."""
    dots = np.concatenate([[0], np.cumsum(data == ord("."))])
    return int((dots[offsets[1:]] == dots[offsets[:-1]]).sum())


def tables_of(records: list[Record]) -> Json:
    """What a unit of ``provenance`` says of the tables: by kind, the file and the names of its lists."""
    return {
        record.metadata["kind"]: {**record.outputs["table"].reference(), "lists": record.metadata["lists"]}
        for record in records
    }


def open_tables(workspace: Workspace, tables: Json) -> dict[str, Table]:
    """The tables of all kinds, mapped; those that there are not are empty."""
    compile_once("url_lists", _use_kernels)
    store = workspace.store
    return {
        kind: _opened(str(store.local(tables[kind]["path"], tables[kind]["hash"])), tables[kind]["hash"])
        if kind in tables
        else NOTHING
        for kind in KINDS
    }


@lru_cache(maxsize=8)
def _opened(path: str, _hash: str) -> Table:
    return open_table(path)


def _use_kernels() -> None:
    lines = read_lines(b"Example.org/a\nb\xc3\xbccher.example/b\n", "urls")
    made, offsets = keys(lines, "urls")
    tables = dict.fromkeys(KINDS, build(made, offsets, np.zeros(2, np.uint8)))
    match(lines.entries, tables)
