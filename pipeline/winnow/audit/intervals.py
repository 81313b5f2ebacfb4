"""Shares with the range that the sample leaves open."""

import math
from dataclasses import dataclass
from statistics import NormalDist

_Z = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations


@dataclass(frozen=True)
class Share:
    """So many of so many, and the 95 % interval of the share behind it."""

    hits: int
    of: int
    share: float | None
    """None where there was nothing to count."""
    low: float
    high: float


def share_of(hits: int, of: int, *, effect: float = 1.0, comparisons: int = 1) -> Share:
    """A share with its 95 % interval (Wilson score).

    Args:
        hits: so many.
        of: of so many.
        effect: design effect: ``of`` tell as much as ``of / effect`` that are independent of each other.
        comparisons: intervals of which all together are to hold with 95 % (Bonferroni).

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    if of == 0:
        return Share(0, 0, None, 0.0, 1.0)
    share, told = hits / of, of / effect
    z = _Z if comparisons <= 1 else NormalDist().inv_cdf(1 - 0.025 / comparisons)
    spread = z * math.sqrt(share * (1 - share) / told + z * z / (4 * told * told))
    middle = share + z * z / (2 * told)
    scale = 1 + z * z / told
    # rounding must not push the ends of 0 and 1 past them
    low = 0.0 if hits == 0 else (middle - spread) / scale
    high = 1.0 if hits == of else (middle + spread) / scale
    return Share(hits, of, share, low, high)
