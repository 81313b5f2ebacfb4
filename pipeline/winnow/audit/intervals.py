"""Shares with the range that the sample leaves open."""

import math
from dataclasses import dataclass

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


def share_of(hits: int, of: int) -> Share:
    """A share with its 95 % interval (Wilson score).

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    if of == 0:
        return Share(0, 0, None, 0.0, 1.0)
    share = hits / of
    spread = _Z * math.sqrt(share * (1 - share) / of + _Z * _Z / (4 * of * of))
    middle = share + _Z * _Z / (2 * of)
    scale = 1 + _Z * _Z / of
    # rounding must not push the ends of 0 and 1 past them
    low = 0.0 if hits == 0 else (middle - spread) / scale
    high = 1.0 if hits == of else (middle + spread) / scale
    return Share(hits, of, share, low, high)
