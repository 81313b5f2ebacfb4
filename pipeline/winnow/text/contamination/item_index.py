"""The runs of five words that items hold, in a table that texts are looked up in.

An entry is what a document may hold: an item's question followed by one of its answers, as words. Every run of five of
its words has a 64-bit hash: for the word hashes ``w[0] .. w[4]`` (``text/words.py``), modulo 2^64::

    h = 0
    for each w: h = h * 0x9E3779B97F4A7C15 + w
    h = (h ^ (h >> 32)) * 0xD6E8FEB86659FD93
    key = (h ^ (h >> 29)) | 1

Legend: I items, E entries, W words of all entries, G different runs of five words (grams).
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.contamination.items import Items
from winnow.text.words import hash_words

GRAM = 5
"""Words of a run."""
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_BITS_A_GRAM = 16
"""Of the bitmap that answers most look-ups: of runs that no item holds, one in 16 and fewer gets past it."""


class Rule(NamedTuple):
    """How much of an item a document must hold."""

    question: float
    with_answer: float
    min_words: int
    exact_below: int


class ItemIndex(NamedTuple):
    """What texts are looked up in; arrays that nobody writes to."""

    bitmap: NDArray[np.uint64]
    """[power of two] bit ``key >> shift`` is set where a gram may have this key."""
    keys: NDArray[np.uint64]
    """[power of two] key of the gram in slot ``(key >> 1) & (slots - 1)`` or the next free one; 0 = free."""
    grams: NDArray[np.int32]
    """[as many] number of that gram."""
    places: NDArray[np.int64]
    """[G + 1] the words that begin gram g are ``words[places[g] : places[g + 1]]``."""
    words: NDArray[np.uint32]
    """[<= W] numbers of words, counted over all entries."""
    gram_at: NDArray[np.int32]
    """[W] the gram that begins with this word; -1 for the last four of an entry."""
    entry_at: NDArray[np.int32]
    """[W] the entry that a word belongs to."""
    first_word: NDArray[np.int64]
    """[E + 1] words of entry e are first_word[e] to first_word[e + 1]."""
    question_words: NDArray[np.int32]
    """[E] how many of them are the question's."""
    item: NDArray[np.int32]
    """[E] the item that an entry is of."""


class ItemWords(NamedTuple):
    """What is known of each item once its words are."""

    question: NDArray[np.int64]
    """[I] words of the question."""
    longest: NDArray[np.int64]
    """[I] words of the question and its longest answer."""
    same_as: NDArray[np.int64]
    """[I] the item before that has all its entries' words; -1 for none."""


def build_index(items: Items) -> tuple[ItemIndex, ItemWords]:
    """The index of items; each entry once, so that of equal items only the first is ever found."""
    questions = hash_words(pa.array(items.question, pa.large_string()))
    flat = [answer for answers in items.answers for answer in answers]
    answers = hash_words(pa.array(flat, pa.large_string()))
    counts = np.array([len(answers) for answers in items.answers], np.int64)
    first_answer = np.concatenate([[0], np.cumsum(counts)])
    entries = np.maximum(counts, 1)
    item = np.repeat(np.arange(len(items)), entries)
    nth = np.arange(len(item)) - np.repeat(np.cumsum(entries) - entries, entries)
    answer = np.where(counts[item] > 0, first_answer[item] + nth, -1)
    asked = np.diff(questions.offsets)[item]
    answered = np.where(answer >= 0, np.diff(answers.offsets, append=answers.offsets[-1:])[answer], 0)
    there = asked > 0  # an answer without a question is no item
    item, answer, asked, answered = item[there], answer[there], asked[there], answered[there]
    first = np.concatenate([[0], np.cumsum(asked + answered)])
    words = np.empty(int(first[-1]), np.uint64)
    _join(questions.hashes, questions.offsets, answers.hashes, answers.offsets, item, answer, first, words)
    leader = _first_of_equal(words, first, asked)
    once = leader == np.arange(len(item))
    about = _about(np.diff(questions.offsets), item, np.diff(first), item[leader], once)
    kept = np.repeat(once, np.diff(first))
    words, item, asked, lengths = words[kept], item[once], asked[once], np.diff(first)[once]
    first = np.concatenate([[0], np.cumsum(lengths)])
    return _index(words, first, asked.astype(np.int32), item.astype(np.int32)), about


def _about(
    question: NDArray[np.int64],
    item: NDArray[np.int64],
    lengths: NDArray[np.int64],
    of_leader: NDArray[np.int64],
    once: NDArray[np.bool_],
) -> ItemWords:
    """``item``, ``lengths``, item ``of_leader`` and ``once`` of every entry, the repeated ones among them."""
    longest = np.zeros(len(question), np.int64)
    np.maximum.at(longest, item, lengths)
    same_as = np.full(len(question), -1, np.int64)
    repeated = np.bincount(item[once], minlength=len(question))[item] == 0
    same_as[item[repeated][::-1]] = of_leader[repeated][::-1]  # its first entry's
    return ItemWords(question, longest, same_as)


def _index(
    words: NDArray[np.uint64], first: NDArray[np.int64], asked: NDArray[np.int32], item: NDArray[np.int32]
) -> ItemIndex:
    total = int(np.maximum(np.diff(first) - GRAM + 1, 0).sum())
    begin, keys = np.empty(total, np.uint32), np.empty(total, np.uint64)
    _runs(words, first, begin, keys)
    order = np.argsort(keys, kind="stable")  # a million items are a gigabyte: no more copies than it takes
    begin, keys = begin[order], keys[order]
    del order
    is_first = np.ones(total, bool)
    is_first[1:] = keys[1:] != keys[:-1]
    different = keys[is_first]
    del keys
    gram_at = np.full(len(words), -1, np.int32)
    gram_at[begin] = np.cumsum(is_first, dtype=np.int32) - 1
    places = np.append(np.flatnonzero(is_first), total)
    entry_at = np.repeat(np.arange(len(item), dtype=np.int32), np.diff(first))
    slots = _power_of_two(len(different) * 3 // 2)
    table, grams = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    bitmap = np.zeros(_power_of_two(len(different) * _BITS_A_GRAM) >> 6, np.uint64)
    _insert(different, bitmap, table, grams)
    made = ItemIndex(bitmap, table, grams, places, begin, gram_at, entry_at, first, asked, item)
    for array in made:
        array.flags.writeable = False  # as mapped ones are: kernels are compiled once
    return made


def least_words(index: ItemIndex, rule: Rule) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Words that must be covered of each entry's question, and of the whole entry: int32[E] both; 0 is not tested."""
    words = np.diff(index.first_word).astype(np.int32)
    asked = index.question_words
    question = np.where(asked >= rule.min_words, _least(asked, rule.question, rule.exact_below), 0)
    whole = (words > asked) & (words >= rule.min_words)
    return question, np.where(whole, _least(words, rule.with_answer, rule.exact_below), 0)


def least_of(words: int, share: float, exact_below: int) -> int:
    """Words that must be covered of so many."""
    return int(_least(np.array([words], np.int32), share, exact_below)[0])


def _least(words: NDArray[np.int32], share: float, exact_below: int) -> NDArray[np.int32]:
    least = np.ceil(words * share - 1e-9).astype(np.int32)  # 0.7 * 10 is a little over 7
    return np.where(words < exact_below, words, np.maximum(least, 1)).astype(np.int32)


def bit_shift(index: ItemIndex) -> np.uint64:
    """By how much a key is shifted to be a bit of the bitmap."""
    return np.uint64(64 - (len(index.bitmap).bit_length() - 1 + 6))


def _power_of_two(least: int) -> int:
    return 1 << max(6, (least - 1).bit_length())


def _first_of_equal(words: NDArray[np.uint64], first: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[E]: the first entry that has the same words, and as many of them in its question."""
    sums = np.empty((len(asked), 2), np.uint64)
    _sum_entries(words, first, sums)
    order = np.lexsort((np.arange(len(asked)), asked, sums[:, 1], sums[:, 0]))
    same = np.zeros(len(asked), bool)
    ordered, lengths = sums[order], asked[order]
    same[1:] = (ordered[1:] == ordered[:-1]).all(axis=1) & (lengths[1:] == lengths[:-1])
    begins = np.maximum.accumulate(np.where(same, 0, np.arange(len(asked))))
    leader = np.empty(len(asked), np.int64)
    leader[order] = order[begins]
    return leader


@kernel
def _sum_entries(words: Any, first: Any, sums: Any) -> None:
    """Two 64-bit hashes of the words of each entry."""
    for entry in range(len(first) - 1):
        low, high = np.uint64(first[entry + 1] - first[entry]), np.uint64(1)
        for i in range(first[entry], first[entry + 1]):
            low = (low ^ words[i]) * _MIX
            low ^= low >> np.uint64(32)
            high = high * _STEP + words[i]
        sums[entry, 0], sums[entry, 1] = low, high


@kernel
def _join(
    questions: Any, question_at: Any, answers: Any, answer_at: Any, item: Any, answer: Any, first: Any, words: Any
) -> None:
    """The words of each entry's question, and behind them those of its answer."""
    for entry in range(len(item)):
        at = first[entry]
        for i in range(question_at[item[entry]], question_at[item[entry] + 1]):
            words[at] = questions[i]
            at += 1
        if answer[entry] >= 0:
            for i in range(answer_at[answer[entry]], answer_at[answer[entry] + 1]):
                words[at] = answers[i]
                at += 1


@inline_kernel
def gram_key(words: Any, begin: Any) -> Any:
    """The key of the run of five words from ``begin`` on; never 0."""
    key = words[begin]
    for k in range(1, GRAM):
        key = key * _STEP + words[begin + k]
    key = (key ^ (key >> np.uint64(32))) * _MIX
    return (key ^ (key >> np.uint64(29))) | np.uint64(1)


@kernel
def _runs(words: Any, first: Any, begin: Any, keys: Any) -> None:
    """Every run of five words of every entry: the word that begins it, and its key."""
    at = 0
    for entry in range(len(first) - 1):
        for i in range(first[entry], first[entry + 1] - GRAM + 1):
            keys[at] = gram_key(words, i)
            begin[at] = i
            at += 1


@kernel
def _insert(keys: Any, bitmap: Any, table: Any, grams: Any) -> None:
    mask = len(table) - 1
    bits = len(bitmap) * 64
    shift = np.uint64(64)
    while bits > 1:
        bits >>= 1
        shift -= np.uint64(1)
    for gram in range(len(keys)):
        key = keys[gram]
        bit = key >> shift
        bitmap[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
        slot = np.int64(key >> np.uint64(1)) & mask
        while table[slot] != 0:
            slot = (slot + 1) & mask
        table[slot] = key
        grams[slot] = gram
