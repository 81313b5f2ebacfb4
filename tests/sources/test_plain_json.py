"""Plain lines come out as the general reader reads them, and all others are left to it."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from winnow.runs.first_look import LOOK_BYTES
from winnow.sources.read import read_slice
from winnow.sources.readers import plain_json
from winnow.sources.readers.json_scan import line_bounds
from winnow.sources.readers.plain_json import LEAST_BYTES, PlainLines
from winnow.sources.readers.split import Lines
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig

FIELDS = {"id": "id", "keep": ("a", "ключ")}


def _batches(path, least, batch_bytes=1 << 20, **fields):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_json, "LEAST_BYTES", least)
        source = SourceConfig(name="s", path=str(path), **fields)
        whole = FileSlice(path=str(path), file=0, source="s", format="jsonl", size=path.stat().st_size)
        return list(read_slice(whole, source, lambda place: open(place, "rb"), batch_bytes))


def _told(batches):
    for batch in batches:
        for column in (batch.ids, batch.texts, *batch.keep.values()):
            column.validate(full=True)
    return [
        (
            batch.rows.tolist(), batch.ids.to_pylist(), batch.texts.to_pylist(),
            {name: (column.type, column.to_pylist()) for name, column in batch.keep.items()},
            batch.unreadable, batch.noted, batch.bytes_read, batch.fields, batch.replaced,
        )
        for batch in batches
    ]  # fmt: skip


def _same(path, data, batch_bytes=1 << 20, **fields):
    path.write_bytes(data)
    plain, general = (_told(_batches(path, least, batch_bytes, **fields)) for least in (0, 1 << 40))
    assert plain == general
    return plain


def _kinds(data, **fields):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_json, "LEAST_BYTES", 0)
        lines = PlainLines(SourceConfig(name="s", path="x", **fields), longest=1 << 20)
        cut = lines.split(data)
        cut.pop()
        found = lines.read(cut)
    return None if found is None else [number not in found.others for number in range(len(cut))]


PLAIN = [
    b'{"text":"a"}',
    b'{"text":""}',
    b' { "text" :\t"a" , "id" : "b" } \r',
    b'{"id":null,"text":"a","a":12}',
    b'{"a":-7,"text":"\\u00e9\\ud83d\\ude00\\n\\"\\\\\\/\\b\\f\\r\\t\\u0000","id":0}',
    '{"text":"日本 é 😀","ключ":"я"}'.encode(),
    b'{"text":"a","b":[1,-0.5e+3,{"c":[],"d":{}},true,false,null,"\\n"],"e":1e999,"f":{"g":{"h":[[[]]]}}}',
    b'{"text":"' + b"x" * 63 + b"\\n" + b"y" * 130 + b'"}',
    b'{"id":"i","a":"j","text":"k","id2":"l"}',
]
OTHERS = [
    b'{"text":"a","text":"b"}',
    b'{"te\\u0078t":"a"}',
    b'{"text":"\\ud83d"}',
    b'{"text":"\\ude00\\ud83d"}',
    b'{"text":"\\ude00"}',
    b'{"text":1}',
    b'{"text":null}',
    b'{"id":"a"}',
    b'{"text":"a","id":1.5}',
    b'{"text":"a","id":-0}',
    b'{"text":"a","id":true}',
    b'{"text":"a","id":1234567890123456789}',
    b'{"text":"a","id":{}}',
    b'{"text":"a","x":01}',
    b'{"text":"a","x":1.}',
    b'{"text":"a","x":[1,]}',
    b'{"text":"a","x":{"b"}}',
    b'{"text":"a","x":{"b":1,}}',
    b'{"text":"a","x":nul}',
    b'{"text":"a",}',
    b'{"text":"a"',
    b'{"text":"a"}}',
    b'{"text":"a"} x',
    b'["text","a"]',
    b'{"text":"a\tb"}',
    b"{}",
    b"{",
    b'{"text":"a\\x"}',
    b'{"text":"\\u12g4"}',
    b'{"text":"a","x":[1}',
    b'{"text":"a","x":"',
    b'{"text":"a\\',
    b" ",
    b"\r",
    b'{"text":"a","x":' + b"[" * 61 + b"]" * 61 + b"}",
    b'{"text":"a","x":-}',
    b'{"text":"a","x":1e}',
    b'{"text":"\\u12',
    b'{"text":"a" "id":"b"}',
    b'{"text" "a"}',
    b'{"text":"a","x":}',
    b'{text:"a"}',
]


def test_which_lines_are_plain():
    filler = [b'{"text":"filler"}'] * 800
    plain = _kinds(b"\n".join([*PLAIN, *OTHERS, *filler, b""]), **FIELDS)
    assert plain == [True] * len(PLAIN) + [False] * len(OTHERS) + [True] * len(filler)


def test_who_wants_little_at_once_loads_no_kernel():
    """As the look at a source's first records, in a process that leaves the work to others."""
    data = b'{"text": "a"}\n' * LEAST_BYTES
    source = SourceConfig(name="s", path="x")
    assert isinstance(PlainLines(source, longest=LOOK_BYTES).split(data), list)
    assert isinstance(PlainLines(source, longest=LOOK_BYTES + 1).split(data), Lines)


@pytest.mark.parametrize("batch_bytes", [1, 300, 1 << 20])
def test_all_lines_are_read_as_by_the_general_reader(tmp_path, batch_bytes):
    lines = [line for odd in [*PLAIN, *OTHERS] for line in (odd, *[b'{"text":"filler","id":"f"}', b""] * 12)]
    told = _same(tmp_path / "a.jsonl", b"\n".join(lines), batch_bytes, **FIELDS)
    assert sum(len(batch[0]) for batch in told) > len(lines) / 3


def test_a_chunk_that_is_not_utf8_is_left_to_the_general_reader(tmp_path):
    good = b'{"text":"a"}\n'
    for bad in (b'{"text":"\xff"}\n', b'{"text":"\xed\xa0\x80"}\n', b'{"x\xff":1,"text":"a"}\n'):
        data = good * 40 + bad + good * 40
        assert _kinds(data) is None
        _same(tmp_path / "a.jsonl", data)


def test_sources_that_need_more_than_a_look_are_left_to_the_general_reader():
    for fields in ({"text": "a.b"}, {"text": ("a", "b")}, {"keep": ("c.d",)}, {"label": "l"}, {"messages": "m"}):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plain_json, "LEAST_BYTES", 0)
            lines = PlainLines(SourceConfig(name="s", path="x", **fields), longest=1 << 20)
            assert isinstance(lines.split(b"a\nb"), list)


def test_where_most_lines_are_not_plain_no_more_are_looked_at(monkeypatch):
    monkeypatch.setattr(plain_json, "LEAST_BYTES", 0)
    lines = PlainLines(SourceConfig(name="s", path="x"), longest=1 << 20)
    for _ in range(plain_json._MOST_IN_VAIN + 1):
        cut = lines.split(b'{"text":1}\n' * 9)
        assert not isinstance(cut, list) and lines.read(cut) is None
    assert isinstance(lines.split(b'{"text":"a"}\n' * 9), list)


def test_a_long_line_is_left_to_the_general_reader(tmp_path):
    long = json.dumps({"text": "x" * 2_000_000}).encode() + b"\n"
    data = (b'{"text":"a"}\n' * 100 + long) * 2
    _same(tmp_path / "a.jsonl", data, 1 << 20)
    told = _same(tmp_path / "a.jsonl", data, 1 << 30, max_document_mb=1)
    assert len(told[0][4]) == 2


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
records = st.dictionaries(st.sampled_from(["text", "id", "a", "ключ", "b", 'c"\n']), values | st.text() | st.text())


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(records, max_size=12), st.booleans(), st.sampled_from([",:", None]), st.randoms(use_true_random=False))
@example([{"text": "a"}], True, None, None)
def test_any_records_and_any_broken_ones(tmp_path_factory, objects, ascii_only, separators, chance):
    lines = [
        json.dumps(o, ensure_ascii=ascii_only, separators=tuple(separators) if separators else None) for o in objects
    ]
    raw = [line.encode(errors="replace") for line in lines]
    for number, line in enumerate(raw if chance else ()):
        if chance.random() < 0.3:  # a byte more, less or another one
            at = chance.randrange(len(line))
            raw[number] = line[:at] + chance.choice([b"", b'"', b"\\", b"{", b"]", b",", b"0"]) + line[at + 1 :]
    filler = [b'{"text":"filler"}'] * (16 * len(raw) + 2)
    _same(tmp_path_factory.mktemp("j") / "a.jsonl", b"\n".join([*filler, *raw, *filler]), **FIELDS)


def test_nothing_behind_the_last_line_end_is_read():
    for tail in (b'{"text":"a', b'{"text":"\\u', b'{"te'):
        data = b'{"text":"a"}\n' * 60 + tail
        assert _kinds(data) == [True] * 60
    assert np.array_equal(line_bounds(np.frombuffer(b"a\n" * 5000 + b"b", np.uint8))[:3], [0, 2, 4])
