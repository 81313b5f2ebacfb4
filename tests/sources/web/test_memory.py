"""A large archive is read, counted and read in parts in the memory of a small one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.archives import archive, page

ROOT = Path(__file__).parents[3]
PROGRAM = """
import resource, sys
from winnow.sources.read import read_slice
from winnow.sources.readers.registry import READERS
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile
path, size, text_bytes = sys.argv[1], int(sys.argv[2]), 0
source = SourceConfig(name="s", path=path)
told = {"path": path, "file": 0, "source": "s", "format": "warc", "size": size}

def read(start, stop, first_row):
    part = FileSlice(**told, start=start, stop=stop, first_row=first_row)
    return sum(len(b.rows) for b in read_slice(part, source, lambda path: open(path, "rb"), 8_000_000))

part = FileSlice(**told)
with open(path, "rb") as file:
    pieces = READERS.get("warc").pieces(part, StoredFile(file, size))
few = pieces[:: max(1, len(pieces) // 4)]
rows = {piece.start: sum(p.rows for p in pieces if p.start < piece.start) for piece in few}
stops = [*(piece.start for piece in few[1:]), size]
in_parts = sum(read(piece.start, stop, rows[piece.start]) for piece, stop in zip(few, stops))
text = sum(piece.bytes for piece in pieces)
print(read(0, None, 0), in_parts, len(pieces), text, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000)
"""


def measured(path: Path) -> list[int]:
    """Documents read whole and in parts, pieces, bytes of text, MB of memory at most."""
    command = [sys.executable, "-c", PROGRAM, str(path), str(path.stat().st_size)]
    environment = {"PYTHONPATH": f"{ROOT / 'pipeline'}:{ROOT}:{':'.join(sys.path)}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return [int(number) for number in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_gigabyte_takes_the_memory_of_a_few_megabytes(tmp_path: Path, name: str) -> None:
    image = [("Content-Type", "image/png")]
    gzip = name.endswith(".gz")
    pages = archive([page(n, sentences=40) for n in range(20)], gzip=gzip)
    images = archive([bytes(5_000_000), b"\x89PNG" * 50_000], gzip=gzip, headers=image)
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(pages + images)
    documents, in_parts, _, _, small = measured(path)
    assert documents == in_parts == 20
    with path.open("wb") as file:
        for _ in range(200):
            file.write(pages + images)
    documents, in_parts, pieces, text, large = measured(path)
    print(f"{text / 1e9:.2f} GB of {name}: {large} MB at most, {small} MB of {name} with {20} pages")
    assert documents == in_parts == 4000 and pieces > 100 and text > 1e9
    assert large < small + 60
