"""Repeated n-grams of words and marks of each text (Gopher: Rae et al. 2021, table A1), from hashes of tokens alone.

Top n-gram (n = 2, 3, 4): characters of the most frequent n-gram, its tokens joined by a space, times its occurrences;
of equally frequent ones the first. Duplicated n-grams (n = 5 ... 10): a walk over the tokens; an n-gram that was met
before adds its characters (joined without a space) and is stepped over as a whole, another is noted and passed by a
token.

Most n-grams of a text occur once. So occurrences are first counted in small sketches that may only count too many
(different n-grams share a slot); only n-grams whose slot could matter are counted exactly.
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
def _top_gram(grams: Any, later: Any, sketch: Any, room: Any) -> tuple[int, int]:
    """The most frequent n-gram: its first position and its occurrences.

    ``grams`` holds the hashes of n - 1 words and gets those of n; ``later`` are the words n - 1 further on.
    """
    positions = len(later)
    slots = 64
    while slots < 2 * positions and (slots < _LARGEST_SKETCH or 8 * slots < positions):
        slots *= 2
    if slots < _SPARSE_SKETCH:
        slots *= 4  # fewer share a slot
    counts = sketch[:slots] if slots <= len(sketch) else np.empty(slots, np.uint32)
    counts[:] = 0
    mask = np.uint64(slots - 1)
    most: Any = np.uint32(0)
    for i in range(positions):
        value = grams[i] * _STEP + later[i]
        grams[i] = value
        slot = (value >> np.uint64(32)) & mask
        count = counts[slot] + np.uint32(1)
        counts[slot] = count
        most = max(most, count)
    if most == 1:
        return 0, 1
    at_least: Any = np.int64(max(2, most - most // 4))
    while True:
        found, occurrences = _exact_top(grams, positions, counts, at_least, room)
        if occurrences >= at_least:
            return found, occurrences
        if at_least == 2:  # nothing occurs twice
            return 0, 1
        at_least = max(2, occurrences)


@kernel
def _exact_top(grams: Any, positions: int, counts: Any, at_least: int, room: Any) -> tuple[int, int]:
    """The most frequent among the n-grams whose slot of the sketch reached ``at_least``.

    ``room`` is scratch: hashes, occurrences and first positions of a small table; positions looked at together.
    """
    mask = np.uint64(len(counts) - 1)
    least = np.uint32(at_least)
    candidates: Any = 0
    for count in counts:
        candidates += count if count >= least else np.uint32(0)
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
                number += counts[(grams[i] >> np.uint64(32)) & mask] >= least
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
def _repeated_positions(grams: Any, later: Any, room: Any, ahead: Any) -> Any:
    """Fill ``ahead``: how many 5-grams in a row from here may all occur twice (0 to 6); returns how many are not 0.

    ``grams`` holds the hashes of 4 words and gets those of 5; ``later`` are the words 4 further on.
    """
    positions = len(later)
    mask = 1024 - 1
    while mask < 8 * positions:
        mask = 2 * mask + 1
    size = (mask + 1) // 32  # a bit for once, a bit for twice
    bits = room[:size] if size <= len(room) else np.empty(size, np.uint64)
    bits[:] = 0
    unsigned_mask = np.uint64(mask)
    for i in range(positions):
        value = grams[i] * _STEP + later[i]
        grams[i] = value
        slot = (value >> np.uint64(32)) & unsigned_mask
        bit = np.uint64(1) << (np.uint64(2) * (slot & np.uint64(31)))
        word = bits[slot >> np.uint64(5)]
        bits[slot >> np.uint64(5)] = word | bit | ((word & bit) << np.uint64(1))
    repeated: Any = 0
    run: Any = 0
    for i in range(positions - 1, -1, -1):
        slot = (grams[i] >> np.uint64(32)) & unsigned_mask
        twice = np.int64(
            (bits[slot >> np.uint64(5)] >> (np.uint64(2) * (slot & np.uint64(31)) + np.uint64(1))) & np.uint64(1)
        )
        run = min(run + 1, 6) * twice
        ahead[i] = run
        repeated += twice
    return repeated


@kernel
def _duplicate_characters(
    grams: Any, later: Any, lengths: Any, n: int, candidates: Any, ahead: Any, room: Any
) -> tuple[int, int]:
    """Walk over the n-grams that may occur twice: their characters, and how many candidates are left.

    ``grams`` holds the hashes of n - 1 words (n = 5: of 5) at the candidates and gets those of n; candidates that
    cannot begin a longer repetition are dropped from the list.
    """
    slots = 64
    while slots < len(candidates) and slots < len(room):
        slots *= 2
    keys = room[:slots]
    keys[:] = 0
    used = 0
    total: Any = 0
    free = 0
    left = 0
    for i in candidates:
        if ahead[i] < n - 4:
            continue
        candidates[left] = i
        left += 1
        value = grams[i]
        if n > 5:
            value = value * _STEP + later[i]
            grams[i] = value
        if i < free:
            continue
        key = value if value != 0 else np.uint64(1)
        slot = np.int64((key * _SPREAD) >> np.uint64(32)) & (slots - 1)
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + 1) & (slots - 1)
        if keys[slot] != 0:
            for k in range(i, i + n):
                total += np.int64(lengths[k])
            free = i + n
            continue
        keys[slot] = key
        used += 1
        if 3 * used >= 2 * slots:
            keys = _grown(keys)
            slots = len(keys)
    return total, left


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
    sketch = np.empty(_LARGEST_SKETCH, np.uint32)
    keys, times, where = np.empty(1 << 12, np.uint64), np.empty(1 << 12, np.uint32), np.empty(1 << 12, np.uint32)
    table = (keys, times, where, np.empty(_CHOSEN, np.uint32))
    room = np.empty(1 << 15, np.uint64)
    small_grams = np.empty(1 << 16, np.uint64)
    small_ahead = np.empty(1 << 16, np.uint8)
    for document in range(len(offsets) - 1):
        first, last = offsets[document], offsets[document + 1]
        words = last - first
        fits = words <= len(small_grams)
        grams = small_grams[:words] if fits else np.empty(words, np.uint64)
        grams[:] = hashes[first:last]
        for n in range(2, 5):
            positions = words - n + 1
            if positions <= 0:
                break
            position, occurrences = _top_gram(grams, hashes[first + n - 1 : last], sketch, table)
            length: Any = n - 1
            for k in range(n):
                length += np.int64(lengths[first + position + k])
            out[n - 2, document] = min(length * occurrences, 0xFFFFFFFF)
        positions = words - 4
        if positions < 2:
            continue
        ahead = small_ahead[:positions] if fits else np.empty(positions, np.uint8)
        repeated = _repeated_positions(grams, hashes[first + 4 : last], room, ahead)
        if repeated == 0:
            continue
        candidates = np.empty(repeated, np.uint32)
        number = 0
        for i in range(positions):
            if ahead[i]:
                candidates[number] = i
                number += 1
        for n in range(5, 11):
            if number == 0:
                break
            total, number = _duplicate_characters(
                grams, hashes[first + n - 1 : last], lengths[first:last], n, candidates[:number], ahead, room
            )
            out[n - 2, document] = min(total, 0xFFFFFFFF)
