"""The section on the mixture: what was asked of each source or bucket, and what it gave."""

from winnow.engine.records import Json
from winnow.flow.buckets import bucket_cuts
from winnow.flow.mixture_accounting import Strata, mixture_of, strata_given
from winnow.flow.records import RunRecords
from winnow.report.page.parts import Part, table

MOST_BUCKETS = 200
_COLUMNS = ("asked", "share", "tokens", "epochs", "documents", "copies")


def mixture_section(run: RunRecords) -> Part | None:
    """Shares reached beside those asked for; None without a mixture or budget."""
    gave = mixture_of(run)
    if not gave:
        return None
    part = Part("Mixture", "What split train draws from, in tokens of its rows; copies are counted.")
    for phase, strata in zip(run.config.shards.all_phases, strata_given(run), strict=False):
        by = f"by {', '.join(phase.mixture.by)}" if phase.mixture else ""
        title = f"phase {phase.name} {by}".strip() if run.config.shards.phases else f"bucket {by}"
        asked = [f"{told['repeats']:g} times" if "repeats" in told else f"{told['asked']:.2%}" for told in strata]
        rows = [_cells(told["name"], share, told) for told, share in zip(strata, asked, strict=True)]
        part.tables.append(table([title, *_COLUMNS], rows[:MOST_BUCKETS], note=_more(len(rows))))
    cuts = [
        [cut["bucket"], f"{cut['quantile']:g}", cut["group"] or "all", f"{cut['value']:g}", f"{cut['documents']:,}"]
        for cut in bucket_cuts(run)
    ]
    if cuts:
        columns = ["cut of", "quantile", "documents of", "value", "documents"]
        part.tables.append(table(columns, cuts[:MOST_BUCKETS], texts=3, note=_more(len(cuts))))
    (first, *_), shares = Strata.of(run.config), [""] * len(gave)
    if first is not None and first.kind == "source" and not run.config.shards.phases:
        shares = [f"{number / sum(first.numbers):.2%}" for number in first.numbers]
    rows = [_cells(name, share, told) for (name, told), share in zip(gave.items(), shares, strict=True)]
    columns = ["source", *_COLUMNS]
    if not any(shares):  # nobody asked for any
        columns, rows = [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows]
    part.tables.append(table(columns, rows[:MOST_BUCKETS], note=_more(len(rows))))
    return part


def _more(rows: int) -> str:
    return f"{rows - MOST_BUCKETS:,} more stand in the manifest." if rows > MOST_BUCKETS else ""


def _cells(name: str, asked: str, gave: Json) -> list[str]:
    return [
        name,
        asked,
        f"{gave['share']:.2%}",
        f"{gave['tokens']:,}",
        f"{gave['epochs']:.2f}",
        f"{gave['documents']:,}",
        f"{gave['copies']:,}",
    ]
