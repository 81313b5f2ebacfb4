"""Archives in parts: where a file can be cut so that its parts have the records and rows of the whole, and lists of
records that are read alone.

A cut lies before a record that begins a member (of a file that is not compressed: before any record), whose predecessor
is whole: nothing that reading has seen before it decides what comes after it. A part is read on beyond its end as far
as its last record asks to, as the whole file is.
"""

import io
from collections.abc import Iterator
from itertools import islice, pairwise

from winnow.sources.slices import FileSlice
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.web.framing import MOST_HELD_BYTES, ArchiveRecord, Broken, records
from winnow.sources.web.members import RECORD_START, dictionary_bytes, pieces_of

CUT_BYTES = 8 << 20
"""Of text in a piece, at least; pieces are joined to units again."""
GAP_BYTES = 64 << 10
"""Stored bytes between two records of a list that are read along, for one request less."""
READ_BYTES = 8 << 20
"""Of neighbouring records that are read at once, about."""

Cut = tuple[int, int, int, int]
"""First stored byte, end, rows, bytes of text."""


def cuts(file: StoredFile, compression: str) -> list[Cut]:
    """Stretches of an archive that can be read by themselves, end to end.

    Raises:
        FileFaultError: the file cannot be read.
    """
    marks = [(0, 0, 0)]  # stored byte, rows and bytes of text before it
    rows = text = 0
    whole = False
    for record in records(pieces_of(file, compression), compressed=bool(compression)):
        if isinstance(record, ArchiveRecord):
            if whole and record.apart and text - marks[-1][2] >= CUT_BYTES:
                marks.append((record.position, rows, text))
            text += len(record.body)
        else:
            text += record.bytes
        whole = isinstance(record, ArchiveRecord)
        rows += 1
    marks.append((max(file.size, file.position), rows, text))
    return [
        (start, stop, until - before, bytes_after - bytes_before)
        for (start, before, bytes_before), (stop, until, bytes_after) in pairwise(marks)
    ]


def records_of(part: FileSlice, file: StoredFile) -> Iterator[ArchiveRecord | Broken]:
    """The records of an archive, of a part of one, or of a list of its records.

    Raises:
        FileFaultError: the file is not what its name says, or cannot be read.
    """
    compression = compression_of(part.path)
    if part.ranges:
        yield from _listed(part, file, compression)
        return
    for record in records(pieces_of(file, compression, part.start, part.stop), compressed=bool(compression)):
        if part.stop is not None and record.position >= part.stop:
            return
        yield record


def _listed(part: FileSlice, file: StoredFile, compression: str) -> Iterator[ArchiveRecord | Broken]:
    """One record a range, or what is wrong with it."""
    spans = [(int(first), int(size)) for first, _, size in (span.partition(":") for span in part.ranges.split(","))]
    dictionary = _dictionary(file, compression)
    for group in _neighbours(spans):
        begin = group[0][0]
        if group[0][1] > MOST_HELD_BYTES:  # then it is alone
            yield Broken(f"too large: a record of {group[0][1]:,} stored bytes", begin, group[0][1])
            continue
        held = memoryview(_read(file, begin, max(first + size for first, size in group)))
        for first, size in group:
            yield _one(bytes(held[first - begin : first - begin + size]), first, size, compression, dictionary)


def _neighbours(spans: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Ranges that are read at once."""
    group: list[tuple[int, int]] = []
    end = 0
    for first, size in spans:
        if group and (first - end > GAP_BYTES or max(end, first + size) - group[0][0] > READ_BYTES):
            yield group
            group = []
        group.append((first, size))
        end = max(end, first + size) if len(group) > 1 else first + size
    if group:
        yield group


def _read(file: StoredFile, begin: int, end: int) -> bytes:
    file.seek(begin)
    expect = getattr(file.raw, "expect", None)  # of an object: fetch these bytes, and none behind them
    if expect is not None:
        expect(end)
    found = []
    while begin < end and (data := file.read(end - begin)):
        found.append(data)
        begin += len(data)
    return b"".join(found)


def _one(data: bytes, first: int, size: int, compression: str, dictionary: bytes) -> ArchiveRecord | Broken:
    if len(data) < size:
        return Broken(f"{_ELSEWHERE}: the file ends {size - len(data):,} bytes before the record does", first, size)
    if not (data.startswith(_MAGIC[compression]) if compression else RECORD_START.match(data)):
        return Broken(f"{_ELSEWHERE}: no record begins where the list says", first, size)
    file = StoredFile(io.BytesIO(dictionary + data), len(dictionary) + size)
    pieces = pieces_of(file, compression, len(dictionary))
    found = list(islice(records(pieces, compressed=bool(compression)), 2))
    if len(found) != 1:
        return Broken(f"{_ELSEWHERE}: the list takes {'more' if found else 'less'} than a record for one", first, size)
    return found[0]._replace(position=first)


def _dictionary(file: StoredFile, compression: str) -> bytes:
    """The frame at the front of an archive that holds the dictionary of all others; empty where there is none."""
    if compression != ".zst":
        return b""
    file.seek(0)
    size = dictionary_bytes(file.read(8))
    return _read(file, 0, size + 8) if size else b""


_ELSEWHERE = "not at its place"
_MAGIC = {".lz4": b"\x04\x22\x4d\x18", ".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
