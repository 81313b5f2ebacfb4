"""The brute force of other tests, against every single pair."""

import itertools

import numpy as np
import pytest

from tests.support.brute_force import similar_pairs


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
def test_no_pair_is_passed_over(threshold):
    draws = np.random.default_rng(4)
    pool = np.unique(draws.integers(0, 2**32, 200, dtype=np.uint32))
    bases = [pool[draws.random(len(pool)) < draws.choice([0.02, 0.1, 0.4])] for _ in range(30)]
    sets = []
    for number in range(240):
        base = bases[number % 30]
        extra = pool[draws.random(len(pool)) < 0.02]
        sets.append(np.union1d(base[draws.random(len(base)) < 0.95], extra) if number % 3 else base)
    starts = np.concatenate([[0], np.cumsum([len(one) for one in sets])]).astype(np.int64)
    expected = {}
    for (a, one), (b, other) in itertools.combinations(enumerate(map(set, (s.tolist() for s in sets))), 2):
        if one | other and len(one & other) / len(one | other) >= threshold:
            expected[a, b] = len(one & other) / len(one | other)
    found, similarity = similar_pairs(np.concatenate(sets), starts, threshold)
    assert dict(zip(map(tuple, found.tolist()), similarity.tolist(), strict=True)) == expected
    assert len(expected) > 100
