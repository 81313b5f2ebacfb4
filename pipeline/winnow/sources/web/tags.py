"""The tags of a page that say something of it: where they stand, in one pass over its bytes.

What a parser takes for text or for a comment holds no tags: comments, scripts and styles, text areas, titles, frames,
and all that stands in a ``<template>``. This follows the tokeniser of the HTML standard (WHATWG HTML, 13.2.5) with
scripting off, so ``<noscript>`` is read through. It builds no tree: of SVG and MathML it knows only their own syntax.
"""

from typing import Any, NamedTuple

import numpy as np

from winnow.numeric.jit import kernel

A, AREA, BASE, HTML, LINK, META, TITLE = range(7)
_WANTED = (b"a", b"area", b"base", b"html", b"link", b"meta", b"title")
_RAW = (b"script", b"style", b"textarea", b"title", b"xmp", b"iframe", b"noembed", b"noframes", b"plaintext")
_SCRIPT, _TITLE_NAME = _RAW.index(b"script"), _RAW.index(b"title")
_FOREIGN = (b"svg", b"math")
_TEMPLATE = b"template"
_APART = (
    b"br",
    b"p",
    b"div",
    b"li",
    b"td",
    b"th",
    b"tr",
    b"dt",
    b"dd",
    b"img",
    b"hr",
    *(b"h%d" % n for n in range(1, 7)),
)
"""Elements that words do not reach over."""


def _codes(*names: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([_code(name) for name in names], np.int64)


def _code(name: bytes) -> int:
    """Of a name: seven bits a character, of the first eight and the length."""
    code = 0
    for byte in name[:8]:
        code = (code << 7) | byte
    return (code << 7) | min(len(name), 127)


class Tag(NamedTuple):
    """A start tag of an element that is really there."""

    kind: int
    """``A``, ``AREA``, ``BASE``, ``HTML``, ``LINK``, ``META`` or ``TITLE``."""
    attributes: bytes
    """What stands between its name and its end."""
    text: bytes
    """Of ``A`` and ``TITLE``: the text up to its end, references as they stand."""


_WANTED_CODES = _codes(*_WANTED)
_RAW_CODES = _codes(*_RAW)
_FOREIGN_CODES = _codes(*_FOREIGN)
_APART_CODES = np.sort(_codes(*_APART))
_TEMPLATE_CODE = _code(_TEMPLATE)


@kernel
def _is_blank(byte):  # type: ignore[no-untyped-def]
    return byte == 32 or 9 <= byte <= 10 or 12 <= byte <= 13


@kernel
def behind_comment(page, at):  # type: ignore[no-untyped-def]
    """The byte behind a comment whose ``<!--`` ends before ``at``."""
    size = len(page)
    if at < size and page[at] == 62:  # <!-->
        return at + 1
    if at + 1 < size and page[at] == 45 and page[at + 1] == 62:  # <!--->
        return at + 2
    while at + 2 < size:
        if page[at] == 45 and page[at + 1] == 45:
            if page[at + 2] == 62:
                return at + 3
            if page[at + 2] == 33 and at + 3 < size and page[at + 3] == 62:  # --!>
                return at + 4
        at += 1
    return size


@kernel
def _name_at(page, at):  # type: ignore[no-untyped-def]
    """Code of the name that begins at a byte, and the byte behind it."""
    size = len(page)
    code = np.int64(0)
    letters = 0
    while at < size and not (_is_blank(page[at]) or page[at] == 47 or page[at] == 62):
        byte = np.int64(page[at])
        if 65 <= byte <= 90:
            byte += 32
        if letters < 8:
            code = (code << 7) | (byte & 127)
        letters += 1
        at += 1
    return (code << 7) | min(letters, 127), at


@kernel
def _end_of_tag(page, at):  # type: ignore[no-untyped-def]
    """The ``>`` of a tag, from behind its name on; the size of the page where it has none. And whether it is ``/>``."""
    size = len(page)
    slash = False
    while at < size and page[at] != 62:
        if _is_blank(page[at]) or page[at] == 47:
            slash = page[at] == 47
            at += 1
            continue
        slash = False
        at += 1  # the first character of a name may be =
        while at < size and not (_is_blank(page[at]) or page[at] == 47 or page[at] == 62 or page[at] == 61):
            at += 1
        while at < size and _is_blank(page[at]):
            at += 1
        if at >= size or page[at] != 61:
            continue
        at += 1
        while at < size and _is_blank(page[at]):
            at += 1
        if at < size and (page[at] == 34 or page[at] == 39):
            quote = page[at]
            at += 1
            while at < size and page[at] != quote:
                at += 1
            at += 1
        else:
            while at < size and not (_is_blank(page[at]) or page[at] == 62):
                at += 1
    return min(at, size), slash


@kernel
def _end_of_raw(page, at, code, is_script):  # type: ignore[no-untyped-def]
    """Where the end tag of a raw element begins, whose text begins at a byte; the size of the page for none.

    In a script, ``<!-- <script`` makes the next ``</script`` a part of it (script data double escaped state).
    """
    size = len(page)
    state = 0  # 1: behind <!--, 2: behind <script in that
    while at < size:
        if state and page[at] == 45 and at + 2 < size and page[at + 1] == 45 and page[at + 2] == 62:
            state = 0
        if page[at] != 60:
            at += 1
            continue
        at += 1
        if is_script and state == 0 and at + 2 < size and page[at] == 33 and page[at + 1] == 45 and page[at + 2] == 45:
            state = 1
            at += 1  # the dashes of <!--> end it at once
            continue
        closes = at < size and page[at] == 47
        name, behind = _name_at(page, at + closes)
        if name != code or behind >= size:
            continue
        if closes and state != 2:
            return at - 1
        if state:
            state = 1 if closes else 2
    return size


@kernel
def _scan(page, wanted, raw, script, title, foreign, template, apart, without_links, found, text):  # type: ignore[no-untyped-def]
    """Rows of ``found``: kind, first and last byte of the attributes, and of the text in ``text``; returns how many."""
    size = len(page)
    count = filled = inside = templates = 0
    open_link = -1
    at = 0
    while at < size:
        if page[at] != 60:  # <
            if open_link >= 0:
                text[filled] = page[at]
                filled += 1
            at += 1
            continue
        begin = at
        at += 1
        if at >= size:
            break
        if page[at] == 33 and at + 2 < size and page[at + 1] == 45 and page[at + 2] == 45:
            at = behind_comment(page, at + 3)
            continue
        cdata = inside and at + 7 < size and page[at] == 33 and page[at + 1] == 91 and page[at + 7] == 91
        if cdata:  # <![CDATA[
            while at < size and not (page[at] == 62 and page[at - 1] == 93 and page[at - 2] == 93):
                at += 1
            at += 1
            continue
        closes = page[at] == 47
        first = at + closes
        letter = first < size and (65 <= page[first] <= 90 or 97 <= page[first] <= 122)
        if not letter:
            if closes or page[at] == 33 or page[at] == 63:  # </ <! <? : up to >
                while at < size and page[at] != 62:
                    at += 1
                at += 1
            elif open_link >= 0:
                text[filled] = page[begin]
                filled += 1
            continue
        code, behind = _name_at(page, first)
        at, slash = _end_of_tag(page, behind)
        if at >= size:
            break  # a tag without an end is none
        end = at
        at += 1
        if open_link >= 0 and apart[min(np.searchsorted(apart, code), len(apart) - 1)] == code:
            text[filled] = 32
            filled += 1
        if closes:
            if code == template and templates:
                templates -= 1
            elif code == wanted[0] and open_link >= 0:
                found[open_link, 4] = filled
                open_link = -1
            elif inside and (code == foreign[0] or code == foreign[1]):
                inside -= 1
            continue
        if code == template:
            templates += 1
            continue
        if (code == foreign[0] or code == foreign[1]) and not slash:
            inside += 1
        kind = -1
        for place in range(len(wanted)):
            if wanted[place] == code:
                kind = place
        raw_place = -1
        for place in range(len(raw)):
            if raw[place] == code:
                raw_place = place
        if raw_place == title and inside:  # of a drawing
            kind = raw_place = -1
        if without_links and 0 <= kind <= 1:
            kind = -1
        if kind >= 0 and templates == 0:
            if kind == 0 and open_link >= 0:  # a link ends the one before it
                found[open_link, 4] = filled
                open_link = -1
            found[count, 0] = kind
            found[count, 1] = behind
            found[count, 2] = end
            found[count, 3] = found[count, 4] = filled
            if kind == 0:
                open_link = count
            count += 1
        if raw_place >= 0 and not (slash and inside):
            stop = _end_of_raw(page, at, code, raw_place == script)
            if raw_place == title and templates == 0:
                for place in range(at, stop):
                    text[filled] = page[place]
                    filled += 1
                found[count - 1, 4] = filled
            at = stop
    if open_link >= 0:
        found[open_link, 4] = filled
    return count


def tags_of(page: bytes, *, links: bool = True) -> list[Tag]:
    """Start tags of ``Tag``'s kinds, in the order of the page, in time linear in its size.

    Args:
        page: in UTF-8.
        links: whether ``A`` and ``AREA`` are wanted, which most tags are.
    """
    data = np.frombuffer(page, np.uint8)
    found = np.zeros((page.count(b"<") + 1, 5), np.int64)
    text = np.empty(2 * len(page) + 1, np.uint8)  # a blank a tag beside what stands there
    count: Any = _scan(
        data,
        _WANTED_CODES,
        _RAW_CODES,
        _SCRIPT,
        _TITLE_NAME,
        _FOREIGN_CODES,
        _TEMPLATE_CODE,
        _APART_CODES,
        not links,
        found,
        text,
    )
    return [
        Tag(kind, page[first:end], text[begin:stop].tobytes())
        for kind, first, end, begin, stop in found[: int(count)].tolist()
    ]
