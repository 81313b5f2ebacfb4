"""The section on the mixture: what was asked of each source or bucket, and what it gave."""

from winnow.engine.records import Json
from winnow.flow.buckets import bucket_cuts, buckets_of
from winnow.flow.mixture import Strata, buckets_given, mixture_of
from winnow.flow.records import RunRecords
from winnow.report.page.parts import Part, table

MOST_BUCKETS = 200


def mixture_section(run: RunRecords) -> Part | None:
    """Shares reached beside those asked for; None without a mixture or budget."""
    gave = mixture_of(run)
    if not gave:
        return None
    chosen, strata = buckets_of(run.config), Strata.of(run.config)
    part = Part("Mixture", "What split train draws from, in tokens of its rows; copies are counted.")
    if chosen is not None and strata is not None:
        asked = [f"{number:g} times" for number in strata.numbers]
        if chosen.repeats is None:
            asked = [f"{number / sum(strata.numbers):.2%}" for number in strata.numbers]
        rows = [_cells(name, a, g) for name, a, g in zip(strata.names, asked, buckets_given(run), strict=True)]
        note = f"{len(rows) - MOST_BUCKETS:,} more stand in the manifest." if len(rows) > MOST_BUCKETS else ""
        part.lead += f" Buckets by {', '.join(chosen.by)}."
        part.tables.append(table(["bucket", *_COLUMNS], rows[:MOST_BUCKETS], note=note))
        cuts = [
            [cut["bucket"], f"{cut['quantile']:g}", cut["group"] or "all", f"{cut['value']:g}", f"{cut['documents']:,}"]
            for cut in bucket_cuts(run)
        ]
        if cuts:
            columns = ["cut of", "quantile", "documents of", "value", "documents"]
            part.tables.append(table(columns, cuts[:MOST_BUCKETS], texts=3))
        strata = None
    shares = [f"{number / sum(strata.numbers):.2%}" for number in strata.numbers] if strata else [""] * len(gave)
    rows = [_cells(name, share, told) for (name, told), share in zip(gave.items(), shares, strict=True)]
    part.tables.append(table(["source", *_COLUMNS], rows[:MOST_BUCKETS]))
    return part


_COLUMNS = ("asked", "share", "tokens", "epochs", "documents", "copies")


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
