"""Lists of files, as crawls are published: a line a path, or (of a byte-range list) a record's file, offset and length.

A list may be compressed, and lie on a disk, in an object store or on a web server. It is read once, when a run begins.
"""

import csv
import hashlib
import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.errors import AddressError, InputError, ObjectStorageError
from winnow.sources.readers.streams import open_text
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import StoredFile
from winnow.storage.address import check_address, is_url, join, without_query
from winnow.storage.config import StorageConfig

CRAWLS = "cc://"
"""Begins an address of Common Crawl: ``cc://CC-MAIN-2026-05/warc.paths.gz``."""
LONGEST_ENTRY = 4096
MOST_ENTRIES = 20_000_000
MOST_STORED_BYTES = 4_000_000_000
MOST_HELD_BYTES = 64 << 20
"""Of a list, in memory; a longer one lies in a temporary file while it is read."""
LONGEST_RECORD_BYTES = 1 << 30
_LIST = re.compile(r"\.paths(\.gz|\.zst|\.bz2|\.xz)?$")
_COLUMNS = {
    "filename": ("filename", "warc_filename"),
    "offset": ("offset", "warc_record_offset"),
    "length": ("length", "warc_record_length"),
}


@dataclass(frozen=True)
class PathList:
    """A list that a source names."""

    address: str
    base: str
    """What entries without a place of their own lie below."""
    of_ranges: bool = False
    """Whether it lists records, not files."""


@dataclass
class Listing:
    """What a list says."""

    sha256: str
    """Of the file as stored."""
    entries: int = 0
    """Lines that name a file or record."""
    twice: int = 0
    """Of these, such as were there before."""
    paths: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """In the list's order: files, and of a byte-range list offset and length of each record, rising."""


def expanded(entry: str, storage: StorageConfig) -> str:
    """An address with its ``cc://`` replaced by where Common Crawl lies."""
    if not entry.startswith(CRAWLS):
        return entry
    rest = entry.removeprefix(CRAWLS).lstrip("/")
    return join(storage.common_crawl, rest if rest.startswith("crawl-data/") else f"crawl-data/{rest}")


def list_of(entry: str, storage: StorageConfig) -> PathList | None:
    """The list that an entry of ``path`` is (``cc://`` and a name ending in .paths); None for anything else."""
    if not entry.startswith(CRAWLS) or not _LIST.search(entry):
        return None
    return PathList(expanded(entry, storage), storage.common_crawl)


def given_list(address: str, base: str | None, storage: StorageConfig, *, of_ranges: bool) -> PathList:
    """The list of ``paths_from`` or ``ranges_from``; without a ``base`` entries lie below the list's own folder, those
    of Common Crawl's below its place."""
    place = expanded(address, storage)
    if base is None:
        base = (
            storage.common_crawl
            if address.startswith(CRAWLS)
            else place.rpartition("/")[0] or ("/" if place.startswith("/") else ".")
        )
    return PathList(place, expanded(base, storage), of_ranges)


def read_list(wanted: PathList, storage: StorageConfig) -> Listing:
    """The whole list.

    Raises:
        InputError: it is not there, cannot be read, or an entry is none; with the line.
        ObjectStorageError: nobody answers where it lies.
    """
    what = wanted.address
    try:
        with tempfile.SpooledTemporaryFile(MOST_HELD_BYTES, mode="w+b", dir=str(storage.scratch_folder)) as held:
            with _open(what, storage) as file:
                found = Listing(_copy(file, held))
            held.seek(0)
            stored = StoredFile(cast(BinaryIO, held), 0)
            entries = _ranges(stored, what) if wanted.of_ranges else _lines(stored, what)
            for place, path, span in entries:
                _add(found, _path(path, wanted, f"{what}, {place}"), span, what)
    except ObjectStorageError:  # passes, perhaps; the list is not at fault
        raise
    except FileNotFoundError:
        raise InputError(f"{what}: no such list; correct `paths_from`, `ranges_from` or `path`") from None
    except FileFaultError as fault:
        raise InputError(f"{what}: this list cannot be read: {fault.reason}") from None
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise InputError(f"{what}: this list is not UTF-8; it must name a file a line") from None
    except pa.ArrowException as error:
        raise InputError(f"{what}: this list is no Parquet file that can be read: {str(error)[:200]}") from None
    except OSError as error:
        raise InputError(f"{what}: this list cannot be read: {error.strerror or error}") from None
    if not found.paths:
        raise InputError(f"{what}: this list names no file; it must name one a line")
    for path, spans in found.paths.items():
        once = sorted(set(spans))
        found.twice += len(spans) - len(once)
        found.paths[path] = once
    return found


def _add(found: Listing, path: str, span: tuple[int, int] | None, what: str) -> None:
    found.entries += 1
    if found.entries > MOST_ENTRIES:
        raise InputError(f"{what}: more than {MOST_ENTRIES:,} entries; split the list")
    spans = found.paths.get(path)
    if spans is None:
        found.paths[path] = [] if span is None else [span]
    elif span is None:
        found.twice += 1
    else:
        spans.append(span)


def _open(address: str, storage: StorageConfig) -> BinaryIO:
    if not is_url(address):
        return Path(address).open("rb")
    from winnow.storage.object_files import object_files  # noqa: PLC0415 - only what is far away needs it
    from winnow.storage.object_reader import ObjectReader  # noqa: PLC0415

    files = object_files(address, storage)
    files.begin(address)
    reader: Any = ObjectReader(files, address)
    found: BinaryIO = reader
    return found


def _copy(file: BinaryIO, held: IO[bytes]) -> str:
    """Copy a list, which is asked for once; returns its sha256."""
    found, size = hashlib.sha256(), 0
    while piece := file.read(1 << 20):
        found.update(piece)
        held.write(piece)
        size += len(piece)
        if size > MOST_STORED_BYTES:
            raise FileFaultError(f"over {MOST_STORED_BYTES:,} bytes", size)
    return found.hexdigest()


_Entry = tuple[str, str, tuple[int, int] | None]
"""Where it stands, the path, the record's place."""


def _lines(file: StoredFile, what: str) -> Iterator[_Entry]:
    for number, line in _numbered(file, what):
        if not line.startswith("#"):
            yield f"line {number:,}", line, None


def _numbered(file: StoredFile, what: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers."""
    text = open_text(file, what)
    number = 0
    while line := text.readline(LONGEST_ENTRY + 1):
        number += 1
        if len(line) > LONGEST_ENTRY:
            raise InputError(f"{what}, line {number:,}: over {LONGEST_ENTRY:,} characters; a list names a file a line")
        line = line.strip()
        if line:
            yield number, line


def _ranges(file: StoredFile, what: str) -> Iterator[_Entry]:
    if without_query(what).lower().endswith(".parquet"):
        yield from _of_parquet(file, what)
        return
    lines = _numbered(file, what)
    first = next(lines, None)
    if first is None:
        return
    if "{" in first[1]:
        yield from _of_json(first, lines, what)
    else:
        yield from _of_csv(first, lines, what)


def _of_parquet(file: StoredFile, what: str) -> Iterator[_Entry]:
    table = pq.ParquetFile(pa.PythonFile(file.raw, mode="r"))
    names = _named(table.schema_arrow.names, what)
    row = 0
    for batch in table.iter_batches(columns=names):
        for values in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
            yield f"row {row:,}", *_range(values, f"{what}, row {row:,}")
            row += 1


def _of_json(first: tuple[int, str], lines: Iterator[tuple[int, str]], what: str) -> Iterator[_Entry]:
    """JSON lines, also behind the key and the time of a CDXJ index."""
    names: list[str] = []
    for number, line in chain([first], lines):
        place = f"{what}, line {number:,}"
        try:
            value = orjson.loads(line[max(0, line.find("{")) :])
        except orjson.JSONDecodeError:
            raise InputError(f"{place}: no JSON; expected {_EXPECTED}") from None
        if not isinstance(value, dict):
            raise InputError(f"{place}: no object; expected {_EXPECTED}")
        names = names or _named(list(value), what)
        yield f"line {number:,}", *_range([value.get(name) for name in names], place)


def _of_csv(first: tuple[int, str], lines: Iterator[tuple[int, str]], what: str) -> Iterator[_Entry]:
    separator = "\t" if "\t" in first[1] else ","
    header = [name.strip() for name in next(csv.reader([first[1]], delimiter=separator))]
    places = [header.index(name) for name in _named(header, what)]
    for number, line in lines:
        place = f"{what}, line {number:,}"
        row = next(csv.reader(io.StringIO(line), delimiter=separator), [])
        if len(row) < len(header):
            raise InputError(f"{place}: {len(row)} values, the first line names {len(header)}")
        yield f"line {number:,}", *_range([row[at] for at in places], place)


_EXPECTED = "filename, offset and length (or warc_filename, warc_record_offset, warc_record_length)"


def _named(names: list[str], what: str) -> list[str]:
    found = [next((name for name in known if name in names), "") for known in _COLUMNS.values()]
    if not all(found):
        raise InputError(f"{what}: a list of ranges has {_EXPECTED}; this one has {', '.join(names)[:200]}")
    return found


def _range(values: Sequence[Any], place: str) -> tuple[str, tuple[int, int]]:
    path, offset, length = values
    try:
        span = int(offset), int(length)
    except (TypeError, ValueError):
        raise InputError(f"{place}: offset {offset!r:.40} and length {length!r:.40} must be whole numbers") from None
    if span[0] < 0 or not 0 < span[1] <= LONGEST_RECORD_BYTES or span[0] >= 1 << 62:
        raise InputError(f"{place}: no record lies at offset {span[0]:,} with length {span[1]:,}")
    if not isinstance(path, str) or not path.strip():
        raise InputError(f"{place}: names no file")
    return path.strip(), span


def _path(entry: str, wanted: PathList, place: str) -> str:
    """The file that an entry names. A list that comes from afar names none of this machine's."""
    if "\0" in entry or entry.startswith("<") or any(ord(letter) < 32 or letter == "\ufffd" for letter in entry):
        raise InputError(f"{place}: {entry[:60]!r} is no path; a list names a file a line")
    entry.encode()
    try:
        if is_url(entry):
            return check_address(entry)
        if is_url(wanted.base):
            entry = entry.lstrip("/")
            if ".." in entry.split("/"):
                raise InputError(f"{place}: {entry[:200]} leads out of {wanted.base}")
            return check_address(join(wanted.base, entry))
        if is_url(wanted.address):
            raise InputError(
                f"{place}: a list that comes from afar names no files of this machine; give `base` the address below "
                "which they lie, or download the list"
            )
    except AddressError as error:
        raise InputError(f"{place}: {error}") from None
    return join(wanted.base, entry)
