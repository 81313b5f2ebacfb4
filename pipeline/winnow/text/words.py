"""The one definition of a word, and the hash of a word.

A word is a maximal run of letters, marks and digits (general categories L*, M*, Nd); every such code point of a script
written without spaces (``characters.SPACELESS_BLOCKS``) is a word of its own. Code points that are drawn as nothing
(``characters.IGNORABLE``: soft hyphens, zero-width spaces and joiners) neither end a word nor belong to it. Words are
compared case-folded, code point by code point (``str.casefold``).

The hash of a word is fixed for ever and for every machine. Over the UTF-8 bytes of the folded word, in chunks of eight
bytes (little-endian, the last one filled up with zeros), modulo 2^64::

    h = 0x9E3779B97F4A7C15
    for chunk in chunks: h = (h ^ chunk) * 0xD6E8FEB86659FD93; h = h ^ (h >> 32)
    hash = (h * 0xFF51AFD7ED558CCD) ^ ((h * 0xFF51AFD7ED558CCD) >> 29)

Words of up to eight bytes have different hashes (every step can be undone); others collide with probability 2^-64.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import inline_kernel, kernel
from winnow.text.characters import IGNORED, LETTER, SPACELESS, WORD, character_tables, class_of
from winnow.text.signals.bits import load_eight, pointer_to, trailing_zeros

_START = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = np.uint64(0xD6E8FEB86659FD93)
_FINISH = np.uint64(0xFF51AFD7ED558CCD)

_HIGH = np.uint64(0x8080808080808080)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)
_FROM_A = np.uint64(0x1F1F1F1F1F1F1F1F)  # 0x80 - "a"
_PAST_Z = np.uint64(0x0505050505050505)  # 0x80 - "z" - 1
_FROM_0 = np.uint64(0x5050505050505050)  # 0x80 - "0"
_PAST_9 = np.uint64(0x4646464646464646)  # 0x80 - "9" - 1


class WordHashes(NamedTuple):
    """The words of N documents."""

    hashes: NDArray[np.uint64]  # [W] hash of each word, in order
    offsets: NDArray[np.int64]  # [N + 1] the words of document i are hashes[offsets[i] : offsets[i + 1]]


class StopTable(NamedTuple):
    """Stop words by word hash, for the kernel that reads words."""

    keys: NDArray[np.uint64]  # [1024] word hash in slot `hash >> 54` or the next free one; 0 = free
    masks: NDArray[np.uint64]  # [1024, 2] bit `word` of byte `list`, over both numbers
    exact: np.uint64  # bits of masks[:, 0] that count only for a word that case folding leaves as it is


class ReadWords(NamedTuple):
    """What one pass over the words yields."""

    words: WordHashes
    lengths: NDArray[np.uint32]  # [W] code points of each word
    places: NDArray[np.uint32]  # [W, 2] first byte and end of each word, from the document's first byte on
    counts: NDArray[np.uint32]  # [3, N] code points in words; words with a letter; words of scripts without spaces
    stop_words: NDArray[np.uint64]  # [2, N] the stop words that occur: bits of StopTable.masks


NO_STOP_WORDS = StopTable(np.zeros(1024, np.uint64), np.zeros((1024, 2), np.uint64), np.uint64(0))


def hash_words(texts: pa.Array) -> WordHashes:
    """Hash the words of each text.

    Args:
        texts: large_string[N] without nulls.

    Raises:
        TypeError, ValueError: another type, or nulls.
    """
    return read_words(texts, NO_STOP_WORDS).words


def read_words(texts: pa.Array, stop: StopTable) -> ReadWords:
    """Hash, measure and look up the words of each text in one pass.

    Args:
        texts: large_string[N] without nulls.
        stop: the stop words to look up.

    Raises:
        TypeError, ValueError: another type, or nulls.
    """
    data, offsets = string_buffers(texts)
    documents = len(offsets) - 1
    room = int(offsets[-1] - offsets[0]) // 2 + documents + 1  # a word takes a byte and a separator, or three bytes
    hashes = np.empty(room, np.uint64)  # pages that are never written cost no memory
    lengths = np.empty(room, np.uint32)
    places = np.empty((room, 2), np.uint32)
    counts = np.zeros((3, documents), np.uint32)
    masks = np.zeros((2, documents), np.uint64)
    ends = np.zeros(documents + 1, np.int64)
    _read_words(data, offsets, character_tables(), stop, hashes, lengths, places, ends, counts, masks)
    total = int(ends[-1])
    return ReadWords(WordHashes(hashes[:total], ends), lengths[:total], places[:total], counts, masks)


@inline_kernel
def code_point_at(data: Any, i: int) -> tuple[int, int]:
    """The code point that starts at byte i, and the number of its bytes. Valid UTF-8 is taken for granted."""
    lead: Any = np.int64(data[i])
    code_point = lead
    size = 1
    if lead >= 0xF0:
        code_point = (
            (lead & 7) << 18
            | np.int64(data[i + 1] & 63) << 12
            | np.int64(data[i + 2] & 63) << 6
            | np.int64(data[i + 3] & 63)
        )
        size = 4
    elif lead >= 0xE0:
        code_point = (lead & 15) << 12 | np.int64(data[i + 1] & 63) << 6 | np.int64(data[i + 2] & 63)
        size = 3
    elif lead >= 0xC0:
        code_point = (lead & 31) << 6 | np.int64(data[i + 1] & 63)
        size = 2
    return code_point, size


@inline_kernel
def _add_chunk(value: Any, chunk: Any) -> Any:
    value = (value ^ chunk) * _CHUNK
    return value ^ (value >> np.uint64(32))


@kernel
def _eight_bytes(data: Any, i: int, end: int, data_end: int) -> Any:
    """Bytes i to end, at most eight, as a little-endian number; reads nothing past ``data_end``."""
    if i + 8 <= data_end:
        return load_eight(data, i)
    chunk = np.uint64(0)
    for k in range(min(8, end - i)):
        chunk |= np.uint64(data[i + k]) << np.uint64(8 * k)
    return chunk


@kernel
def _general_word(
    data: Any, i: int, end: int, pages: Any, classes: Any, fold_pages: Any, folds: Any
) -> tuple[int, Any, int, bool, bool, bool]:
    """The word at byte i, whatever its script: its end, hash, code points, has a letter, was folded, is spaceless."""
    value = _START
    chunk = np.uint64(0)
    filled = np.uint64(0)
    characters = 0
    letter = False
    changed = False
    spaceless = False
    word_end = i
    while i < end:
        code_point, size = code_point_at(data, i)
        kind = class_of(pages, classes, code_point)
        if kind & IGNORED and characters:
            i += size
            continue
        if not kind & WORD or (kind & SPACELESS and characters):
            break
        fold = folds[np.int64(fold_pages[code_point >> 8]) << 8 | code_point & 255]
        changed |= fold != 0
        count = size if fold == 0 else np.int64(fold >> np.uint64(56))
        for k in range(count):
            byte = np.uint64(data[i + k]) if fold == 0 else (fold >> np.uint64(8 * k)) & np.uint64(255)
            chunk |= byte << filled
            filled += np.uint64(8)
            if filled == 64:
                value = _add_chunk(value, chunk)
                chunk = np.uint64(0)
                filled = np.uint64(0)
        letter |= kind & LETTER != 0
        characters += 1
        i += size
        word_end = i
        if kind & SPACELESS:
            spaceless = True
            break
    if filled:
        value = _add_chunk(value, chunk)
    return word_end, value, characters, letter, changed, spaceless


@inline_kernel
def _plain_run(data: Any, i: int, end: int, data_end: int) -> tuple[int, Any, Any, Any]:
    """The ASCII letters and digits at byte i: their end, hash, bits of letters, and bits that folding changes."""
    value = _START
    letters = np.uint64(0)
    differs = np.uint64(0)
    while True:
        chunk = _eight_bytes(data, i, end, data_end)
        low = chunk & _LOW
        folded = (chunk | _CASE) & _LOW
        letter = (folded + _FROM_A) & ~(folded + _PAST_Z)
        digit = (low + _FROM_0) & ~(low + _PAST_9)
        outside = ~((letter | digit) & ~chunk) & _HIGH
        size = min(trailing_zeros(outside) >> 3, end - i)
        keep = (np.uint64(1) << np.uint64(8 * size)) - np.uint64(1) if size < 8 else ~np.uint64(0)
        folded = (chunk | _CASE) & keep
        letters |= letter & keep & _HIGH
        differs |= folded ^ (chunk & keep)
        if size:
            value = _add_chunk(value, folded)
        i += size
        if size < 8 or i >= end:
            break
    return i, value, letters, differs


@kernel
def next_word(data: Any, i: int, end: int, data_end: int, tables: Any) -> tuple[int, int, Any]:
    """The first word at or behind byte i: its first byte, its end and its hash; (end, end, 0) where there is none.

    ``tables`` are pointers to the character tables: class pages, classes, fold pages, folds, kinds of bytes.
    """
    pages, classes, fold_pages, folds, word_byte = tables
    while i < end:
        kind = word_byte[data[i]]
        if kind == 0:
            i += 1
            continue
        start = i
        value = _START
        if kind == 1:
            i, value, _, _ = _plain_run(data, i, end, data_end)
        if kind == 2 or (i < end and data[i] >= 128):
            i, value, characters, _, _, _ = _general_word(data, start, end, pages, classes, fold_pages, folds)
            if characters == 0:  # a character that is not of a word
                i = start + code_point_at(data, start)[1]
                continue
        value *= _FINISH
        return start, i, value ^ (value >> np.uint64(29))
    return end, end, np.uint64(0)


@kernel
def word_bytes() -> Any:
    """uint8[256]: 1 for an ASCII letter or digit, 2 for a byte that is not ASCII.

    A kernel that takes a pointer to it is given it by its caller: an array of its own would be freed before its end.
    """
    kinds = np.zeros(256, np.uint8)
    kinds[48:58] = 1
    kinds[65:91] = 1
    kinds[97:123] = 1
    kinds[128:] = 2
    return kinds


@kernel
def _read_words(
    data: Any,
    offsets: Any,
    tables: Any,
    stop: Any,
    hashes: Any,
    lengths: Any,
    places: Any,
    ends: Any,
    counts: Any,
    masks: Any,
) -> None:
    data_end = len(data)
    data = pointer_to(data)
    pages, classes = pointer_to(tables.class_pages), pointer_to(tables.classes)
    fold_pages, folds = pointer_to(tables.fold_pages), pointer_to(tables.folds)
    keys, stop_masks = pointer_to(stop.keys), pointer_to(stop.masks)
    word_byte = word_bytes()
    number = 0
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        i = begin
        in_words, with_letter, without_spaces = 0, 0, 0
        mask_low, mask_high = np.uint64(0), np.uint64(0)
        while i < end:
            kind = word_byte[data[i]]
            if kind == 0:
                i += 1
                continue
            start = i
            value = _START
            letters = np.uint64(0)
            differs = np.uint64(0)
            if kind == 1:
                i, value, letters, differs = _plain_run(data, i, end, data_end)
            characters = i - start
            has_letter, changed = letters != 0, differs != 0
            spaceless = False
            if kind == 2 or (i < end and data[i] >= 128):
                i, value, characters, has_letter, changed, spaceless = _general_word(
                    data, start, end, pages, classes, fold_pages, folds
                )
                if characters == 0:  # a character that is not of a word
                    i = start + code_point_at(data, start)[1]
                    continue
            value *= _FINISH
            value ^= value >> np.uint64(29)
            hashes[number] = value
            lengths[number] = characters
            places[number, 0], places[number, 1] = start - begin, i - begin
            number += 1
            in_words += characters
            with_letter += has_letter
            without_spaces += spaceless
            slot = np.int64(value >> np.uint64(54))
            while keys[slot] != 0:
                if keys[slot] == value:
                    exact = stop.exact if changed else np.uint64(0)
                    mask_low |= stop_masks[2 * slot] & ~exact
                    mask_high |= stop_masks[2 * slot + 1]
                    break
                slot = (slot + 1) & 1023
        ends[document + 1] = number
        counts[0, document] = in_words
        counts[1, document] = with_letter
        counts[2, document] = without_spaces
        masks[0, document] = mask_low
        masks[1, document] = mask_high
