"""What an EPUB says of itself (EPUB 2 and 3): its title and the like, and its chapters in reading order."""

import posixpath
from typing import NamedTuple
from urllib.parse import unquote

from winnow.sources.fields import BadRecordError
from winnow.sources.packed.flat_xml import elements_of
from winnow.sources.packed.zip_members import ZipMembers

_MOST_BYTES = 64 << 20  # of a file that says what the book holds
_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_XML = ("text/xml", "application/xml", "text/plain", "application/octet-stream")
_SUFFIXES = (".xhtml", ".html", ".htm", ".xml")
"""What pages are called by books that say their type wrong."""
_OPF = "application/oebps-package+xml"


class Chapter(NamedTuple):
    """An item of the spine."""

    name: str
    """Of its member."""
    number: int | None
    """Of its member in the zip's directory; None where the zip has no such member."""
    is_page: bool
    is_contents: bool
    """Whether it is the table of contents."""
    is_encrypted: bool


class Book(NamedTuple):
    """A book."""

    fields: dict[str, str | None]
    """title, creator, language, identifier, publisher, published, rights; what it lacks is None."""
    chapters: list[Chapter]


def read_book(members: ZipMembers) -> Book:
    """What the book says of itself.

    Raises:
        BadRecordError: it is no EPUB, or is malformed.
    """
    numbers = {info.filename: number for number, info in enumerate(members.infos)}
    roots = elements_of(_bytes(members, numbers, _CONTAINER))
    paths = [e.attributes.get("full-path", "") for e in roots if e.name == "rootfile"]
    if not paths:
        raise BadRecordError(f"malformed EPUB: {_CONTAINER} names no book")
    encrypted: set[str] = set()
    if _ENCRYPTION in numbers:  # fonts alone are often scrambled; such a book can be read
        references = elements_of(_bytes(members, numbers, _ENCRYPTION))
        encrypted = {unquote(e.attributes.get("URI", "")) for e in references if e.name == "CipherReference"}
    package = elements_of(_bytes(members, numbers, paths[0]))
    items = {e.attributes.get("id", ""): e.attributes for e in package if e.name == "item"}
    chapters: list[Chapter] = []
    seen: set[str] = set()
    for reference in (e.attributes.get("idref", "") for e in package if e.name == "itemref"):
        item = items.get(reference, {})
        href = item.get("href", "").partition("#")[0]
        names = _names(paths[0], href)
        name = next(filter(numbers.__contains__, names), names[0])
        said_to_be = item.get("media-type", _PAGES[0])
        is_page = said_to_be in _PAGES or (said_to_be in _XML and name.lower().endswith(_SUFFIXES))
        is_contents = "nav" in item.get("properties", "").split()
        if name not in seen:  # a spine names an item once; a page of 16 MB that it names often is no longer book
            seen.add(name)
            chapters.append(Chapter(name, numbers.get(name), is_page, is_contents, not encrypted.isdisjoint(names)))
    if not chapters:
        raise BadRecordError("malformed EPUB: its spine is empty")
    said = {
        field: "; ".join(filter(None, (" ".join("".join(e.text).split()) for e in package if e.name == name))) or None
        for field, name in {
            "title": "title",
            "creator": "creator",
            "rights": "rights",
            "publisher": "publisher",
        }.items()
    }
    first = {
        field: next((text for e in package if e.name == name and (text := "".join(e.text).strip())), None)
        for field, name in {"language": "language", "identifier": "identifier", "published": "date"}.items()
    }
    return Book(said | first, chapters)


def _names(package: str, href: str) -> list[str]:
    """Of the member that an address means; last as packers call it who put addresses for names."""
    return [
        posixpath.normpath(posixpath.join(posixpath.dirname(package), path)) if path else ""
        for path in (unquote(href), href)
    ]


def _bytes(members: ZipMembers, numbers: dict[str, int], name: str) -> bytes:
    if name not in numbers:
        raise BadRecordError(f"malformed EPUB: the zip has no {name[:200]}")
    member = members.member(numbers[name])
    if member.fault or member.size > _MOST_BYTES:
        raise BadRecordError(member.fault or f"too large: {name[:200]} of {member.size:,} bytes")
    return member.read()
