"""Boilerplate lines against a plain statement in Python, on made texts and on the real corpus."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measuring import corpus_files, read_texts
from tests.support.line_reference import counted, removed
from winnow.numeric.radix import sort_pairs
from winnow.text.lines import counts as line_counts
from winnow.text.lines.config import LinesConfig
from winnow.text.lines.counts import LineCounter
from winnow.text.lines.removal import EXAMPLE_BYTES, KnownLines, LineRemover

UNITS = ("line", "paragraph")


def column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def key_of(piece: str, unit: str) -> int:
    counter = LineCounter(LinesConfig(unit=unit, min_characters=1))
    counter.add(column([piece]))
    keys, documents = counter.take()
    assert documents.tolist() == [1]
    return int(keys[0])


def counts(texts: list[str], config: LinesConfig, batch: int = 0) -> dict[int, int]:
    counter = LineCounter(config)
    for first in range(0, len(texts), batch or max(1, len(texts))):
        counter.add(column(texts)[first : first + (batch or len(texts))])
    keys, documents = counter.take()
    assert len(set(keys.tolist())) == len(keys)
    return dict(zip(keys.tolist(), documents.tolist(), strict=True))


def remover(config: LinesConfig, keys: list[int], listed: list[int] | None = None) -> LineRemover:
    return LineRemover(config, KnownLines(np.array(sorted(keys), np.uint64)), np.array(sorted(listed or []), np.uint64))


SPACES = ("", " ", "\t", "\u00a0", "\u3000 ", "\r", "\x1f")
WORDS = (
    "a",
    "ab",
    "Home | About",
    "日本語の文章です",
    "é",
    "\U0001f600 smile",
    "x" * 63,
    "x" * 64,
    "y" * 130,
    "\u200b",
    ".",
)
line = st.builds(
    lambda before, words, after: before + words + after,
    st.sampled_from(SPACES),
    st.one_of(st.sampled_from(WORDS), st.just(""), st.text(st.characters(exclude_categories=("Cs",)), max_size=12)),
    st.sampled_from(SPACES),
)
text = st.lists(line, max_size=12).map("\n".join)
texts_of = st.lists(text, max_size=8)
configs = st.builds(
    LinesConfig, unit=st.sampled_from(UNITS), max_documents=st.integers(1, 3), min_characters=st.integers(1, 9)
)


@settings(max_examples=100, deadline=None)
@given(texts_of, configs, st.integers(0, 3))
def test_every_line_is_counted_once_a_document(texts, config, batch):
    expected = counted(texts, config)
    keys = {piece: key_of(piece, config.unit) for piece in expected}
    assert counts(texts, config, batch) == {keys[piece]: number for piece, number in expected.items()}
    assert len(set(keys.values())) == len(keys)


@settings(max_examples=150, deadline=None)
@given(texts_of, configs, st.integers(0, 2))
def test_removal_is_the_plain_statement(texts, config, skip):
    expected = counted(texts, config)
    boilerplate = {piece for piece, number in expected.items() if number > config.max_documents}
    keys = {key_of(piece, config.unit): piece for piece in boilerplate}
    remove = remover(config, list(keys), list(keys))
    batch = column([*["x"] * skip, *texts])[skip:]  # a slice: its bytes do not begin at 0
    result = remove(batch)
    statements = [removed(text, config, boilerplate) for text in texts]
    assert result.texts.to_pylist() == [left for left, _ in statements]
    assert result.lines.tolist() == [lines for _, lines in statements]
    lost = [len(before) - len(after) for before, (after, _) in zip(texts, statements, strict=True)]
    assert result.characters.tolist() == lost
    result.texts.validate(full=True)
    examples = {key: piece.encode()[:EXAMPLE_BYTES].decode(errors="ignore") for key, piece in keys.items()}
    assert remove.examples == examples
    again = remove(result.texts)  # nothing is left to remove, and blank lines are settled
    assert again.texts.to_pylist() == result.texts.to_pylist()
    assert not again.lines.any()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A\nNAV", "A"),
        ("A\nNAV\n", "A\n"),
        ("NAV\nA", "A"),
        ("\n\nNAV\n\nA\n", "\n\nA\n"),
        ("NAV\n\n\nA", "A"),
        ("A\n\nNAV\n\nB", "A\n\nB"),
        ("A\n\n\nNAV\n\n\n\nB", "A\n\n\nB"),
        ("A\nNAV\n\n\nB", "A\n\nB"),
        ("A\n\nNAV\n\nNAV\n\nB\n\n\n\nC", "A\n\nB\n\n\n\nC"),
        ("A\n \t NAV\r\nB", "A\nB"),
        ("  A \nNAV\n\tB", "  A \n\tB"),
        ("A NAV\nNAV B", "A NAV\nNAV B"),
        ("NAV\n\nNAV\n", ""),
        ("\n\nNAV", ""),
        ("\n\n \n", "\n\n \n"),
        ("", ""),
    ],
)
def test_what_is_left_where_lines_were(before, after):
    config = LinesConfig(min_characters=3)
    result = remover(config, [key_of("NAV", "line")])(column([before]))
    assert result.texts.to_pylist() == [after]
    assert removed(before, config, {"NAV"})[0] == after


def test_a_paragraph_is_compared_as_a_whole():
    config = LinesConfig(unit="paragraph", min_characters=3)
    texts = ["one\ntwo\n\n  one\ntwo \n \nA", "A\none\ntwo", "one \ntwo", "one\r\ntwo"]
    result = remover(config, [key_of("one\ntwo", "paragraph")])(column(texts))
    assert result.texts.to_pylist() == ["A", *texts[1:]]
    assert result.lines.tolist() == [4, 0, 0, 0]


def test_short_lines_stay_by_characters_not_bytes():
    config = LinesConfig(min_characters=4)
    keys = [key_of(piece, "line") for piece in ("日本語", "日本語の", "abc", "abcd")]
    result = remover(config, keys)(column(["日本語\n日本語の\nabc\n abc \nabcd"]))
    assert result.texts.to_pylist() == ["日本語\nabc\n abc "]
    assert set(counts(["日本語\n日本語の\nabc\n abc \nabcd"], config)) == {keys[1], keys[3]}


def test_nothing_to_remove_gives_the_very_input():
    batch = column(["a line of text", "another"])
    assert remover(LinesConfig(min_characters=1), [])(batch).texts is batch
    assert remover(LinesConfig(min_characters=1), [5])(batch).texts is batch
    assert remover(LinesConfig(min_characters=1), [5])(column([])).texts.to_pylist() == []


def test_keys_are_those_that_earlier_runs_stored():
    """Other values need new versions of the stages `lines` and `measure`."""
    assert key_of("Skip to main content", "line") == FROZEN[0]
    assert key_of("日本語の文章です。", "line") == FROZEN[1]
    assert key_of("one\ntwo", "paragraph") == FROZEN[2]


FROZEN = (15145773342357122531, 8717799608872858312, 1723393160641064524)


def test_more_lines_than_the_first_table_holds(monkeypatch):
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 200_000, 500_000)
    documents = [[f"line number {n}" for n in piece] for piece in np.array_split(numbers, 50)]
    config = LinesConfig(min_characters=1)
    found = counts(["\n".join(lines) for lines in documents], config, 7)
    expected = Counter(line for lines in documents for line in set(lines))
    assert len(found) == len(expected) > line_counts.FIRST_SLOTS
    assert Counter(found.values()) == Counter(expected.values())
    keys = np.array(list(found), np.uint64)
    shares = np.bincount((keys >> np.uint64(60)).astype(int), minlength=16) / len(keys)
    assert np.all(np.abs(shares - 1 / 16) < 0.003)  # even partitions by the upper bits
    counter = LineCounter(config)
    monkeypatch.setattr(line_counts, "RUN_LINES", 3)
    counter.add(column(["a\nb"]))
    assert not counter.is_full
    counter.add(column(["a\nc"]))
    assert counter.is_full
    assert sorted(counter.take()[1].tolist()) == [1, 1, 2]
    assert not counter.is_full
    assert len(counter.take()[0]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_the_real_corpus(shared, unit):
    """Every line of several sources: one key a line, the same counts, the same texts."""
    config = LinesConfig(unit=unit, max_documents=8, min_characters=12)
    lines_removed = 0
    for path in (corpus_files(shared / "corpus")[n] for n in (0, 4, 9, 12)):
        batch = read_texts(path)[:1_500]
        texts = batch.to_pylist()
        expected = counted(texts, config)
        counter = LineCounter(config)
        counter.add(batch)
        keys, documents = sort_pairs(*counter.take(), False)
        assert len(keys) == len(expected)  # no two lines with one key
        assert Counter(documents.tolist()) == Counter(expected.values())
        boilerplate = {piece for piece, number in expected.items() if number > 8}
        result = LineRemover(config, KnownLines(keys[documents > 8]), keys[:0])(batch)
        assert result.texts.to_pylist() == [removed(text, config, boilerplate)[0] for text in texts]
        lines_removed += result.lines.sum()
    assert lines_removed > 1_000
