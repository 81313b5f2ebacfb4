"""An archive read in parts has the records, rows and faults of the whole, wherever it is cut."""

import gzip
import os
import random
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from lz4.frame import compress

from tests.support.archives import archive, page
from tests.support.reading import open_binary
from winnow.sources.read import can_split, read_slice
from winnow.sources.readers.registry import READERS
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.web import parts
from winnow.sources.web.parts import cuts

TRIES = int(os.environ.get("WINNOW_TRIES", "12"))
REAL = Path(__file__).parents[4] / "shared" / "warc"


def read(path: Path, size: int, start: int = 0, stop: int | None = None, first_row: int = 0) -> list[tuple]:
    """Everything that comes out of a part, row by row."""
    source = SourceConfig(name="s", path=str(path), extract="raw", keep=("url", "date", "status", "charset_from"))
    part = FileSlice(
        path=str(path), file=0, source="s", format="warc", size=size, start=start, stop=stop, first_row=first_row
    )
    found: list[tuple] = []
    passed: dict[str, int] = {}
    notes: dict[str, int] = {}
    for batch in read_slice(part, source, open_binary, 1 << 16):
        columns = [batch.rows.tolist(), batch.ids.to_pylist(), batch.texts.to_pylist()]
        columns += [values.to_pylist() for values in batch.keep.values()]
        found += zip(*columns, strict=True)
        found += [(bad.row, bad.position, bad.reason, bad.bytes, bad.id) for bad in batch.unreadable]
        for what, number in batch.passed.items():
            passed[what] = passed.get(what, 0) + number
        for note, (number, _) in batch.noted.items():
            notes[note] = notes.get(note, 0) + number
    return [*found, *sorted(passed.items()), *sorted(notes.items())]


def split(rows: list[tuple]) -> tuple[list[tuple], dict]:
    counts: dict[str, int] = {}
    for row in rows:
        if len(row) == 2:
            counts[row[0]] = counts.get(row[0], 0) + row[1]
    return sorted((row for row in rows if len(row) > 2), key=lambda row: (row[0] is None, row[0] or 0)), counts


def check_any_cut(path: Path, rng: random.Random) -> int:
    """Read whole, in all pieces that there are, and in a few unions of them; returns how many pieces there are."""
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            found = cuts(StoredFile(file, size), compression_of(path.name))
        except FileFaultError:  # nobody can tell: it is read whole
            return 0
    assert found[0][0] == 0 and found[-1][1] == size
    whole = split(read(path, size))
    rows = sum(cut[2] for cut in found)
    assert rows >= len(whole[0]) and all(row[0] is None or row[0] < rows for row in whole[0])
    for share in (1.0, 0.3):
        chosen = [cut for cut in found if cut[0] == 0 or rng.random() < share]
        together: list[tuple] = []
        for at, (start, *_) in enumerate(chosen):
            stop = chosen[at + 1][0] if at + 1 < len(chosen) else size
            first_row = sum(cut[2] for cut in found if cut[0] < start)
            together += read(path, size, start, stop, first_row)
        assert split(together) == whole, path
    return len(found)


@pytest.fixture(autouse=True)
def cut_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CUT_BYTES", 1)


def real_archives() -> list[Path]:
    ends = (".warc", ".warc.gz", ".warc.lz4", ".arc", ".arc.gz")
    return sorted(path for path in REAL.rglob("*") if path.name.endswith(ends))


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/warc")
def test_real_archives_in_any_parts() -> None:
    numbers = {path.name: check_any_cut(path, random.Random(path.name)) for path in real_archives()}
    assert len(numbers) > 25
    assert numbers["test_data_example.warc"] > 3 and numbers["test_data_example.warc.gz"] > 3


def damaged(data: bytes, rng: random.Random) -> bytes:
    """What disks, networks and other people's programs do to a file."""
    at = rng.randrange(len(data))
    kind = rng.randrange(7)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at + rng.randrange(2000) :]
    if kind == 3:
        return data[:at] + rng.randbytes(rng.randrange(1, 400)) + data[at:]
    if kind == 4:
        return data + data[at:]
    if kind == 5:
        return data[:at] + bytes(rng.randrange(300)) + data[at:]
    return data.replace(b"Content-Length: 1", b"Content-Length: 2", 3)


def zst(plain: bytes) -> bytes:
    """A frame a record, and a dictionary before them."""
    begins = [at for at in range(len(plain)) if plain.startswith(b"WARC/1", at)] + [len(plain)]
    records = [plain[first:stop] for first, stop in pairwise(begins)]
    dictionary = zstandard.train_dictionary(4096, records * 20)
    stored = dictionary.as_bytes()
    head = (0x184D2A5D).to_bytes(4, "little") + len(stored).to_bytes(4, "little") + stored
    packer = zstandard.ZstdCompressor(dict_data=dictionary)
    return head + b"".join(packer.compress(record) for record in records)


def lz4(plain: bytes) -> bytes:
    """A frame a record."""
    begins = [at for at in range(len(plain)) if plain.startswith(b"WARC/1", at)] + [len(plain)]
    return b"".join(compress(plain[first:stop]) for first, stop in pairwise(begins))


def pairs(plain: bytes) -> bytes:
    """Gzip members that hold two records and a half."""
    begins = [at for at in range(len(plain)) if plain.startswith(b"WARC/1", at)]
    ends = [at if n % 3 else at + 90 for n, at in enumerate(begins[2::2])]
    return b"".join(gzip.compress(plain[a:b], mtime=0) for a, b in zip([0, *ends], [*ends, len(plain)], strict=True))


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz", "a.warc.zst", "a.warc.lz4", "pairs.warc.gz", "one.warc.gz"])
def test_damaged_archives_in_any_parts(tmp_path, name) -> None:
    pages = [page(n, sentences=n % 5) for n in range(12)]
    pages[4] = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 3\r\n\r\nabc" + pages[4]  # a record in a page
    plain = archive(pages, gzip=False)
    made = {
        "a.warc": lambda: plain,
        "a.warc.gz": lambda: archive(pages),
        "a.warc.zst": lambda: zst(plain),
        "a.warc.lz4": lambda: lz4(plain),
        "pairs.warc.gz": lambda: pairs(plain),
        "one.warc.gz": lambda: gzip.compress(plain, mtime=0),
    }[name]()
    rng = random.Random(name)
    path = tmp_path / name
    path.write_bytes(made)
    number = check_any_cut(path, rng)
    assert number == 1 if name == "one.warc.gz" else number > 1
    for _ in range(TRIES):
        data = made
        for _ in range(rng.randrange(1, 4)):
            data = damaged(data, rng) or made
        path.write_bytes(data)
        check_any_cut(path, rng)


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz", "a.warc.zst", "a.warc.lz4"])
def test_records_of_a_list_are_those_of_the_whole(tmp_path, name) -> None:
    plain = archive([page(n) for n in range(12)], gzip=False)
    data = {
        "a.warc": plain,
        "a.warc.gz": archive([page(n) for n in range(12)]),
        "a.warc.zst": zst(plain),
        "a.warc.lz4": lz4(plain),
    }[name]
    path = tmp_path / name
    path.write_bytes(data)
    with path.open("rb") as file:
        found = cuts(StoredFile(file, len(data)), compression_of(name))
    spans = [(start, stop - start) for start, stop, *_ in found]
    if name == "a.warc.zst":  # the first one begins with the dictionary
        spans = spans[1:]
    assert len(spans) > 20
    source = SourceConfig(name="s", path="-", extract="raw")

    def texts(ranges: str) -> tuple[list[str], list[str]]:
        part = FileSlice(path=str(path), file=0, source="s", format="warc", size=len(data), ranges=ranges)
        batches = list(read_slice(part, source, open_binary, 1 << 20))
        return [t for b in batches for t in b.texts.to_pylist()], [bad.reason for b in batches for bad in b.unreadable]

    whole = [row[2] for row in read(path, len(data)) if len(row) == 7]
    listed, bad = texts(",".join(f"{first}:{size}" for first, size in spans))
    assert (listed, bad) == (whole, []) and len(whole) == 12
    first, size = spans[5]
    _, bad = texts(f"{first}:{size},{first + 1}:{size},{first}:{1 << 29},{len(data) - 5}:40")
    assert [reason.split(":")[0] for reason in bad] == ["not at its place", "too large", "not at its place"]


def test_which_archives_are_cut() -> None:
    source = SourceConfig(name="s", path="a.warc")
    assert all(can_split(f"a.warc{end}", "warc", source) for end in ("", ".gz", ".zst", ".lz4"))
    assert not can_split("a.warc.bz2", "warc", source)
    assert READERS.get("warc").counted_whole


def test_counting_takes_constant_memory(tmp_path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(archive([page(n, sentences=400) for n in range(50)]) * 20)
    tracemalloc.start()
    with path.open("rb") as file:
        assert len(cuts(StoredFile(file, path.stat().st_size), ".gz")) > 900
    assert tracemalloc.get_traced_memory()[1] < 8e6
    tracemalloc.stop()
