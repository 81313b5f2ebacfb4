"""Speed of the readers, one core.

    python -m benchmarks.read [FILE.jsonl[.zst] ...] [--repeats 5]

Rewrites the given JSONL files (without any: three of the corpus) in every format in a temporary folder, reads each,
and prints MB of text a second of processor time (median), beside decompression, orjson line by line and pyarrow's JSON
reader alone.
"""

import argparse
import bz2
import gzip
import io
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
import zstandard

from benchmarks.measuring import CORPUS, corpus_files, median_seconds, one_core
from winnow.sources.read import format_of, read_slice
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig

BATCH_BYTES = 32_000_000


def _open(path: str) -> BinaryIO:
    return Path(path).open("rb")


def read(path: Path, **settings: str) -> int:
    """Bytes of text in a file, read as the pipeline reads it."""
    source = SourceConfig(name="benchmark", path=str(path), **settings)
    whole = FileSlice(
        path=str(path),
        file=0,
        source="benchmark",
        format=format_of(str(path), source),
        size=path.stat().st_size,
    )
    text_bytes = 0
    for batch in read_slice(whole, source, _open, BATCH_BYTES):
        if batch.unreadable:
            raise SystemExit(f"{path}: {batch.unreadable[0].reason}")
        text_bytes += batch.texts.nbytes - 8 * (len(batch.texts) + 1)
    return text_bytes


def write_all(data: bytes, folder: Path) -> dict[str, Path]:
    """The same records in every format."""
    contents = {
        "jsonl": data,
        "jsonl.gz": gzip.compress(data, 6),
        "jsonl.zst": zstandard.compress(data, 3),
        "jsonl.bz2": bz2.compress(data),
        "jsonl.xz": lzma.compress(data, preset=1),
    }
    records = [orjson.loads(line) for line in data.split(b"\n") if line]
    contents["txt.zst"] = zstandard.compress("\0\0\0\n".join(r["text"] for r in records).encode(), 3)
    paths = {}
    for suffix, content in contents.items():
        paths[suffix] = folder / f"records.{suffix}"
        paths[suffix].write_bytes(content)
    paths["parquet"] = folder / "records.parquet"
    table = pa.table({"id": [str(r.get("id")) for r in records], "text": pa.array([r["text"] for r in records])})
    pq.write_table(table, paths["parquet"], compression="zstd", row_group_size=5_000)
    return paths


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    one_core()
    data = b""
    for path in arguments.files or corpus_files(CORPUS, 3):
        if path.suffix == ".zst":
            with path.open("rb") as file:
                decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
                data += decompressor.stream_reader(file, read_across_frames=True).read()
        else:
            data += path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_all(data, Path(folder))
        text_bytes = read(paths["jsonl"])
        print(f"{len(data) / 1e6:.1f} MB of JSONL, {text_bytes / 1e6:.1f} MB of text")
        print("MB of text a second of processor time:")
        for suffix, path in paths.items():
            settings = {"separator": "\0\0\0\n"} if suffix == "txt.zst" else {}
            settings |= {"id": "id"} if suffix != "txt.zst" else {}
            seconds = median_seconds(lambda path=path, settings=settings: read(path, **settings), arguments.repeats)
            print(f"{suffix:34}{text_bytes / seconds / 1e6:8.0f}   {path.stat().st_size / 1e6:7.1f} MB stored")
        stored = paths["jsonl.zst"].read_bytes()
        references: dict[str, Callable[[], object]] = {
            "zstd decompression alone": lambda: zstandard.decompress(stored),
            "orjson line by line alone": lambda: [orjson.loads(line) for line in data.split(b"\n") if line],
            "pyarrow.json, one thread": lambda: pyarrow.json.read_json(
                io.BytesIO(data),
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=1 << 26),
            ),
        }
        for name, call in references.items():
            print(f"{name:34}{text_bytes / median_seconds(call, arguments.repeats) / 1e6:8.0f}")


if __name__ == "__main__":
    main()
