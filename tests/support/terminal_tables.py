"""What a terminal of 80 columns shows, and the numbers read back from it."""

import io
from collections.abc import Iterable

from rich.console import Console, RenderableType


def printed(entries: Iterable[RenderableType]) -> str:
    """Tables and lines, as a terminal shows them."""
    text = io.StringIO()
    for entry in entries:
        Console(file=text, width=80).print(entry, soft_wrap=isinstance(entry, str))
    return text.getvalue()


def read_back(told: str) -> list[tuple[list[str], list[list[str]]]]:
    """Of each table the names of its columns, parts of a broken name joined, and the cells of its rows."""
    tables = []
    for block in told.split("┏")[1:]:
        heads = [line.strip("┃").split("┃") for line in block.splitlines() if line.startswith("┃")]
        names = ["".join(parts).strip() for parts in zip(*([c.strip(" ") for c in h] for h in heads), strict=True)]
        rows = [line.strip("│").split("│") for line in block.splitlines() if line.startswith("│")]
        tables.append((names, [[cell.strip() for cell in row] for row in rows if row[1].strip()]))
    return tables


def number(cell: str) -> int:
    """What a cell says."""
    return int(cell.replace(",", ""))
