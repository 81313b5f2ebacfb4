"""A table read in parts has the rows, values and faults of the whole, wherever it is cut."""

import csv
import gzip
import io
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.reading import open_binary
from winnow.sources.read import format_of, read_slice
from winnow.sources.readers import csv_records, csv_table, cuts, decoders, streams
from winnow.sources.readers.reader import Piece
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of


def rows_of(part: FileSlice, source: SourceConfig, batch_bytes: int = 1 << 20) -> list[tuple]:
    """Everything that comes out of a part; where faults lie only of plain files, of others it is a rough place."""
    found: list[tuple] = []
    plain = not compression_of(part.path)
    for batch in read_slice(part, source, open_binary, batch_bytes):
        columns = [batch.rows.tolist(), batch.ids.to_pylist(), batch.texts.to_pylist(), batch.keep["k"].to_pylist()]
        found += zip(*columns, strict=True)
        found += [(bad.row, bad.reason, bad.bytes, plain and bad.position) for bad in batch.unreadable]
    return sorted(found, key=lambda row: (row[0] is None, row[0] or 0))


def pieces_of(path: Path, source: SourceConfig) -> tuple[FileSlice, list[Piece]]:
    given = {name: getattr(source, name) for name in csv_table.READER.cut_by}
    kind = format_of(str(path), source)
    size = path.stat().st_size
    part = FileSlice(path=str(path), file=0, source="s", format=kind, size=size, settings=given)
    with path.open("rb") as file:
        return part, csv_table.READER.pieces(part, StoredFile(file, size))


def check_any_cut(path: Path, every: int = 1, batch_bytes: int = 40, **more) -> int:
    """Read whole, and in parts of ``every`` pieces; returns how many pieces there are."""
    source = SourceConfig(name="s", path=str(path), id="id", keep=("k",), **more)
    part, found = pieces_of(path, source)
    whole = rows_of(part, source)
    together: list[tuple] = []
    row = 0
    for at in range(0, len(found), every):
        group = found[at : at + every]
        first = group[0]
        one = replace(
            part, start=first.start, stop=group[-1].stop, first_row=row, enter=first.enter, before=first.before
        )
        together += rows_of(one, source, batch_bytes)
        row += sum(piece.rows for piece in group)
    assert together == whole, path.read_bytes()[:300]
    return len(found)


@pytest.fixture
def cut_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "PIECE_BYTES", 1)
    monkeypatch.setattr(cuts, "MOST_CUTS", {})
    monkeypatch.setattr(csv_records, "LOOKED_AT", 40)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.text(alphabet='ab"",,;\n\n\r\té', max_size=60), st.integers(1, 3), st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([".csv", ".csv.gz", ".csv.zst"]), st.sampled_from(['"', ""]), st.sampled_from([None, ";"]),
    st.integers(1, 9),
)  # fmt: skip
def test_any_text_in_any_parts(tmp_path_factory, cut_everywhere, body, every, end, suffix, quote, delimiter, chunk):
    data = (delimiter or ",").join(("id", "text", "k")) + end + body
    stored = {".csv": bytes, ".csv.gz": gzip.compress, ".csv.zst": zstandard.compress}[suffix](data.encode())
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(stored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK_BYTES", chunk)
        patch.setattr(decoders, "STORED_BYTES", chunk)
        check_any_cut(path, every, quote=quote, delimiter=delimiter)


def test_quoted_line_ends_are_never_cut(tmp_path, cut_everywhere):
    rows = [[str(n), f'line one, "{n}"\nline two\r\n\nid,text,k\n{n}', "x,y"] for n in range(300)]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["id", "text", "k"], *rows])
    path = tmp_path / "a.csv"
    path.write_text(out.getvalue(), newline="")
    assert check_any_cut(path) == 301  # the header is one
    part, _ = pieces_of(path, source := SourceConfig(name="s", path=str(path), id="id", keep=("k",)))
    assert [row[1:] for row in rows_of(part, source)] == [tuple(row) for row in rows]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_why_a_record_is_malformed_may_be_told_behind_its_part(tmp_path, cut_everywhere, suffix):
    path = tmp_path / f"a{suffix}"
    data = b'id,text,k\n0,a,x\n1,"open,x\n2,"b",x\n3,c,x\n4,"open,x\n5,d,x\n'
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    assert check_any_cut(path) > 4


@pytest.mark.slow
def test_an_open_quote_and_records_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(cuts, "PIECE_BYTES", 200_000)
    lines = "".join(f"{n},some words of a row,x\n" for n in range(10_000))
    large = '7,"' + ("words " * 30 + "\n") * 6_700 + '",x\n'
    path = tmp_path / "a.csv"
    path.write_text(
        "id,text,k\n" + lines + '1,"open,x\n' + lines * 5 + large + lines + "8," + "w" * 1_100_000 + ",x\n" + lines
    )
    found = {}
    for chunk in (70_001, 4 << 20):
        monkeypatch.setattr(streams, "CHUNK_BYTES", chunk)
        assert check_any_cut(path, batch_bytes=1 << 20, max_document_mb=1) > 8
        part, _ = pieces_of(
            path, source := SourceConfig(name="s", path=str(path), id="id", keep=("k",), max_document_mb=1)
        )
        found[chunk] = rows_of(part, source)
    assert found[70_001] == found[4 << 20]


def test_a_file_that_cannot_be_cut_is_read_whole(tmp_path, cut_everywhere):
    source = SourceConfig(name="s", path="-", id="id", keep=("k",))
    for name, data in {
        "wide.csv": "id,text,k\n1,a,b\n".encode("utf-16-le"),
        "cut.csv.gz": gzip.compress(b"id,text,k\n1,a,b\n" * 9)[:-9],
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(csv_table.FileFaultError):
            pieces_of(path, source)
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"id,text,k\n")
    assert check_any_cut(empty) == 1
