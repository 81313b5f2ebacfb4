"""The signals of a document: raw counts from which every published rule is decided without the text.

They depend on the text alone: not on the config, not on the language that was found. So a changed setting never needs
the text again.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.bits import pointer_behind, pointer_to, pointers_to
from winnow.numeric.jit import kernel
from winnow.text.characters import character_tables
from winnow.text.signals.counts import MARKS, SCAN_COUNTS
from winnow.text.signals.repetition import REPETITION_COUNTS, repetition_of
from winnow.text.signals.room import Room, room_for
from winnow.text.signals.scan import scan
from winnow.text.signals.tokens import ROLES, tokens_of
from winnow.text.stop_words import STOP_WORDS, stop_table
from winnow.text.word_scan import word_tables
from winnow.text.words import Block, WordHashes, new_block, room_for_words, words_of

_COUNTS = (
    "words",
    "word_characters",
    "words_with_letter",
    "spaceless_words",
    *SCAN_COUNTS,
    *REPETITION_COUNTS,
)

SIGNALS: dict[str, pa.DataType] = {
    **{name: pa.uint32() for name in _COUNTS},
    **{f"stop_words_{language}": pa.uint8() for language in STOP_WORDS},
}
"""Name -> type of each signal, in the order of the columns. Counts above 2^32 - 1 are stored as that."""

MEANINGS: dict[str, str] = {
    "words": "words (see words.py)",
    "word_characters": "code points in words",
    "words_with_letter": "words with at least one letter (str.isalpha)",
    "spaceless_words": "words that are one character of a script written without spaces",
    "bytes": "bytes of UTF-8",
    "characters": "code points",
    "marks": "visible code points outside words",
    "mark_runs": "runs of such code points, apostrophes inside words apart",
    "hash_signs": "#",
    "ellipses": "'...' (not overlapping) and U+2026",
    "line_feeds": "line feeds",
    "filled_lines": "lines between line feeds that are not blank",
    "terminal_lines": "filled lines whose very last character is terminal punctuation",
    "short_lines": "filled lines of at most 30 characters",
    "repeated_line_characters": "characters of filled lines that occurred before",
    "text_lines": "lines between runs of line feeds; a leading or trailing run adds an empty one",
    "duplicate_lines": "text lines that occurred before",
    "duplicate_line_characters": "characters of text lines that occurred before",
    "paragraphs": "parts of the stripped text between two or more line feeds",
    "duplicate_paragraphs": "paragraphs that occurred before",
    "duplicate_paragraph_characters": "characters of paragraphs that occurred before",
    "printed_lines": "lines as str.splitlines has them, blank ones too",
    "bullet_lines": "printed lines that begin with a bullet or a hyphen, after white space",
    "ellipsis_lines": "printed lines that end with '...' or U+2026, before white space",
    "c4_lines": "printed lines that C4 keeps, the rule on terminal punctuation apart",
    "c4_sentences": "sentences in those lines",
    "c4_lorem_ipsum_lines": "printed lines with 'lorem ipsum' that C4's earlier line rules keep",
    "c4_curly_bracket_lines": "printed lines with '{' that C4's earlier line rules keep",
    "c4_terminal_lines": "printed lines that C4 keeps, the rule on terminal punctuation included",
    "c4_terminal_sentences": "sentences in those lines",
    "c4_terminal_lorem_ipsum_lines": "lines with 'lorem ipsum', the rule on terminal punctuation included",
    "c4_terminal_curly_bracket_lines": "lines with '{', the rule on terminal punctuation included",
    **{
        f"top_{n}_gram_characters": f"characters of the commonest {n} tokens in a row (tokens.py), spaced, all times"
        for n in (2, 3, 4)
    },
    **{
        f"duplicate_{n}_gram_characters": f"characters of {n} tokens in a row that occurred before, spaces apart"
        for n in range(5, 11)
    },
    **{f"stop_words_{language}": f"different stop words of the list {language!r} (0 to 8)" for language in STOP_WORDS},
}
"""Name -> what is counted."""


class Measured(NamedTuple):
    """What one document batch yields."""

    signals: pa.RecordBatch  # N rows, the columns of SIGNALS
    words: WordHashes  # for MinHash


def measure(texts: pa.Array) -> Measured:
    """Measure every signal of each text.

    Args:
        texts: large_string[N] without nulls, normalised.

    Raises:
        TypeError, ValueError: another type, or nulls.
    """
    data, offsets = string_buffers(texts)
    documents = len(texts)
    scanned = scan(texts)
    hashes, ends = np.empty(room_for_words(offsets), np.uint64), np.zeros(documents + 1, np.int64)
    counts, repetition = np.zeros((3, documents), np.uint32), np.zeros((len(REPETITION_COUNTS), documents), np.uint32)
    masks = np.zeros((2, documents), np.uint64)
    scratch = _scratch(int(np.diff(offsets).max(initial=0)), int(scanned[MARKS].max(initial=0)))
    _measure(data, offsets, character_tables(), stop_table(), ROLES, scratch, hashes, ends, counts, masks, repetition)
    words = np.minimum(np.diff(ends), 0xFFFFFFFF).astype(np.uint32)
    lists = masks.view(np.uint8).reshape(2, documents, 8)
    distinct = np.bitwise_count(lists).transpose(0, 2, 1).reshape(16, documents)
    columns = [pa.array(column) for column in (words, *counts, *scanned, *repetition, *distinct[: len(STOP_WORDS)])]
    return Measured(pa.record_batch(columns, pa.schema(SIGNALS.items())), WordHashes(hashes[: int(ends[-1])], ends))


class _Scratch(NamedTuple):
    """Room for what is known of one document at a time; what it does not need is not touched."""

    block: Block
    lengths: NDArray[np.uint32]  # of its words
    places: NDArray[np.uint32]
    token_hashes: NDArray[np.uint64]
    token_lengths: NDArray[np.uint32]
    repetition: Room


def _scratch(longest: int, most_marks: int) -> _Scratch:
    """Scratch for documents of at most so many bytes and marks."""
    words = room_for_words(np.array([0, longest]))
    tokens = words + most_marks
    return _Scratch(
        new_block(),
        np.empty(words, np.uint32),
        np.empty(2 * words, np.uint32),
        np.empty(tokens, np.uint64),
        np.empty(tokens, np.uint32),
        room_for(tokens),
    )


@kernel
def _measure(
    data: Any, offsets: Any, tables: Any, stop: Any, roles: Any, scratch: Any, hashes: Any, ends: Any, counts: Any,
    masks: Any, repetition: Any,
) -> None:  # fmt: skip
    """Words, tokens and repetition, a document at a time: what is known of its words stays in a core's cache."""
    data_end = len(data)
    data, tables, stop, roles = pointer_to(data), word_tables(tables), pointers_to(stop), pointer_to(roles)
    hashes, block, room = pointer_to(hashes), pointers_to(scratch.block), pointers_to(scratch.repetition)
    lengths, places = pointer_to(scratch.lengths), pointer_to(scratch.places)
    token_hashes, token_lengths = pointer_to(scratch.token_hashes), pointer_to(scratch.token_lengths)
    number = 0
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        own = pointer_behind(hashes, number)
        words = words_of(
            data, begin, end, data_end, tables, stop, block, own, lengths, places, counts[:, document],
            masks[:, document],
        )  # fmt: skip
        number += words
        ends[document + 1] = number
        tokens = tokens_of(
            data, begin, end, tables[0], tables[1], roles, own, lengths, places, words, token_hashes, token_lengths
        )
        repetition_of(token_hashes, token_lengths, tokens, room, repetition[:, document])
