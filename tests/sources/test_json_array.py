"""A file that is one JSON array: its elements are records, whatever stands in them and however the file is cut."""

import gzip
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reading import read
from winnow.sources.readers.json_array import begins_array, split_array
from winnow.sources.readers.jsonl import READER
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.stored_file import StoredFile
from winnow.stages.ingest.slices import pieces_of

HARD = [
    {"text": 'quotes " and \\ and [brackets] {in}, text', "id": "1"},
    {"text": "", "id": "2", "deep": [[{"a": [1, {"b": "]"}]}]]},
    {"text": "ü\u2028 \\\\", "id": "3"},
    {"text": "x" * 5000, "id": "4"},
]


def split(data: bytes, size: int, maximum: int = 1 << 30):
    chunks = (Chunk(data[at : at + size], at) for at in range(0, len(data), size))
    found, fault = [], None
    for group in split_array(chunks, maximum):
        for index, record in enumerate(group.records):
            length = (group.dropped_bytes if index == 0 else 0) or len(record)
            found.append((bytes(record), group.offsets[index], length))
        fault = group.fault
    return found, fault


values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(values, max_size=5), st.sampled_from([None, 1, 3]), st.integers(1, 40), st.booleans())
def test_elements_are_those_that_json_reads(array, indent, size, plain):
    data = json.dumps(array, indent=indent, ensure_ascii=plain).encode()
    found, fault = split(data, size)
    assert [json.loads(record) for record, _, _ in found] == array and fault is None
    assert all(data[at : at + length] == record for record, at, length in found)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_is_larger_than_allowed_is_counted_and_not_held(size):
    data = json.dumps(["a", "b" * 10_000, "c", ["d" * 9_000]]).encode()
    found, fault = split(data, size, 100)
    assert fault is None and [length for _, _, length in found] == [3, 10_002, 3, 9_004]
    assert [data[at : at + 2] for _, at, _ in found] == [b'"a', b'"b', b'"c', b'["']
    assert split(data[:-3], size, 100)[1].reason == "truncated file: the JSON array does not end"


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".json.gz"])
@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
@pytest.mark.parametrize("form", [{"indent": 1}, {"indent": None}, {"indent": "\t", "ensure_ascii": False}])
def test_an_array_is_read(tmp_path, suffix, batch_bytes, form):
    data = b"\xef\xbb\xbf\n" + json.dumps(HARD, **form).encode() + b"\n"
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    found = read(path, batch_bytes, id="id")
    assert found.texts == [record["text"] for record in HARD] and found.ids == ["1", "2", "3", "4"]
    assert found.rows == [0, 1, 2, 3] and not found.unreadable and found.bytes_read == path.stat().st_size


def test_a_bad_element_is_one_unreadable_with_row_and_place(tmp_path):
    parts = [
        b'{"text": "a"}',
        b"7",
        b'{"text": 7}',
        b"{bad}",
        b'{"text": "\xe9"}',
        b'{"text": NaN, "t": 1}',
        b'{"text": "z"}',
    ]
    path = tmp_path / "a.json"
    path.write_bytes(b"[\n " + b" ,\n ".join(parts) + b" ]")
    found = read(path)
    assert found.texts == ["a", "\ufffd", "z"] and found.rows == [0, 4, 6] and found.replaced == 1
    assert found.kinds == [(1, "not an object"), (2, "wrong type"), (3, "malformed JSON"), (5, "wrong type")]
    data = path.read_bytes()
    assert [data[bad.position : bad.position + bad.bytes] for bad in found.unreadable] == [
        parts[n] for n in (1, 2, 3, 5)
    ]


def test_an_array_that_is_cut_off_gives_all_before_the_cut(tmp_path):
    path = tmp_path / "a.json"
    data = json.dumps(HARD).encode()
    path.write_bytes(data[:-100])
    found = read(path)
    assert found.texts == [record["text"] for record in HARD[:3]]
    assert found.kinds == [(3, "cut off"), (None, "truncated file")]
    path.write_bytes(data + b"\n{}")
    assert read(path).kinds == [(None, "corrupt file")] and len(read(path).texts) == 4
    path.write_bytes(b"[]")
    assert read(path).rows == [] and not read(path).unreadable


def test_lines_that_are_arrays_stay_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'["text"]\n{"text": "a"}\n')
    assert read(path).texts == ["a"] and read(path).kinds == [(0, "not an object")]
    assert not begins_array(b'[{"text": "a"}]\n[{"text": "b"}]', by_suffix=False)
    assert begins_array(b'[{"text": "a"}]\n', by_suffix=False) and begins_array(b" \n[ {", by_suffix=False)
    assert not begins_array(b'{"text": "a"}', by_suffix=True) and not begins_array(b"", by_suffix=True)


def test_an_array_in_another_encoding(tmp_path):
    path = tmp_path / "a.json"
    for encoding in ("utf-16", "cp1252"):
        path.write_bytes(json.dumps([{"text": "größer"}], ensure_ascii=False).encode(encoding))
        assert read(path, encoding=encoding).texts == ["größer"]


def test_an_array_is_not_cut_into_ranges(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(orjson.dumps(HARD))
    part = FileSlice(path=str(path), file=0, source="s", format="jsonl", size=path.stat().st_size, start=50, stop=99)
    with path.open("rb") as file, pytest.raises(FileFaultError, match="from front to back"):
        pieces_of(READER, part, StoredFile(file, part.size))
