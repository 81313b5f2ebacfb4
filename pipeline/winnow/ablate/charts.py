"""Charts of an ablation: loss curves, and every model's figure beside its arm's interval."""

from winnow.ablate.ablate import Ablation
from winnow.ablate.results import BITS
from winnow.report.page.charts import Drawing, curves, points_and_ranges, short


def loss_curves(found: Ablation) -> Drawing:
    """Mean training loss over seeds, by arm."""
    lines = []
    for name, arm in found.results.arms.items():
        by_step: dict[int, list[float]] = {}
        for seed, curve in arm["curves"].items():
            if seed not in arm["diverged"]:
                for step, loss in curve:
                    by_step.setdefault(step, []).append(loss)
        lines += [
            (name, step * arm["step_tokens"], sum(losses) / len(losses)) for step, losses in sorted(by_step.items())
        ]
    return curves(lines, "tokens", "training loss, nats a token")


def seed_figures(found: Ablation, set_name: str) -> Drawing:
    """Bits a byte of a set: a point a model, and the interval of the arm's mean."""
    rows = [row for row in found.results.rows if row.measure == BITS and row.set == set_name]
    points = [(row.arm, value) for row in rows for value in row.estimate.values]
    ranges = [
        (row.arm, row.estimate.low, row.estimate.high)
        for row in rows
        if row.estimate.low is not None and row.estimate.high is not None
    ]
    return points_and_ranges(points, ranges, f"bits a byte, {short(set_name)}")
