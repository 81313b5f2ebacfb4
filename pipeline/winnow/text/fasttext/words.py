"""From a text to rows of the input matrix: words, their n-grams of characters, and n-grams of words.

Whitespace is what fastText takes for it (space, newline, tab, carriage return, vertical tab, form feed, NUL). A text
ends with the word ``</s>``, as the library's Python interface ends it; one that holds this word ends there.

Legend: V entries, H places of the hash table, K n-grams of a pruned model, G of theirs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.fasttext.file import ModelFile

LABEL = np.frombuffer(b"__label__", np.uint8)
END = np.frombuffer(b"</s>", np.uint8)
SPACE = np.zeros(256, np.bool_)
SPACE[list(b" \n\r\t\v\f\0")] = True
SIGNED = np.array([byte | (0xFFFFFF00 if byte & 0x80 else 0) for byte in range(256)], np.uint32)
"""Bytes as the signed characters that fastText hashes."""
BASIS, PRIME, NGRAM = np.uint32(2166136261), np.uint32(16777619), np.uint64(116049371)


class Lookup(NamedTuple):
    """The dictionary as a kernel takes it."""

    pool: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    words: int
    slot_hash: NDArray[np.uint32]
    """uint32[H]."""
    slot_entry: NDArray[np.int32]
    """int32[H], -1 for none."""
    kept_bucket: NDArray[np.int32]
    """int32[G], -1 for none; empty where every bucket has its row."""
    kept_row: NDArray[np.int32]
    pruned: bool
    buckets: int
    shortest: int
    longest: int
    word_ngrams: int


def lookup_of(model: ModelFile) -> Lookup:
    """Hash tables of a model's dictionary."""
    entries, header = model.entries, model.header
    places = _places(len(entries.start))
    slot_hash, slot_entry = np.zeros(places, np.uint32), np.full(places, -1, np.int32)
    _fill(entries.pool, entries.start, entries.end, slot_hash, slot_entry)
    kept = np.empty((0, 2), np.int32) if model.kept is None else model.kept
    bucket, row = np.full(_places(len(kept)), -1, np.int32), np.zeros(_places(len(kept)), np.int32)
    _fill_kept(kept, bucket, row)
    return Lookup(
        *(entries.pool, entries.start, entries.end, entries.words, slot_hash, slot_entry),
        *(bucket, row, model.kept is not None),
        *(header.buckets, header.shortest, header.longest, header.word_ngrams),
    )


def _places(number: int) -> int:
    return 1 << max(4, (2 * number).bit_length())


@kernel
def hash_of(data, start, end):  # type: ignore[no-untyped-def]
    """FNV-1a of 32 bits over signed characters."""
    value = BASIS
    for at in range(start, end):
        value = np.uint32((value ^ SIGNED[data[at]]) * PRIME)
    return value


@kernel
def is_same(data, start, end, other, begin, stop):  # type: ignore[no-untyped-def]
    """Whether two stretches of bytes are equal."""
    length = end - start
    if length != stop - begin:
        return False
    place = 0
    while place < length and data[start + place] == other[begin + place]:
        place += 1
    return place == length


@kernel
def _fill(pool, start, end, slot_hash, slot_entry):  # type: ignore[no-untyped-def]
    mask = len(slot_hash) - 1
    for entry in range(len(start)):
        value = hash_of(pool, start[entry], end[entry])
        slot = np.int64(value) & mask
        while slot_entry[slot] >= 0:
            before = slot_entry[slot]
            if slot_hash[slot] == value and is_same(pool, start[entry], end[entry], pool, start[before], end[before]):
                break  # the later one counts, as in the library
            slot = (slot + 1) & mask
        slot_hash[slot], slot_entry[slot] = value, entry


@kernel
def _fill_kept(kept, bucket, row):  # type: ignore[no-untyped-def]
    mask = len(bucket) - 1
    for place in range(len(kept)):
        slot = (np.int64(kept[place, 0]) * 0x9E3779B1 >> 8) & mask
        while bucket[slot] >= 0 and bucket[slot] != kept[place, 0]:
            slot = (slot + 1) & mask
        bucket[slot], row[slot] = kept[place, 0], kept[place, 1]


@kernel
def entry_of(pool, starts, ends, slot_hash, slot_entry, data, start, end, value):  # type: ignore[no-untyped-def]
    """The entry of a word, -1 for none. Arrays one by one: taken out of a tuple for each word they cost more."""
    mask = len(slot_hash) - 1
    slot = np.int64(value) & mask
    while slot_entry[slot] >= 0:
        entry = slot_entry[slot]
        if slot_hash[slot] == value and is_same(data, start, end, pool, starts[entry], ends[entry]):
            return np.int64(entry)
        slot = (slot + 1) & mask
    return np.int64(-1)


@kernel
def kept_row_of(kept_bucket, kept_row, bucket):  # type: ignore[no-untyped-def]
    """The row of a bucket of n-grams behind those of words, -1 where the model was pruned of it."""
    mask = len(kept_bucket) - 1
    slot = (bucket * 0x9E3779B1 >> 8) & mask
    while kept_bucket[slot] >= 0:
        if kept_bucket[slot] == bucket:
            return np.int64(kept_row[slot])
        slot = (slot + 1) & mask
    return np.int64(-1)


@kernel
def begins_as_label(data, start, end):  # type: ignore[no-untyped-def]
    """Whether a word is written as a label, and so none."""
    return end - start >= len(LABEL) and is_same(data, start, start + len(LABEL), LABEL, 0, len(LABEL))
