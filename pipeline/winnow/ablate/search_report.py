"""A search for a mixture as tables and JSON."""

import orjson

from winnow.ablate.regression import RESAMPLES
from winnow.ablate.results import BITS
from winnow.ablate.search import Search
from winnow.ablate.search_plan import BEST
from winnow.audit.tables import TableOf

JSON = "search.json"


def measured_gain(found: Search) -> float | None:
    """Bits a byte of the goal that the best mixture needed less than natural shares; None where an arm diverged."""
    rows = {
        row.set: row.comparison.difference
        for row in found.check.results.rows
        if row.measure == BITS and row.arm == BEST and row.comparison is not None
    }
    if not found.goal.keys() <= rows.keys():
        return None
    return -sum(weight * rows[name] for name, weight in found.goal.items())


def search_tables(found: Search) -> list[TableOf]:
    """Shares by source, and the mixtures that were tried, best first."""
    predicted = found.predicted
    shares = tuple(
        (name, f"{natural:.3f}", f"{best:.3f}", f"{low:.3f} to {high:.3f}")
        for name, natural, best, low, high in zip(
            found.sources, found.natural, predicted.best, predicted.low, predicted.high, strict=True
        )
    )
    order = found.measured.argsort(kind="stable").tolist()
    shown = order if len(order) <= 10 else [*order[:5], *order[-5:]]
    tried = tuple((f"{found.measured[at]:.4f}", *(f"{share:.3f}" for share in found.shares[at])) for at in shown)
    return [
        TableOf(
            "Shares", f"Ranges: 5 % to 95 % over {RESAMPLES} bootstrap samples of the mixtures.",
            ("source", "natural", "best", "range"), shares, frozenset({1, 2, 3}),
        ),
        TableOf(
            "Mixtures tried" + (", the five best and the five worst" if len(order) > 10 else ""), "",
            ("goal, bits a byte", *found.sources), tried, frozenset(range(1 + len(found.sources))),
        ),
    ]  # fmt: skip


def search_notes(found: Search) -> list[str]:
    """What readers of the tables have to know."""
    predicted, gain = found.predicted, measured_gain(found)
    errors = ", ".join(f"{name} {error:.4f}" for name, error in predicted.errors.items())
    lines = [
        found.cost,
        f"Regression: {predicted.regression}; error of left-out mixtures in bits a byte: {errors}; rank correlation "
        f"{predicted.rank_correlation:.2f}; the mixtures tried differ by {found.measured.std(ddof=1):.4f} (standard "
        "deviation).",
        f"Predicted to need {predicted.gain:.4f} bits a byte less than natural shares ({predicted.gain_low:.4f} to "
        f"{predicted.gain_high:.4f})" + ("." if gain is None else f"; measured: {gain:.4f}."),
    ]
    if found.diverged:
        lines.append(f"{found.diverged} models diverged; the regression does without them.")
    return lines


def as_json(found: Search) -> bytes:
    """All figures; ``mixture`` is as `shards.mixture` takes it."""
    predicted = found.predicted
    content = {
        "mixture": dict(zip(found.sources, predicted.best.round(4).tolist(), strict=True)),
        "sources": found.sources,
        "natural": found.natural.tolist(),
        "low": predicted.low.tolist(),
        "high": predicted.high.tolist(),
        "goal": found.goal,
        "tried": [
            {"shares": shares, "goal": goal}
            for shares, goal in zip(found.shares.tolist(), found.measured.tolist(), strict=True)
        ],
        "regression": predicted.regression,
        "errors": predicted.errors,
        "rank_correlation": predicted.rank_correlation,
        "gain": {"predicted": predicted.gain, "low": predicted.gain_low, "high": predicted.gain_high},
        "measured_gain": measured_gain(found),
        "diverged": found.diverged,
        "cost": found.cost,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"
