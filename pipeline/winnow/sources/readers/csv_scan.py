"""Where records and fields of CSV begin and end (RFC 4180), as one pass over the bytes that can stop anywhere.

A quote opens a field only as its first byte, as everywhere; elsewhere in a bare field it is a character. Behind a
closing quote only a delimiter or a line end may stand. Lines end with LF, CRLF or CR; blank ones are no records.

Legend: R records of a call, C columns of the file, W columns that are wanted.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.jit import kernel

BEGIN, BARE, QUOTED, CLOSED, AFTER_CR = range(5)
"""States: at the begin of a field, in one without quotes, in quotes, behind a quote in quotes, behind CR."""
RECORDS_A_CALL = 4096
_STATE, _COLUMN, _FIELD, _RECORD = range(4)


@kernel
def _scan(data, at, stop, state, delimiter, quote, slots, records, fields):  # type: ignore[no-untyped-def]
    """Records that end before ``stop``: where it came to, how many, and whether a byte stands behind a closing quote.

    ``records``: int64[R, 3] start, end, fields; ``fields``: int64[R, W, 2] start, end, written for wanted columns.
    """
    now, column, field, record = state[0], state[1], state[2], state[3]
    number = 0
    fault = False
    while at < stop and number < len(records):
        byte = data[at]
        if now == 4:
            now = 0
            if byte == 10:
                at += 1
                field = record = at
                continue
        if now == 2:
            while at < stop and data[at] != quote:
                at += 1
            if at < stop:
                now = 3
                at += 1
            continue
        if now == 0 and byte == quote:
            now = 2
            at += 1
            continue
        if now == 3:
            if byte == quote:
                now = 2
                at += 1
                continue
            if byte not in (delimiter, 10, 13):
                fault = True
                break
        else:
            now = 1
            while at < stop and data[at] != delimiter and data[at] != 10 and data[at] != 13:
                at += 1
            if at >= stop:
                break
            byte = data[at]
        if column < len(slots) and slots[column] >= 0:
            fields[number, slots[column], 0] = field
            fields[number, slots[column], 1] = at
        if byte == delimiter:
            column += 1
            now = 0
            at += 1
            field = at
            continue
        if column > 0 or at > record:  # else a blank line
            records[number, 0] = record
            records[number, 1] = at
            records[number, 2] = column + 1
            number += 1
        now = 4 if byte == 13 else 0
        column = 0
        at += 1
        field = record = at
    state[0], state[1], state[2], state[3] = now, column, field, record
    return at, number, fault


class Scanned(NamedTuple):
    """What a call found."""

    at: int
    """The next byte to look at; where there is a fault, the byte that is wrong."""
    records: NDArray[np.int64]
    """int64[R, 3]: start, end, number of fields."""
    fields: NDArray[np.int64]
    """int64[R, W, 2]: start and end of wanted columns, quotes included; of columns that a record lacks, rubbish."""
    fault: bool
    """Whether something stands behind a closing quote."""


class Scan:
    """A place in a file of CSV. Offsets are those of a buffer, from which bytes may be cut off at the front.

    Args:
        delimiter: the byte between fields.
        quote: the byte around fields; -1 for none.
        slots: int64[C]: the place of each column among the wanted ones, or -1.
    """

    def __init__(self, delimiter: int, quote: int, slots: NDArray[np.int64], at: int = 0, most: int = 1) -> None:
        self._delimiter, self._quote, self._slots = delimiter, quote, slots
        self._state = np.array([BEGIN, 0, at, at], np.int64)
        self._records = np.zeros((most, 3), np.int64)
        self._fields = np.zeros((most, int(slots.max(initial=-1)) + 1, 2), np.int64)
        self._begun = 0  # where the fields stand that were found of the record that has not ended
        self.at = at

    def over(self, data: bytearray, stop: int) -> Scanned:
        """Go on to ``stop``, to a fault, or until as many records are found as a call gives."""
        self._fields[0] = self._fields[self._begun]
        given = np.frombuffer(data, np.uint8, stop)
        found: Any = _scan(
            given, self.at, stop, self._state, self._delimiter, self._quote, self._slots, self._records, self._fields
        )
        self.at, number, fault = found
        self._begun = min(number, len(self._fields) - 1)  # after as many as a call gives nothing is begun
        return Scanned(self.at, self._records[:number], self._fields[:number], bool(fault))

    @property
    def record(self) -> int:
        """Where the record begins that has not ended."""
        return int(self._state[_RECORD])

    @property
    def in_quotes(self) -> bool:
        """Whether a quote is open."""
        return bool(self._state[_STATE] == QUOTED)

    @property
    def fields_so_far(self) -> int:
        """Of the record that has not ended."""
        return int(self._state[_COLUMN]) + 1

    @property
    def between(self) -> bool:
        """Whether nothing of a record has come yet."""
        return bool(self._state[_RECORD] == self.at or self._state[_STATE] == AFTER_CR)

    def cut(self, size: int) -> None:
        """So many bytes have gone from the front of the buffer."""
        self._state[_FIELD:] -= size
        self._fields[self._begun] -= size
        self.at -= size

    def begin_at(self, at: int) -> None:
        """Go on at the begin of a record."""
        self._state[:] = BEGIN, 0, at, at
        self.at = at
