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

from winnow.numeric.bits import pointer_behind
from winnow.numeric.jit import kernel
from winnow.text.signals.room import LARGEST_TABLE, sketch_slots

REPETITION_COUNTS = (
    *(f"top_{n}_gram_characters" for n in (2, 3, 4)),
    *(f"duplicate_{n}_gram_characters" for n in range(5, 11)),
)
"""What is counted, in the order of the rows."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_HIGHEST = np.int64(0xFFFFFFFF)


@kernel
def _sketch(grams: Any, number: int, counts: Any) -> tuple[int, int]:
    """Count n-grams by slot: how many slots there are, and the highest count. Counts are at most too high."""
    slots = sketch_slots(number)
    for slot in range(slots):
        counts[slot] = 0
    mask = np.uint64(slots - 1)
    for k in range(number):
        at = (grams[k] >> np.uint64(32)) & mask
        count = counts[at]
        counts[at] = count + (count < 255)
    most = np.uint8(0)
    for slot in range(slots):
        most = max(most, counts[slot])
    return slots, np.int64(most)  # type: ignore[return-value]


@kernel
def _keep_repeated(grams: Any, places: Any, number: int, counts: Any, slots: int) -> int:
    """Move the n-grams that may occur twice to the front; their number."""
    mask = np.uint64(slots - 1)
    left = 0
    for k in range(number):  # without a branch that nobody can predict
        value = grams[k]
        grams[left], places[left] = value, places[k]
        left += counts[(value >> np.uint64(32)) & mask] > 1
    return left


@kernel
def _lengthen(grams: Any, places: Any, number: int, later: Any) -> int:
    """Make n-grams of those of n - 1 tokens that stand where the next begins a token later; their number.

    ``later`` are the tokens n - 1 further on.
    """
    left = 0
    for k in range(number - 1):
        place = places[k]
        grams[left], places[left] = grams[k] * _STEP + later[place], place
        left += places[k + 1] == place + np.uint32(1)
    return left


@kernel
def _lengthen_known(grams: Any, places: Any, number: int, firsts: Any, later: Any, chosen: Any) -> tuple[int, int]:
    """The same where it is known where each n-gram stands first, which is true of longer ones that go on alike.

    Returns how many are left, and of how many, listed in ``chosen``, it must be found out.
    """
    left = 0
    unlike = 0
    for k in range(number - 1):
        place, first = places[k], firsts[k]
        grams[left], places[left], firsts[left] = grams[k] * _STEP + later[place], place, first
        goes_on = places[k + 1] == place + np.uint32(1)
        chosen[unlike] = left
        unlike += goes_on & (later[place] != later[first])
        left += goes_on
    return left, unlike


@kernel
def _find_firsts(grams: Any, places: Any, chosen: Any, number: int, firsts: Any, keys: Any, where: Any) -> None:
    """Where each of the chosen n-grams, so many, stands first among them; ``keys`` and ``where`` are scratch."""
    parts, slots = _parts_and_slots(number, number)
    mask = np.uint64(slots - 1)
    for part in range(parts):
        for slot in range(slots):
            keys[slot] = 0
        used = 0
        for i in range(number):
            k = chosen[i]
            key = grams[k] if grams[k] != 0 else np.uint64(1)
            spread = key * _SPREAD
            if parts > 1 and _part_of(spread, parts) != part:
                continue
            at = (spread >> np.uint64(20)) & mask
            while keys[at] != 0 and keys[at] != key:
                at = (at + np.uint64(1)) & mask
            if keys[at] == 0:
                if used + 1 == slots:  # cannot happen but for a text built against this hash
                    firsts[k] = places[k]
                    continue
                used += 1
                keys[at], where[at] = key, places[k]
            firsts[k] = where[at]


@kernel
def _parts_and_slots(counted: int, positions: int) -> tuple[int, int]:
    """In how many turns n-grams are counted exactly, so that a table stays small, and how large it is."""
    parts = counted // max(LARGEST_TABLE, positions // 8) + 1
    slots = 64
    while slots < 2 * (counted // parts + 1):
        slots *= 2
    return parts, slots


@kernel
def _part_of(spread: Any, parts: int) -> Any:
    """In which turn an n-gram is counted."""
    return np.int64((spread & np.uint64(0xFFFF)) * np.uint64(parts) >> np.uint64(16))


@kernel
def _duplicate_characters(places: Any, number: int, firsts: Any, before: Any, n: int, met: Any) -> int:
    """Walk over the n-grams that may occur twice: characters of those met before.

    ``before`` are the characters before each token; ``met`` holds, by first place, the n at which one was met last.
    """
    total = 0
    k = 0
    while k < number:
        if met[firsts[k]] != n:
            met[firsts[k]] = n
            k += 1
            continue
        place = np.int64(places[k])
        total += before[place + n] - before[place]
        if k + n < number and places[k + n] == place + n:  # amid a long repetition
            k += n
            continue
        k += 1
        while k < number and places[k] < place + n:
            k += 1
    return total


@kernel
def _top_gram(room: Any, number: int, slots: int, most: int) -> tuple[int, int]:
    """The most frequent n-gram, of equally frequent ones the first: where it stands in ``grams``, and how often.

    There are so many n-grams, counted in so many slots, at most ``most`` times; 0, 1 where nothing occurs twice.
    """
    at_least = max(2, most - most // 4)
    while number:
        found, occurrences = _exact_top(room, number, slots, at_least)
        if occurrences >= at_least:
            return found, occurrences
        if at_least == 2:
            break
        at_least = max(2, occurrences)
    return 0, 1


@kernel
def _exact_top(room: Any, number: int, slots: int, at_least: int) -> tuple[int, int]:
    """The most frequent among the n-grams whose slot of the sketch reached ``at_least``; 0, 0 where none did."""
    grams, counts, chosen = room.grams, room.counts, room.chosen
    keys, where, times = room.keys, room.where, room.times
    mask = np.uint64(slots - 1)
    candidates = 0
    for i in range(number):  # without a branch that nobody can predict
        chosen[candidates] = i
        candidates += counts[(grams[i] >> np.uint64(32)) & mask] >= at_least
    parts, table_slots = _parts_and_slots(candidates, number)
    table_mask = np.uint64(table_slots - 1)
    best, best_position = np.uint32(0), np.uint32(0)
    for part in range(parts):  # of the n-grams, so that the table is bounded
        for slot in range(table_slots):
            keys[slot] = 0
        used = 0
        for k in range(candidates):
            i = chosen[k]
            value = grams[i]
            spread = value * _SPREAD
            if parts > 1 and _part_of(spread, parts) != part:
                continue
            key = value if value != 0 else np.uint64(1)
            at = (spread >> np.uint64(20)) & table_mask
            while keys[at] != 0 and keys[at] != key:
                at = (at + np.uint64(1)) & table_mask
            if keys[at] == 0:
                if used + 1 == table_slots:
                    continue  # cannot happen but for a text built against this hash
                used += 1
                keys[at] = key
                times[at] = 0
                where[at] = i
            occurrences = np.uint32(times[at] + np.uint32(1))
            times[at] = occurrences
            if occurrences > best or (occurrences == best and where[at] < best_position):
                best, best_position = occurrences, where[at]
    return np.int64(best_position), np.int64(best)  # type: ignore[return-value]


@kernel
def repetition_of(hashes: Any, lengths: Any, tokens: int, room: Any, out: Any) -> None:
    """Count the characters of repeated n-grams of a document.

    Args:
        hashes: pointer to uint64[tokens].
        lengths: pointer to uint32[tokens], their code points.
        tokens: their number.
        room: pointers.
        out: uint32[len(REPETITION_COUNTS)], zeros; the counts.
    """
    grams, places, firsts, chosen, before, met = (
        room.grams, room.places, room.firsts, room.chosen, room.before, room.met
    )  # fmt: skip
    for token in range(tokens - 1):
        grams[token], places[token] = hashes[token] * _STEP + hashes[token + 1], token
    number = max(0, tokens - 1)
    for n in range(2, min(10, tokens) + 1):
        later = pointer_behind(hashes, n - 1)
        if n > 5:
            number, unlike = _lengthen_known(grams, places, number, firsts, later, chosen)
            _find_firsts(grams, places, chosen, unlike, firsts, room.keys, room.where)
        elif n > 2:
            number = _lengthen(grams, places, number, later)
        if n < 5 or (n == 5 and 8 * number < tokens):  # most of many repeated ones go on alike
            slots, most = _sketch(grams, number, room.counts)
            number = _keep_repeated(grams, places, number, room.counts, slots) if most > 1 else 0
            if n < 5:
                found, occurrences = _top_gram(room, number, slots, most)
                place: Any = np.int64(places[found]) if occurrences > 1 else 0
                length: Any = n - 1
                for k in range(place, place + n):
                    length += np.int64(lengths[k])
                out[n - 2] = min(length * occurrences, _HIGHEST)
                continue
        if number == 0:
            break
        if n == 5:
            total: Any = 0
            for token in range(tokens):
                met[token] = 0
                before[token] = total
                total += np.int64(lengths[token])
            before[tokens] = total
            for k in range(number):
                chosen[k] = k
            _find_firsts(grams, places, chosen, number, firsts, room.keys, room.where)
        characters = _duplicate_characters(places, number, firsts, before, n, met)
        out[n - 2] = min(characters, _HIGHEST)
