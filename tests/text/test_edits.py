"""Edits against Python's slices of bytes, on made texts."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow import schemas
from winnow.text.edits import Edits, apply_edits, edits_from, merge_edits

TEXT = st.text(alphabet="aé日\U0001f600 @", max_size=30)
REPLACEMENTS = ("", "<E>", "日本", "<|endoftext|>")


def column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


@st.composite
def edited(draw: st.DrawFn) -> tuple[list[str], list[tuple[int, int, int, str, str]]]:
    texts = draw(st.lists(TEXT, max_size=6))
    rows = []
    for number, text in enumerate(texts):
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
        for begin, end in zip(cuts[::2], cuts[1::2], strict=False):
            start, stop = len(text[:begin].encode()), len(text[:end].encode())
            rows.append((number * 3, start, stop, draw(st.sampled_from(REPLACEMENTS)), draw(st.sampled_from("ab"))))
    return texts, rows


def plainly(texts: list[str], rows: list[tuple[int, int, int, str, str]]) -> list[str]:
    """From behind, so that no place moves."""
    data = [text.encode() for text in texts]
    for doc, begin, end, replacement, _ in reversed(rows):
        data[doc // 3] = data[doc // 3][:begin] + replacement.encode() + data[doc // 3][end:]
    return [text.decode() for text in data]


@settings(deadline=None)
@given(edited())
def test_edits_are_what_slices_say(made: tuple[list[str], list[tuple[int, int, int, str, str]]]) -> None:
    texts, rows = made
    docs = np.arange(len(texts), dtype=np.uint64) * np.uint64(3)
    found = apply_edits(docs, column(texts), edits_from(rows))
    found.validate(full=True)
    assert found.to_pylist() == plainly(texts, rows)
    for first in range(len(texts)):  # slices of a column, with edits of other documents too
        some = apply_edits(docs[first:], column(texts)[first:], edits_from(rows))
        assert some.to_pylist() == plainly(texts, rows)[first:]


@settings(deadline=None)
@given(edited())
def test_a_table_says_the_same(made: tuple[list[str], list[tuple[int, int, int, str, str]]]) -> None:
    edits = edits_from(made[1])
    again = Edits.of(pa.table(edits.columns(), schemas.EDITS))
    listed = [again.doc, again.start, again.end, again.replacement.to_pylist(), again.kind.to_pylist()]
    assert list(zip(*(list(each) for each in listed), strict=True)) == made[1]


def test_steps_that_meet_become_one() -> None:
    first = edits_from([(1, 0, 4, "<A>", "a"), (1, 10, 12, "<A>", "a"), (3, 0, 2, "<A>", "a")])
    second = edits_from([(1, 4, 6, "", "cut"), (1, 8, 20, "", "cut"), (3, 0, 2, "", "cut"), (5, 0, 1, "", "cut")])
    third = edits_from([(1, 19, 25, "<B>", "b"), (3, 0, 3, "<B>", "b")])
    merged = merge_edits([first, second, Edits.none(), third])
    assert merged.doc.tolist() == [1, 1, 1, 3, 5]
    assert merged.start.tolist() == [0, 4, 8, 0, 0]
    assert merged.end.tolist() == [4, 6, 25, 3, 1]
    assert merged.replacement.to_pylist() == ["<A>", "", "", "<B>", ""]
    assert merged.kind.to_pylist() == ["a", "cut", "cut", "b", "cut"]
    assert len(merge_edits([])) == 0


@pytest.mark.parametrize("row", [(0, 2, 6), (0, 3, 3), (0, -1, 2), (1, 0, 1)])
def test_edits_of_another_text_are_refused(row: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        apply_edits(np.array([0, 1], np.uint64), column(["abcde", ""]), edits_from([(*row, "x", "k")]))


def test_edits_that_lie_over_each_other_are_refused() -> None:
    rows = [(0, 0, 3, "x", "k"), (0, 2, 4, "x", "k")]
    with pytest.raises(ValueError, match="lies over another"):
        apply_edits(np.array([0], np.uint64), column(["abcde"]), edits_from(rows))


def test_nothing_to_do_copies_nothing() -> None:
    texts = column(["a", "b"])
    assert apply_edits(np.array([0, 1], np.uint64), texts, edits_from([(7, 0, 1, "", "k")])) is texts
