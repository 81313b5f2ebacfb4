"""Numbers of one thing by another, as tables of 80 columns, however many there are of both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from winnow.report.tables import add_names, table_of

WIDTH = 80
_LEAST_ROW, _MOST_COLUMN = 26, 9
"""Characters that the names of rows have at least where they need them; those of columns break after so many."""
_BORDERS = 4
"""Characters around the first column; each further one takes three."""

Columns = dict[str, list[int]]
"""Numbers of every row, by the column's name."""


@dataclass(frozen=True)
class Crossed:
    """Numbers by row and column; the last row stands below a line."""

    title: str
    corner: str
    """Heads the names of the rows."""
    rows: Sequence[str]
    first: Mapping[str, Sequence[str]]
    """Columns that every table begins with, as they are shown."""
    columns: Columns

    def tables(self, *, whole: bool) -> Iterator[Table]:
        """One table, whose last column sums those that do not fit; ``whole``: as many as all columns need."""
        rest = self.columns
        if not whole and not self.fits:
            widest = {f"{len(rest):,} more": _sum(rest.values())}
            fit = max(1, self._that_fit({**widest, **rest}) - 1)
            others = list(rest.values())[fit:]
            rest = {**_before(rest, fit), f"{len(others):,} more": _sum(others)}
        fit = self._that_fit(rest)
        yield self._table(_before(rest, fit))
        while rest := dict(list(rest.items())[fit:]):
            fit = self._that_fit(rest)
            yield self._table(_before(rest, fit))

    @property
    def fits(self) -> bool:
        """Whether one table has room for every column."""
        return self._that_fit(self.columns) >= len(self.columns)

    def _that_fit(self, columns: Columns) -> int:
        """How many of these columns fit into one table; one at least."""
        left = WIDTH - _BORDERS - min(_LEAST_ROW, max(map(len, (self.corner, *self.rows))))
        left -= sum(_width(name, cells) + 3 for name, cells in self.first.items())
        count = 0
        for name, numbers in columns.items():
            left -= _width(name, _shown(numbers)) + 3
            count += left >= 0
        return max(1, count)

    def _table(self, columns: Columns) -> Table:
        shown = {**self.first, **{name: _shown(numbers) for name, numbers in columns.items()}}
        table = table_of([self.corner], [], self.title)
        table.columns[0].max_width = WIDTH - _BORDERS - sum(_width(name, cells) + 3 for name, cells in shown.items())
        for name, cells in shown.items():
            table.add_column(name, justify="right", overflow="fold", width=_width(name, cells))
        *lines, last = zip(self.rows, *shown.values(), strict=True)
        for line in lines:
            add_names(table, *line)
        table.add_section()
        add_names(table, *last)
        return table


def _shown(numbers: Iterable[int]) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _sum(columns: Iterable[list[int]]) -> list[int]:
    return [sum(numbers) for numbers in zip(*columns, strict=True)]


def _before(columns: Columns, count: int) -> Columns:
    return dict(list(columns.items())[:count])


def _width(name: str, cells: Iterable[str]) -> int:
    longest = len(name) if len(name) <= _MOST_COLUMN else min(_MOST_COLUMN, max(map(len, name.split())))
    return max(longest, *map(len, cells))
