"""Spans that operators return, in order and apart: what lies outside its text, or within a character, is refused.

Legend: N texts, F spans.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.errors import OperatorError
from winnow.numeric.arrow_strings import string_buffers
from winnow.operators.operator import Operator
from winnow.text.edits import apart


class Found(NamedTuple):
    """F spans by row and start, none over another: of those that were, the leftmost, then the longest, then the kind
    that comes first."""

    row: NDArray[np.int64]
    """int64[F]."""
    start: NDArray[np.int64]
    """int64[F], bytes."""
    end: NDArray[np.int64]
    """int64[F]."""
    kind: NDArray[np.int64]
    """int64[F] into the operator's kinds."""


def spans_apart(operator: Operator, column: pa.Array, texts: pa.Array) -> Found:
    """The spans of a column of type ``SPANS`` [N], of texts large_string[N].

    Raises:
        OperatorError: one is empty, lies outside its text, or begins or ends within a character.
    """
    values = column.flatten()
    row = np.repeat(np.arange(len(column)), np.diff(column.offsets.to_numpy()))
    start, end = (values.field(name).to_numpy() for name in ("start", "end"))
    encoded = values.field("kind").dictionary_encode()
    codes = np.array([operator.kinds.index(name) for name in encoded.dictionary.to_pylist()] or [0])
    kind = codes[encoded.indices.to_numpy()]
    data, offsets = string_buffers(texts)
    length = np.diff(offsets)[row]
    wrong = (start < 0) | (end <= start) | (end > length)
    if not wrong.any():
        wrong = _within_character(data, offsets[row] + start, offsets[row + 1]) | _within_character(
            data, offsets[row] + end, offsets[row + 1]
        )
    if wrong.any():
        place = int(np.argmax(wrong))
        raise OperatorError(
            f"operator {operator.name} (spans) returned {start[place]} to {end[place]} for a text of {length[place]:,} "
            "bytes; expected places between characters, as bytes of the text in UTF-8 (len(text.encode()), not "
            "len(text)), the end behind the start"
        )
    order = np.lexsort((kind, -end, start, row))
    order = order[apart(row[order], start[order], end[order])]
    return Found(row[order], start[order], end[order], kind[order])


def _within_character(data: NDArray[np.uint8], at: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.bool_]:
    inside = at < stop
    found = np.zeros(len(at), np.bool_)
    found[inside] = (data[at[inside]] & 0xC0) == 0x80
    return found
