"""Tar archives against Python's tarfile, and what is damaged or hostile."""

import gzip
import io
import random
import subprocess
import tarfile

import pytest

from tests.support.packed import look
from winnow.sources.readers import decoders, streams

MEMBERS = {
    "a/1.txt": b"first",
    "a/1.json": b'{"url": "u1", "text": "another"}',
    "a/2.json": b'{"url": "u2"}',
    "a/2.html": b"<title>T</title><body><p>hello</p></body>",
    "a/3.jpg": b"x" * 1000,
    "../../up.txt": b"up",
    "/etc/x.txt": b"absolute",
    "l" * 150 + "/" + "m" * 120 + ".txt": b"a long name",
    "own.json": b'{"text": "own"}',
    "array.json": b"[1]",
    "no.json": b"{",
    "\u00e9.txt": "caf\u00e9".encode("latin-1"),
    "in.tar.gz": b"nested",
    "in.zip": b"nested",
    "rows.csv": b"a,b",
    ".hidden.txt": b"hidden",
    "README": b"read me",
}
TEXTS = {
    "a/1.txt": "first",
    "a/2.html": "hello",
    "../../up.txt": "up",
    "/etc/x.txt": "absolute",
    "l" * 150 + "/" + "m" * 120 + ".txt": "a long name",
    "own.json": "own",
    "\u00e9.txt": "caf\ufffd",
}


def archive(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT, *specials: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, kind in specials:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    return out.getvalue()


SPECIALS = (
    ("soft.txt", tarfile.SYMTYPE),
    ("hard.txt", tarfile.LNKTYPE),
    ("folder", tarfile.DIRTYPE),
    ("pipe.txt", tarfile.FIFOTYPE),
    ("disk.txt", tarfile.BLKTYPE),
)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2"])
def test_members_become_documents_or_are_counted(tmp_path, form, suffix):
    data = archive(MEMBERS, form, *SPECIALS)
    packed = {"gz": gzip.compress, "bz2": __import__("bz2").compress}.get(suffix[-3:].strip(".t"), bytes)
    data = gzip.compress(data) if suffix.endswith("gz") else packed(data)
    found = look(tmp_path / f"a{suffix}", data, id="member", keep=["url", "title"])
    assert dict(zip(found.ids, found.texts, strict=True)) == TEXTS
    assert dict(zip(found.ids, found.keep["url"], strict=True)) == dict.fromkeys(TEXTS) | {
        "a/1.txt": "u1",
        "a/2.html": "u2",
    }
    assert found.keep["title"][1] == "T" and found.noted == {"foreign": 1}
    assert found.bad == {
        "array.json": "not an object: the member is an array",
        "no.json": "malformed JSON: unexpected end of data at character 1",
    }
    assert found.passed == {
        "fields of a text beside it": 2,
        "member: image": 1,
        "member: archive": 1,
        "member: compressed file": 1,
        "member: file of records": 1,
        "member: hidden file": 1,
        "member: file of another kind": 1,
        "link": 2,
        "folder": 1,
        "device or pipe": 2,
    }
    rows = len(found.rows) + len(found.unreadable) + sum(found.passed.values())
    assert rows == len(MEMBERS) + len(SPECIALS) and found.bytes_read == len(data)
    assert found.rows[:3] == [0, 3, 5]


def test_members_are_those_that_tarfile_reads(tmp_path):
    rng = random.Random(3)
    for trial, form in enumerate([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT] * 5):
        members = {
            "/".join([*rng.choices(["folder", "ü" * 9, "x" * 60], k=rng.randrange(1, 4)), f"{n}.txt"]): rng.randbytes(
                rng.choice([0, 1, 511, 512, 513, 3000])
            )
            .hex()
            .encode()
            for n in range(12)
        }
        data = archive(members, form)
        found = look(tmp_path / f"{trial}.tar", data, id="member")
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            expected = {info.name: tar.extractfile(info).read().decode() for info in tar}  # type: ignore[union-attr]
        assert dict(zip(found.ids, found.texts, strict=True)) == expected and not found.unreadable


def test_archives_that_were_joined_and_large_numbers(tmp_path):
    two = archive({"a.txt": b"one"}) + archive({"b.txt": b"two"})
    assert look(tmp_path / "a.tar", two).texts == ["one", "two"]
    info = tarfile.TarInfo("a.txt")
    info.size = 3
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x80" + (3).to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    assert look(tmp_path / "b.tar", bytes(header) + b"abc" + bytes(509 + 1024)).texts == ["abc"]
    header[124:136] = b"\x80" + (1 << 70).to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    found = look(tmp_path / "c.tar", archive({"a.txt": b"one"})[:1024] + bytes(header) + archive({"b.txt": b"two"}))
    assert found.texts == ["one", "two"] and found.bad == {None: "corrupt member: its header is damaged"}


def test_what_is_damaged_costs_itself_alone(tmp_path):
    members = {f"{n}.txt": bytes([97 + n]) * 700 for n in range(5)}
    whole = archive(members)
    flipped = bytearray(whole)
    flipped[2 * 1536 + 20] ^= 0xFF
    found = look(tmp_path / "a.tar", bytes(flipped), id="member")
    assert found.ids == ["0.txt", "1.txt", "3.txt", "4.txt"] and found.rows == [0, 1, 3, 4]
    assert [(bad.row, bad.position, bad.reason, bad.bytes) for bad in found.unreadable] == [
        (2, 3072, "corrupt member: its header is damaged", 1536)
    ]
    cut = look(tmp_path / "b.tar", whole[: 1536 * 2 + 600], id="member")
    assert cut.ids == ["0.txt", "1.txt"]
    assert cut.kinds == [(2, "cut off"), (None, "truncated file")] and cut.unreadable[0].id == "2.txt"
    no_end = look(tmp_path / "c.tar", whole[: 1536 * 5])
    assert len(no_end.texts) == 5 and no_end.kinds == [(None, "truncated file")]
    noise = {f"{n}.txt": random.Random(n).randbytes(4000).hex().encode() for n in range(5)}
    packed = look(tmp_path / "d.tar.gz", gzip.compress(archive(noise))[:-3000], id="member")
    assert packed.ids == ["0.txt", "1.txt", "2.txt", "3.txt"] and packed.kinds == [
        (4, "cut off"),
        (None, "truncated file"),
    ]
    assert look(tmp_path / "e.tar", b"hello" * 500).kinds == [(None, "wrong format")]
    assert look(tmp_path / "f.tar", gzip.compress(whole)).kinds == [(None, "wrong format")]


def test_a_text_that_cannot_be_read_does_not_leave_its_fields_as_a_document(tmp_path):
    members = {"a.json": b'{"text": "a caption", "url": "u"}', "a.txt": b"x" * 1_200_000}
    found = look(tmp_path / "a.tar", archive(members), max_document_mb=1)
    assert found.texts == [] and found.kinds == [(1, "too large")]
    several = {"b.one.txt": b"1", "b.two.txt": b"2", "b.json": b'{"url": "u"}'}
    found = look(tmp_path / "b.tar", archive(several))
    assert found.texts == ["1", "2"] and found.kinds == [(2, "missing text")]


def test_pieces_of_the_stream_do_not_matter(tmp_path, monkeypatch):
    data = archive(MEMBERS, tarfile.PAX_FORMAT, *SPECIALS)
    seen = []
    for size in (100, 513, 1 << 20):
        monkeypatch.setattr(streams, "CHUNK_BYTES", size)
        monkeypatch.setattr(decoders, "STORED_BYTES", size)
        found = look(tmp_path / "a.tar", data, size, id="member", keep=["url"])
        seen.append((found.rows, found.texts, found.keep, found.passed, found.unreadable))
    assert seen[0] == seen[1] == seen[2]


def test_a_member_of_records_that_is_cut(tmp_path):
    rows = b"".join(b'{"text": "row %d"}\n' % n for n in range(100))
    whole = archive({"a.txt": b"first", "rows.ndjson": rows, "b.txt": b"last"})
    found = look(tmp_path / "a.tar", whole)
    assert found.texts == ["first", *(f"row {n}" for n in range(100)), "last"] and found.rows == list(range(102))
    cut = look(tmp_path / "b.tar", whole[: 1024 + 512 + 1000])
    assert cut.texts == found.texts[: len(cut.texts)] and len(cut.texts) > 40
    assert cut.kinds == [(len(cut.texts), "cut off"), (None, "truncated file")]


@pytest.mark.parametrize("size", [b"-0000000007\0", b"+0000000007\0", b"0o000000007\0", b"0_000000007\0", b"\xff" * 12])
def test_sizes_that_are_none(tmp_path, size):
    header = bytearray(tarfile.TarInfo("a.txt").tobuf())
    header[124:136] = size
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    good = archive({"b.txt": b"two"})
    found = look(tmp_path / "a.tar", good[:1024] + bytes(header) + good)
    assert found.texts == ["two", "two"] and found.bad == {None: "corrupt member: its header is damaged"}
    long = tarfile.TarInfo("c.txt")
    long.size, long.pax_headers = 3, {"size": "9" * 5000}
    data = long.tobuf(tarfile.PAX_FORMAT) + b"abc" + bytes(509 + 1024)
    assert look(tmp_path / "b.tar", data).texts == ["abc"]


def test_numbers_of_json_keep_their_digits(tmp_path):
    members = {"a.json": b'{"text": "x", "n": 123456789012345678901234567890, "m": NaN}', "b.json": b"[" * 100_000}
    found = look(tmp_path / "a.tar", archive(members), keep=["n", "m"])
    assert found.keep == {"n": ["123456789012345678901234567890"], "m": ["NaN"]}
    assert found.kinds == [(1, "malformed JSON")]


def test_names_that_are_not_utf8_are_noted(tmp_path):
    latin = io.BytesIO()
    with tarfile.open(fileobj=latin, mode="w", format=tarfile.USTAR_FORMAT, encoding="latin-1") as tar:
        for name, data in (("caf\u00e9.txt", b"one"), ("cafe.txt", b"two"), ("\u00e9.jsonl", b'{"text": "three"}\n')):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    found = look(tmp_path / "a.tar", latin.getvalue(), keep=["member"])
    assert found.texts == ["one", "two", "three"] and found.noted == {"replaced name": 2}
    assert found.keep["member"] == ["caf\ufffd.txt", "cafe.txt", "\ufffd.jsonl"]
    assert look(tmp_path / "b.tar", archive({"\ufffd.txt": b"own"})).noted == {}


def test_encodings_of_members(tmp_path):
    wide = archive({"a.txt": "語り 語り 語り".encode("utf-16"), "b.txt": b"plain"})
    found = look(tmp_path / "a.tar", wide, encoding="detect")
    assert found.texts == ["語り 語り 語り", "plain"] and found.noted == {"guessed utf_16": 1}
    western = archive({"a.txt": "café".encode("cp1252"), "a.json": '{"by": "Zoë"}'.encode()})
    found = look(tmp_path / "b.tar", western, encoding="cp1252", keep=["by"])
    assert found.texts == ["café"] and found.keep["by"] == ["Zoë"]


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_a_member_with_holes_is_no_text_in_any_form_of_gnu_tar(tmp_path, version):
    """Without its holes a member is another text than the one that was packed."""
    with (tmp_path / "holes.txt").open("wb") as file:
        file.write(b"S" * 4096)
        file.seek(1 << 20)
        file.write(b"E" * 4096)
    (tmp_path / "a.txt").write_text("whole")
    command = ["tar", "--format=posix", "--sparse", f"--sparse-version={version}", "-cf", "a.tar", "holes.txt", "a.txt"]
    if subprocess.run(command, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("needs GNU tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        if not tar.getmember("holes.txt").issparse():
            pytest.skip("needs a file system with holes")
    found = look(tmp_path / "a.tar", id="member")
    assert found.texts == ["whole"] and found.bad == {"holes.txt": "sparse member: it is stored with holes"}


def test_an_xhtml_member_has_elements_without_content(tmp_path):
    data = archive({"a.xhtml": b"<html><head><title/></head><body><p>words<i/></p></body></html>"})
    assert look(tmp_path / "a.tar", data).texts == ["words"]


def test_records_behind_a_byte_order_mark(tmp_path):
    found = look(tmp_path / "a.tar", archive({"a.jsonl": b'\xef\xbb\xbf{"text": "one"}\n{"text": "two"}'}))
    assert found.texts == ["one", "two"] and not found.bad
