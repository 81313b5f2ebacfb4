"""N-gram models: against KenLM's library, a plain reference, and numbers worked out by hand."""

import base64
import random
import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import ngram_reference
from winnow.text.ngrams.arpa import ArpaError, is_kenlm_binary, read_arpa, read_counts
from winnow.text.ngrams.kenlm import KenlmModel
from winnow.text.ngrams.model import score
from winnow.text.ngrams.tokens import tokens_of
from winnow.text.ngrams.training import arpa_lines, train
from winnow.text.words import hash_words

BY_HAND = """\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.5
-2 </s>
-0.3\ta\t-0.25
-4e-1\tb\t-0.125

\\2-grams:
-0.0625\t<s> a\t-0.75
-0.5\ta b\t0.0
-0.03125\tb </s>

\\3-grams:
-0.015625\t<s> a b

\\end\\
"""
BY_HAND_IN_KENLM_S_FORM = (  # build_binary -s trie, of kenlm 0.3.0
    b"c-qU&O)OBz$yLZGDJihh*U!#KO-##7%}LQq&d=3P&QD2INXswEO)OC;OD!tS%+FIW<zhg9274f}pAks>2Lg}?BUFYNOdhajf{KAKD~cRKEeNnc>4G"
    b"}Ny_RjI41(F&moJHnvvcKq|5#i6AlqC^Yf|l>?pH{5?*|bG{;@+Kx4?L_X3pFPl-`GA#Q~6dn4M?OoB_%0V`4xB%naB8P~RIM{;R~m;J^>$PXOXNW"
    b"Cw5{seFR$GX|T|ylguLn_@eLL<SpuAeF=b09C|2bN"
)
WORDS = [f"w{n}" for n in range(25)]


def array(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def read(folder, content: str | bytes, kind="whitespace", name="model.arpa"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_arpa(str(path), kind, f"{folder}{name}{zlib.crc32(path.read_bytes())}")


def scores(model, texts, kind="whitespace", *, by_line=True):
    return score(model, tokens_of(array(texts), kind, by_line=by_line))


def sentences(number: int, longest: int = 12) -> list[list[str]]:
    draw = random.Random(number)
    weights = [1 / (n + 1) for n in range(len(WORDS))]
    return [draw.choices(WORDS, weights, k=draw.randrange(1, longest)) for _ in range(number)]


def trained(number: int, min_counts, vocabulary: int = 99):
    return train([array([" ".join(s) for s in sentences(number)])], "whitespace", min_counts, vocabulary, by_line=True)


def test_scores_that_were_worked_out_by_hand(tmp_path):
    model = read(tmp_path, BY_HAND)
    found = scores(model, ["a b", "b", "a a", "x", "", "a b\n\nb", "b </s> a", "a\u00a0b"])
    a_b = -0.0625 - 0.015625 - 0.03125  # `a b </s>` is not there, and `a b` has no backoff
    b = -0.5 - 0.4 - 0.03125
    expected = [
        a_b,
        b,
        -0.0625 + (-0.75 - 0.25 - 0.3) + (-0.25 - 2),
        -0.5 - 1 - 2,
        0,
        a_b + b,
        (-0.5 - 0.4) + (-0.125 - 1) + -0.3 + (-0.25 - 2),  # what is written `</s>` is a word that nobody knows
        -0.5 - 1 - 2,
    ]
    np.testing.assert_allclose(found.log10, expected, rtol=0, atol=1e-6)
    assert found.tokens.tolist() == [2, 1, 2, 1, 0, 3, 3, 1] and found.sentences.tolist() == [1, 1, 1, 1, 0, 2, 1, 1]
    assert found.unknown.tolist() == [0, 0, 0, 1, 0, 0, 1, 1]
    whole = scores(model, ["a\nb"], by_line=False)
    np.testing.assert_allclose(whole.log10, [a_b], rtol=0, atol=1e-6)


def test_a_binary_file_of_kenlm_says_what_its_arpa_file_says(tmp_path):
    pytest.importorskip("kenlm", reason="kenlm, the reference, is not installed")
    path = tmp_path / "model.binary"
    path.write_bytes(zlib.decompress(base64.b85decode(BY_HAND_IN_KENLM_S_FORM)))
    assert is_kenlm_binary(str(path))
    texts = ["a b", "b", "a a", "x", "", "a b\n\nb", " \n", "b x a b"]
    for by_line in (True, False):
        found = KenlmModel(str(path), by_line=by_line)(array(texts))
        ours = scores(read(tmp_path, BY_HAND), texts, by_line=by_line)
        np.testing.assert_allclose(found.log10, ours.log10, rtol=0, atol=1e-5)
        assert [column.tolist() for column in found[1:]] == [column.tolist() for column in ours[1:]]


@pytest.mark.parametrize("min_counts", [[1, 1, 2], [1, 1, 1, 2, 2], [1, 2], [1]])
def test_trained_models_are_those_of_the_plain_reference_and_of_kenlm(tmp_path, min_counts):
    made = trained(400, min_counts, vocabulary=20)
    content = b"".join(arpa_lines(made))
    plain = ngram_reference.kneser_ney(sentences(400), {*made.words} - {"<s>"}, min_counts)
    lines = [line.split("\t") for line in content.decode().splitlines() if "\t" in line]
    found = {tuple(words.split()): (float(value), float(rest[0]) if rest else 0.0) for value, words, *rest in lines}
    assert found.keys() == plain.keys() and len(made.words) == 23 and made.left_out > 0
    for gram, values in plain.items():
        assert found[gram] == pytest.approx(values, abs=1e-5), gram
    texts = [" ".join(s) for s in sentences(150)] + ["new w1 w2", "w1 new w2 w3"]
    model = read(tmp_path, content)
    ours = scores(model, texts).log10
    np.testing.assert_allclose(
        ours, [ngram_reference.score(plain, len(min_counts), t.split()) for t in texts], rtol=0, atol=1e-4
    )
    pytest.importorskip("kenlm", reason="kenlm, the reference, is not installed")
    if len(min_counts) > 1:  # it reads none of order 1
        library = KenlmModel(str(tmp_path / "model.arpa"), by_line=True)(array(texts))
        np.testing.assert_allclose(ours, library.log10, rtol=0, atol=1e-4)
        for name in ("tokens", "sentences", "unknown"):
            assert getattr(scores(model, texts), name).tolist() == getattr(library, name).tolist()


@pytest.mark.parametrize("min_counts", [[1, 1, 2], [1, 2]])
def test_probabilities_behind_any_context_add_up_to_1(tmp_path, min_counts):
    made = trained(300, min_counts)
    model = read(tmp_path, b"".join(arpa_lines(made)))
    number = {word: n for n, word in enumerate(made.words)}

    def behind(context: list[str], word: int) -> float:
        """The logarithm of a context's probability with another word in place of its end."""
        return float(scores(model._replace(end=word), [" ".join(context)]).log10[0])

    for context in (["w3", "w0"], ["new", "w1"], ["w2", "w2", "w2", "w24"], ["w1", "new", "new"]):
        whole = behind(context[:-1], number.get(context[-1], model.unknown))
        every = [behind(context, word) for name, word in number.items() if name != "<s>"]
        assert sum(10.0 ** (value - whole) for value in every) == pytest.approx(1, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab\n\t \v\f\r\x1c\u00a0\u00e9\u4e2d'-"), max_size=30), max_size=6))
def test_tokens_are_those_of_python_and_of_ours(texts):
    found = tokens_of(array(texts), "whitespace", by_line=True)
    ours = tokens_of(array(texts), "words", by_line=True)
    assert ours.hashes.tolist() == hash_words(array(texts)).hashes.tolist()
    for kind in (found, ours):
        assert len(kind.begins) == len(kind.hashes) == kind.offsets[-1]
    at = 0
    for text in texts:
        raw = text.encode()
        spoken = [line.split() for line in raw.split(b"\n")]
        for words in spoken:
            for n, word in enumerate(words):
                start, end = found.places[at]
                assert raw[start:end] == word and found.begins[at] == (n == 0)
                at += 1
        lines = [hash_words(array([line])).hashes for line in text.split("\n")]
        row = texts.index(text)
        begins = ours.begins[ours.offsets[row] : ours.offsets[row + 1]]
        assert begins.sum() == sum(len(line) > 0 for line in lines)
    assert at == len(found.hashes)


def test_our_words_are_folded_and_a_vocabulary_of_others_is_refused(tmp_path):
    texts = ["The house, the HOUSE; \u4e2d\u6587 co\u00adop", "the house is \u4e2d"]
    made = train([array(texts)], "words", [1, 1], 99, by_line=True)
    assert {"the", "house", "\u4e2d", "\u6587", "coop", "is"} == set(made.words[3:])
    content = b"".join(arpa_lines(made))
    model = read(tmp_path, content, "words")
    plain, loud = scores(model, ["the house"], "words"), scores(model, ["THE  house!!"], "words")
    assert plain.log10[0] == loud.log10[0] and plain.unknown[0] == 0
    with pytest.raises(ArpaError, match=r"are none by `tokens: words` .*such as .*set `tokens: whitespace`"):
        read(
            tmp_path,
            BY_HAND.replace("\ta\t", "\tA,\t").replace(" a", " A,").replace("\ta ", "\tA, "),
            "words",
            "b.arpa",
        )


def test_the_most_frequent_words_are_the_vocabulary_and_the_rest_is_unknown():
    made = train([array(["a a a b b c", "d <s> <unk>"])], "whitespace", [1], 2, by_line=True)
    assert made.words == ["<unk>", "<s>", "</s>", "a", "b"] and made.left_out == 4
    assert (made.tokens, made.sentences, made.documents) == (9, 2, 2)
    with pytest.raises(ValueError, match="no words to train on"):
        train([array(["", "\n"])], "whitespace", [1], 2, by_line=True)


def test_an_n_gram_whose_end_is_not_there_is_still_found(tmp_path):
    odd = BY_HAND.replace("ngram 3=1", "ngram 3=2").replace("<s> a b\n\n", "<s> a b\n-0.25\ta b b\n\n")
    model = read(tmp_path, odd)
    assert not model.closed and read(tmp_path, BY_HAND, name="b.arpa").closed
    np.testing.assert_allclose(scores(model, ["a b b"]).log10, [-0.0625 - 0.015625 - 0.25 - 0.03125], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[:-8], "was cut short: it does not end with"),
        (lambda t: "", "is empty"),
        (lambda t: "words\n", "does not begin with"),
        (lambda t: b"\x1f\x8b" + t.encode(), "compressed"),
        (lambda t: t.replace("ngram 2=3", "ngram 3=3"), "has orders"),
        (lambda t: t.replace("ngram 2=3", "ngrams: 3"), "is damaged: behind"),
        (lambda t: t.replace("ngram 2=3", "ngram 2=4"), "damaged"),
        (lambda t: t.replace("ngram 2=3", "ngram 2=2"), r"expected .3-grams:|more or fewer lines"),
        (lambda t: t.replace("ngram 1=5", "ngram 1=9000000000"), "do not fit"),
        (lambda t: t.replace("-2 </s>", "-2 c"), "has no </s>|damaged"),
        (lambda t: t.replace("\ta b\t", "\ta c\t"), "known words"),
        (lambda t: t.replace("-0.5\ta b", "x\ta b"), "expected a logarithm"),
        (lambda t: t.replace("-0.03125\tb </s>", "-0.03125\ta b"), "each n-gram once"),
        (lambda t: t.replace("-0.3\ta\t", "-0.3\tb\t"), "stands twice"),
        (lambda t: t.replace("-0.3\ta", "0.3\ta"), "above 0"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, message):
    with pytest.raises(ArpaError, match=message):
        read(tmp_path, change(BY_HAND))
        read_counts(str(tmp_path / "model.arpa"))
