"""Languages by a fastText model: the library's likeliest label, as a code; and which codes labels are."""

import random

import numpy as np
import pyarrow as pa
import pytest

from tests.support.fasttext_models import PLAIN, library, odd_texts, predicted, train
from winnow.text.fasttext.predict import Classifier
from winnow.text.language.by_model import ModelIdentifier
from winnow.text.language.codes import LANGUAGES, codes_of_labels
from winnow.text.language.sure import NOT_SURE, language_code, sure_languages

WORDS = {
    "eng_Latn": "the of and to in is that it was for".split(),
    "deu_Latn": "der die und in den von zu das mit sich".split(),
    "zho_Hans": "\u7684 \u4e00 \u662f \u4e0d \u4e86 \u5728 \u4eba \u6709 \u6211 \u4ed6".split(),
    "zho_Hant": "\u7684 \u500b \u70ba \u570b \u8aaa \u6642 \u4f86 \u9019 \u5011 \u5230".split(),
    "und_Latn": "zzz yyy xxx www vvv".split(),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    folder, draw = tmp_path_factory.mktemp("languages"), random.Random(1)
    lines = [f"__label__{name} {' '.join(draw.choices(words, k=8))}\n" for name, words in WORDS.items()] * 40
    (folder / "lines.txt").write_text("".join(lines))
    library().train_supervised(str(folder / "lines.txt"), **PLAIN).save_model(str(folder / "lid.bin"))
    return str(folder / "lid.bin")


def texts_of(number: int = 300) -> list[str]:
    draw = random.Random(2)
    every = [word for words in WORDS.values() for word in words]
    mixed = [" ".join(draw.choices(every, k=draw.randrange(1, 60))) for _ in range(number)]
    return [text.replace("the", "the\n") for text in mixed]


@pytest.mark.parametrize("kind", ["two", "softmax", "hs", "ova", "pruned", "output quantised"])
def test_the_likeliest_label_is_the_library_s(kind, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "fasttext-models"
    folder.mkdir(exist_ok=True)
    path = train(folder, kind)
    texts = odd_texts(300)
    label, probability = Classifier(path).likeliest(pa.array(texts, pa.large_string()))
    reference, labels = library().load_model(path), Classifier(path).labels
    said = [predicted(reference, text, 1) for text in texts]
    assert [None if n < 0 else labels[n] for n in label] == [found[0][1] if found else None for found in said]
    known = [found[0][0] for found in said if found]
    np.testing.assert_allclose(probability[label >= 0], known, rtol=0, atol=4e-7)
    assert np.isnan(probability[label < 0]).all()


def test_documents_are_in_the_code_of_the_likeliest_label(model):
    texts, least = texts_of(), 0.6
    found = ModelIdentifier(model, 40, least)(pa.array(texts, pa.large_string()))
    reference = library().load_model(model)
    codes = {"eng_Latn": "en", "deu_Latn": "de", "zho_Hans": "zh", "zho_Hant": "zh", "und_Latn": "und"}
    expected = []
    for text in texts:
        ((probability, label),) = predicted(reference, text[:40].replace("\n", " "), 1)
        expected.append(codes[label.removeprefix("__label__")] if probability >= least else "und")
    assert found.to_pylist() == expected and {"en", "de", "zh", "und"} <= set(expected)
    sure = ModelIdentifier(model, 40, 0.0)(pa.array(texts, pa.large_string())).to_pylist()
    assert sum(code == "und" for code in sure) < expected.count("und")


def test_texts_without_letters_or_without_anything_known_are_in_no_language(model):
    texts = ["", "1 2 3", "!!!", "the of 12", "</s>", "12 " * 30 + "the"]
    found = ModelIdentifier(model, 40, 0.0)(pa.array(texts, pa.large_string())).to_pylist()
    assert [found[n] for n in (0, 1, 2, 5)] == ["zxx"] * 4 and found[3] == "en"


def test_a_guard_is_sure_where_both_halves_agree(model):
    english, german = ("the of and to in " * 60, "der die und den von " * 60)
    identify = ModelIdentifier(model, 500, 0.9)
    found = sure_languages(pa.array([english, german + english, "zzz yyy " * 90], pa.large_string()), identify)
    assert found.tolist() == [language_code("en"), NOT_SURE, NOT_SURE]


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("__label__en", "en"), ("__label__eng_Latn", "en"), ("eng", "en"), ("EN-us", "en"), ("arb_Arab", "ar"),
        ("arz_Arab", "arz"), ("zho_Hant", "zh"), ("cmn_Hani", "zh"), ("yue_Hant", "yue"), ("nob_Latn", "no"),
        ("nno_Latn", "nn"), ("kik_Latn", "kik"), ("als_Latn", "sq"), ("als", "sq"), ("ydd_Hebr", "yi"),
        ("bod_Tibt", "bo"), ("nds", "nds"), ("bh", "bh"), ("und_Latn", "und"), ("zxx_Zxxx", "zxx"), ("other", "und"),
    ],
)  # fmt: skip
def test_labels_are_the_codes_that_the_rest_uses(label, code):
    assert codes_of_labels([label]) == (code,)


def test_a_model_s_own_distinctions_stay():
    assert codes_of_labels(["als", "sq", "sr", "sh"]) == ("als", "sq", "sr", "sh")
    assert codes_of_labels(list(LANGUAGES)) == tuple(LANGUAGES)


@pytest.mark.parametrize("label", ["hq", "__label__cc", "science", "", "e"])
def test_labels_of_something_else_are_refused(label):
    with pytest.raises(ValueError, match="is no code of a language"):
        codes_of_labels(["en", label])
