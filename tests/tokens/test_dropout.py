"""BPE-dropout: tiktoken's ids without it, the published definition with it, the text itself always."""

import base64
import io
import json
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tokenizers import Tokenizer, models

from tests.support.linear import grows_linearly
from tests.tokens.test_tokeniser import CORPUS, HOSTILE, SHARED, column, needs_shared, rows, tokeniser
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.dropout import MergeDropout
from winnow.tokens.vocabulary import load_vocabulary

WORD = "lowering"
MERGES = ["l o", "e r", "i n", "lo w", "in g", "low er", "lower ing"]
"""Each token is made in one way only: the library goes by pairs, ranks by the bytes that they make."""


@pytest.fixture(scope="module")
def o200k() -> MergeDropout:
    return MergeDropout(tokeniser("o200k_base").vocabulary)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> MergeDropout:
    """All bytes, and the merges of one word."""
    tokens = [bytes([byte]) for byte in range(256)] + [merge.replace(" ", "").encode() for merge in MERGES]
    path = tmp_path_factory.mktemp("v") / "small.tiktoken"
    path.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens)))
    return MergeDropout(load_vocabulary(TokeniserConfig(encoding=str(path), pattern="gpt2")))


def keys(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 63, count, dtype=np.uint64)


def plain(encoder: MergeDropout, texts: list[str]) -> list[list[int]]:
    found, done = encoder.encode(column(texts), keys(len(texts)), 0.0)
    assert done.all()
    return rows(found)


@pytest.mark.parametrize(
    "encoding", ["o200k_base", pytest.param("cl100k_base", marks=pytest.mark.slow), "gpt2.tiktoken"]
)
def test_without_dropout_the_ids_are_tiktokens(encoding):
    known = tokeniser(encoding, "tiktoken")
    texts = [*HOSTILE, "The quick brown fox. " * 50, " " * 999 + "\n" * 99 + "aaaa" * 500, "\u3042" * 700]
    assert plain(MergeDropout(known.vocabulary), texts) == rows(known.encode(column(texts)))


@pytest.mark.slow
@needs_shared
def test_without_dropout_the_ids_of_real_texts_are_tiktokens(o200k):
    texts = []
    for path in CORPUS:
        with path.open("rb") as file:
            lines = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file))
            texts += [json.loads(line)["text"] for _, line in zip(range(8), lines, strict=False)]
    assert plain(o200k, texts) == rows(tokeniser("o200k_base").encode(column(texts)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=4), st.floats(0, 0.95), st.integers(0, 1 << 60))
def test_the_ids_decode_to_the_text(o200k, texts, rate, seed):
    texts = [text.encode(errors="ignore").decode() for text in texts]
    found, _ = o200k.encode(column(texts), keys(len(texts), seed), rate)
    vocabulary = tokeniser("o200k_base").vocabulary
    assert [vocabulary.decode(np.array(ids, np.uint32)).decode() for ids in rows(found)] == texts


def test_a_documents_ids_depend_on_its_key_alone(o200k):
    texts = ["Every engineer measures the long winter with great care."] * 6 + ["Another text altogether."]
    own = keys(7)
    own[1] = own[0]
    together = rows(o200k.encode(column(texts), own, 0.3)[0])
    alone = [rows(o200k.encode(column([text]), own[n : n + 1], 0.3)[0])[0] for n, text in enumerate(texts)]
    assert together == alone
    assert together[0] == together[1]
    assert len({tuple(ids) for ids in together[:6]}) > 3


def by_the_paper(word: bytes, ranks: dict[bytes, int], rate: float, rng: random.Random) -> tuple[bytes, ...]:
    """Algorithm 1, as it is written."""
    split = [bytes([byte]) for byte in word]
    while True:
        merges = [(ranks[a + b], at) for at, (a, b) in enumerate(pairwise(split)) if a + b in ranks]
        merges = [merge for merge in merges if rng.random() >= rate]
        if not merges:
            return tuple(split)
        _, at = min(merges)
        split[at : at + 2] = [split[at] + split[at + 1]]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_segmentations_are_as_frequent_as_by_the_papers_algorithm(small, rate):
    count, rng = 6_000, random.Random(1)
    ranks = {merge.replace(" ", "").encode(): 256 + n for n, merge in enumerate(MERGES)}
    expected = Counter(by_the_paper(WORD.encode(), ranks, rate, rng) for _ in range(count))
    names = {rank: token for token, rank in ranks.items()} | {byte: bytes([byte]) for byte in range(256)}
    encoded, _ = small.encode(column([WORD] * count), keys(count, 5), rate)
    found = Counter(tuple(names[number] for number in ids) for ids in rows(encoded))
    common = [split for split in expected | found if expected[split] + found[split] >= 40]
    assert len(common) > 3
    table = [[counts[split] for split in common] for counts in (expected, found)]
    assert stats.chi2_contingency(np.array(table)).pvalue > 1e-4


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_segmentations_are_as_frequent_as_by_the_library_tokenizers(small, rate):
    """Its merges are those of the same tokens; it draws from the system's chance, so only frequencies compare."""
    count = 4_000
    vocabulary = {chr(byte): byte for byte in range(128)} | {m.replace(" ", ""): 256 + n for n, m in enumerate(MERGES)}
    library = Tokenizer(models.BPE(vocabulary, [tuple(m.split()) for m in MERGES], dropout=rate))
    expected = Counter(tuple(library.encode(WORD).ids) for _ in range(count))
    encoded, _ = small.encode(column([WORD] * count), keys(count, 6), rate)
    found = Counter(map(tuple, rows(encoded)))
    common = [split for split in expected | found if expected[split] + found[split] >= 40]
    table = [[counts[split] for split in common] for counts in (expected, found)]
    assert stats.chi2_contingency(np.array(table)).pvalue > 1e-4


@pytest.mark.parametrize("piece", ["ab", " ", "\n", "日", "1", "a, "])
def test_long_runs_take_time_that_grows_as_they_do(o200k, piece):
    assert grows_linearly(
        lambda size: o200k.encode(column([piece * size]), keys(1), 0.1), 20_000 // len(piece), 160_000 // len(piece)
    )


def test_a_text_without_a_place_to_cut_has_no_ids(o200k):
    _, done = o200k.encode(column(["a" * (3 << 20), "b"]), keys(2), 0.1)
    assert done.tolist() == [False, True]


def test_vocabularies_that_have_no_merges_to_drop():
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    known = load_vocabulary(TokeniserConfig(encoding=str(SHARED / "vocab" / "gpt2-tokenizer.json")))
    with pytest.raises(ValueError, match="needs a rank file with a named split pattern"):
        MergeDropout(known)
