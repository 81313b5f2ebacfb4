"""Labels equal py3langid's own on every kind of text."""

import io
import json
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from py3langid import langid

from winnow.text.language.config import LanguageConfig
from winnow.text.language.detect import LanguageIdentifier
from winnow.text.language.kernel import CHARACTER_FLAGS, COMPOSED, NOT_SURE, Machine, best_columns, prefixes

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
CORPUS = sorted(SHARED.glob("[0-9]*.jsonl.zst"))

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "Der schnelle braune Fuchs springt über den faulen Hund.",
    "Le vif renard brun saute par-dessus le chien paresseux.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "いろはにほへと ちりぬるを わかよたれそ つねならむ",
    "天地玄黃,宇宙洪荒。日月盈昃,辰宿列張。",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر",
    "Љубазни фењерџија чађавог лица хоће да ми покаже штос.",
    "Do'stim, bugun havo juda yaxshi, keling sayr qilamiz.",
]
HOSTILE = [
    "",
    " ",
    "\n\t",
    "1234567890 -- ++",
    "\x00",
    "A",
    "ÄÖÜ",
    "ДОБРЫЙ ДЕНЬ",
    "ΚΑΛΗΜΕΡΑ",
    "ALL CAPITALS: THE TERMS OF THIS LICENCE",
    "ALL CAPITALS AND 中文",
    "ÉTÉ À LA PLAGE",
    "e\u0301te\u0301 a\u0300 la plage, cafe\u0301",
    "\u0301",
    "\u1100\u1161\u11a8 \uac00\u11a8",
    "\ufb01n de la \u212bngstr\u00f6m",
    "ǅ ǈ",
    "Ⅷ Ⓐ",
    "𝐀𝐁𝐂 😀 \U000e0041 \U0010ffff",
]


@cache
def identifier(characters: int = 2000) -> LanguageIdentifier:
    return LanguageIdentifier(LanguageConfig(characters=characters))


@cache
def reference() -> langid.LanguageIdentifier:
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)


def labels(texts: list[str], characters: int = 2000) -> list[str]:
    return identifier(characters)(pa.array(texts, pa.large_string())).to_pylist()


def expected(texts: list[str], characters: int = 2000) -> list[str]:
    """py3langid's, and no language where there is no letter: of digits and marks it says Afrikaans."""
    return [
        reference().classify(text[:characters])[0] if any(map(str.isalpha, text[:characters])) else "zxx"
        for text in texts
    ]


def test_sentences_and_hostile_texts():
    texts = SENTENCES + HOSTILE + [text.upper() for text in SENTENCES]
    assert labels(texts) == expected(texts)
    assert labels(SENTENCES[:3]) == ["en", "de", "fr"]


def test_decomposed_text():
    texts = [unicodedata.normalize("NFD", text) for text in SENTENCES]
    assert labels(texts) == expected(texts)
    assert labels(texts) == labels(SENTENCES)


@pytest.mark.skipif(not CORPUS, reason=f"{SHARED} is not here")
@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name.split(".")[0])
def test_corpus_sample(file):
    with zstandard.open(file, "rb") as raw:
        lines = list(io.TextIOWrapper(raw, "utf-8"))
    texts = [json.loads(line)["text"] for line in lines[:: max(1, len(lines) // 60)]]
    assert labels(texts) == expected(texts)


ALPHABETS = st.sampled_from(SENTENCES + HOSTILE).flatmap(lambda text: st.text(alphabet=text or " ", max_size=80))


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.one_of(st.text(max_size=60), ALPHABETS, st.sampled_from(SENTENCES)), max_size=6))
@example(texts=["ß", "ﬁ", "İ", "ŉ", "ΐ"])
def test_any_text(texts):
    assert labels(texts) == expected(texts)


@settings(max_examples=60, deadline=None)
@given(
    mixture=st.lists(st.sampled_from(SENTENCES), min_size=2, max_size=8).map(" ".join),
    characters=st.sampled_from([1, 7, 50, 128]),
)
def test_only_the_first_characters_count(mixture, characters):
    assert labels([mixture], characters) == expected([mixture], characters)


def test_near_ties_are_decided_by_the_reference(monkeypatch):
    # Half a sentence of one language after half of another: somewhere the best label changes.
    english, german = SENTENCES[0] * 4, SENTENCES[1] * 4
    texts = [english[:cut] + german[: len(english) - cut] for cut in range(len(english))]
    asked = []
    encoder = identifier()
    decide = encoder._decide
    monkeypatch.setattr(encoder, "_decide", lambda encoded: asked.append(encoded) or decide(encoded))
    short = ["a", "b", "ab", "zz", "12", "xx yy"] + [chr(code) for code in range(0x21, 0x250)]
    assert labels(texts + short) == expected(texts + short)
    assert len(asked) < len(texts + short) / 5


@pytest.mark.parametrize(
    "text", ["", "12 345,6", "\n\n* * *\n", "١٢٣", "🎉🎉", "©®", "-" * 5000, "2024-01-01 | 3.5 %\n" * 300]
)
def test_what_has_no_letter_is_in_no_language(text):
    assert labels([text, "The letters of this sentence are Latin."]) == ["zxx", "en"]


def test_a_letter_behind_the_characters_that_are_looked_at_does_not_count():
    assert labels(["1" * 50 + " and this is English text"], 50) == ["zxx"]


def test_ties_do_not_depend_on_the_batch():
    texts = SENTENCES + HOSTILE
    assert labels(texts) == [label for text in texts for label in labels([text])]


def test_column_type_and_slices():
    result = identifier()(pa.array(SENTENCES, pa.large_string()).slice(1, 2))
    assert result.type == pa.dictionary(pa.int16(), pa.string())
    assert result.to_pylist() == ["de", "fr"]
    assert len(identifier()(pa.array([], pa.large_string()))) == 0
    assert len(set(identifier().labels)) == len(identifier().labels) == 140
    with pytest.raises(TypeError, match="large_string"):
        identifier()(pa.array(["x"]))


def test_characters_that_are_called_composed_are():
    seconds = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))  # Hangul vowels and finals
    for code in range(0x110000):
        decomposition = unicodedata.decomposition(chr(code))
        if decomposition and decomposition[0] != "<" and " " in decomposition:
            seconds.add(int(decomposition.split()[1], 16))
    for code in np.flatnonzero(CHARACTER_FLAGS).tolist():
        character = chr(code)
        assert unicodedata.is_normalized("NFC", character), hex(code)
        assert unicodedata.combining(character) == 0, hex(code)
        assert code not in seconds, hex(code)
    for first, last, cased in COMPOSED.tolist():
        if not cased:
            letters = [chr(code) for code in range(first, last + 1)]
            assert not [hex(ord(c)) for c in letters if c.isupper() or c.lower() != c], hex(first)
    for code in np.flatnonzero(CHARACTER_FLAGS == 3).tolist():
        assert chr(code).islower()


def test_prefix_ends():
    texts = ["", "abc", "äöü", "中文字", "😀😀"]
    column = pa.array(texts, pa.large_string())
    data = np.frombuffer(column.buffers()[2], np.uint8)
    offsets = np.frombuffer(column.buffers()[1], np.int64)
    ends, plain = prefixes(data, offsets, 2)
    assert (ends - offsets[:-1]).tolist() == [len(text[:2].encode()) for text in texts]
    assert plain.tolist() == [True, True, False, True, True]


def test_a_model_of_another_kind_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "winnow.numeric.cached_arrays.CACHE_FOLDER", str(tmp_path)
    )  # the model is read, not found prepared
    model = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
    model.nb_ptc = model.nb_ptc[:10].astype(np.float32) + np.float32(0.0001)
    monkeypatch.setattr(langid.LanguageIdentifier, "from_model_file", lambda path: model)
    with pytest.raises(ValueError, match=r"install py3langid 0\.4"):
        LanguageIdentifier(LanguageConfig())


@pytest.mark.parametrize(("difference", "label"), [(0, NOT_SURE), (1, 1), (-1, 0)])
def test_the_kernel_is_sure_only_beyond_rounding(difference, label):
    # One state that emits feature 0 at every byte, and two labels whose weights differ by so many 1/512.
    weights = np.zeros((2, 32), np.int16)
    weights[0, :2] = [-5000, -5000 + difference]
    found = best_columns(
        np.frombuffer(b"xxx", np.uint8),
        np.array([0]),
        np.array([3]),
        Machine(np.zeros(256, np.uint8), np.ones((1, 16), np.uint32), np.array([-1], np.int32), np.zeros(1, np.int32)),
        0,
        weights,
        np.zeros(2),
        np.log1p(np.arange(5.0)),
        np.array([0, 1], np.int16),
    )
    assert found.tolist() == [label]
