"""Which bucket a document belongs to: ranges of numbers, and the tree of values that a mixture names.

Legend: N documents, C columns, K buckets.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.shards.mixture.config import NOTHING, OTHERS, Leaf

_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_LARGEST = (1 << 32) - 1


def as_numbers(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as numbers of 32 bits that can be ranked: uint32 of whole numbers, float32 without NaN of others.

    Strings that are written as numbers are taken as such, others have no value. Whole numbers end at 2^32 - 1.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        whole = array.cast(pa.int64(), safe=False)
        return pc.max_element_wise(pc.min_element_wise(whole, _LARGEST, skip_nulls=False), 0, skip_nulls=False).cast(
            pa.uint32()
        )
    if not pa.types.is_floating(array.type):
        text = pc.utf8_trim_whitespace(array.cast(pa.large_string()))
        written = pc.fill_null(pc.match_substring_regex(text, _NUMBER), False)
        array = pc.if_else(written, text, pa.scalar(None, text.type)).cast(pa.float64())
    values = array.cast(pa.float32(), safe=False)
    return pc.if_else(pc.fill_null(pc.is_finite(values), False), values, pa.scalar(None, pa.float32()))


def ranges_of(values: pa.Array, cuts: NDArray[np.float64], names: Sequence[str], *, by_quantile: bool) -> pa.Array:
    """The range of each document: string[N], null without a value.

    Args:
        values: [N], as :func:`as_numbers` gives them.
        cuts: float64[N, C] or float64[1, C], rising; NaN where a group has no value.
        names: of the C + 1 ranges.
        by_quantile: a value that equals a cut lies below it, so that ranges hold the shares asked for; else above it.
    """
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)[:, None]
    if pa.types.is_float32(values.type):
        cuts = cuts.astype(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore"):
        above = (numbers > cuts if by_quantile else numbers >= cuts).sum(axis=1)
    return pc.if_else(values.is_valid(), pa.array(names, pa.string()).take(pa.array(above)), None)


class Tree:
    """The buckets that a mixture names, as tables that many documents are led through at once."""

    def __init__(self, leaves: Sequence[Leaf], columns: int) -> None:
        """``leaves`` of K buckets, over so many columns."""
        self.columns = columns
        nodes: dict[tuple[str, ...], int] = {(): 0}
        for leaf in leaves:
            for length in range(1, len(leaf.path) + 1):
                nodes.setdefault(leaf.path[:length], len(nodes))
        dead = len(nodes)
        self.bucket = np.full(dead + 1, -1, np.int64)
        for number, leaf in enumerate(leaves):
            self.bucket[nodes[leaf.path]] = number
        self.values: list[pa.Array] = []
        self.next: list[NDArray[np.int64]] = []
        for level in range(columns):
            inner = [path for path in nodes if len(path) == level + 1]
            named = sorted({path[-1] for path in inner} - {OTHERS})
            table = np.repeat(np.where(self.bucket >= 0, np.arange(dead + 1), dead)[:, None], len(named) + 1, axis=1)
            for path in sorted(inner, key=lambda path: path[-1] != OTHERS):  # what is named wins
                row = table[nodes[path[:-1]]]
                row[slice(None) if path[-1] == OTHERS else named.index(path[-1])] = nodes[path]
            self.values.append(pa.array(named, pa.string()))
            self.next.append(table)

    def buckets_of(self, columns: Sequence[pa.Array | pa.ChunkedArray]) -> NDArray[np.int64]:
        """The bucket of each document by its values string[N] in every column: int64[N] in 0 .. K - 1, -1 for none."""
        node = np.zeros(len(columns[0]), np.int64)
        for column, values, table in zip(columns, self.values, self.next, strict=True):
            text = pc.fill_null(column.cast(pa.string()), NOTHING)
            code = pc.fill_null(pc.index_in(text, value_set=values), len(values))
            node = table[node, code.to_numpy(zero_copy_only=False) if isinstance(code, pa.Array) else code.to_numpy()]
        found: NDArray[np.int64] = self.bucket[node]
        return found
