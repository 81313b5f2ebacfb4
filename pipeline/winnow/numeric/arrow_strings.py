"""Arrow string columns as plain numpy buffers, and back, without copying text.

Legend: N documents, B bytes of UTF-8.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def string_buffers(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Views of a ``large_string`` (or ``large_binary``) column.

    Args:
        texts: large_string[N] without nulls; may be a slice.

    Returns:
        data uint8[B'] (the whole underlying buffer) and offsets int64[N + 1] into it. ``offsets[0]`` is not 0
        for a slice. Both are read-only views.

    Raises:
        TypeError: another type was given.
        ValueError: the column holds nulls.
    """
    if texts.type not in (pa.large_string(), pa.large_binary()):
        raise TypeError(f"expected a large_string column, got {texts.type}; cast it first")
    if texts.null_count:
        raise ValueError(f"expected a column without nulls, got {texts.null_count}; drop or replace them first")
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    if len(offsets) == 0:  # Arrow permits an empty offsets buffer for an empty column
        offsets = np.zeros(1, np.int64)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    data.flags.writeable = offsets.flags.writeable = False  # always: kernels are compiled for one type, not for two
    return data, offsets


def strings_from_buffers(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> pa.Array:
    """A ``large_string`` column over numpy buffers, without a copy.

    Args:
        data: uint8[B], valid UTF-8 (not checked).
        offsets: int64[N + 1], rising, within ``data``.
    """
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
