"""Where texts hold runs of five words that items hold: one pass over the bytes, nothing kept but what is found.

Legend: N texts, H found runs (hits).
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.text.characters import character_tables
from winnow.text.contamination.item_index import GRAM, ItemIndex, bit_shift, gram_key
from winnow.text.word_scan import next_words, word_tables
from winnow.text.words import room_for_words

_BLOCK = 512
"""Runs looked up at a time, so that one look-up need not wait for the memory of the one before."""


class Hits(NamedTuple):
    """Runs of five words of texts that items hold, text by text, in order."""

    gram: NDArray[np.int32]
    """[H] number in the index."""
    word: NDArray[np.int32]
    """[H] the word of the text that begins it."""
    begin: NDArray[np.uint32]
    """[H] first byte of that word, from the text's first byte on."""
    end: NDArray[np.uint32]
    """[H] end of its last word."""
    offsets: NDArray[np.int64]
    """[N + 1] hits of text i are offsets[i] to offsets[i + 1]."""
    words: int
    """Of all texts."""


def probe(texts: pa.Array, wanted: NDArray[np.bool_], index: ItemIndex) -> Hits:
    """Look every run of five words up.

    Args:
        texts: large_string[N] without nulls.
        wanted: bool[N], which texts are looked at; the others hold nothing.
        index: of the items.
    """
    data, bounds = string_buffers(texts)
    room = room_for_words(bounds)
    gram, word = np.empty(room, np.int32), np.empty(room, np.int32)
    begin, end = np.empty(room, np.uint32), np.empty(room, np.uint32)
    offsets = np.zeros(len(texts) + 1, np.int64)
    words = _probe(
        data, bounds, wanted, character_tables(), index.bitmap, index.keys, index.grams, bit_shift(index),
        gram, word, begin, end, offsets,
    )  # fmt: skip
    found = int(offsets[-1])
    return Hits(gram[:found], word[:found], begin[:found], end[:found], offsets, int(words))


@kernel
def _probe(
    data: Any,
    bounds: Any,
    wanted: Any,
    tables: Any,
    bitmap: Any,
    keys: Any,
    grams: Any,
    shift: Any,
    gram: Any,
    word: Any,
    begin: Any,
    end: Any,
    offsets: Any,
) -> int:
    data_end = len(data)
    data, tables = pointer_to(data), word_tables(tables)
    bits, slots, mask = pointer_to(bitmap), pointer_to(keys), len(keys) - 1
    held = _BLOCK + GRAM - 1
    hashes, begins, ends = np.zeros(held, np.uint64), np.zeros(held, np.int64), np.zeros(held, np.int64)
    looked_up = np.zeros(_BLOCK, np.uint64)
    found = 0
    total = 0
    for text in range(len(bounds) - 1):
        first, last = bounds[text], bounds[text + 1]
        i = first if wanted[text] else last
        have = 0
        number = 0  # of the first word that is held
        while i < last:
            i, have = next_words(data, i, last, data_end, tables, hashes, begins, ends, have, held)
            runs = have - GRAM + 1
            for j in range(runs):
                looked_up[j] = gram_key(hashes, j)
            for j in range(runs):
                key = looked_up[j]
                bit = key >> shift
                if not (bits[np.int64(bit >> np.uint64(6))] >> (bit & np.uint64(63))) & np.uint64(1):
                    continue
                slot = np.int64(key >> np.uint64(1)) & mask
                while slots[slot] != 0 and slots[slot] != key:
                    slot = (slot + 1) & mask
                if slots[slot] == key:
                    gram[found] = grams[slot]
                    word[found] = number + j
                    begin[found] = begins[j] - first
                    end[found] = ends[j + GRAM - 1] - first
                    found += 1
            if runs > 0:
                for k in range(GRAM - 1):
                    hashes[k], begins[k], ends[k] = hashes[runs + k], begins[runs + k], ends[runs + k]
                have = GRAM - 1
                number += runs
        total += number + have
        offsets[text + 1] = found
    return total
