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
from winnow.engine.exchange import Columns, partition_of_hash, partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    ipc_output,
    read_ipc,
    read_listing,
    read_parquet,
    read_partition,
)
from winnow.storage.store import Store

_KEYS = pa.schema([("key", pa.uint64())])
_MEMBERS = ("key", "doc", "synthetic", "passed")
"""uint64, uint64, and two of bool: whether it names the id, and whether the filter passed it."""
_ROW_BYTES = 18
"""Of a member of a family, on its way."""
MEMBER_BYTES = 120
"""Of memory, a member takes at most while families are put in order."""


def names_stage(fields: dict[str, str]) -> Stage:
    """The ids that synthetic texts of a part name. ``fields`` hold them, by source."""
    return Stage("parent_names", 2, {"fields": fields}, run_names)


def plan_names(parts: list[Part]) -> list[Unit]:
    """One unit a part."""
    return [Unit(part.number, {"documents": part.documents}, part.rows * 16) for part in parts]


def run_names(unit: Unit, workspace: Workspace) -> None:
    """Write the hashes of these ids, each once."""
    found = [np.empty(0, np.uint64)]
    for ids in _ids(workspace.store, unit.inputs["documents"], workspace.settings["fields"]):
        found.append(hashes_of(ids.parent.drop_null()))
        workspace.count("links", len(found[-1]))
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
    """Who has one of these ids, and who names one, sent to where their family is."""
    return Stage("family_members", 2, {"fields": fields}, run_members)


def partitions_of(named: list[Record], partition_mb: int) -> int:
    """How many partitions of families hold those that name a parent, and as many parents."""
    return partitions_for(2 * total(named, "links") * MEMBER_BYTES, partition_mb)


def plan_members(parts: list[Part], filtered: list[Record], keys: Json, partitions: int) -> list[Unit]:
    """One unit a part."""
    return [
        Unit(
            part.number,
            {
                "documents": part.documents,
                "verdicts": record.outputs["verdicts"].reference(),
                "keys": keys,
                "partitions": partitions,
            },
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
    nothing = np.empty(0, np.uint64)
    found = [(nothing, nothing, np.empty(0, bool), np.empty(0, bool))]
    for ids in _ids(store, inputs["documents"], workspace.settings["fields"]):
        went_on = passed[np.searchsorted(judged, ids.docs)]
        names = np.asarray(ids.parent.is_valid())
        by_name = np.zeros(len(ids.docs), np.uint64)
        by_name[names] = hashes_of(ids.parent.drop_null())
        by_id = hashes_of(ids.own)
        # a synthetic text that was given the id of its parent is not its parent
        has = np.isin(by_id, keys) & ~(names & (by_id == by_name))
        for key, who, synthetic in ((by_name, names, True), (by_id, has, False)):
            found.append((key[who], ids.docs[who], np.full(int(who.sum()), synthetic), went_on[who]))
        workspace.count("nameless", (ids.synthetic & ~names).sum())
    members = [np.concatenate(column) for column in zip(*found, strict=True)]
    place = partition_of_hash(members[0], inputs["partitions"])
    order = np.argsort(place, kind="stable")
    columns: Columns = {name: column[order] for name, column in zip(_MEMBERS, members, strict=True)}
    exchange_output(workspace, "members", place[order], columns, inputs["partitions"])


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
    return Stage("family_links", 2, {}, run_links)


def plan_links(listing: Json, members: list[Record], partitions: int) -> list[Unit]:
    """One unit a partition of families."""
    size = sum(record.outputs["members"].rows for record in members) * _ROW_BYTES // partitions
    return [Unit(number, {"members": listing, "partition": number}, size) for number in range(partitions)]


def run_links(unit: Unit, workspace: Workspace) -> None:
    """Sort members by family; the first document that has the id is the one that the others were made of."""
    members = read_partition(workspace.store, unit.inputs["members"], unit.inputs["partition"])
    key, doc, synthetic, passed = (members[name] for name in _MEMBERS)
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
