"""A slice: the stretch of one input file that is read in one go."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

OpenBinary = Callable[[str], BinaryIO]
"""Opens an input for reading, seekable: local files, or an object store behind the same interface."""


@dataclass(frozen=True, kw_only=True)
class FileSlice:
    """A whole file, or a part of one whose reader splits it: a byte range, a range of Parquet's rows."""

    path: str
    """As ``OpenBinary`` takes it; its suffix says how the file is compressed."""
    file: int
    """Stable number of the file, from the catalogue."""
    source: str
    """Name of the source it belongs to."""
    format: str
    """Name of its reader."""
    size: int
    """Bytes of the file when it was catalogued; a file that has become shorter is a fault. 0 where nobody knew."""
    start: int = 0
    """In the unit of the reader's pieces. JSONL: byte of the text, decompressed; records whose first byte lies in
    [start, stop) belong to the slice. Parquet: row."""
    stop: int | None = None
    """End, exclusive, in the unit of ``start``; None is the end of the file."""
    ranges: str = ""
    """Of an archive of which only some records are read: ``offset:length`` of each, with commas between them."""
    listed: bool = False
    """Whether a list names the file, and nobody has looked whether it is there."""
    enter: int = 0
    """Byte of a compressed file as stored from which on ``before`` bytes of its text are missing and the rest follows:
    where a gzip member or zstd frame begins."""
    before: int = 0
    """Decompressed bytes before ``enter``."""
    separator: bytes = b""
    """What stands between records, in the bytes of the file, where the source says so; for a reader's ``pieces``."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the source: those that its reader's ``pieces`` asks for (``Reader.cut_by``), by name."""
    first_row: int = 0
    """Rows of the file that begin before ``start``: the number of the slice's first record."""
