"""Which language a text is written in, where that is sure: both halves of its prose are called the same.

The label of a document's beginning is wrong as often as not where little of it is prose (pages of a manual that are
mostly markup). Two labels of different words that agree are evidence; two that do not are none.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.text.language.codes import NO_LANGUAGE, UNDETERMINED
from winnow.text.language.identifier import Identifier

LEAST_BYTES = 400
"""Prose, in bytes, below which nothing is sure."""
NOT_SURE = 0


def language_code(label: str) -> int:
    """A label as a number, the same in all runs: its letters."""
    return int.from_bytes(label.encode()[:4], "little")


def sure_languages(prose: pa.Array, identify: Identifier) -> NDArray[np.uint32]:
    """`language_code` of each text's language, or `NOT_SURE`: uint32[N].

    Args:
        prose: large_string[N] without nulls.
        identify: names languages.
    """
    data, offsets = string_buffers(prose)
    starts, ends = offsets[:-1], offsets[1:]
    long = np.flatnonzero(ends - starts >= LEAST_BYTES)
    middle = starts[long] + (ends[long] - starts[long]) // 2
    for _ in range(3):  # not inside a character
        middle += (data[middle] & 0xC0) == 0x80
    bounds = np.stack([starts[long], middle, middle, ends[long]], axis=1).reshape(-1, 2)
    bounds[:, 1] = np.minimum(bounds[:, 1], bounds[:, 0] + 4 * identify.characters + 4)
    halves = pa.array([bytes(data[a:b]).decode(errors="ignore") for a, b in bounds.tolist()], pa.large_string())
    labels = identify(halves)
    codes = np.array([language_code(label) for label in labels.dictionary.to_pylist()], np.uint32)
    codes[[label in (NO_LANGUAGE, UNDETERMINED) for label in labels.dictionary.to_pylist()]] = NOT_SURE
    found = codes[labels.indices.to_numpy()].reshape(-1, 2)
    sure = np.full(len(prose), NOT_SURE, np.uint32)
    sure[long] = np.where(found[:, 0] == found[:, 1], found[:, 0], NOT_SURE)
    return sure
