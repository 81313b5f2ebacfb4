"""How much of an item a text holds close together: exact, and only for items that may reach what they need.

An entry's words are covered by the runs of five that the text holds inside a window of twice the entry's words and 50
more. A stretch of the text ends where nothing more of the entry is added within the window; then the search goes on
behind it, so that every place is found.

Legend: H hits of a text, E entries, G grams, P found places.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.contamination.item_index import GRAM, ItemIndex, Rule, least_words
from winnow.text.contamination.probe import Hits

MOST_PLACES = 1000
"""Of a text that are listed; where more are found, the text is a list of items, and its other places are left out."""
_WIDER, _MORE = 2, 50
_ROWS = 1 << 16
QUESTION, WITH_ANSWER = 0, 1


class Places(NamedTuple):
    """Where texts hold items: text by text, entry by entry, in the order of the text."""

    text: NDArray[np.int64]
    """[P]."""
    entry: NDArray[np.int32]
    """[P]."""
    by: NDArray[np.int32]
    """[P] QUESTION or WITH_ANSWER."""
    covered: NDArray[np.int32]
    """[P] words of these that the text holds there."""
    words: NDArray[np.int32]
    """[P] of how many."""
    begin: NDArray[np.uint32]
    """[P] first byte in the text."""
    end: NDArray[np.uint32]
    """[P]."""
    cut_short: NDArray[np.bool_]
    """[N] texts of which not all places are listed."""


class Coverage:
    """The search, with what it needs of memory; for one index and rule."""

    def __init__(self, index: ItemIndex, rule: Rule) -> None:
        self._index = index
        self._least = least_words(index, rule)
        least = np.stack([np.where(column > 0, column, np.iinfo(np.int32).max) for column in self._least])
        self._least_grams = -(-least.min(axis=0) // GRAM) if len(index.item) else np.empty(0, np.int32)
        self._met = np.zeros(len(index.places) - 1, np.int64)  # the text, counted from 1, that held a gram last
        self._seen = np.zeros(len(index.item), np.int64)
        self._count = np.zeros(len(index.item), np.int32)
        self._texts = np.zeros(1, np.int64)

    def __call__(self, hits: Hits) -> Places:
        """Every place of every text."""
        texts = len(hits.offsets) - 1
        rows = [np.empty((0, 7), np.int64)]
        cut_short = np.zeros(texts, bool)
        text = 0
        while text < texts:
            found = np.empty((_ROWS, 7), np.int64)
            text, number = _cover(
                text, hits.offsets, hits.gram, hits.word, hits.begin, hits.end,
                self._index.places, self._index.words, self._index.gram_at, self._index.entry_at,
                self._index.first_word, self._index.question_words, *self._least, self._least_grams,
                self._met, self._seen, self._count, self._texts, found, cut_short,
            )  # fmt: skip
            rows.append(found[:number])
        table = np.concatenate(rows)
        return Places(
            table[:, 0],
            table[:, 1].astype(np.int32),
            table[:, 2].astype(np.int32),
            table[:, 3].astype(np.int32),
            table[:, 4].astype(np.int32),
            table[:, 5].astype(np.uint32),
            table[:, 6].astype(np.uint32),
            cut_short,
        )


@kernel
def _cover(
    text: int,
    offsets: Any,
    gram: Any,
    word: Any,
    begin: Any,
    end: Any,
    places: Any,
    words: Any,
    gram_at: Any,
    entry_at: Any,
    first_word: Any,
    question_words: Any,
    least_question: Any,
    least_whole: Any,
    least_grams: Any,
    met: Any,
    seen: Any,
    count: Any,
    texts: Any,
    found: Any,
    cut_short: Any,
) -> tuple[int, int]:
    """The next text to look at, and the number of rows found: the buffer has room for one text's at least."""
    rows = 0
    candidates = np.empty(len(seen), np.int64)
    while text < len(offsets) - 1 and rows + MOST_PLACES <= len(found):
        first, last = offsets[text], offsets[text + 1]
        texts[0] += 1
        this = texts[0]
        number = 0
        for hit in range(first, last):
            g = gram[hit]
            if met[g] == this:
                continue
            met[g] = this
            for place in range(places[g], places[g + 1]):
                entry = entry_at[words[place]]
                if seen[entry] != this:
                    seen[entry] = this
                    count[entry] = 0
                count[entry] += 1
                if count[entry] == least_grams[entry]:
                    candidates[number] = entry
                    number += 1
        if number:
            by_gram = np.empty(last - first, np.int64)  # gram, then hit
            for k in range(last - first):
                by_gram[k] = np.int64(gram[first + k]) << 32 | k
            by_gram.sort()
            chosen = candidates[:number]
            chosen.sort()
            most = rows + MOST_PLACES
            for entry in chosen:
                size = first_word[entry + 1] - first_word[entry]
                asked = np.int64(question_words[entry])
                question = 0 < least_question[entry] <= _covered(entry, asked, met, this, gram_at, first_word)
                whole = 0 < least_whole[entry] <= _covered(entry, size, met, this, gram_at, first_word)
                if not (question or whole):
                    continue
                events = _events(entry, by_gram, met, this, gram_at, first_word)
                for by in range(2):
                    wanted = whole if by == WITH_ANSWER else question
                    if wanted:
                        least = least_whole[entry] if by == WITH_ANSWER else least_question[entry]
                        length = size if by == WITH_ANSWER else asked
                        rows = _stretches(
                            events, length, least, text, entry, by, first, word, begin, end, found, rows, most
                        )
                if rows == most:
                    cut_short[text] = True
                    break
        text += 1
    return text, rows


@kernel
def _covered(entry: Any, length: Any, met: Any, this: int, gram_at: Any, first_word: Any) -> int:
    """Words, of the first ``length`` of an entry, that the text covers anywhere: no window covers more."""
    covered = 0
    until: Any = np.int64(0)
    for w in range(length - GRAM + 1):
        g = gram_at[first_word[entry] + w]
        if g >= 0 and met[g] == this:
            covered += w + GRAM - max(until, w)
            until = w + GRAM
    return covered


@kernel
def _events(entry: Any, by_gram: Any, met: Any, this: int, gram_at: Any, first_word: Any) -> Any:
    """Hits of the text's (upper 32 bits) with the word of the entry that they begin with (lower 32), in order."""
    begin, end = first_word[entry], first_word[entry + 1]
    number = 0
    for w in range(begin, end):
        g = gram_at[w]
        if g >= 0 and met[g] == this:
            number += _first_of(by_gram, np.int64(g + 1)) - _first_of(by_gram, np.int64(g))
    events = np.empty(number, np.int64)
    at = 0
    for w in range(begin, end):
        g = gram_at[w]
        if g >= 0 and met[g] == this:
            for k in range(_first_of(by_gram, np.int64(g)), _first_of(by_gram, np.int64(g + 1))):
                events[at] = (by_gram[k] & 0xFFFFFFFF) << 32 | (w - begin)
                at += 1
    events.sort()
    return events


@kernel
def _first_of(by_gram: Any, gram: Any) -> int:
    """The first place of this gram or a larger one."""
    low, high = 0, len(by_gram)
    while low < high:
        middle = (low + high) >> 1
        if by_gram[middle] >> 32 < gram:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _stretches(
    events: Any,
    length: Any,
    least: int,
    text: int,
    entry: Any,
    by: int,
    first: int,
    word: Any,
    begin: Any,
    end: Any,
    found: Any,
    rows: int,
    most: int,
) -> int:
    """Add the places of one entry, of which ``length`` words count; returns the number of rows."""
    window = _WIDER * length + _MORE
    counts = np.zeros(length, np.int32)
    covered = 0
    left = 0
    right = 0
    while right < len(events) and rows < most:
        covered += _change(counts, events[right] & 0xFFFFFFFF, 1, length)
        at = word[first + (events[right] >> 32)]
        while at + GRAM - word[first + (events[left] >> 32)] > window:
            covered -= _change(counts, events[left] & 0xFFFFFFFF, -1, length)
            left += 1
        right += 1
        if covered < least:
            continue
        stop = right  # of the last event that added something, within the window
        best = covered
        while (
            right < len(events)
            and word[first + (events[right] >> 32)] + GRAM - word[first + (events[left] >> 32)] <= window
        ):
            covered += _change(counts, events[right] & 0xFFFFFFFF, 1, length)
            right += 1
            if covered > best:
                best, stop = covered, right
        while right > stop:
            right -= 1
            _change(counts, events[right] & 0xFFFFFFFF, -1, length)
        while _is_spare(counts, events[left] & 0xFFFFFFFF, length):
            _change(counts, events[left] & 0xFFFFFFFF, -1, length)
            left += 1
        place = first + (events[left] >> 32)
        final = first + (events[stop - 1] >> 32)
        found[rows, 0], found[rows, 1], found[rows, 2] = text, entry, by
        found[rows, 3], found[rows, 4] = best, length
        found[rows, 5], found[rows, 6] = begin[place], end[final]
        rows += 1
        counts[:] = 0
        covered = 0
        behind = word[final] + GRAM
        while right < len(events) and word[first + (events[right] >> 32)] < behind:
            right += 1
        left = right
    return rows


@kernel
def _change(counts: Any, position: int, by: int, length: int) -> int:
    """Count the five words of an event in or out; returns by how many the covered words change, if they count."""
    changed = 0
    if position + GRAM <= length:
        for k in range(position, position + GRAM):
            before = counts[k]
            counts[k] = before + by
            changed += (before == 0) if by > 0 else (before == 1)
    return changed


@kernel
def _is_spare(counts: Any, position: int, length: int) -> bool:
    """Whether an event's words are all covered without it."""
    if position + GRAM <= length:
        for k in range(position, position + GRAM):
            if counts[k] == 1:
                return False
    return True
