"""What a reader is: all that Winnow knows of an input format.

This is the interface for formats of other packages as well (docs/extending.md): everything a reader needs can be
imported from here.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from winnow.sources.fields import BadRecordError, fields_reader
from winnow.sources.readers.from_records import Noted, Passed, batches_of
from winnow.sources.readers.streams import open_text, read_chunks
from winnow.sources.records import BatchBuilder, FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import COMPRESSIONS, StoredFile, compression_of

__all__ = [
    "BadRecordError",
    "BatchBuilder",
    "FileFaultError",
    "FileSlice",
    "Noted",
    "Passed",
    "Piece",
    "Reader",
    "RecordBatch",
    "SourceConfig",
    "StoredFile",
    "Unreadable",
    "batches_of",
    "compression_of",
    "fields_reader",
    "open_text",
    "read_chunks",
]


class Piece(NamedTuple):
    """A stretch of a file that can be read by itself."""

    start: int
    """In the reader's own unit: bytes, row groups, ..."""
    stop: int
    """Exclusive; the next piece starts here."""
    rows: int
    """Rows of the file that the piece takes, unreadable ones included: the next piece's first row follows."""
    bytes: int
    """How much work it is; pieces are joined to units of about ``compute.unit_mb``."""
    enter: int = 0
    """Of a compressed file: the stored byte at which its reading can begin ..."""
    before: int = 0
    """... and the decompressed bytes before that; ``part.enter`` and ``part.before`` give them back."""


Read = Callable[[FileSlice, SourceConfig, StoredFile, int], Iterator[RecordBatch]]
"""``read(part, source, file, batch_bytes)``: the records of a part of a file, in order, in batches of about
``batch_bytes``; one record may exceed that.

Every record comes out once, as a row of a batch or as an ``Unreadable`` with its row; rows ascend, and do not depend on
``batch_bytes`` or on how the file is cut. What cannot be read of the rest of the file is a ``FileFaultError``, raised
after everything before it has been yielded.
"""

Pieces = Callable[[FileSlice, StoredFile], list[Piece]]
"""``pieces(part, file)``: where a part of a file can be cut; the pieces lie end to end and cover the part.

Raises ``FileFaultError`` or ``OSError`` where that cannot be told: the file is then read whole.
"""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One input format."""

    name: str
    """As in ``sources[].format``: lower-case letters, digits and ``_``."""
    suffixes: tuple[str, ...]
    """Of its files, with the dot, in lower case; no other format has them."""
    numbered: str = ""
    """A pattern of what may stand right behind a suffix, such as the number of a part."""
    read: Read
    has_fields: bool = True
    """Whether records have fields that a source can name. A format without them takes every file that is said to be
    of it; the others only files with their suffix, and those that ``path`` names."""
    may_be_compressed: bool = True
    """Whether .gz .zst .bz2 .xz .lz4 may stand behind the suffix. The reader decompresses (``open_text``,
    ``read_chunks``)."""
    packages: tuple[str, ...] = ()
    """Distributions whose version may change what is read."""
    pieces: Pieces | None = None
    """How a large file that is not compressed is split among workers; None reads every file from front to back."""
    by_bytes: bool = False
    """Pieces are byte ranges: ``pieces`` is asked for each range of a unit's size by itself, and answers with one."""
    by_separator: bool = False
    """Only files of a source with a ``separator`` are split (``part.separator``). ``pieces`` is asked for the whole
    file, once: where a separator ends can depend on all that is before it."""
    split_compressions: tuple[str, ...] = ()
    """Compressions (``.gz`` ...) of files that ``pieces`` cuts, too: it is asked for the whole file, once, and start
    and stop count decompressed bytes. A part decompresses what is before it, from ``enter`` on."""
    cut_by: tuple[str, ...] = ()
    """Settings of a source that ``pieces`` depends on: it finds them in ``part.settings``."""
    counted_whole: bool = False
    """``pieces`` reads the whole file: files are cut only where they are a large share of all text."""
    cut_from_afar: bool = False
    """Whether large files of web servers and of lists are cut, too: ``pieces`` fetches all of a file, which must cost
    little beside what is done with its text."""
    takes_ranges: bool = False
    """Whether the reader reads ``FileSlice.ranges`` alone, where there are some; a row is a range."""
    text_a_byte: float = 1.0
    """About how much text a stored byte holds, where the format compresses by itself; only plans rely on it."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: a name or suffix is not usable.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name == "auto":
            raise ValueError(f"name of a reader ({self.name!r}) must be lower-case letters, digits and _, and not auto")
        for suffix in self.suffixes:
            if not re.fullmatch(r"\.[^A-Z./]+", suffix) or suffix in COMPRESSIONS:
                raise ValueError(
                    f"suffix {suffix!r} of reader {self.name} must be one dot and a lower-case ending, and not that of "
                    f"a compression ({' '.join(COMPRESSIONS)})"
                )
        if self.by_bytes and self.pieces is None:
            raise ValueError(f"reader {self.name} says by_bytes, but has no function `pieces`")
