"""An ablation as tables of plain text (for the terminal and the page), as JSON, and as charts."""

from dataclasses import asdict
from typing import Any

import orjson

from winnow.ablate.ablate import Ablation
from winnow.ablate.cost import duration
from winnow.ablate.results import CORRECT, LOWER_IS_BETTER, Row
from winnow.audit.tables import TableOf

JSON, PAGE = "ablation.json", "ablation.html"


def headline(found: Ablation) -> str:
    """What was seen, in one sentence."""
    results = found.results
    judged = [row for row in results.rows if row.comparison is not None]
    seen = [row for row in judged if row.comparison is not None and row.comparison.seen]
    if not judged:
        return "Nothing could be compared: an arm has no figures, or there is only one."
    told = "; ".join(_seen(row) for row in seen[:4]) + ("; and more" if len(seen) > 4 else "")
    return (
        f"Against {results.baseline}, {len(judged)} comparisons: "
        + (told or "no difference seen in any of them")
        + (f"; no difference seen in {len(judged) - len(seen)} of them" if seen and len(seen) < len(judged) else "")
        + "."
    )


def _seen(row: Row) -> str:
    assert row.comparison is not None
    return f"{row.arm} is {row.comparison.verdict} on {row.set} ({row.measure})"


def notes(found: Ablation) -> list[str]:
    """What readers of the tables have to know."""
    plan = found.plan
    amount = "equal tokens" if plan.train.equal_tokens is not None else "equal epochs"
    lines = [
        f"Models of {found.parameters:,} parameters (vocabulary of {found.vocabulary['size']:,} ids, rows of "
        f"{found.row:,} tokens), {amount}, {plan.train.seeds} seeds an arm, learning rate "
        f"{plan.train.learning_rate:g} at width 64.",
        "sigma of an arm is the standard deviation between its seeds; sigma of a comparison is the standard error of "
        "the difference of the means (Welch). Intervals of differences hold together with 95 %, over all "
        f"{found.results.comparisons} comparisons.",
    ]
    if plan.vocabulary is not None:
        lines.append("All arms were tokenised with a vocabulary that was trained on what the base keeps.")
    if found.unreadable:
        lines.append(f"{found.unreadable:,} records of held-out files could not be read, and were left out.")
    if found.left_out:
        lines.append(f"{found.left_out:,} items without choices, or without one that is right, were left out.")
    lines += [
        f"Set {name}: {about['dropped']:,} documents that an arm was trained on were left out for all arms."
        for name, about in found.sets.items()
        if about["dropped"]
    ]
    for name, arm in found.results.arms.items():
        lines += [
            f"Arm {name}, seed {seed} DIVERGED: {how}; it has no figures." for seed, how in arm["diverged"].items()
        ]
    return lines


def tables(found: Ablation) -> list[TableOf]:
    """Arms, sets, and a table of figures for each measure."""
    arms = tuple(
        (
            name,
            f"{arm['tokens_of_arm']:,}",
            f"{arm['tokens']:,}",
            f"{arm['epochs']:.2f}",
            f"{len(arm['curves']) - len(arm['diverged'])} of {len(arm['curves'])}",
            duration(arm["seconds"]),
        )
        for name, arm in found.results.arms.items()
    )
    sets = tuple(
        (
            name,
            f"{about['documents']:,}",
            f"{about['bytes'] / 1000:,.0f}",
            f"{about['dropped']:,}",
            f"{about['short']:,}",
        )
        for name, about in found.sets.items()
    )
    made = [
        TableOf(
            "Arms",
            "",
            ("arm", "its tokens", "trained on", "epochs", "models", "time"),
            arms,
            frozenset({1, 2, 3, 4, 5}),
        ),
        TableOf(
            "Held-out sets",
            "Short ones have under 13 words: they were not looked for in the arms.",
            ("set", "documents", "kB", "left out", "short"),
            sets,
            frozenset({1, 2, 3, 4}),
        ),
    ]
    for measure, lower in LOWER_IS_BETTER.items():
        rows = tuple(_cells(row) for row in found.results.rows if row.measure == measure)
        if rows:
            made.append(
                TableOf(
                    measure[:1].upper() + measure[1:],
                    f"{'Less' if lower else 'More'} is better. Differences are to {found.results.baseline}.",
                    ("set", "arm", "mean", "sigma", "95 % interval", "difference", "interval", "verdict"),
                    rows,
                    frozenset(range(2, 7)),
                )
            )
    return made


def _cells(row: Row) -> tuple[str, ...]:
    one, judged = row.estimate, row.comparison
    digits = 3 if row.measure == CORRECT else 4
    cells = [row.set, row.arm, f"{one.mean:.{digits}f}"]
    cells.append("" if one.sigma is None else f"{one.sigma:.{digits}f}")
    cells.append("" if one.low is None else f"{one.low:.{digits}f} to {one.high:.{digits}f}")
    if judged is None:
        return (*cells, "", "", "")
    between = "" if judged.low is None else f"{judged.low:+.{digits}f} to {judged.high:+.{digits}f}"
    return (*cells, f"{judged.difference:+.{digits}f}", between, judged.verdict)


def as_json(found: Ablation) -> bytes:
    """All figures."""
    content: dict[str, Any] = {
        "plan": found.plan.model_dump(mode="json", exclude={"compute", "storage", "ablation"}),
        "vocabulary": found.vocabulary,
        "parameters": found.parameters,
        "sets": found.sets,
        "unreadable": found.unreadable,
        "left_out": found.left_out,
        "baseline": found.results.baseline,
        "comparisons": found.results.comparisons,
        "headline": headline(found),
        "rows": [asdict(row) for row in found.results.rows],
        "arms": found.results.arms,
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(content, option=options) + b"\n"
