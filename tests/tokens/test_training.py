"""Vocabularies of one's own: both files give the same ids, and the reference libraries read them."""

import random

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken import Encoding
from tokenizers import Tokenizer, pre_tokenizers

from tests.support.corpora import articles
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.patterns import PATTERNS
from winnow.tokens.rank_files import parse_ranks
from winnow.tokens.tokenizer_json import byte_characters
from winnow.tokens.training import END_OF_TEXT, PLAIN_PATTERNS, _split, tokenizer_json, train_ranks
from winnow.tokens.vocabulary import load_vocabulary

ASSIGNED = st.characters(exclude_categories=("Cn", "Cs"))  # libraries of other Unicode versions differ on the rest
TEXTS = [
    *articles(3, 80),
    "Zażółć gęślą jaźń " * 9,
    "日本語の文章です。" * 30,
    "def f(x):\n    return x + 12345\n" * 20,
]


@pytest.fixture(scope="module")
def ranks() -> bytes:
    return train_ranks(TEXTS, 600, "o200k")


def test_the_same_bytes_in_any_order_of_texts(ranks):
    shuffled = TEXTS.copy()
    random.Random(1).shuffle(shuffled)
    assert train_ranks(iter(shuffled), 600, "o200k") == ranks


def test_sizes(ranks):
    assert len(parse_ranks(ranks, "")) == 599  # and the end of text
    assert len(parse_ranks(train_ranks(["ab ab"], 5000, "o200k"), "")) < 270
    with pytest.raises(ValueError, match="at least 257"):
        train_ranks(TEXTS, 256, "o200k")


def test_both_files_are_loaded_and_give_the_same_ids(ranks, tmp_path):
    (tmp_path / "own.tiktoken").write_bytes(ranks)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json(parse_ranks(ranks, ""), "o200k"))
    by_rank = load_vocabulary(TokeniserConfig(encoding=str(tmp_path / "own.tiktoken"), pattern="o200k"))
    by_json = load_vocabulary(TokeniserConfig(encoding=str(tmp_path / "tokenizer.json")))
    assert (by_rank.size, by_rank.end_of_text) == (by_json.size, by_json.end_of_text) == (600, 599)
    assert by_rank.special_tokens == by_json.special_tokens == {END_OF_TEXT: 599}


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(TEXTS), st.text(ASSIGNED, max_size=60)), min_size=1, max_size=4))
def test_tiktoken_and_tokenizers_agree(texts):
    text = "".join(texts)
    encoding, tokenizer = _both()
    ids = encoding.encode(text, disallowed_special=())
    assert tokenizer.encode(text).ids == ids or END_OF_TEXT in text
    assert encoding.decode_bytes(ids) == text.encode()


def _both(cache={}):  # noqa: B006 - built once
    if not cache:
        ranks = parse_ranks(train_ranks(TEXTS, 600, "o200k"), "")
        cache["tiktoken"] = Encoding("own", pat_str=PATTERNS["o200k"].regex, mergeable_ranks=ranks, special_tokens={})
        cache["json"] = Tokenizer.from_str(tokenizer_json(ranks, "o200k").decode())
    return cache["tiktoken"], cache["json"]


@pytest.mark.parametrize("name", PLAIN_PATTERNS)
@given(text=st.one_of(st.text(ASSIGNED, max_size=80), st.text("a1 \n\r\t'sSlL¡٣é_/.", max_size=80)))
def test_the_plain_patterns_split_as_the_published_ones(name, text):
    published = regex.findall(PATTERNS[name].regex, text)
    byte_of = {character: value for value, character in byte_characters().items()}
    split = [bytes(byte_of[c] for c in piece).decode() for piece, _ in _split(name).pre_tokenize_str(text)]
    assert split == published


def test_the_table_of_characters_is_the_librarys():
    assert sorted(byte_characters().values()) == sorted(pre_tokenizers.ByteLevel.alphabet())
