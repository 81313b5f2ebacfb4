"""What texts come to: the sum of the rows of all their words and n-grams, in one pass over the bytes.

Legend: N documents, D dimensions (1 of a collapsed model).
"""

import numpy as np

from winnow.numeric.jit import kernel
from winnow.text.fasttext.rows import add_row
from winnow.text.fasttext.words import (
    BASIS,
    END,
    NGRAM,
    PRIME,
    SIGNED,
    SPACE,
    begins_as_label,
    entry_of,
    hash_of,
    is_same,
    kept_row_of,
)


@kernel
def sum_texts(lookup, matrix, data, offsets, characters, narrow, sums, numbers):  # type: ignore[no-untyped-def]
    """Sums [N, D] and how many rows each is of, int64[N]; ``characters`` of a text are looked at, -1 for all."""
    pool, starts, ends, words, slot_hash, slot_entry = lookup[:6]
    kept_bucket, kept_row, pruned, buckets, shortest, longest, word_ngrams = lookup[6:]
    dense, codes, centroids, piece, norms = matrix
    small, large = np.uint32(buckets), np.uint64(buckets)
    inverse = 1.0 / max(buckets, 1)
    hashes = np.empty(1024, np.int32)
    end_hash = hash_of(END, 0, len(END))
    end_entry = entry_of(pool, starts, ends, slot_hash, slot_entry, END, 0, len(END), end_hash)
    for text in range(len(numbers)):
        at, stop = offsets[text], offsets[text + 1]
        if characters >= 0:
            stop = cut(data, at, stop, characters)
        total = sums[text]
        number = used = 0
        score = 0.0
        is_last = False
        while not is_last:
            while at < stop and SPACE[data[at]]:
                at += 1
            start = at
            value = BASIS
            while at < stop and not SPACE[data[at]]:
                value = np.uint32((value ^ SIGNED[data[at]]) * PRIME)
                at += 1
            is_last = at == start or (value == end_hash and is_same(data, start, at, END, 0, len(END)))
            if is_last:
                value, entry = end_hash, end_entry
            else:
                entry = entry_of(pool, starts, ends, slot_hash, slot_entry, data, start, at, value)
            if entry >= words or (entry < 0 and not is_last and begins_as_label(data, start, at)):
                continue  # a label, or written as one
            if entry >= 0:
                if narrow:
                    score += dense[entry, 0]
                else:
                    add_row(dense, codes, centroids, piece, norms, entry, total)
                number += 1
            if longest > 0 and not is_last:
                for first in range(start - 1, at + 1):  # start - 1 stands for <, at for >
                    if start <= first < at and data[first] & 0xC0 == 0x80:
                        continue
                    part, behind, length = BASIS, first, 1
                    while behind <= at and length <= longest:
                        byte = np.uint8(0x3C) if behind < start else (np.uint8(0x3E) if behind == at else data[behind])
                        part = np.uint32((part ^ SIGNED[byte]) * PRIME)
                        behind += 1
                        while start < behind < at and data[behind] & 0xC0 == 0x80:
                            part = np.uint32((part ^ SIGNED[data[behind]]) * PRIME)
                            behind += 1
                        if length >= shortest and not (length == 1 and (first < start or behind > at)):
                            row = np.int64(part % small)
                            if pruned:
                                row = kept_row_of(kept_bucket, kept_row, row)
                            if row >= 0:
                                if narrow:
                                    score += dense[words + row, 0]
                                else:
                                    add_row(dense, codes, centroids, piece, norms, words + row, total)
                                number += 1
                        length += 1
            if word_ngrams > 1:
                if used == len(hashes):
                    larger = np.empty(2 * used, np.int32)
                    larger[:used] = hashes
                    hashes = larger
                hashes[used] = np.int32(value)
                used += 1
        for first in range(used):
            chain = np.uint64(np.int64(hashes[first]))  # hashes are signed there
            for last in range(first + 1, min(first + word_ngrams, used)):
                chain = chain * NGRAM + np.uint64(np.int64(hashes[last]))
                row = remainder(chain, large, inverse)
                if pruned:
                    row = kept_row_of(kept_bucket, kept_row, row)
                if row >= 0:
                    if narrow:
                        score += dense[words + row, 0]
                    else:
                        add_row(dense, codes, centroids, piece, norms, words + row, total)
                    number += 1
        numbers[text] = number
        if narrow:
            total[0] = score


@kernel
def cut(data, at, stop, characters):  # type: ignore[no-untyped-def]
    """Behind so many characters of a text, at most ``stop``."""
    while at < stop:
        if data[at] & 0xC0 != 0x80:
            if characters == 0:
                return at
            characters -= 1
        at += 1
    return stop


@kernel
def remainder(value, divisor, inverse):  # type: ignore[no-untyped-def]
    """``value % divisor`` of uint64, without the processor's slow division: by the inverse, then mended."""
    if divisor < 1 << 16:
        return np.int64(value % divisor)
    rest = np.int64(value - np.uint64(np.float64(value) * inverse) * divisor)
    while rest < 0:
        rest += np.int64(divisor)
    while rest >= np.int64(divisor):
        rest -= np.int64(divisor)
    return rest
