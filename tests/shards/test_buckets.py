"""Buckets: the tree of values and the ranges of numbers, beside plain Python."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from winnow.shards.mixture.buckets import Tree, as_numbers, ranges_of
from winnow.shards.mixture.config import NOTHING, OTHERS, BucketConfig, MixtureConfig

VALUES = ["a", "b", "c", OTHERS, NOTHING]
NUMBERS = st.recursive(
    st.integers(0, 9),
    lambda inner: st.dictionaries(st.sampled_from(VALUES), inner, min_size=1, max_size=4),
    max_leaves=12,
)


def depth(numbers):
    return 1 + max(map(depth, numbers.values())) if isinstance(numbers, dict) else 0


def plain(numbers, values):
    """The bucket's name, column by column; None where nothing is named for the values."""
    path = []
    for value in values:
        if not isinstance(numbers, dict):
            break
        value = NOTHING if value is None else value
        key = value if value in numbers and value != OTHERS else OTHERS
        if key not in numbers:
            return None
        path.append(key)
        numbers = numbers[key]
    return None if isinstance(numbers, dict) else "/".join(path)


@settings(deadline=None)
@given(
    NUMBERS.filter(lambda numbers: isinstance(numbers, dict)),
    st.lists(st.tuples(*[st.sampled_from(["a", "b", "c", "d", OTHERS, None])] * 4), max_size=30),
)
def test_every_document_is_led_as_the_tree_says(numbers, rows):
    by = [f"c{n}" for n in range(depth(numbers))]
    try:
        mixture = MixtureConfig(by=by, weights=numbers)
    except ValidationError as error:
        assert "takes nothing" in str(error) and "9" not in str(numbers)
        return
    columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(len(by))]
    found = Tree(mixture.leaves, len(by)).buckets_of(columns) if rows else []
    names = [leaf.name for leaf in mixture.leaves]
    assert [None if n < 0 else names[n] for n in found] == [plain(numbers, row[: len(by)]) for row in rows]


@given(
    st.lists(st.one_of(st.none(), st.floats(-100, 100, width=32)), min_size=1),
    st.sets(st.floats(-90, 90, width=32), min_size=1, max_size=4),
)
def test_ranges(values, cuts):
    cuts = sorted(cuts)
    names = [str(n) for n in range(len(cuts) + 1)]
    numbers = as_numbers(pa.array(values, pa.float64()))
    for by_quantile in (True, False):
        found = ranges_of(numbers, np.array([cuts]), names, by_quantile=by_quantile).to_pylist()
        passed = [[v is not None and (v > cut if by_quantile else v >= cut) for cut in cuts] for v in values]
        assert found == [None if v is None else str(sum(p)) for v, p in zip(values, passed, strict=True)]


def test_what_is_a_number():
    texts = ["1", " 2.5 ", "-3e2", "+.5", "1e400", "nan", "inf", "1,5", "0x10", "", None, "१"]
    assert as_numbers(pa.array(texts)).to_pylist() == [1, 2.5, -300, 0.5, *[None] * 8]
    assert as_numbers(pa.array([0, 7, None, 1 << 40], pa.int64())).to_pylist() == [0, 7, None, (1 << 32) - 1]
    assert as_numbers(pa.array([1.5, float("nan"), None])).to_pylist() == [1.5, None, None]
    assert as_numbers(pa.array([True, None])).type == pa.uint32()


def test_names_of_ranges():
    assert BucketConfig(name="a", signal="s", quantiles=[0.2, 0.75]).ranges == ("0-0.2", "0.2-0.75", "0.75-1")
    assert BucketConfig(name="a", signal="s", at=[10, 50]).ranges == ("under 10", "10-50", "from 50")
    with pytest.raises(ValidationError, match="names must name 2 ranges"):
        BucketConfig(name="a", signal="s", at=[10], names=["x"])
