"""JSON lines that are plain, read in one pass over their bytes, without an object of Python's a record.

A line is plain if it is an object whose text is a string and whose other wanted fields are strings, nulls or integers
of at most 18 digits, each named once by a key without escapes. Whatever else is in it must be JSON by the letter. Any
other line, of which some are faulty, is left to the general reader: it decides, and says why. What comes out of a plain
line is what comes out of it there (tests/sources/test_plain_json.py).

Legend: B bytes of a chunk, L lines, F wanted fields (the text first), G plain lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.sources.readers.json_scan import ESCAPES, HEX_DIGITS, gather, line_bounds, read_lines
from winnow.sources.readers.split import Lines
from winnow.sources.records import BatchBuilder, Columns
from winnow.sources.source import SourceConfig

LEAST_BYTES = 64 << 10
"""A smaller chunk is not worth a kernel that may have to be compiled."""
_BLOCK = 64
_MOST_OTHERS = 1 / 16
"""Share of lines that are not plain in a chunk that is worth while."""
_MOST_IN_VAIN = 4
"""Chunks one after the other that were not."""
SLOW, PLAIN, EMPTY = range(3)
"""What a line is: for the general reader, read here, or nothing."""


@dataclass(frozen=True)
class PlainRecords:
    """What the plain lines of a chunk hold."""

    others: NDArray[np.int64]
    """Lines that are for the general reader, rising."""
    columns: Columns
    """Of the G plain lines; their rows are their numbers among the lines."""
    ends: NDArray[np.int64]
    """int64[G], bytes of plain lines up to the end of each."""

    def steps(self) -> Iterator[int | range]:
        """All lines in their order: the number of one that is for the general reader, or some of the plain ones."""
        begun = 0
        for line in self.others.tolist():
            until = int(np.searchsorted(self.columns.rows, line))
            if begun < until:
                yield range(begun, until)
            begun = until
            yield line
        if begun < len(self.ends):
            yield range(begun, len(self.ends))

    def add_to(self, batch: BatchBuilder, some: range, first_row: int, batch_bytes: int) -> range:
        """Add some of the plain lines, as many as make the batch full; returns the others."""
        before = int(self.ends[some.start - 1]) if some.start else 0
        full = int(np.searchsorted(self.ends, before + batch_bytes - batch.size)) + 1
        taken = range(some.start, min(some.stop, full))
        records = self.columns.slice(taken)
        batch.extend(replace(records, rows=records.rows + first_row), int(self.ends[taken.stop - 1]) - before)
        return range(taken.stop, some.stop)


class PlainLines:
    """Finds the plain lines of chunks of one source; of sources whose fields need more than a look it finds none."""

    def __init__(self, source: SourceConfig, *, longest: int) -> None:
        """``longest`` bytes a line may have; longer ones are left to the general reader, as all are to one who wants
        no more at once than a kernel is worth."""
        named = [*source.texts, *([] if source.id is None else [source.id]), *source.keep]
        self._has_id = source.id is not None
        self._kept = len(source.keep)
        self._longest = longest
        self._possible = (
            len(source.texts) == 1
            and not source.structure_fields
            and source.label is None
            and len(set(named)) == len(named) < 32
            and longest > LEAST_BYTES
            and not any("." in name for name in named)
        )
        self._in_vain = 0
        encoded = [name.encode() for name in named]
        self._names = np.frombuffer(b"".join(encoded), np.uint8)
        self._name_starts = np.cumsum([0, *map(len, encoded)])

    def split(self, data: bytes) -> "Lines | list[bytes]":
        """The lines of a chunk, not made before somebody asks for one, where they can be read here."""
        if not self._possible or self._in_vain > _MOST_IN_VAIN or len(data) < LEAST_BYTES:
            return data.split(b"\n")
        return self.cut(data)

    @staticmethod
    def cut(data: bytes) -> Lines:
        """The lines of a chunk of any size."""
        bounds = line_bounds(np.frombuffer(data, np.uint8))
        return Lines(data, bounds[:-1], bounds[1:] - 1)

    def read(self, lines: Lines) -> PlainRecords | None:
        """The plain lines; None where all are for the general reader, as those of a chunk that is not UTF-8."""
        if not len(lines) or not _is_utf8(lines.data, int(lines.begins[0]), int(lines.ends[-1])):
            return None
        data = np.frombuffer(lines.data, np.uint8)
        fields = len(self._name_starts) - 1
        texts, others_text = np.empty((2, len(data) + _BLOCK), np.uint8)
        sizes, places = np.zeros(len(lines), np.int64), np.empty((len(lines), fields, 2), np.int64)
        kinds = np.zeros(len(lines), np.uint8)
        kinds[list(lines.replaced)] = EMPTY + 1  # not looked at
        used = read_lines(
            data, lines.begins, lines.ends, self._names, self._name_starts, self._longest, ESCAPES, HEX_DIGITS,
            texts, others_text, sizes, places, kinds,
        )  # fmt: skip
        kinds[list(lines.replaced)] = SLOW
        plain, others = np.flatnonzero(kinds == PLAIN), np.flatnonzero(kinds == SLOW)
        self._in_vain = self._in_vain + 1 if len(others) > _MOST_OTHERS * len(lines) + 1 else 0
        if self._in_vain:  # by turns it would take longer
            return None
        columns = [_strings(others_text, places[plain, field]) for field in range(1, fields)]
        ids = columns.pop(0) if self._has_id else pa.nulls(len(plain), pa.string())
        ends = np.cumsum(lines.ends[plain] - lines.begins[plain])
        return PlainRecords(others, Columns(plain, ids, texts[:used], sizes[plain], columns), ends)


def _is_utf8(data: bytes, begin: int, end: int) -> bool:
    offsets = pa.py_buffer(np.array([begin, end], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _strings(data: NDArray[np.uint8], places: NDArray[np.int64]) -> pa.Array:
    """string[G] from int64[G, 2]: begin and length in ``data``; a negative length is null."""
    valid = places[:, 1] >= 0
    offsets = np.zeros(len(places) + 1, np.int32)
    np.cumsum(np.where(valid, places[:, 1], 0), out=offsets[1:])
    joined = np.empty(int(offsets[-1]), np.uint8)
    gather(data, places, joined)
    bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.StringArray.from_buffers(len(places), pa.py_buffer(offsets), pa.py_buffer(joined), bits)
