import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reading import read


def test_a_file_is_a_document_byte_order_mark_and_all(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\ntwo\0\n")
    found = read(tmp_path / "a.txt", keep=("x",))
    assert found.texts == ["\ufeffone\r\n\ntwo\0\n"] and found.rows == [0] and found.ids == [None]
    assert found.keep == {"x": [None]} and found.bytes_read == 14


def test_an_empty_file_is_an_empty_document(tmp_path):
    (tmp_path / "a.txt").touch()
    found = read(tmp_path / "a.txt")
    assert found.texts == [""] and not found.unreadable
    assert read(tmp_path / "a.txt", separator="--").texts == []


def test_pieces_of_white_space_are_no_records_but_count_as_rows(tmp_path):
    (tmp_path / "a.md").write_bytes("---one\n---\n \u3000\n---two---three\n---".encode())
    found = read(tmp_path / "a.md", separator="---")
    assert found.texts == ["one\n", "two", "three\n"] and found.rows == [1, 3, 4]


def test_invalid_bytes_are_replaced_or_rejected(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a\xe9b||good||\xff")
    found = read(tmp_path / "a.txt", separator="||")
    assert found.texts == ["a\ufffdb", "good", "\ufffd"] and found.replaced == 2
    found = read(tmp_path / "a.txt", separator="||", invalid_utf8="reject")
    assert found.texts == ["good"] and found.rows == [1]
    assert [(bad.row, bad.position, bad.bytes) for bad in found.unreadable] == [(0, 0, 3), (2, 11, 1)]


def test_too_large_texts_are_unreadable(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x" * 9_000_000)
    found = read(tmp_path / "a.txt", max_document_mb=2)
    assert found.kinds == [(0, "too large")] and found.unreadable[0].bytes == 9_000_000
    (tmp_path / "a.txt").write_bytes(b"a|" + b"x" * 9_000_000 + b"|b|" + b"y" * 1_000_001 + b"|c")
    found = read(tmp_path / "a.txt", max_document_mb=1, separator="|")
    assert found.texts == ["a", "b", "c"] and found.rows == [0, 2, 4]
    assert [(bad.row, bad.bytes) for bad in found.unreadable] == [(1, 9_000_000), (3, 1_000_001)]
    assert found.unreadable[1].position == 9_000_005


def test_a_truncated_file_is_cut_off_and_a_fault(tmp_path):
    stored = gzip.compress(b"one|two|three" * 100)
    (tmp_path / "a.txt.gz").write_bytes(stored[:-9])
    found = read(tmp_path / "a.txt.gz", size=len(stored))
    assert found.kinds == [(0, "cut off"), (None, "truncated file")]
    found = read(tmp_path / "a.txt.gz", size=len(stored), separator="|")
    assert found.texts[:3] == ["one", "two", "threeone"]
    assert [kind for _, kind in found.kinds] == ["cut off", "truncated file"]


def test_a_file_without_known_suffix_is_text_when_the_user_says_so(tmp_path):
    (tmp_path / "NOTES").write_text("hello")
    assert read(tmp_path / "NOTES", format="text").texts == ["hello"]


@given(
    st.lists(st.sampled_from(["a", "\n", "\n\n", "é", " ", "\n\n\n", "bc"]), max_size=30),
    st.sampled_from(["\n\n", "\n", "aé", "é"]),
    st.integers(1, 100),
)
@settings(deadline=None)
def test_equals_str_split(tmp_path_factory, parts, separator, batch_bytes):
    path = tmp_path_factory.getbasetemp() / "split.txt"
    text = "".join(parts)
    path.write_bytes(text.encode())
    found = read(path, batch_bytes, separator=separator)
    expected = [(row, piece) for row, piece in enumerate(text.split(separator)) if piece and not piece.isspace()]
    assert list(zip(found.rows, found.texts, strict=True)) == expected


@pytest.mark.parametrize("separator", [None, "|"])
def test_a_plain_text_file_shorter_than_catalogued(tmp_path, separator):
    (tmp_path / "a.txt").write_bytes(b"one|tw")
    found = read(tmp_path / "a.txt", size=20, separator=separator)
    assert [kind for _, kind in found.kinds] == ["cut off", "shorter file"]
    assert found.texts == (["one"] if separator else [])
