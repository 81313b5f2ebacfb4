"""Semantic duplicates against brute force: links, visits, keepers."""

import numpy as np
import pytest

from tests.support.vectors import blobs
from winnow.select.backends import nearest_centres
from winnow.select.clusters import fit_centres
from winnow.select.semantic import choose_semantic_keepers, links_in_cluster, visited
from winnow.select.vectors import unit_rows


def with_near_ones(count: int, near: float, seed: int = 2):
    rng = np.random.default_rng(seed)
    points = blobs(count, 20, seed=seed)
    copies = points[rng.integers(0, count, count // 2)]
    return unit_rows(np.concatenate([points, copies + near * rng.normal(size=copies.shape).astype(np.float32)]))


def all_pairs(points, threshold):
    products = points @ points.T
    first, second = np.nonzero(np.triu(products >= threshold, 1))
    return set(zip(first.tolist(), second.tolist(), strict=True))


def test_links_are_all_pairs():
    points = with_near_ones(1500, 0.05)  # more than a block
    residents, visitors = points[:1300], points[1300:]
    found = set()
    for first, second in links_in_cluster(residents, visitors, 0.9):
        found |= set(zip(first.tolist(), second.tolist(), strict=True))
    expected = {(a, b) for a, b in all_pairs(points, 0.9) if a < 1300}
    assert found == expected
    assert expected


@pytest.mark.parametrize("threshold", [0.8, 0.95])
def test_no_pair_is_missed_between_clusters(threshold):
    points = with_near_ones(1200, 0.06)
    centres = fit_centres(points, 25, 10).centres
    chosen, cosine = nearest_centres(points, centres, len(centres))  # may visit all
    near = visited(cosine, threshold)
    where = [{int(chosen[n, 0])} | set(chosen[n, 1:][near[n]].tolist()) for n in range(len(points))]
    pairs = all_pairs(points, threshold)
    crossing = [(a, b) for a, b in pairs if chosen[a, 0] != chosen[b, 0]]
    assert crossing
    for a, b in crossing:
        assert int(chosen[b, 0]) in where[a] or int(chosen[a, 0]) in where[b]


def greedy(points, component, threshold):
    keeper = np.full(len(points), -1)
    for n in range(len(points)):
        for before in range(n):
            if component[before] == component[n] and keeper[before] == -1 and points[before] @ points[n] >= threshold:
                keeper[n] = before
                break
    return keeper


def test_keepers_are_the_greedy_choice():
    rng = np.random.default_rng(4)
    points = with_near_ones(1000, 0.1, seed=5)
    component = np.sort(rng.integers(0, 3, len(points))).astype(np.uint64)  # several blocks in one component
    keeper, cosine = choose_semantic_keepers(points, component, 0.7)
    assert np.array_equal(keeper, greedy(points, component, 0.7))
    removed = keeper >= 0
    assert removed.any()
    assert np.isnan(cosine[~removed]).all()
    assert np.allclose(cosine[removed], (points[removed] * points[keeper[removed]]).sum(axis=1), atol=1e-5)
    assert (keeper[keeper[removed]] == -1).all()  # kept ones only: no chains


def test_a_chain_keeps_its_ends():
    angles = np.deg2rad([0, 10, 20, 30, 40])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    keeper, _ = choose_semantic_keepers(points, np.zeros(5, np.uint64), float(np.cos(np.deg2rad(11))))
    assert keeper.tolist() == [-1, 0, -1, 2, -1]
