"""What a page is made of: sections with figures, tables and examples, before any of it is HTML."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from winnow.report.differences import Piece
from winnow.report.page.charts import Drawing


@dataclass(frozen=True)
class Figure:
    """A chart with what it shows."""

    caption: str
    svg: Drawing


@dataclass(frozen=True)
class TableOf:
    """A table; all cells are texts."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    """Columns of numbers."""
    note: str = ""


@dataclass(frozen=True)
class Example:
    """A document, or the beginning of one."""

    title: str
    text: str


@dataclass(frozen=True)
class Pair:
    """Two documents side by side, with what differs marked."""

    title: str
    left_title: str
    left: list[Piece]
    right_title: str
    right: list[Piece]


@dataclass
class Part:
    """A section, or a part of one."""

    title: str
    lead: str = ""
    """A sentence or two."""
    command: str = ""
    """Shows the documents behind the numbers, or what else ``does`` says."""
    does: str = "Show the documents"
    lines: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    tables: list[TableOf] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    parts: list["Part"] = field(default_factory=list)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1, note: str = "") -> TableOf:
    """A table whose first ``texts`` columns are texts and whose others are numbers."""
    return TableOf(columns, rows, frozenset(range(texts, len(columns))), note)
