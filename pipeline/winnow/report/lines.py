"""Boilerplate lines as a table: they are text of the corpus, so their control characters are escaped."""

from rich.table import Table
from rich.text import Text

from winnow.report.printable import printable
from winnow.stages.ingest.boilerplate import RemovedLine


def lines_table(lines: list[RemovedLine], characters: int, title: str) -> Table:
    """Source, documents and text of each line; texts are cut, and their control characters escaped."""
    table = Table("source", title=title, title_justify="left")
    table.add_column("documents", justify="right")
    table.add_column("line", overflow="fold")
    for line in lines:
        text = line.text if len(line.text) <= characters else line.text[:characters] + " ..."
        table.add_row(Text(line.source), f"{line.documents:,}", Text(printable(text, lines=False)))
    return table
