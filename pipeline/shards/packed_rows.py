"""Rows of a shard in memory: what every row kind makes and every format writes."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class PackedRows(NamedTuple):
    """The rows of a shard."""

    rows: NDArray[Any]
    """ids[R, L], uint16 or uint32."""
    pieces: NDArray[np.uint32]
    """uint32[P], lengths of the document pieces, row after row."""
    offsets: NDArray[np.int64]
    """int64[R + 1] into ``pieces``."""
