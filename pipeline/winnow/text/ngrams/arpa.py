"""ARPA files of n-gram models, as KenLM, SRILM and ``winnow train-ngram`` write them.

Behind ``\\data\\`` stand the numbers of n-grams, then a section an order: a line is the logarithm (base 10) of the
probability, the words with a space between them, and, unless it is 0, the logarithm of the backoff; ``\\end\\`` ends
it.
The format is described in D. Jurafsky and J. Martin's textbook and in SRILM's manual (ngram-format(5)).

Legend: V words, G n-grams of an order.
"""

import mmap
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import strings_from_buffers
from winnow.numeric.cached_arrays import Arrays, prepared_arrays
from winnow.numeric.jit import kernel
from winnow.text.ngrams.model import NgramModel, gram_slot_of, key_of, logarithms_of, room_for, slot_of
from winnow.text.ngrams.tokens import TokenKind, hash_of_bytes
from winnow.text.words import NO_STOP_WORDS, read_words

KENLM = b"mmap lm http://kheafield.com/code"
"""How KenLM's binary files begin."""
BEGIN, END, UNKNOWN = (b"<s>", b"<S>"), (b"</s>", b"</S>"), (b"<unk>", b"<UNK>")
"""How they are written."""
MOST_ORDER = 8
_UNKNOWN_LOG10 = -100.0
"""Of words outside the vocabulary, where a file has no ``<unk>``: as in KenLM."""
_ODD_SHARE = 0.05
"""Words of a vocabulary that may be none by `tokens: words`."""
_COUNT = re.compile(rb"ngram (\d+)\s*=\s*(\d+)\s*")


class ArpaError(ValueError):
    """A file is no ARPA file that can be used."""


def is_kenlm_binary(path: str) -> bool:
    """Whether KenLM itself is needed to read it.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        return file.read(len(KENLM)) == KENLM


def read_counts(path: str) -> list[int]:
    """How many n-grams of each order there are; the beginning and the end of the file are looked at.

    Raises:
        ArpaError: it is no ARPA file, or was cut short. OSError: it cannot be read.
    """
    name = Path(path).name
    with Path(path).open("rb") as file:
        if file.seek(0, 2) == 0:
            raise ArpaError(f"{name}: is empty; expected an ARPA file, or a binary one of KenLM")
        file.seek(0)
        counts, _ = _head(name, file.read(1 << 16))
        file.seek(max(0, file.seek(0, 2) - (1 << 12)))
        if not file.read().rstrip().endswith(b"\\end\\"):
            raise ArpaError(f"{name}: was cut short: it does not end with \\end\\; get the file again")
    return counts


def _head(name: str, data: bytes) -> tuple[list[int], int]:
    """Numbers of n-grams by order, and the place of the first section."""
    begun = data.lstrip()
    if not begun.startswith(b"\\data\\"):
        what = (
            "it is compressed (gzip): decompress it" if data[:2] == b"\x1f\x8b" else "it does not begin with \\data\\"
        )
        raise ArpaError(f"{name}: is no ARPA file: {what}; expected one, or a binary one of KenLM")
    section = data.find(b"\\1-grams:")
    lines = [line for line in data[data.find(b"\\data\\") + 6 : section].splitlines() if line.strip()]
    found = [_COUNT.fullmatch(line) for line in lines]
    if section < 0 or not found or not all(found):
        raise ArpaError(f"{name}: is damaged: behind \\data\\ expected lines such as `ngram 1=1000`, then \\1-grams:")
    orders = [(int(match[1]), int(match[2])) for match in found if match]
    if [order for order, _ in orders] != list(range(1, len(orders) + 1)) or len(orders) > MOST_ORDER:
        raise ArpaError(f"{name}: has orders {[order for order, _ in orders]}; expected 1, 2, ... up to {MOST_ORDER}")
    return [number for _, number in orders], section


def read_arpa(path: str, kind: TokenKind, identity: str) -> NgramModel:
    """Read a model; the node's processes share what one of them has read.

    Args:
        path: of the file.
        kind: of tokens, by which texts will be taken apart.
        identity: hash of the file's content.

    Raises:
        ArpaError: it is damaged, or its vocabulary is not of such tokens. OSError: it cannot be read.
    """
    found = prepared_arrays("ngrams", (identity, kind), lambda: _read(path, kind))
    order, closed, begin, end, unknown = found.pop("numbers").tolist()
    names = ("word_keys", "word_numbers", "words", "grams")
    return NgramModel(order, bool(closed), begin, end, unknown, *(found[name] for name in names))


def _read(path: str, kind: TokenKind) -> Arrays:
    name = Path(path).name
    counts = read_counts(path)
    with Path(path).open("rb") as file:
        data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    _, at = _head(name, data[: 1 << 16].tobytes())
    size, order = counts[0], len(counts)
    if sum(counts) * 4 > len(data):
        raise ArpaError(f"{name}: was cut short, or is damaged: {sum(counts):,} n-grams do not fit into it")
    places, words = np.empty((size, 2), np.int64), np.zeros((size + 1, 2), np.float32)
    at = _read_words(data, _section(name, data, at, 1), places, words)
    _checked(name, data, at)
    raw_keys, raw_numbers = np.zeros(room_for(size + 1), np.uint64), np.zeros(room_for(size + 1), np.int32)
    if (twice := _number_words(data, places, raw_keys, raw_numbers)) >= 0:
        raise ArpaError(f"{name}: is damaged: {_word(data, places, twice)!r:.80} stands twice among its words")
    special = [_find(data, places, raw_keys, raw_numbers, texts) for texts in (BEGIN, END, UNKNOWN)]
    if min(special[:2]) < 0:
        raise ArpaError(f"{name}: has no {(BEGIN if special[0] < 0 else END)[0].decode()} among its words")
    if special[2] < 0:
        special[2] = size
        words[size, 0] = _UNKNOWN_LOG10
    slots = room_for(sum(counts[1:]))
    grams, closed = np.zeros((slots, 2), np.uint64), np.ones(1, np.bool_)
    logarithms = logarithms_of(grams)
    for number in range(2, order + 1):
        at = _section(name, data, at, number)
        at = _read_grams(data, at, number, counts[number - 1], raw_keys, raw_numbers, grams, logarithms, closed)
        _checked(name, data, at)
    if (words[:size, 0] > 0).any() or (logarithms[grams[:, 0] != 0, 2] > 0).any():
        raise ArpaError(f"{name}: is damaged: a logarithm of a probability is above 0")
    if kind == "words":
        keys, numbers = _ours(name, data, places, special)
    else:
        keys, numbers = raw_keys, raw_numbers
        for number in special[:2]:  # in a text they are words that nobody knows
            _number_again(data, places, number, keys, numbers, special[2])
    meta = np.array([order, closed[0], *special], np.int64)
    return {
        "numbers": meta, "word_keys": keys, "word_numbers": numbers, "words": words,
        "grams": grams,
    }  # fmt: skip


def _checked(name: str, data: NDArray[np.uint8], at: int) -> None:
    if at >= 0:
        return
    place = -at - 1
    line = data[place : place + 200].tobytes().split(b"\n")[0].decode(errors="replace")
    if place >= len(data):
        raise ArpaError(f"{name}: was cut short: it ends within its n-grams; get the file again")
    raise ArpaError(
        f"{name}: is damaged at byte {place:,} ({line!r:.80}): expected a logarithm, known words and perhaps a "
        "backoff, each n-gram once"
    )


def _section(name: str, data: NDArray[np.uint8], at: int, order: int) -> int:
    """The place behind the line that begins a section."""
    begun = data[at : at + (1 << 12)].tobytes()
    line, _, _ = begun.lstrip().partition(b"\n")
    if line.strip() != b"\\%d-grams:" % order:
        shown = line.decode(errors="replace")
        raise ArpaError(
            f"{name}: is damaged at byte {at:,}: expected \\{order}-grams:, found {shown!r:.80}; "
            "a section has more or fewer lines than the file says"
        )
    return at + len(begun) - len(begun.lstrip()) + len(line)


def _word(data: NDArray[np.uint8], places: NDArray[np.int64], number: int) -> bytes:
    return data[places[number, 0] : places[number, 1]].tobytes()


def _find(
    data: NDArray[np.uint8],
    places: NDArray[np.int64],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    texts: tuple[bytes, ...],
) -> int:
    """The number of the first of some words that the vocabulary has; -1 for none."""
    for text in texts:
        slot = _slot(np.frombuffer(text, np.uint8), 0, len(text), keys)
        if keys[slot] != 0 and _word(data, places, int(numbers[slot])) == text:
            return int(numbers[slot])
    return -1


def _number_again(
    data: NDArray[np.uint8],
    places: NDArray[np.int64],
    word: int,
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    number: int,
) -> None:
    numbers[_slot(data, places[word, 0], places[word, 1], keys)] = number


def _ours(
    name: str, data: NDArray[np.uint8], places: NDArray[np.int64], special: list[int]
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """The vocabulary by hashes of our words.

    Raises:
        ArpaError: too many of its words are none of ours, as they stand there.
    """
    lengths = places[:, 1] - places[:, 0]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    content = np.empty(offsets[-1], np.uint8)
    _gather(data, places, content)
    entries = strings_from_buffers(content, offsets)
    read = read_words(entries, NO_STOP_WORDS)
    first = np.minimum(read.words.offsets[:-1], max(0, len(read.places) - 1))
    whole = np.diff(read.words.offsets) == 1
    whole[whole] = (read.places[first[whole]] == np.stack([np.zeros(len(lengths)), lengths], axis=1)[whole]).all(axis=1)
    text = entries.to_pylist()
    ours = np.array([is_word and word.casefold() == word for is_word, word in zip(whole, text, strict=True)], np.bool_)
    ours[[number for number in special if number < len(ours)]] = True
    if (~ours).sum() > _ODD_SHARE * len(ours):
        odd = text[int(np.flatnonzero(~ours)[0])]
        raise ArpaError(
            f"{name}: {(~ours).sum():,} of its {len(ours):,} words are none by `tokens: words` (folded runs of "
            f"letters, marks and digits), such as {odd!r:.60}; set `tokens: whitespace`"
        )
    keys, numbers = np.zeros(room_for(len(ours)), np.uint64), np.zeros(room_for(len(ours)), np.int32)
    rows = np.flatnonzero(whole & ours)
    _insert(read.words.hashes[first[rows]], rows, keys, numbers)
    return keys, numbers


@kernel
def _slot(data, start, end, keys):  # type: ignore[no-untyped-def]
    return slot_of(keys, hash_of_bytes(data, start, end))


@kernel
def _gather(data, places, out):  # type: ignore[no-untyped-def]
    at = 0
    for row in range(len(places)):
        for byte in range(places[row, 0], places[row, 1]):
            out[at] = data[byte]
            at += 1


@kernel
def _insert(hashes, rows, keys, numbers):  # type: ignore[no-untyped-def]
    for place in range(len(rows)):
        slot = slot_of(keys, hashes[place])
        if keys[slot] == 0:
            keys[slot], numbers[slot] = hashes[place], rows[place]


@kernel
def _number_words(data, places, keys, numbers):  # type: ignore[no-untyped-def]
    """Number words by hash; the first that stands there twice, -1 for none."""
    for row in range(len(places)):
        value = hash_of_bytes(data, places[row, 0], places[row, 1])
        slot = slot_of(keys, value)
        if keys[slot] != 0:
            return row
        keys[slot], numbers[slot] = value, row
    return -1


@kernel
def _is_blank(byte):  # type: ignore[no-untyped-def]
    return byte in (9, 32)


@kernel
def _number(data, at):  # type: ignore[no-untyped-def]
    """A decimal number at a place: its value, and the place behind; the same place where none stands there."""
    start, sign = at, 1.0
    if at < len(data) and data[at] in (43, 45):
        sign = -1.0 if data[at] == 45 else 1.0
        at += 1
    digits, scale, value, point = 0, 0, 0.0, False
    while at < len(data) and (48 <= data[at] <= 57 or (data[at] == 46 and not point)):
        if data[at] == 46:
            point = True
        else:
            digits += 1
            value = value * 10.0 + (data[at] - 48)
            scale -= point
        at += 1
    if digits == 0:
        return 0.0, start
    if at < len(data) and data[at] in (69, 101):
        power, minus = 0, False
        at += 1
        if at < len(data) and data[at] in (43, 45):
            minus = data[at] == 45
            at += 1
        if at >= len(data) or not 48 <= data[at] <= 57:
            return 0.0, start
        while at < len(data) and 48 <= data[at] <= 57:
            power = min(9999, power * 10 + (data[at] - 48))
            at += 1
        scale += -power if minus else power
    return sign * (value * 10.0**scale if scale >= 0 else value / 10.0**-scale), at


@kernel
def _line_start(data, at):  # type: ignore[no-untyped-def]
    while at < len(data) and data[at] in (9, 10, 13, 32):
        at += 1
    return at


@kernel
def _word_end(data, at):  # type: ignore[no-untyped-def]
    while at < len(data) and data[at] not in (9, 10, 13, 32):
        at += 1
    return at


@kernel
def _backoff(data, at):  # type: ignore[no-untyped-def]
    """The backoff at the end of a line, 0 for none, and the place behind; -1 where something else stands there."""
    while at < len(data) and _is_blank(data[at]):
        at += 1
    value = 0.0
    if at < len(data) and data[at] not in (10, 13):
        start = at
        value, at = _number(data, at)
        if at == start:
            return 0.0, -1
    while at < len(data) and (_is_blank(data[at]) or data[at] == 13):
        at += 1
    return value, at if at < len(data) and data[at] == 10 else -1


@kernel
def _read_words(data, at, places, values):  # type: ignore[no-untyped-def]
    """The section of single words; the place behind, or -1 minus the place where it is wrong."""
    for row in range(len(places)):
        start = _line_start(data, at)
        values[row, 0], at = _number(data, start)
        if at == start:
            return -start - 1
        while at < len(data) and _is_blank(data[at]):
            at += 1
        places[row, 0], places[row, 1] = at, _word_end(data, at)
        if places[row, 1] == at:
            return -start - 1
        values[row, 1], at = _backoff(data, places[row, 1])
        if at < 0:
            return -start - 1
    return at


@kernel
def _read_grams(data, at, order, number, word_keys, word_numbers, grams, logarithms, closed):  # type: ignore[no-untyped-def]
    """The section of n-grams; as above. Notes whether of each the one without its first word was there before."""
    words = np.empty(order, np.int64)
    for _ in range(number):
        start = _line_start(data, at)
        value, at = _number(data, start)
        if at == start:
            return -start - 1
        for place in range(order):
            while at < len(data) and _is_blank(data[at]):
                at += 1
            begin, at = at, _word_end(data, at)
            slot = slot_of(word_keys, hash_of_bytes(data, begin, at))
            if at == begin or word_keys[slot] == 0:
                return -start - 1
            words[place] = word_numbers[slot]
        if order > 2:
            closed[0] &= grams[gram_slot_of(grams, key_of(words[1:])), 0] != 0
        slot = gram_slot_of(grams, key_of(words))
        if grams[slot, 0] != 0:
            return -start - 1
        grams[slot, 0] = key_of(words)
        logarithms[slot, 2] = value
        logarithms[slot, 3], at = _backoff(data, at)
        if at < 0:
            return -start - 1
    return at
