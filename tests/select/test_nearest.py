"""Nearest centres and sums: numpy against brute force, and the GPU's code, run here on torch's CPU, against numpy."""

import numpy as np
import pytest

from tests.support.vectors import blobs
from winnow.select import device_vectors
from winnow.select.backends import nearest_centres
from winnow.select.clusters import fit_centres
from winnow.select.device_vectors import DeviceVectors
from winnow.select.nearest import HostVectors
from winnow.select.vectors import FIXED_POINT, stored_vectors, unit_rows


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs torch (extra `gpu`)")


def test_numpy_is_brute_force_and_equal_cosines_go_to_the_lowest():
    points, centres = blobs(100, 5), blobs(9, 5, seed=3)
    chosen, cosine = nearest_centres(points, centres, 2)
    products = points @ centres.T
    assert np.array_equal(chosen, np.argsort(-products, axis=1, kind="stable")[:, :2])
    assert np.allclose(cosine[:, 0], products.max(axis=1), atol=1e-6)
    axes = np.eye(4, dtype=np.float32)
    middle = np.full((1, 4), 0.5, np.float32)
    assert nearest_centres(middle, axes, 4)[0].tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("centres", ["apart", "in pairs", "crowded"])
def test_the_search_in_half_precision_decides_as_float32_does(torch, number, kind, centres, monkeypatch):
    # pairs half a thousandth apart: float16 cannot tell them apart; crowded: 60 such, more than are candidates
    monkeypatch.setattr(device_vectors, "BUFFER_BYTES", 100_000)  # many blocks
    rng = np.random.default_rng(1)
    points = stored_vectors(blobs(700, 30)).astype(kind)
    middles = blobs(10 if centres == "crowded" else 333, 30, seed=4)
    copies = {"apart": 1, "in pairs": 2, "crowded": 60}[centres]
    near = np.repeat(middles, copies, axis=0)
    near = unit_rows(near + 5e-5 * rng.normal(size=near.shape).astype(np.float32))[rng.permutation(len(near))]
    expected, cosine = HostVectors(points).nearest(near, number)
    found, cosine_too = DeviceVectors.of(points, "cpu", half_from=1).nearest(near, number)
    assert np.allclose(cosine, cosine_too, atol=1e-6)
    differing = expected != found
    products = unit_rows(points) @ near.T
    rows = np.nonzero(differing)[0]
    assert np.allclose(products[rows, expected[differing]], products[rows, found[differing]], atol=2e-7)
    assert differing.mean() < 0.01  # equal in float32's last bit; the search alone would differ in most rows


def test_the_search_looks_again_only_where_it_must(torch, monkeypatch):
    exact = []
    plain = DeviceVectors._exact
    monkeypatch.setattr(DeviceVectors, "_exact", lambda *a: exact.append(len(a[1])) or plain(*a))
    points, centres = stored_vectors(blobs(500, 400)), blobs(400, 400, seed=1)
    DeviceVectors.of(points, "cpu", half_from=1).nearest(centres, 1)
    assert exact == [0]


def test_sums_are_exact_whatever_the_order(torch):
    points = stored_vectors(blobs(5000, 7))
    group = np.random.default_rng(2).integers(0, 40, len(points)).astype(np.int32)
    expected = np.zeros((41, points.shape[1]))
    fixed = np.rint(unit_rows(points).astype(np.float64) * FIXED_POINT).astype(np.int64)
    for g in range(40):
        expected[g] = fixed[group == g].sum(axis=0) / FIXED_POINT
    shuffled = np.random.default_rng(3).permutation(len(points))
    for vectors in (HostVectors(points), HostVectors(points).held_as_unit(), DeviceVectors.of(points, "cpu")):
        assert np.array_equal(vectors.sums(group, 41), expected)
        assert np.array_equal(vectors.take(shuffled).sums(group[shuffled], 41), expected)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_fit_on_a_device_gives_the_same_bits(torch, levels, monkeypatch):
    monkeypatch.setattr(device_vectors, "HALF_FROM", 8)
    points = stored_vectors(blobs(3000, 100, spread=0.3))
    here = fit_centres(points, 90, 12, levels)
    there = fit_centres(points, 90, 12, levels, device="cpu:0")
    assert here.rounds == there.rounds
    assert np.array_equal(here.centres, there.centres)


def test_within_groups_is_brute_force(torch):
    points, centres = blobs(300, 9), blobs(20, 9, seed=5)
    starts = np.array([0, 4, 4, 11, 20])
    near = np.sort(np.random.default_rng(6).permuted(np.tile(np.arange(4), (300, 1)), axis=1)[:, :2], axis=1)
    near[:, 1] = np.where(near[:, 1] == 1, 3, near[:, 1])  # group 1 has no centres
    near = near.astype(np.int32)
    products = points @ centres.T
    allowed = np.zeros(products.shape, bool)
    for n, groups in enumerate(near):
        for g in groups:
            allowed[n, starts[g] : starts[g + 1]] = True
    expected = np.where(allowed, products, -np.inf).argmax(axis=1)
    for vectors in (HostVectors(points), DeviceVectors.of(points, "cpu")):
        chosen, cosine = vectors.nearest_within(centres, starts, near)
        assert np.array_equal(chosen[:, 0], expected)
        assert np.allclose(cosine[:, 0], products[np.arange(300), expected], atol=1e-6)
