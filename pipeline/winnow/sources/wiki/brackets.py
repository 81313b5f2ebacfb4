"""What of wikitext stands in brackets: templates, tables and links. Each in one pass, whatever stays open."""

import re
from collections.abc import Callable

MOST_NESTED_LINKS = 20
_BRACES = re.compile(r"\{\{+|\}\}+|^[ \t:*#]*+\{\|(?!\})|^[ \t]*+\|\}(?!\})", re.MULTILINE)
_LINK = re.compile(r"(\[\[|\]\])")
_TABLE = 0


def without_templates_and_tables(text: str) -> tuple[str, int, int]:
    """The text without ``{{...}}``, ``{{{...}}}`` and ``{|...|}``, and how many outermost ones of each went.

    Braces are matched from the inside, a run of them as far as the other run reaches. What has no partner stays.
    """
    opened: list[list[int]] = []  # place and number of braces; _TABLE of them is a table
    braces = tables = 0  # that are open
    gone: list[tuple[int, int, bool]] = []
    for match in _BRACES.finditer(text):
        mark = match[0]
        if mark.endswith("{|"):
            opened.append([match.end() - 2, _TABLE])
            tables += 1
        elif mark.endswith("|}"):
            if tables:
                while opened[-1][1] != _TABLE:
                    opened.pop()
                    braces -= 1
                gone.append((opened.pop()[0], match.end(), True))
                tables -= 1
        elif mark[0] == "{":
            opened.append([match.start(), len(mark)])
            braces += 1
        else:
            at, left = match.start(), len(mark)
            while left >= 2 and braces:
                while opened[-1][1] == _TABLE:
                    opened.pop()
                    tables -= 1
                start, number = opened[-1]
                taken = min(number, left)
                at, left = at + taken, left - taken
                gone.append((start + number - taken, at, False))
                if number - taken >= 2:
                    opened[-1][1] = number - taken
                else:
                    opened.pop()
                    braces -= 1
    return _cut(text, gone)


def _cut(text: str, gone: list[tuple[int, int, bool]]) -> tuple[str, int, int]:
    kept: list[str] = []
    end = templates = tables = 0
    for start, stop, is_table in sorted(gone, key=lambda cut: (cut[0], -cut[1])):
        if stop <= end:
            continue
        kept.append(text[end : max(start, end)])
        end = stop
        tables += is_table
        templates += not is_table
    kept.append(text[end:])
    return "".join(kept), templates, tables


def with_links(text: str, shown: Callable[[str], str | None]) -> str:
    """The text with each ``[[...]]`` replaced by what is shown of it, the inner ones first.

    Args:
        text: links that are nested deeper than any page has them, or never closed, stay as they are.
        shown: of what stands between the brackets; None where it is no link.
    """
    levels: list[list[str]] = [[]]
    too_deep = 0
    for part in _LINK.split(text):
        if part == "[[":
            if len(levels) > MOST_NESTED_LINKS:
                too_deep += 1
                levels[-1].append(part)
            else:
                levels.append([])
        elif part == "]]" and too_deep:
            too_deep -= 1
            levels[-1].append(part)
        elif part == "]]" and len(levels) > 1:
            inner = "".join(levels.pop())
            found = shown(inner)
            levels[-1].append(f"[[{inner}]]" if found is None else found)
        elif part:
            levels[-1].append(part)
    return "[[".join("".join(level) for level in levels)
