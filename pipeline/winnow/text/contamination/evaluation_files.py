"""Evaluation sets as they lie on a disk: JSON, JSON Lines, CSV, TSV and Parquet, row by row, with each row's line.

Everything that is wrong with a file is a ConfigError that names file and line: an evaluation set that is read in part
would let contaminated documents pass.
"""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.errors import ConfigError
from winnow.sources.readers.streams import Chunk, read_chunks
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import COMPRESSIONS, StoredFile, compression_of

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""Of files that can be read."""
MOST_BYTES = 8 << 30
"""Of one set, decompressed: a file that unfolds without end is refused."""
MOST_LINE_BYTES = 64 << 20
MOST_ROWS = 5_000_000
_FIELD_CHARACTERS = 16 << 20
Row = tuple[int, dict[str, Any]]
"""Line (of Parquet and JSON arrays: row, from 1) and fields."""


def suffix_of(path: str) -> str:
    """Which of the suffixes a path has.

    Raises:
        ConfigError: none.
    """
    suffix = Path(path[: len(path) - len(compression_of(path))]).suffix.lower()
    if suffix not in SUFFIXES or (suffix == ".parquet" and compression_of(path)):
        raise ConfigError(
            f"{path}: nobody can tell what this evaluation set holds; expected a file named {', '.join(SUFFIXES)} "
            f"({' '.join(COMPRESSIONS)} may follow, but for Parquet)"
        )
    return suffix


def read_rows(path: Path, name: str) -> Iterator[Row]:
    """The rows of a file, in order.

    Args:
        path: where it lies on this machine; its suffix says what it is.
        name: what messages call it.

    Raises:
        ConfigError: it is not there, or not what its name says; with the line.
    """
    suffix = suffix_of(path.name)
    reading = {".csv": _read_csv, ".tsv": _read_csv, ".parquet": _read_parquet}.get(suffix, _read_json)
    try:
        for number, row in enumerate(reading(path, name)):
            if number >= MOST_ROWS:
                raise ConfigError(f"{name}: over {MOST_ROWS:,} items; give the sets that are meant, file by file")
            yield row
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror or error}") from error


def _chunks(path: Path, name: str) -> Iterator[Chunk]:
    total = 0
    with path.open("rb") as file:
        try:
            for chunk in read_chunks(StoredFile(file, path.stat().st_size), compression_of(path.name)):
                total += len(chunk.data)
                if total > MOST_BYTES:
                    raise ConfigError(
                        f"{name}: over {MOST_BYTES >> 30} GB, decompressed; no evaluation set is so large"
                    )
                yield chunk
        except FileFaultError as error:
            raise ConfigError(f"{name}: {error.reason} (byte {error.position:,}); get the file again") from error


def _lines(path: Path, name: str) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, from 1; without their ends."""
    number, rest = 1, b""
    for chunk in _chunks(path, name):
        *whole, rest = (rest + chunk.data).split(b"\n")
        for line in whole:
            yield number, line
            number += 1
        if len(rest) > MOST_LINE_BYTES:
            raise ConfigError(f"{name}, line {number:,}: over {MOST_LINE_BYTES >> 20} MB; expected one item a line")
    if rest:
        yield number, rest


def _read_json(path: Path, name: str) -> Iterator[Row]:
    lines = _lines(path, name)
    first: tuple[int, bytes] | None = next(((n, line) for n, line in lines if line.strip(b" \t\r\xef\xbb\xbf")), None)
    if first is None:
        return
    if first[1].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        yield from _read_array(b"\n".join([first[1], *(line for _, line in lines)]), name, first[0])
        return
    for number, line in _with_first(first, lines):
        text = line.removeprefix(b"\xef\xbb\xbf").strip() if number == first[0] else line.strip()
        if text:
            yield number, _object(text, f"{name}, line {number:,}")


def _with_first(first: tuple[int, bytes], rest: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from rest


def _object(text: bytes, where: str) -> dict[str, Any]:
    if len(text) > MOST_LINE_BYTES:
        raise ConfigError(f"{where}: over {MOST_LINE_BYTES >> 20} MB; expected one item a line")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigError(
            f"{where}: no JSON ({error.msg}, column {error.colno:,}); correct or remove the line"
        ) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: a JSON {type(value).__name__}; expected an object with fields, one item a line")
    return value


def _read_array(text: bytes, name: str, line: int) -> Iterator[Row]:
    try:
        values = orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{name}, line {error.lineno + line - 1:,}: no JSON ({error.msg}); correct it") from None
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise ConfigError(f"{name}, element {number:,}: a {type(value).__name__}; expected an object with fields")
        yield number, value


def _text_lines(path: Path, name: str) -> Iterator[str]:
    """Lines of text, with their ends, for the csv module."""
    for number, line in _lines(path, name):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8") + "\n"
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{name}, line {number:,}: not UTF-8 (byte {error.start:,} of the line); convert the file"
            ) from None


@contextmanager
def _wide_fields() -> Iterator[None]:
    before = csv.field_size_limit(_FIELD_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read_csv(path: Path, name: str) -> Iterator[Row]:
    delimiter = "\t" if suffix_of(path.name) == ".tsv" else ","
    rows = csv.reader(_text_lines(path, name), delimiter=delimiter, strict=True)
    fields: list[str] = []
    line = 1
    while True:
        try:
            with _wide_fields():
                values = next(rows, None)
        except csv.Error as error:
            raise ConfigError(f"{name}, line {rows.line_num:,}: malformed CSV: {error}") from error
        if values is None:
            return
        if not fields:
            fields = values
        elif len(values) == len(fields):
            yield line, dict(zip(fields, values, strict=True))
        elif values:
            raise ConfigError(
                f"{name}, line {line:,}: {len(values):,} fields, and the first line names {len(fields):,}; put quotes "
                "around values with a comma or a line end in them"
            )
        line = rows.line_num + 1


def _read_parquet(path: Path, name: str) -> Iterator[Row]:
    row = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(1024, use_threads=False):
                for value in batch.to_pylist():
                    row += 1
                    yield row, value
    except pa.ArrowException as error:
        told = re.sub(r"\s+", " ", str(error))[:200]
        raise ConfigError(f"{name}, behind row {row:,}: no Parquet ({told}); get the file again") from error
