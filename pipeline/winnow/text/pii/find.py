"""Where personal data stands in texts: one pass over the bytes, linear however hostile they are.

Bytes that something can be known by (``@``, a ``:``, the first digit of a run, ...) are looked for; around each of them
the kinds that are on are tried. Of all that is found the leftmost counts, of those that begin alike the longest, of
those alike the first in the order of kinds; what lies over it does not.

Legend: N documents, F finds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import kernel
from winnow.text.edits import apart
from winnow.text.pii.addresses import LONGEST_LOCAL, email_at, ipv4_at, ipv6_at
from winnow.text.pii.bytes import CLASS, DIGIT
from winnow.text.pii.kinds import NAMES
from winnow.text.pii.numbers import card_at, iban_at, phone_at, ssn_at
from winnow.text.pii.secrets import ANCHORS, secret_at

_SECRET, _EMAIL, _IPV6, _IPV4, _CARD, _IBAN, _SSN, _PHONE = (
    NAMES.index(name) for name in ("secret", "email", "ipv6", "ipv4", "card", "iban", "ssn", "phone")
)
_TRIGGERS = {
    "secret": ANCHORS,
    "email": b"@",
    "ipv6": b":",
    **dict.fromkeys(("ipv4", "card", "iban", "ssn"), b"0123456789"),
    "phone": b"0123456789+(",
}
_ROOM = 1 << 16
"""Finds that one call of the kernel returns; which of them count is settled call by call, so that what a hostile text
takes is what it holds, and little more."""
_REACH = LONGEST_LOCAL
"""Bytes before what it is known by that a find begins at most: what comes before an ``@``."""


class Spans(NamedTuple):
    """F stretches of N documents, by document and start, none over another."""

    row: NDArray[np.int64]
    """int64[F], the document's row."""
    start: NDArray[np.int64]
    """int64[F], bytes from the document's beginning."""
    end: NDArray[np.int64]
    """int64[F]."""
    kind: NDArray[np.uint8]
    """uint8[F] into ``NAMES``."""

    def with_(self, others: "Spans") -> "Spans":
        """These, and others behind them."""
        return Spans(
            np.concatenate([self.row, others.row]),
            np.concatenate([self.start, others.start]),
            np.concatenate([self.end, others.end]),
            np.concatenate([self.kind, others.kind]),
        )

    def take(self, rows: slice | NDArray[np.int64]) -> "Spans":
        """Those at rows."""
        return Spans(self.row[rows], self.start[rows], self.end[rows], self.kind[rows])


def find_personal_data(texts: pa.Array, kinds: Sequence[str]) -> Spans:
    """All of these kinds (of ``NAMES``) in texts large_string[N]."""
    data, offsets = string_buffers(texts)
    on = np.array([name in kinds for name in NAMES])
    trigger = np.zeros(256, np.bool_)
    for kind in kinds:
        trigger[list(_TRIGGERS[kind])] = True
    rows, starts, ends = np.empty((3, _ROOM), np.int64)
    kind_of = np.empty(_ROOM, np.uint8)
    nothing = np.empty(0, np.int64)
    settled = waiting = Spans(nothing, nothing, nothing, np.empty(0, np.uint8))
    filled = 0
    row, at, taken = 0, int(offsets[0]), 0
    while row < len(texts):
        number, row, at, taken = _scan(data, offsets, row, at, taken, on, trigger, rows, starts, ends, kind_of)
        new = Spans(rows, starts, ends, kind_of).take(slice(0, number))
        horizon = max(at - _REACH, int(offsets[row])) if row < len(texts) else int(offsets[-1])
        chosen, waiting = _settle(waiting.with_(new), horizon)
        settled = _put(settled, filled, chosen, offsets)
        filled += len(chosen.row)
    settled = _put(settled, filled, waiting, offsets)
    return settled.take(slice(0, filled + len(waiting.row)))


def _settle(spans: Spans, horizon: int) -> tuple[Spans, Spans]:
    """Those that count for good, and those that wait for more: all further ones begin at the horizon or behind it.

    Places are those of the whole array. The last that counts waits, too: what comes may lie over it.
    """
    order = np.lexsort((spans.kind, -spans.end, spans.start))
    spans = spans.take(order)
    here = np.searchsorted(spans.start, horizon)
    chosen = np.flatnonzero(apart(spans.row[:here], spans.start[:here], spans.end[:here]))
    waiting = np.concatenate([chosen[-1:], np.arange(here, len(order))])
    return spans.take(chosen[:-1]), spans.take(waiting)


def _put(spans: Spans, at: int, more: Spans, offsets: NDArray[np.int64]) -> Spans:
    """Spans with more of them from ``at`` on, their places counted within their documents.

    There is room for a quarter more than needed, and it grows in place: pieces put together in the end would lie twice.
    """
    begin, end = offsets[more.row], at + len(more.row)
    if end > len(spans.row):
        spans = Spans(spans.row.copy(), spans.start.copy(), spans.end.copy(), spans.kind.copy()) if at == 0 else spans
        for column in (spans.row, spans.start, spans.end, spans.kind):
            column.resize(end + end // 4, refcheck=False)
    spans.row[at:end], spans.kind[at:end] = more.row, more.kind
    spans.start[at:end], spans.end[at:end] = more.start - begin, more.end - begin
    return spans


@kernel
def _scan(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    row: int,
    at: int,
    taken: int,
    on: NDArray[np.bool_],
    trigger: NDArray[np.bool_],
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    kinds: NDArray[np.uint8],
) -> tuple[int, int, int, int]:
    """Fill in finds from ``at`` in document ``row`` on, e-mail addresses from ``taken`` on.

    Returns:
        How many, and where to go on (row N: at the end).
    """
    number = 0
    while row < len(offsets) - 1:
        begin, stop = offsets[row], offsets[row + 1]
        while at < stop:
            while at < stop and not trigger[data[at]]:
                at += 1
            if at == stop:
                break
            if number + len(on) > len(rows):
                return number, row, at, taken
            byte = data[at]
            first = not (CLASS[byte] & DIGIT) or at == begin or not (CLASS[data[at - 1]] & DIGIT)
            for kind in range(len(on)):
                if not on[kind] or not first:
                    continue
                start, end = 0, 0
                if kind == _EMAIL:
                    if byte == 0x40:
                        start, end = email_at(data, begin, stop, at, taken)
                        taken = max(taken, end)
                elif kind == _IPV6:
                    if byte == 0x3A:
                        start, end = ipv6_at(data, begin, stop, at)
                elif kind == _SECRET:
                    if byte >= 0x41 or byte == 0x2D:
                        start, end = secret_at(data, begin, stop, at)
                elif kind == _PHONE:
                    if CLASS[byte] & DIGIT or byte in (0x2B, 0x28):
                        start, end = phone_at(data, begin, stop, at)
                elif CLASS[byte] & DIGIT:
                    if kind == _IPV4:
                        start, end = ipv4_at(data, begin, stop, at)
                    elif kind == _CARD:
                        start, end = card_at(data, begin, stop, at)
                    elif kind == _IBAN:
                        start, end = iban_at(data, begin, stop, at)
                    elif kind == _SSN:
                        start, end = ssn_at(data, begin, stop, at)
                if end > start:
                    rows[number], starts[number], ends[number], kinds[number] = row, start, end, kind
                    number += 1
            at += 1
        row += 1
    return number, row, at, taken
