"""Is a page such that a parser of HTML takes far more than linear time over it? Told in one pass over its bytes.

Parsers that follow the standard are quadratic in the depth of open elements, in the attributes of a tag and in the
options of a page. A limit of time would not be the same on every machine; these are.
"""

import re
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
_SLOTS = 311
"""Of a table of names: no two of those below leave the same rest."""


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
_RAW = (b"script", b"style", b"textarea", b"title", b"xmp", b"iframe", b"noembed", b"noframes")


def _table(names: tuple[bytes, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    table = np.zeros(_SLOTS, np.int64)
    for name in names:
        table[_code(name) % _SLOTS] = _code(name)
    return table


_UNNESTED_TABLE, _RAW_TABLE = _table(_UNNESTED), _table(_RAW)
_OPTION = _code(b"option")
_OF_NAMES = np.array([*(ord(chr(c).lower()) * bool(re.match("[a-zA-Z0-9:-]", chr(c))) for c in range(256))], np.uint8)
"""By byte: the lower-case letter, digit, - or : of an element's name; 0 for what ends one."""
_ENDS_ATTRIBUTE = np.array([c <= 32 or c in b"/=>" for c in range(256)])
"""By byte: whether an attribute's name ends there."""


class Shape(NamedTuple):
    """What makes a page slow to parse."""

    depth: int
    """Largest number of elements that are open at once."""
    attributes: int
    """Largest number of attributes in a tag."""
    options: int
    """``<option>`` in all."""


@kernel
def _byte(page, at):  # type: ignore[no-untyped-def]
    """A byte by a number that is not negative: told so, numba does not ask each time."""
    return page[np.uint64(at)]


@kernel
def _scan(page, most_depth, stack, open_by_name):  # type: ignore[no-untyped-def]
    """depth, attributes and options of a page; ends early where the depth is over the limit."""
    size = len(page)
    depth = deepest = attributes = options = 0
    raw_name = np.int64(0)
    at = 0
    while at < size:
        while at < size and _byte(page, at) != 60:  # <
            at += 1
        at += 1
        if at >= size:
            break
        if _byte(page, at) == 33 or _byte(page, at) == 63:  # ! and ?: a comment, a declaration
            if raw_name == 0:
                if at + 2 < size and _byte(page, at + 1) == 45 and _byte(page, at + 2) == 45:
                    at = behind_comment(page, at + 3)
                else:
                    while at < size and _byte(page, at) != 62:
                        at += 1
            continue
        closes = _byte(page, at) == 47  # /
        if closes:
            at += 1
        name = np.int64(0)
        letters = 0
        while at < size:
            byte = _OF_NAMES[_byte(page, at)]
            if byte < 97 and (letters == 0 or byte == 0):  # the first is a letter
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
        while at < size and _byte(page, at) != 62:  # attributes up to >
            byte = _byte(page, at)
            if byte <= 32 or byte == 47:
                slash = byte == 47
                at += 1
                continue
            found += 1
            slash = False
            while at < size and not _ENDS_ATTRIBUTE[_byte(page, at)]:
                at += 1
            while at < size and _byte(page, at) <= 32:
                at += 1
            if at < size and _byte(page, at) == 61:  # =
                at += 1
                while at < size and _byte(page, at) <= 32:
                    at += 1
                if at < size and (_byte(page, at) == 34 or _byte(page, at) == 39):
                    quote = _byte(page, at)
                    at += 1
                    while at < size and _byte(page, at) != quote:
                        at += 1
                    at += 1
                else:
                    while at < size and _byte(page, at) > 32 and _byte(page, at) != 62:
                        at += 1
        attributes = max(attributes, found)
        if closes:
            bucket = name % _BUCKETS
            if open_by_name[bucket] > 0:
                while depth > 0:
                    depth -= 1
                    top = stack[depth]
                    open_by_name[top % _BUCKETS] -= 1
                    if top == name:
                        break
            continue
        if name == _OPTION:
            options += 1
        if _RAW_TABLE[name % _SLOTS] == name and not slash:
            raw_name = name
            continue
        if _UNNESTED_TABLE[name % _SLOTS] == name:
            continue
        stack[depth] = name
        open_by_name[name % _BUCKETS] += 1
        depth += 1
        deepest = max(deepest, depth)
        if depth > most_depth:
            break
    return deepest, attributes, options


def shape_of(page: bytes) -> Shape:
    """Look at a page once."""
    stack = np.zeros(MOST_DEPTH + 2, np.int64)
    counts = np.zeros(_BUCKETS, np.int64)
    found: Any = _scan(np.frombuffer(page, np.uint8), MOST_DEPTH, stack, counts)
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
