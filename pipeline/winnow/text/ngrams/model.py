"""An n-gram model with backoff, as kernels take it, and how probable texts are by it.

The probability of a word is that of the longest n-gram which ends with it and is known, times the backoff of each
longer context (S. Katz, 1987; as ARPA files have it). N-grams of two words and more stand in one hash table: the key of
one is a hash of 64 bits over the numbers of its words, from the last to the first, so that each step to a longer
context is one multiplication and one look.

Legend: N texts, T tokens, V words of the vocabulary, H and S places of the hash tables, K the model's order.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.ngrams.tokens import Tokens

_START = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


class NgramModel(NamedTuple):
    """A model; all logarithms are to the base of 10."""

    order: int
    closed: bool
    """Whether of each n-gram the one without its first word is known: then a search ends where one is not."""
    begin: int
    """Number of ``<s>``; and of ``</s>``, and of ``<unk>``."""
    end: int
    unknown: int
    word_keys: NDArray[np.uint64]
    """uint64[H], hash of the token, 0 for none."""
    word_numbers: NDArray[np.int32]
    """int32[H]."""
    words: NDArray[np.float32]
    """float32[V, 2], logarithms of probability and backoff."""
    grams: NDArray[np.uint64]
    """uint64[S, 2], side by side so that a look is one access to memory: the key of an n-gram, 0 for none, and the
    same two logarithms, as float32 (:func:`logarithms_of`)."""


class Scores(NamedTuple):
    """Of N texts."""

    log10: NDArray[np.float64]
    """float64[N], logarithm of the probability of all tokens, and of the end of each sentence."""
    tokens: NDArray[np.int64]
    """int64[N]."""
    sentences: NDArray[np.int64]
    """int64[N]: those that have a token."""
    unknown: NDArray[np.int64]
    """int64[N], tokens that the model has not."""


def score(model: NgramModel, tokens: Tokens) -> Scores:
    """How probable N texts are. Each by itself, whatever stands beside it."""
    number = len(tokens.offsets) - 1
    found = Scores(np.zeros(number), *np.zeros((3, number), np.int64))
    _score(model, logarithms_of(model.grams), tokens.hashes, tokens.begins, tokens.offsets, *found)
    return found


def logarithms_of(grams: NDArray[np.uint64]) -> NDArray[np.float32]:
    """The table of n-grams seen as numbers, float32[S, 4]: the last two are logarithms of probability and backoff."""
    return grams.view(np.float32)


@inline_kernel
def extended(key, word):  # type: ignore[no-untyped-def]
    """The key of an n-gram with one word more before it."""
    value = (key ^ np.uint64(np.int64(word) + 1)) * _MIX
    return value ^ (value >> np.uint64(32))


@inline_kernel
def slot_of(keys, key):  # type: ignore[no-untyped-def]
    """The place of a key, or the free one where it belongs."""
    mask = len(keys) - 1
    slot = np.int64(key >> np.uint64(20)) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@inline_kernel
def gram_slot_of(grams, key):  # type: ignore[no-untyped-def]
    """The same in the table of n-grams."""
    mask = len(grams) - 1
    slot = np.int64(key >> np.uint64(20)) & mask
    while grams[slot, 0] != 0 and grams[slot, 0] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def key_of(words):  # type: ignore[no-untyped-def]
    """The key of an n-gram, int[n] numbers of words in their order; never 0."""
    key = _START
    for place in range(len(words) - 1, -1, -1):
        key = extended(key, words[place])
    return key if key != 0 else np.uint64(1)


def room_for(number: int) -> int:
    """Places of a hash table of so many entries: a power of two, at most two thirds full."""
    return 1 << max(4, (number + number // 2).bit_length())


@kernel
def _next(model_words, grams, logarithms, order, closed, word, context, length, before, now):  # type: ignore[no-untyped-def]
    """The logarithm of a word's probability behind ``context`` int64[K], its last ``length``; moves the context on.

    ``before`` float32[K] are backoffs of the context by its length; ``now`` is where the next ones are put.
    """
    found, matched = model_words[word, 0], 1
    now[:] = 0
    if order > 1:
        now[1] = model_words[word, 1]
    key = extended(_START, word)
    for size in range(2, min(order, length + 1) + 1):
        key = extended(key, context[length - size + 1])
        slot = gram_slot_of(grams, key if key != 0 else np.uint64(1))
        if grams[slot, 0] != 0:
            found, matched = logarithms[slot, 2], size
            if size < order:
                now[size] = logarithms[slot, 3]
        elif closed:
            break
    total = np.float64(found)
    for size in range(matched, min(order - 1, length) + 1):
        total += np.float64(before[size])
    return total


@kernel
def _score(model, logarithms, hashes, begins, offsets, log10, numbers, sentences, unknown):  # type: ignore[no-untyped-def]
    order, closed, begin, end, unk, word_keys, word_numbers, words, grams = model
    context = np.empty(order + 1, np.int64)
    before, now = np.zeros(order + 1, np.float32), np.zeros(order + 1, np.float32)
    for text in range(len(offsets) - 1):
        total, length = 0.0, 0
        for token in range(offsets[text], offsets[text + 1] + 1):
            is_behind = token == offsets[text + 1]
            if token > offsets[text] and (is_behind or begins[token]):
                total += _next(words, grams, logarithms, order, closed, end, context, length, before, now)
            if is_behind:
                break
            if begins[token]:
                sentences[text] += 1
                context[0], length = begin, min(1, order - 1)
                before[:] = 0
                if order > 1:
                    before[1] = words[begin, 1]
            slot = slot_of(word_keys, hashes[token])
            word = np.int64(word_numbers[slot]) if word_keys[slot] != 0 else unk
            unknown[text] += word == unk
            total += _next(words, grams, logarithms, order, closed, word, context, length, before, now)
            before, now = now, before
            if order > 1:
                if length == order - 1:
                    for place in range(length - 1):
                        context[place] = context[place + 1]
                    length -= 1
                context[length] = word
                length += 1
        log10[text] = total
        numbers[text] = offsets[text + 1] - offsets[text]
