"""What verifying a pair means: how many equal entries of two signatures decide it, and when the texts do.

With P permutations, two documents of similarity J agree in a binomial number of entries (P, J): the share of equal
entries is an estimate of J with standard error sqrt(J (1 - J) / P). A pair far enough from the threshold is decided
by it; the others need the true Jaccard similarity of the two sets of shingles.

| verify | ruled out by signatures | accepted by signatures |
| --- | --- | --- |
| `exact` | 5 standard errors below the threshold | never |
| `signature` | 3 below | 3 above |
| `estimate` | everything below the threshold | everything else |

What that costs at 256 permutations and threshold 0.8 (exact binomial tails): `exact` rules out one in 10^6 pairs that
lie at the threshold. `signature` rules out one in 550 of those (one in 12,000 at 0.82), and accepts one in 900 that lie
just below it (one in 14,000 at 0.78, one in 1.8 million at 0.75). At other thresholds from 0.5 to 0.9, and from 128
permutations on, it accepts at most one in 580 and rules out at most one in 240.
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Verify = Literal["exact", "signature", "estimate"]

ACCEPTED_ERRORS = 3.0
"""Standard errors from the threshold at which `signature` takes the estimate's word."""
RULED_OUT_ERRORS = 5.0
"""Standard errors below the threshold at which `exact` does without the texts."""


class Verification(NamedTuple):
    """How the pairs of a run are verified."""

    threshold: float
    num_perm: int
    reject_below: int
    """Fewest equal entries of a pair that may reach the threshold."""
    accept_from: int
    """Fewest equal entries at which the signatures alone say that it does; over ``num_perm``: they never do."""

    @property
    def reads_texts(self) -> bool:
        """Whether there are pairs that the signatures do not decide."""
        return self.accept_from > self.reject_below

    def similarity(
        self, agreeing: NDArray[np.integer[Any]] | int, true: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
        """The similarity that counts for each pair, float64[N] (or of a single pair); 0 where signatures rule it out.

        Args:
            agreeing: int[N], equal entries.
            true: float64[N], Jaccard similarity of the sets; of no meaning where the signatures decide a pair.
        """
        return np.where(
            agreeing >= self.accept_from, agreeing / self.num_perm, np.where(agreeing >= self.reject_below, true, 0.0)
        )


def verification(verify: Verify, threshold: float, num_perm: int) -> Verification:
    """The bounds of a way to verify.

    Args:
        verify: which.
        threshold: least similarity that removes, above 0, at most 1.
        num_perm: entries a signature.

    Raises:
        ValueError: the threshold is not in (0, 1].
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold ({threshold}) must be above 0 and at most 1; 0.8 is usual")
    if verify == "estimate":
        least = _least_agreeing(threshold, num_perm)
        return Verification(threshold, num_perm, least, least)
    error = math.sqrt(max(threshold * (1.0 - threshold), 1.0 / num_perm) / num_perm)
    below = RULED_OUT_ERRORS if verify == "exact" else ACCEPTED_ERRORS
    reject_below = _least_agreeing(threshold - below * error, num_perm)
    if verify == "exact":
        return Verification(threshold, num_perm, reject_below, num_perm + 1)
    return Verification(
        threshold, num_perm, reject_below, _least_agreeing(threshold + ACCEPTED_ERRORS * error, num_perm)
    )


def _least_agreeing(share: float, num_perm: int) -> int:
    """Fewest equal entries c, at least 1, with c / num_perm >= share."""
    count = max(1, math.ceil(share * num_perm) - 1)
    while count / num_perm < share:
        count += 1
    return count
