"""Append: what a run leaves in the index for the runs after it, one unit a part.

Everything that passed the filter is listed, duplicates too: later documents may be linked with kept ones through
them, and only so are the components of many runs those of one run. Kept documents come first, so a row number says
whether a document was kept. Signatures and ids are stored for kept documents alone: nothing else can be a keeper.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.bands import exchange_rows
from winnow.dedup.config import DedupConfig
from winnow.dedup.index import first_of_each, indexed_documents, own_groups
from winnow.dedup.minhash_config import MinHashConfig
from winnow.engine.exchange import Columns, partition_of_hash
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.numeric.radix import sort_pairs
from winnow.stages.dedup.candidate_sets import content_sets, guard_languages, sets_of
from winnow.stages.dedup.components import group_tables
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    ipc_output,
    list_column_to_2d,
    parquet_batches,
    parquet_output,
    read_ipc,
    read_parquet,
    read_partition,
)
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

KEYS_A_RANGE = 1024
"""Band keys that a key range of a part holds on average: the least that a later run reads at a time."""


def stage(config: DedupConfig, guard_language: Json | None, segment: int, token: str, run: str) -> Stage:
    """The stage, run over the index's folder; ``run`` is the run folder that it reads, and with ``guard_language``
    (``half_of``) it keeps what a guard asks for.

    ``token`` makes the folder this run's own: what a failed run leaves there is found and removed as a whole.
    """
    settings = {
        "minhash": config.minhash.model_dump(),
        "sets": config.verification.reads_texts,
        "language": guard_language,
        "segment": segment,
        "token": token,
    }
    return Stage("segment", 2, settings, run_append, {"run": run})


def plan(
    parts: list[Part],
    filtered: list[Record],
    decided: list[Record],
    member_decisions: Json,
    matched_components: Json | None,
    first_part: int,
) -> list[Unit]:
    """One unit a part. ``matched_components`` lists the index's components that this run's documents met."""
    last_docs = [part.first_doc for part in parts[1:]] + [1 << 63]
    return [
        Unit(
            part.number,
            {
                "signatures": part.signatures,
                "documents": part.documents,
                "verdicts": verdicts.outputs["verdicts"].reference(),
                "survivors": decisions.outputs["survivors"].reference(),
                "member_decisions": member_decisions,
                "part": part.number,
                "index_part": first_part + part.number,
                "matched_components": matched_components,
                "first_doc": part.first_doc,
                "end_doc": end_doc,
            },
            part.rows * 1600,
        )
        for part, verdicts, decisions, end_doc in zip(parts, filtered, decided, last_docs, strict=True)
    ]


def run_append(unit: Unit, workspace: Workspace) -> None:
    """Write the part's band keys, links, signatures and ids."""
    store, inputs = open_store(workspace.runtime["run"], workspace.store.storage), unit.inputs
    minhash = MinHashConfig.model_validate(workspace.settings["minhash"])
    verdicts = read_parquet(store, inputs["verdicts"], ["doc", "passed", "characters"])
    passed = np.flatnonzero(column_to_numpy(verdicts, "passed"))
    docs = column_to_numpy(verdicts, "doc")[passed]
    kept = np.isin(docs, column_to_numpy(read_ipc(store, inputs["survivors"]), "doc"), assume_unique=True)
    order = np.argsort(~kept, kind="stable")  # row -> position among those that passed
    num_kept = int(kept.sum())
    member_decisions = read_partition(store, inputs["member_decisions"], inputs["part"])
    member = np.searchsorted(docs, member_decisions["doc"])

    table = read_ipc(store, inputs["signatures"])
    signatures = list_column_to_2d(table, "signature", minhash.num_perm)[passed[order]]
    hashes = np.stack([column_to_numpy(table, name)[passed[order]] for name in ("exact_high", "exact_low")], axis=1)
    _write_bands(workspace, signatures, hashes, minhash)

    rows = np.empty(len(order), np.uint64)
    rows[order] = np.arange(len(order), dtype=np.uint64)
    component = member_decisions["component"].astype(np.uint64)
    _write_links(workspace, inputs, component, indexed_documents(inputs["index_part"], rows[member]), store)

    groups = own_groups(docs, workspace.settings["segment"])
    groups[member] = member_decisions["group"]
    with ipc_output(workspace, "signatures", schemas.indexed_signatures(minhash.num_perm)) as signature_table:
        signature_table.write(
            {
                "exact_high": hashes[:num_kept, 0],
                "exact_low": hashes[:num_kept, 1],
                "shingles": column_to_numpy(table, "shingles")[passed[order[:num_kept]]],
                "group": groups[order[:num_kept]],
                "signature": signatures[:num_kept],
            }
        )
    if workspace.settings["sets"]:
        characters = column_to_numpy(verdicts, "characters")[passed[kept]]
        _write_sets(workspace, store, inputs["documents"], docs[kept], characters, minhash.ngram)
    with parquet_output(workspace, "documents", schemas.INDEXED_DOCUMENTS, plain=("doc", "id")) as documents:
        for batch in parquet_batches(store, inputs["documents"], ["doc", "id", "source"]):
            found = np.flatnonzero(np.isin(batch.column("doc").to_numpy(), docs[kept], assume_unique=True))
            documents.write(batch.take(pa.array(found)))
    workspace.count("documents", len(docs))
    workspace.count("kept", num_kept)


def _write_sets(
    workspace: Workspace,
    store: Store,
    documents: Json,
    docs: NDArray[np.uint64],
    characters: NDArray[np.uint32],
    ngram: int,
) -> None:
    """What later runs verify by, of kept documents; and what their guard asks for, unless this run's is off."""
    identify = guard_languages(workspace, store)
    sets, ngrams, ngram_starts = content_sets(sets_of(workspace, store, documents, docs, ngram, identify))
    with ipc_output(workspace, "shingles", schemas.INDEXED_SHINGLES) as shingles:
        shingles.write({"shingles": pa.LargeListArray.from_arrays(pa.array(sets.starts), pa.array(sets.items))})
    if identify is None:
        return
    with ipc_output(workspace, "contents", schemas.INDEXED_CONTENTS) as contents:
        contents.write(
            {
                "script": sets.script,
                "language": sets.language,
                "characters": characters,
                "ngrams": pa.LargeListArray.from_arrays(pa.array(ngram_starts), pa.array(ngrams)),
            }
        )


def _write_bands(
    workspace: Workspace, signatures: NDArray[np.uint32], hashes: NDArray[np.uint64], minhash: MinHashConfig
) -> None:
    """One row for every distinct key: the others that have it are linked with it anyway."""
    keys, rows = sort_pairs(
        *exchange_rows(signatures, hashes, np.arange(len(signatures), dtype=np.uint64), minhash), True
    )
    first = first_of_each(keys)
    columns: Columns = {"key": keys[first], "row": rows[first].astype(np.uint32)}
    ranges = 1 << max(0, (len(first) // KEYS_A_RANGE).bit_length() - 1)
    exchange_output(workspace, "bands", partition_of_hash(keys[first], ranges), columns, ranges)
    workspace.count("keys", len(first))


def _write_links(
    workspace: Workspace, inputs: Json, component: NDArray[np.uint64], docs: NDArray[np.uint64], store: Store
) -> None:
    """Members of components, and the components of the index that were linked with one named by a document here."""
    for matched, names in group_tables(store, inputs["matched_components"]):
        here = np.flatnonzero((names >= inputs["first_doc"]) & (names < inputs["end_doc"]))
        component = np.concatenate([component, names[here]])
        docs = np.concatenate([docs, matched[here]])
    component, docs = sort_pairs(component, docs, True)
    with ipc_output(workspace, "links", schemas.LINKS) as links:
        links.write({"component": component, "doc": docs})
    workspace.count("links", len(docs))
