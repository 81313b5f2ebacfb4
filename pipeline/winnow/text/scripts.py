"""The script that a text is written in.

Latin gives way: the code, markup, names and addresses of a text are in Latin letters whatever it is written in, so a
text is in another script as soon as one letter in `LEAST_SHARE` of its prose is: pages of manuals of which only the
headings were translated have so few. Of Han and kana together, one kana in `KANA_SHARE` means Japanese.

Legend: N documents, S scripts.
"""

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import kernel
from winnow.text.characters import LETTER, character_tables, class_of, code_point_at, spans

_BLOCKS = {
    "Latin": "41-24F 250-2AF 1D00-1D25 1D2C-1DBF 1E00-1EFF 2071 207F 2090-209C 212A-212B 2184 2C60-2C7F A722-A7FF "
    "AB30-AB6F FB00-FB06 FF21-FF5A",
    "Greek": "370-3E1 3F0-3FF 1D26-1D2A 1D66-1D6A 1F00-1FFF AB65",
    "Cyrillic": "400-52F 1C80-1C8F 1D2B 2DE0-2DFF A640-A69F",
    "Armenian": "531-58F FB13-FB17",
    "Hebrew": "591-5FF FB1D-FB4F",
    "Arabic": "600-6FF 750-77F 870-8FF FB50-FDFF FE70-FEFC",
    "Syriac": "700-74F 860-86F",
    "Thaana": "780-7BF",
    "Devanagari": "900-97F A8E0-A8FF",
    "Bengali": "980-9FF",
    "Gurmukhi": "A00-A7F",
    "Gujarati": "A80-AFF",
    "Oriya": "B00-B7F",
    "Tamil": "B80-BFF",
    "Telugu": "C00-C7F",
    "Kannada": "C80-CFF",
    "Malayalam": "D00-D7F",
    "Sinhala": "D80-DFF",
    "Thai": "E00-E7F",
    "Lao": "E80-EFF",
    "Tibetan": "F00-FFF",
    "Myanmar": "1000-109F A9E0-A9FF AA60-AA7F",
    "Georgian": "10A0-10FF 1C90-1CBF 2D00-2D2F",
    "Hangul": "1100-11FF 3131-318E A960-A97F AC00-D7FF FFA0-FFDC",
    "Ethiopic": "1200-139F 2D80-2DDF AB01-AB2F",
    "Cherokee": "13A0-13FF AB70-ABBF",
    "Khmer": "1780-17FF",
    "Mongolian": "1800-18AF",
    "Han": "3005-3007 3021-3029 3038-303B 3105-312F 31A0-31BF 3400-4DBF 4E00-9FFF F900-FAFF 20000-323AF",
    "Kana": "3041-309F 30A1-30FA 30FC-30FF 31F0-31FF FF66-FF9F 1AFF0-1B16F",
}
SCRIPTS = ("none", *_BLOCKS, "other")
"""What the codes of :func:`dominant_scripts` mean. Codes are stored in indexes: new scripts are put at the end."""

LEAST_SHARE = 100
"""One letter in so many, and a text is in that script ..."""
LEAST_OF_SCRIPT = 4
"""... if there are so many at least, or they are half of all: one Greek letter is a symbol."""
KANA_SHARE = 20
"""One kana in so many letters of Han and kana, and these are Japanese."""
LEAST_LETTERS = 16
"""Letters of prose below which the whole text is looked at, code and markup with it."""

_LATIN, _HAN, _KANA, _OTHER = (SCRIPTS.index(name) for name in ("Latin", "Han", "Kana", "other"))


def dominant_scripts(texts: pa.Array, prose: pa.Array) -> NDArray[np.uint8]:
    """The script of each text, as a position in `SCRIPTS`: uint8[N]; 0 for a text without letters.

    Args:
        texts: large_string[N] without nulls.
        prose: large_string[N], what is neither code nor markup in them (`winnow.text.prose`).

    Raises:
        TypeError, ValueError: another type, or nulls.
    """
    counts = letters_by_script(prose)
    few = np.flatnonzero(counts.sum(axis=1) < LEAST_LETTERS)
    if len(few):
        counts[few] = letters_by_script(texts.take(pa.array(few)))
    letters = counts.sum(axis=1)
    kana = counts[:, _KANA].copy()
    counts[:, _HAN] += kana
    counts[:, _KANA] = 0
    latin = counts[:, _LATIN].copy()
    counts[:, _LATIN] = 0
    found = counts.argmax(axis=1)
    most = counts.max(axis=1, initial=0)
    enough = (most > 0) & (LEAST_SHARE * most >= letters) & ((most >= LEAST_OF_SCRIPT) | (2 * most >= letters))
    found = np.where(enough, found, np.where(latin > 0, _LATIN, 0))
    found[(found == _HAN) & (KANA_SHARE * kana >= counts[:, _HAN])] = _KANA
    return found.astype(np.uint8)


def letters_by_script(texts: pa.Array) -> NDArray[np.int64]:
    """Letters (general category L*) of each script in each text: int64[N, S]; column 0 is empty."""
    data, offsets = string_buffers(texts)
    tables = character_tables()
    counts = np.zeros((len(texts), len(SCRIPTS)), np.int64)
    _count(data, offsets, tables.class_pages, tables.classes, _table(), _LATIN, counts)
    return counts


@cache
def _table() -> NDArray[np.uint8]:
    """Script of each code point, letters or not: uint8[0x110000]."""
    table = np.full(0x110000, _OTHER, np.uint8)
    for code, listed in enumerate(_BLOCKS.values(), 1):
        for first, last in spans(listed):
            table[first : last + 1] = code
    return table


@kernel
def _count(data: Any, offsets: Any, pages: Any, classes: Any, table: Any, latin: int, counts: Any) -> None:
    for document in range(len(offsets) - 1):
        i, end = offsets[document], offsets[document + 1]
        ascii_letters = 0
        while i < end:
            byte = data[i]
            if byte < 0x80:
                ascii_letters += 97 <= (byte | 0x20) <= 122
                i += 1
                continue
            code_point, size = code_point_at(data, i)
            i += size
            if class_of(pages, classes, code_point) & LETTER:
                counts[document, table[code_point]] += 1
        counts[document, latin] += ascii_letters
