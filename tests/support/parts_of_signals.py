"""What signals are made of, a step at a time for a whole batch: tokens, and their repeated n-grams."""

from typing import Any

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric import bits
from winnow.numeric.arrow_strings import string_buffers
from winnow.text.characters import character_tables
from winnow.text.signals import repetition
from winnow.text.signals import tokens as signal_tokens
from winnow.text.signals.repetition import REPETITION_COUNTS
from winnow.text.signals.room import room_for
from winnow.text.signals.tokens import ROLES
from winnow.text.words import ReadWords, WordHashes

# what numba's own decorator can call
pointer_behind, pointer_to, pointers_to, tokens_of, repetition_of = (
    deferred.made()
    for deferred in (
        bits.pointer_behind,
        bits.pointer_to,
        bits.pointers_to,
        signal_tokens.tokens_of,
        repetition.repetition_of,
    )
)


def read_tokens(texts: pa.Array, read: ReadWords, marks: int) -> tuple[WordHashes, NDArray[np.uint32]]:
    """Hash and place of the tokens of large_string[N] as words have them, and uint32[T], the code points of each;
    ``marks`` are those in all texts, or more."""
    data, offsets = string_buffers(texts)
    room = len(read.lengths) + marks
    hashes, lengths = np.empty(room, np.uint64), np.empty(room, np.uint32)
    ends = np.zeros(len(offsets), np.int64)
    words, places = read.words, read.places.reshape(-1)
    _read_tokens(
        data,
        offsets,
        character_tables(),
        ROLES,
        words.hashes,
        words.offsets,
        read.lengths,
        places,
        hashes,
        lengths,
        ends,
    )
    total = int(ends[-1])
    return WordHashes(hashes[:total], ends), lengths[:total]


@numba.njit  # not kept on the disk: it would go on with the old code of the kernels that it calls
def _read_tokens(
    data: Any, offsets: Any, tables: Any, roles: Any, word_hashes: Any, word_offsets: Any, word_lengths: Any,
    places: Any, hashes: Any, lengths: Any, ends: Any,
) -> None:  # fmt: skip
    data, roles, hashes, lengths = pointer_to(data), pointer_to(roles), pointer_to(hashes), pointer_to(lengths)
    word_hashes, word_lengths, places = pointer_to(word_hashes), pointer_to(word_lengths), pointer_to(places)
    pages, classes = pointer_to(tables.class_pages), pointer_to(tables.classes)
    number = 0
    for document in range(len(offsets) - 1):
        first, words = word_offsets[document], word_offsets[document + 1] - word_offsets[document]
        number += tokens_of(
            data, offsets[document], offsets[document + 1], pages, classes, roles,
            pointer_behind(word_hashes, first), pointer_behind(word_lengths, first), pointer_behind(places, 2 * first),
            words, pointer_behind(hashes, number), pointer_behind(lengths, number),
        )  # fmt: skip
        ends[document + 1] = number


def count_repetition(tokens: WordHashes, lengths: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """uint32[len(REPETITION_COUNTS), N]: characters of repeated n-grams; ``lengths`` are the tokens' code points."""
    out = np.zeros((len(REPETITION_COUNTS), len(tokens.offsets) - 1), np.uint32)
    _repetition(tokens.hashes, tokens.offsets, lengths, room_for(int(np.diff(tokens.offsets).max(initial=0))), out)
    return out


@numba.njit
def _repetition(hashes: Any, offsets: Any, lengths: Any, room: Any, out: Any) -> None:
    hashes, lengths, room = pointer_to(hashes), pointer_to(lengths), pointers_to(room)
    for document in range(len(offsets) - 1):
        begin, tokens = offsets[document], offsets[document + 1] - offsets[document]
        repetition_of(pointer_behind(hashes, begin), pointer_behind(lengths, begin), tokens, room, out[:, document])
