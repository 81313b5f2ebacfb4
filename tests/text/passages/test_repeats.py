"""Repeated windows: the kernels, put together as the stages do, against a dictionary of all windows."""

import json
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.corpora import documents_of, real_lines
from tests.support.repeated_reference import cut_of, first_places, words_of
from winnow.text.passages.repeats import Repeats, Runs, cut_words, first_copies, only_first, repeats_of, resolve
from winnow.text.passages.shared import blocks_of, first_and_repeated, in_several, keys_of
from winnow.text.passages.windows import Blocks, anchors_of, known_anchors, windows_of


def blocks_in(begins: np.ndarray) -> Blocks:
    """As the stages keep them: a text begins where a block begins with the text's first byte."""
    text = np.cumsum(begins == 0) - 1
    return Blocks(text, np.arange(len(text)) - np.searchsorted(text, text), begins)


def searched(parts: list[list[str]], length: int, gram: int) -> list[Repeats]:
    """Repeats of every part, documents numbered through; what the stages do, without files."""
    begin = np.cumsum([0, *(len(part) for part in parts)])
    texts = [pa.array(part, pa.large_string()) for part in parts]
    found = [anchors_of(text, np.ones(len(text), np.bool_), 0, length, gram) for text in texts]
    anchors = [first_and_repeated(each.anchors) for each in found]
    blocks = [blocks_in(each.begins) for each in found]
    shared = in_several([first for first, _ in anchors])
    sent, own = [], []
    for part, text in enumerate(texts):
        known = known_anchors(keys_of(shared[part]), keys_of(anchors[part][1]))
        chosen = blocks_of(np.concatenate([shared[part], anchors[part][1]]), len(blocks[part].text))
        found = windows_of(text, Blocks(*(column[chosen] for column in blocks[part])), known, length, gram)
        runs = Runs(found.text.astype(np.uint64) + np.uint64(begin[part]), found.word, found.windows)
        first = first_copies(runs, found.hashes, found.key)
        own.append(repeats_of(runs, first))
        sent.append(only_first(runs, found.hashes, found.elsewhere, first))
    runs = Runs(*(np.concatenate([getattr(each, name) for each, _, _ in sent]) for name in Runs._fields))
    rows = runs._replace(doc=np.arange(len(runs.doc), dtype=np.uint64))
    far = repeats_of(rows, first_copies(rows, np.concatenate([hashes for _, _, hashes in sent])))
    far = far._replace(doc=runs.doc[far.doc.astype(np.int64)], keeper=runs.doc[far.keeper.astype(np.int64)])
    sides = np.searchsorted(far.doc, begin.astype(np.uint64))
    return [resolve(mine, far.take(np.arange(sides[part], sides[part + 1]))) for part, mine in enumerate(own)]


def check(parts: list[list[str]], length: int, gram: int) -> int:
    """Words cut, and where each window stands first, against the reference; the number of words cut."""
    found = searched(parts, length, gram)
    documents = [words_of(text) for part in parts for text in part]
    repeats = Repeats(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
    places = {}
    for doc, word, count, keeper, keeper_word in zip(*(column.tolist() for column in repeats), strict=True):
        for step in range(count):
            places[doc, word + step] = (keeper, keeper_word + step)
    assert places == first_places(documents, length)
    cut = set()
    for doc, begin, end in zip(*(column.tolist() for column in cut_words(repeats, length)), strict=True):
        cut |= {(doc, word) for word in range(begin, end)}
    assert cut == cut_of(documents, length)
    return len(cut)


few_words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=24).map(" ".join)
passages = st.lists(
    st.sampled_from(["a b c d e", "b b b", "x y z a b", "Über,  straße", "語の文", "q"]), max_size=8
).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(
    parts=st.lists(st.lists(few_words | passages, max_size=5), min_size=1, max_size=4),
    length=st.integers(1, 9),
    gram=st.integers(1, 9),
)
def test_what_is_cut_is_every_window_that_stood_before(parts, length, gram):
    check(parts, length, min(gram, length))


def test_a_short_period_at_the_end_of_a_text():
    """Its two windows share the place of their anchor, which stands once in all texts."""
    cut = 0
    for period in range(1, 13):
        for before in range(0, 30, 3):
            words = [f"{chr(97 + period)}{before}x{n}" for n in range(before)]
            words += ([f"p{period}x{before}x{n}" for n in range(period)] * 23)[: 20 + period]
            cut += check([[" ".join(words)]], 20, 5)
    assert cut > 0


def test_units_make_no_difference():
    """However documents are cut into parts, the same words go, for the same first copies."""
    rng = np.random.default_rng(4)
    texts = [" ".join(map(str, rng.integers(0, 2, rng.integers(0, 60)))) for _ in range(24)]
    ways = ([texts], [texts[:1], texts[1:7], texts[7:]], [[text] for text in texts])
    found = [
        [np.concatenate(column).tolist() for column in zip(*searched(list(way), 7, 3), strict=True)] for way in ways
    ]
    assert found[0] == found[1] == found[2]
    assert sum(found[0][2]) > 50


@pytest.mark.parametrize(("length", "gram"), [(50, 25), (100, 40)])
def test_pages_of_one_site(shared, length, gram):
    """Documentation in several versions and languages."""
    found = [row["text"] for row in islice(documents_of(shared / "corpus" / "01-helm-www.jsonl.zst"), 0, 1500, 15)]
    assert check([found[:30], found[30:]], length, gram) > 1000


@pytest.mark.slow
@pytest.mark.parametrize(("length", "gram"), [(8, 4), (20, 20), (50, 1), (50, 25), (100, 40)])
def test_real_text(shared, length, gram):
    texts = [json.loads(line)["text"] for line in real_lines(shared, 60)]
    texts = [text for text in texts if len(text) < 20_000]
    assert check([texts[:90], texts[90:400], texts[400:]], length, gram) > 1000
