"""Is a page such that a parser of HTML takes far more than linear time over it? Told in one pass over its bytes.

Parsers that follow the standard are quadratic in the depth of open elements, in the attributes of a tag and in the
options of a page. A limit of time would not be the same on every machine; these are.
"""

from typing import Any, NamedTuple

import numpy as np

from winnow.numeric.jit import kernel
from winnow.sources.web.tags import behind_comment

MOST_DEPTH = 2_000
MOST_ATTRIBUTES = 5_000
MOST_OPTIONS = 5_000
MOST_PAGE_BYTES = 16_000_000
"""Of 2,010 real pages the deepest had 410 open elements, the largest tag 888 attributes, and one page 337 options."""
_NAME_BYTES = 8  # of a tag's name that are looked at
_BUCKETS = 512


def _code(name: bytes) -> int:
    code = 0
    for byte in name[:_NAME_BYTES]:
        code = (code << 8) | byte
    return code


_UNNESTED = (
    *(b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"param", b"source"),
    *(b"track", b"wbr", b"p", b"li", b"dt", b"dd", b"option", b"optgroup", b"tr", b"td", b"th", b"thead", b"tbody"),
    *(b"tfoot", b"colgroup", b"rp", b"rt", b"html", b"head", b"body"),
    *(b"a", b"button", b"form", b"nobr"),
)
"""Elements without content, and those that one of their kind closes."""
_UNNESTED_CODES = np.array(sorted(_code(name) for name in _UNNESTED), np.int64)
_RAW = (b"script", b"style", b"textarea", b"title", b"xmp", b"iframe", b"noembed", b"noframes")
_RAW_CODES = np.array(sorted(_code(name) for name in _RAW), np.int64)
_OPTION = _code(b"option")


class Shape(NamedTuple):
    """What makes a page slow to parse."""

    depth: int
    """Largest number of elements that are open at once."""
    attributes: int
    """Largest number of attributes in a tag."""
    options: int
    """``<option>`` in all."""


@kernel
def _scan(page, unnested, raw, option, most_depth, stack, open_by_name):  # type: ignore[no-untyped-def]
    """depth, attributes and options of a page; ends early where the depth is over the limit."""
    size = len(page)
    depth = deepest = attributes = options = 0
    raw_name = np.int64(0)
    at = 0
    while at < size:
        if page[at] != 60:  # <
            at += 1
            continue
        at += 1
        if at >= size:
            break
        if page[at] == 33 or page[at] == 63:  # ! and ?: a comment, a declaration
            if raw_name == 0:
                if at + 2 < size and page[at + 1] == 45 and page[at + 2] == 45:
                    at = behind_comment(page, at + 3)
                else:
                    while at < size and page[at] != 62:
                        at += 1
            continue
        closes = page[at] == 47  # /
        if closes:
            at += 1
        name = np.int64(0)
        letters = 0
        while at < size:
            byte = page[at]
            if 65 <= byte <= 90:
                byte += 32
            if not (97 <= byte <= 122 or (letters and (48 <= byte <= 57 or byte in (45, 58)))):
                break
            if letters < 8:
                name = (name << 8) | np.int64(byte)
            letters += 1
            at += 1
        if letters == 0:
            continue
        if raw_name:  # only its own end tag ends a script
            if closes and name == raw_name:
                raw_name = np.int64(0)
            continue
        found = 0
        slash = False
        while at < size and page[at] != 62:  # attributes up to >
            byte = page[at]
            if byte <= 32 or byte == 47:
                slash = byte == 47
                at += 1
                continue
            found += 1
            slash = False
            while at < size and page[at] > 32 and page[at] != 62 and page[at] != 61 and page[at] != 47:
                at += 1
            while at < size and page[at] <= 32:
                at += 1
            if at < size and page[at] == 61:  # =
                at += 1
                while at < size and page[at] <= 32:
                    at += 1
                if at < size and (page[at] == 34 or page[at] == 39):
                    quote = page[at]
                    at += 1
                    while at < size and page[at] != quote:
                        at += 1
                    at += 1
                else:
                    while at < size and page[at] > 32 and page[at] != 62:
                        at += 1
        attributes = max(attributes, found)
        if closes:
            bucket = name % len(open_by_name)
            if open_by_name[bucket] > 0:
                while depth > 0:
                    depth -= 1
                    top = stack[depth]
                    open_by_name[top % len(open_by_name)] -= 1
                    if top == name:
                        break
            continue
        if name == option:
            options += 1
        place = np.searchsorted(raw, name)
        if place < len(raw) and raw[place] == name and not slash:
            raw_name = name
            continue
        place = np.searchsorted(unnested, name)
        if place < len(unnested) and unnested[place] == name:
            continue
        stack[depth] = name
        open_by_name[name % len(open_by_name)] += 1
        depth += 1
        deepest = max(deepest, depth)
        if depth > most_depth:
            break
    return deepest, attributes, options


def shape_of(page: bytes) -> Shape:
    """Look at a page once."""
    stack = np.zeros(MOST_DEPTH + 2, np.int64)
    counts = np.zeros(_BUCKETS, np.int64)
    found: Any = _scan(np.frombuffer(page, np.uint8), _UNNESTED_CODES, _RAW_CODES, _OPTION, MOST_DEPTH, stack, counts)
    return Shape(*map(int, found))


def refusal(page: bytes) -> str:
    """Why a page is not given to a parser; empty for a usual one."""
    if len(page) > MOST_PAGE_BYTES:
        return f"too large: a page of {len(page):,} bytes"
    shape = shape_of(page)
    if shape.depth > MOST_DEPTH:
        return f"page too deep: over {MOST_DEPTH:,} open elements"
    if shape.attributes > MOST_ATTRIBUTES:
        return f"page too complex: {shape.attributes:,} attributes in a tag"
    if shape.options > MOST_OPTIONS:
        return f"page too complex: {shape.options:,} options"
    return ""
