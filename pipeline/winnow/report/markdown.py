"""What somebody wrote, as text in Markdown."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

_MARKS = re.compile(r"([\\`*_{}\[\]<>|#!~])")
_LONGEST = 200


def markdown_text(said: Any) -> str:
    """Text and nothing else: no mark of Markdown or HTML in it means anything; cut after 200 characters."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(said)[:_LONGEST])
    return _MARKS.sub(r"\\\1", plain.replace("&", "&amp;"))


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], texts: int = 1) -> list[str]:
    """Lines of a table; its first ``texts`` columns are texts, the others stand right. Numbers get separators."""
    marks = ["---" if number < texts else "---:" for number in range(len(columns))]
    return [
        f"| {' | '.join(columns)} |",
        f"| {' | '.join(marks)} |",
        *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows),
    ]


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else markdown_text(value)
