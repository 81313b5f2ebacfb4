"""Keepers against a slow statement of the rule."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.dedup import keeper_search
from winnow.dedup.keeper_search import exact_similarity
from winnow.dedup.keepers import choose_keepers
from winnow.dedup.minhash import EMPTY, _premix, permutations
from winnow.dedup.minhash_config import MinHashConfig


def slow_keepers(rank, offsets, signed, counts, hashes, threshold, already_kept, similar=None):
    """The rule as a person would say it; ``similar(a, others)`` gives the verified similarities."""
    keeper, similarity, exact = [-1] * len(rank), [0.0] * len(rank), [False] * len(rank)
    similar = similar or (lambda a, others: (signed[others] == signed[a]).mean(axis=1))
    for start, end in pairwise(offsets):
        kept = []
        for member in sorted(range(start, end), key=lambda m: (not already_kept[m], rank[m])):
            if kept and not already_kept[member]:
                equal = (hashes[kept] == hashes[member]).all(axis=1)
                comparable = (counts[kept] > 0) & (counts[member] > 0)
                shares = np.where(equal, 1.0, np.where(comparable, similar(member, kept), 0.0))
                reached = np.flatnonzero(shares >= threshold)
                if len(reached):
                    first = reached[0]
                    keeper[member], similarity[member], exact[member] = (
                        kept[first],
                        shares[first],
                        equal[first],
                    )
                    continue
            kept.append(member)
    return keeper, similarity, exact


def make_case(seed, members, texts, families, noise, num_perm, empty=0.05, prior=0.1):
    """Members drawn from texts that are noisy copies of a few families: many are near the threshold."""
    draws = np.random.default_rng(seed)
    signed = draws.integers(0, 2**32, (families, num_perm), dtype=np.uint32)[draws.integers(0, families, texts)]
    changed = draws.random(signed.shape) < draws.random((texts, 1)) * noise
    signed[changed] = draws.integers(0, 2**32, changed.sum(), dtype=np.uint32)
    is_empty = draws.random(texts) < empty
    signed[is_empty] = EMPTY
    text = draws.integers(0, texts, members)
    hashes = np.stack([text % 3, text], axis=1).astype(np.uint64)
    rank = draws.permutation(members).astype(np.int64)
    return rank, signed[text], (~is_empty[text]).astype(np.int64), hashes, draws.random(members) < prior


def check(case, offsets, threshold):
    rank, signed, counts, hashes, already_kept = case
    args = (rank, np.array(offsets, np.int64), signed, counts, hashes, threshold, already_kept)
    keeper, similarity, exact, *_ = choose_keepers(*args)
    assert (keeper.dtype, similarity.dtype, exact.dtype) == (np.int64, np.float32, np.bool_)
    expected_keeper, expected_similarity, expected_exact = slow_keepers(*args)
    assert keeper.tolist() == expected_keeper
    np.testing.assert_array_equal(similarity, np.array(expected_similarity, np.float32))
    assert exact.tolist() == expected_exact
    # No chains: who removes is kept, and reaches the threshold.
    removed = keeper >= 0
    assert (keeper[keeper[removed]] == -1).all()
    assert (similarity[removed] >= np.float32(threshold)).all()
    return keeper


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    members=st.integers(1, 80),
    texts=st.integers(1, 60),
    families=st.integers(1, 3),
    num_perm=st.sampled_from([256, 100, 64, 1]),
    threshold=st.sampled_from([0.8, 0.7, 0.9, 0.5, 1.0, 0.01]),
    prior=st.sampled_from([0.0, 0.1, 0.6]),
    cut=st.integers(0, 80),
)
def test_any_component_follows_the_rule(seed, members, texts, families, num_perm, threshold, prior, cut):
    case = make_case(seed, members, texts, families, 0.5, num_perm, prior=prior)
    check(case, sorted({0, min(cut, members), members}), threshold)


@pytest.mark.parametrize("noise", [0.45, 0.9])
def test_component_with_enough_keepers_for_the_index(noise):
    keeper = check(make_case(1, 2500, 1800, 40, noise, 64), [0, 2500], 0.8)
    assert (keeper < 0).sum() > 2 * keeper_search.INDEX_FROM  # else this would not test the index
    assert (keeper >= 0).sum() > 200


def test_component_of_one_template_drops_its_index():
    draws = np.random.default_rng(2)
    signed = np.repeat(draws.integers(0, 2**32, (1, 64), dtype=np.uint32), 2600, axis=0)
    changed = draws.random(signed.shape) < 0.13
    signed[changed] = draws.integers(0, 2**32, changed.sum(), dtype=np.uint32)
    hashes = np.stack([np.arange(2600), np.arange(2600)], axis=1).astype(np.uint64)
    rank = draws.permutation(2600).astype(np.int64)
    keeper = check((rank, signed, np.ones(2600, np.int64), hashes, np.zeros(2600, bool)), [0, 2600], 0.9)
    assert (keeper < 0).sum() > 4 * keeper_search.INDEX_FROM


def test_index_of_one_component_does_not_leak_into_the_next():
    case = make_case(5, 3000, 2000, 30, 0.7, 64)
    check(case, [0, 1400, 1410, 3000], 0.8)


def test_chain_is_not_followed():
    """A ~ B ~ C, but A and C are too far apart: B goes with A, C stays."""
    signed = np.zeros((3, 100), np.uint32)
    signed[1, :15] = 1
    signed[2, :30] = 1
    hashes = np.arange(6, dtype=np.uint64).reshape(3, 2)
    keeper, similarity, exact, *_ = choose_keepers(
        np.arange(3), np.array([0, 3]), signed, np.ones(3, np.int64), hashes, 0.8, np.zeros(3, bool)
    )
    assert keeper.tolist() == [-1, 0, -1]
    assert similarity.tolist() == [0.0, np.float32(0.85), 0.0]
    assert not exact.any()


def test_earlier_runs_documents_stay_and_rank_first():
    signed = np.zeros((4, 64), np.uint32)
    hashes = np.array([[1, 1], [1, 1], [2, 2], [1, 1]], np.uint64)
    prior = np.array([False, True, True, False])
    keeper, _, exact, *_ = choose_keepers(
        np.array([0, 3, 2, 1]), np.array([0, 4]), signed, np.ones(4, np.int64), hashes, 0.8, prior
    )
    assert keeper.tolist() == [2, -1, -1, 2]  # document 2 is the better-ranked of the two that stay
    assert not exact.any()


def test_the_share_at_the_threshold_removes():
    signed = np.zeros((2, 10), np.uint32)
    signed[1, :3] = 1
    args = (
        np.arange(2),
        np.array([0, 2]),
        signed,
        np.ones(2, np.int64),
        np.arange(4, dtype=np.uint64).reshape(2, 2),
    )
    assert choose_keepers(*args, 0.7, np.zeros(2, bool))[0].tolist() == [-1, 0]
    assert choose_keepers(*args, 0.70001, np.zeros(2, bool))[0].tolist() == [-1, -1]


def sets_of(draws, members):
    """Shingle sets that overlap by chance around the threshold, as the flat arrays of the kernel."""
    pool = np.unique(draws.integers(0, 2**32, 300, dtype=np.uint32))
    sets = [pool[draws.random(len(pool)) < draws.choice([0.5, 0.9, 0.97])] for _ in range(members)]
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in sets])]).astype(np.int64)
    return sets, (np.concatenate(sets), np.stack([offsets[:-1], offsets[1:]], axis=1))


@pytest.fixture(scope="module")
def compared_by_texts():
    """A case whose pairs lie on both sides of every bound, its shingles, and the true similarities of all pairs."""
    draws = np.random.default_rng(3)
    sets, shingles = sets_of(draws, 120)
    factors, addends = permutations(MinHashConfig().num_perm, 1)
    signed = np.empty((120, 256), np.uint32)
    for row, values in zip(signed, sets, strict=True):
        mixed = values.copy()
        _premix(mixed, len(mixed))
        row[:] = (mixed[:, None] * factors + addends).min(axis=0)
    hashes = np.stack([np.arange(120), np.arange(120)], axis=1).astype(np.uint64)
    args = (
        draws.permutation(120).astype(np.int64), np.array([0, 50, 120]), signed, np.ones(120, np.int64),
        hashes, 0.8, draws.random(120) < 0.1,
    )  # fmt: skip
    members = [set(own.tolist()) for own in sets]
    return args, shingles, np.array([[len(a & b) / len(a | b) for b in members] for a in members])


def test_exact_verification_follows_the_rule_with_true_jaccard(compared_by_texts):
    args, shingles, jaccard = compared_by_texts
    keeper, similarity, _, *_ = choose_keepers(*args, shingles, "exact")
    expected_keeper, expected_similarity, _ = slow_keepers(*args, similar=lambda a, others: jaccard[a, others])
    assert keeper.tolist() == expected_keeper
    np.testing.assert_allclose(similarity, expected_similarity, rtol=1e-6)
    assert 20 < (keeper >= 0).sum() < 110
    assert keeper.tolist() != choose_keepers(*args)[0].tolist()  # signatures alone decide otherwise somewhere


def test_signatures_settle_only_what_is_far_from_the_threshold(compared_by_texts):
    args, shingles, jaccard = compared_by_texts
    signed = args[2]
    agreeing = (signed[:, None] == signed[None]).sum(axis=2)
    # three standard errors: 0.8 +- 3 * sqrt(0.8 * 0.2 / 256) = 0.725 and 0.875 of 256 entries
    counts = np.where(agreeing >= 224, agreeing / 256, np.where(agreeing >= 186, jaccard, 0.0))
    keeper, similarity, _, *_ = choose_keepers(*args, shingles, "signature")
    expected_keeper, expected_similarity, _ = slow_keepers(*args, similar=lambda a, others: counts[a, others])
    assert keeper.tolist() == expected_keeper
    np.testing.assert_allclose(similarity, expected_similarity, rtol=1e-6)
    removed = np.flatnonzero(keeper >= 0)
    by_signature = agreeing[removed, keeper[removed]] >= 224
    assert 10 < by_signature.sum() < len(removed) - 10  # both kinds, or this would show nothing
    assert (similarity[removed] != choose_keepers(*args, shingles, "exact")[1][removed]).any()


@pytest.mark.parametrize("verify", ["exact", "signature"])
def test_comparing_texts_without_their_shingles_is_refused(compared_by_texts, verify):
    with pytest.raises(ValueError, match=f"verify: {verify} compares sets of shingles, and none are given"):
        choose_keepers(*compared_by_texts[0], None, verify)


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_exact_similarity_is_jaccard(a, b):
    expected = len(a & b) / len(a | b) if a | b else 0.0
    assert exact_similarity(np.array(sorted(a), np.uint32), np.array(sorted(b), np.uint32)) == expected


def test_many_copies_are_not_compared_with_each_other():
    """Quadratic work would take hours here."""
    copies = 300_000
    signed = np.broadcast_to(np.arange(64, dtype=np.uint32), (copies, 64)).copy()
    keeper, similarity, exact, *_ = choose_keepers(
        np.arange(copies), np.array([0, copies]), signed, np.ones(copies, np.int64),
        np.ones((copies, 2), np.uint64), 0.8, np.zeros(copies, bool),
    )  # fmt: skip
    assert keeper[0] == -1 and (keeper[1:] == 0).all() and exact[1:].all() and (similarity[1:] == 1).all()


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5, float("nan")])
def test_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold"):
        choose_keepers(
            np.arange(1), np.array([0, 1]), np.zeros((1, 4), np.uint32), np.ones(1, np.int64),
            np.zeros((1, 2), np.uint64), threshold, np.zeros(1, bool),
        )  # fmt: skip


def test_offsets_that_do_not_cover_the_members_are_refused():
    with pytest.raises(ValueError, match="component_offsets"):
        choose_keepers(
            np.arange(2), np.array([0, 1]), np.zeros((2, 4), np.uint32), np.ones(2, np.int64),
            np.zeros((2, 2), np.uint64), 0.8, np.zeros(2, bool),
        )  # fmt: skip
