"""A sample of signatures against ``datasketch.MinHash``, as token ids are compared with tiktoken.

The compiled kernel runs on every document, the library that defines its results on a few of every unit. A difference
is a fault of the kernel, the compiler or the machine: every later decision would rest on it, so it ends the run.

Legend: N documents, W words, P permutations.
"""

import importlib
import importlib.util
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.dedup.minhash_config import MinHashConfig
from winnow.dedup.shingles import shingle_counts, shingle_hashes

CHECKED_SHARE = 1 / 4096
"""Share of the documents that is compared, by the hash of the text, besides the first of every unit."""
_MOST_SHINGLES = 8192
"""Longer documents are left to shorter ones: the reference takes 1 KB and a microsecond or two a shingle."""


def sampled_documents(
    word_offsets: NDArray[np.int64], text_hashes: NDArray[np.uint64], config: MinHashConfig, *, first: bool
) -> NDArray[np.int64]:
    """Rows of the documents of a batch that are compared, rising.

    Those whose text hash falls into `CHECKED_SHARE`, whatever the batch they come in, and with ``first`` the first
    one; of documents that have words, and at most 8,192 shingles.

    In: word_offsets int64[N + 1]; text_hashes uint64[N, 2] as of `winnow.dedup.exact.text_hashes`.
    """
    shingles = shingle_counts(word_offsets, config.ngram)
    usable = (shingles > 0) & (shingles <= _MOST_SHINGLES)
    drawn = usable & (text_hashes[:, 1] < np.uint64(CHECKED_SHARE * 2.0**64))
    if first and usable.any():
        drawn[np.argmax(usable)] = True
    return np.flatnonzero(drawn)


def first_difference(
    rows: NDArray[np.int64],
    signatures: NDArray[np.uint32],
    word_hashes: NDArray[np.uint64],
    word_offsets: NDArray[np.int64],
    config: MinHashConfig,
) -> tuple[int, int] | None:
    """The first of these documents whose signature is not datasketch's, with the first entry that differs; else None.

    In: rows int64[C], which to compare; signatures uint32[N, P]; word_hashes uint64[W]; word_offsets int64[N + 1].
    """
    for row in rows.tolist():
        own = word_hashes[word_offsets[row] : word_offsets[row + 1]]
        shingles, _ = shingle_hashes(own, np.array([0, len(own)], np.int64), config.ngram)
        reference = _minhash(config.num_perm, config.seed).copy()
        reference.update_batch(shingles.tolist())
        different = np.flatnonzero(reference.hashvalues != signatures[row])
        if len(different):
            return row, int(different[0])
    return None


@cache
def _minhash(num_perm: int, seed: int) -> Any:
    """An empty reference; its permutations are drawn once."""
    return _minhash_class()(num_perm, seed=seed, hashfunc=int, scheme="affine32")


def _minhash_class() -> Any:
    """``datasketch.MinHash`` without the rest of the package.

    ``import datasketch`` imports scipy's integration for its indexes: half a second and 60 MB in every worker process,
    for a class that needs numpy alone. So the package stands unexecuted while its module is imported.
    """
    if "datasketch" in sys.modules:
        return importlib.import_module("datasketch").MinHash
    spec = importlib.util.find_spec("datasketch")
    if spec is None:
        raise ModuleNotFoundError("datasketch is not installed; install winnow-corpus with its dependencies")
    sys.modules["datasketch"] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module("datasketch.minhash").MinHash
    finally:
        del sys.modules["datasketch"]  # whoever imports the package gets all of it
