"""Records of a CSV file one by one, in bounded memory, with a new start behind what is malformed.

Behind a record with a fault in its quotes (text behind a closing quote, a quote that nobody closes) the next record is
looked for: the first line from which one with the right number of fields can be read. All before it is one unreadable
record. What is found depends on the bytes from that record on, and on nothing before it or on how they come in pieces.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from winnow.sources.readers.csv_scan import RECORDS_A_CALL, Scan
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import FileFaultError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_HEADER_BYTES = 64 << 20
LOOKED_AT = 1 << 20
"""Bytes that are read again, in all, to find the next record behind a fault."""
BEHIND_QUOTE = "malformed CSV: something stands behind a closing quote"
NOT_CLOSED = "malformed CSV: a quote is not closed"


class Row(NamedTuple):
    """A record."""

    values: list[bytes | bytearray] | None
    """Of the wanted columns, in their order, without quotes; None where the record cannot be read."""
    start: int
    """Its offset in the text."""
    size: int
    reason: str = ""
    """Why it cannot be read."""


class CsvRecords:
    """The records of a text.

    Args:
        chunks: the text; may end with FileFaultError.
        delimiter: between fields, one byte.
        quote: around fields, one byte or none.
        most: bytes of a record; a longer one is only counted.
    """

    def __init__(self, chunks: Iterator[Chunk], delimiter: bytes, quote: bytes, most: int) -> None:
        self._chunks = chunks
        self._delimiter, self._quote, self._most = ord(delimiter), ord(quote) if quote else -1, most
        self._data = bytearray()
        self._offset = 0  # of the buffer's first byte in the text
        self._ended = False
        self._columns = 0
        self.fault: FileFaultError | None = None
        """Why the text ended early, once it has ended."""

    def header(self) -> bytes:
        """The first record as it stands; empty where there is none.

        Raises:
            FileFaultError: it is malformed or too long.
        """
        self._fill(len(BYTE_ORDER_MARK))
        if self._data.startswith(BYTE_ORDER_MARK):
            self._drop(len(BYTE_ORDER_MARK))
        scan = Scan(self._delimiter, self._quote, np.empty(0, np.int64))
        while True:
            found = scan.over(self._data, len(self._data))
            if found.fault:
                raise FileFaultError(f"{BEHIND_QUOTE}, in the header", 0)
            if len(found.records):
                break
            if self._ended:
                if self.fault is not None:
                    raise self.fault
                if scan.in_quotes:
                    raise FileFaultError(f"{NOT_CLOSED}, in the header", 0)
                head = bytes(self._data[scan.record :])
                self._drop(len(self._data))
                return head
            if len(self._data) - scan.record > MOST_HEADER_BYTES:
                raise FileFaultError(f"malformed CSV: a header of over {MOST_HEADER_BYTES:,} bytes", 0)
            self._fill(len(self._data) + 1)
        start, end, self._columns = found.records[0].tolist()
        head = bytes(self._data[start:end])
        self._drop(found.at)
        return head

    def rows(self, columns: int, wanted: Sequence[int]) -> Iterator[Row]:
        """The records behind the header.

        Args:
            columns: that the header has.
            wanted: numbers of the columns to be given.
        """
        slots = np.full(columns, -1, np.int64)
        slots[list(wanted)] = np.arange(len(wanted))
        self._columns = columns
        scan = Scan(self._delimiter, self._quote, slots, most=RECORDS_A_CALL)
        if self._data[:1] == b"\n":  # the header ended with CR and LF
            scan.begin_at(1)
        while True:
            found = scan.over(self._data, len(self._data))
            yield from self._rows_of(found.records.tolist(), found.fields.tolist(), len(wanted))
            if found.fault:
                yield self._behind_fault(scan, BEHIND_QUOTE)
            elif scan.at == len(self._data):
                if not self._ended:
                    lost = self._make_room(scan)
                    if lost is None:
                        self._fill(len(self._data) + 1)
                    else:
                        yield lost
                elif scan.between:
                    return
                elif self.fault is not None:
                    yield self._bad(scan.record, scan.at, f"cut off: the file ends within the record ({self._kind()})")
                    return
                elif scan.in_quotes:
                    yield self._behind_fault(scan, NOT_CLOSED)
                else:
                    self._data += b"\n"  # the last line has no end of its own

    def _kind(self) -> str:
        assert self.fault is not None
        return self.fault.reason.split(":")[0]

    def _bad(self, start: int, end: int, reason: str) -> Row:
        return Row(None, self._offset + start, end - start, reason)

    def _rows_of(self, records: list[list[int]], fields: list[list[list[int]]], wanted: int) -> Iterator[Row]:
        data, quote, most, columns = self._data, self._quote, self._most, self._columns
        twice, once = bytes([quote, quote] if quote >= 0 else []), bytes([quote] if quote >= 0 else [])
        for (start, end, number), places in zip(records, fields, strict=True):
            if end - start > most:
                reason = f"too large: a record of {end - start:,} bytes; max_document_mb is less"
                yield self._bad(start, end, reason)
                continue
            if number != columns:
                yield self._bad(start, end, f"wrong number of fields: {number:,}, the header has {columns:,}")
                continue
            values: list[bytes | bytearray] = []
            for slot in range(wanted):
                begin, stop = places[slot]
                if begin < stop and data[begin] == quote:
                    value = data[begin + 1 : stop - 1]
                    values.append(value.replace(twice, once) if quote in value else value)
                else:
                    values.append(data[begin:stop])
            yield Row(values, self._offset + start, end - start)

    def _make_room(self, scan: Scan) -> Row | None:
        """Let go of all before the record that has not ended, and of that record where it is too long.

        Returns:
            Such a record where it is rather a quote that nobody closed: the scan goes on behind it.
        """
        too_long = scan.at - scan.record > self._most
        if too_long and scan.in_quotes and scan.record >= 0:
            begin = self._next_good(scan.record, scan.at)
            if begin >= 0:
                return self._given_up(scan, begin, NOT_CLOSED)
        keep = scan.at if too_long else max(0, scan.record)
        self._drop(keep)
        scan.cut(keep)
        return None

    def _drop(self, size: int) -> None:
        del self._data[:size]
        self._offset += size

    def _fill(self, size: int) -> None:
        """Read on until the buffer has ``size`` bytes, or the text has ended."""
        while len(self._data) < size and not self._ended:
            try:
                chunk = next(self._chunks, None)
            except FileFaultError as error:
                self.fault, chunk = error, None
            self._ended = chunk is None
            if chunk is not None:
                self._data += chunk.data

    def _behind_fault(self, scan: Scan, reason: str) -> Row:
        """The record with a fault at ``scan.at``; the scan goes on behind it."""
        self._fill(scan.at + LOOKED_AT)
        begin = self._next_good(scan.record, scan.at) if scan.record >= 0 else -1
        return self._given_up(scan, begin, reason)

    def _given_up(self, scan: Scan, begin: int, reason: str) -> Row:
        """What is not read before ``begin``; -1 is the next line."""
        start, at = self._offset + scan.record, scan.at
        while begin < 0:
            begin = self._data.find(b"\n", at) + 1 or -1
            if begin < 0 and self._ended:
                begin = len(self._data)
            elif begin < 0:
                self._drop(len(self._data))
                at = 0
                self._fill(1)
        scan.begin_at(begin)
        return Row(None, start, self._offset + begin - start, reason)

    def _next_good(self, start: int, fault: int) -> int:
        """The first line behind ``start``, up to ``fault``, from which a record can be read; -1 for none."""
        left = LOOKED_AT
        nothing = np.empty(0, np.int64)
        begin = self._data.find(b"\n", start, fault) + 1
        while begin and left > 0:
            trial = Scan(self._delimiter, self._quote, nothing, begin)
            stop = min(len(self._data), begin + left)
            found = trial.over(self._data, stop)
            number = int(found.records[0, 2]) if len(found.records) else 0
            at_end = self._ended and self.fault is None and stop == len(self._data)
            if not number and at_end and not found.fault and not trial.in_quotes:
                number = trial.fields_so_far
            if number == self._columns and not found.fault:
                return begin
            left -= found.at - begin + 1
            begin = self._data.find(b"\n", begin, fault) + 1
        return -1


def names_in(header: str, delimiter: str, quote: str) -> list[str]:
    """The names of columns."""
    csv.field_size_limit(MOST_HEADER_BYTES)
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    rows = csv.reader(
        io.StringIO(header, newline=""), delimiter=delimiter, quotechar=quote or None, quoting=quoting
    )
    return next(rows, [])
