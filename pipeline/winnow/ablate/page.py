"""The report of an ablation as one self-contained HTML file."""

from collections.abc import Sequence

from winnow.ablate.ablate import Ablation
from winnow.ablate.charts import loss_curves, seed_figures
from winnow.ablate.report import headline, notes, tables
from winnow.ablate.results import BITS
from winnow.audit.page import page_of
from winnow.audit.tables import TableOf
from winnow.report.page.charts import are_drawn
from winnow.report.page.parts import Figure

UNDRAWN = "Charts need another package: pip install 'winnow-corpus[report]'."


def ablation_page(found: Ablation, more: Sequence[TableOf] = (), said: Sequence[str] = ()) -> str:
    """The page; without charts where the package that draws them is not installed.

    Args:
        found: what came out.
        more: tables above its own.
        said: sentences above its own.
    """
    figures, told = [], [*said, *notes(found)]
    if are_drawn():
        figures = [Figure("Training loss, the mean over seeds", loss_curves(found))]
        sets = dict.fromkeys(row.set for row in found.results.rows if row.measure == BITS)
        figures += [
            Figure(f"{name}: a point a model, and the 95 % interval of the arm's mean", seed_figures(found, name))
            for name in sets
        ]
    else:
        told.append(UNDRAWN)
    diverged = any(arm["diverged"] for arm in found.results.arms.values())
    return page_of(
        "Ablation",
        found.plan.ablation,
        headline(found),
        good=not diverged,
        tables=[*more, *tables(found)],
        notes=told,
        figures=figures,
        settings=found.cost,
    )
