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
from winnow.numeric.bits import pointer_behind, pointer_to, pointers_to
from winnow.numeric.jit import kernel
from winnow.text.characters import character_tables
from winnow.text.word_scan import HAS_LETTER, IS_FOLDED, IS_SPACELESS, next_words, word_tables

_TAKEN = 512
"""Words that are taken at a time."""


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


class Block(NamedTuple):
    """Words that are taken at a time: scratch, as arrays or as pointers to them."""

    hashes: Any  # uint64[_TAKEN]
    begins: Any  # int64[_TAKEN]
    ends: Any  # int64[_TAKEN]
    lengths: Any  # int64[_TAKEN], code points
    kinds: Any  # uint8[_TAKEN]
    listed: Any  # uint16[_TAKEN], those that may be stop words


NO_STOP_WORDS = StopTable(np.zeros(1024, np.uint64), np.zeros((1024, 2), np.uint64), np.uint64(0))


def new_block() -> Block:
    """Arrays for the words that are taken at a time."""
    kinds = (np.uint64, np.int64, np.int64, np.int64, np.uint8, np.uint16)
    return Block(*(np.empty(_TAKEN, kind) for kind in kinds))


def hash_words(texts: pa.Array) -> WordHashes:
    """Hash the words of each text.

    Args:
        texts: large_string[N] without nulls.

    Raises:
        TypeError, ValueError: another type, or nulls.
    """
    data, offsets = string_buffers(texts)
    hashes, ends = np.empty(room_for_words(offsets), np.uint64), np.zeros(len(offsets), np.int64)
    _hash_words(data, offsets, character_tables(), hashes, ends)
    return WordHashes(hashes[: int(ends[-1])], ends)


def room_for_words(offsets: NDArray[np.int64]) -> int:
    """The most words that texts with these offsets int64[N + 1] can have.

    A word takes a byte and a separator, or three bytes. What is never written of an array costs no memory.
    """
    return int(offsets[-1] - offsets[0]) // 2 + len(offsets)


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
    room = room_for_words(offsets)
    hashes = np.empty(room, np.uint64)
    lengths = np.empty(room, np.uint32)
    places = np.empty((room, 2), np.uint32)
    counts = np.zeros((3, documents), np.uint32)
    masks = np.zeros((2, documents), np.uint64)
    ends = np.zeros(documents + 1, np.int64)
    _read_words(data, offsets, character_tables(), stop, new_block(), hashes, lengths, places, ends, counts, masks)
    total = int(ends[-1])
    return ReadWords(WordHashes(hashes[:total], ends), lengths[:total], places[:total], counts, masks)


@kernel
def _hash_words(data: Any, offsets: Any, tables: Any, found: Any, ends: Any) -> None:
    data_end = len(data)
    data, tables = pointer_to(data), word_tables(tables)
    hashes, places = np.empty(_TAKEN, np.uint64), np.empty((2, _TAKEN), np.int64)
    number = 0
    for document in range(len(offsets) - 1):
        i, end = offsets[document], offsets[document + 1]
        while i < end:
            i, have = next_words(data, i, end, data_end, tables, hashes, places[0], places[1], 0, _TAKEN)
            found[number : number + have] = hashes[:have]
            number += have
        ends[document + 1] = number


@kernel
def _read_words(
    data: Any,
    offsets: Any,
    tables: Any,
    stop: Any,
    block: Any,
    hashes: Any,
    lengths: Any,
    places: Any,
    ends: Any,
    counts: Any,
    masks: Any,
) -> None:
    data_end = len(data)
    data, tables, stop, block = pointer_to(data), word_tables(tables), pointers_to(stop), pointers_to(block)
    hashes, lengths, places = pointer_to(hashes), pointer_to(lengths), pointer_to(places)
    number = 0
    for document in range(len(offsets) - 1):
        number += words_of(
            data,
            offsets[document],
            offsets[document + 1],
            data_end,
            tables,
            stop,
            block,
            pointer_behind(hashes, number),
            pointer_behind(lengths, number),
            pointer_behind(places, 2 * number),
            counts[:, document],
            masks[:, document],
        )
        ends[document + 1] = number


@kernel
def words_of(
    data: Any,
    begin: int,
    end: int,
    data_end: int,
    tables: Any,
    stop: Any,
    block: Any,
    hashes: Any,
    lengths: Any,
    places: Any,
    counts: Any,
    masks: Any,
) -> int:
    """Hash, measure and look up the words of the text of bytes ``begin`` to ``end``: their number.

    Args:
        data: pointer to the bytes.
        begin: the text's first byte.
        end: of the text.
        data_end: how many bytes there are.
        tables: of :func:`winnow.text.word_scan.word_tables`.
        stop: a :class:`StopTable` as :func:`pointers_to` makes it.
        block: a :class:`Block`, likewise.
        hashes: pointer to uint64[W], to be written.
        lengths: pointer to uint32[W], code points.
        places: pointer to uint32[2 * W], first byte and end of each word, from ``begin`` on.
        counts: uint32[3], as in ``ReadWords``.
        masks: uint64[2], as in ``ReadWords``.
    """
    i = begin
    number = 0
    in_words, with_letter, without_spaces = 0, 0, 0
    low, high = np.uint64(0), np.uint64(0)
    while i < end:
        i, have = next_words(
            data,
            i,
            end,
            data_end,
            tables,
            block.hashes,
            block.begins,
            block.ends,
            0,
            _TAKEN,
            block.lengths,
            block.kinds,
        )
        may_be = 0
        for k in range(have):  # without a branch that nobody can predict
            hashes[number + k] = block.hashes[k]
            lengths[number + k] = block.lengths[k]
            block.listed[may_be] = k
            may_be += stop.keys[block.hashes[k] >> np.uint64(54)] != 0
        for k in range(have):
            places[2 * (number + k)] = block.begins[k] - begin
            places[2 * (number + k) + 1] = block.ends[k] - begin
        for k in range(have):
            in_words += block.lengths[k]
            with_letter += block.kinds[k] & HAS_LETTER
            without_spaces += block.kinds[k] // IS_SPACELESS
        for listed in range(may_be):
            k = block.listed[listed]
            value = block.hashes[k]
            slot = np.int64(value >> np.uint64(54))
            while stop.keys[slot] != 0:
                if stop.keys[slot] == value:
                    exact = stop.exact if block.kinds[k] & IS_FOLDED else np.uint64(0)
                    low |= stop.masks[2 * slot] & ~exact
                    high |= stop.masks[2 * slot + 1]
                    break
                slot = (slot + 1) & 1023
        number += have
    counts[0], counts[1], counts[2] = in_words, with_letter, without_spaces
    masks[0], masks[1] = low, high
    return number
