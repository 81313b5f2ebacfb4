import itertools
from collections import Counter

import numpy as np
from scipy.stats import chisquare

from winnow.shards.order import draw_copies, draw_splits, keyed_hash, order_keys

KEY = tuple(int.from_bytes(bytes(range(at, at + 8)), "little") for at in (0, 8))


def test_siphash_vectors_of_the_reference_implementation():
    """vectors_sip128 for messages of 0, 8 and 16 bytes 00 01 02 ... under the key 00 .. 0f."""
    expected = {
        0: "a3817f04ba25a8e66df67214c7550293",
        8: "3b62a9ba6258f5610f83e264f31497b4",
        16: "6ee2a4ca67b054bbfd3315bf85230577",
    }
    for length, digest in expected.items():
        message = np.frombuffer(bytes(range(length)), "<u8").reshape(1, -1)
        assert keyed_hash(KEY, message).astype("<u8").tobytes().hex() == digest


def keys(docs, seed=7, epoch=0, copies=None):
    docs = np.asarray(docs, np.uint64)
    ones = np.ones(len(docs), np.uint64)
    return order_keys(docs, ones * 0 if copies is None else copies, ones, seed, epoch)


def test_every_order_of_four_documents_is_equally_likely():
    docs = np.arange(4)
    seen = Counter(tuple(np.lexsort(keys(docs, seed=seed)[::-1])) for seed in range(12_000))
    assert set(seen) == set(itertools.permutations(range(4)))
    assert chisquare(list(seen.values())).pvalue > 1e-4


def test_keys_depend_on_seed_epoch_document_and_nothing_else():
    docs = np.arange(1000)
    whole = keys(docs)[0]
    assert (whole[500:] == keys(docs[500:])[0]).all()
    assert (whole != keys(docs, seed=8)[0]).all()
    assert (whole != keys(docs, epoch=1)[0]).all()


def test_copies_lie_in_their_own_slice_of_the_order():
    docs = np.arange(2000, dtype=np.uint64)
    for copy in range(3):
        high, _ = order_keys(docs, docs * 0 + np.uint64(copy), docs * 0 + np.uint64(3), 7, 0)
        place = high.astype(np.float64) / 2.0**64
        assert copy / 3 <= place.min()
        assert place.max() <= (copy + 1) / 3


def test_splits_have_their_shares_and_follow_the_group():
    groups = np.arange(200_000, dtype=np.uint64)
    split = draw_splits(groups, np.array([0.01, 0.05]), seed=7)
    shares = np.bincount(split) / len(split)
    assert abs(shares[1] - 0.01) < 0.001
    assert abs(shares[2] - 0.05) < 0.002
    assert (draw_splits(groups[::-1], np.array([0.01, 0.05]), seed=7) == split[::-1]).all()
    assert (draw_splits(groups, np.array([]), seed=7) == 0).all()


def test_copies_follow_the_weight_and_never_shrink_with_it():
    docs = np.arange(100_000, dtype=np.uint64)
    before = np.zeros(len(docs), np.int64)
    for weight in (0.3, 0.31, 1.0, 2.25):
        copies = draw_copies(docs, np.full(len(docs), weight), seed=7)
        assert abs(copies.mean() - weight) < 0.01
        assert (copies >= before).all()
        before = copies


def test_every_order_of_a_later_phase_is_as_likely_whatever_the_one_before():
    """Five documents, three of them with copies in the phase before: all 120 orders, and pairs of both orders."""
    docs, first = np.arange(5, dtype=np.uint64), np.array([0, 1, 2, 1, 0], np.uint64)
    ones, zeros = np.ones(5, np.uint64), np.zeros(5, np.uint64)
    found, both = Counter(), Counter()
    for seed in range(12_000):
        later = np.argsort(order_keys(docs, zeros, ones, seed, 0, first)[0])
        found[tuple(later)] += 1
        before = np.argsort(order_keys(docs[1:4], zeros[:3], ones[:3], seed, 0)[0]) + 1
        both[tuple(before), tuple(later[np.isin(later, before)])] += 1
    for counted, orders in ((found, 120), (both, 36)):
        assert len(counted) == orders
        assert chisquare(list(counted.values())).pvalue > 1e-4
