"""Wanted columns of a stretch of CSV as Arrow columns, all records at once.

Legend: N records.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import strings_from_buffers
from winnow.numeric.jit import kernel

_ESCAPE = 27


@kernel
def _copy(data, places, quote, out, offsets):  # type: ignore[no-untyped-def]
    """Values without quotes, end to end; their ends go to ``offsets``."""
    to = 0
    for number in range(len(places)):
        at, end = places[number, 0], places[number, 1]
        if at < end and data[at] == quote:
            at += 1
            end -= 1
            while at < end:
                byte = data[at]
                out[to] = byte
                to += 1
                at += 2 if byte == quote else 1
        else:
            for place in range(at, end):
                out[to + place - at] = data[place]
            to += end - at
        offsets[number + 1] = to
    return to


def column_of(data: bytearray, places: NDArray[np.int64], quote: int) -> pa.Array | None:
    """large_string[N]; None where not all is plain UTF-8, so that each record has to be looked at.

    Args:
        data: the text.
        places: int64[N, 2]: start and end of each value, quotes included.
        quote: the byte around values; -1 for none.
    """
    out = np.empty(int((places[:, 1] - places[:, 0]).sum()), np.uint8)
    offsets = np.zeros(len(places) + 1, np.int64)
    size = int(_copy(np.frombuffer(data, np.uint8), places, quote, out, offsets))
    out = out[:size]
    if size and (out.min() == 0 or (out == _ESCAPE).any()):  # zeros, escapes of ISO-2022-JP: perhaps no UTF-8
        return None
    column = strings_from_buffers(out, offsets)
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return column
