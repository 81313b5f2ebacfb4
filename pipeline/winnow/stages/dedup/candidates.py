"""Candidates: the signatures of all documents of a component side by side, and what else decides who is kept."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.engine.exchange import partition_of_hash, partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.shards.order import keyed_hash
from winnow.shards.packing.stream import gather_documents
from winnow.stages.dedup.candidate_sets import (
    SHINGLE_DTYPE,
    first_of_each_text,
    guard_languages,
    items_a_shingle,
    lookup,
    sets_of,
)
from winnow.stages.dedup.components import table_of
from winnow.stages.ingest.labels import labels_of, read_labels
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    list_column_to_2d,
    read_ipc,
    read_parquet,
)
from winnow.stages.versions import library_versions

_PARTITION_KEY = (0x636F6D70, 0)  # spreads components over partitions; no secret, no seed


def candidates_stage(num_perm: int, ngram: int | None, guard_language: Json | None) -> Stage:
    """Map side: signature, ranking attributes and label of every document that is in a component.

    With ``ngram`` (unless `verify: estimate`) also its set of shingles of so many words; with ``guard_language``
    (``half_of``) what a guard asks for.
    """
    settings: Json = {"num_perm": num_perm, "ngram": ngram, "language": guard_language}
    if guard_language is not None:
        settings["versions"] = library_versions("py3langid", "unicodedata")
    return Stage("candidates", 4, settings, run_candidates)


def plan_candidates(
    parts: list[Part],
    filtered: list[Record],
    components: list[Record],
    num_perm: int,
    partition_mb: int,
    sized: list[Record] | None,
    labels: Json | None = None,
    *,
    guarded: bool = False,
) -> list[Unit]:
    """One unit a part; partitions by the size of what is to be gathered.

    ``sized`` are the records of the candidates' sizes where their shingle sets are sent, else None; ``labels`` are
    those of the run, if it has some.
    """
    items = total(sized or [], "shingles") * items_a_shingle(guarded=guarded)
    size = total(components, "documents") * (num_perm * 4 + 64) + items * SHINGLE_DTYPE.itemsize
    partitions = partitions_for(size, partition_mb)
    return [
        Unit(
            part.number,
            {
                "signatures": part.signatures,
                "verdicts": record.outputs["verdicts"].reference(),
                "components": table_of(components, part.first_doc),
                "partitions": partitions,
            }
            | ({} if sized is None else {"documents": part.documents})
            | ({} if labels is None else {"labelled": part.documents, "labels": labels}),
            part.rows * 64 if sized is None else part.text_bytes,
        )
        for part, record in zip(parts, filtered, strict=True)
    ]


def run_candidates(unit: Unit, workspace: Workspace) -> None:
    """Send the part's candidates to the partition of their component."""
    store, inputs = workspace.store, unit.inputs
    table = read_ipc(store, inputs["signatures"])
    verdicts = read_parquet(store, inputs["verdicts"], ["doc", "failed_rules", "characters", "source"])
    docs = column_to_numpy(table, "doc")
    components = read_ipc(store, inputs["components"])
    row, component = lookup(docs, column_to_numpy(components, "doc"), column_to_numpy(components, "component"))

    order, spread = spread_components(component, docs[row])
    row, component = row[order], component[order]
    partition = partition_of_hash(spread, inputs["partitions"])
    columns: dict[str, NDArray[Any]] = {
        "doc": docs[row],
        "component": component,
        "group": component,
        "source": column_to_numpy(verdicts, "source")[row],
        "failed_rules": column_to_numpy(verdicts, "failed_rules")[row],
        "characters": column_to_numpy(verdicts, "characters")[row],
        "exact_high": column_to_numpy(table, "exact_high")[row],
        "exact_low": column_to_numpy(table, "exact_low")[row],
        "shingles": column_to_numpy(table, "shingles")[row],
        "signature": list_column_to_2d(table, "signature", workspace.settings["num_perm"])[row],
    }

    if "labels" in inputs:
        columns["label"] = labels_of(columns["doc"], read_labels(store, inputs["labelled"], inputs["labels"]))
    sets = _shingle_sets(workspace, inputs["documents"], columns) if "documents" in inputs else None
    write_candidates(workspace, partition, columns, inputs["partitions"], sets)


def write_candidates(
    workspace: Workspace,
    partition: NDArray[np.int64],
    columns: dict[str, NDArray[Any]],
    num_partitions: int,
    sets: tuple[NDArray[np.uint32], Iterable[NDArray[np.uint32]]] | None,
) -> None:
    """Write candidates [M] in partition order; ``sets`` are the items that each sends, and the items, or None."""
    payload, dtype = None, None
    if sets is not None:
        columns["length"], payload = sets
        dtype = SHINGLE_DTYPE
        workspace.count("payload_bytes", columns["length"].sum(dtype=np.int64) * dtype.itemsize)
    exchange_output(workspace, "candidates", partition, columns, num_partitions, payload, dtype)
    workspace.count("candidates", len(partition))


def spread_components(
    component: NDArray[np.uint64], docs: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The order of an exchange by component, int64[M], and the key that each ordered row is placed by, uint64[M]."""
    spread = keyed_hash(_PARTITION_KEY, component[:, None])[:, 0]
    order = np.lexsort((docs, spread))
    return order, spread[order]


def _shingle_sets(
    workspace: Workspace, documents: Json, columns: dict[str, NDArray[Any]]
) -> tuple[NDArray[np.uint32], Iterable[NDArray[np.uint32]]]:
    """Items that each row sends, uint32[M] (none where an equal text stands before it), and the items in row order.

    With a guard, adds columns of what the text says, to the rows that send items.
    """
    first = first_of_each_text(columns["exact_high"], columns["exact_low"])
    docs = columns["doc"][first]
    in_part = np.argsort(docs)
    identify = guard_languages(workspace, workspace.store)
    sets = sets_of(workspace, workspace.store, documents, docs[in_part], workspace.settings["ngram"], identify)
    place = np.empty(len(first), np.int64)
    place[in_part] = np.arange(len(first))
    lengths = np.diff(sets.starts)[place]
    sent = np.zeros(len(columns["doc"]), np.uint32)
    sent[first] = lengths
    if identify is not None:
        columns |= guard_columns(
            len(sent),
            first,
            sets.shingles[place],
            sets.script[place],
            sets.language[place],
            columns["characters"][first],
        )
    return sent, gather_documents(sets.items, sets.starts[:-1][place], lengths)


def guard_columns(
    members: int,
    rows: NDArray[np.int64],
    shingles: NDArray[np.integer[Any]],
    script: NDArray[np.integer[Any]],
    language: NDArray[np.integer[Any]],
    characters: NDArray[np.integer[Any]],
) -> dict[str, NDArray[Any]]:
    """What a guard asks for beside the items, in the rows of which the contents are known.

    Args:
        members: M rows in all.
        rows: int64[K], those whose contents are known.
        shingles: int[K], how many of their items are shingles.
        script: int[K].
        language: int[K].
        characters: int[K]. The column that ranks members holds none for documents of earlier runs.
    """
    known = np.ones(len(rows), np.uint8)
    columns: dict[str, NDArray[Any]] = {}
    for name, values, kind in (
        ("known", known, np.uint8),
        ("shingle_items", shingles, np.uint32),
        ("script", script, np.uint8),
        ("language", language, np.uint32),
        ("text_characters", characters, np.uint32),
    ):
        columns[name] = np.zeros(members, kind)
        columns[name][rows] = values
    return columns
