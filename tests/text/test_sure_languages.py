"""A language is sure where both halves of the prose are called the same, by py3langid itself."""

import pyarrow as pa
import pytest
from py3langid import langid

from winnow.text.language.config import HALF
from winnow.text.language.detect import LanguageIdentifier
from winnow.text.language.sure import LEAST_BYTES, NOT_SURE, language_code, sure_languages

ENGLISH = (
    "The committee met on Thursday to discuss the new rules for the harbour, and most of those who spoke were against "
    "them. They said that the boats had always been moored along the northern wall, and that nobody had complained. "
)
GERMAN = (
    "Der Ausschuss kam am Donnerstag zusammen, um die neuen Regeln für den Hafen zu besprechen, und die meisten, die "
    "das Wort ergriffen, waren dagegen. Sie sagten, die Boote hätten immer an der nördlichen Mauer gelegen. "
)
JAPANESE = "委員会は木曜日に会合を開き、港の新しい規則について話し合いました。発言した人の多くは反対でした。" * 4


@pytest.fixture(scope="module")
def identify() -> LanguageIdentifier:
    return LanguageIdentifier(HALF)


def sure(identify: LanguageIdentifier, *texts: str) -> list[int]:
    return sure_languages(pa.array(texts, pa.large_string()), identify).tolist()


def test_both_halves_must_agree(identify):
    found = sure(identify, ENGLISH * 3, GERMAN * 3, JAPANESE, ENGLISH * 3 + GERMAN * 3, "", "short", "12 " * 500)
    assert found == [*map(language_code, ("en", "de", "ja")), NOT_SURE, NOT_SURE, NOT_SURE, NOT_SURE]


def test_the_label_is_that_of_py3langid(identify):
    for text in (ENGLISH * 3, GERMAN * 3):
        assert sure(identify, text) == [language_code(langid.classify(text)[0])]


@pytest.mark.parametrize("shift", range(4))
def test_a_half_does_not_begin_inside_a_character(identify, shift):
    text = "a" * shift + "港の新しい規則について話し合い" * 30
    assert len(text.encode()) >= LEAST_BYTES
    assert sure(identify, text) == [language_code("ja")]
