"""Spherical k-means against scikit-learn, and the hard cases: few documents, equal vectors, empty clusters."""

import numpy as np
import pytest

from tests.support.vectors import blobs
from winnow.select.backends import nearest_centres
from winnow.select.clusters import _repair, _shares, fit_centres, number_of_clusters
from winnow.select.step_configs import ClustersConfig
from winnow.select.vectors import has_vector, stored_vectors, unit_rows


@pytest.mark.parametrize("levels", [1, 2])
def test_inertia_is_scikit_learns(levels):
    sklearn = pytest.importorskip("sklearn.cluster", reason="needs scikit-learn")
    points = blobs(6000, 40)
    found = fit_centres(points, 64, 50, levels)
    # on unit vectors, |x - c|^2 summed = the same objective up to the length of the means: compare cosines instead
    peer = sklearn.KMeans(64, init=points[:64], n_init=1, max_iter=50, random_state=0).fit(points)
    theirs = (1.0 - nearest_centres(points, unit_rows(peer.cluster_centers_))[1]).sum()
    assert found.inertia <= theirs * 1.01


def test_the_same_centres_for_the_same_vectors_and_unit_length():
    points = blobs(500, 8)
    one, two = fit_centres(points, 20, 10), fit_centres(points.copy(), 20, 10)
    assert np.array_equal(one.centres, two.centres)
    assert np.allclose((one.centres**2).sum(axis=1), 1, atol=1e-5)


def test_more_clusters_than_documents():
    assert number_of_clusters(ClustersConfig(number=50), 7) == 7
    assert number_of_clusters(ClustersConfig(), 0) == 1
    assert number_of_clusters(ClustersConfig(), 10_000) == 100
    points = blobs(7, 3)
    assert len(fit_centres(points, 50, 5).centres) == 7
    assert fit_centres(points[:0], 50, 5).centres.shape == (0, 32)


def test_equal_vectors_leave_no_nan():
    points = np.repeat(blobs(2, 2), 50, axis=0)
    found = fit_centres(points, 10, 10)
    assert np.isfinite(found.centres).all()
    assert found.inertia < 1e-3


def test_an_empty_cluster_gets_the_worst_served_vector():
    group = np.array([0, 0, 0, 2, 2], np.int32)
    cosine = np.array([0.9, 0.1, 0.8, 0.95, 0.99], np.float32)
    assert _repair(group, cosine, 3) == 1
    assert group.tolist() == [0, 1, 0, 2, 2]
    alone = np.array([0, 2], np.int32)
    assert _repair(alone, np.array([0.1, 0.2], np.float32), 3) == 0  # would leave another one empty


def test_shares_add_up_and_fit():
    for sizes, number in ([10, 1, 5], 8), ([1, 1, 1], 3), ([100, 0, 1], 50), ([1000, 1, 1], 3):
        shares = _shares(np.array(sizes), number)
        assert sum(shares) == number
        assert all(min(size, 1) <= share <= size for share, size in zip(shares, sizes, strict=True))


def test_vectors_that_are_none():
    stored = stored_vectors(np.array([[3.0, 4.0], [np.nan, 1.0], [0.0, 0.0], [np.inf, 1.0], [1e30, 0.0]]))
    assert has_vector(stored).tolist() == [True, False, False, False, True]
    assert np.allclose(stored[0], [0.6, 0.8], atol=1e-3)
