"""What is wrong with a file that is no YAML, and what to write instead."""

import re
from typing import Any

_HINTS = (
    (r"scanning an alias|undefined alias", "* begins an alias in YAML: put a glob in quotes, such as path: '*.jsonl'"),
    (r"scanning an anchor", "& begins an anchor in YAML: put such a text in quotes"),
    (r"character '\\t'", "YAML is indented with spaces: replace the tab"),
    (r"character '[@`%]'", "a text that begins with @, ` or % needs quotes"),
    (r"escape character", "a backslash in double quotes begins an escape: use single quotes, such as 'C:\\data'"),
    (
        r"mapping values are not allowed",
        "a value with a colon in it needs quotes; or a colon or dash before it needs a plain space behind; or lines "
        "are not indented alike",
    ),
    (
        r"tag '!|scanning a tag|determine a constructor",
        "! begins a tag in YAML: put a text that begins with it in quotes",
    ),
    (
        r"unhashable|scanning a simple key|expected ':'",
        "a key has no colon, or braces need quotes ('{{ x }}')",
    ),
    (r"expected ',' or|expected <block end>", "a comma, bracket or quote is missing, or lines are not indented alike"),
    (r"scanning a quoted scalar", "a quote is not closed; a quote inside single quotes is written twice"),
    (r"expected a single document", "a config is one document: take out what follows the line ---"),
    (
        r"scanning a block scalar",
        "| and > begin a text of several lines: put other texts in quotes",
    ),
    (r"special characters are not allowed", "a control character stands there: write the line again by hand"),
)


_OFF = re.compile(r"\s*([\w-]+):\s+(off|no|none|false)\s*(?:#.*)?", re.IGNORECASE)


def told(error: Exception) -> str:
    """What is wrong with a YAML document, in one line, and what to do."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start:,} is not UTF-8; save the file as UTF-8"
    message = " ".join(str(error).split())
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, message)), None)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or message
    if ("mapping values" in message or "block end" in message) and (name := _off_above(mark)):
        hint = f"`{name}` is off, and has settings below: put # before those, names of sections included"
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return f"{where}{hint} ({problem})" if hint else f"{where}{problem}"


def _off_above(mark: Any) -> str | None:
    """The section that the last line before a mark switches off, comments left out."""
    text = getattr(mark, "buffer", None)
    if not isinstance(text, str):
        return None
    before = [line for line in text.splitlines()[: mark.line] if line.strip() and not line.lstrip().startswith("#")]
    found = _OFF.fullmatch(before[-1]) if before else None
    return found and found[1]
