"""What leaves documents out after semantic dedup, step by step; each sees what the one before it left.

1. *Quality*: documents below the threshold.
2. *Prototypes*: the share of each cluster that is nearest to its centre.
3. *Budget*: what does not fit the sample. Its groups (sources, clusters) get their shares of the budget by
   water-filling; inside a group documents stand in the order of a draw weighted by importance and quality.

Quality goes before prototypes, as in D4, which starts from a corpus that a quality filter has already been through:
a share of a cluster is then a share of documents that could be used. The budget goes last, since only then it can be
met.

Legend: N documents.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.section import Section
from winnow.select.quality import quality_log_weights
from winnow.select.step_configs import SampleConfig

BUDGET, QUALITY, PROTOTYPES = range(3)
DROP_RULES = ("select.budget", "select.quality", "select.prototypes")
"""By which step a document was left out: names in the ledger's column ``rule``."""


class StepsConfig(Section):
    """The settings of all steps, gathered; None where a step is off."""

    threshold: float | None
    """Smallest quality."""
    drop_share: float | None
    """Share of prototypes."""
    sample: SampleConfig | None
    """The budget."""
    importance: bool
    """Whether importance weighs the draw."""
    max_features: int | None
    """How many features importance counts for at most (``ImportanceConfig``)."""
    quality_temperature: float | None
    """None draws without quality."""


@dataclass(frozen=True)
class Candidates:
    """What the steps look at, column by column; a column that no step looks at may be None."""

    docs: NDArray[np.uint64]
    """uint64[N], distinct."""
    source: NDArray[np.integer]
    """int[N], position of the source."""
    tokens: NDArray[np.int64]
    """int64[N]."""
    cluster: NDArray[np.integer]
    """int[N], -1 without a vector."""
    centre_cosine: NDArray[np.float32] | None = None
    """float32[N]."""
    log_weight: NDArray[np.float64] | None = None
    """float64[N] of importance."""
    quality: NDArray[np.float64] | None = None
    """float64[N] in 0 to 1, NaN without a vector."""


@dataclass(frozen=True)
class SelectionResult:
    """What became of each document."""

    rule: NDArray[np.int8]
    """int8[N] into ``DROP_RULES``; -1 where it is in."""
    value: NDArray[np.float32]
    """float32[N]: quality, cosine with the centre, or place in the order; 0 where it is in."""
    limit: NDArray[np.float32]
    """float32[N]: the limit that the value was compared with."""
    seen: dict[int, NDArray[np.bool_]]
    """By step that was on, in order: bool[N], the documents that it saw."""

    @staticmethod
    def of(documents: int) -> "SelectionResult":
        """All are in, and no step has looked."""
        zeros = np.zeros((2, documents), np.float32)
        return SelectionResult(np.full(documents, -1, np.int8), zeros[0], zeros[1], {})

    def see(self, step: int) -> NDArray[np.int64]:
        """int64[K]: the documents that are still in, which this step looks at."""
        self.seen[step] = self.rule < 0
        return np.flatnonzero(self.seen[step])

    def drop(
        self,
        step: int,
        rows: NDArray[np.int64],
        values: NDArray[np.floating],
        limits: NDArray[np.floating] | float,
    ) -> None:
        """The step leaves out documents int64[K] for values [K] and limits [K]."""
        self.rule[rows], self.value[rows], self.limit[rows] = step, values, limits


def leave_out_low_quality(candidates: Candidates, config: StepsConfig, result: SelectionResult) -> None:
    """The first step, where it is on; it looks at each document alone."""
    if config.threshold is None:
        return
    assert candidates.quality is not None
    rows = result.see(QUALITY)
    low = rows[candidates.quality[rows] < config.threshold]  # NaN is not below
    result.drop(QUALITY, low, candidates.quality[low], config.threshold)


def draw_log_weight(candidates: Candidates, config: StepsConfig) -> NDArray[np.float64] | None:
    """Logarithms float64[N] of the weights in the draw: those of importance and of quality add up."""
    weight = candidates.log_weight
    if config.quality_temperature is not None:
        assert candidates.quality is not None
        odds = quality_log_weights(candidates.quality, config.quality_temperature)
        weight = odds if weight is None else weight + odds
    return weight
