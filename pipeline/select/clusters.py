"""Spherical k-means: centres of unit length, documents by largest cosine.

Deterministic: the first centres are the vectors whose documents have the smallest keyed hashes, sums are float64 in
document order, ties go to the lowest centre. A centre that nobody chose is given the vector that is worst served by
its own centre. Source: I. Dhillon and D. Modha, "Concept decompositions for large sparse text data using clustering"
(2001); Lloyd's iteration.

Legend: N vectors, D dimensions, K centres.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.section import Section
from pipeline.select.stretches import stretches
from pipeline.select.vectors import nearest_centres, unit_rows

MOST_CLUSTERS_AUTO = 50_000
TWO_LEVELS_FROM = 4_096
"""From so many centres on, `levels: auto` clusters the clusters."""


class ClustersConfig(Section):
    """Groups of documents with near vectors."""

    number: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """How many clusters; `auto` is the square root of the number of documents, at most 50,000. With fewer documents
    than clusters, every document is a cluster."""
    fit_documents: int = Field(200_000, ge=1)
    """Documents that the centres are fitted on, drawn by hash; at least eight a cluster are taken."""
    iterations: int = Field(20, ge=1)
    """Rounds of k-means at most; it ends sooner when no document changes its cluster."""
    levels: Literal["auto", 1, 2] = "auto"
    """2 = first about sqrt(number) coarse clusters, then each is divided. `auto` is 2 from 4,096 clusters on."""
    seed: int = 0
    """Of the hash that draws the sample and the first centres."""
    centres: str | None = Field(None, min_length=1)
    """A file of centres (`clusters.npy` of `winnow export embeddings`) to use instead of fitting new ones."""


@dataclass(frozen=True)
class Fit:
    """Centres float32[K, D] of unit length, sum of (1 - cosine) over the fitted vectors, and rounds done."""

    centres: NDArray[np.float32]
    inertia: float
    rounds: int
    repaired: int


def number_of_clusters(config: ClustersConfig, documents: int) -> int:
    """K for so many documents (at least 1, even for none)."""
    wanted = config.number if isinstance(config.number, int) else min(math.isqrt(max(documents, 1)), MOST_CLUSTERS_AUTO)
    return max(1, min(wanted, documents))


def fit_centres(vectors: NDArray[Any], number: int, iterations: int, levels: int | str = 1, device: str = "cpu") -> Fit:
    """Fit centres to vectors that stand in the order of their keyed hashes: the first ones are the first centres.

    Args:
        vectors: float16 or float32 [N, D], no zero rows, in the order of their documents' keyed hashes.
        number: K; no more than N distinct centres can come out, fewer vectors give fewer centres.
        iterations: rounds at most, on each level.
        levels: 1, 2 or ``auto``.
        device: where products are computed (see :func:`nearest_centres`).
    """
    number = min(number, len(vectors))
    if number == 0:
        return Fit(np.zeros((0, vectors.shape[1]), np.float32), 0.0, 0, 0)
    unit = unit_rows(vectors)
    if levels == 1 or (levels == "auto" and number < TWO_LEVELS_FROM) or number < 4:
        return _lloyd(unit, unit[:number].copy(), iterations, device)
    coarse = _lloyd(unit, unit[: math.isqrt(number)].copy(), iterations, device)
    group = nearest_centres(unit, coarse.centres, 1, device)[0][:, 0]
    sizes = np.bincount(group, minlength=len(coarse.centres))
    pieces, rounds, repaired = [], coarse.rounds, coarse.repaired
    for place, share in enumerate(_shares(sizes, number)):
        if share:
            mine = unit[group == place]
            fit = _lloyd(mine, mine[:share].copy(), iterations, device)
            pieces.append(fit.centres)
            rounds, repaired = max(rounds, fit.rounds), repaired + fit.repaired
    final = _lloyd(unit, np.concatenate(pieces), 1, device)
    return Fit(final.centres, final.inertia, rounds + 1, repaired + final.repaired)


def _shares(sizes: NDArray[np.int64], number: int) -> list[int]:
    """How many of ``number`` centres each group gets: in proportion to its size, at most its size, by largest rest."""
    exact = sizes * (number / sizes.sum())
    shares = np.minimum(np.floor(exact).astype(np.int64), sizes)
    while (left := number - int(shares.sum())) > 0:
        room = np.flatnonzero(shares < sizes)
        order = room[np.argsort(-(exact - shares)[room], kind="stable")]
        shares[order[:left]] += 1
    return [int(share) for share in shares]


def _lloyd(unit: NDArray[np.float32], centres: NDArray[np.float32], iterations: int, device: str) -> Fit:
    group = np.full(len(unit), -1, np.int32)
    repaired = 0
    for rounds in range(1, iterations + 1):  # noqa: B007 - told in the result
        chosen, cosine = nearest_centres(unit, centres, 1, device)
        changed = chosen[:, 0] != group
        group = chosen[:, 0].copy()
        repaired += _repair(group, cosine[:, 0], len(centres))
        if not changed.any():
            break
        centres = _means(unit, group, centres)
    cosine = nearest_centres(unit, centres, 1, device)[1][:, 0]
    return Fit(centres, float((1.0 - cosine.astype(np.float64)).sum()), rounds, repaired)


def _repair(group: NDArray[np.int32], cosine: NDArray[np.float32], number: int) -> int:
    """Give every centre without vectors the one that is worst served, unless it would leave another centre empty."""
    sizes = np.bincount(group, minlength=number)
    empty = np.flatnonzero(sizes == 0)
    if len(empty) == 0:
        return 0
    worst = iter(np.lexsort((np.arange(len(cosine)), cosine)).tolist())
    given = 0
    for place in empty:
        for vector in worst:
            if sizes[group[vector]] > 1:
                sizes[group[vector]] -= 1
                group[vector] = place
                given += 1
                break
    return given


def _means(unit: NDArray[np.float32], group: NDArray[np.int32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit means of each group; a group that is empty, or whose vectors cancel out, keeps its centre."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    sums = np.zeros(before.shape, np.float64)
    for begin, end in stretches(ordered):
        sums[ordered[begin]] = unit[order[begin:end]].sum(axis=0, dtype=np.float64)
    length = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
    return np.where(length > 1e-9, sums / np.maximum(length, 1e-9), before).astype(np.float32)
