"""Stretches of equal values in a sorted column."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def equal_runs(values: NDArray[Any]) -> list[tuple[int, int]]:
    """Begin and end of each stretch of equal neighbours of values [N]; none where N is 0."""
    if len(values) == 0:
        return []
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    return list(pairwise([0, *changes.tolist(), len(values)]))
