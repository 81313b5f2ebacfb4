"""Text out of wikitext: links give their labels, headings and lists their words; templates, tables, references, files
and categories go. Every step is one pass, so a page takes time in proportion to its size whatever stands in it.
"""

import html
import re
from collections.abc import Collection, Iterator
from functools import partial
from typing import NamedTuple

from winnow.sources.wiki.brackets import with_links, without_templates_and_tables

TEMPLATES, TABLES = "templates left out", "tables left out"
NAMESPACES = frozenset({"file", "image", "media", "category"})
"""Links to them show no words; every wiki has them, beside the names in its own language."""

_MARKS = "\ufdd0\ufdd1"  # around the number of what is kept as it is; characters that no text has
_VERBATIM = ("nowiki", "pre", "syntaxhighlight", "source", "math", "chem")
_DROPPED = (
    *("ref", "references", "gallery", "timeline", "imagemap", "score", "templatedata", "templatestyles", "graph"),
    *("mapframe", "maplink", "indicator", "inputbox", "categorytree", "hiero", "style", "script"),
)
_TAG = re.compile(rf"<(/?)({'|'.join((*_VERBATIM, *_DROPPED))})(?=[\s/>])([^<>]*)>|<!--", re.IGNORECASE)
_BREAK = re.compile(r"</?(?:br|p|div|li|hr|blockquote|dd|dt|center|tr|ul|ol)(?=[\s/>])[^<>]*>", re.IGNORECASE)
_ANY_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_EXTERNAL = re.compile(r"\[(?:(?:https?:|ftp:|irc:|news:)?//|mailto:)[^\s\[\]]+([^\[\]\n]*)\]")
_QUOTES = re.compile("'{2,}")
_SWITCH = re.compile(r"__[A-Z]{3,30}__")
_VARIANTS = re.compile(r"-\{([^{}]*)\}-")
_EMPTY_PARENS = re.compile(r" \([ ,;:]{0,99}\)")  # behind a blank: what a template left, and no call of a function
_BLANKS = re.compile(r"[ \t]{2,}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z]{2,10})*:\S")
_LIST = ("*", "#", ":", ";")


class Reduced(NamedTuple):
    """The text of a page."""

    text: str
    notes: tuple[str, ...]
    """``TEMPLATES``, ``TABLES``."""


def reduce_wikitext(wikitext: str, namespaces: Collection[str] = NAMESPACES) -> Reduced:
    """The text of a page.

    Args:
        wikitext: of any size; what is malformed stays as it is.
        namespaces: names, in lower case, of the namespaces of files and categories.
    """
    kept: list[str] = []
    text = "".join(_without_tags(re.sub(f"[{_MARKS}]", "", wikitext), kept))
    text, templates, tables = without_templates_and_tables(text)
    text = with_links(text, partial(_shown, namespaces=namespaces))
    text = _EXTERNAL.sub(lambda match: match[1].strip(), text)
    text = _ANY_TAG.sub("", _BREAK.sub("\n", text))
    text = _QUOTES.sub(lambda match: "'" * {4: 1}.get(len(match[0]), max(0, len(match[0]) - 5)), text)
    text = _VARIANTS.sub(_variant, _SWITCH.sub("", text))
    text = _EMPTY_PARENS.sub("", html.unescape(text))
    text = "\n".join(_lines(_BLANKS.sub(" ", text)))
    if kept:
        text = re.sub(f"{_MARKS[0]}(\\d+){_MARKS[1]}", lambda match: kept[int(match[1])], text)
    return Reduced(text.strip(), (TEMPLATES,) * bool(templates) + (TABLES,) * bool(tables))


def _without_tags(text: str, kept: list[str]) -> Iterator[str]:
    """The text without comments and what stands in dropped elements; verbatim ones go to ``kept``."""
    last = {tag[2].lower(): tag.start() for tag in _TAG.finditer(text) if tag[1]}  # closing tags
    at = 0
    while match := _TAG.search(text, at):
        yield text[at : match.start()]
        at = match.end()
        if match[2] is None:
            end = text.find("-->", at)
            at = len(text) if end < 0 else end + 3  # as MediaWiki: a comment that stays open is one to the end
            continue
        name = match[2].lower()
        if match[1] or match[3].endswith("/") or last.get(name, -1) < at:
            continue
        begin, end = at, _closing(text, name, at)
        at = text.find(">", end) + 1
        if name in _VERBATIM:
            kept.append(html.unescape(text[begin:end]))
            yield f"{_MARKS[0]}{len(kept) - 1}{_MARKS[1]}"
    yield text[at:]


def _closing(text: str, name: str, at: int) -> int:
    """Where the next closing tag of that name begins; there is one."""
    found = re.compile(rf"</{name}(?=[\s/>])[^<>]*>", re.IGNORECASE).search(text, at)
    assert found is not None
    return found.start()


def _shown(inner: str, namespaces: Collection[str]) -> str | None:
    target, bar, label = inner.partition("|")
    target = target.strip()
    if not target or "\n" in target or len(target) > 1000:
        return None
    space, colon, _ = target.partition(":")
    if colon and space.strip().replace("_", " ").lower() in namespaces:
        return ""
    if not bar and _LANGUAGE.match(target):
        return ""
    return label if bar else target.removeprefix(":")


def _variant(match: re.Match[str]) -> str:
    """Of a text in several scripts (``-{zh-hans:a;zh-hant:b}-``) the first."""
    flags, bar, body = match[1].partition("|")
    if not bar:
        flags, body = "", match[1]
    if {"H", "T"} & {flag.strip() for flag in flags.split(";")}:
        return ""
    first = body.partition(";")[0]
    return first.partition(":")[2].strip() if re.match(r"\s*[a-z]{2,3}(-[a-z]{2,4})?:", first) else body


def _lines(text: str) -> Iterator[str]:
    """Lines without marks of headings and lists; of blank ones at most one stays together."""
    blank = True
    for line in map(_bare, text.split("\n")):
        if line or not blank:
            yield line
        blank = not line


def _bare(line: str) -> str:
    line = line.strip()
    if line.startswith("=") and line.endswith("=") and len(line) > 2:
        depth = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
        return line[depth:-depth].strip() if depth * 2 < len(line) else line
    if line.startswith(_LIST):
        return line.lstrip("*#:;").lstrip()
    return line.lstrip("-").lstrip() if line.startswith("----") else line
