import io
import json
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reading import Gathered, read
from winnow.sources.read import read_slice
from winnow.sources.readers.line_ranges import count_lines
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"


def _write(path: Path, *lines: bytes | dict) -> Path:
    path.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
    return path


def test_rows_count_blank_lines_and_a_last_line_needs_no_end(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text":"one"}\n\n  \t\r\n{"text":""}\r\n{"text":"three\\u0000"}')
    found = read(path)
    assert found.rows == [0, 3, 4]
    assert found.texts == ["one", "", "three\0"]
    assert found.unreadable == [] and found.ids == [None] * 3
    assert found.bytes_read == path.stat().st_size


def test_an_empty_file_holds_no_records_and_no_fault(tmp_path):
    (tmp_path / "a.jsonl").touch()
    found = read(tmp_path / "a.jsonl")
    assert found.rows == [] and found.unreadable == []


def test_ids_and_kept_fields_become_text_without_loss(tmp_path):
    values = ["007", 7, 7.5, True, None, {"a": [1, "é"]}, 2**63, 2**64, 10**40 + 1, -(2**64) - 1, 1e30, "\ud83d\ude00"]
    path = _write(tmp_path / "a.jsonl", *({"text": "x", "id": v, "m": {"k": v}} for v in values), {"text": "x"})
    found = read(path, id="id", keep=("m.k", "m"))
    expected = [
        "007",
        "7",
        "7.5",
        "true",
        None,
        '{"a":[1,"é"]}',
        str(2**63),
        str(2**64),
        f"{10**40 + 1}",
        f"{-(2**64) - 1}",
        orjson.dumps(1e30).decode(),
        "😀",
        None,
    ]
    assert found.ids == expected
    assert found.keep["m.k"] == expected
    assert found.keep["m"][:2] == ['{"k":"007"}', '{"k":7}']


def test_dotted_fields_reach_inside_and_a_field_with_a_dot_goes_first(tmp_path):
    path = _write(tmp_path / "a.jsonl", {"a": {"b": "in"}}, {"a.b": "flat", "a": {"b": "in"}}, {"a": "no"}, {"a": {}})
    found = read(path, text="a.b")
    assert found.texts == ["in", "flat"]
    assert found.kinds == [(2, "missing text"), (3, "missing text")]


BAD_LINES = [
    (b'{"text": "a', "malformed JSON"),
    (b"nonsense", "malformed JSON"),
    (b'{"text": "a"} {"text": "b"}', "malformed JSON"),
    (b'{"text": "raw \x01 control"}', "malformed JSON"),
    (b'{"text": "a", "n": NAN}', "malformed JSON"),
    (b'{"text": "a", "n": -NaN}', "malformed JSON"),
    (b'{"text": NaN}', "wrong type"),
    (b'{"text": "\\ud8zz"}', "malformed JSON"),
    (b"[" * 100_000, "malformed JSON"),
    (b'{"a":' * 100_000, "malformed JSON"),
    (b'["text"]', "not an object"),
    (b'"text"', "not an object"),
    (b"7", "not an object"),
    (b"null", "not an object"),
    (b"{}", "missing text"),
    (b'{"txt": "a"}', "missing text"),
    (b'{"text": null}', "null text"),
    (b'{"text": 7}', "wrong type"),
    (b'{"text": ["a"]}', "wrong type"),
    (b'{"text": {"a": 1}}', "wrong type"),
    (b'{"text": "' + b"x" * 1_000_000 + b'"}', "too large"),
    (b"\x00\xff\xfe", "malformed JSON"),
]


@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
def test_every_bad_line_is_one_unreadable_with_row_and_offset_and_reading_goes_on(tmp_path, batch_bytes):
    lines = [line for bad, _ in BAD_LINES for line in (b'{"text": "good"}', bad)] + [b'{"text": "last"}']
    path = _write(tmp_path / "a.jsonl", *lines)
    found = read(path, batch_bytes, max_document_mb=1)
    assert found.texts == ["good"] * len(BAD_LINES) + ["last"]
    assert found.rows == list(range(0, len(lines), 2))
    assert found.kinds == [(2 * i + 1, kind) for i, (_, kind) in enumerate(BAD_LINES)]
    data = path.read_bytes()
    for bad, (line, _) in zip(found.unreadable, BAD_LINES, strict=True):
        assert data[bad.position : bad.position + bad.bytes] == line
        assert len(bad.reason) < 300
    assert found.bytes_read == len(data)


def test_numbers_that_json_has_no_form_for_harm_no_record(tmp_path):
    path = _write(
        tmp_path / "a.jsonl",
        b'{"text": "a", "n": NaN, "m": [1, {"x": -Infinity}], "big": 1e999}',
        b'{"text": "\\ud800", "n": Infinity}',
        b'{"text": "\xe9", "n": NaN, "big": 12345678901234567890123}',
    )
    found = read(path, keep=["n", "m", "big"])
    assert found.texts == ["a", "\ufffd", "\ufffd"] and not found.unreadable and found.replaced == 2
    assert found.keep["n"] == ["NaN", "Infinity", "NaN"]
    assert found.keep["m"] == ['[1,{"x":-Infinity}]', None, None]
    assert found.keep["big"] == ["Infinity", None, "12345678901234567890123"]


def test_invalid_utf8_is_replaced_and_counted_or_rejected(tmp_path):
    path = _write(
        tmp_path / "a.jsonl",
        b'{"text": "a\xe9b"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "\xf0\x9f"}',
        {"text": "é"},
    )
    found = read(path)
    assert found.texts == [
        b"a\xe9b".decode(errors="replace"),
        "���",
        b"\xf0\x9f".decode(errors="replace"),
        "é",
    ]
    assert found.replaced == 3 and not found.unreadable
    found = read(path, invalid_utf8="reject")
    assert found.texts == ["é"] and found.replaced == 0
    assert found.kinds == [(0, "invalid UTF-8"), (1, "invalid UTF-8"), (2, "invalid UTF-8")]


escapes = st.lists(
    st.sampled_from(
        [
            r"\ud800",
            r"\uDC00",
            r"\ud83d\ude00",
            r"\\",
            r"\\ud800",
            "\\\\\\ud800",
            r"\n",
            r"\"",
            "a",
            "é",
            r"\u0041",
            r"\udbff\udfff",
        ]
    )
)


@given(escapes)
@settings(deadline=None)
def test_lone_surrogates_become_replacement_characters_as_python_reads_them(pieces):
    literal = '{"text": "' + "".join(pieces) + '"}'
    python = json.loads(literal)["text"]
    found = Gathered()
    data = literal.encode()
    file_slice = FileSlice(path="a.jsonl", file=0, source="s", format="jsonl", size=len(data))
    for batch in read_slice(file_slice, SourceConfig(name="s", path="a.jsonl"), lambda _: io.BytesIO(data), 100):
        found.add(batch)
    expected = re.sub("[\ud800-\udfff]", "\ufffd", python)
    assert found.texts == [expected]
    assert found.replaced == (expected != python)


def test_a_byte_order_mark_is_skipped_once_and_offsets_stay_exact(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text":"a"}\nbad\n\xef\xbb\xbf{"text":"b"}\n')
    found = read(path)
    assert found.texts == ["a"]
    assert [(bad.row, bad.position) for bad in found.unreadable] == [(1, 16), (2, 20)]


SMALL = b'{"text":"one"}\n{"text":"caf\xc3\xa9"}\n\nbad\n{"text":""}\r\n\n\n{"text":"long long long"}\n{"text":"end"}'


WHOLE_FILES = [SMALL, SMALL + b"\n", b"\xef\xbb\xbf" + SMALL, b"\n" * 5, b'{"text":"only"}']


def _ranges(path: Path, cuts: list[int], batch_bytes: int) -> Gathered:
    def opener(_):
        return path.open("rb")

    found, first_row = Gathered(), 0
    size = path.stat().st_size
    edges = [0, *sorted(cuts), size]
    source = SourceConfig(name="s", path=str(path))
    for start, stop in pairwise(edges):
        part = FileSlice(
            path=str(path),
            file=0,
            source="s",
            format="jsonl",
            size=size,
            start=start,
            stop=stop,
            first_row=first_row,
        )
        for batch in read_slice(part, source, opener, batch_bytes):
            found.add(batch)
        with path.open("rb") as file:
            first_row += count_lines(part, StoredFile(file, size))
    return found


@pytest.mark.parametrize("data", WHOLE_FILES)
def test_every_cut_gives_the_records_and_rows_of_the_whole(tmp_path, data):
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    whole = read(path)
    for cut in range(len(data) + 1):
        parts = _ranges(path, [cut], 1 << 20)
        assert (parts.rows, parts.texts, parts.unreadable) == (whole.rows, whole.texts, whole.unreadable), cut


lines_of_files = st.lists(
    st.one_of(
        st.just(b""),
        st.just(b"bad"),
        st.text(max_size=20).map(
            lambda t: json.dumps({"text": t}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        ),
    ),
    max_size=12,
)


@given(lines_of_files, st.booleans(), st.lists(st.integers(0, 400), max_size=6), st.integers(1, 200))
@settings(deadline=None, max_examples=150)
def test_any_cuts_and_any_batch_size_give_the_same(tmp_path_factory, lines, ended, cuts, batch_bytes):
    path = tmp_path_factory.getbasetemp() / "cuts.jsonl"
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    path.write_bytes(data)
    whole = read(path)
    parts = _ranges(path, [cut for cut in cuts if cut <= len(data)], batch_bytes)
    assert (parts.rows, parts.texts, parts.unreadable) == (whole.rows, whole.texts, whole.unreadable)
    records = sum(1 for line in data.split(b"\n") if line.strip())
    assert len(whole.rows) + len(whole.unreadable) == records


def test_lines_across_many_chunks_and_ranges(tmp_path, monkeypatch):
    monkeypatch.setattr("winnow.sources.readers.streams.CHUNK_BYTES", 7)
    monkeypatch.setattr("winnow.sources.readers.streams.CHUNK_BYTES", 5)
    path = tmp_path / "a.jsonl"
    path.write_bytes(SMALL)
    for cut in range(len(SMALL)):
        parts = _ranges(path, [cut], 10)
        assert parts.texts == ["one", "café", "", "long long long", "end"]
        assert parts.rows == [0, 1, 4, 7, 8]
        assert [(bad.row, bad.position) for bad in parts.unreadable] == [(3, SMALL.index(b"bad"))]


def test_an_oversize_line_across_chunks_is_one_unreadable(tmp_path):
    path = _write(tmp_path / "a.jsonl.zst", {"text": "a"}, {"text": "x" * 20_000_000}, {"text": "b"})
    path.write_bytes(zstandard.compress(path.read_bytes()))
    found = read(path, max_document_mb=2)
    assert found.texts == ["a", "b"] and found.rows == [0, 2]
    assert [(bad.row, bad.bytes) for bad in found.unreadable] == [(1, 20_000_012)]


def test_a_plain_file_shorter_than_catalogued(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text":"a"}\n{"text":"b')
    found = read(path, size=100)
    assert found.texts == ["a"]
    assert found.kinds == [(1, "cut off"), (None, "shorter file")]
    assert found.unreadable[1].bytes == 100 - 23
    found = read(path, size=100, start=50, stop=80, first_row=9)
    assert found.kinds == [(None, "shorter file")]


def test_a_file_that_grew_is_read_as_it_was_catalogued(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text":"a"}\n{"text":"b"}\n')
    assert read(path, size=13).texts == ["a"]
    assert read(path, size=14).texts == ["a", "b"]
    assert read(path, size=0).texts == []


@pytest.mark.parametrize("name", ["03-rust-book", "12-php-doc-ja", "11-ruanyf-weekly"])
def test_equals_python_json_on_real_text(name):
    path = CORPUS / f"{name}.jsonl.zst"
    if not path.exists():
        pytest.skip(f"needs {path}")
    found = read(path, batch_bytes=3_000_000, id="id", keep=("source", "lang"))
    with zstandard.open(path, "rb") as file:
        records = [json.loads(line) for line in file.read().split(b"\n") if line]
    assert len(records) > 400
    assert found.texts == [record["text"] for record in records]
    assert found.ids == [record["id"] for record in records]
    assert found.keep["lang"] == [record["lang"] for record in records]
    assert found.rows == list(range(len(records))) and not found.unreadable and not found.replaced
    assert found.bytes_read == path.stat().st_size


def test_more_tiny_files_than_a_process_may_have_open(tmp_path):
    data = zstandard.compress(b'{"text": "tiny"}\n')
    for number in range(1_500):
        (tmp_path / f"{number}.jsonl.zst").write_bytes(data)
    assert sum(len(read(tmp_path / f"{number}.jsonl.zst").rows) for number in range(1_500)) == 1_500


_LARGE = """
import resource, sys
from pathlib import Path
from tests.support.reading import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = None
from winnow.sources.read import read_slice
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
path = sys.argv[1]
part = FileSlice(path=path, file=0, source="s", format="jsonl", size=Path(path).stat().st_size)
rows, length = [], 0
for batch in read_slice(part, SourceConfig(name="s", path=path), lambda p: open(p, "rb"), 1 << 20):
    rows += batch.rows.tolist()
    length += batch.texts.nbytes
    assert not batch.unreadable
    del batch
print(rows, length >= 200_000_000, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1_000)
"""


def test_a_document_of_200_mb_takes_a_small_multiple_of_its_size(tmp_path):
    path = tmp_path / "large.jsonl.zst"
    filler = b"All work and no play makes a long document. " * 25_000
    with zstandard.open(path, "wb") as file:
        file.write(b'{"text": "before"}\n{"text": "')
        for _ in range(182):
            file.write(filler)
        file.write(b'"}\n{"text": "after"}\n')
    run = subprocess.run(
        [sys.executable, "-c", _LARGE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    *rows, whole, megabytes = run.stdout.split()
    assert rows == ["[0,", "1,", "2]"] and whole == "True"
    assert int(megabytes) < 900, megabytes


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \t\n"])
def test_megabytes_of_blank_lines_take_no_time_and_keep_the_rows(tmp_path, blank):
    """Two gigabytes of line ends took two minutes."""
    path = tmp_path / "a.jsonl"
    lines = 40_000_000 // len(blank)
    path.write_bytes(b'{"text":"a"}\n' + blank * lines + b'{"text":"b"}\n' + blank * 5_000 + b"bad\n" + blank * lines)
    before = time.process_time()
    found = read(path)
    assert found.texts == ["a", "b"] and found.rows == [0, 1 + lines]
    assert found.kinds == [(2 + lines + 5_000, "malformed JSON")]
    assert time.process_time() - before < 6


def _deep(levels: int) -> str:
    return "[" * levels + '"]"' + "]" * levels


UNREAD = [_deep(300), _deep(1_100), _deep(100_000), "9" * 5_000, "1e999", "[1e999,NaN,-Infinity]"]


@pytest.mark.parametrize("unread", UNREAD, ids=lambda value: value[:5])
def test_what_stands_in_a_field_that_nobody_reads_harms_no_record(tmp_path, unread):
    path = tmp_path / "a.jsonl"
    line = '{"k\\"]":UNREAD, "text": "x, {\\"", "m": {"id": [7], "k": UNREAD}}'.replace("UNREAD", unread)
    path.write_text(f'{{"text":"a"}}\n{line}\n{{"text":"b"}}\n')
    found = read(path)
    assert found.texts == ["a", 'x, {"', "b"] and not found.unreadable


@pytest.mark.parametrize("levels", [1_100, 100_000])
def test_a_kept_field_that_is_nested_too_deeply_costs_its_record(tmp_path, levels):
    path = tmp_path / "a.jsonl"
    deep = f'{{"text":"x","k":{_deep(levels)}'
    path.write_text("\n".join(['{"text":"a","k":1}', deep + "}", '{"text":"b"}', deep]))
    found = read(path, keep=("k",))
    assert found.texts == ["a", "b"] and found.keep["k"] == ["1", None]
    assert found.kinds == [(1, "malformed JSON"), (3, "malformed JSON")]


def test_kept_fields_of_three_hundred_levels_are_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text":"x","k":{_deep(300)}}}\n')
    assert read(path, keep=("k",)).keep["k"] == [_deep(300)]
