"""Pages out of a MediaWiki XML export (versions 0.3 to 0.11), one after another in bounded memory.

Pages are found by their tags, which cannot stand in text (there ``<`` is ``&lt;``), and parsed one by one: a page that
is malformed costs itself alone. Entities of the file's own are never expanded.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.parsers import expat

from winnow.sources.fields import BadRecordError
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import FileFaultError

MOST_HEAD_BYTES = 4 << 20
_BEGIN, _END, _LAST = b"<page>", b"</page>", b"</mediawiki>"
_ODD_PAGE = re.compile(rb"<(?:[\w-]+:)?page[\s>]|</mediawiki>")
"""A page that begins in another way than in exports of MediaWiki; or the end of a dump without any."""
_WIDE = re.compile(rb"\xff\xfe|\xfe\xff|<\0|\0<")
_OF_REVISION = ("revision", "timestamp", "model", "wikitext", "deleted", "bytes")
_PATHS = {
    "title": "title",
    "ns": "ns",
    "id": "id",
    "revision/id": "revision",
    "revision/timestamp": "timestamp",
    "revision/model": "model",
    "revision/text": "wikitext",
}


class Raw(NamedTuple):
    """A page's bytes, or what is wrong with them."""

    data: bytes
    offset: int
    """In the text of the dump."""
    size: int
    fault: str = ""


class Site(NamedTuple):
    """What the head of a dump says of its wiki."""

    base: str
    """The address of its first page; empty where it does not say."""
    namespaces: dict[int, str]


class Dump:
    """A dump.

    Args:
        chunks: its text.
        most: bytes of a page; a larger one is only counted.

    Raises:
        FileFaultError: it is no dump, or its stream has a fault before the first page.
    """

    def __init__(self, chunks: Iterator[Chunk], most: int) -> None:
        self._chunks, self._most = chunks, most
        self._data = bytearray()
        self._offset = 0
        self._fault: FileFaultError | None = None
        self._cut_off = False  # whether the last page is
        head = self._head()
        if re.search(rb"<!(DOCTYPE|ENTITY)", head):
            raise FileFaultError("refused: the XML declares entities, which no dump of a wiki does", 0)
        self.site = _site_of(head)

    def _more(self) -> bool:
        try:
            chunk = next(self._chunks, None)
        except FileFaultError as error:
            self._fault, chunk = error, None
        if chunk is not None:
            self._data += chunk.data
        return chunk is not None

    def _drop(self, size: int) -> None:
        del self._data[:size]
        self._offset += size

    def _head(self) -> bytes:
        while (end := self._data.find(_BEGIN)) < 0 and len(self._data) < MOST_HEAD_BYTES and self._more():
            pass
        head = bytes(self._data if end < 0 else self._data[:end])
        if odd := _ODD_PAGE.search(head):  # told, as between two pages
            head = head[: odd.start()]
        if b"<mediawiki" not in head:
            if _WIDE.match(head):
                told = "the XML is UTF-16, and wikis export UTF-8; convert the file: iconv -f utf-16 -t utf-8"
                raise FileFaultError(f"wrong format: {told}", 0)
            raise self._fault or FileFaultError("wrong format: the XML is no export of a MediaWiki", 0)
        self._drop(len(head))
        return head

    def pages(self) -> Iterator[Raw]:
        """All pages in their order, and what stands between two of them and is none.

        Raises:
            FileFaultError: the stream ended early.
        """
        looked = 0
        while True:
            begin = self._data.find(_BEGIN, looked)
            if begin < 0:
                looked = max(0, len(self._data) - len(_BEGIN))
                if looked > self._most:
                    yield self._between(looked)
                    looked = 0
                if self._more():
                    continue
                break
            if begin and (stray := self._stray(begin)):
                yield stray
            yield from self._page()
            looked = 0
        ended = self._cut_off or self._data.rstrip().endswith(_LAST)
        if stray := self._stray(len(self._data)):
            yield stray
        if self._fault is not None:
            raise self._fault
        if not ended:
            raise FileFaultError("truncated file: the XML of the dump does not end", self._offset)

    def _between(self, size: int) -> Raw:
        stray = Raw(b"", self._offset, size, "malformed XML: something stands between two pages")
        self._drop(size)
        return stray

    def _stray(self, size: int) -> Raw | None:
        """What stands before the next page, unless it is of the dump's frame; it is gone then."""
        if bytes(self._data[:size]).replace(_LAST, b"").strip():
            return self._between(size)
        self._drop(size)
        return None

    def _page(self) -> Iterator[Raw]:
        """The page at the front of the buffer."""
        at, dropped = len(_BEGIN), 0
        while True:
            again = self._data.find(_BEGIN, at)
            end = self._data.find(_END, at, again if again >= 0 else len(self._data))
            if again >= 0 and end < 0:
                yield Raw(b"", self._offset - dropped, dropped + again, "malformed XML: the page does not end")
                self._drop(again)
                return
            if end >= 0:
                break
            at = max(0, len(self._data) - len(_END))
            if len(self._data) > self._most:
                self._drop(at)
                dropped, at = dropped + at, 0
            if not self._more():
                size = dropped + len(self._data)
                why = f" ({self._fault.reason.split(':')[0]})" if self._fault is not None else ""
                self._cut_off = True
                yield Raw(b"", self._offset - dropped, size, f"cut off: the file ends within the page{why}")
                self._drop(len(self._data))
                return
        size = end + len(_END)
        too_large = dropped + size > self._most
        reason = f"too large: a page of {dropped + size:,} bytes; max_document_mb is less" if too_large else ""
        data = b"" if too_large else bytes(self._data[:size])
        offset = self._offset - dropped
        self._drop(size)
        yield Raw(data, offset, dropped + size, reason)


def parse_page(data: bytes) -> dict[str, str]:
    """The fields of a page: title, ns, id, and of its latest revision ``revision``, timestamp, model, wikitext.

    ``redirect`` and ``deleted`` are there where the page says so, and ``bytes``: how long it says that its text is.

    Raises:
        BadRecordError: it is malformed.
    """
    found: dict[str, str] = {}
    earlier: dict[str, str] = {}  # of the latest revision before this one
    path: list[str] = []
    pieces: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        pieces.clear()
        if path == ["page", "redirect"]:
            found["redirect"] = attributes.get("title", "")
        elif path == ["page", "revision"]:
            earlier.clear()
            earlier.update({field: found.pop(field) for field in _OF_REVISION if field in found})
        elif path == ["page", "revision", "text"]:
            found["bytes"] = attributes.get("bytes", "0")
            if "deleted" in attributes:
                found["deleted"] = "text"

    def end(_name: str) -> None:
        field = _PATHS.get("/".join(path[1:])) if len(path) < 4 else None
        if field is not None:
            found[field] = "".join(pieces)
        if path == ["page", "revision"] and earlier.get("timestamp", "") > found.get("timestamp", ""):
            for field in _OF_REVISION:  # an export may have the latest first
                found.pop(field, None)
            found.update(earlier)
        path.pop()

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = pieces.append
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadRecordError(f"malformed XML: {expat.ErrorString(error.code)}, in the page") from None
    return found


def _site_of(head: bytes) -> Site:
    text = head.decode(errors="replace")
    base = re.search(r"<base>([^<]{1,2000})</base>", text)
    names = re.findall(r'<namespace key="(-?\d{1,6})"[^>]{0,200}>([^<]{1,200})</namespace>', text)
    return Site(base[1] if base else "", {int(key): name for key, name in names})
