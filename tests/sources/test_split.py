import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.sources.readers import split
from winnow.sources.readers.split import split_chunks
from winnow.sources.readers.streams import Chunk


def _chunks(pieces):
    offset = 0
    for piece in pieces:
        yield Chunk(piece, offset)
        offset += len(piece)


few_bytes = st.lists(st.sampled_from([b"a", b"b", b"\n", b"\n\n", b"ab", b"", b"aab\n"]), max_size=30)


@given(few_bytes, st.sampled_from([b"\n", b"\n\n", b"aa", b"ab", b"aba", b"\n\n\n", b"\naab\n", b"abab"]))
def test_equals_bytes_split_of_the_whole_whatever_the_chunks(pieces, separator):
    found, starts = [], []
    for group in split_chunks(_chunks([p for p in pieces if p]), separator, 10**6):
        start = group.start
        for record in group.records:
            found.append(bytes(record))
            starts.append(start)
            start += len(record) + len(separator)
    whole = b"".join(pieces)
    assert found == whole.split(separator)
    for start, record in zip(starts, found, strict=True):
        assert whole[start : start + len(record)] == record


@pytest.mark.parametrize("separator", [b"\n---\n", b"<|endoftext|>"])
def test_a_separator_that_two_chunks_share_ends_a_record_shorter_than_it(separator):
    whole = separator.join([b"", b"a", b"", b"bc", b"", b"d" * 9, b""])
    for size in range(1, len(whole)):
        chunks = _chunks([whole[at : at + size] for at in range(0, len(whole), size)])
        found = [bytes(record) for group in split_chunks(chunks, separator, 10**6) for record in group.records]
        assert found == whole.split(separator)


@given(few_bytes, st.integers(1, 5), st.sampled_from([b"\n", b"ab", b"\n\n"]))
def test_oversize_records_are_counted_to_the_byte(pieces, limit, separator):
    lengths = []
    for group in split_chunks(_chunks([p for p in pieces if p]), separator, limit):
        own = [len(record) for record in group.records]
        if group.dropped_bytes:
            assert own[0] == 0 and group.dropped_bytes > limit
            own[0] = group.dropped_bytes
        lengths += own
    assert lengths == [len(record) for record in b"".join(pieces).split(separator)]


blank_bytes = st.lists(
    st.sampled_from([b"\n" * 40, b"\r\n" * 30, b" ", b"\n", b'{"a":1}\n', b"x", b"\t\n" * 50]), max_size=20
)


@given(blank_bytes, st.integers(1, 200))
def test_runs_of_blank_records_are_counted(pieces, size):
    """Records that are not blank have the same places as if all had been built."""
    whole = b"".join(pieces)
    blank = b"\n \t\r"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "BLANK_RUN_BYTES", 16)
        row, found = 0, []
        for group in split_chunks(
            _chunks([whole[at : at + size] for at in range(0, len(whole), size)]), b"\n", 99, blank
        ):
            start = group.start
            for record in group.records:
                if record.strip(blank):
                    found.append((row, start, bytes(record)))
                row += 1
                start += len(record) + 1
            row += group.skipped
    expected, start = [], 0
    for number, record in enumerate(whole.split(b"\n")):
        if record.strip(blank):
            expected.append((number, start, record))
        start += len(record) + 1
    assert found == expected and row == whole.count(b"\n") + 1
