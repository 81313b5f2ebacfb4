"""Labels as a table and as lines: names are text of the corpus, so their control characters are escaped."""

from rich.table import Table
from rich.text import Text

from winnow.report.printable import printable

SHOWN = 20
"""Labels that a table shows, the most frequent first."""


def shown_label(name: str) -> str:
    """A label on one line, cut after 60 characters."""
    return printable(name if len(name) <= 60 else f"{name[:57]}...", lines=False)


def numbered_label(number: int, names: list[str]) -> str:
    """A label as a row holds it, with its name; rows may have been altered."""
    return f"{number} ({shown_label(names[number]) if 0 <= number < len(names) else 'no such label'})"


def labels_table(names: list[str], by_split: dict[str, list[int]]) -> Table:
    """Rows of each label in each split, and its share of the split.

    Args:
        names: of the labels, by number.
        by_split: rows of each label, by split.
    """
    table = Table("number", "label", title="labels, rows in each split", title_justify="left")
    for split in by_split:
        table.add_column(split, justify="right")
    sums = [sum(counts) for counts in zip(*by_split.values(), strict=True)]
    order = sorted(range(len(names)), key=lambda number: (-sums[number], number))
    for number in order[:SHOWN]:
        cells = [f"{counts[number]:,} ({counts[number] / max(1, sum(counts)):.1%})" for counts in by_split.values()]
        table.add_row(str(number), Text(shown_label(names[number])), *cells)
    if len(names) > SHOWN:
        rest = order[SHOWN:]
        table.add_row("", f"{len(rest):,} more", *(f"{sum(counts[n] for n in rest):,}" for counts in by_split.values()))
    return table


def missing_labels(names: list[str], by_split: dict[str, list[int]]) -> list[str]:
    """One line for each split that lacks labels; none where all splits are empty."""
    if not any(map(any, by_split.values())):
        return []
    lines = []
    for split, counts in by_split.items():
        missing = [name for name, number in zip(names, counts, strict=True) if not number]
        if missing:
            more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
            lines.append(f"split {split} has no document with label {', '.join(map(shown_label, missing[:5]))}{more}")
    return lines
