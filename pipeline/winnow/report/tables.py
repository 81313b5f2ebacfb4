"""Tables for terminals: names may be folded, numbers never are, and rows beyond a limit are summed, not lost."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from winnow.report.printable import printable

SHOWN = 20
"""Rows of a table before the rest is summed."""


def console_for_tables() -> Console:
    """Standard output. In a file or a pipe tables need not be squeezed: names there are whole, for `grep`."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 140
    return console


def table_of(texts: Sequence[str], numbers: Sequence[str], title: str | None = None) -> Table:
    """A table without rows: columns of texts, which break where the terminal is narrow, then of numbers."""
    table = Table(title=title, title_justify="left")
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def add_names(table: Table, *cells: str) -> None:
    """Add a row of texts from the corpus or the config: shown, and not obeyed."""
    table.add_row(*(Text(printable(cell, lines=False)) for cell in cells))
