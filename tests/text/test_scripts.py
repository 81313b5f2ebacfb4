"""Scripts against the names that Unicode gives its letters; and what a text is in."""

import unicodedata
from collections import Counter

import pyarrow as pa
import pytest

from winnow.text.scripts import SCRIPTS, dominant_scripts, letters_by_script

SAME = {"HIRAGANA": "Kana", "KATAKANA": "Kana", "CJK": "Han", "BOPOMOFO": "Han", "COPTIC": "other", "HANGUL": "Hangul"}


def texts(*values: str) -> pa.Array:
    return pa.array(values, pa.large_string())


def script_of(text: str, prose: str | None = None) -> str:
    return SCRIPTS[dominant_scripts(texts(text), texts(text if prose is None else prose))[0]]


def test_every_letter_is_in_the_script_that_its_name_says():
    """Of all letters whose name begins with the name of one of these scripts."""
    letters = [
        (chr(c), unicodedata.name(chr(c)).split()[0])
        for c in range(0x110000)
        if unicodedata.category(chr(c))[0] == "L" and unicodedata.name(chr(c), "")
    ]
    known = {name.upper(): name for name in SCRIPTS[1:-1]} | SAME
    wanted = [(letter, known[word]) for letter, word in letters if word in known]
    counts = letters_by_script(texts(*(letter for letter, _ in wanted)))
    assert (counts.sum(axis=1) == 0).sum() < 10  # fillers, which are drawn as nothing
    wrong = [
        (hex(ord(letter)), name, SCRIPTS[row.argmax()])
        for (letter, name), row in zip(wanted, counts, strict=True)
        if row.any()
        and SCRIPTS[row.argmax()] != name
        and ord(letter) < 0x10000  # beyond, some scripts have small supplements that no text is in
    ]
    assert wrong == []
    assert len(wanted) > 100_000
    assert min(Counter(name for _, name in wanted).values()) > 30


def test_counts_are_letters_only():
    counts = letters_by_script(texts("aé1 б漢カ한-ώ "))[0]
    found = {SCRIPTS[code]: int(number) for code, number in enumerate(counts) if number}
    assert found == {"Latin": 2, "Cyrillic": 1, "Han": 1, "Kana": 1, "Hangul": 1, "Greek": 1}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("plain English words", "Latin"),
        ("print(x) " * 20 + "これは短い説明です", "Kana"),  # a manual page: mostly code
        ("def f(): return 1\n" * 10 + "# Функция возвращает единицу", "Cyrillic"),
        ("word " * 1000 + "漢字", "Latin"),  # a name
        ("x = " * 40 + "π", "Latin"),  # a symbol
        ("π", "Greek"),
        ("漢字" * 50 + "の", "Han"),
        ("日本語の文章です", "Kana"),
        ("한국어", "Hangul"),
        ("123 !?", "none"),
        ("", "none"),
    ],
)
def test_what_a_text_is_in(text, script):
    assert script_of(text) == script


def test_prose_decides_where_there_is_enough_of_it():
    assert script_of("print " * 500 + "переведено полностью", "переведено полностью") == "Cyrillic"
    assert script_of("код " * 10, "ab") == "Cyrillic"  # two letters of prose say nothing
