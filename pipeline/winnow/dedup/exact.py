"""128-bit hashes of whole texts, for exact duplicates.

Source: XXH3-128 (seed 0) by Yann Collet, specified at https://github.com/Cyan4973/xxHash.
"""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers


def text_hashes(texts: pa.Array) -> NDArray[np.uint64]:
    """XXH3-128 of the UTF-8 bytes of each text: uint64[N, 2].

    Column 0 holds the upper and column 1 the lower 64 bits of the canonical (big-endian) digest, as native
    integers: ``xxh3_128_intdigest(text) == int(row[0]) << 64 | int(row[1])``.

    Args:
        texts: large_string[N] without nulls; may be a slice.

    Raises:
        TypeError, ValueError: as `string_buffers`.
    """
    data, offsets = string_buffers(texts)
    view = memoryview(data.data)
    digest = xxhash.xxh3_128_digest
    bounds = offsets.tolist()
    digests = b"".join([digest(view[start:end]) for start, end in pairwise(bounds)])
    return np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
