"""Held-out text that an arm was trained on: every run of 13 words of it is looked for in the rows of the arm.

Rows are searched as they are stored, so that whatever was kept, cut, repeated or mixed by the arm is what counts.

Legend: D held-out documents, G different n-grams.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.audit.ngrams import NGRAM, Directory, hash_ngrams
from winnow.shards.dataset.torch_datasets import ShardRows
from winnow.text.words import hash_words
from winnow.tokens.vocabulary import Vocabulary

SHARED = 0.5
"""Share of a document's runs of 13 words from which on it counts as trained on: what the arm has is most of it."""
_ROWS_TOKENS = 1 << 20


class HeldOutGrams:
    """The runs of 13 words of held-out documents."""

    def __init__(self, texts: Sequence[str]) -> None:
        words = hash_words(pa.array(texts, pa.large_string()))
        sizes = np.diff(words.offsets)
        grams = hash_ngrams(words, np.arange(len(texts)))
        self.counts: NDArray[np.int64] = np.maximum(sizes - NGRAM + 1, 0)
        """int64[D] of each document; one of 0 is too short to be looked for."""
        self._owner = np.repeat(np.arange(len(texts)), self.counts)
        self._values, self._place = np.unique(grams, return_inverse=True)

    def shares(self, texts: Iterator[str]) -> NDArray[np.float64]:
        """float64[D]: the share of each document's runs that stand in these texts; 0 of one too short."""
        hit = np.zeros(len(self._values), bool)
        directory = Directory(self._values)
        for text in texts:
            words = hash_words(pa.array([text], pa.large_string()))
            if len(words.hashes) >= NGRAM:
                directory.mark(hash_ngrams(words, np.arange(1)), hit)
        found = np.bincount(self._owner, weights=hit[self._place], minlength=len(self.counts))
        return found / np.maximum(self.counts, 1)


def texts_of_rows(shards: str, vocabulary: Vocabulary, split: str = "train") -> Iterator[str]:
    """The text of a shard set's rows, about a million tokens at a time, in their order.

    Raises:
        ShardError: there is no such split, or a shard is damaged.
    """
    rows = ShardRows(shards, split, as_dict=True, shift=False, dtype="int32")
    first = rows[0]["input_ids"].numel()
    many = max(1, _ROWS_TOKENS // first)
    for start in range(0, len(rows), many):
        ids = rows[start : start + many]["input_ids"].flatten().numpy()
        yield vocabulary.decode(ids).decode("utf-8", "replace")
