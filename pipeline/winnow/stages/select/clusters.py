"""Centres and assignment: which cluster every embedded document lies in, and which others it lies near."""

import math
import re
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.exchange import partitions_for
from winnow.engine.records import Json, Output, Record, Unit, total
from winnow.engine.stage import Accelerated, Stage, Workspace
from winnow.errors import CentresError
from winnow.select.backends import nearest_centres
from winnow.select.clusters import fit_centres, number_of_clusters
from winnow.select.encoder import encoder_identity
from winnow.select.semantic import visited
from winnow.select.step_configs import ClustersConfig
from winnow.select.vectors import STORED, device_of_this_process, has_vector
from winnow.shards.order import keyed_hash
from winnow.stages.tables import column_to_numpy, exchange_output, ipc_output, list_column_to_2d, read_ipc, read_listing
from winnow.storage.address import is_url
from winnow.storage.config import StorageConfig
from winnow.storage.node_copy import node_copy, without_pin
from winnow.storage.object_files import object_files

_FIT_TAG = 0x636C7573  # "clus": the sample shares no keys with splits and orders
NO_CLUSTER = -1
CLUSTERS = pa.schema([("doc", pa.uint64()), ("cluster", pa.int32()), ("centre_cosine", pa.float32())])
"""Cluster of every embedded document, -1 and NaN where it has no vector."""


def centres_stage(config: ClustersConfig, encoder: Json, storage: StorageConfig) -> Stage:
    """One unit: k-means on a sample by hash, or centres taken from a file (which no embedding has to wait for).

    Args:
        config: how many, and how they are fitted, or where they are.
        encoder: its settings (``encoder_settings``).
        storage: how centres at an address are reached.

    Raises:
        CentresError: the file is not there, holds something else than centres of these dimensions, or is known to be
            of another encoder.
    """
    dimensions: int = encoder["dimensions"]
    if config.centres is not None:
        centres = read_centres(node_copy(config.centres, storage), dimensions)
        _check_encoder(without_pin(config.centres), encoder, storage)
        settings = {"given": _digest(centres), "dimensions": dimensions}
        return Stage("centres", 2, settings, copy_centres, {"centres": config.centres})
    settings = config.model_dump(exclude={"centres"}) | {"dimensions": dimensions}
    return Stage("centres", 2, settings, fit, accelerated=Accelerated(prepare_fit, finish_fit))


def read_centres(path: str, dimensions: int) -> NDArray[np.float32]:
    """Centres float32[K, D] of a ``.npy`` file.

    Raises:
        CentresError: the file is not there, is damaged, or has other dimensions.
    """
    try:
        centres = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CentresError(f"select.clusters.centres: {path} cannot be read as centres: {error}") from error
    if centres.ndim != 2 or centres.dtype != np.float32 or len(centres) == 0 or not np.isfinite(centres).all():
        raise CentresError(
            f"select.clusters.centres: {path} holds {centres.dtype} {list(centres.shape)}; expected finite float32 "
            "[clusters, dimensions], as `winnow export embeddings` writes it"
        )
    if centres.shape[1] != dimensions:
        raise CentresError(
            f"select.clusters.centres: {path} has {centres.shape[1]} dimensions, the encoder has {dimensions}; "
            "name the centres of a run with the same encoder, or take the setting out to fit new ones"
        )
    return np.asarray(centres)


def encoder_note(centres: str) -> str:
    """The file that says whose centres these are: the same path or address with ``.json``."""
    return re.sub(r"\.[^./]*$", "", centres) + ".json"


def _read_note(note: str, storage: StorageConfig) -> bytes | None:
    try:
        return object_files(note, storage).read(note) if is_url(note) else Path(note).read_bytes()
    except FileNotFoundError:
        return None


def _check_encoder(path: str, encoder: Json, storage: StorageConfig) -> None:
    """Refuse centres that are noted to be of another encoder; those without a note are taken as they are.

    Raises:
        CentresError: they are, or the note cannot be read.
    """
    note = encoder_note(path)
    try:
        content = _read_note(note, storage)
        if content is None:
            return
        report_current_unit = orjson.loads(content)["encoder"]
    except ConnectionError:  # of the store: nothing is known of the note
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CentresError(
            f"select.clusters.centres: {note} says whose centres {path} are, and cannot be read: {error!r}; export "
            "them again, or remove it if they are of this encoder"
        ) from error
    if report_current_unit != orjson.loads(orjson.dumps(encoder_identity(encoder))):
        raise CentresError(
            f"select.clusters.centres: {path} are centres of another encoder than select.encoder ({note} says so); "
            "name the centres of a run with the same encoder, or take the setting out to fit new ones"
        )


def _digest(centres: NDArray[np.float32]) -> str:
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(np.ascontiguousarray(centres).tobytes()).hexdigest()


def plan_given_centres() -> list[Unit]:
    """A single unit, which needs no embeddings."""
    return [Unit(0, {}, 0)]


def copy_centres(unit: Unit, workspace: Workspace) -> None:
    """Take the centres of a file into the run folder."""
    del unit  # there is nothing to know
    path = node_copy(workspace.runtime["centres"], workspace.store.storage)
    _write_centres(workspace, read_centres(path, workspace.settings["dimensions"]))


def plan_fit(listing: Json, embedded: list[Record], config: ClustersConfig, dimensions: int) -> list[Unit]:
    """A single unit."""
    documents = total(embedded, "documents") - total(embedded, "without_vector")
    number = number_of_clusters(config, documents)
    sample = min(documents, max(config.fit_documents, 8 * number))
    inputs = {"embeddings": listing, "number": number, "sample": sample}
    return [Unit(0, inputs, sample * dimensions * 2)]


def fit(unit: Unit, workspace: Workspace) -> None:
    """Both halves in one process."""
    finish_fit(unit, workspace, prepare_fit(unit, workspace))


def prepare_fit(unit: Unit, workspace: Workspace) -> pa.Table:
    """Vectors of the documents of smallest keyed hash, in this order."""
    vectors = _sample(workspace, unit.inputs["embeddings"], unit.inputs["sample"])
    flat = pa.array(vectors.reshape(-1), pa.float16())
    return pa.table({"vector": pa.FixedSizeListArray.from_arrays(flat, workspace.settings["dimensions"])})


def finish_fit(unit: Unit, workspace: Workspace, sample: pa.Table) -> None:
    """Fit centres; the documents of the very smallest hashes are the first centres."""
    settings = workspace.settings
    vectors = list_column_to_2d(sample, "vector", settings["dimensions"]).view(STORED)
    device = device_of_this_process()
    with workspace.timed("fit"):
        fitted = fit_centres(vectors, unit.inputs["number"], settings["iterations"], settings["levels"], device)
    workspace.metadata["inertia"] = fitted.inertia
    workspace.count("fitted_documents", len(vectors))
    workspace.count("rounds", fitted.rounds)
    workspace.count("repaired", fitted.repaired)
    _write_centres(workspace, fitted.centres)


def _write_centres(workspace: Workspace, centres: NDArray[np.float32]) -> None:
    schema = pa.schema([("centre", pa.list_(pa.float32(), workspace.settings["dimensions"]))])
    with ipc_output(workspace, "centres", schema) as table:
        table.write({"centre": centres})
    workspace.count("clusters", len(centres))


def _sample(workspace: Workspace, listing: Json, number: int) -> NDArray[np.float16]:
    """Vectors of the ``number`` documents of smallest keyed hash, in the order of these hashes."""
    seed, dimensions = workspace.settings["seed"], workspace.settings["dimensions"]
    keys, vectors = np.empty(0, np.uint64), np.empty((0, dimensions), STORED)
    for entry in read_listing(workspace.store, listing) if number else ():
        table = read_ipc(workspace.store, entry)
        found = list_column_to_2d(table, "vector", dimensions)
        usable = np.flatnonzero(has_vector(found))
        own = keyed_hash((seed, _FIT_TAG), column_to_numpy(table, "doc")[usable][:, None])[:, 0]
        if len(keys) >= number:  # only what would come in is copied
            usable, own = usable[own < keys[-1]], own[own < keys[-1]]
        merged = np.concatenate([keys, own])
        order = np.argsort(merged, kind="stable")[:number]
        vectors = np.concatenate([vectors, found[usable]])[order]
        keys = merged[order]
    return vectors


def assign_stage(dimensions: int, threshold: float | None, neighbours: int) -> Stage:
    """Map side: each document's cluster; and, with a threshold, itself sent to its cluster and to those it is near."""
    settings = {"dimensions": dimensions, "threshold": threshold, "neighbours": neighbours if threshold else 0}
    return Stage("assign", 2, settings, run_assign, accelerated=Accelerated(prepare_assign, finish_assign))


def assign_partitions(documents: int, clusters: int, dimensions: int, neighbours: int, partition_mb: int) -> int:
    """How many ranges of clusters there are."""
    size = documents * (1 + neighbours) * (dimensions * STORED.itemsize + 16)
    return min(partitions_for(size, partition_mb), max(1, clusters))


def assign_unit(number: int, documents: Json, embeddings: Output, centres: Record, partitions: int) -> Unit:
    """The unit of one part's embeddings. ``documents`` is the part's table: parts of which nothing was kept have the
    same embeddings, none, and are different units all the same."""
    clusters = centres.counters["clusters"]
    inputs = {
        "documents": documents,
        "embeddings": embeddings.reference(),
        "centres": centres.outputs["centres"].reference(),
        "partitions": partitions,
    }
    return Unit(number, inputs, embeddings.bytes * max(1, math.isqrt(clusters) // 8))


def run_assign(unit: Unit, workspace: Workspace) -> None:
    """Both halves in one process."""
    finish_assign(unit, workspace, prepare_assign(unit, workspace))


def prepare_assign(unit: Unit, workspace: Workspace) -> pa.Table:
    """The part's embeddings."""
    return read_ipc(workspace.store, unit.inputs["embeddings"])


def finish_assign(unit: Unit, workspace: Workspace, embedded: pa.Table) -> None:
    """Find each document's nearest centres."""
    settings, dimensions = workspace.settings, workspace.settings["dimensions"]
    docs, vectors = column_to_numpy(embedded, "doc"), list_column_to_2d(embedded, "vector", dimensions)
    centres = list_column_to_2d(read_ipc(workspace.store, unit.inputs["centres"]), "centre", dimensions)
    usable = np.flatnonzero(has_vector(vectors))
    width = min(1 + settings["neighbours"], len(centres))
    chosen = np.full((len(docs), max(1, width)), NO_CLUSTER, np.int32)
    cosine = np.full((len(docs), max(1, width)), np.nan, np.float32)
    if width and len(usable):
        device = device_of_this_process()
        with workspace.timed("assign"):
            chosen[usable], cosine[usable] = nearest_centres(vectors[usable], centres, width, device)
    with ipc_output(workspace, "clusters", CLUSTERS) as output:
        output.write({"doc": docs, "cluster": chosen[:, 0], "centre_cosine": cosine[:, 0]})
    workspace.count("documents", len(docs))
    if settings["threshold"] is not None:
        partitions = unit.inputs["partitions"]
        workspace.metadata["partitions"] = partitions
        _send_members(workspace, docs, vectors, chosen[usable], cosine[usable], usable, partitions, len(centres))


def _send_members(
    workspace: Workspace,
    docs: NDArray[np.uint64],
    vectors: NDArray[np.float16],
    chosen: NDArray[np.int32],
    cosine: NDArray[np.float32],
    usable: NDArray[np.int64],
    partitions: int,
    clusters: int,
) -> None:
    """Send every document to its own cluster, and as a visitor to others that it lies near."""
    near = visited(cosine, workspace.settings["threshold"])
    row, place = np.nonzero(near)
    rows = np.concatenate([usable, usable[row]])
    cluster = np.concatenate([chosen[:, 0], chosen[row, place + 1]])
    visitor = np.concatenate([np.zeros(len(usable), np.uint8), np.ones(len(row), np.uint8)])
    order = np.lexsort((docs[rows], visitor, cluster))
    rows, cluster, visitor = rows[order], cluster[order], visitor[order]
    partition = cluster.astype(np.int64) * partitions // max(1, clusters)
    columns = {"doc": docs[rows], "cluster": cluster, "visitor": visitor, "vector": vectors[rows]}
    exchange_output(workspace, "members", partition, columns, partitions)
    workspace.count("visits", len(row))
    workspace.count("crowded", int(near[:, -1].sum()) if near.shape[1] else 0)
