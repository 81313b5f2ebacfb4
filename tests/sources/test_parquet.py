import datetime
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.reading import read

TEXTS = [f"text {number} é" for number in range(1_000)]


def _file(tmp_path, columns, rows_in_group=1_000, **options):
    path = tmp_path / "a.parquet"
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, path, row_group_size=rows_in_group, **options)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)
def test_every_kind_of_text_column(tmp_path, kind):
    expected = [TEXTS[number % 100] for number in range(1_000)]
    column = (
        pa.array(expected).dictionary_encode().cast(kind) if "dictionary" in str(kind) else pa.array(expected, kind)
    )
    found = read(_file(tmp_path, {"other": range(1_000), "text": column}))
    assert found.texts == expected and found.rows == list(range(1_000)) and not found.unreadable
    assert found.ids == [None] * 1_000


@pytest.mark.parametrize("batch_bytes", [1, 500, 1 << 20])
def test_batches_and_row_groups_do_not_show_in_the_records(tmp_path, batch_bytes):
    path = _file(tmp_path, {"text": TEXTS, "id": range(1_000)}, rows_in_group=130)
    whole = read(path, batch_bytes, id="id")
    assert whole.texts == TEXTS and whole.ids == [str(number) for number in range(1_000)]
    cuts = ((0, 129), (129, 130), (130, 130), (130, 777), (777, 1_000))
    parts = [read(path, batch_bytes, id="id", start=a, stop=b, first_row=a) for a, b in cuts]
    assert [identity for part in parts for identity in part.ids] == whole.ids
    assert [text for part in parts for text in part.texts] == TEXTS
    assert [row for part in parts for row in part.rows] == list(range(1_000))
    if batch_bytes == 1:
        assert whole.batches == 1_000
    assert 0 < whole.bytes_read < path.stat().st_size


def test_ids_and_kept_columns_become_strings(tmp_path):
    day = datetime.date(2026, 11, 2)
    path = _file(
        tmp_path,
        {
            "text": ["a", None, "c"],
            "i": pa.array([7, 8, None], pa.int64()),
            "s": ["007", "x", None],
            "d": pa.array([day, day, None]),
            "b": pa.array([b"\xff", b"", b"ok"]),
            "l": pa.array([[1, 2], [], None]),
            "m": pa.array([{"k": "v", "when": day}, {"k": "w", "when": None}, None]),
            "c": pa.array(["red", "red", "blue"]).dictionary_encode(),
            "t": pa.array([True, False, None]),
        },
    )
    found = read(path, id="i", keep=("s", "d", "b", "l", "m", "m.k", "c", "t", "absent", "m.absent"))
    assert found.texts == ["a", "c"] and found.rows == [0, 2] and found.ids == ["7", None]
    assert found.kinds == [(1, "null text")]
    assert found.keep == {
        "s": ["007", None],
        "d": ["2026-11-02", None],
        "b": ["\ufffd", "ok"],
        "l": ["[1,2]", None],
        "m": ['{"k":"v","when":"2026-11-02"}', None],
        "m.k": ["v", None],
        "c": ["red", "blue"],
        "t": ["true", None],
        "absent": [None, None],
        "m.absent": [None, None],
    }


def test_nested_text_and_a_column_with_a_dot(tmp_path):
    path = _file(tmp_path, {"a": [{"b": "x"}, {"b": None}, None]})
    found = read(path, text="a.b")
    assert found.texts == ["x"] and found.kinds == [(1, "null text"), (2, "null text")]
    assert read(_file(tmp_path, {"a.b": ["flat"]}), text="a.b").texts == ["flat"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.string()])
def test_bytes_that_are_not_utf8_whatever_the_column_claims(tmp_path, kind):
    raw = pa.array([b"good", b"a\xe9b", None, b"\xed\xa0\x80"], pa.binary())
    path = _file(tmp_path, {"text": raw.view(kind)})
    found = read(path)
    assert found.texts == ["good", "a\ufffdb", "\ufffd" * 3] and found.rows == [0, 1, 3] and found.replaced == 2
    found = read(path, invalid_utf8="reject")
    assert found.texts == ["good"] and found.replaced == 0
    assert found.kinds == [(1, "invalid UTF-8"), (2, "null text"), (3, "invalid UTF-8")]


@pytest.mark.parametrize("kind", [pa.binary(), pa.string()])
def test_ids_that_are_not_utf8_stay_different(tmp_path, kind):
    hashes = [bytes([0x80 + n]) * 4 for n in range(3)]
    path = _file(tmp_path, {"text": ["a", "b", "c", "d"], "id": pa.array([*hashes, b"e"], pa.binary()).view(kind)})
    found = read(path, id="id")
    assert found.ids == [*(value.hex() for value in hashes), "e"] and found.noted == {"replaced field id": 3}
    path = _file(tmp_path, {"text": ["a", "x" * 1_000_001], "id": pa.array([b"a", hashes[0]], pa.binary()).view(kind)})
    assert [bad.id for bad in read(path, id="id", max_document_mb=1).unreadable] == [hashes[0].hex()]


@pytest.mark.parametrize("kind", [pa.binary(), pa.string()])
def test_ids_and_kept_fields_are_read_in_the_encoding_of_the_source(tmp_path, kind):
    names = pa.array(["café".encode("latin-1"), "cafè".encode("latin-1"), "café".encode()], pa.binary()).view(kind)
    path = _file(tmp_path, {"text": names, "name": names})
    found = read(path, id="name", keep=("name",), encoding="latin-1")
    assert found.ids == found.texts == found.keep["name"] == ["café", "cafè", "café"]
    found = read(path, id="name", keep=("name",), encoding="ascii", invalid_utf8="reject")
    assert found.texts == ["café"] and found.ids == found.keep["name"] == ["café"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.string()])
def test_bytes_replaced_in_kept_fields_and_labels_are_noted(tmp_path, kind):
    raw = pa.array([b"a", b"b\xe9", b"\xff", "\ufffd".encode()], pa.binary()).view(kind)
    path = _file(tmp_path, {"text": list("abcd"), "by": raw, "stars": raw})
    found = read(path, keep=("by",), label="stars")
    assert found.keep["by"] == ["a", "b\ufffd", "\ufffd", "\ufffd"]
    assert found.noted == {"replaced field by": 2, "replaced field stars": 2} and found.replaced == 0


def test_too_large_cells_are_unreadable(tmp_path):
    found = read(_file(tmp_path, {"text": ["a", "x" * 1_000_001, "b"]}), max_document_mb=1)
    assert found.texts == ["a", "b"] and found.kinds == [(1, "too large")]
    assert found.unreadable[0].bytes == 1_000_001


@pytest.mark.parametrize(
    ("columns", "kind", "named"),
    [
        ({"body": ["x"], "url": ["y"]}, "missing column", "body, url"),
        ({"text": [7]}, "wrong type", "int64"),
        ({"text": [["x"]]}, "wrong type", "list"),
        ({"text": pa.nulls(2)}, "wrong type", "null"),
        (pa.table([["x"], ["y"]], names=["text", "text"]), "ambiguous column", "text"),
    ],
)
def test_a_column_that_cannot_be_text_is_a_fault_of_the_file(tmp_path, columns, kind, named):
    found = read(_file(tmp_path, columns))
    assert found.kinds == [(None, kind)] and named in found.unreadable[0].reason
    assert found.unreadable[0].bytes > 0


def test_files_that_are_not_parquet_or_are_cut(tmp_path):
    path = _file(tmp_path, {"text": TEXTS})
    data = path.read_bytes()
    for broken, kind in (
        (b"", "shorter file"),
        (b'{"text": "x"}', "wrong format"),
        (data[:-1], "corrupt file"),
        (data[: len(data) // 2], "corrupt file"),
        (data[:6], "corrupt file"),
    ):
        path.write_bytes(broken)
        found = read(path, size=len(data))
        assert found.kinds == [(None, kind)], found.unreadable
    path.write_bytes(data)
    assert read(path, start=0, stop=1_001).kinds == [(None, "shorter file")]


def test_a_corrupt_row_group_ends_the_file_after_those_before_it(tmp_path):
    path = _file(tmp_path, {"text": TEXTS}, rows_in_group=250, use_dictionary=False, compression="zstd")
    data = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    data[start : start + 200] = random.Random(3).randbytes(200)
    path.write_bytes(bytes(data))
    found = read(path)
    assert found.texts == TEXTS[:500]
    assert found.kinds == [(None, "corrupt file")] and "row group 2" in found.unreadable[0].reason
    assert found.unreadable[0].position == start


def test_random_damage_never_raises(tmp_path):
    path = _file(tmp_path, {"text": TEXTS[:200], "id": range(200)}, rows_in_group=50, write_page_checksum=False)
    data = path.read_bytes()
    chance = random.Random(7)
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(3):
            broken[chance.randrange(4, len(data) - 8)] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(broken))
        found = read(path, id="id")
        assert found.unreadable or len(found.texts) == 200


def test_a_failing_disk_is_a_fault_but_a_lost_connection_is_for_the_caller(tmp_path):
    path = _file(tmp_path, {"text": TEXTS}, rows_in_group=250)
    third = pq.ParquetFile(path).metadata.row_group(2).column(0)
    bad = third.dictionary_page_offset or third.data_page_offset

    class Failing:
        def __init__(self, error):
            self.file, self.error, self.closed = path.open("rb"), error, False

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def read(self, size=-1):
            where = self.file.tell()
            if where <= bad < where + size and size < 1_000_000 and where > 4:
                raise self.error
            return self.file.read(size)

    found = read(path, opener=lambda _: Failing(OSError(5, "Input/output error")))
    assert found.kinds[-1][1] == "failed to read" and found.texts == TEXTS[: len(found.texts)]
    with pytest.raises(ConnectionError):
        read(path, opener=lambda _: Failing(ConnectionResetError("gone")))


def test_a_long_row_group_comes_in_small_batches(tmp_path):
    texts = [f"{number} " + "x" * 2_000 for number in range(20_000)]
    found = read(_file(tmp_path, {"text": texts}, rows_in_group=20_000), batch_bytes=1_000_000)
    assert found.texts == texts and found.batches >= 30
