"""How many bands of how many rows: chosen from the threshold by datasketch's optimiser, and judged by one figure.

The figure is the chance that two documents of similarity exactly ``threshold`` share a band, ``1 - (1 - threshold^rows)
^ bands``: only who shares a band is ever compared, so it is the recall that verification cannot win back.

`choose_bands` asks ``datasketch.MinHashLSH`` for the bands and rows within ``num_perm`` that minimise
``w * FP + (1 - w) * FN``, where FP is the area under the curve of that chance below the threshold (pairs compared for
nothing) and FN the area above it from the threshold on (pairs missed). It begins with w = 0.01 and weighs missed pairs
more, half a power of ten at a time, until the chance at the threshold is 99 %: so what is compared for nothing stays as
little as that allows. With 256 permutations:

| threshold | 0.5 | 0.6 | 0.7 | 0.8 | 0.9 | 0.95 |
| --- | --- | --- | --- | --- | --- | --- |
| bands x rows | 48 x 3 | 45 x 4 | 39 x 6 | 32 x 8 | 19 x 13 | 12 x 21 |
| chance at the threshold | 99.84 % | 99.81 % | 99.24 % | 99.72 % | 99.62 % | 99.32 % |
"""

import numpy as np

from winnow.numeric.cached_arrays import Arrays, prepared_arrays

WANTED_CHANCE = 0.99
"""Chance to meet at the threshold from which nothing is said."""
LEAST_CHANCE = 0.5
"""Below, settings are refused: a pair that `threshold` calls duplicates is then more likely missed than found, so the
threshold does not say what the run does. Between the two lies a trade that somebody may want: fewer bands, less
exchange, and the figure told."""

_DEFAULTS = {(0.8, 256): (32, 8)}
"""What the optimiser chooses for the default settings, so that they need no scipy (a second); held by a test."""
_WEIGHTS_OF_NOTHING = (1e-2, 10**-2.5, 1e-3, 10**-3.5, 1e-4, 10**-4.5, 1e-5, 1e-6)
_MOST_ENTRIES = 512
"""Entries that bands are chosen within, where signatures are longer: every pair of numbers is weighed, which takes two
seconds for as many. What is beyond makes the estimate finer."""


def chance_to_meet(similarity: float, bands: int, rows: int) -> float:
    """Probability that two documents of this similarity share a band."""
    return 1.0 - (1.0 - similarity**rows) ** bands


def choose_bands(threshold: float, num_perm: int) -> tuple[int, int]:
    """Bands and rows for a threshold.

    In: 0 < threshold <= 1; num_perm >= 1 entries a signature.
    Out: bands, rows; ``bands * rows <= num_perm``. Where no choice reaches `WANTED_CHANCE`, the one of the greatest
        weight on missed pairs.
    Invariant: the same on every machine; kept on the node's disk, as the optimiser takes a second.
    """
    if (threshold, num_perm) in _DEFAULTS:
        return _DEFAULTS[threshold, num_perm]
    entries = min(num_perm, _MOST_ENTRIES)
    if threshold == 1.0 or entries == 1:  # equal sets have equal signatures: one band of everything finds them all
        return 1, entries
    chosen = prepared_arrays("banding", (threshold, entries), lambda: _optimise(threshold, entries))["chosen"]
    return int(chosen[0]), int(chosen[1])


def _optimise(threshold: float, num_perm: int) -> Arrays:
    from datasketch import MinHashLSH  # noqa: PLC0415 - brings scipy, and is rarely needed

    bands, rows = num_perm, 1
    for weight in _WEIGHTS_OF_NOTHING:
        try:
            chosen = MinHashLSH(threshold, num_perm, weights=(weight, 1.0 - weight))
        except ValueError:  # it refuses its own choice where that is a single band; more weight makes it several
            continue
        bands, rows = chosen.b, chosen.r
        if chance_to_meet(threshold, bands, rows) >= WANTED_CHANCE:
            break
    return {"chosen": np.array([bands, rows])}
