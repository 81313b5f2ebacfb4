"""Ids of special tokens, and tokenizer.json files that are not what they seem."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from winnow.tokens.config import TokeniserConfig
from winnow.tokens.rank_files import parse_ranks
from winnow.tokens.tokeniser import Tokeniser
from winnow.tokens.training import tokenizer_json, train_ranks
from winnow.tokens.vocabulary import Vocabulary, load_vocabulary

TEXTS = [
    "The quick brown fox jumps over the lazy dog. " * 20,
    "It's 12 o'clock,\n\n  and <tool>all</tool> is well. " * 20,
]


@cache
def ranks() -> bytes:
    return train_ranks(TEXTS, 300, "o200k")


def rank_file(folder: Path, **settings) -> Vocabulary:
    path = folder / "own.tiktoken"
    path.write_bytes(ranks())
    return load_vocabulary(TokeniserConfig(encoding=str(path), pattern="o200k", **settings))


def json_file(folder: Path, *added: dict, model: dict | None = None, **parts) -> str:
    parsed = json.loads(tokenizer_json(parse_ranks(ranks(), ""), "o200k"))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    first = max(token["id"] for token in parsed["added_tokens"]) + 1
    parsed["added_tokens"] += [{"id": first + n, **flags, **token} for n, token in enumerate(added)]
    parsed["model"] |= model or {}
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(parsed | parts))
    return str(path)


def test_a_list_of_names_gives_ids_in_its_order_the_end_of_text_among_them(tmp_path):
    free = len(ranks().splitlines())
    found = rank_file(tmp_path, end_of_text="<|im_end|>", added_tokens=("<|im_start|>", "<|im_end|>"))
    assert found.special_tokens == {"<|im_start|>": free, "<|im_end|>": free + 1}
    assert (found.end_of_text, found.size) == (free + 1, free + 2)
    found = rank_file(tmp_path, added_tokens=("<|a|>",))
    assert found.special_tokens == {"<|endoftext|>": free, "<|a|>": free + 1}


def test_names_can_have_their_ids(tmp_path):
    free = len(ranks().splitlines())
    given = {"<|im_end|>": free, "<|im_start|>": free + 5, "<|x|>": None}
    found = rank_file(tmp_path, end_of_text="<|im_end|>", added_tokens=given)
    assert found.special_tokens == {"<|im_end|>": free, "<|im_start|>": free + 5, "<|x|>": free + 6}
    found = rank_file(tmp_path, added_tokens={"<|a|>": free})
    assert (found.special_tokens, found.end_of_text) == ({"<|endoftext|>": free + 1, "<|a|>": free}, free + 1)
    ended = load_vocabulary(TokeniserConfig(encoding="o200k_base", end_of_text="<|x|>", added_tokens=("<|x|>",)))
    assert (ended.end_of_text, ended.name_of(ended.end_of_text)) == (200019, "<|x|>")
    named = load_vocabulary(TokeniserConfig(encoding="o200k_base", added_tokens={"<|a|>": 200001}))
    assert (named.special_tokens["<|a|>"], named.size) == (200001, 200019)


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ({"<|a|>": 5}, "which an ordinary token has"),
        ({"<|endoftext|>": 7_000}, "but the vocabulary gives it 199999"),
        ({"<|a|>": 199999}, r"which <\|endoftext\|> has"),
        ({"<|a|>": 7_000_000, "<|b|>": 7_000_000}, r"which <\|a\|> has"),
        ({"<|a|>": 2**31}, "ids must be from 0 to"),
        ({"<|a|>": -1}, "ids must be from 0 to"),
        ({"a": 7_000_000}, "two characters at least"),
    ],
)
def test_ids_that_cannot_be(added, message):
    with pytest.raises(ValueError, match=message):
        load_vocabulary(TokeniserConfig(encoding="o200k_base", added_tokens=added))


def test_a_tokenizer_json_numbers_added_tokens_itself(tmp_path):
    path = json_file(tmp_path)
    plain = load_vocabulary(TokeniserConfig(encoding=path))
    found = load_vocabulary(TokeniserConfig(encoding=path, end_of_text="<|a|>", added_tokens={"<|a|>": plain.size}))
    assert found.end_of_text == plain.size
    assert found.special_tokens["<|a|>"] == plain.size
    with pytest.raises(ValueError, match=f"it would be {plain.size}; give that"):
        load_vocabulary(TokeniserConfig(encoding=path, added_tokens={"<|a|>": plain.size + 9}))


FLAGS = ["single_word", "lstrip", "rstrip", "normalized"]


@pytest.mark.parametrize("flag", FLAGS)
def test_rules_of_added_tokens_are_the_librarys(tmp_path, flag):
    path = json_file(tmp_path, {"content": "tool", flag: True}, {"content": "<tool>", flag: True})
    tokeniser = Tokeniser(TokeniserConfig(encoding=path))
    texts = ["tool tools toolbox xtool tool.", " tool  tool\n tool", "<tool>x <tool> y", "TOOL Tool"] * 50
    found = tokeniser.encode(pa.array(texts, pa.large_string()))
    expected = Tokeniser(TokeniserConfig(encoding=path, engine="tiktoken")).encode(pa.array(texts, pa.large_string()))
    assert found.ids.tolist() == expected.ids.tolist()
    assert tokeniser.engine == ("tokenizers" if flag == "single_word" else tokeniser.engine)


def test_what_the_fast_engine_cannot_read_goes_to_the_library(tmp_path):
    path = json_file(tmp_path, pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"})
    tokeniser = Tokeniser(TokeniserConfig(encoding=path))
    assert tokeniser.engine == "tokenizers"
    assert len(tokeniser.encode(pa.array(["a b"], pa.large_string())).ids)


def test_the_end_of_text_of_a_rank_file_takes_no_id_of_an_ordinary_token(tmp_path):
    with pytest.raises(ValueError, match=r"gives <\|endoftext\|> the id 5, which an ordinary token has"):
        rank_file(tmp_path, added_tokens={"<|endoftext|>": 5})


def without(*numbers: int) -> list[bytes]:
    return [line for line in ranks().splitlines() if int(line.split()[1]) not in numbers]


@pytest.mark.parametrize(
    ("lines", "engine"),
    [
        (without(280, 281), "tiktoken"),  # holes
        ([*without(), b"aGVsbG8gd29ybGQ= 1000"], "tiktoken"),  # far behind the others
        ([*without(*range(256, 300)), b"aGVsbG8= 256"], "tiktoken"),  # a token that no merges reach
        (without()[::-1], "gigatoken"),  # in another order
        ([line + b"\r" for line in without()], "gigatoken"),
    ],
)
def test_a_rank_file_that_the_fast_engine_cannot_read_goes_to_the_reference(tmp_path, lines, engine):
    path = tmp_path / "own.tiktoken"
    path.write_bytes(b"\n".join(lines))
    settings = {"encoding": str(path), "pattern": "o200k"}
    tokeniser = Tokeniser(TokeniserConfig(**settings))
    assert tokeniser.engine == engine
    column = pa.array([*TEXTS, "hello world hello", "日本語 \u00ff"], pa.large_string())
    expected = Tokeniser(TokeniserConfig(**settings, engine="tiktoken")).encode(column)
    assert tokeniser.encode(column).ids.tolist() == expected.ids.tolist()


def test_dropout_is_switched_off_and_told(tmp_path):
    path = json_file(tmp_path, model={"dropout": 0.5})
    tokeniser = Tokeniser(TokeniserConfig(encoding=path))
    reference = Tokeniser(TokeniserConfig(encoding=path, engine="tiktoken"))
    column = pa.array(TEXTS, pa.large_string())
    runs = {tuple(one.encode(column).ids.tolist()) for one in (tokeniser, reference, reference, reference)}
    assert len(runs) == 1
    assert "dropout of the tokenizer.json is switched off" in tokeniser.vocabulary.notes[0]


def test_the_end_of_text_has_the_id_that_the_library_gives_it(tmp_path):
    path = Path(json_file(tmp_path))
    parsed = json.loads(path.read_text())
    parsed["added_tokens"][0]["id"] = 7
    path.write_text(json.dumps(parsed))
    vocabulary = load_vocabulary(TokeniserConfig(encoding=str(path)))
    assert (
        vocabulary.end_of_text == len(ranks().splitlines()) == vocabulary._json_tokenizer.token_to_id("<|endoftext|>")
    )
    assert "the file gives <|endoftext|> the id 7" in vocabulary.notes[0]


@pytest.mark.parametrize("number", [2**31, 2**31 - 1, 2**32 + 1, 2**64, -1, 1.5, "7", None])
@pytest.mark.parametrize("where", ["vocab", "added"])
def test_ids_that_no_vocabulary_has_are_refused(tmp_path, number, where):
    path = Path(json_file(tmp_path))
    parsed = json.loads(path.read_text())
    if where == "vocab":
        parsed["model"]["vocab"]["zzz"] = number
    else:
        parsed["added_tokens"][0]["id"] = number
    path.write_text(json.dumps(parsed))
    with pytest.raises(ValueError, match="it has the id"):
        load_vocabulary(TokeniserConfig(encoding=str(path)))


@pytest.mark.parametrize(
    "line", [b"enp6 2147483648", b"enp6 -1", b"enp6 99999999999999999999", b"enp6 5", b"IQ== 5000"]
)
def test_ranks_that_no_vocabulary_has_are_refused(tmp_path, line):
    path = tmp_path / "own.tiktoken"
    path.write_bytes(ranks() + line + b"\n")
    with pytest.raises(ValueError, match="ranks must be from 0|stands in it twice"):
        load_vocabulary(TokeniserConfig(encoding=str(path), pattern="o200k"))


@pytest.mark.parametrize(
    "content", ["[]", "3", "{}", '{"model": 3}', "[" * 5000 + "]" * 5000, '{"model": {"vocab": []}}', "\ufeff{"]
)
def test_what_is_no_tokenizer_json_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="must be a tokenizer.json of Hugging Face tokenizers"):
        load_vocabulary(TokeniserConfig(encoding=str(path)))


TEMPLATE_BOTH = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {},
}


def test_what_the_file_would_add_and_what_templates_are_told(tmp_path):
    special = [{"content": name, "special": True} for name in ("<s>", "</s>", "<unk>")]
    plain = load_vocabulary(TokeniserConfig(encoding=json_file(tmp_path, *special)))
    assert (plain.file_begin, plain.file_end) == ((), ())
    ids = {name: plain.special_tokens[name] for name in ("<s>", "</s>")}
    named = {name: {"id": name, "ids": [number], "tokens": [name]} for name, number in ids.items()}
    path = json_file(tmp_path, *special, post_processor=TEMPLATE_BOTH | {"special_tokens": named})
    found = load_vocabulary(TokeniserConfig(encoding=path))
    assert (found.file_begin, found.file_end) == ((ids["<s>"],), (ids["</s>"],))
    assert (found.first_token, found.name_of(found.end_of_text)) == (None, "<|endoftext|>")
    assert found.template_names == {"bos_token": "<s>", "eos_token": "<|endoftext|>", "unk_token": "<unk>"}
    assert load_vocabulary(TokeniserConfig()).template_names == {"bos_token": "", "eos_token": "<|endoftext|>"}


@pytest.mark.parametrize(
    ("pattern", "engine", "message"),
    [
        (r"\S+|\s+", "gigatoken", "knows only the named patterns"),
        (r"(\w+", "tiktoken", "is no regular expression to tiktoken"),
        (r"\w+", "tiktoken", "leaves characters out"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_when_the_vocabulary_is_loaded(tmp_path, pattern, engine, message):
    path = tmp_path / "own.tiktoken"
    path.write_bytes(ranks())
    with pytest.raises(ValueError, match=message):
        load_vocabulary(TokeniserConfig(encoding=str(path), pattern=pattern, engine=engine))
    load_vocabulary(TokeniserConfig(encoding=str(path), pattern=r"[^\s]+|\s+", engine="tiktoken"))


def test_names_that_are_no_files_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spiece.model").write_bytes(b"\n\x0e")
    json_file(tmp_path)
    (tmp_path / "empty.json").mkdir()
    for encoding, message in {
        "spiece.model": "SentencePiece model is converted by transformers.AutoTokenizer",
        "no/such/spiece.model": "SentencePiece model is converted by",
        "meta-llama/Llama-3.1-8B": "hf download meta-llama/Llama-3.1-8B tokenizer.json --local-dir DIR",
        str(tmp_path): "In this folder, name ",
        str(tmp_path / "empty.json"): "The folder holds no tokenizer.json",
    }.items():
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            load_vocabulary(TokeniserConfig(encoding=encoding))
        assert message in str(caught.value)


class Counting:
    """An engine that tells how much it was given."""

    def __init__(self, engine):
        self.engine, self.name, self.bytes = engine, engine.name, 0

    def encode(self, data, bounds):
        self.bytes += int(bounds[-1] - bounds[0])
        return self.engine.encode(data, bounds)


@pytest.mark.parametrize("kind", ["known pattern", "other"])
def test_of_a_long_document_the_first_64_kb_are_compared(tmp_path, kind):
    more = {} if kind == "known pattern" else {"normalizer": {"type": "Prepend", "prepend": "_"}}
    tokeniser = Tokeniser(TokeniserConfig(encoding=json_file(tmp_path, **more)))
    assert tokeniser.vocabulary.has_known_pattern == (kind == "known pattern")
    counting = Counting(tokeniser.reference)
    tokeniser._reference = counting
    column = pa.array([" ".join(TEXTS) * 600], pa.large_string())
    found = tokeniser.encode(column)
    checked = tokeniser.check(column, found)
    assert (checked.documents, checked.mismatches) == (1, [])
    assert counting.bytes < 70_000
    wrong = found.ids.copy()
    wrong[100] += 1
    bad = tokeniser.check(column, type(found)(wrong, found.offsets))
    assert len(bad.mismatches) == 1


def test_a_long_run_is_cut_in_a_tokenizer_json_as_in_ranks(tmp_path):
    tokeniser = Tokeniser(TokeniserConfig(encoding=json_file(tmp_path)))
    texts = ["ab" * 40_000, "The" * 30_000 + " " * 50_000 + "x", "日本" * 20_000 + "=" * 40_000]
    tokeniser._part_bytes, tokeniser._soft_bytes = 20_000, 8_000
    column = pa.array(texts, pa.large_string())
    expected = tokeniser._encode(column, tokeniser.reference)
    whole = []
    for text in texts:
        data = np.frombuffer(text.encode(), np.uint8)
        whole.append(tokeniser.reference.encode(data, np.array([0, len(data)]))[0])
    assert tokeniser.encode(column).ids.tolist() == np.concatenate(whole).tolist() == expected.ids.tolist()
