"""The signals of a document: raw counts from which every published rule is decided without the text.

They depend on the text alone: not on the config, not on the language that was found. So a changed setting never needs
the text again.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from winnow.text.signals.counts import MARKS, SCAN_COUNTS
from winnow.text.signals.repetition import REPETITION_COUNTS, count_repetition
from winnow.text.signals.scan import scan
from winnow.text.signals.tokens import read_tokens
from winnow.text.stop_words import STOP_WORDS, stop_table
from winnow.text.words import WordHashes, read_words

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
    read, scanned = read_words(texts, stop_table()), scan(texts)
    tokens = read_tokens(texts, read, int(scanned[MARKS].sum(dtype=np.int64)))
    words = np.minimum(np.diff(read.words.offsets), 0xFFFFFFFF).astype(np.uint32)
    counts = (words, *read.counts, *scanned, *count_repetition(*tokens))
    lists = read.stop_words.view(np.uint8).reshape(2, len(words), 8)
    distinct = np.bitwise_count(lists).transpose(0, 2, 1).reshape(16, len(words))
    columns = [pa.array(column) for column in (*counts, *distinct[: len(STOP_WORDS)])]
    return Measured(pa.record_batch(columns, pa.schema(SIGNALS.items())), read.words)
