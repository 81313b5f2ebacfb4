"""BPE-dropout: ids of a text by merges of which each is left out by chance, anew at every step.

Source: Provilkov, Emelianenko and Voita, "BPE-Dropout: Simple and Effective Subword Regularization", ACL 2020,
Algorithm 1: of all merges that are possible, each is dropped with probability p; the best-ranked of the rest is made
(of equal ones the leftmost); this goes on until none is left. Without dropout these are the ids of tiktoken.

Chance is a function of the document's key alone, so a document has the same ids in every batch, unit and attempt.

Legend: N documents, P pieces (what the split pattern makes of a text; no merge crosses them), T tokens.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import inline_kernel, kernel
from winnow.tokens.cuts import cut_long
from winnow.tokens.patterns import PATTERNS, PLAIN_PATTERNS
from winnow.tokens.tokeniser import TokenisedTexts
from winnow.tokens.vocabulary import Vocabulary

_PART_BYTES = 1 << 20
_LONGEST_PART_BYTES = 2 << 20
_NO_CUT = 1 << 62
"""Of `cut_long`: a run of one class that is shorter is not cut inside. No merges with chance can be joined there."""
_GOLDEN, _MIX1, _MIX2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def pattern_of(vocabulary: Vocabulary) -> str:
    """The split pattern of a vocabulary, as tokenizers takes it.

    Raises:
        ValueError: it is no rank file with a named pattern.
    """
    for name, plain in PLAIN_PATTERNS.items():
        if vocabulary.pattern is not None and PATTERNS[name] == vocabulary.pattern:
            return plain
    raise ValueError(
        f"tokenise.dropout needs a rank file with a named split pattern, and {vocabulary.name} is none; use a tiktoken "
        "encoding or a .tiktoken file"
    )


class MergeDropout:
    """Encodes with dropout. One for each process and vocabulary: making it takes about a second.

    Raises:
        ValueError: the vocabulary is no rank file with a named split pattern, or lacks a byte.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        pattern = pattern_of(vocabulary)
        from tokenizers import Regex  # noqa: PLC0415 - for this alone
        from tokenizers.pre_tokenizers import Split  # noqa: PLC0415

        self._split = Split(Regex(pattern), behavior="isolated")
        self._dtype = vocabulary.dtype
        ranks = vocabulary.ranks
        if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
            raise ValueError(f"{vocabulary.name}: byte {missing[0]} is no token, so merges have nothing to begin with")
        self._bytes = np.array([ranks[bytes([byte])] for byte in range(256)], np.uint32)
        pairs = [
            (ranks[token[:at]], ranks[token[at:]], rank)
            for token, rank in ranks.items()
            for at in range(1, len(token))
            if token[:at] in ranks and token[at:] in ranks
        ]
        left, right, merged = np.array(pairs, np.uint64).reshape(-1, 3).T
        self._keys = np.zeros(1 << (2 * len(pairs) + 1).bit_length(), np.uint64)
        self._merged = np.zeros(len(self._keys), np.uint32)
        _fill(((left << np.uint64(32)) | right) + np.uint64(1), merged.astype(np.uint32), self._keys, self._merged)

    def encode(
        self, texts: pa.Array, keys: NDArray[np.uint64], rate: float
    ) -> tuple[TokenisedTexts, NDArray[np.bool_]]:
        """Ids of every document, and whether it has any.

        Args:
            texts: large_string[N] without nulls.
            keys: uint64[N], what each document's chance is drawn from.
            rate: probability that a merge is dropped at a step, in [0, 1).

        Returns:
            the ids, no token added at either end; and bool[N]: False for texts with megabytes without a place to cut,
            which have none.
        """
        data, offsets = string_buffers(texts)
        limit = np.uint64(int(rate * 2.0**64))
        found: list[NDArray[Any]] = []
        lengths, done = np.zeros(len(texts), np.int64), np.ones(len(texts), bool)
        for row, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
            ids = self._document(data, start, end, keys[row], limit)
            if ids is None:
                done[row] = False
            else:
                found.append(ids)
                lengths[row] = len(ids)
        joined = np.concatenate([np.empty(0, self._dtype), *found])
        return TokenisedTexts(joined, np.concatenate([[0], np.cumsum(lengths)])), done

    def _document(
        self, data: NDArray[np.uint8], start: int, end: int, key: np.uint64, limit: np.uint64
    ) -> NDArray[Any] | None:
        ends = [end]
        if end - start > _PART_BYTES:
            ends = cut_long(data, start, end, _PART_BYTES, _PART_BYTES, _NO_CUT)[0].tolist()
            if max(np.diff([start, *ends])) > _LONGEST_PART_BYTES:
                return None
        lengths: list[int] = []
        for begin, stop in zip([start, *ends], ends, strict=False):
            pieces = self._split.pre_tokenize_str(data[begin:stop].tobytes().decode())
            lengths += [len(piece.encode()) for piece, _ in pieces]
        bounds = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=bounds[1:])
        longest = max(lengths, default=0)
        out = np.empty(end - start, np.uint32)
        links, heaps = np.empty((3, longest), np.int64), np.empty((2, 3 * longest), np.int64)
        count = _encode(data, start, bounds, self._bytes, self._keys, self._merged, key, limit, links, heaps, out)
        return out[:count].astype(self._dtype)


@inline_kernel
def _slot(key, size):  # type: ignore[no-untyped-def]
    return np.int64(((key * _GOLDEN) >> np.uint64(20)) & np.uint64(size - 1))


@kernel
def _fill(pairs: Any, merged: Any, keys: Any, values: Any) -> None:
    """Put pairs of tokens (key, not 0) and what they make into an open hash table; sizes are powers of two."""
    for n in range(len(pairs)):
        place = _slot(pairs[n], len(keys))
        while keys[place] != 0:
            place = (place + 1) & (len(keys) - 1)
        keys[place] = pairs[n]
        values[place] = merged[n]


@kernel
def _made(left, right, keys, values):  # type: ignore[no-untyped-def]
    """The token that two make, or -1."""
    key = ((np.uint64(left) << np.uint64(32)) | np.uint64(right)) + np.uint64(1)
    place = _slot(key, len(keys))
    while keys[place] != 0:
        if keys[place] == key:
            return np.int64(values[place])
        place = (place + 1) & (len(keys) - 1)
    return np.int64(-1)


@kernel
def _push(heap: Any, size: int, entry: int) -> int:
    """Put an entry into a binary heap; returns its size."""
    at = size
    while at > 0:
        above = (at - 1) // 2
        if heap[above] <= entry:
            break
        heap[at] = heap[above]
        at = above
    heap[at] = entry
    return size + 1


@kernel
def _pop(heap: Any, size: int) -> int:
    """Take the smallest entry (heap[0]) out of a binary heap; returns its size."""
    size -= 1
    entry = heap[size]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= entry:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = entry
    return size


@kernel
def _encode(
    data: Any,
    start: int,
    bounds: Any,
    of_byte: Any,
    keys: Any,
    values: Any,
    state: Any,
    limit: Any,
    links: Any,
    heaps: Any,
    out: Any,
) -> int:
    """Ids of the pieces of one document; returns how many.

    Possible merges of a piece stand in a heap by rank, then place. Those that are looked at before one stays, and are
    dropped, come back behind the merge that is made: others would not have been chosen in this step, dropped or not. So
    a step draws 1 / (1 - p) times, not once for every possible merge, and gives the same ids with the same chance.
    """
    token, after, before, heap, aside = links[0], links[1], links[2], heaps[0], heaps[1]
    count = 0
    for piece in range(len(bounds) - 1):
        begin, length = start + bounds[piece], bounds[piece + 1] - bounds[piece]
        size = 0
        for i in range(length):
            token[i] = of_byte[data[begin + i]]
            after[i] = i + 1
            before[i] = i - 1
        for i in range(length - 1):
            made = _made(token[i], token[i + 1], keys, values)
            if made >= 0:
                size = _push(heap, size, made << 32 | i)
        while size > 0:
            dropped, chosen = 0, np.int64(-1)
            while size > 0:
                entry = heap[0]
                size = _pop(heap, size)
                i = entry & 0xFFFFFFFF
                # one of both may be part of another token by now
                if token[i] < 0 or after[i] >= length or _made(token[i], token[after[i]], keys, values) != entry >> 32:
                    continue
                if limit > 0:
                    state += _GOLDEN
                    draw = (state ^ (state >> np.uint64(30))) * _MIX1
                    draw = (draw ^ (draw >> np.uint64(27))) * _MIX2
                    if draw ^ (draw >> np.uint64(31)) < limit:
                        aside[dropped] = entry
                        dropped += 1
                        continue
                chosen = entry
                break
            if chosen < 0:
                break
            i = chosen & 0xFFFFFFFF  # type: ignore[assignment]
            j = after[i]
            token[i] = chosen >> 32
            token[j] = -1
            after[i] = after[j]
            if after[i] < length:
                before[after[i]] = i
                made = _made(token[i], token[after[i]], keys, values)
                if made >= 0:
                    size = _push(heap, size, made << 32 | i)
            if before[i] >= 0:
                made = _made(token[before[i]], token[i], keys, values)
                if made >= 0:
                    size = _push(heap, size, made << 32 | before[i])
            for n in range(dropped):
                size = _push(heap, size, aside[n])
        i = 0
        while i < length:
            out[count] = token[i]
            count += 1
            i = after[i]
    return count
