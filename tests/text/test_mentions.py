"""Mentions of groups: equal to a plain search word by word; lists of terms read, or refused by line."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import specification
from winnow.errors import ConfigError
from winnow.text.language.codes import LANGUAGES
from winnow.text.mentions.mentions import Finder
from winnow.text.mentions.terms import BUILT_IN, read_terms

HEAD = "category,group,language,term\n"
LIST = read_terms(
    (HEAD + "a,x,,red\na,x,,Red Fox\na,y,en,fox hunt\na,y,de,Straße\nb,z,,山羊\nb,z,fr,rouge\n,w,,o'neill\n").encode(),
    "t.csv",
)


def words(text: str) -> list[str]:
    return [word.casefold() for word in specification.words(text)]


def plain(text: str, language: str | None) -> set[str]:
    held = words(text)
    found = set()
    for term, group, of in zip(LIST.term, LIST.group.tolist(), LIST.language, strict=True):
        wanted = words(term)
        runs = (held[at : at + len(wanted)] for at in range(len(held)))
        if of in ("", language) and any(run == wanted for run in runs):
            found.add(LIST.groups[group])
    return found


PIECES = [
    "red",
    "RED",
    "fox",
    "Fox hunt",
    "foxhunt",
    "strasse",
    "STRASSE",
    "Straße",
    "山羊",
    "山",
    "rouge",
    "O’Neill",
    "o neill",
    "re\u00add",
]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from([" ", "-", "", ".\n"]))),
            st.sampled_from(["en", "de", "fr", None]),
        ),
        max_size=5,
    )
)
def test_equal_to_a_plain_search(documents):
    texts = ["".join(piece + gap for piece, gap in parts) for parts, _ in documents]
    languages = [language for _, language in documents]
    finder = Finder(LIST)
    found = finder(pa.array(texts, pa.large_string()), languages)
    told = [{LIST.groups[group] for group in np.flatnonzero(row)} for row in found]
    assert told == [plain(text, language) for text, language in zip(texts, languages, strict=True)]
    assert sum(finder.documents) >= found.sum()


def test_whole_words_folded_one_behind_the_other():
    texts = ["infrared", "A RED-FOX.", "red and fox", "Die STRASSE", "O’Neill", "red. Fox hunt"]
    found = Finder(LIST)(pa.array(texts, pa.large_string()), ["en", "en", "en", "de", "en", "de"])
    named = [[LIST.groups[g] for g in np.flatnonzero(row)] for row in found]
    assert named == [[], ["a: x"], ["a: x"], ["a: y"], ["w"], ["a: x"]]


def test_signs_are_no_patterns():
    listed = read_terms(b"group,term\ng,(wo)?men\ng,re.*\n", "t.csv")
    assert listed.altered == ["(wo)?men", "re.*"]
    found = Finder(listed)(pa.array(["women and men", "wo men", "red", "re"], pa.large_string()), [None] * 4)
    assert found[:, 0].tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "line 1: expected a header"),
        (b"group;term\na;b\n", "line 1: expected a header"),
        (b"group,term\n", "holds no term"),
        (b"group,term\na,b,c\n", "line 2: 3 columns where the header has 2"),
        (b"group,term\na,b\n\na,\n", "line 4: term is empty"),
        (b"group,term\na,.*\n", r"line 2: the term '\.\*' holds no letter and no digit; .* no patterns"),
        (b"group,language,term\na,xx,b\n", "line 2: 'xx' is no code of a language"),
        (b"group,term\na,b\xff\n", "is not UTF-8, at byte 14"),
        (b"group,term\na," + b"w " * 17 + b"\n", "line 2: .* has 17 words, over 16"),
    ],
)
def test_lists_that_cannot_be_used(content, told):
    with pytest.raises(ConfigError, match=rf"^t\.csv.*{told}"):
        read_terms(content, "t.csv")


def test_the_built_in_list():
    listed = read_terms(BUILT_IN.read_bytes(), "groups.csv")
    assert len(listed.groups) == 19 and not listed.altered
    assert set(listed.language) == {"en", "de", "fr", "es", "zh", "ru"} <= set(LANGUAGES)
    lines = BUILT_IN.read_text().splitlines()[1:]
    assert len(lines) == len(set(lines)) == len(listed.term)


def test_tabs_and_a_mark_at_the_beginning():
    listed = read_terms("\ufeffterm\tgroup\nx, y\tg\n".encode(), "t.tsv")
    assert (listed.groups, listed.term, len(listed.words[0])) == (["g"], ["x, y"], 2)


def test_real_text(shared):
    """Every document of two real sources, beside the plain search."""
    import zstandard

    texts = []
    for name in ("05-readability-pages", "12-php-doc-ja"):
        with open(shared / f"corpus/{name}.jsonl.zst", "rb") as file:
            lines = zstandard.ZstdDecompressor().stream_reader(file).read(1_500_000).splitlines()[:-1]
        texts += [json.loads(line)["text"][:5_000] for line in lines[:40]]
    listed = read_terms((HEAD + ",a,,she\n,a,,her\n,b,,open source\n,c,,関数\n").encode(), "t.csv")
    found = Finder(listed)(pa.array(texts, pa.large_string()), [None] * len(texts))
    for text, row in zip(texts, found.tolist(), strict=True):
        held = f" {' '.join(words(text))} "
        assert row == [any(f" {w} " in held for w in group) for group in (("she", "her"), ("open source",), ("関 数",))]
