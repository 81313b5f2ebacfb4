"""What a page says of itself in its elements: title, language, licence, signals against training, links.

Only elements count that a parser would make (``tags.py``), so nothing that stands in a comment, a script or a template.
"""

import re
from collections.abc import Iterator
from html import unescape
from html.entities import html5
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import orjson

from winnow.sources.web.tags import AREA, BASE, HTML, LINK, META, TITLE, A, Tag, tags_of

MOST_LINKS = 2_000
"""That are kept of a page; of 3,645 real pages two had more."""
MOST_LINK_BYTES = 256 << 10
"""Of addresses and texts of the links of a page together."""
MOST_ADDRESS = 2_083
"""Characters of an address: what browsers and sitemaps take."""
MOST_TEXT = 200
"""Characters of a link's text that are kept."""
MOST_TITLE = 1_000
LEFT_OUT = "a page of which some links were left out"
"""Note of a page with links that are not kept: beyond the bounds, or addresses that cannot be."""

_ATTRIBUTE = re.compile(
    r"""[\t\n\f\r /]*(=?[^\t\n\f\r />=]*)(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r >]*)))?"""
)
_REFERENCE = re.compile(r"&(#[0-9]{1,9};?|#[xX][0-9a-fA-F]{1,8};?|[a-zA-Z][a-zA-Z0-9]{0,40}(?:;|=?))")
_BLANK = "\t\n\f\r "
_OPT_OUTS = ("noai", "noimageai", "noarchive")
_RIGHTS = re.compile("licen[cs]e|rights|copyright", re.IGNORECASE)
"""In the name of a meta element that says what may be done with the page: dc.rights, dcterms.license ..."""
_CC = re.compile(
    r"(?:https?:)?//(?:www\.)?creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-sa|-nd)?|by-nd-nc|(?:nc-)?sa|nd(?:-nc)?|nc)"
    r"|publicdomain/(zero|mark))(?:/(\d\.\d))?(?![\w.+-])",
    re.IGNORECASE,
)


class Link(NamedTuple):
    """Where a page leads to."""

    url: str
    """Absolute."""
    text: str


class Declared:
    """What a page says of itself; looked at when it is asked for.

    Args:
        html: the page.
        links: whether links and licences are asked for.
    """

    def __init__(self, html: str, *, links: bool = True) -> None:
        self._tags = tags_of(html.encode(errors="replace"), links=links)
        self._given: dict[int, dict[str, str]] = {}

    def _of(self, *kinds: int) -> Iterator[tuple[Tag, dict[str, str]]]:
        for place, tag in enumerate(self._tags):
            if tag.kind in kinds:
                if place not in self._given:
                    self._given[place] = attributes_of(tag.attributes.decode(errors="replace"))
                yield tag, self._given[place]

    def title(self) -> str | None:
        """The title, white space collapsed; None for none."""
        found = next((tag.text for tag in self._tags if tag.kind == TITLE), None)
        return (
            None
            if found is None
            else " ".join(unescape(found[: 8 * MOST_TITLE].decode(errors="ignore")).split())[:MOST_TITLE]
        )

    def language(self, headers: dict[str, str]) -> str | None:
        """The language that it says it is in, by its root element, else the first of Content-Language; or None."""
        root = next((given for _, given in self._of(HTML)), {})
        said = (root.get("lang") or root.get("xml:lang") or "").strip()
        if not re.fullmatch(r"[a-zA-Z]{2,3}(?:-[a-zA-Z0-9-]{1,20})?", said):
            said = re.split("[,;]", headers.get("content-language", ""))[0].strip()[:30]
        return said.lower() or None

    def licence(self) -> str | None:
        """The Creative Commons licence that it links to: a link, a ``<link rel=license>``, or a meta element on rights.

        ``unclear`` where it links to several, None for none.
        """
        found: set[str] = set()
        for tag, given in self._of(A, AREA, LINK, META):
            if tag.kind == META:
                name = given.get("name") or given.get("property") or given.get("itemprop") or ""
                said = given.get("content", "")[:MOST_ADDRESS] if _RIGHTS.search(name[:100]) else ""
                found |= {_licence_name(*match.groups("")) for match in _CC.finditer(said)}
            elif tag.kind != LINK or "license" in given.get("rel", "").lower().split():
                match = _CC.match(given.get("href", "").strip(_BLANK)[:MOST_ADDRESS])
                found |= {_licence_name(*match.groups(""))} if match else set()
        return None if not found else found.pop() if len(found) == 1 else "unclear"

    def opt_out(self, headers: dict[str, str]) -> str | None:
        """Signals against use for training, joined by commas: of headers (X-Robots-Tag, TDM-Reservation, Content-Usage)
        and of meta elements; None for none."""
        return opt_out_of(headers, (given for _, given in self._of(META)))

    def link_count(self) -> int:
        """How many links it has: ``<a>`` and ``<area>`` with an address."""
        return sum("href" in given for _, given in self._of(A, AREA))

    def links(self, address: str | None) -> tuple[list[Link], int]:
        """Links to http:// and https:// addresses, in the order of the page, and how many are left out.

        Left out are links beyond ``MOST_LINKS`` and ``MOST_LINK_BYTES``, and addresses that are too long, malformed or
        relative to nothing. ``#part`` of the page itself, ``mailto:``, ``javascript:`` and the like are no such links.

        Args:
            address: of the page, which relative links are resolved against (RFC 3986) where it has no ``<base>``.
        """
        based = next((given["href"] for _, given in self._of(BASE) if "href" in given), "")
        base = _joined(address or "", based) or address or ""
        found: list[Link] = []
        left_out = held = 0
        for tag, given in self._of(A, AREA):
            target = "".join(given.get("href", "").strip("".join(map(chr, range(33)))).translate(_NO_LINE_ENDS))
            if "href" not in given or target.startswith("#") or _OTHER_SCHEME.match(target):
                continue
            url = _joined(base, target) if len(found) < MOST_LINKS else ""
            if not url:
                left_out += 1
                continue
            text = given.get("alt", "") if tag.kind == AREA else unescape(tag.text[:4_000].decode(errors="ignore"))
            link = Link(url, " ".join(text.split())[:MOST_TEXT])
            size = len(link.url.encode(errors="replace")) + len(link.text.encode(errors="replace"))
            if held + size > MOST_LINK_BYTES:
                left_out += 1
                continue
            held += size
            found.append(link)
        return found, left_out


_OTHER_SCHEME = re.compile("(?!https?:)[a-zA-Z][a-zA-Z0-9+.-]{0,30}:", re.IGNORECASE)
_NO_LINE_ENDS = {ord(c): None for c in "\t\n\r"}


def links_as_json(links: list[Link]) -> str:
    """A JSON list of ``{"url": ..., "text": ...}``, which is how kept fields hold lists."""
    return orjson.dumps([{"url": link.url, "text": link.text} for link in links]).decode()


def _joined(base: str, target: str) -> str:
    """An absolute http(s) address; empty where that is none."""
    if len(target) > MOST_ADDRESS:
        return ""
    try:
        url = urljoin(base, target)
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return ""
    return url if whole and len(url) <= MOST_ADDRESS and not _CONTROL.search(url) else ""


_CONTROL = re.compile("[\0-\x1f\x7f\ud800-\udfff\ufffd]")


def attributes_of(tag: str) -> dict[str, str]:
    """Attributes of a start tag by lower-case name, references resolved; the first of a name counts."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(tag):
        name, *values = match.groups()
        if name:
            found.setdefault(name.lower(), _REFERENCE.sub(_resolved, next((v for v in values if v is not None), "")))
    return found


def _resolved(match: re.Match[str]) -> str:
    """What a reference in an attribute stands for: one without a semicolon and with = behind it is none."""
    said = match[1]
    if said.startswith("#"):
        return unescape(match[0])
    return html5.get(said, match[0])


def _licence_name(name: str, public: str, number: str) -> str:
    """As SPDX has it."""
    first = {"zero": "CC0", "mark": "CC-PDM"}.get(public.lower(), f"CC-{name.upper()}")
    return f"{first}-{number}" if number else first


def opt_out_of(headers: dict[str, str], metas: Any = ()) -> str | None:
    """Signals against use for training in the headers of an answer and in the attributes of meta elements."""
    said = headers.get("x-robots-tag", "").lower()
    found = {f"content-usage: {headers['content-usage'][:80]}"} if "content-usage" in headers else set()
    if headers.get("tdm-reservation", "").strip() == "1":
        found.add("tdm-reservation")
    for given in metas:
        name = given.get("name", "").strip().lower()
        value = given.get("content", "")[:MOST_ADDRESS].lower()
        if name == "tdm-reservation" and value.strip() == "1":
            found.add("tdm-reservation")
        if name == "robots":
            said += f",{value}"
    found |= {word for word in _OPT_OUTS if re.search(rf"(?:^|[,\s:]){word}(?:$|[,\s;])", said)}
    return ", ".join(sorted(found)) or None
