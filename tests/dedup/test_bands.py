"""Bands: keys, exchange rows, star edges against brute force, and the theory curve against simulation."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.dedup.bands import band_keys, candidate_probability, exchange_rows, group_edges
from winnow.dedup.config import DedupConfig
from winnow.dedup.minhash import EMPTY
from winnow.numeric.radix import sort_pairs

CONFIG = DedupConfig().minhash


def pairs_of(similarity, count, seed=0):
    """Pairs of signatures whose entries agree with this probability."""
    draws = np.random.default_rng(seed)
    left = draws.integers(0, 2**32, (count, CONFIG.num_perm), dtype=np.uint32)
    other = draws.integers(0, 2**32, left.shape, dtype=np.uint32)
    return left, np.where(draws.random(left.shape) < similarity, left, other)


def test_keys_are_equal_exactly_where_all_rows_are():
    left, right = pairs_of(0.9, 200)
    rows_equal = (left == right).reshape(200, CONFIG.bands, CONFIG.rows).all(axis=2)
    np.testing.assert_array_equal(band_keys(left, CONFIG) == band_keys(right, CONFIG), rows_equal)
    assert 0 < rows_equal.sum() < rows_equal.size


def test_equal_rows_in_different_bands_have_different_keys():
    signed = np.full((1, CONFIG.num_perm), 7, np.uint32)
    assert len(np.unique(band_keys(signed, CONFIG))) == CONFIG.bands


def test_keys_depend_on_every_row_and_their_order():
    base = np.arange(CONFIG.num_perm, dtype=np.uint32)[None]
    changed = np.repeat(base, CONFIG.num_perm, axis=0)
    changed[np.arange(CONFIG.num_perm), np.arange(CONFIG.num_perm)] ^= np.uint32(1)
    differs = band_keys(changed, CONFIG) != band_keys(base, CONFIG)
    np.testing.assert_array_equal(np.argmax(differs, axis=1), np.arange(CONFIG.num_perm) // CONFIG.rows)
    assert (differs.sum(axis=1) == 1).all()
    assert (band_keys(base[:, ::-1].copy(), CONFIG) != band_keys(base, CONFIG)).all()


def test_keys_are_spread_over_all_bits():
    keys = band_keys(pairs_of(0, 500)[0], CONFIG).ravel()
    shares = [((keys >> np.uint64(bit)) & np.uint64(1)).mean() for bit in range(64)]
    assert len(np.unique(keys)) == len(keys)
    assert all(abs(share - 0.5) < 0.02 for share in shares)  # 5 standard errors of 16,000 draws


def test_signatures_too_short_for_the_bands_are_refused():
    with pytest.raises(ValueError, match="128 entries"):
        band_keys(np.zeros((1, 128), np.uint32), CONFIG)


def test_documents_without_shingles_send_only_their_text_hash():
    signed = pairs_of(0, 4)[0]
    signed[[1, 2, 3]] = EMPTY
    hashes = np.array([[1, 2], [3, 4], [3, 4], [3, 5]], np.uint64)
    docs = np.array([10, 11, 12, 13], np.uint64)
    keys, senders = exchange_rows(signed, hashes, docs, CONFIG)
    assert len(keys) == len(senders) == CONFIG.bands + 3
    assert group_edges(keys, senders).tolist() == [[11, 12]]
    np.testing.assert_array_equal(keys[senders == 10], band_keys(signed[:1], CONFIG)[0])


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.6, 0.7, 0.8])
def test_pairs_meet_as_often_as_theory_says(similarity):
    left, right = pairs_of(similarity, 4000, seed=int(similarity * 100))
    met = (band_keys(left, CONFIG) == band_keys(right, CONFIG)).any(axis=1).mean()
    expected = candidate_probability(similarity, CONFIG)
    assert abs(met - expected) < 5 * np.sqrt(expected * (1 - expected) / 4000) + 1e-3


def test_chance_to_meet_of_the_defaults():
    assert candidate_probability(0.8, CONFIG) == pytest.approx(0.997, abs=5e-4)
    curve = candidate_probability(np.linspace(0, 1, 11), CONFIG)
    assert curve[0] == 0 and curve[-1] == 1 and (np.diff(curve) >= 0).all()


numbers = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), max_size=60), st.randoms(use_true_random=False))
def test_star_edges_against_brute_force(pairs, random):
    groups = defaultdict(set)
    for key, doc in pairs:
        groups[key].add(doc)
    expected = sorted({(min(group), doc) for group in groups.values() for doc in group if doc != min(group)})
    for _ in range(2):  # the order of the pairs does not matter
        table = np.array(pairs, np.uint64).reshape(-1, 2)
        edges = group_edges(table[:, 0].copy(), table[:, 1].copy())
        assert edges.dtype == np.uint64 and edges.shape[1] == 2
        assert [tuple(edge) for edge in edges.tolist()] == expected
        random.shuffle(pairs)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), max_size=60))
def test_radix_sort_is_sorting(pairs):
    table = np.array(pairs, np.uint64).reshape(-1, 2)
    first, second = sort_pairs(table[:, 0].copy(), table[:, 1].copy(), True)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == sorted(pairs)
    first, second = sort_pairs(table[:, 0].copy(), table[:, 1].copy(), False)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == sorted(pairs, key=lambda pair: pair[0])
