import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.shards.dataset.epoch_order import EpochOrder, PhasedOrder, order_of, random_order

FROZEN = [1, 8, 3, 2, 5, 4, 9, 11, 7, 0, 10, 6]
FROZEN_ROWS = [(2, 0), (0, 0), (2, 2), (0, 1), (2, 3), (0, 2), (2, 1), (1, 0), (1, 1)]


def all_rows(shard_rows, seed, epoch, mix):
    order = EpochOrder(np.array(shard_rows, np.int64), seed, epoch, mix)
    shards, rows = order.rows_between(0, sum(shard_rows))
    return list(zip(shards.tolist(), rows.tolist(), strict=True))


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 5), st.integers(0, 3), st.integers(1, 9)
)  # fmt: skip
def test_every_epoch_holds_every_row_once(shard_rows, seed, epoch, mix):
    stored = [(shard, row) for shard, rows in enumerate(shard_rows) for row in range(rows)]
    found = all_rows(shard_rows, seed, epoch, mix)
    assert sorted(found) == stored
    assert epoch > 0 or found == stored


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 4), st.data())
def test_a_position_has_the_same_row_however_it_is_asked_for(shard_rows, mix, data):
    whole = all_rows(shard_rows, 3, 2, mix)
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, sum(shard_rows))] * 2)))
    shards, rows = EpochOrder(np.array(shard_rows), 3, 2, mix).rows_between(first, last)
    assert list(zip(shards.tolist(), rows.tolist(), strict=True)) == whole[first:last]


def test_rows_are_mixed_with_those_of_the_window_and_no_others():
    found = all_rows([50] * 8, 1, 1, 4)
    first_half = {shard for shard, _ in found[:200]}
    assert len(first_half) == 4
    assert len({shard for shard, _ in found[:20]}) == 4  # mixed, not one shard after another
    assert all_rows([50] * 8, 1, 1, 8) != found


def test_the_order_is_fixed_for_good():
    # frozen: a training run that goes on after an update of numpy must find the same order
    assert random_order(12, 7, 1, 0).tolist() == FROZEN
    assert all_rows([3, 2, 4], 5, 1, 2) == FROZEN_ROWS


@given(st.lists(st.integers(2**63 - 2, 2**63 + 2) | st.integers(0, 2**64 - 1), max_size=40))
def test_of_equal_keys_the_earlier_is_first(keys):
    assert order_of(np.array(keys, np.uint64)).tolist() == sorted(range(len(keys)), key=keys.__getitem__)


def test_every_permutation_has_the_same_chance():
    # rows of 4, every (seed, epoch) another draw: 24 permutations, chi-square with 23 degrees of freedom
    counts = {}
    for seed in range(200):
        for epoch in range(1, 61):
            order = tuple(random_order(4, seed, epoch, 0).tolist())
            counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    expected = 12_000 / 24
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 49.7  # p = 0.001; the draws are fixed


def test_a_long_order_looks_random():
    n = 1 << 16
    order = random_order(n, 1, 1, 0)
    places = np.arange(n)
    assert abs(np.corrcoef(order, places)[0, 1]) < 4 / n**0.5
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 4 / n**0.5
    # neighbours: how many stand beside a number that was beside them before follows a Poisson law of mean 2
    assert np.count_nonzero(np.abs(np.diff(order)) == 1) < 12
    # each bit of the number is independent of each bit of the place
    bits = (order[:, None] >> np.arange(16)) & 1
    at = (places[:, None] >> np.arange(16)) & 1
    agreement = (2 * bits - 1).T @ (2 * at - 1) / n
    assert np.abs(agreement).max() < 5 / n**0.5
    # cells of place x number hold equally many
    cells = np.histogram2d(places, order, bins=16)[0]
    assert ((cells - n / 256) ** 2 / (n / 256)).sum() < 310  # 225 degrees of freedom, p = 0.0001


def test_epochs_are_independent_of_each_other():
    n = 1 << 14
    first, second = random_order(n, 1, 1, 0), random_order(n, 1, 2, 0)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / n**0.5
    assert np.count_nonzero(first == second) < 10  # Poisson of mean 1


@pytest.mark.parametrize("position", [0, 4, 5, 11])
def test_windows_name_the_shards_that_are_read_there(position):
    order = EpochOrder(np.array([5, 0, 5, 2]), 1, 1, 2)
    window = order.window_of(position)
    shards, _ = order.rows_between(position, position + 1)
    assert int(shards[0]) in order.shards_of(window)
    assert order.shards_of(2) == []


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=4), st.integers(1, 3), st.booleans())
def test_phases_follow_each_other_and_are_shuffled_in_themselves(phases, mix, shuffled):
    sizes = [rows for phase in phases for rows in phase]
    order = PhasedOrder(tuple(map(len, phases)), np.array(sizes, np.int64), 5, int(shuffled), mix)
    shards, rows = order.rows_between(0, sum(sizes))
    expected, first = [], 0
    for phase in phases:
        mine = EpochOrder(np.array(phase, np.int64), 5, int(shuffled), mix).rows_between(0, sum(phase))
        expected += zip((mine[0] + first).tolist(), mine[1].tolist(), strict=True)
        first += len(phase)
    assert list(zip(shards.tolist(), rows.tolist(), strict=True)) == expected
    for position, shard in enumerate(shards.tolist()):
        assert shard in order.shards_of(order.window_of(position))
    last = order.window_of(sum(sizes) - 1) if sum(sizes) else 0
    assert order.shards_of(last + 99) == []
