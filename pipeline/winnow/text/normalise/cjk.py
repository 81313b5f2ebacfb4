"""Which documents are written in Chinese, Japanese or Korean: full-width forms and curly quotes are right in them."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.bits import bytes_between, count_ones, folded_between, pointer_to
from winnow.numeric.jit import kernel
from winnow.text.characters import LETTER, character_tables, class_of, code_point_at

BLOCKS = {
    "Hangul Jamo": (0x1100, 0x11FF),
    "Ideographic iteration mark and number zero": (0x3005, 0x3007),
    "Hiragana, Katakana, Bopomofo, Hangul Compatibility Jamo": (0x3041, 0x318F),
    "Bopomofo Extended": (0x31A0, 0x31BF),
    "Katakana Phonetic Extensions": (0x31F0, 0x31FF),
    "CJK Unified Ideographs Extension A": (0x3400, 0x4DBF),
    "CJK Unified Ideographs": (0x4E00, 0x9FFF),
    "Hangul Jamo Extended-A": (0xA960, 0xA97F),
    "Hangul Syllables, Hangul Jamo Extended-B": (0xAC00, 0xD7FF),
    "CJK Compatibility Ideographs": (0xF900, 0xFAFF),
    "Halfwidth Katakana and Hangul": (0xFF66, 0xFFDC),
    "Kana Extended-B, Kana Supplement, Kana Extended-A, Small Kana Extension": (0x1AFF0, 0x1B16F),
    "CJK Unified Ideographs Extensions B and later": (0x20000, 0x323AF),
}
"""The letters of the three languages."""
LEAST_SHARE = 20
"""One letter in so many, and the document is written in one of them: a name in a text of another language is less, and
half of the Japanese pages of a manual are under one in ten, because markup and program text have letters, too."""

_FIRSTS = np.array([first for first, _ in BLOCKS.values()])
_LASTS = np.array([last for _, last in BLOCKS.values()])


def in_cjk(texts: pa.Array, documents: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Whether each text is (part of) a document in Chinese, Japanese or Korean.

    Args:
        texts: large_string[N] without nulls.
        documents: int64[N] the document that each text is a part of, numbered from 0; None: each is one.

    Raises:
        TypeError, ValueError: another type, or nulls.
    """
    data, offsets = string_buffers(texts)
    tables = character_tables()
    letters = np.zeros((2, len(texts)), np.int64)
    _count_letters(data, offsets, tables.class_pages, tables.classes, _FIRSTS, _LASTS, documents is None, letters)
    if documents is not None:
        of = letters.astype(np.float64)
        letters = np.array([np.bincount(documents, weights=row)[documents] for row in of], np.int64).reshape(2, -1)
    found: NDArray[np.bool_] = (letters[0] > 0) & (LEAST_SHARE * letters[0] >= letters[0] + letters[1])
    return found


@kernel
def _count_letters(
    data: Any, offsets: Any, pages: Any, classes: Any, firsts: Any, lasts: Any, whole: bool, letters: Any
) -> None:
    """Letters of the three languages and others; where ``whole`` texts cannot reach the share, none of the former."""
    data, pages, classes = pointer_to(data), pointer_to(pages), pointer_to(classes)
    for document in range(len(offsets) - 1):
        start, end = offsets[document], offsets[document + 1]
        wide, latin = 0, 0
        blocks_end = start + (end - start) // 64 * 64
        for i in range(start, blocks_end, 64):
            wide += count_ones(bytes_between(data, i, 0xE1, 0xFF))
            latin += count_ones(folded_between(data, i, 97, 122))
        for i in range(blocks_end, end):
            byte = data[i]
            wide += byte >= 0xE1
            latin += ((byte | 0x20) >= 97) & ((byte | 0x20) <= 122)
        letters[1, document] = latin
        if wide == 0 or (whole and LEAST_SHARE * wide < wide + latin):
            continue
        i = start
        while i < end:
            if data[i] < 0x80:
                i += 1
                continue
            code_point, size = code_point_at(data, i)
            i += size
            if class_of(pages, classes, code_point) & LETTER:
                theirs = False
                for block in range(len(firsts)):
                    theirs |= (code_point >= firsts[block]) & (code_point <= lasts[block])
                letters[0 if theirs else 1, document] += 1
