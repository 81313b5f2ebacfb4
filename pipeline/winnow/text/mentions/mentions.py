"""Which documents mention which groups: runs of word hashes, looked up by the first.

Legend: N documents, W words, T terms, G groups, L languages.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.mentions.terms import Terms
from winnow.text.words import hash_words


@kernel
def _find(
    hashes: Any,
    offsets: Any,
    language: Any,
    shift: Any,
    starts: Any,
    first: Any,
    rest: Any,
    ends: Any,
    group: Any,
    of: Any,
    found: Any,
    seen: Any,
) -> None:
    last = np.full(len(first), -1, np.int64)
    for document in range(len(offsets) - 1):
        end = offsets[document + 1]
        for place in range(offsets[document], end):
            value = hashes[place]
            bucket = np.int64(value >> shift)
            for term in range(starts[bucket], starts[bucket + 1]):
                if first[term] != value or last[term] == document:
                    continue
                if of[term] >= 0 and of[term] != language[document]:
                    continue
                begin = ends[term]
                more = ends[term + 1] - begin
                if place + more >= end:
                    continue
                same = True
                for word in range(more):
                    if rest[begin + word] != hashes[place + 1 + word]:
                        same = False
                        break
                if same:
                    found[document, group[term]] = True
                    seen[term] += 1
                    last[term] = document


class Finder:
    """Looks for the terms of all groups at once."""

    def __init__(self, terms: Terms) -> None:
        """``terms`` T of them, of G groups."""
        self.groups = len(terms.groups)
        first = np.array([words[0] for words in terms.words], np.uint64)
        self._order = np.argsort(first, kind="stable")
        self.codes = sorted({code for code in terms.language if code})
        number = {code: place for place, code in enumerate(self.codes)} | {"": -1}
        bits = max(12, len(first).bit_length() + 4)  # most words meet an empty bucket
        keys = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        words = [terms.words[place][1:] for place in self._order.tolist()]
        self._first = first[self._order]
        self._shift = np.uint64(64 - bits)
        self._starts = np.append(np.searchsorted(self._first, keys), len(first)).astype(np.int32)
        self._rest = np.concatenate([np.empty(0, np.uint64), *words])
        self._ends = np.concatenate([[0], np.cumsum([len(rest) for rest in words])]).astype(np.int64)
        self._group = terms.group[self._order]
        self._of = np.array([number[terms.language[place]] for place in self._order.tolist()], np.int64)
        self._seen = np.zeros(len(first), np.int64)

    @property
    def documents(self) -> NDArray[np.int64]:
        """int64[T], the documents that held each term so far."""
        found = np.zeros(len(self._seen), np.int64)
        found[self._order] = self._seen
        return found

    def __call__(self, texts: pa.Array, languages: Sequence[str | None]) -> NDArray[np.bool_]:
        """Whether each document mentions each group: bool[N, G].

        Args:
            texts: large_string[N] without nulls.
            languages: [N], of each document; None where it is not known.
        """
        words = hash_words(texts)
        number = {code: place for place, code in enumerate(self.codes)}
        code = np.array([number.get(name or "", -2) for name in languages], np.int64)
        found = np.zeros((len(texts), self.groups), bool)
        _find(
            words.hashes, words.offsets, code, self._shift, self._starts, self._first, self._rest, self._ends,
            self._group, self._of, found, self._seen,
        )  # fmt: skip
        return found
