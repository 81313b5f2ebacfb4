"""The sample drawn range by range is the one drawn with all documents at hand; ranges are even; limits are exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.whole_sample import draw_sample
from winnow.select.sample_order import ORDER, Ranges, by_range, find_limit, in_order, levels_of, range_starts, sortable
from winnow.select.sampling import draw_keys, stratum_levels
from winnow.select.step_configs import SampleConfig


def drawn(count: int, seed: int, largest: int):
    """Documents, tokens (some have none), sources, clusters, weights (some are alike)."""
    rng = np.random.default_rng(seed)
    docs = rng.choice(1 << 40, count, replace=False).astype(np.uint64)
    tokens = np.maximum(0, rng.integers(-largest // 4, largest, count)).astype(np.int64)
    return docs, tokens, rng.integers(0, 3, count), rng.integers(-1, 4, count), np.round(rng.normal(0, 2, count))


def by_ranges(parts, log_weight, config, shares, ranges, files):
    """The same as ``draw_sample``, over ``files`` tables and about so many ranges."""
    docs, tokens, source, cluster = parts
    key = sortable(-draw_keys(docs, log_weight, config.seed))
    balanced, by_source = config.cluster_temperature is not None, shares is not None
    level = np.zeros(len(docs), np.uint64)
    if balanced:
        strata, order = np.stack([source, cluster], axis=1), np.lexsort((docs, key))
        level = sortable(stratum_levels(strata, order, tokens, None, config.cluster_temperature))
    by_source = by_source or balanced
    sources = 3 if by_source else 1
    rows = {
        "source": (source if by_source else np.zeros(len(docs))).astype(np.uint16),
        "level": level,
        "key": key,
        "doc": docs,
        "tokens": tokens,
    }
    some = [tuple(int(rows[name][row]) for name in ORDER) for row in range(0, len(docs), 3)]
    starts = range_starts(some, sources, ranges)
    tables = [by_range({name: column[file::files] for name, column in rows.items()}, starts) for file in range(files)]
    numbers = range(len(starts))
    held = [[mine["tokens"][place == number] for mine, place in tables] for number in numbers]
    found = Ranges(
        np.array([start[0] for start in starts]),
        *(
            np.array([int(how(np.concatenate([[], *of_range]))) for of_range in held])
            for how in (len, np.sum, lambda values: np.max(values, initial=0))
        ),
    )
    weights = np.ones(1)
    if by_source:
        weights = found.of_sources(found.tokens).astype(float) if shares is None else shares
    asked = []

    def read(number):
        asked.append(number)
        pieces = [{name: c[place == number] for name, c in mine.items()} for mine, place in tables]
        return in_order({name: np.concatenate([piece[name] for piece in pieces]) for name in rows})

    limit = find_limit(found, weights, config.target_tokens, read)
    probed, out = len(asked), {}
    for number in [] if limit is None else found.beyond(limit, weights).tolist():
        mine = read(number)
        level = levels_of(mine, int(found.before(found.tokens)[number]), weights[found.source[number]])
        rank = found.before(found.documents)[number] + np.arange(len(level))
        place = level if by_source else rank.astype(float)
        left = limit.left_out(mine, level)
        out |= dict(zip(mine["doc"][left].tolist(), place[left].tolist(), strict=True))
        assert by_source or number != limit.range or rank[left][0] == rank[limit.place]
    return out, probed


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 200),
    st.integers(0, 40_000),
    st.sampled_from([None, (1.0, 1.0, 1.0), (5.0, 1.0, 1e-3)]),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.booleans(),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from([4, 500, 20_000]),
)
def test_ranges_draw_what_is_drawn_with_all_at_hand(
    count, budget, shares, temperature, weighed, ranges, files, largest
):
    *parts, weight = drawn(count, count, largest)
    log_weight = weight if weighed else None
    named = None if shares is None else {str(n): share for n, share in enumerate(shares)}
    config = SampleConfig(target_tokens=budget + 1, shares=named, cluster_temperature=temperature)
    given_shares = None if shares is None else np.array(shares)
    whole = draw_sample(*parts, log_weight, config, given_shares)
    out, _ = by_ranges(parts, log_weight, config, given_shares, ranges, files)
    left = np.flatnonzero(~whole.taken)
    assert out.keys() == set(parts[0][left].tolist())
    for row in left.tolist():
        np.testing.assert_equal(out[int(parts[0][row])], whole.level[row])


def test_numbers_sort_as_they_did():
    values = np.array([-np.inf, -1e300, -1.0, -5e-324, 0.0, 5e-324, 1.0, 1.0000000000000002, np.inf, np.nan])
    assert (np.diff(sortable(values).astype(object)) > 0).all()
    assert sortable(np.array([-0.0]))[0] == sortable(np.array([0.0]))[0]
    assert sortable(np.array([-np.nan]))[0] == sortable(np.array([np.nan]))[0]


def test_the_limit_looks_into_few_ranges():
    """However many there are: those around the limit of each source."""
    *parts, weight = drawn(30_000, 1, 500)
    config = SampleConfig(target_tokens=2_000_000, cluster_temperature=0.5)
    _, probed = by_ranges(parts, weight, config, None, 300, 1)
    assert probed <= 6


@pytest.mark.parametrize("weight", [None, "importance"])
def test_ranges_are_even(weight):
    """Also of documents whose keys crowd, or are all alike: they are told apart by their numbers."""
    rng = np.random.default_rng(3)
    docs = np.arange(40_000, dtype=np.uint64)
    key = np.where(rng.random(40_000) < 0.5, np.uint64(7), rng.integers(0, 1 << 20, 40_000).astype(np.uint64))
    rows = {"source": np.zeros(40_000, np.uint16), "level": np.zeros(40_000, np.uint64), "key": key, "doc": docs}
    if weight is None:
        rows["key"] = np.full(40_000, 7, np.uint64)
    picked = rng.random(40_000) < 64 * 10 / 40_000
    some = [tuple(int(rows[name][row]) for name in ORDER) for row in np.flatnonzero(picked)]
    starts = range_starts(some, 1, 10)
    _, place = by_range(rows | {"tokens": np.ones(40_000, np.int64)}, starts)
    assert np.bincount(place, minlength=10).max() < 1.5 * 4_000
