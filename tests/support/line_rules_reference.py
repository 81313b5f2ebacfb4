"""Line rules in plain Python: C4's as they are published, menus and blank lines as docs/web.md states them."""

import re
import unicodedata

from winnow.text.characters import SPACELESS_BLOCKS, TERMINAL_PUNCTUATION

_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]", re.ASCII)
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_TERMINAL = {
    chr(code)
    for part in TERMINAL_PUNCTUATION.split()
    for code in range(int(part.split("-")[0], 16), int(part.split("-")[-1], 16) + 1)
}
_BULLETS = "*+-|\u2022\u00b7\u00bb\u203a\u25aa\u25cf\u2023\u2013"


def is_spaceless(character: str) -> bool:
    code = ord(character)
    inside = any(first <= code <= last for first, last in SPACELESS_BLOCKS.values())
    return inside and unicodedata.category(character)[0] in "LMN"


def words_of(line: str) -> list[str]:
    """Words between spaces; a character of a script without spaces is one."""
    spaced = "".join(f" {c} " if is_spaceless(c) else c for c in line)
    return spaced.split()


def c4(text: str, *, terminal=True, min_words=3, max_word=1000, javascript=True, policy=True, citations=True) -> str:
    kept = []
    for whole in text.splitlines():
        line = whole.strip()
        words = words_of(line)
        if any(len(word) > max_word for word in words):
            continue
        if citations:
            line = _CITATION.sub("", line)
        ends = line[-1:] in ("'", '"') or (line[-1:] in _TERMINAL and line != "")
        if terminal and (not ends or line.endswith("...")):
            continue
        if len(words) < min_words:
            continue
        lower = line.lower()
        if "lorem ipsum" not in lower:  # else the whole document goes, by the filter
            if javascript and "javascript" in lower:
                continue
            if "{" not in line and policy and any(phrase in lower for phrase in _POLICY):
                continue
        kept.append(line)
    return "\n".join(kept).strip()


def is_link_like(line: str, max_words: int = 4, max_characters: int = 30) -> bool:
    line = line.strip()
    if len(line) > 1 and line[0] in _BULLETS and line[1].isspace():
        line = line[1:].strip()
    if not line or len(line) > max_characters or not line[0].isalpha() or "a" <= line[0] <= "z":
        return False
    if any(c.isascii() and not (c.isalpha() or c.isspace() or c in "&'+-/|") for c in line):
        return False
    if any(c in _TERMINAL or c in "\u3001\uff0c\uff1a\uff1b" for c in line):
        return False
    spaceless = sum(map(is_spaceless, line))
    rest = "".join(" " if is_spaceless(c) else c for c in line).split()
    return 2 * len(rest) + spaceless <= 2 * max_words


def structure(text: str, min_lines: int | None, most_blank: int | None) -> str:
    """Menus and blank lines, lines ending at line feeds."""
    if not text:
        return text
    lines = text.split("\n")
    ended = text.endswith("\n")
    lines = lines[:-1] if ended else lines
    gone = set()
    run: list[int] = []
    for n, line in enumerate([*lines, "."]):
        if not line.strip():
            continue
        if min_lines and is_link_like(line):
            run.append(n)
            continue
        gone |= set(run) if min_lines and len(run) >= min_lines else set()
        run = []
    kept: list[str] = []
    waiting: list[str] = []
    went = False
    for n, line in enumerate(lines):
        if n in gone:
            went = True
        elif not line.strip():
            if not (went and waiting):
                waiting.append(line)
        else:
            kept += waiting[: len(waiting) if most_blank is None else most_blank]
            kept.append(line)
            waiting, went = [], False
    if not any(line.strip() for line in kept) and gone:
        return ""
    if not any(line.strip() for line in kept) or ended or not gone:
        kept += waiting[: len(waiting) if most_blank is None else most_blank]
    return "\n".join(kept) + ("\n" if ended and kept else "")
