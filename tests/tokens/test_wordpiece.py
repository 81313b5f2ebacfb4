"""WordPiece from a vocab.txt: ids against transformers' BertTokenizer, on real text and on made-up text."""

import io
import itertools
import json
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.stages.tokenise.tokenise import stage
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.tokeniser import TokenisedTexts, Tokeniser, with_first_token
from winnow.tokens.vocabulary import load_vocabulary

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CASED, UNCASED = (SHARED / "vocab" / f"bert-base-{kind}-vocab.txt" for kind in ("cased", "uncased"))
needs_shared = pytest.mark.skipif(not CASED.is_file(), reason=f"{CASED} is not here")
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the fox jump ##s over a b ##b ##a . , ! \u65e5 e \u00e9".split(" ")


@cache
def bert_tokenizer(vocab: Path, *, lowercase: bool):
    """The reference; special tokens in text are ordinary text there, too."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    reference = transformers.BertTokenizer(vocab=str(vocab), do_lower_case=lowercase)
    reference._tokenizer.encode_special_tokens = True
    return reference


@cache
def tokeniser_of(vocabulary_file: Path, **options) -> Tokeniser:
    return Tokeniser(TokeniserConfig(encoding=str(vocabulary_file), **options))


def ours(vocabulary_file: Path, texts: list[str], **options) -> list[list[int]]:
    """With first and last token."""
    tokeniser = tokeniser_of(vocabulary_file, **options)
    vocabulary = tokeniser.vocabulary
    encoded = with_first_token(tokeniser.encode(pa.array(texts, pa.large_string())), vocabulary.first_token)
    bounds = encoded.offsets
    return [[*encoded.ids[begin:end].tolist(), vocabulary.end_of_text] for begin, end in itertools.pairwise(bounds)]


def small_vocabulary(folder: Path, tokens=WORDS) -> Path:
    path = folder / "vocab.txt"
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return path


def real_texts(documents: int) -> list[str]:
    texts = []
    for path in sorted((SHARED / "corpus").glob("[01]*.jsonl.zst")):
        with zstandard.open(path) as file:
            lines = io.TextIOWrapper(file, encoding="utf-8")
            texts += [json.loads(line)["text"][:4000] for line, _ in zip(lines, range(documents), strict=False)]
    return texts


@needs_shared
def test_the_published_example():
    fox = [101, 1109, 3613, 3058, 17594, 15457, 1166, 1103, 16688, 3676, 119, 102]
    assert ours(CASED, ["The quick brown fox jumps over the lazy dog."]) == [fox]


@needs_shared
@pytest.mark.parametrize(
    ("vocab", "lowercase", "documents"),
    [
        (CASED, False, 20),
        *(pytest.param(*vocab, 100, marks=pytest.mark.slow) for vocab in ((CASED, False), (UNCASED, True))),
    ],
)
def test_ids_of_real_documents_are_those_of_bert_tokenizer(vocab, lowercase, documents):
    reference = bert_tokenizer(vocab, lowercase=lowercase)
    texts = real_texts(documents)
    assert len(texts) > 10 * documents
    assert ours(vocab, texts) == reference(texts)["input_ids"]


@needs_shared
@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=5), lowercase=st.booleans())
def test_ids_of_any_text_are_those_of_bert_tokenizer(texts, lowercase):
    reference = bert_tokenizer(UNCASED, lowercase=lowercase)
    assert ours(UNCASED, texts, lowercase=lowercase) == reference(texts)["input_ids"]


@needs_shared
def test_case_is_judged_from_the_vocabulary_and_special_tokens_in_text_are_text():
    cased, uncased = (load_vocabulary(TokeniserConfig(encoding=str(path))) for path in (CASED, UNCASED))
    assert [json.loads(v.tokenizer_json)["normalizer"]["lowercase"] for v in (cased, uncased)] == [False, True]
    assert (cased.end_of_text, cased.first_token, cased.padding_id, cased.dtype) == (102, 101, 0, np.uint16)
    ids = ours(CASED, ["a [SEP] b [CLS]"])[0]
    assert ids.count(102) == 1
    assert ids.count(101) == 1


def test_first_token_can_be_named_left_out_or_added_to_other_vocabularies(tmp_path):
    path = str(small_vocabulary(tmp_path))
    assert load_vocabulary(TokeniserConfig(encoding=path, first_token="")).first_token is None
    assert load_vocabulary(TokeniserConfig(encoding=path, first_token="[MASK]")).first_token == 4
    assert load_vocabulary(TokeniserConfig()).first_token is None
    with_end = load_vocabulary(TokeniserConfig(first_token="<|endoftext|>"))
    assert with_end.first_token == with_end.end_of_text == with_end.padding_id
    with pytest.raises(ValueError, match=r"first_token \(fox\) is not among its special tokens"):
        load_vocabulary(TokeniserConfig(encoding=path, first_token="fox"))


@given(lengths=st.lists(st.integers(0, 4), max_size=8))
def test_the_first_token_stands_before_each_document(lengths):
    documents = [[10 * n + k for k in range(length)] for n, length in enumerate(lengths)]
    flat = np.array([i for document in documents for i in document], np.uint16)
    found = with_first_token(TokenisedTexts(flat, np.cumsum([0, *lengths])), 999)
    assert found.ids.dtype == np.uint16
    bounds = found.offsets.tolist()
    assert [found.ids[a:b].tolist() for a, b in itertools.pairwise(bounds)] == [
        [999, *document] for document in documents
    ]


def test_bad_vocabularies_and_settings_say_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match=r"but not \[CLS\], \[SEP\]"):
        load_vocabulary(TokeniserConfig(encoding=str(small_vocabulary(tmp_path, ["[PAD]", "[UNK]", "the"]))))
    with pytest.raises(ValueError, match=r"but not \[UNK\], \[CLS\], \[SEP\], \[PAD\]"):
        load_vocabulary(TokeniserConfig(encoding=str(small_vocabulary(tmp_path, []))))
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(ValueError, match="in UTF-8, one token a line"):
        load_vocabulary(TokeniserConfig(encoding=str(tmp_path / "vocab.txt")))
    path = str(small_vocabulary(tmp_path))
    with pytest.raises(ValueError, match="pattern must be left out"):
        load_vocabulary(TokeniserConfig(encoding=path, pattern="gpt2"))
    with pytest.raises(ValueError, match=r"lowercase is for a vocab\.txt"):
        load_vocabulary(TokeniserConfig(lowercase=True))


def test_lines_may_end_as_on_windows_and_hold_line_separators_of_unicode(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\r\n".join([*WORDS, "\u2028x", "y"]).encode())
    vocabulary = load_vocabulary(TokeniserConfig(encoding=str(path)))
    assert vocabulary.size == len(WORDS) + 2
    assert ours(path, ["the Fox jumps"], lowercase=True) == [[2, 5, 6, 7, 8, 3]]


def test_work_is_named_by_what_makes_ids_alone():
    config = TokeniserConfig()
    plain = stage(config, load_vocabulary(config)).settings["config"]
    assert "check_share" not in plain and "cache_mb" not in plain
