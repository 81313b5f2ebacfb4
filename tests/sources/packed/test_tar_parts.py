"""A tar archive read in parts has the members, rows and faults of the whole, wherever it is cut."""

import io
import random
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sources.packed.test_tar import MEMBERS, SPECIALS, archive
from tests.support.reading import open_binary
from winnow.sources.read import read_slice
from winnow.sources.readers import tar
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile

PLAIN = {name: data for name, data in MEMBERS.items() if not name.endswith(".jsonl")}


def rows_of(part: FileSlice) -> tuple[list[tuple], dict[str, int]]:
    source = SourceConfig(name="s", path=part.path, id="member", keep=("url",))
    found: list[tuple] = []
    passed: dict[str, int] = {}
    for batch in read_slice(part, source, open_binary, 100):
        columns = [batch.rows.tolist(), batch.ids.to_pylist(), batch.texts.to_pylist(), batch.keep["url"].to_pylist()]
        found += zip(*columns, strict=True)
        found += [(bad.row, bad.position, bad.reason, bad.bytes, bad.id) for bad in batch.unreadable]
        for what, number in batch.passed.items():
            passed[what] = passed.get(what, 0) + number
    return sorted(found, key=lambda row: (row[0] is None, row[0] or 0)), passed


def check_any_cut(path: Path, rng: random.Random) -> int:
    size = path.stat().st_size
    whole = FileSlice(path=str(path), file=0, source="s", format="tar", size=size)
    try:
        with path.open("rb") as file:
            found = tar.READER.pieces(whole, StoredFile(file, size))
    except FileFaultError:  # nobody can tell: it is read whole
        return 0
    expected = rows_of(whole)
    for share in (1.0, 0.4):
        chosen = [at for at in range(len(found)) if at == 0 or rng.random() < share]
        together: list[tuple] = []
        passed: dict[str, int] = {}
        for at, until in zip(chosen, [*chosen[1:], len(found)], strict=True):
            rows = sum(piece.rows for piece in found[:at])
            part = replace(whole, start=found[at].start, stop=found[until - 1].stop, first_row=rows)
            more, counts = rows_of(part)
            together += more
            for what, number in counts.items():
                passed[what] = passed.get(what, 0) + number
        assert (together, passed) == expected, path
    assert sum(piece.rows for piece in found) == len([row for row in expected[0] if row[0] is not None]) + sum(
        expected[1].values()
    )
    return len(found)


@pytest.fixture(autouse=True)
def cut_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "PIECE_BYTES", 1)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_archives_in_any_parts(tmp_path, form) -> None:
    members = {name: data for name, data in PLAIN.items() if form != tarfile.USTAR_FORMAT or len(name) < 90}
    data = archive(members, form, *SPECIALS)
    path = tmp_path / "a.tar"
    rng = random.Random(form)
    for made in (data, data[: -10 * 512] + data, data + bytes(512)):  # joined archives, and zeros behind the end
        path.write_bytes(made)
        assert check_any_cut(path, rng) > 10
    with tarfile.open(path) as opened:
        number = len(opened.getmembers())
    whole, passed = rows_of(FileSlice(path=str(path), file=0, source="s", format="tar", size=path.stat().st_size))
    assert len(whole) + sum(passed.values()) == number


def test_samples_are_never_cut(tmp_path) -> None:
    members = {
        f"{n:04}{end}": b'{"url": "u"}' if end == ".json" else b"text" for n in range(40) for end in (".json", ".txt")
    }
    path = tmp_path / "a.tar"
    path.write_bytes(archive(members))
    assert check_any_cut(path, random.Random(1)) == 40
    path.write_bytes(archive(members | {"x.jsonl": b'{"text": "a"}\n{"text": "b"}\n'}))
    assert check_any_cut(path, random.Random(1)) == 0


def test_damaged_archives_in_any_parts(tmp_path) -> None:
    rng = random.Random(3)
    made = archive(PLAIN, tarfile.PAX_FORMAT, *SPECIALS)
    path = tmp_path / "a.tar"
    cut = 0
    for _ in range(60):
        data = bytearray(made)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data))
            data[at] ^= 1 << rng.randrange(8)
        if rng.random() < 0.2:
            data = data[: rng.randrange(len(data))]
        path.write_bytes(data)
        cut += check_any_cut(path, rng) > 1
    assert cut > 20


def test_counting_reads_headers_alone(tmp_path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as written:
        for n in range(20):
            info = tarfile.TarInfo(f"{n}.txt")
            info.size = 300_000
            written.addfile(info, io.BytesIO(b"x" * info.size))
    path = tmp_path / "a.tar"
    path.write_bytes(out.getvalue())
    size = path.stat().st_size
    with path.open("rb") as raw:
        file = StoredFile(raw, size)
        reads: list[int] = []
        read = file.read
        file.read = lambda limit: reads.append(limit) or read(limit)  # type: ignore[method-assign]
        part = FileSlice(path=str(path), file=0, source="s", format="tar", size=size)
        assert len(tar.READER.pieces(part, file)) == 20
    assert sum(reads) < 40_000
    with pytest.raises(FileFaultError, match="not cut: a compressed archive"):
        tar.READER.pieces(replace(part, path="a.tgz"), file)
