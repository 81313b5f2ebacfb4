"""Rows of a shard in memory: what every row kind makes and every format writes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LABEL = "label"
"""Name of the column that holds ``PackedRows.labels``."""
NO_COLUMNS: Mapping[str, NDArray[Any]] = MappingProxyType({})


class PackedRows(NamedTuple):
    """The rows of a shard."""

    rows: NDArray[Any]
    """ids[R, L], uint16 or uint32."""
    pieces: NDArray[np.uint32]
    """uint32[P], lengths of the document pieces, row after row."""
    offsets: NDArray[np.int64]
    """int64[R + 1] into ``pieces``."""
    columns: Mapping[str, NDArray[Any]] = NO_COLUMNS
    """Further columns by name, one number a token: uint8, uint16 or uint32 [R, L]."""
    docs: NDArray[np.uint64] | None = None
    """uint64[P], the document of each piece, or None where the config does not ask for it."""
    doc_starts: NDArray[np.uint32] | None = None
    """uint32[P], how many tokens of its document stand before each piece; given where ``docs`` is."""
    labels: NDArray[np.int64] | None = None
    """int64[R], the label of each row's document, or None where documents have none."""
    preferences: bool = False
    """Whether each row is a preference pair: its three pieces are the prompt, the chosen answer, and the rejected one
    with the end-of-text that ends every document and belongs to none of them."""
