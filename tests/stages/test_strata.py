"""Stratified splits against a plain search through every cut."""

from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from winnow.stages.decide.label_cuts import range_bits
from winnow.stages.decide.strata import (
    EVERYTHING,
    Cut,
    closest,
    component_labels,
    cut_in_range,
    exact_bounds,
    stratified_splits,
)
from winnow.stages.ingest.labels import MAX_LABELS, NO_LABEL, ordered

shares = st.lists(st.sampled_from([0.005, 0.1, 0.15, 0.25, 1 / 3]), min_size=1, max_size=2)


def best_cut(sizes: list[int], bound: Fraction) -> int:
    """How many components come before the cut that lies closest; of two as close the later one."""
    reached = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    return min(range(len(reached)), key=lambda number: (abs(reached[number] - bound), -number))


def cuts_by_ranges(key, group, documents, bounds, bits):
    """As the stages do: sums of ranges first, then the one range in question."""
    ranges = (key >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(key), np.int64)
    sums = np.bincount(ranges, weights=documents, minlength=1 << bits).astype(np.int64)
    ends = np.cumsum(sums)
    cuts = []
    for bound in bounds:
        number = int(np.searchsorted(ends, int(bound), side="right"))
        mine = ranges == number
        before = int(ends[number]) - int(sums[number])
        end = EVERYTHING if number + 1 == 1 << bits else Cut((number + 1) << (64 - bits), 0)
        cuts.append(cut_in_range(key[mine], group[mine], documents[mine], before, bound, end))
    return cuts


@given(st.data(), shares, st.sampled_from([0, 1, 3, 8]))
def test_splits_are_those_of_the_closest_cuts(data, shares, bits):
    # few different keys, so that components share one, and some documents of one split over rows
    key_of = data.draw(st.lists(st.integers(0, 12), min_size=1, max_size=40))
    members = data.draw(st.lists(st.integers(0, len(key_of) - 1), min_size=1, max_size=80))
    documents = np.array(data.draw(st.lists(st.integers(1, 5), min_size=len(members), max_size=len(members))))
    key = np.array([key_of[member] for member in members], np.uint64) << np.uint64(60)
    group = np.array(members, np.uint64)
    bounds = exact_bounds(int(documents.sum()), shares)
    cuts = cuts_by_ranges(key, group, documents, bounds, bits)
    cut_keys, cut_groups = (np.array([[cut[n] for cut in cuts]], np.uint64) for n in range(2))
    found = stratified_splits(key, group, np.zeros(len(key), np.uint16), cut_keys, cut_groups)

    held: dict[tuple[int, int], int] = defaultdict(int)
    for pair, number in zip(zip(key.tolist(), group.tolist(), strict=True), documents.tolist(), strict=True):
        held[pair] += number
    order = sorted(held)
    ends = [best_cut([held[pair] for pair in order], bound) for bound in bounds]
    expected = {}
    for place, pair in enumerate(order):
        expected[pair] = next((number + 1 for number, end in enumerate(ends) if place < end), 0)
    assert found.tolist() == [expected[pair] for pair in zip(key.tolist(), group.tolist(), strict=True)]

    largest = max(held.values())
    whole = int(documents.sum())
    for number, share in enumerate(shares, 1):  # both ends of a split are off by half a component at most
        assert abs(int(documents[found == number].sum()) - whole * Fraction(str(share))) <= largest


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20, unique=True), st.fractions(0, 30, max_denominator=40))
def test_the_closest_number_is_found(numbers, bound):
    reached = np.array(sorted(numbers))
    found = closest(reached, bound)
    assert abs(int(reached[found]) - bound) == min(abs(number - bound) for number in numbers)
    assert all(abs(number - bound) > abs(int(reached[found]) - bound) for number in reached[found + 1 :].tolist())


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=60))
def test_a_component_has_the_label_that_most_of_its_kept_members_have(members):
    component = np.array([c for c, _, _ in members], np.uint64)
    label = np.array([n for _, n, _ in members], np.uint16)
    kept = np.array([stays for _, _, stays in members], bool)
    found = component_labels(component, label, kept)
    for number, (mine, _, _) in enumerate(members):
        counts = Counter(n for c, n, stays in members if c == mine and stays)
        expected = min(counts, key=lambda n: (-counts[n], n)) if counts else NO_LABEL
        assert found[number] == expected


def test_labels_are_numbered_by_value_or_code_point():
    assert ordered(["10", "9", "-1", "0"]) == ["-1", "0", "9", "10"]
    assert ordered(["10", "9", "01"]) == ["01", "10", "9"]  # 01 is no integer as JSON writes it
    assert ordered(["spam", "Ham", "ä", "ham"]) == ["Ham", "ham", "spam", "ä"]


def test_many_labels_have_few_ranges_each():
    assert range_bits(1) == range_bits(64) == 8
    assert range_bits(65) == 7
    assert range_bits(MAX_LABELS) == 0
