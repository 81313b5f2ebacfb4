"""Ids, kept columns and labels of Parquet: every type has a text, and what has none costs one record."""

import datetime
import decimal
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.reading import read
from winnow.sources.readers.side_columns import as_strings

UUID = uuid.UUID("12345678-90ab-cdef-1234-567890abcdef")
YEAR_10000 = 253_402_300_800
LATIN_1 = b"caf\xe9"


def _listed(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def _claimed(raw: bytes) -> pa.Array:
    """A string column that claims bytes as UTF-8."""
    return pa.array([raw], pa.binary()).view(pa.string())


def _deep(levels: int) -> pa.Array:
    column = pa.array([1], pa.int64())
    for _ in range(levels):
        column = _listed(column)
    return column


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([UUID.bytes], pa.uuid()), str(UUID)),
        (_listed(pa.array([UUID.bytes], pa.uuid())), f'["{UUID}"]'),
        (pa.array([b"\xff\0ab"], pa.binary(4)), "ff006162"),
        (pa.array([{"a": b"\xff\0ab"}], pa.struct([("a", pa.binary(4))])), '{"a":"ff006162"}'),
        (pa.array([LATIN_1]), "caf\ufffd"),
        (_claimed(LATIN_1), "caf\ufffd"),
        (_listed(_claimed(LATIN_1)), '["caf\ufffd"]'),
        (pa.StructArray.from_arrays([_claimed(LATIN_1)], ["k"]), '{"k":"caf\ufffd"}'),
        (pa.array([YEAR_10000], pa.timestamp("s")), "10000-01-01 00:00:00"),
        (pa.array([YEAR_10000 * 1_000], pa.timestamp("ms", "UTC")), "10000-01-01 00:00:00.000Z"),
        (_listed(pa.array([YEAR_10000], pa.timestamp("s"))), '["10000-01-01T00:00:00"]'),
        (_listed(pa.array([2_932_897], pa.date32())), '["10000-01-01"]'),
        (pa.array([0], pa.timestamp("s", "Mars/Olympus")), "1970-01-01 00:00:00Z"),
        (_listed(pa.array([1], pa.timestamp("ns"))), '["1970-01-01T00:00:00.000000001"]'),
        (_listed(pa.array([1_001], pa.time64("ns"))), '["00:00:00.000001001"]'),
        (_listed(pa.array([2**61], pa.duration("s"))), '["2305843009213693952"]'),
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), "MonthDayNano(months=1, days=2, nanoseconds=3)"),
        (pa.array([decimal.Decimal("1.50")], pa.decimal256(60, 2)), "1.50"),
        (_listed(pa.array([1.5, float("nan"), float("inf")])), "[1.5,null,null]"),
        (pa.array([[("a", LATIN_1)]], pa.map_(pa.string(), pa.binary())), '[["a","caf\ufffd"]]'),
        (pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), '{"a":1,"a.1":2}'),
        (pa.array([7]).dictionary_encode(), "7"),
        (pa.nulls(1), None),
        (_deep(300), "[" * 300 + "1" + "]" * 300),
    ],
    ids=lambda value: str(value.type)[:40] if isinstance(value, pa.Array) else "",
)
def test_every_type_has_a_text(column, text):
    assert as_strings(column, 1)[0].to_pylist() == [text] and as_strings(column, 1)[1] == {}
    three = (
        pa.concat_arrays([column, pa.nulls(1, column.type), column]) if "dictionary" not in str(column.type) else None
    )
    if three is not None:
        assert as_strings(three, 3)[0].to_pylist() == [text, None, text]
        assert as_strings(three.slice(1), 2)[0].to_pylist() == [None, text]


def test_a_value_has_the_text_that_it_has_alone():
    """Not another one because a year 10000 stands in the same batch."""
    seconds = pa.array([0, YEAR_10000], pa.timestamp("s", "UTC"))
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), seconds)
    alone = [as_strings(lists.slice(row, 1), 1)[0][0].as_py() for row in range(2)]
    assert as_strings(lists, 2)[0].to_pylist() == alone


def test_a_file_of_awkward_columns_is_read_whole(tmp_path):
    texts = [f"text {row}" for row in range(100)]
    moments = [YEAR_10000 if row == 7 else row for row in range(100)]
    nested = pa.ListArray.from_arrays(pa.array(range(101), pa.int32()), pa.array(moments, pa.timestamp("s")))
    raw = pa.array([LATIN_1 if row == 8 else b"ok" for row in range(100)], pa.binary()).view(pa.string())
    table = pa.table(
        {
            "text": texts,
            "id": pa.array([uuid.UUID(int=row).bytes for row in range(100)], pa.uuid()),
            "when": nested,
            "who": pa.StructArray.from_arrays([raw], ["name"]),
            "sha": pa.array([bytes([row]) * 20 for row in range(100)], pa.binary(20)),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=10)
    for batch_bytes in (1, 1_000, 1 << 20):
        found = read(path, batch_bytes, id="id", keep=("when", "who", "who.name", "sha"))
        assert found.texts == texts and not found.unreadable
        assert found.ids == [str(uuid.UUID(int=row)) for row in range(100)]
        assert found.keep["when"][6:8] == ['["1970-01-01T00:00:06"]', '["10000-01-01T00:00:00.000"]']
        assert found.keep["who"][8] == '{"name":"caf\ufffd"}' and found.keep["who.name"][8] == "caf\ufffd"
        assert found.keep["sha"][3] == "03" * 20


def test_conversations_with_awkward_values(tmp_path):
    """Bytes that are no UTF-8 are treated as the source says; other fields of a message have a text."""
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.binary()), ("at", pa.timestamp("s"))]))
    chats = [
        [{"role": "user", "content": content, "at": at}, {"role": "assistant", "content": b"yes", "at": None}]
        for content, at in ((b"hi", 0), (LATIN_1, 0), (b"late", YEAR_10000))
    ]
    column = pa.array(chats, kind)
    strings = column.values.field(1).cast(pa.large_binary()).cast(pa.binary()).view(pa.string())
    messages = pa.StructArray.from_arrays(
        [column.values.field(0), strings, column.values.field(2)], ["role", "content", "at"]
    )
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"m": pa.ListArray.from_arrays(column.offsets, messages)}), path)
    found = read(path, messages="m")
    said = [(text.split("\n\n")[0], text.split("\n\n")[-1]) for text in found.texts]
    assert said == [("hi", "yes"), ("caf\ufffd", "yes"), ("late", "yes")] and found.replaced == 1
    found = read(path, messages="m", invalid_utf8="reject")
    assert found.rows == [0, 2] and found.kinds == [(1, "invalid UTF-8")]


def test_dates_of_python_stay_as_they_were():
    day = datetime.datetime(2026, 11, 2, 3, 4, 5, 678_000, datetime.UTC)
    column = pa.array([[day]], pa.list_(pa.timestamp("us", "UTC")))
    assert as_strings(column, 1)[0].to_pylist() == ['["2026-11-02T03:04:05.678000+00:00"]']
