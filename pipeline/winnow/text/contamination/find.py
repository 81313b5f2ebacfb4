"""Texts in, places of items out."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.text.contamination.coverage import Coverage, Places
from winnow.text.contamination.item_index import ItemIndex, Rule
from winnow.text.contamination.probe import probe


class Finder:
    """Finds items in batch after batch of texts."""

    def __init__(self, index: ItemIndex, rule: Rule) -> None:
        self._index = index
        self._coverage = Coverage(index, rule)
        self.words = 0
        """Of all texts so far."""

    def __call__(self, texts: pa.Array, wanted: NDArray[np.bool_] | None = None) -> Places:
        """Every place of every item.

        Args:
            texts: large_string[N] without nulls.
            wanted: bool[N], which texts are looked at; None is all.
        """
        hits = probe(texts, np.ones(len(texts), bool) if wanted is None else wanted, self._index)
        self.words += hits.words
        return self._coverage(hits)
