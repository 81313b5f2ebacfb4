"""Files cut where separators end records, and compressed ones entered where a member or frame begins."""

import gzip
import io
import random
import shutil
import struct
import subprocess
import zlib

import pytest
import zstandard

from tests.support.reading import Gathered
from winnow.sources.read import can_split, read_slice
from winnow.sources.readers import cuts
from winnow.sources.readers.reader import Piece
from winnow.sources.readers.registry import READERS
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile

MEMBER = 700
"""Bytes of text in a member or frame."""


def members(compress, data: bytes) -> bytes:
    return b"".join(compress(data[at : at + MEMBER]) for at in range(0, len(data), MEMBER))


def streamed_frame(data: bytes) -> bytes:
    """A frame that does not say how much it holds, behind a skippable one, as pzstd writes them."""
    stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    frame = stream.compress(data) + stream.flush()
    return struct.pack("<III", 0x184D2A50, 4, len(frame)) + frame


def bgzf_block(data: bytes) -> bytes:
    """A gzip member whose header has its size in a field of its own, as bgzip writes them (SAM specification, 4.1)."""
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    deflated = stream.compress(data) + stream.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(deflated) + 25)
    return head + deflated + struct.pack("<II", zlib.crc32(data), len(data))


STORED = {
    "a.txt": bytes,
    "one.txt.zst": zstandard.compress,
    "frames.txt.zst": lambda data: members(zstandard.compress, data),
    "pzstd.txt.zst": lambda data: members(streamed_frame, data),
    "members.txt.gz": lambda data: members(gzip.compress, data),
    "bgzf.txt.gz": lambda data: members(bgzf_block, data) + bgzf_block(b""),
    "padded.txt.gz": lambda data: members(gzip.compress, data) + bytes(600),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cuts, "PIECE_BYTES", 1_000)
    monkeypatch.setattr(cuts, "_ENTRY_BYTES", 1)
    monkeypatch.setattr("winnow.sources.readers.streams.CHUNK_BYTES", 333)
    monkeypatch.setattr("winnow.sources.readers.decoders.PIECE_BYTES", 128)
    monkeypatch.setattr("winnow.sources.readers.decoders.STORED_BYTES", 256)


def slice_of(name: str, data: bytes, **more) -> FileSlice:
    kind = "text" if ".txt" in name else "jsonl"
    return FileSlice(path=name, file=0, source="s", format=kind, size=more.pop("size", len(data)), **more)


def pieces_of(name: str, data: bytes, source: SourceConfig, **more) -> list[Piece]:
    part = slice_of(name, data, separator=source.separator_bytes, **more)
    assert can_split(name, part.format, source)
    return READERS.get(part.format).pieces(part, StoredFile(io.BytesIO(data), part.size))


def read(
    name: str, data: bytes, source: SourceConfig, pieces: list[Piece] | None = None, size: int = 0
) -> tuple[Gathered, list[int]]:
    found, row, stored = Gathered(), 0, []
    size = size or len(data)
    for piece in pieces or [None]:
        where = {"first_row": row}
        if piece:
            where |= {field: getattr(piece, field) for field in ("start", "stop", "enter", "before")}
            row += piece.rows
        before = found.bytes_read
        for batch in read_slice(slice_of(name, data, size=size, **where), source, lambda _: io.BytesIO(data), 1_000):
            found.add(batch)
        stored.append(found.bytes_read - before)
    return found, stored


def text_of(seed: int, separator: str) -> str:
    """Records of separators, of parts of them, of blanks and of letters, now and then a long one."""
    chance = random.Random(seed)
    parts = [separator, separator, separator[:1], separator[-1:], " ", "\n", "x", "word ", "y" * 90]
    return "".join(chance.choice(parts) * chance.choice((1, 1, 2, 7)) for _ in range(900))


@pytest.mark.parametrize("separator", ["\n\n", "aa", "\n---\n", "\n", "abab", "§§", "<|end|>"])
@pytest.mark.parametrize("name", STORED)
def test_records_between_separators_are_those_of_the_whole_file(name, separator):
    for seed, encoding in enumerate(("utf-8", "cp1252", "utf-8")):
        whole = text_of(seed, separator)
        text = whole.encode(encoding)
        data = STORED[name](text)
        source = SourceConfig(name="s", path=name, separator=separator, encoding=encoding)
        pieces = pieces_of(name, data, source)
        assert len(pieces) > 8 or name.startswith("one")
        assert pieces[0].start == 0 and pieces[-1].stop == len(text)
        records = whole.split(separator)
        found, _ = read(name, data, source, pieces)
        expected = [(row, record) for row, record in enumerate(records) if record and not record.isspace()]
        assert list(zip(found.rows, found.texts, strict=True)) == expected and len(expected) > 100
        assert sum(piece.rows for piece in pieces) == len(records)


def test_records_that_cannot_be_read_have_their_places_in_every_part():
    source = SourceConfig(name="s", path="a.txt", separator="||", invalid_utf8="reject")
    text = b"||".join(b"\xff bad" if n % 7 == 0 else b"good %d" % n for n in range(900))
    pieces = pieces_of("a.txt", text, source)
    whole, _ = read("a.txt", text, source)
    parts, stored = read("a.txt", text, source, pieces)
    assert parts.unreadable == whole.unreadable and len(whole.unreadable) == 129
    assert (parts.rows, parts.texts) == (whole.rows, whole.texts)
    assert stored == [piece.stop - piece.start for piece in pieces]
    shorter, _ = read("a.txt", text[: pieces[3].start + 10], source, pieces[3:4], len(text))
    assert shorter.kinds[-1] == (None, "shorter file")


@pytest.mark.parametrize("name", ["frames.txt.zst", "pzstd.txt.zst", "members.txt.gz", "bgzf.txt.gz"])
@pytest.mark.parametrize("kind", ["text", "jsonl"])
def test_a_part_begins_at_the_member_before_it(name, kind, monkeypatch):
    """Not at the front of the file: of 64 parts the last would decompress all of it."""
    text = b"".join(b'{"text": "line %d"}\n' % n for n in range(3_000))
    data = STORED[name](text)
    name = name if kind == "text" else name.replace(".txt", ".jsonl")
    source = SourceConfig(name="s", path=name, separator="\n" if kind == "text" else None)
    pieces = pieces_of(name, data, source)
    assert len(pieces) > 30
    decompressed = []
    monkeypatch.setattr(cuts, "_between", spied(cuts._between, decompressed))
    found, _ = read(name, data, source, pieces)
    assert len(found.rows) == 3_000 and found.rows == list(range(3_000))
    assert sum(decompressed) < len(text) + len(pieces) * (cuts.PIECE_BYTES + 400)


def spied(between, lengths):
    def spy(chunks, *rest):
        def count():
            for chunk in chunks:
                lengths.append(len(chunk.data))
                yield chunk

        return between(count(), *rest)

    return spy


def test_what_is_no_row_of_members_is_read_as_it_was():
    """Whole, or from its front; what is wrong with it is told once, when it is read."""
    source = SourceConfig(name="s", path="a.txt.gz", separator="|")
    text = b"|".join(b"record %d" % n for n in range(2_000))
    good = members(gzip.compress, text)
    for bad in (good[:-9], good + b"rubbish", good[:3_000] + b"x" + good[3_001:]):
        with pytest.raises(FileFaultError):
            pieces_of("a.txt.gz", bad, source)
    with pytest.raises(FileFaultError, match="shorter file"):  # cut off between two members
        pieces_of("a.txt.gz", members(gzip.compress, text[: 8 * MEMBER]), source, size=len(good))
    dictionary = zstandard.train_dictionary(2_000, [b"record %d and more" % n for n in range(500)])
    packed = zstandard.ZstdCompressor(dict_data=dictionary).compress(text)
    front = struct.pack("<II", 0x184D2A5D, len(dictionary.as_bytes())) + dictionary.as_bytes()
    with pytest.raises(FileFaultError, match="dictionary"):
        pieces_of("a.txt.zst", front + packed, source)
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True, write_content_size=False)
    ).compressobj()
    large = wide.compress(text) + wide.flush()  # a window that the members' decoder does not take
    pieces = pieces_of("a.txt.zst", large, source)
    assert 2 <= len(pieces) <= cuts.MOST_CUTS[".zst"]
    assert len(read("a.txt.zst", large, source, pieces)[0].rows) == 2_000


def test_only_files_with_a_separator_are_cut():
    assert not can_split("a.txt", "text", SourceConfig(name="s", path="a.txt"))
    assert not can_split("a.txt.bz2", "text", SourceConfig(name="s", path="a.txt.bz2", separator="|"))
    wide = "a|b".encode("utf-16") * 900
    with pytest.raises(FileFaultError):
        pieces_of("a.txt", wide, SourceConfig(name="s", path="a.txt", separator="|", encoding="detect"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pzstd") is None, reason="pzstd is not installed")
def test_files_of_pzstd_are_entered_at_its_frames(tmp_path, monkeypatch):
    monkeypatch.undo()
    chance = random.Random(3)
    lines = [b'{"text": "%032x"}\n' % chance.getrandbits(128) for _ in range(400_000)]
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
    subprocess.run(["pzstd", "-q", "-1", "-p", "2", "a.jsonl", "-o", "a.jsonl.zst"], cwd=tmp_path, check=True)
    data = (tmp_path / "a.jsonl.zst").read_bytes()
    source = SourceConfig(name="s", path="a.jsonl.zst")
    pieces = pieces_of("a.jsonl.zst", data, source)
    assert len(pieces) >= 2 and all(piece.enter > 0 for piece in pieces[1:])
    assert all(piece.start - piece.before < cuts.PIECE_BYTES for piece in pieces)
    found, _ = read("a.jsonl.zst", data, source, pieces)
    assert found.rows == list(range(400_000)) and found.texts[399_999] == lines[-1][10:42].decode()
