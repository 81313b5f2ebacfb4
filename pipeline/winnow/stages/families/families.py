"""Families: a document, and the synthetic texts whose source says that they were made of it (``augmented_from``).

A synthetic text names its parent, the document that it was made of, by id. Whoever names an id, and every document that
has it, is linked, so that dedup compares them and all get one split: also two texts of a parent that is not there.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.exact import text_hashes
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, ipc_output, read_ipc, read_listing, read_parquet
from winnow.storage.store import Store

_KEYS = pa.schema([("key", pa.uint64())])
_MEMBERS = pa.schema([("key", pa.uint64()), ("doc", pa.uint64()), ("synthetic", pa.bool_()), ("passed", pa.bool_())])
_ROW_BYTES = 18


def names_stage(fields: dict[str, str]) -> Stage:
    """The ids that synthetic texts of a part name. ``fields`` hold them, by source."""
    return Stage("parent_names", 1, {"fields": fields}, run_names)


def plan_names(parts: list[Part]) -> list[Unit]:
    """One unit a part."""
    return [Unit(part.number, {"documents": part.documents}, part.rows * 16) for part in parts]


def run_names(unit: Unit, workspace: Workspace) -> None:
    """Write the hashes of these ids, each once."""
    found = [np.empty(0, np.uint64)]
    for ids in _ids(workspace.store, unit.inputs["documents"], workspace.settings["fields"]):
        found.append(hashes_of(ids.parent.drop_null()))
    with ipc_output(workspace, "keys", _KEYS) as table:
        table.write({"key": np.unique(np.concatenate(found))})


def set_stage() -> Stage:
    """All of these hashes."""
    return Stage("parent_set", 1, {}, run_set)


def plan_set(listing: Json, named: list[Record]) -> list[Unit]:
    """A single unit."""
    return [Unit(0, {"keys": listing}, sum(record.outputs["keys"].bytes for record in named))]


def run_set(unit: Unit, workspace: Workspace) -> None:
    """Put them in order."""
    store = workspace.store
    keys = [column_to_numpy(read_ipc(store, e), "key") for e in read_listing(store, unit.inputs["keys"])]
    with ipc_output(workspace, "keys", _KEYS) as table:
        table.write({"key": np.unique(np.concatenate([np.empty(0, np.uint64), *keys]))})


def members_stage(fields: dict[str, str]) -> Stage:
    """Who has one of these ids, and who names one."""
    return Stage("family_members", 1, {"fields": fields}, run_members)


def plan_members(parts: list[Part], filtered: list[Record], keys: Json) -> list[Unit]:
    """One unit a part."""
    return [
        Unit(
            part.number,
            {"documents": part.documents, "verdicts": record.outputs["verdicts"].reference(), "keys": keys},
            part.rows * 32,
        )
        for part, record in zip(parts, filtered, strict=True)
    ]


def run_members(unit: Unit, workspace: Workspace) -> None:
    """Write a row for each, with whether the filter passed the document."""
    store, inputs = workspace.store, unit.inputs
    keys = column_to_numpy(read_ipc(store, inputs["keys"]), "key")
    verdicts = read_parquet(store, inputs["verdicts"], ["doc", "passed"])
    judged, passed = column_to_numpy(verdicts, "doc"), column_to_numpy(verdicts, "passed")
    with ipc_output(workspace, "members", _MEMBERS) as table:
        for ids in _ids(store, inputs["documents"], workspace.settings["fields"]):
            went_on = passed[np.searchsorted(judged, ids.docs)]
            names = np.asarray(ids.parent.is_valid())
            by_name = np.zeros(len(ids.docs), np.uint64)
            by_name[names] = hashes_of(ids.parent.drop_null())
            by_id = hashes_of(ids.own)
            # a synthetic text that was given the id of its parent is not its parent
            has = np.isin(by_id, keys) & ~(names & (by_id == by_name))
            for key, who, synthetic in ((by_name, names, True), (by_id, has, False)):
                of_all = np.full(int(who.sum()), synthetic)
                table.write({"key": key[who], "doc": ids.docs[who], "synthetic": of_all, "passed": went_on[who]})
            workspace.count("nameless", (ids.synthetic & ~names).sum())


class _Ids(NamedTuple):
    """N documents."""

    docs: NDArray[np.uint64]
    own: pa.Array
    """string[N]."""
    parent: pa.Array
    """string[N]: the id of each one's parent, or null."""
    synthetic: NDArray[np.bool_]
    """bool[N], whether the source is one of synthetic texts."""


def _ids(store: Store, documents: Json, fields: dict[str, str]) -> Iterator[_Ids]:
    """Ids of a part, row group by row group."""
    columns = {source: f"keep.{field}" for source, field in fields.items()}
    with pq.ParquetFile(store.columns_of(documents["path"]), pre_buffer=store.is_remote) as file:
        # a part has what its own sources keep
        there = [name for name in dict.fromkeys(columns.values()) if name in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["doc", "id", "source", *there], use_threads=False)
            rows = table.combine_chunks()
            source = rows.column("source").cast(pa.string()).combine_chunks()
            parent = pa.nulls(len(rows), pa.string())
            for name, column in columns.items():
                if column in there:
                    parent = pc.if_else(pc.equal(source, name), rows.column(column).combine_chunks(), parent)
            synthetic = np.asarray(pc.is_in(source, value_set=pa.array(list(columns), pa.string())))
            yield _Ids(rows.column("doc").to_numpy(), rows.column("id").combine_chunks(), parent, synthetic)


def links_stage() -> Stage:
    """Who was made of what, and edges between all of a family that the filter passed."""
    return Stage("family_links", 1, {}, run_links)


def plan_links(listing: Json, members: list[Record]) -> list[Unit]:
    """A single unit: some bytes a member of a family."""
    return [Unit(0, {"members": listing}, sum(r.outputs["members"].rows for r in members) * _ROW_BYTES)]


def run_links(unit: Unit, workspace: Workspace) -> None:
    """Sort members by family; the first document that has the id is the one that the others were made of."""
    store = workspace.store
    tables = [read_ipc(store, entry) for entry in read_listing(store, unit.inputs["members"])]
    joined = pa.concat_tables([_MEMBERS.empty_table(), *tables])
    key, doc, synthetic, passed = (column_to_numpy(joined, name) for name in _MEMBERS.names)
    order = np.lexsort((doc, synthetic, key))
    key, doc, synthetic, passed = key[order], doc[order], synthetic[order], passed[order]
    begins = np.concatenate([[True], key[1:] != key[:-1]]) if len(key) else np.empty(0, bool)
    family = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)[family] if len(key) else family
    parent = np.where(synthetic[first], schemas.NO_DOC, doc[first])
    place = np.argsort(doc[synthetic], kind="stable")
    with ipc_output(workspace, "links", schemas.AUGMENTED_FROM) as table:
        table.write({"doc": doc[synthetic][place], "parent": parent[synthetic][place]})
    with ipc_output(workspace, "edges", schemas.EDGES) as table:
        table.write(_edges(family[passed], doc[passed]))
    workspace.count("synthetic", synthetic.sum())
    workspace.count("without_parent", (parent[synthetic] == schemas.NO_DOC).sum())
    owners = np.bincount(family[~synthetic], minlength=1)
    workspace.count("shared_ids", (owners > 1).sum())
    workspace.count("edges", workspace.outputs["edges"].rows)


def _edges(family: NDArray[np.int64], doc: NDArray[np.uint64]) -> dict[str, NDArray[np.uint64]]:
    """A star in each family: its smallest document with every other."""
    order = np.lexsort((doc, family))
    family, doc = family[order], doc[order]
    begins = np.concatenate([[True], family[1:] != family[:-1]]) if len(family) else np.empty(0, bool)
    centre = doc[np.flatnonzero(begins)[np.cumsum(begins) - 1]] if len(family) else doc
    other = centre != doc
    return {"a": centre[other], "b": doc[other]}


def hashes_of(ids: pa.Array) -> NDArray[np.uint64]:
    """A hash of each id, uint64[N]; string[N] without nulls."""
    return text_hashes(ids.cast(pa.large_string()))[:, 0]
