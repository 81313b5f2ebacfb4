"""Zip files: what is a document, how they are cut, and what is damaged or hostile."""

import io
import random
import struct
import zipfile

import pytest

from tests.sources.packed.test_tar import MEMBERS, TEXTS
from tests.support.packed import look
from winnow.sources.packed import zip_members
from winnow.sources.readers import zip as zip_reader
from winnow.sources.readers.outside import pieces_of
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.stored_file import StoredFile


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_become_documents_as_in_tar(tmp_path, method):
    data = archive(MEMBERS, method)
    found = look(tmp_path / "a.zip", data, id="member", keep=["url"])
    assert dict(zip(found.ids, found.texts, strict=True)) == TEXTS
    assert found.passed["fields of a text beside it"] == 2 and found.passed["member: archive"] == 1
    assert set(found.bad) == {"array.json", "no.json"} and found.bytes_read == len(data)
    assert look(tmp_path / "b.zip", archive({})).unreadable == []


def test_pieces_lie_end_to_end_and_keep_samples_together(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_reader, "PIECE_BYTES", 1000)
    rng = random.Random(4)
    members = {}
    for n in range(40):
        members[f"{n}.json"] = b'{"url": "u%d"}' % n
        members[f"{n}.txt"] = rng.randbytes(rng.randrange(600)).hex().encode()
    path = tmp_path / "a.zip"
    whole = look(path, archive(members), id="member", keep=["url"])
    size = path.stat().st_size
    part = FileSlice(path=str(path), file=0, source="s", format="zip", size=size)
    with path.open("rb") as file:
        pieces = pieces_of(zip_reader.READER, part, StoredFile(file, size))
    assert len(pieces) > 5 and sum(piece.rows for piece in pieces) == 80
    parts = [
        look(path, start=piece.start, stop=piece.stop, first_row=piece.start, id="member", keep=["url"])
        for piece in pieces
    ]
    assert [row for one in parts for row in one.rows] == whole.rows
    assert [text for one in parts for text in one.texts] == whole.texts
    assert [url for one in parts for url in one.keep["url"]] == whole.keep["url"] == [f"u{n}" for n in range(40)]
    assert sum(one.bytes_read for one in parts) == size


def test_bombs_locks_links_and_unknown_methods_are_refused_with_a_reason(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("good.txt", b"good")
        packed.writestr("bomb.txt", bytes(20 << 20))
        packed.writestr("large.txt", b"0123456789abcdef" * 70_000)
        packed.writestr("zstd.txt", b"text")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("folder/", b"")
        packed.writestr("locked.txt", b"secret")
    data = bytearray(out.getvalue())
    at = data.rfind(b"PK\x01\x02")  # the last entry of the directory
    data[at + 8] |= 1
    data[data.rfind(b"zstd.txt") - 36] = 93  # method of zip
    found = look(tmp_path / "a.zip", bytes(data), id="member", max_document_mb=1)
    assert found.texts == ["good"] and found.passed == {"link": 1, "folder": 1}
    assert {name: reason.split(":")[0] for name, reason in found.bad.items()} == {
        "bomb.txt": "expands too much",
        "large.txt": "too large",
        "zstd.txt": "unknown compression",
        "locked.txt": "encrypted member",
    }
    assert look(tmp_path / "a.zip", id="member").bad["bomb.txt"].startswith("expands too much: 20,971,520 bytes")


def test_a_member_may_hold_records(tmp_path):
    lines = b'{"text": "one", "n": 1}\n\n[1]\n{"text": "' + b"x" * 1_200_000 + b'"}\n{"text": "two"}'
    members = {"a.txt": b"first", "b/rows.jsonl": lines, "c.txt": b"last", "d.jsonl": b""}
    path = tmp_path / "a.zip"
    found = look(path, archive(members), id="member", max_document_mb=1)
    assert found.texts == ["first", "one", "two", "last"] and found.rows == [0, 1, 4, 5]
    assert [(bad.row, bad.id, bad.reason.split(":")[0]) for bad in found.unreadable] == [
        (2, "b/rows.jsonl", "not an object"),
        (3, "b/rows.jsonl", "too large"),
    ]
    assert look(path, batch_bytes=1, id="member", max_document_mb=1).rows == found.rows
    part = FileSlice(path=str(path), file=0, source="s", format="zip", size=path.stat().st_size)
    with path.open("rb") as file, pytest.raises(FileFaultError, match="not cut"):
        pieces_of(zip_reader.READER, part, StoredFile(file, part.size))
    damaged = bytearray(archive({"b.jsonl": b'{"text": "one"}\n' * 3}, zipfile.ZIP_STORED))
    damaged[60] ^= 1
    found = look(tmp_path / "b.zip", bytes(damaged))
    assert found.kinds[-1][1] == "corrupt member"


def test_members_that_share_their_bytes(tmp_path):
    """The way to make a bomb of any size: a directory that names one member often."""
    data = archive({f"{n}.txt": b"the same" * 9 for n in range(3)})
    first = data.find(b"PK\x01\x02")
    entries = bytearray(data[first:])
    size = len(b"PK\x01\x02") + 42 + 5
    for n in range(3):
        struct.pack_into("<I", entries, n * size + 42, 0)
    found = look(tmp_path / "a.zip", data[:first] + bytes(entries))
    assert found.texts == [] and found.kinds == [(n, "overlapping member") for n in range(3)]


def test_what_is_damaged_costs_itself_alone(tmp_path):
    data = bytearray(archive({f"{n}.txt": random.Random(n).randbytes(500).hex().encode() for n in range(3)}))
    data[100] ^= 0xFF
    found = look(tmp_path / "a.zip", bytes(data), id="member")
    assert found.ids == ["1.txt", "2.txt"] and found.unreadable[0].reason.startswith("corrupt member")
    assert (found.unreadable[0].row, found.unreadable[0].id) == (0, "0.txt")
    cut = look(tmp_path / "b.zip", bytes(data[:-100]))
    assert cut.kinds == [(None, "corrupt file")] and cut.unreadable[0].bytes == len(data) - 100
    assert look(tmp_path / "c.zip", b"no zip").kinds == [(None, "corrupt file")]
    for trial in range(200):  # no flipped byte gives a traceback, or a fault without a reason
        noise = bytearray(archive({"a.txt": b"abc" * 50, "b.html": b"<p>one</p>"}))
        rng = random.Random(trial)
        for _ in range(3):
            noise[rng.randrange(len(noise))] = rng.randrange(256)
        found = look(tmp_path / "d.zip", bytes(noise))
        assert not any("failed reader" in bad.reason for bad in found.unreadable), trial


def test_a_directory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_members, "MOST_DIRECTORY_BYTES", 100)
    found = look(tmp_path / "a.zip", archive({f"{n}.txt": b"x" for n in range(3)}))
    assert "a directory of" in found.unreadable[0].reason


def test_names_of_windows_are_paths_too(tmp_path):
    sample = {"txt": b"t", "json": b'{"url": "u"}'}
    members = {f"v1.0\\{n}.{suffix}": text for n in range(3) for suffix, text in sample.items()}
    found = look(tmp_path / "a.zip", archive(members | {"v1.0\\.hidden.txt": b"h"}), id="member", keep=["url"])
    assert found.ids == [f"v1.0\\{n}.txt" for n in range(3)] and found.keep["url"] == ["u"] * 3
    assert found.passed == {"fields of a text beside it": 3, "member: hidden file": 1} and not found.bad


@pytest.mark.parametrize("comment", [b"PK\5\6", b"of PK\5\6 and PK\5\6" + bytes(40), b"PK", b"PK\5\6" * 9000])
def test_a_comment_may_hold_what_looks_like_the_end_of_a_directory(tmp_path, comment):
    data = archive({"a.txt": b"one", "b.txt": b"two"})
    data = data[:-2] + len(comment).to_bytes(2, "little") + comment
    found = look(tmp_path / "a.zip", data, id="member")
    assert (found.ids, found.texts, found.unreadable) == (["a.txt", "b.txt"], ["one", "two"], [])


def test_an_lzma_member_that_asks_for_too_much_memory(tmp_path):
    data = bytearray(archive({"a.txt": b"one", "b.txt": b"two"}, zipfile.ZIP_LZMA))
    at = 30 + len("a.txt") + 5  # behind version, size and the byte of lc, lp and pb
    data[at : at + 4] = (1 << 31).to_bytes(4, "little")
    found = look(tmp_path / "a.zip", bytes(data), id="member")
    assert found.texts == ["two"]
    assert found.bad == {"a.txt": "needs too much memory: an LZMA dictionary of over 134,217,728 bytes"}


def test_fields_of_a_text_that_cannot_be_read_are_told(tmp_path):
    data = bytearray(archive({"a.json": b'{"url": "u"}', "a.txt": b"damaged", "b.txt": b"two"}, zipfile.ZIP_STORED))
    data[data.index(b"damaged")] ^= 1
    found = look(tmp_path / "a.zip", bytes(data), id="member", keep=["url"])
    assert found.texts == ["two"] and list(found.bad) == ["a.txt"]
    assert found.passed == {"fields of a text beside it that could not be read": 1}
