"""Vocabularies: sources, hashes, ids and errors, against tiktoken and tokenizers."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tiktoken_ext.openai_public as published

from winnow.tokens.config import TokeniserConfig
from winnow.tokens.patterns import ENCODINGS, PATTERNS, find_pattern
from winnow.tokens.vocabulary import load_vocabulary

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "vocab"
needs_vocab = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not here")


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_constants_are_those_tiktoken_publishes(name, monkeypatch):
    asked = {}

    def record(url, expected_hash):
        asked.update(url=url, sha256=expected_hash)
        return {}

    monkeypatch.setattr(published, "load_tiktoken_bpe", record)
    monkeypatch.setattr(published, "data_gym_to_mergeable_bpe_ranks", lambda **_: {})
    theirs = published.ENCODING_CONSTRUCTORS[name]()
    ours = ENCODINGS[name]
    assert PATTERNS[ours.pattern].regex == theirs["pat_str"]
    assert ours.special_tokens == theirs["special_tokens"]
    if asked:  # gpt2 is published as a merge list
        assert ours.sha256 == asked["sha256"]
        assert asked["url"].endswith(f"/{ours.ranks}.tiktoken")


@pytest.mark.parametrize(
    ("name", "size", "end_of_text"), [("o200k_base", 200019, 199999), ("cl100k_base", 100277, 100257)]
)
def test_named_encoding_comes_from_the_installed_package(name, size, end_of_text):
    vocabulary = load_vocabulary(TokeniserConfig(encoding=name))
    assert (vocabulary.size, vocabulary.end_of_text, vocabulary.dtype) == (size, end_of_text, np.uint32)
    assert vocabulary.sha256 == ENCODINGS[name].sha256 == hashlib.sha256(vocabulary.rank_file).hexdigest()
    ids = [vocabulary.ranks[b"hello"], vocabulary.ranks[b" world"], end_of_text]
    assert vocabulary.decode(ids) == b"hello world<|endoftext|>"
    assert vocabulary.decode(np.array(ids, np.uint32)) == b"hello world<|endoftext|>"


@needs_vocab
@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_package_and_file_are_the_same(name):
    packaged = load_vocabulary(TokeniserConfig(encoding=name))
    from_file = load_vocabulary(TokeniserConfig(encoding=str(SHARED / f"{name}.tiktoken")))
    assert packaged == from_file


@needs_vocab
def test_gpt2_file_is_known_by_its_content_whatever_its_name(tmp_path):
    copy = tmp_path / "mine.tiktoken"
    copy.write_bytes((SHARED / "gpt2.tiktoken").read_bytes())
    vocabulary = load_vocabulary(TokeniserConfig(encoding=str(copy)))
    assert (vocabulary.size, vocabulary.end_of_text, vocabulary.dtype) == (50257, 50256, np.uint16)
    assert vocabulary.name in ("gpt2", "r50k_base")
    assert load_vocabulary(TokeniserConfig(encoding=str(SHARED / "gpt2.tiktoken"))).name == "gpt2"


@needs_vocab
def test_named_encoding_is_found_in_tiktokens_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"r50k_base\.tiktoken.*TIKTOKEN_CACHE_DIR"):
        load_vocabulary(TokeniserConfig(encoding="r50k_base"))
    url = "https://openaipublic.blob.core.windows.net/encodings/r50k_base.tiktoken"
    cached = tmp_path / hashlib.sha1(url.encode()).hexdigest()
    cached.write_bytes((SHARED / "gpt2.tiktoken").read_bytes())
    assert load_vocabulary(TokeniserConfig(encoding="r50k_base")).size == 50257
    cached.write_bytes(b"IQ== 0\n")
    with pytest.raises(ValueError, match="was published for r50k_base"):
        load_vocabulary(TokeniserConfig(encoding="r50k_base"))


def small_ranks() -> bytes:
    import base64

    tokens = [bytes([value]) for value in range(256)] + [b"ab", b"abc"]
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def test_unknown_rank_file_needs_a_pattern_and_gets_one_special_token(tmp_path):
    path = tmp_path / "small.tiktoken"
    path.write_bytes(small_ranks())
    with pytest.raises(ValueError, match=r"small\.tiktoken.*set tokenise\.pattern"):
        load_vocabulary(TokeniserConfig(encoding=str(path)))
    vocabulary = load_vocabulary(TokeniserConfig(encoding=str(path), pattern="cl100k", end_of_text="<end>"))
    assert (vocabulary.size, vocabulary.end_of_text, vocabulary.dtype) == (259, 258, np.uint16)
    assert vocabulary.decode([257, 258]) == b"abc<end>"


def test_rank_file_with_a_published_name_but_other_content_is_refused(tmp_path):
    path = tmp_path / "cl100k_base.tiktoken"
    path.write_bytes(small_ranks())
    with pytest.raises(ValueError, match="was published for cl100k_base"):
        load_vocabulary(TokeniserConfig(encoding=str(path)))


@pytest.mark.parametrize("content", [b"not base64 at all\n", b"YQ== 0\n"])
def test_broken_rank_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.tiktoken"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.tiktoken"):
        load_vocabulary(TokeniserConfig(encoding=str(path), pattern="gpt2"))


@needs_vocab
@pytest.mark.parametrize(
    ("name", "size", "end_of_text", "dtype"),
    [("gpt2", 50257, 50256, np.uint16), ("llama", 32003, 2, np.uint16)],
)
def test_tokenizer_json(name, size, end_of_text, dtype):
    path = SHARED / f"{name}-tokenizer.json"
    vocabulary = load_vocabulary(TokeniserConfig(encoding=str(path)))
    assert (vocabulary.size, vocabulary.end_of_text, vocabulary.dtype) == (size, end_of_text, dtype)
    assert vocabulary.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@needs_vocab
def test_end_of_text_must_be_in_the_vocabulary():
    with pytest.raises(ValueError, match=r"tokenise\.end_of_text \(<eos>\).*<\|endoftext\|>, <\|endofprompt\|>"):
        load_vocabulary(TokeniserConfig(end_of_text="<eos>"))
    llama = str(SHARED / "llama-tokenizer.json")
    with pytest.raises(ValueError, match="<unk>, <s>, </s>"):
        load_vocabulary(TokeniserConfig(encoding=llama, end_of_text="<none>"))
    assert load_vocabulary(TokeniserConfig(encoding=llama, end_of_text="<s>")).end_of_text == 1
    assert load_vocabulary(TokeniserConfig(end_of_text="<|endofprompt|>")).end_of_text == 200018


def test_bad_settings_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"tokenise\.encoding \('o300k'\)"):
        load_vocabulary(TokeniserConfig(encoding="o300k"))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.tiktoken"):
        load_vocabulary(TokeniserConfig(encoding="/nowhere.tiktoken"))
    with pytest.raises(ValueError, match="must be left out"):
        load_vocabulary(TokeniserConfig(pattern="gpt2"))
    with pytest.raises(ValueError, match=r"tokenise\.pattern \('qwen9'\)"):
        find_pattern("qwen9")
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        load_vocabulary(TokeniserConfig(encoding=str(broken)))
    assert find_pattern(PATTERNS["o200k"].regex) is PATTERNS["o200k"]
    assert find_pattern(r"\w+|\W+").gigatoken is None
