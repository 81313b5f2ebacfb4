"""The tokeniser equals tiktoken (rank files) and tokenizers (tokenizer.json)."""

import io
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import regex
import tiktoken
import tokenizers
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.tokens.config import TokeniserConfig
from winnow.tokens.cuts import _is_hard, cut_long
from winnow.tokens.patterns import PATTERNS
from winnow.tokens.tokeniser import Checked, TokenisedTexts, Tokeniser

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} (corpus and vocabularies) is not here")
CORPUS = sorted((SHARED / "corpus").glob("[0-9]*.jsonl.zst"))
SPECIAL = ["<|endoftext|>", "<s>", "</s>", "<unk>", "[SEP]", "<|endofprompt|>"]
HOSTILE = [
    "",
    " ",
    "\n",
    *(f"a{token}b {token}" for token in SPECIAL),
    "don't DON'T I'll we'Ve x's's 'ſ ''s",
    "e\u0301 \u0301\u0301 क्षत्रिय 你好，世界。 こんにちは 한국어 ไทย",
    "👩‍👩‍👧‍👦🏳️‍🌈 \u00a0\u3000 \u2028x",
    "12345678901 1,234.56 ²³ ٣٤٥",
    "\x00\x01\x7f\ufffd\ufeff",
    "    def f(x):\n\t\treturn x\r\n\r\n  \n",
]


def column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def rows(tokenised: TokenisedTexts) -> list[list[int]]:
    return [tokenised.ids[a:b].tolist() for a, b in zip(tokenised.offsets, tokenised.offsets[1:], strict=False)]


@cache
def tokeniser(encoding: str = "o200k_base", engine: str = "gigatoken") -> Tokeniser:
    if encoding.endswith((".json", ".tiktoken")):
        if not SHARED.is_dir():
            pytest.skip(f"{SHARED} is not here")
        encoding = str(SHARED / "vocab" / encoding)
    return Tokeniser(TokeniserConfig(encoding=encoding, engine=engine))


@cache
def oracle(encoding: str) -> tiktoken.Encoding:
    vocabulary = tokeniser(encoding).vocabulary
    return tiktoken.Encoding(
        vocabulary.name,
        pat_str=vocabulary.pattern.regex,
        mergeable_ranks=vocabulary.ranks,
        special_tokens=dict(vocabulary.special_tokens),
    )


@cache
def sample(file: Path, every: int) -> list[str]:
    with zstandard.open(file, "rb") as raw:
        lines = list(io.TextIOWrapper(raw, "utf-8"))
    texts = [json.loads(line)["text"] for line in lines[::every]]
    return [text[:20_000] for text in texts]


RANKS = ["o200k_base", "cl100k_base", "gpt2.tiktoken"]


@pytest.mark.parametrize("encoding", RANKS)
@pytest.mark.parametrize("engine", ["gigatoken", "tiktoken"])
def test_hostile_texts_equal_tiktoken(encoding, engine):
    encoder = tokeniser(encoding, engine)
    result = encoder.encode(column(HOSTILE))
    assert encoder.engine == engine
    assert rows(result) == [oracle(encoding).encode_ordinary(text) for text in HOSTILE]
    assert result.ids.dtype == (np.uint16 if "gpt2" in encoding else np.uint32)
    assert result.offsets.dtype == np.int64
    assert encoder.vocabulary.decode(result.ids) == "".join(HOSTILE).encode()


@needs_shared
@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name.split(".")[0])
@pytest.mark.parametrize("encoding", RANKS)
def test_corpus_sample_equals_tiktoken(encoding, file):
    texts = sample(file, 397)
    assert rows(tokeniser(encoding).encode(column(texts))) == [oracle(encoding).encode_ordinary(text) for text in texts]


@pytest.mark.parametrize("encoding", RANKS)
@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=60), max_size=8))
def test_any_text_equals_tiktoken(encoding, texts):
    assert rows(tokeniser(encoding).encode(column(texts))) == [oracle(encoding).encode_ordinary(text) for text in texts]


def test_slices_and_empty_columns():
    texts = column(["zero", "one two", "three"])
    encoder = tokeniser()
    assert rows(encoder.encode(texts.slice(1, 1))) == [oracle("o200k_base").encode_ordinary("one two")]
    empty = encoder.encode(column([]))
    assert empty.ids.dtype == np.uint32
    assert empty.offsets.tolist() == [0]
    assert rows(encoder.encode(column(["", ""]))) == [[], []]
    with pytest.raises(TypeError, match="large_string"):
        encoder.encode(pa.array(["x"]))


# Long documents: the same code as for a megabyte, with small parts.


@cache
def cutting(encoding: str, part_bytes: int, soft_bytes: int, overlap_tokens: int) -> Tokeniser:
    encoder = Tokeniser(tokeniser(encoding).config)
    encoder._part_bytes, encoder._soft_bytes, encoder._overlap_tokens = part_bytes, soft_bytes, overlap_tokens
    return encoder


PIECES = st.sampled_from(
    [
        *"aZé中あ한1٣ \t\n\r'’/=.،，。、\u00a0\u3000\u0301ǅʰ😀_",
        "'s",
        "'LL",
        " '",
        "\r\n",
        "中。",
        "a中",
        "AbC",
        " \n",
        "x1y",
    ]
)


@pytest.mark.parametrize("encoding", RANKS)
@settings(max_examples=60, deadline=None)
@given(parts=st.lists(PIECES, min_size=4, max_size=60))
def test_hard_cuts_never_change_the_ids(encoding, parts):
    text = "".join(parts)
    assert rows(cutting(encoding, 4, 1 << 30, 2).encode(column([text]))) == [oracle(encoding).encode_ordinary(text)]


RUNS = st.sampled_from(
    [
        "a",
        "Z",
        "ab",
        "aB",
        "bcdefghij",
        "中",
        "中文字",
        "あ",
        "=",
        "-=+",
        "\n",
        " ",
        "\t ",
        "\n ",
        " \n",
        "\r\n",
        "/",
        "'",
        "1",
        "é",
        "\u0301",
    ]
)


@pytest.mark.parametrize("encoding", RANKS)
@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(st.tuples(RUNS, st.integers(0, 1500), st.integers(0, 2)), min_size=1, max_size=5),
    between=st.lists(PIECES, min_size=5, max_size=5),
)
def test_soft_cuts_never_change_the_ids(encoding, runs, between):
    text = "".join(
        run * (count // len(run)) + filler * many for (run, count, many), filler in zip(runs, between, strict=False)
    )
    assert rows(cutting(encoding, 600, 300, 1).encode(column([text]))) == [oracle(encoding).encode_ordinary(text)]


def traps(long: int) -> dict[str, str]:
    """Texts whose words depend on what stands far away."""
    return {
        "capitals behind CJK, then a small letter": "中" * long + "A" * long + "b",
        "capitals behind an accent": "é\u0301" + "A" * long + "b",
        "capitals and one small letter": "x " + "A" * long + "b" + "C" * long,
        "line breaks behind punctuation": ";" + "\n" * long + "  \n x",
        "slashes behind a line break": ";\n" + "/" * long + "=" * long + "\n",
        "blanks between line breaks": "a\n" + " " * long + "\n" + " " * long + "x",
        "blanks before a wide space": "a" + " " * long + "\u00a0\n" + "\t" * long + "x",
        "apostrophes before letters": "x" + "'" * long + "s and " + "'" * long + "ll",
        "small letters before CJK, a capital behind": "a" + "中文" * long + "Za",
        "a contraction before a run": "'LL" + "a" * long,
        "contractions": "it's IT'S don't " * long,
        "letters behind an apostrophe": "x'" + "s" * long + "'s",
        "pictographs": "a😀" + "😀🎉" * long + "\n",
        "digits": "1" * long + "a" + "23" * long,
    }


@pytest.mark.parametrize("encoding", RANKS)
@pytest.mark.parametrize("trap", list(traps(1)))
def test_places_where_a_cut_would_be_wrong(encoding, trap):
    text = traps(1200)[trap]  # longer than the least run of a soft cut
    expected = [oracle(encoding).encode_ordinary(text)]
    for part_bytes in (3, 5, 600):
        assert rows(cutting(encoding, part_bytes, 200, 1).encode(column([text]))) == expected


# Stronger than equal ids: the words themselves, by the regular expressions that tiktoken itself depends on.
WORDS = {name: regex.compile(PATTERNS[name].regex) for name in ("r50k", "cl100k", "o200k")}


def word_ends(name: str, text: str) -> set[int]:
    return {len(text[: match.end()].encode()) for match in WORDS[name].finditer(text)}


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(PIECES, min_size=2, max_size=12))
def test_a_hard_cut_is_the_end_of_a_word_and_the_words_before_do_not_need_the_rest(parts):
    text = "".join(parts)
    data = np.frombuffer(text.encode(), np.uint8)
    for at in [at for at in range(1, len(data)) if _is_hard(data, 0, at)]:
        before, after = data[:at].tobytes().decode(), data[at:].tobytes().decode()
        for name in WORDS:
            joined = word_ends(name, before) | {at + end for end in word_ends(name, after)}
            assert joined == word_ends(name, text), (name, at)


@settings(max_examples=150, deadline=None)
@given(
    runs=st.lists(st.tuples(RUNS, st.integers(1, 30)), min_size=1, max_size=5),
    between=st.lists(st.one_of(st.just(""), PIECES), min_size=6, max_size=6),
)
def test_both_sides_of_a_soft_cut_find_the_same_words(runs, between):
    assert_soft_cuts_keep_words(
        between[-1] + "".join(run * count + filler for (run, count), filler in zip(runs, between, strict=False))
    )


@pytest.mark.parametrize("trap", list(traps(20)))
def test_traps_for_soft_cuts(trap):
    assert_soft_cuts_keep_words(traps(20)[trap])


def assert_soft_cuts_keep_words(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    ends, floors = cut_long(data, 0, len(data), 12, 10, 8)
    for at, floor in zip(ends.tolist(), floors.tolist(), strict=True):
        if floor < 0:
            continue
        before = data[:at].tobytes().decode()
        for name in WORDS:
            whole = word_ends(name, text)
            assert word_ends(name, before) - {at} <= whole, (name, text, at)
            for start in range(floor + 1, at - 2, 2):
                if data[start] & 0xC0 == 0x80:
                    continue
                after = word_ends(name, data[start:].tobytes().decode())
                assert {start + end for end in after} == {end for end in whole if end > start}, (name, at)


@pytest.mark.parametrize("encoding", RANKS)
@pytest.mark.parametrize("seed", range(4))
def test_random_letters_in_one_run(encoding, seed):
    letters = np.random.default_rng(seed).integers(97, 97 + [2, 4, 13, 26][seed], 20_000).astype(np.uint8)
    text = letters.tobytes().decode()
    encoder = cutting(encoding, 4_000, 2_300, 4)
    assert rows(encoder.encode(column([text]))) == [oracle(encoding).encode_ordinary(text)]
    han = "".join(map(chr, np.random.default_rng(seed).integers(0x4E00, 0x9FA5, 6_000)))
    assert rows(encoder.encode(column([han, text]))) == [oracle(encoding).encode_ordinary(t) for t in (han, text)]


@pytest.mark.parametrize("engine", ["gigatoken", "tiktoken"])
@pytest.mark.parametrize("unit", [" ", "a", "\n", "中", "word ", " \n"])
def test_megabytes_without_a_split(engine, unit):
    # On white space of this length tiktoken alone overflows its stack; in parts it does not.
    text = unit * ((3 << 19) // len(unit.encode()))  # two parts
    encoder = tokeniser(engine=engine)
    result = encoder.encode(column(["x", text, "y"]))
    assert encoder.vocabulary.decode(result.ids[result.offsets[1] : result.offsets[2]]) == text.encode()
    assert np.array_equal(result.ids, tokeniser().encode(column(["x", text, "y"])).ids)
    assert encoder.check(column(["x", text, "y"]), result).mismatches == []


# tokenizer.json


def json_oracle(path: Path, texts: list[str]) -> list[list[int]]:
    reference = tokenizers.Tokenizer.from_file(str(path))
    reference.encode_special_tokens = True
    return [reference.encode(text, add_special_tokens=False).ids for text in texts]


@needs_shared
@pytest.mark.parametrize("name", ["gpt2-tokenizer.json", "llama-tokenizer.json"])
def test_tokenizer_json_equals_tokenizers(name):
    texts = HOSTILE + [text[:3000] for file in CORPUS for text in sample(file, 397)[:6]]
    encoder = tokeniser(name)
    assert encoder.engine == "gigatoken"
    result = encoder.encode(column(texts))
    expected = json_oracle(SHARED / "vocab" / name, texts)
    assert rows(result) == expected
    assert result.ids.dtype == np.uint16
    assert rows(tokeniser(name, "tiktoken").encode(column(texts))) == expected
    checked = encoder.check(column(texts), result)
    assert checked.mismatches == []
    end = encoder.vocabulary.end_of_text
    assert end not in result.ids


@needs_shared
def test_gpt2_json_and_gpt2_ranks_agree():
    texts = column(HOSTILE + sample(CORPUS[0], 97))
    assert rows(tokeniser("gpt2-tokenizer.json").encode(texts)) == rows(tokeniser("gpt2.tiktoken").encode(texts))


@needs_shared
@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_equals_tokenizers_for_llama(text):
    expected = json_oracle_cached().encode(text, add_special_tokens=False).ids
    assert rows(tokeniser("llama-tokenizer.json").encode(column([text]))) == [expected]


@cache
def json_oracle_cached() -> tokenizers.Tokenizer:
    reference = tokenizers.Tokenizer.from_file(str(SHARED / "vocab" / "llama-tokenizer.json"))
    reference.encode_special_tokens = True
    return reference


@needs_shared
def test_wordpiece_goes_through_tokenizers_and_is_lossy(tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizers.BertWordPieceTokenizer(str(SHARED / "vocab" / "bert-base-uncased-vocab.txt")).save(str(path))
    encoder = Tokeniser(TokeniserConfig(encoding=str(path), check_share=1.0))
    texts = ["Hello, World!  Tokenisation", "naïve [SEP] café"]
    result, checked = encoder.encode_checked(column(texts))
    assert encoder.engine == "tokenizers"
    assert rows(result) == json_oracle(path, texts)
    assert checked == Checked(documents=2, lossy=2)


# Checks


def test_check_finds_every_wrong_document_of_its_sample():
    encoder = Tokeniser(TokeniserConfig(check_share=1.0))
    texts = column([f"document number {row} says hello" for row in range(50)])
    good = encoder.encode(texts)
    assert encoder.check(texts, good) == Checked(documents=50)
    ids = good.ids.copy()
    ids[good.offsets[7] + 2] += 1
    checked = encoder.check(texts, TokenisedTexts(ids, good.offsets))
    assert [mismatch.row for mismatch in checked.mismatches] == [7]
    assert checked.mismatches[0].reason == "token 2 of 6 differs from tiktoken"


def test_sample_is_the_first_document_and_a_share_by_content():
    texts = [f"text {row}" for row in range(20_000)]
    encoder = tokeniser()
    checked = encoder.check(column(texts), encoder.encode(column(texts)))
    assert 40 < checked.documents < 130  # 1 / 256 of 20,000 is 78
    none = Tokeniser(TokeniserConfig(check_share=0.0))
    assert none.check(column(texts[:5]), none.encode(column(texts[:5]))).documents == 1
    assert none.check(column([]), none.encode(column([]))).documents == 0


def test_mismatch_makes_the_reference_encode_the_batch(monkeypatch):
    encoder = Tokeniser(TokeniserConfig(check_share=1.0))
    texts = column(["one two three", "four five"])
    right = encoder.encode(texts)

    class Broken:
        name = "gigatoken"

        def encode(self, data, bounds):
            ids, offsets = encoder.reference.encode(data, bounds)
            return ids + 1, offsets

    monkeypatch.setattr(encoder, "_engine", Broken())
    assert not np.array_equal(encoder.encode(texts).ids, right.ids)
    result, checked = encoder.encode_checked(texts)
    assert len(checked.mismatches) == 2
    assert np.array_equal(result.ids, right.ids)
    assert np.array_equal(result.offsets, right.offsets)


def test_an_engine_that_starts_anew_gives_the_same_ids(monkeypatch):
    encoder = Tokeniser(TokeniserConfig())
    texts = column(HOSTILE)
    before = encoder.encode(texts).ids
    old = encoder._engine._backend
    encoder._engine._grown = 1 << 40
    assert np.array_equal(encoder.encode(texts).ids, before)
    assert encoder._engine._backend is not old


def test_own_regular_expression_needs_the_reference_engine(tmp_path):
    import base64

    path = tmp_path / "own.tiktoken"
    tokens = [bytes([value]) for value in range(256)] + [b"ab", b"abc", b"a "]
    path.write_bytes(b"".join(base64.b64encode(t) + b" %d\n" % rank for rank, t in enumerate(tokens)))
    with pytest.raises(ValueError, match=r"set tokenise\.engine to tiktoken"):
        Tokeniser(TokeniserConfig(encoding=str(path), pattern=r"\S+|\s+"))
    encoder = Tokeniser(TokeniserConfig(encoding=str(path), pattern=r"\S+|\s+", engine="tiktoken"))
    assert rows(encoder.encode(column(["abc a b"]))) == [[257, 32, 97, 32, 98]]
    known = Tokeniser(TokeniserConfig(encoding=str(path), pattern="gpt2"))
    assert rows(known.encode(column(["abc a b"]))) == [[257, 32, 97, 32, 98]]


def test_no_threads_are_started_and_ray_is_not_imported():
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted in /proc")
    code = (
        "import os, sys, pyarrow as pa\n"
        "from winnow.tokens.tokeniser import Tokeniser, TokeniserConfig\n"
        "texts = pa.array(['some words %d ' % i * 50 for i in range(2000)], pa.large_string())\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "encoder = Tokeniser(TokeniserConfig())\n"
        "encoder.encode_checked(texts)\n"
        "print(len(os.listdir('/proc/self/task')) - before, 'ray' in sys.modules)\n"
    )
    environment = dict(os.environ)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["0", "False"]
