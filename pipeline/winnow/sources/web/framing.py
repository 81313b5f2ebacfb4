"""Records of a web archive: WARC 0.17 to 1.1 (ISO 28500), WET, and ARC, also of files that break the rules.

After any fault reading goes on at the next record: the begin of a member, or a line that begins one. Lines may end
with LF alone. A record whose Content-Length does not fit what follows is cut where the next one begins.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from winnow.sources.web.members import RECORD_START, Piece

MOST_HEADER_BYTES = 64 << 10
MOST_HELD_BYTES = 64 << 20
"""Of a record that are held, so that a wrong length can be mended; a longer one is passed over as it says."""
_HEADERS_END = re.compile(rb"\n(?:\r*\n|(?=(?i:WARC)/[01]\.\d+\r?\n))")
_HEADER_LINES = re.compile(rb"\n(?![ \t])")
_USUAL_HEADER_BYTES = 4 << 10
_MORE_BYTES = 256  # behind a body, up to the next record, that make its length wrong and harm nothing
_NEXT = re.compile(rb"\n\r?\n(?=(?i:WARC)/[01]\.\d+\r?\n)")
_ARC_LINE = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,30}:[^\n]{0,4000}) (\S+) (\d{14}) (\S+)(?: [^\n]{0,4000})?")


_MENDED = "a little more follows"


class ArchiveRecord(NamedTuple):
    """One record."""

    kind: str
    """WARC-Type in lower case; ``response`` or ``resource`` of an ARC file."""
    headers: dict[str, str]
    """Of the record by lower-case name; of an ARC file under WARC's names. The first of each counts."""
    body: bytes
    """What it holds, without its headers."""
    position: int
    """Byte of the stored file at which its member, or in a file that is not compressed the record, begins."""
    mended: bool = False
    """Whether its Content-Length is a little too small."""
    apart: bool = False
    """Whether a member begins with it, or the file is not compressed: reading may begin here."""


class Broken(NamedTuple):
    """What cannot be read as a record."""

    reason: str
    position: int
    bytes: int
    """Decompressed bytes passed over."""
    identity: str | None = None
    """The record's id, where that could be read."""


class _Text:
    """The decompressed file: what is held of it, where members begin, and where one is broken off."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = iter(pieces)
        self.held = bytearray()
        self.begin = 0  # text byte of held[0]
        self.members: deque[tuple[int, int]] = deque()  # (text byte, stored byte) at which pieces begin, rising
        self.starts: deque[int] = deque()  # text bytes at which members begin, rising
        self.faults: list[tuple[int, str]] = []  # (text byte behind which a member is broken off, why)
        self.ended = False
        self.is_arc = False

    def fill(self, size: int) -> int:
        """Hold ``size`` bytes, or all that there are; returns how many are held."""
        while len(self.held) < size and not self.ended:
            piece = next(self._pieces, None)
            if piece is None:
                self.ended = True
                break
            at = self.begin + len(self.held)
            if piece.begins or not self.members or self.members[-1][1] != piece.position:
                self.members.append((at, piece.position))
            if piece.begins:
                self.starts.append(at)
            self.held += piece.data
            if piece.fault:
                self.faults.append((at + len(piece.data), piece.fault))
        return len(self.held)

    def drop(self, size: int) -> None:
        """Let go of the first bytes."""
        del self.held[:size]
        self.begin += size
        while len(self.members) > 1 and self.members[1][0] <= self.begin:
            self.members.popleft()
        while self.starts and self.starts[0] < self.begin:
            self.starts.popleft()
        while self.faults and self.faults[0][0] < self.begin:
            del self.faults[0]

    def starts_in(self, first: int, stop: int) -> Iterator[int]:
        """Members that begin in the held bytes [first, stop)."""
        for start in self.starts:  # no further than is asked for: there may be as many as there are bytes
            if start - self.begin >= stop:
                return
            if start - self.begin >= first:
                yield start - self.begin

    def record_in(self, first: int, stop: int) -> int | None:
        """The first member in the held bytes [first, stop) that begins like a record."""
        return next((at for at in self.starts_in(first, stop) if RECORD_START.match(self.held, at)), None)

    @property
    def begins_member(self) -> bool:
        """Whether what is held begins with a member, and no broken one ends there."""
        begins = bool(self.starts) and self.starts[0] == self.begin
        return begins and not (self.faults and self.faults[0][0] <= self.begin)

    def take_fault(self) -> str:
        """Why the member that ended here is broken off; asked once."""
        return self.faults.pop(0)[1] if self.faults and self.faults[0][0] <= self.begin else ""

    def stored(self, *, compressed: bool) -> int:
        """The byte of the stored file at which what is held begins; of a compressed one its member."""
        at, position = self.members[0] if self.members else (self.begin, 0)
        return position if compressed else position + self.begin - at


def records(pieces: Iterable[Piece], *, compressed: bool) -> Iterator[ArchiveRecord | Broken]:
    """All records of an archive, in order, and what lies between them and is none.

    Args:
        pieces: of the whole file.
        compressed: whether the file is.
    """
    text = _Text(pieces)
    while True:
        _skip_blank(text)
        text.fill(1)
        position = text.stored(compressed=compressed)
        if fault := text.take_fault():
            yield Broken(f"corrupt: a member of the archive is {fault}", position, 0)
        elif not text.held:
            return
        else:
            text.fill(MOST_HEADER_BYTES)
            if RECORD_START.match(text.held):
                yield _record(text, position, apart=not compressed or text.begins_member)
            else:
                passed = _pass_over(text, 1)
                fault = text.take_fault()
                yield Broken(f"corrupt: {fault or 'no record of an archive begins here'}", position, passed)


def _record(text: _Text, position: int, *, apart: bool) -> ArchiveRecord | Broken:
    head = bytes(text.held[:_USUAL_HEADER_BYTES])
    if _HEADERS_END.search(head) is None:
        head = bytes(text.held[:MOST_HEADER_BYTES])
    text.is_arc = head[:5].upper() != b"WARC/"
    size, headers, fault = _arc_headers(head) if text.is_arc else _warc_headers(head)
    identity = headers.get("warc-record-id")
    if not fault and not headers.get("content-length", "").isdecimal():
        fault = "no Content-Length"
    if fault:
        passed = _pass_over(text, max(1, size))
        text.take_fault()
        return Broken(f"corrupt: headers of a record: {fault}", position, passed, identity)
    text.drop(size)
    length = int(headers["content-length"])
    there = text.fill(min(length, MOST_HELD_BYTES) + 4)
    end, why = _end_of_body(text, length, there)
    if not why and length > MOST_HELD_BYTES:
        passed = _skip(text, length)
        cut = f"cut short: {passed} of {length} bytes"
        why = f"too large: a record of {length:,} bytes" if passed == length else cut
        text.take_fault()
        return Broken(why, position, passed, identity)
    body = bytes(text.held[:end])
    text.drop(end)
    if why and why != _MENDED:
        text.fill(MOST_HEADER_BYTES)
        begun = text.take_fault() or RECORD_START.match(text.held)
        passed = 0 if begun else _pass_over(text, 0)
        return Broken(why, position, end + passed, identity)
    return ArchiveRecord(headers["warc-type"].lower(), headers, body, position, bool(why), apart)


def _end_of_body(text: _Text, length: int, there: int) -> tuple[int, str]:
    """How many of the ``there`` bytes held are the record's body, and what is wrong with it.

    Of a body longer than what is held, only whether another record begins in that.
    """
    held = min(length, MOST_HELD_BYTES)
    fault = next((why for at, why in text.faults if at - text.begin < held), "")
    stop = min(held, there, *(at - text.begin for at, _ in text.faults))
    begun = text.record_in(1, stop)
    if begun is not None:
        stop = begun  # a record begins in the middle of this one's body: it was cut before it was compressed
    if stop == length and _ends_well(text, length, there):
        return length, ""
    inside = _NEXT.search(text.held, 0, stop)
    if inside is not None:
        return inside.end(), f"wrong Content-Length: {length}, and a record begins after {inside.start()} bytes"
    if stop == held < length:
        return stop, ""
    if stop < length:
        return stop, f"cut short: {stop} of {length} bytes" + (f" ({fault})" if fault else "")
    next_one = (_ARC_START if text.is_arc else _WARC_START).search(text.held, stop, stop + _MORE_BYTES + _LINE_BYTES)
    if next_one and next_one.start() - stop <= _MORE_BYTES:
        return next_one.start(), _MENDED
    return stop, f"wrong Content-Length: {length}, and more follows"


def _ends_well(text: _Text, length: int, there: int) -> bool:
    """Whether nothing but line ends stands between the body and the next record, member or the end."""
    if there == length or next(text.starts_in(length, length + 1), None) is not None:
        return True
    text.fill(length + 4096)
    rest = bytes(text.held[length : length + 4096]).lstrip(b"\r\n")
    return not rest or RECORD_START.match(rest) is not None


def _warc_headers(head: bytes) -> tuple[int, dict[str, str], str]:
    """Bytes that the headers take, the first of each name, and what is wrong with them."""
    end = _HEADERS_END.search(head)
    if end is None:
        return len(head.split(b"\n", 1)[0]), {}, f"they do not end within {len(head):,} bytes"
    if not end[0].endswith(b"\n", 1):
        return end.end(), {}, "they do not end where the next record begins"
    headers: dict[str, str] = {}
    for line in _HEADER_LINES.split(head[: end.start()])[1:]:
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), " ".join(value.split()))
    if "warc-target-uri" in headers:
        headers["warc-target-uri"] = headers["warc-target-uri"].strip("<>")  # WARC 1.0 has them
    return end.end(), headers, "" if "warc-type" in headers else "no WARC-Type"


def _arc_headers(head: bytes) -> tuple[int, dict[str, str], str]:
    """The line before a document of an ARC file: URL, address, date, type, length; of ARC 2 more before the length.

    A URL and a type may hold spaces.
    """
    line, feed, _ = head.partition(b"\n")
    most, _, length = line.decode("utf-8", "replace").rstrip().rpartition(" ")
    found = _ARC_LINE.fullmatch(most)
    if not feed or found is None or not length.isdecimal():
        return len(line) + len(feed), {}, "not URL, address, date, type and length"
    url, address, date, kind = found.groups()
    of_file = url.startswith("filedesc:")
    shown = f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:]}Z"
    web = url.lower().startswith(("http:", "https:"))
    headers = {
        "warc-type": "warcinfo" if of_file else "response" if web else "resource",
        "warc-target-uri": url,
        "warc-ip-address": address,
        "warc-date": shown,
        "content-type": "application/http" if web else kind,
        "content-length": length,
    }
    return len(line) + 1, headers, ""


def _skip_blank(text: _Text) -> None:
    while text.fill(1):
        text.fill(4096)
        head = text.held[:4096]
        blank = len(head) - len(head.lstrip(b"\r\n"))
        text.drop(blank)
        if blank < len(head):
            return


def _skip(text: _Text, size: int) -> int:
    """Let go of ``size`` bytes, or of what stands before the next member that begins like a record."""
    left = size
    while left and text.fill(MOST_HEADER_BYTES):
        step = min(left, len(text.held))
        begin = text.record_in(0, step)
        text.drop(step if begin is None else begin)
        left -= step if begin is None else begin
        if begin is not None:
            break
    return size - left


def _pass_over(text: _Text, first: int) -> int:
    """Go to the next place, from byte ``first`` held on, that begins like a record; returns the bytes passed over."""
    passed = 0
    while True:
        text.fill(first + MOST_HEADER_BYTES)
        place = text.record_in(first, len(text.held))
        stop = len(text.held) if place is None else place
        line = (_ARC_START if text.is_arc else _WARC_START).search(text.held, first, stop)
        place = line.start() if line else place
        step = place if place is not None else len(text.held) - (0 if text.ended else _ACROSS)
        text.drop(step)
        passed += step
        first = max(0, first - step)
        if place is not None or text.ended:
            return passed


_WARC_START = re.compile(rb"(?<=\n)(?i:WARC)/[01]\.\d+\r*\n")
_ARC_START = re.compile(rb"(?<=\n)[a-zA-Z][a-zA-Z0-9+.-]{0,30}:[^\n]{1,4000} \d{14} [^\n]{1,4000}+(?<=[\d\r])\n")
_LINE_BYTES = 10 << 10  # in which a line that begins a record ends
_ACROSS = 32  # bytes held back, so that a line that begins a record is seen whole
