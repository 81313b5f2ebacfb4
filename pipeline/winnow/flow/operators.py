"""What operators did, from the records of measure: documents seen, changed, refused, without a value, raised on."""

from itertools import pairwise

from winnow.engine.records import Json
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance


def operator_counts(run: RunRecords) -> dict[str, Json]:
    """By operator, in their order; empty without any.

    ``documents`` seen, ``errors`` (documents that it raised on); of a signal ``nulls``, of a filter ``nulls`` and
    ``refused``, of a mapper ``changed``, ``bytes_before`` and ``bytes_after``.
    """
    return {str(entry.name): run.totals("measure", f"operator/{entry.name}") for entry in run.config.measure.operators}


def operator_balances(run: RunRecords) -> list[Balance]:
    """Every operator saw what the one before it left, and the last one left the readable documents."""
    counts = operator_counts(run)
    left = {name: counts_of.get("documents", 0) - counts_of.get("errors", 0) for name, counts_of in counts.items()}
    balances = [
        Balance(
            f"documents that operator {after} saw against those that {before} left", left[before], _seen(counts, after)
        )
        for before, after in pairwise(counts)
    ]
    if counts:
        last, readable = list(counts)[-1], sum(run.totals("measure", "readable").values())
        balances.append(Balance(f"readable documents against those that operator {last} left", left[last], readable))
    return balances


def _seen(counts: dict[str, Json], name: str) -> int:
    return int(counts[name].get("documents", 0))


def operator_lines(run: RunRecords) -> list[str]:
    """One line an operator."""
    lines = []
    for name, counts_of in operator_counts(run).items():
        parts = [f"{counts_of.get('documents', 0):,} documents"]
        if "changed" in counts_of:
            lost = counts_of["bytes_before"] - counts_of["bytes_after"]
            size = f"{abs(lost):,} bytes {'fewer' if lost >= 0 else 'more'} of {counts_of['bytes_before']:,}"
            parts.append(f"{counts_of['changed']:,} changed, {size}")
        parts += [f"{counts_of[what]:,} {words}" for what, words in _WORDS.items() if counts_of.get(what)]
        lines.append(f"operator {name}: {'; '.join(parts)}")
    return lines


_WORDS = {"refused": "refused", "nulls": "without a value", "errors": "unreadable because it raised"}
