"""Before anything is decided: how much each epsilon would remove, with pairs to judge it by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.flow.records import RunRecords
from winnow.looking.texts import shown_texts
from winnow.select.vectors import BLOCK_ROWS, has_vector, unit_rows
from winnow.shards.order import keyed_hash
from winnow.stages.tables import column_to_numpy, list_column_to_2d, read_ipc

EPSILONS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
_TAG = 0x6578706C  # "expl"


@dataclass(frozen=True)
class Point:
    """At one epsilon: share of sampled documents with another one that near, and a pair that only just is."""

    epsilon: float
    share: float
    pair: tuple[int, int, float] | None


def removal_curve(run: RunRecords, sample: int, epsilons: tuple[float, ...] = EPSILONS) -> list[Point]:
    """Share of documents that have an earlier document of cosine >= 1 - epsilon, over all embedded documents.

    An upper bound of what semantic dedup removes: who is near a removed document only, stays. Sampled by hash, each
    compared with every document before it, whatever the clusters.

    Args:
        run: what has been embedded, whether or not anything was decided since.
        sample: documents that are looked at.
        epsilons: rising.
    """
    docs, keys = [], []
    for record in run.of("embed"):
        table = read_ipc(run.store, record.outputs["embeddings"].reference())
        there = column_to_numpy(table, "doc")
        docs.append(there)
        keys.append(keyed_hash((_TAG, 0), there[:, None])[:, 0])
    if not docs:
        return [Point(epsilon, 0.0, None) for epsilon in epsilons]
    doc, key = np.concatenate(docs), np.concatenate(keys)
    chosen = np.sort(doc[np.argsort(key, kind="stable")[:sample]])
    best = np.full(len(chosen), -1.0, np.float32)
    nearest = np.zeros(len(chosen), np.uint64)
    mine, usable = _vectors_of(run, chosen)
    for record in run.of("embed"):
        _compare(run, record.outputs["embeddings"].reference(), chosen, mine, best, nearest)
    best = np.where(usable, best, -1.0)
    points, before = [], 2.0
    for epsilon in epsilons:
        threshold = 1.0 - epsilon
        just = np.flatnonzero((best >= threshold) & (best < before))
        pair = None
        if len(just):
            place = just[np.argmin(best[just])]
            pair = (int(chosen[place]), int(nearest[place]), float(best[place]))
        points.append(Point(epsilon, float((best >= threshold).mean()) if len(best) else 0.0, pair))
        before = threshold
    return points


def _vectors_of(run: RunRecords, chosen: NDArray[np.uint64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    pieces = []
    for record in run.of("embed"):
        table = read_ipc(run.store, record.outputs["embeddings"].reference())
        rows = np.flatnonzero(np.isin(column_to_numpy(table, "doc"), chosen))
        pieces.append(list_column_to_2d(table, "vector", table.schema.field("vector").type.list_size)[rows])
    stored = np.concatenate(pieces)
    return unit_rows(stored), has_vector(stored)


def _compare(
    run: RunRecords,
    reference: dict[str, object],
    chosen: NDArray[np.uint64],
    mine: NDArray[np.float32],
    best: NDArray[np.float32],
    nearest: NDArray[np.uint64],
) -> None:
    """Raise ``best`` and ``nearest`` by the documents of one part that come before each chosen one."""
    table = read_ipc(run.store, reference)
    there = column_to_numpy(table, "doc")
    vectors = list_column_to_2d(table, "vector", table.schema.field("vector").type.list_size)
    for begin in range(0, len(there), BLOCK_ROWS):
        block = there[begin : begin + BLOCK_ROWS]
        theirs = unit_rows(vectors[begin : begin + BLOCK_ROWS]).T
        for first in range(0, len(chosen), BLOCK_ROWS):  # a large sample makes no larger product
            rows = slice(first, first + BLOCK_ROWS)
            products = mine[rows] @ theirs
            products[block[None, :] >= chosen[rows, None]] = -2.0
            place = products.argmax(axis=1)
            found = products[np.arange(len(products)), place]
            better = np.flatnonzero(found > best[rows])
            best[first + better], nearest[first + better] = found[better], block[place[better]]


def texts_of_pairs(run: RunRecords, points: list[Point]) -> dict[int, str]:
    """Texts of the example pairs, by document number."""
    return shown_texts(run, {doc for point in points if point.pair for doc in point.pair[:2]})


def nearest_documents(run: RunRecords, text: str, number: int) -> list[tuple[int, float]]:
    """Embedded documents of largest cosine with a text, best first: (document, cosine)."""
    import pyarrow as pa  # noqa: PLC0415

    from winnow.select.encoder import encoder_of, encoder_settings  # noqa: PLC0415
    from winnow.select.vectors import stored_vectors  # noqa: PLC0415
    from winnow.stages.select.embed import on_this_node  # noqa: PLC0415

    config = run.config.select
    assert config is not None
    local = on_this_node(config.encoder, run.config.storage)
    encoder = encoder_of(encoder_settings(local, run.config.compute.gpus not in ("auto", 0)), local.model)
    wanted = unit_rows(stored_vectors(encoder.embed(encoder.prepare(pa.array([text], pa.large_string())))))[0]
    docs, cosines = np.empty(0, np.uint64), np.empty(0, np.float32)
    for record in run.of("embed"):
        table = read_ipc(run.store, record.outputs["embeddings"].reference())
        vectors = list_column_to_2d(table, "vector", encoder.dimensions)
        usable = np.flatnonzero(has_vector(vectors))
        products = [
            unit_rows(vectors[usable[begin : begin + BLOCK_ROWS]]) @ wanted
            for begin in range(0, len(usable), BLOCK_ROWS)
        ]
        docs = np.concatenate([docs, column_to_numpy(table, "doc")[usable]])
        cosines = np.concatenate([cosines, *products])
        order = np.lexsort((docs, -cosines))[:number]
        docs, cosines = docs[order], cosines[order]
    return list(zip(docs.tolist(), cosines.tolist(), strict=True))
