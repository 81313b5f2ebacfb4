"""Components in rounds against scipy and union-find, partition by partition, as the stages go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dedup.test_components import ends, reference
from winnow.dedup.components import connected_components
from winnow.dedup.stars import distinct_pairs, large_star, partition_order, small_star


def in_partitions(half, docs, others, partitions):
    """One half of a round: every partition by itself, what they make put together, and what they changed."""
    order, place = partition_order(docs, partitions)
    assert np.all(np.diff(place) >= 0) and (not len(place) or 0 <= place[0] <= place[-1] < partitions)
    docs, others = docs[order], others[order]
    stars = [half(docs[place == n], others[place == n]) for n in range(partitions)]
    return (
        np.concatenate([star.larger for star in stars]),
        np.concatenate([star.smaller for star in stars]),
        sum(star.changed for star in stars),
    )


def components_in_rounds(edges, partitions):
    """Documents and components, and how many rounds they took."""
    first, second = edges[edges[:, 0] != edges[:, 1]].T
    rounds, changed = 0, 1
    while changed:
        rounds += 1
        both = np.concatenate([first, second]), np.concatenate([second, first])
        first, second, by_large = in_partitions(large_star, *both, partitions)
        first, second, by_small = in_partitions(small_star, first, second, partitions)
        changed = by_large + by_small
    docs = np.concatenate([first, second])
    return *distinct_pairs(docs, np.concatenate([second, second])), rounds


def check(edges, partitions, most_rounds):
    docs, components, rounds = components_in_rounds(edges, partitions)
    edges = edges[edges[:, 0] != edges[:, 1]]
    assert docs.dtype == components.dtype == np.uint64
    for expected in (connected_components([edges]), reference(edges) if len(edges) else (docs, components)):
        np.testing.assert_array_equal(docs, expected[0])
        np.testing.assert_array_equal(components, expected[1])
    assert rounds <= most_rounds


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(ends, ends), min_size=1, max_size=40), st.integers(1, 4))
def test_small_graphs_equal_scipy(edges, partitions):
    check(np.array(edges, np.uint64), partitions, 6)


NODES = 100_000
SHUFFLED = np.random.default_rng(0).permutation(NODES).astype(np.uint64) << np.uint64(31)
CHAIN = np.stack([np.arange(NODES - 1), np.arange(1, NODES)], axis=1)
TREE = np.stack([np.arange(1, NODES), (np.arange(1, NODES) - 1) // 2], axis=1)


@pytest.mark.parametrize(
    ("edges", "most_rounds"),
    [
        pytest.param(CHAIN.astype(np.uint64), 18, id="chain"),
        pytest.param((NODES - CHAIN).astype(np.uint64), 18, id="chain from its end"),
        pytest.param(SHUFFLED[CHAIN], 16, id="chain in any order"),
        pytest.param(SHUFFLED[TREE], 12, id="tree"),
        pytest.param(SHUFFLED[np.stack([np.full(NODES, 7), np.arange(NODES)], axis=1)], 3, id="star"),
        pytest.param(SHUFFLED[np.random.default_rng(1).integers(0, NODES, (NODES // 2, 2))], 9, id="random, sparse"),
        pytest.param(SHUFFLED[np.random.default_rng(2).integers(0, NODES, (NODES * 2, 2))], 5, id="random, dense"),
    ],
)
def test_hard_graphs_equal_union_find_in_few_rounds(edges, most_rounds):
    check(edges, 5, most_rounds)


def test_no_edges():
    docs, components, rounds = components_in_rounds(np.empty((0, 2), np.uint64), 3)
    assert len(docs) == len(components) == 0 and rounds == 1
