"""Records of a CSV file one by one, in bounded memory, with a new start behind what is malformed.

A record with a fault in its quotes (text behind a closing quote, a quote that nobody closes) may have run over others:
the next one begins on the first of its lines from which one with the right number of fields can be read, or behind the
line of the fault. All before is one unreadable record. What is found depends on the bytes from that record on, and on
nothing before it or on how they come in pieces.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
        offset: of the first chunk in the text; a record begins there.
    """

    def __init__(self, chunks: Iterator[Chunk], delimiter: bytes, quote: bytes, most: int, offset: int = 0) -> None:
        self._chunks = chunks
        self._delimiter, self.quote, self.most = ord(delimiter), ord(quote) if quote else -1, most
        self.data = bytearray()
        self.offset = offset  # of the buffer's first byte in the text
        self._ended = False
        self.columns = 0
        self.fault: FileFaultError | None = None
        """Why the text ended early, once it has ended."""

    def header(self) -> bytes:
        """The first record as it stands; empty where there is none.

        Raises:
            FileFaultError: it is malformed or too long.
        """
        self._fill(len(BYTE_ORDER_MARK))
        if self.data.startswith(BYTE_ORDER_MARK):
            self._drop(len(BYTE_ORDER_MARK))
        scan = Scan(self._delimiter, self.quote, np.empty(0, np.int64))
        while True:
            found = scan.over(self.data, len(self.data))
            if found.fault:
                raise FileFaultError(f"{BEHIND_QUOTE}, in the header", 0)
            if len(found.records):
                break
            if self._ended:
                if self.fault is not None:
                    raise self.fault
                if scan.in_quotes:
                    raise FileFaultError(f"{NOT_CLOSED}, in the header", 0)
                head = bytes(self.data[scan.record :])
                self._drop(len(self.data))
                return head
            if len(self.data) - scan.record > MOST_HEADER_BYTES:
                raise FileFaultError(f"malformed CSV: a header of over {MOST_HEADER_BYTES:,} bytes", 0)
            self._fill(len(self.data) + 1)
        start, end, self.columns = found.records[0].tolist()
        head = bytes(self.data[start:end])
        self._drop(found.at)
        return head

    def blocks(self, columns: int, wanted: Sequence[int]) -> Iterator["Block | Row"]:
        """The records behind the header, many at once; by itself one that cannot be told from those behind it.

        Args:
            columns: that the header has.
            wanted: numbers of the columns to be given.
        """
        slots = np.full(columns, -1, np.int64)
        slots[list(wanted)] = np.arange(len(wanted))
        self.columns = columns
        scan = Scan(self._delimiter, self.quote, slots, most=RECORDS_A_CALL)
        if self.data[:1] == b"\n":  # the header ended with CR and LF
            scan.begin_at(1)
        while True:
            stop = self._stop(scan)
            found = scan.over(self.data, stop)
            if len(found.records):
                yield Block(self, found.records, found.fields[:, : len(wanted)])
            if found.fault:
                yield self._behind_fault(scan, BEHIND_QUOTE)
            elif scan.at == stop < len(self.data):
                if lost := self._make_room(scan):
                    yield lost
            elif scan.at == len(self.data):
                if not self._ended:
                    lost = self._make_room(scan)
                    if lost is None:
                        self._fill(len(self.data) + 1)
                    else:
                        yield lost
                elif scan.between:
                    return
                elif self.fault is not None:
                    reason = f"cut off: the file ends within the record ({self.fault.reason.split(':')[0]})"
                    yield self.bad(scan.record, scan.at, reason)
                    return
                elif scan.in_quotes:
                    yield self._behind_fault(scan, NOT_CLOSED)
                else:
                    self.data += b"\n"  # the last line has no end of its own

    def bad(self, start: int, end: int, reason: str) -> "Row":
        """What cannot be read, by its place in the buffer."""
        return Row(None, self.offset + start, end - start, reason)

    def _stop(self, scan: Scan) -> int:
        """How far to scan: no further than where the record that has not ended becomes too long, so that this is seen
        at the same byte however the text comes in pieces."""
        if scan.record < 0 or scan.at - scan.record > self.most:
            return len(self.data)
        return min(len(self.data), scan.record + self.most + 1)

    def _make_room(self, scan: Scan) -> Row | None:
        """Let go of all before the record that has not ended, and of that record where it is too long.

        Returns:
            Such a record where it is rather a quote that nobody closed: the scan goes on behind it.
        """
        too_long = scan.at - scan.record > self.most
        if too_long and scan.in_quotes and scan.record >= 0:
            self._fill(scan.at + LOOKED_AT)
            begin = self._next_good(scan.record, scan.at)
            if begin >= 0:
                return self._given_up(scan, begin, NOT_CLOSED)
        keep = scan.at if too_long else max(0, scan.record)
        self._drop(keep)
        scan.cut(keep)
        return None

    def _drop(self, size: int) -> None:
        del self.data[:size]
        self.offset += size

    def _fill(self, size: int) -> None:
        """Read on until the buffer has ``size`` bytes, or the text has ended."""
        while len(self.data) < size and not self._ended:
            try:
                chunk = next(self._chunks, None)
            except FileFaultError as error:
                self.fault, chunk = error, None
            self._ended = chunk is None
            if chunk is not None:
                self.data += chunk.data

    def _behind_fault(self, scan: Scan, reason: str) -> Row:
        """The record with a fault at ``scan.at``; the scan goes on behind it."""
        self._fill(scan.at + LOOKED_AT)
        begin = self._next_good(scan.record, scan.at) if scan.record >= 0 else -1
        return self._given_up(scan, begin, reason)

    def _given_up(self, scan: Scan, begin: int, reason: str) -> Row:
        """What is not read before ``begin``; -1 is the next line."""
        start, at = self.offset + scan.record, scan.at
        while begin < 0:
            begin = self.data.find(b"\n", at) + 1 or -1
            if begin < 0 and self._ended:
                begin = len(self.data)
            elif begin < 0:
                self._drop(len(self.data))
                at = 0
                self._fill(1)
        scan.begin_at(begin)
        return Row(None, start, self.offset + begin - start, reason)

    def _next_good(self, start: int, fault: int) -> int:
        """The first line behind ``start``, up to ``fault``, from which a record can be read; -1 for none."""
        left = LOOKED_AT
        nothing = np.empty(0, np.int64)
        begin = self.data.find(b"\n", start, fault) + 1
        while begin and left > 0:
            trial = Scan(self._delimiter, self.quote, nothing, begin)
            stop = min(len(self.data), begin + left)
            found = trial.over(self.data, stop)
            number = int(found.records[0, 2]) if len(found.records) else 0
            at_end = self._ended and self.fault is None and stop == len(self.data)
            if not number and at_end and not found.fault and not trial.in_quotes:
                number = trial.fields_so_far
            if number == self.columns and not found.fault:
                return begin
            left -= found.at - begin + 1
            begin = self.data.find(b"\n", begin, fault) + 1
        return -1


class Block:
    """Consecutive records, until the next ones are asked for."""

    def __init__(self, table: CsvRecords, records: NDArray[np.int64], fields: NDArray[np.int64]) -> None:
        self._table = table
        self.records = records
        """int64[N, 3]: start, end, number of fields."""
        self.fields = fields
        """int64[N, W, 2]: start and end of wanted values in ``data``."""

    @property
    def data(self) -> bytearray:
        """The text that holds them."""
        return self._table.data

    @property
    def readable(self) -> NDArray[np.bool_]:
        """bool[N]: of the right number of fields, and not too large."""
        start, end, number = self.records.T
        return np.asarray((number == self._table.columns) & (end - start <= self._table.most))

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64[N]: where they begin in the text."""
        return self.records[:, 0] + self._table.offset

    def cut(self, number: int) -> "Block":
        """The first of them."""
        return Block(self._table, self.records[:number], self.fields[:number])

    def row(self, number: int) -> Row:
        """One of them."""
        start, end, found = self.records[number].tolist()
        table, data = self._table, self._table.data
        if end - start > table.most:
            reason = f"too large: a record of {end - start:,} bytes; max_document_mb is less"
            return table.bad(start, end, reason)
        if found != table.columns:
            return table.bad(start, end, f"wrong number of fields: {found:,}, the header has {table.columns:,}")
        quote = table.quote
        values: list[bytes | bytearray] = []
        for begin, stop in self.fields[number].tolist():
            if begin < stop and data[begin] == quote:
                value, mark = data[begin + 1 : stop - 1], bytes([quote])
                values.append(value.replace(mark * 2, mark))
            else:
                values.append(data[begin:stop])
        return Row(values, table.offset + start, end - start)


def names_in(header: str, delimiter: str, quote: str) -> list[str]:
    """The names of columns."""
    csv.field_size_limit(max(csv.field_size_limit(), MOST_HEADER_BYTES))  # one for all in this process
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    rows = csv.reader(io.StringIO(header, newline=""), delimiter=delimiter, quotechar=quote or None, quoting=quoting)
    return next(rows, [])
