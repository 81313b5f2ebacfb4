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
def _lengthen_known(grams: Any, places: Any, firsts: Any, later: Any, chosen: Any) -> Any:
    """The same where it is known where each n-gram stands first, which is true of longer ones that go on alike.

    Returns how many are left, and of how many, listed in ``chosen``, it must be found out.
    """
    left: Any = 0
    unlike: Any = 0
    for k in range(len(grams) - 1):
        place, first = places[k], firsts[k]
        grams[left], places[left], firsts[left] = grams[k] * _STEP + later[place], place, first
        goes_on = places[k + 1] == place + np.uint32(1)
        chosen[unlike] = left
        unlike += goes_on & (later[place] != later[first])
        left += goes_on
    return left, unlike


@kernel
def _find_firsts(grams: Any, places: Any, chosen: Any, firsts: Any, room: Any) -> None:
    """Where each of the chosen n-grams stands first among them."""
    parts, slots = _parts_and_slots(len(chosen), len(chosen))
    keys, where = room[0][:slots], room[1][:slots]
    mask = np.uint64(slots - 1)
    for part in range(parts):
        keys[:] = 0
        used = 0
        for k in chosen:
            key = grams[k] if grams[k] != 0 else np.uint64(1)
            spread = key * _SPREAD
            if parts > 1 and _part_of(spread, parts) != part:
                continue
            slot = (spread >> np.uint64(20)) & mask
            while keys[slot] != 0 and keys[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            if keys[slot] == 0:
                if used + 1 == slots:  # cannot happen but for a text built against this hash
                    firsts[k] = places[k]
                    continue
                used += 1
                keys[slot], where[slot] = key, places[k]
            firsts[k] = where[slot]


@kernel
def _parts_and_slots(counted: int, positions: int) -> tuple[int, int]:
    """In how many turns n-grams are counted exactly, so that a table stays small, and how large it is."""
    parts = counted // max(_LARGEST_TABLE, positions // 8) + 1
    slots = 64
    while slots < 2 * (counted // parts + 1):
        slots *= 2
    return parts, slots


@kernel
def _part_of(spread: Any, parts: int) -> Any:
    """In which turn an n-gram is counted."""
    return np.int64((spread & np.uint64(0xFFFF)) * np.uint64(parts) >> np.uint64(16))


@kernel
def _duplicate_characters(places: Any, firsts: Any, before: Any, n: int, met: Any) -> Any:
    """Walk over the n-grams that may occur twice: characters of those met before.

    ``before`` are the characters before each token; ``met`` holds, by first place, the n at which one was met last.
    """
    total: Any = 0
    k: Any = 0
    while k < len(places):
        if met[firsts[k]] != n:
            met[firsts[k]] = n
            k += 1
            continue
        place = np.int64(places[k])
        total += before[place + n] - before[place]
        if k + n < len(places) and places[k + n] == place + n:  # amid a long repetition
            k += n
            continue
        k += 1
        while k < len(places) and places[k] < place + n:
            k += 1
    return total


@kernel
def _top_gram(grams: Any, counts: Any, most: Any, chosen: Any, room: Any) -> tuple[int, int]:
    """The most frequent n-gram, of equally frequent ones the first: where it stands in ``grams``, and how often.

    ``counts`` are those of the sketch, ``most`` the highest; 0, 1 where nothing occurs twice.
    """
    at_least: Any = np.int64(max(2, most - most // 4))
    while len(grams):
        found, occurrences = _exact_top(grams, counts, at_least, chosen, room)
        if occurrences >= at_least:
            return found, occurrences
        if at_least == 2:
            break
        at_least = np.int64(max(2, occurrences))  # of one type, or what is called is compiled twice
    return 0, 1


@kernel
def _exact_top(grams: Any, counts: Any, at_least: int, chosen: Any, room: Any) -> tuple[int, int]:
    """The most frequent among the n-grams whose slot of the sketch reached ``at_least``.

    ``chosen`` and ``room`` are scratch: as many numbers as n-grams; hashes, first positions and occurrences of a table.
    """
    positions = len(grams)
    mask = np.uint64(len(counts) - 1)
    candidates: Any = 0
    for i in range(positions):  # without a branch that nobody can predict
        chosen[candidates] = i
        candidates += counts[(grams[i] >> np.uint64(32)) & mask] >= at_least
    parts, slots = _parts_and_slots(candidates, positions)
    keys, where, times = room[0][:slots], room[1][:slots], room[2][:slots]
    table_mask = np.uint64(slots - 1)
    best: Any = np.uint32(0)
    best_position: Any = np.uint32(0)
    for part in range(parts):  # of the n-grams, so that the table is bounded
        keys[:] = 0
        used = 0
        for i in chosen[:candidates]:
            value = grams[i]
            spread = value * _SPREAD
            if parts > 1 and _part_of(spread, parts) != part:
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
def _repetition(all_hashes: Any, offsets: Any, all_lengths: Any, out: Any) -> None:
    most_tokens = 0
    for document in range(len(offsets) - 1):
        most_tokens = max(most_tokens, offsets[document + 1] - offsets[document])
    slots = 64
    while slots < 2 * (min(most_tokens, max(_LARGEST_TABLE, most_tokens // 8)) + 1):
        slots *= 2
    # of these only what a document needs is touched
    sketch, met = np.empty(_LARGEST_SKETCH, np.uint8), np.empty(most_tokens, np.uint8)
    room = (np.empty(slots, np.uint64), np.empty(slots, np.uint32), np.empty(slots, np.uint32))
    grams, before = np.empty(most_tokens, np.uint64), np.zeros(most_tokens + 1, np.int64)
    places, firsts, chosen = (
        np.empty(most_tokens, np.uint32), np.empty(most_tokens, np.uint32), np.empty(most_tokens, np.uint32)
    )  # fmt: skip
    for document in range(len(offsets) - 1):
        hashes = all_hashes[offsets[document] : offsets[document + 1]]
        lengths = all_lengths[offsets[document] : offsets[document + 1]]
        tokens = len(hashes)
        for token in range(tokens - 1):
            grams[token], places[token] = hashes[token] * _STEP + hashes[token + 1], token
        number: Any = max(0, tokens - 1)
        for n in range(2, min(10, tokens) + 1):
            later = hashes[n - 1 :]
            if n > 5:
                number, unlike = _lengthen_known(grams[:number], places, firsts, later, chosen)
                _find_firsts(grams, places, chosen[:unlike], firsts, room)
            else:
                if n > 2:
                    number = _lengthen(grams[:number], places, later)
                counts, most = _sketch(grams[:number], sketch)
                number = _keep_repeated(grams[:number], places, counts) if most > 1 else 0
            if n < 5:
                found, occurrences = _top_gram(grams[:number], counts, most, chosen, room)
                place: Any = np.int64(places[found]) if occurrences > 1 else 0
                length: Any = n - 1
                for k in range(place, place + n):
                    length += np.int64(lengths[k])
                out[n - 2, document] = min(length * occurrences, 0xFFFFFFFF)
                continue
            if number == 0:
                break
            if n == 5:
                met[:tokens] = 0
                for token in range(tokens):
                    before[token + 1] = before[token] + np.int64(lengths[token])
                for k in range(number):
                    chosen[k] = k
                _find_firsts(grams, places, chosen[:number], firsts, room)
            characters = _duplicate_characters(places[:number], firsts, before, n, met)
            out[n - 2, document] = min(characters, 0xFFFFFFFF)
