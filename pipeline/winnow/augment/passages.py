"""Passages: a text in pieces that a model takes at a time, cut where the text itself has ends."""

import re

_ENDS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"[.!?。！？]['\")\]”’»]*(?:\s+|(?<=[。！？]))"),
    re.compile(r"\s+"),
)
"""Where a text may be cut, best first: paragraphs, lines, sentences, words."""


def passages_of(text: str, longest: int) -> list[str]:
    """Pieces of at most ``longest`` characters, in order, without white space around; none is empty.

    Each ends at the last end of the best kind that lies in the second half of what it may hold, or where it must.
    """
    passages = []
    begin = 0
    while len(text) - begin > longest:
        stop = begin + _cut(text[begin : begin + longest])
        passages.append(text[begin:stop])
        begin = stop
    passages.append(text[begin:])
    return [stripped for passage in passages if (stripped := passage.strip())]


def _cut(window: str) -> int:
    """Characters of the passage that ``window`` begins with."""
    half = len(window) // 2
    for end in _ENDS:
        last = None
        for last in end.finditer(window, half):  # noqa: B007 - the last one is wanted
            pass
        if last is not None:
            return last.end()
    return len(window)
