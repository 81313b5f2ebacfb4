"""Hashed words and word pairs against a plain count."""

from itertools import pairwise

import numpy as np

from tests.support.grams import buckets_of
from winnow.select.kernels.grams import gram_counts, gram_weights


def test_counts_and_weights():
    rng = np.random.default_rng(6)
    words = rng.integers(0, 1 << 63, 60, dtype=np.uint64) * np.uint64(2)
    offsets = np.array([0, 0, 1, 20, 60])
    documents = [words[a:b].tolist() for a, b in pairwise(offsets)]
    expected = [buckets_of(document, 97) for document in documents]
    counts = gram_counts(words, offsets, 97)
    assert counts.tolist() == np.bincount(np.concatenate(expected).astype(int), minlength=97).tolist()
    ratio = rng.normal(size=97)
    weights = gram_weights(words, offsets, ratio)
    assert np.allclose(weights, [ratio[np.array(found, int)].sum() for found in expected])
