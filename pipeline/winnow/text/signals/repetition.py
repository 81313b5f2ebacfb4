"""Repeated n-grams of words and marks of each text (Gopher: Rae et al. 2021, table A1), from hashes of tokens alone.

Top n-gram (n = 2, 3, 4): characters of the most frequent n-gram, its tokens joined by a space, times its occurrences;
of equally frequent ones the first. Duplicated n-grams (n = 5 ... 10): a walk over the tokens; an n-gram that was met
before adds its characters (joined without a space) and is stepped over as a whole, another is noted and passed by a
token.

Most n-grams of a text occur once. So occurrences are first counted in small sketches that may only count too many
(different n-grams share a slot); only n-grams whose slot could matter are counted exactly. And an n-gram occurs at most
as often as the two of n - 1 tokens in it: from n to n, only the places are kept where both may occur twice.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel
from winnow.text.words import WordHashes

REPETITION_COUNTS = (
    *(f"top_{n}_gram_characters" for n in (2, 3, 4)),
    *(f"duplicate_{n}_gram_characters" for n in range(5, 11)),
)
"""What is counted, in the order of the rows."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_LARGEST_SKETCH = 1 << 17  # half a megabyte: stays in a core's second cache
_SPARSE_SKETCH = 1 << 11  # below, four times the slots cost less than n-grams that share one
_CHOSEN = 256  # positions looked at together
_LARGEST_TABLE = 1 << 21  # n-grams counted exactly at a time; an eighth of them where there are more


def count_repetition(tokens: WordHashes, lengths: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Count the characters of repeated n-grams.

    Args:
        tokens: of N documents.
        lengths: uint32[T] code points of each token.

    Returns:
        uint32[len(REPETITION_COUNTS), N].
    """
    out = np.zeros((len(REPETITION_COUNTS), len(tokens.offsets) - 1), np.uint32)
    _repetition(tokens.hashes, tokens.offsets, lengths, out)
    return out


@kernel
def _sketch(grams: Any, room: Any) -> tuple[Any, Any]:
    """Count n-grams by slot; the counts, at most too high, and the highest."""
    slots = 64
    while slots < 2 * len(grams) and (slots < _LARGEST_SKETCH or 8 * slots < len(grams)):
        slots *= 2
    if slots < _SPARSE_SKETCH:
        slots *= 4  # fewer share a slot
    counts = room[:slots] if slots <= len(room) else np.empty(slots, np.uint8)
    counts[:] = 0
    mask = np.uint64(slots - 1)
    most: Any = np.int64(0)
    for value in grams:
        slot = (value >> np.uint64(32)) & mask
        count: Any = min(np.int64(counts[slot]) + 1, 255)
        counts[slot] = count
        most = max(most, count)
    return counts, most


@kernel
def _keep_repeated(grams: Any, places: Any, counts: Any) -> Any:
    """Move the n-grams that may occur twice to the front; their number."""
    mask = np.uint64(len(counts) - 1)
    left: Any = 0
    for k in range(len(grams)):  # without a branch that nobody can predict
        value = grams[k]
        grams[left], places[left] = value, places[k]
        left += counts[(value >> np.uint64(32)) & mask] > 1
    return left


@kernel
def _lengthen(grams: Any, places: Any, later: Any) -> Any:
    """Make n-grams of those of n - 1 tokens that stand where the next begins a token later; their number.

    ``later`` are the tokens n - 1 further on.
    """
    left: Any = 0
    for k in range(len(grams) - 1):
        place = places[k]
        grams[left], places[left] = grams[k] * _STEP + later[place], place
        left += places[k + 1] == place + np.uint32(1)
    return left


@kernel
def _top_gram(grams: Any, counts: Any, most: Any, room: Any) -> tuple[int, int]:
    """The most frequent n-gram, of equally frequent ones the first: where it stands in ``grams``, and how often.

    ``counts`` are those of the sketch, ``most`` the highest; 0, 1 where nothing occurs twice.
    """
    at_least: Any = np.int64(max(2, most - most // 4))
    while len(grams):
        found, occurrences = _exact_top(grams, counts, at_least, room)
        if occurrences >= at_least:
            return found, occurrences
        if at_least == 2:
            break
        at_least = np.int64(max(2, occurrences))  # of one type, or what is called is compiled twice
    return 0, 1


@kernel
def _exact_top(grams: Any, counts: Any, at_least: int, room: Any) -> tuple[int, int]:
    """The most frequent among the n-grams whose slot of the sketch reached ``at_least``.

    ``room`` is scratch: hashes, occurrences and first positions of a small table; positions looked at together.
    """
    positions = len(grams)
    mask = np.uint64(len(counts) - 1)
    candidates: Any = 0
    for value in grams:
        candidates += counts[(value >> np.uint64(32)) & mask] >= at_least
    parts = candidates // max(_LARGEST_TABLE, positions // 8) + 1
    slots = 64
    while slots < 2 * (candidates // parts + 1):
        slots *= 2
    small = slots <= len(room[0])
    keys = room[0][:slots] if small else np.empty(slots, np.uint64)
    times = room[1][:slots] if small else np.empty(slots, np.uint32)
    where = room[2][:slots] if small else np.empty(slots, np.uint32)
    table_mask = np.uint64(slots - 1)
    chosen = room[3]
    best: Any = np.uint32(0)
    best_position: Any = np.uint32(0)
    for part in range(parts):  # of the n-grams, so that the table is bounded
        keys[:] = 0
        used = 0
        for begin in range(0, positions, _CHOSEN):
            number = 0
            for i in range(begin, min(begin + _CHOSEN, positions)):  # without a branch that nobody can predict
                chosen[number] = i
                number += counts[(grams[i] >> np.uint64(32)) & mask] >= at_least
            for k in range(number):
                i = chosen[k]
                value = grams[i]
                spread = value * _SPREAD
                if parts > 1 and np.int64((spread & np.uint64(0xFFFF)) * np.uint64(parts) >> np.uint64(16)) != part:
                    continue
                key = value if value != 0 else np.uint64(1)
                slot = (spread >> np.uint64(20)) & table_mask
                while keys[slot] != 0 and keys[slot] != key:
                    slot = (slot + np.uint64(1)) & table_mask
                if keys[slot] == 0:
                    if used + 1 == slots:
                        continue  # cannot happen but for a text built against this hash
                    used += 1
                    keys[slot] = key
                    times[slot] = 0
                    where[slot] = i
                occurrences = times[slot] + np.uint32(1)
                times[slot] = occurrences
                if occurrences > best or (occurrences == best and where[slot] < best_position):
                    best, best_position = occurrences, where[slot]
    return int(best_position), int(best)


@kernel
def _duplicate_characters(grams: Any, places: Any, lengths: Any, n: int, room: Any) -> int:
    """Walk over the n-grams that may occur twice: characters of those met before."""
    slots = 64
    while slots < len(places) and slots < len(room):
        slots *= 2
    keys = room[:slots]
    keys[:] = 0
    used = 0
    total: Any = 0
    k: Any = 0
    while k < len(places):
        value = grams[k]
        key = value if value != 0 else np.uint64(1)
        slot = np.int64((key * _SPREAD) >> np.uint64(32)) & (slots - 1)
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + 1) & (slots - 1)
        if keys[slot] != 0:
            place = np.int64(places[k])
            for token in range(place, place + n):
                total += np.int64(lengths[token])
            if k + n < len(places) and places[k + n] == place + n:  # amid a long repetition
                k += n
                continue
            k += 1
            while k < len(places) and places[k] < place + n:
                k += 1
            continue
        k += 1
        keys[slot] = key
        used += 1
        if 3 * used >= 2 * slots:
            keys = _grown(keys)
            slots = len(keys)
    return int(total)


@kernel
def _grown(keys: Any) -> Any:
    """The same set with twice the room."""
    mask = 2 * len(keys) - 1
    larger = np.zeros(mask + 1, np.uint64)
    for key in keys:
        if key != 0:
            slot = np.int64((key * _SPREAD) >> np.uint64(32)) & mask
            while larger[slot] != 0:
                slot = (slot + 1) & mask
            larger[slot] = key
    return larger


@kernel
def _repetition(hashes: Any, offsets: Any, lengths: Any, out: Any) -> None:
    sketch = np.empty(_LARGEST_SKETCH, np.uint8)
    keys, times, where = np.empty(1 << 12, np.uint64), np.empty(1 << 12, np.uint32), np.empty(1 << 12, np.uint32)
    table = (keys, times, where, np.empty(_CHOSEN, np.uint32))
    room = np.empty(1 << 15, np.uint64)
    small_grams, small_places = np.empty(1 << 16, np.uint64), np.empty(1 << 16, np.uint32)
    for document in range(len(offsets) - 1):
        first, last = offsets[document], offsets[document + 1]
        tokens = last - first
        fits = tokens <= len(small_grams)
        grams = small_grams[:tokens] if fits else np.empty(tokens, np.uint64)
        places = small_places[:tokens] if fits else np.empty(tokens, np.uint32)
        for token in range(tokens):
            grams[token], places[token] = hashes[first + token], token
        number = tokens
        for n in range(2, 11):
            if tokens < n:
                break
            number = _lengthen(grams[:number], places[:number], hashes[first + n - 1 : last])
            if n <= 5:
                counts, most = _sketch(grams[:number], sketch)
                number = _keep_repeated(grams[:number], places[:number], counts) if most > 1 else 0
            if n >= 5:
                characters = _duplicate_characters(grams[:number], places[:number], lengths[first:last], n, room)
                out[n - 2, document] = min(characters, 0xFFFFFFFF)
                continue
            found, occurrences = _top_gram(grams[:number], counts, most, table)
            place: Any = np.int64(places[found]) if occurrences > 1 else 0
            length: Any = n - 1
            for k in range(place, place + n):
                length += np.int64(lengths[first + k])
            out[n - 2, document] = min(length * occurrences, 0xFFFFFFFF)
