"""Embeddings, clusters and scores of a finished run as plain Parquet, and centres as a numpy file."""

from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.errors import ConfigError, ModelFolderError, NamedObjectError
from winnow.flow.records import RunRecords
from winnow.select.encoder import encoder_identity, encoder_settings
from winnow.stages.removals.lists import refuse_unproven
from winnow.stages.select.clusters import encoder_note
from winnow.stages.select.embed import on_this_node
from winnow.stages.tables import column_to_numpy, list_column_to_2d, read_ipc, read_parquet
from winnow.storage.address import check_lasting
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

CENTRES = "clusters.npy"
SCORES = ("tokens", "cluster", "centre_cosine", "importance", "quality")


def export_embeddings(run: RunRecords, folder: str) -> int:
    """Write ``embeddings-NNNNN.parquet`` a part and ``clusters.npy`` (float32[clusters, dimensions]), with
    ``clusters.json`` that tells a later run of which encoder these are.

    Columns: doc, id, source, outcome, rule (what left it out), keeper (of a semantic duplicate), tokens (in the
    shards if all were kept), cluster, centre_cosine, importance, quality (null where that is off), vector
    (fixed_size_list of float16, unit length). Rows in document order. Without clusters there are no centres.
    Parquet files of an encrypted run are encrypted by its key.

    Returns:
        The number of rows.

    Raises:
        ConfigError: the run has embedded nothing, a removal request to it is not done, or the folder cannot be written.
    """
    refuse_unproven(run.store)
    if "embed" not in run.records:
        raise ConfigError(f"{run.store.root}: the run has no embeddings; no step of `select` needed any")
    target = open_store(folder, run.config.storage)
    if not target.is_remote:
        try:
            Path(check_lasting(folder)).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}; name a folder that can be written") from error
    rows = 0
    for part, embedded in zip(run.parts, run.of("embed"), strict=True):
        vectors = read_ipc(run.store, embedded.outputs["embeddings"].reference()).combine_chunks()
        scores = read_parquet(run.store, run.of("scores")[part.number].outputs["scores"].reference())
        documents = read_parquet(run.store, part.documents, ["doc", "id", "source"])
        decisions = read_parquet(run.store, run.ledger[part.number].outputs["decisions"].reference())
        docs = column_to_numpy(vectors, "doc")
        row = pa.array(np.searchsorted(column_to_numpy(documents, "doc"), docs))
        documents, decisions = documents.take(row), decisions.take(row)
        table = pa.table(
            {
                "doc": docs,
                "id": documents.column("id"),
                "source": documents.column("source").cast(pa.string()),
                "outcome": decisions.column("outcome").cast(pa.string()),
                "rule": decisions.column("rule").cast(pa.string()),
                "keeper": decisions.column("keeper"),
                **{name: scores.column(name) for name in SCORES},
                "vector": vectors.column("vector"),
            }
        )
        encryption = target.encryption() if run.is_encrypted else {}
        with target.create(f"embeddings-{part.number:05d}.parquet") as draft:
            pq.write_table(table, draft.arrow(), compression="zstd", **encryption)
        rows += table.num_rows
    if "centres" not in run.records:
        return rows
    centres = read_ipc(run.store, run.of("centres")[0].outputs["centres"].reference())
    with target.create(CENTRES) as draft:
        np.save(draft, list_column_to_2d(centres, "centre", centres.schema.field("centre").type.list_size))
    _note_encoder(run, target)
    return rows


def _note_encoder(run: RunRecords, target: Store) -> None:
    """Say whose centres these are; where the model is gone, nothing is known of it."""
    note, config = encoder_note(CENTRES), run.config.select
    assert config is not None
    try:
        settings = encoder_settings(
            on_this_node(config.encoder, run.config.storage), run.config.compute.gpus not in ("auto", 0)
        )
    except (ModelFolderError, NamedObjectError):
        target.remove(note)
        return
    target.replace(note, orjson.dumps({"encoder": encoder_identity(settings)}))
