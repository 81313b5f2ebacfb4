"""Files of lines, read in parts: every line once, under its row, whatever the file's compression."""

import gzip
import io
import random
from itertools import pairwise

import pytest
import zstandard

from tests.support.reading import Gathered
from winnow.sources.read import read_slice
from winnow.sources.readers import cuts
from winnow.sources.readers.line_ranges import count_lines, line_pieces
from winnow.sources.readers.reader import Piece
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile


def _zst_frames(data: bytes) -> bytes:
    return b"".join(zstandard.compress(data[at : at + 700]) for at in range(0, len(data), 700))


def _gz_members(data: bytes) -> bytes:
    return b"".join(gzip.compress(data[at : at + 700]) for at in range(0, len(data), 700))


COMPRESSED = {
    "one.jsonl.zst": zstandard.compress,
    "many.jsonl.zst": _zst_frames,
    "one.jsonl.gz": gzip.compress,
    "many.jsonl.gz": _gz_members,
}


def _lines(seed: int, *, ended: bool) -> bytes:
    chance = random.Random(seed)
    lines = [
        b'{"text":"%s","n":%d}' % (b"x" * chance.choice((0, 5, 40, 900)), number) if chance.random() < 0.9 else b""
        for number in range(150)
    ]
    return b"\n".join([*lines, b'{"text":"end"}']) + b"\n" * ended


def _pieces(name: str, data: bytes, stop: int | None = None, start: int = 0) -> list[Piece]:
    part = FileSlice(path=name, file=0, source="s", format="jsonl", size=len(data), start=start, stop=stop)
    return line_pieces(part, StoredFile(io.BytesIO(data), len(data)))


def _read(name: str, data: bytes, pieces: list[Piece | None]) -> Gathered:
    found, row = Gathered(), 0
    for piece in pieces:
        where = piece._asdict() | {"first_row": row} if piece else {}
        where = {name: where[name] for name in ("start", "stop", "enter", "before", "first_row") if name in where}
        part = FileSlice(path=name, file=0, source="s", format="jsonl", size=len(data), **where)
        batches = list(read_slice(part, SourceConfig(name="s", path=name), lambda _: io.BytesIO(data), 1_000))
        for batch in batches:
            found.add(batch)
        if piece:
            rows = [row for batch in batches for row in batch.rows.tolist()]
            assert not rows or (row <= rows[0] and rows[-1] < row + piece.rows)
            row += piece.rows
    return found


@pytest.mark.parametrize("ended", [True, False], ids=["line end at the end", "none"])
@pytest.mark.parametrize("name", COMPRESSED)
def test_a_compressed_file_in_pieces_is_the_whole(name, ended, monkeypatch):
    monkeypatch.setattr(cuts, "PIECE_BYTES", 900)
    monkeypatch.setattr(cuts, "_ENTRY_BYTES", 1)
    monkeypatch.setattr("winnow.sources.readers.streams.CHUNK_BYTES", 333)
    monkeypatch.setattr("winnow.sources.readers.decoders.PIECE_BYTES", 128)
    for seed in range(6):
        text = _lines(seed, ended=ended)
        data = COMPRESSED[name](text)
        pieces = _pieces(name, data)
        most = {"zst": 8, "gz": 4}[name.split(".")[-1]]
        assert 2 <= len(pieces) <= most if name.startswith("one") else len(pieces) > most
        assert pieces[0].start == 0 and pieces[-1].stop == len(text)
        assert all(a.stop == b.start and text[a.stop - 1] == 10 for a, b in pairwise(pieces))
        assert sum(piece.bytes for piece in pieces) == len(text)
        assert sum(piece.rows for piece in pieces) == text.count(b"\n") + (not ended)
        whole, parts = _read(name, data, [None]), _read(name, data, list(pieces))
        assert (parts.rows, parts.texts) == (whole.rows, whole.texts) and len(whole.rows) > 100
        assert parts.kinds == whole.kinds


def test_a_line_longer_than_pieces_is_in_one(monkeypatch):
    monkeypatch.setattr(cuts, "PIECE_BYTES", 100)
    text = b'{"text":"a"}\n{"text":"%s"}\n{"text":"b"}' % (b"x" * 5_000)
    pieces = _pieces("a.jsonl.gz", gzip.compress(text))
    assert [(piece.start, piece.stop, piece.rows) for piece in pieces] == [
        (0, len(text) - 12, 2),
        (len(text) - 12, len(text), 1),
    ]
    assert _pieces("a.jsonl.gz", gzip.compress(b"")) == []
    assert _pieces("a.jsonl.gz", gzip.compress(b"\n" * 99)) == [Piece(0, 99, 99, 99)]


def test_what_cannot_be_cut_is_read_whole():
    with pytest.raises(FileFaultError, match="truncated"):
        _pieces("a.jsonl.gz", gzip.compress(b"{}\n" * 99)[:-9])
    for name, wide in (("a.jsonl.gz", gzip.compress), ("a.jsonl", bytes)):
        with pytest.raises(FileFaultError, match="not cut|begins like UTF-16"):
            _pieces(name, wide('{"text": "a"}\n'.encode("utf-16") * 9))


def test_rows_belong_to_the_range_in_which_their_line_begins():
    """So that what is said of a row (that it is quarantined) reaches the range that reads it."""
    text = b'{"text":"a"}\n{"text":"%s"}\n{"text":"b"}\n' % (b"x" * 300)
    for size in (1, 7, 13, 50, 100, 327, 400):
        row = 0
        for start in range(0, len(text), size):
            piece = Piece(start, min(start + size, len(text)), 0, 0)
            part = FileSlice(
                path="a.jsonl", file=0, source="s", format="jsonl", size=len(text), start=start, stop=piece.stop
            )
            rows = count_lines(part, StoredFile(io.BytesIO(text), len(text)))
            found = _read("a.jsonl", text, [piece._replace(rows=rows)]).rows if start == 0 else None
            assert found is None or found == list(range(rows))
            begins = [at for at in (0, 13, 325) if start <= at < piece.stop]
            assert rows == len(begins)
            row += rows
        assert row == 3
