"""A slice: the stretch of one input file that is read in one go."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from winnow.sources.source import Format

OpenBinary = Callable[[str], BinaryIO]
"""Opens an input for reading, seekable: local files, or an object store behind the same interface."""


@dataclass(frozen=True, kw_only=True)
class FileSlice:
    """A whole file, a byte range of an uncompressed JSONL file, or a range of a Parquet file's row groups."""

    path: str
    """As ``OpenBinary`` takes it; its suffix says how the file is compressed."""
    file: int
    """Stable number of the file, from the catalogue."""
    source: str
    """Name of the source it belongs to."""
    format: Format
    size: int
    """Bytes of the file when it was catalogued; a file that has become shorter is a fault."""
    start: int = 0
    """JSONL: first byte; records whose first byte lies in [start, stop) belong to the slice. Parquet: row
    group."""
    stop: int | None = None
    """End, exclusive, in the unit of ``start``; None is the end of the file."""
    first_row: int = 0
    """JSONL: number of line ends before byte ``start``, which is the sum of ``count_lines`` of the ranges
    before. Parquet: number of rows in the row groups before ``start``."""
