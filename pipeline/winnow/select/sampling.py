"""A sample of so many tokens, exact to one document, repeatable, and monotone in the budget.

Everything rests on one order of all documents that does not depend on the budget: the sample is its longest prefix
within the budget. A larger budget takes a longer prefix, so it holds the smaller sample. A run draws it range by range
(:mod:`winnow.select.sample_order`).

Inside a stratum (cluster) documents stand in the order of a keyed hash, or of Gumbel keys where documents have weights:
sorting by ``ln w + G``, with G independent Gumbel noise, draws without replacement in proportion to w. Strata are
merged by *level*: a document's level is the tokens before it in its stratum, over the stratum's weight. Filling all
strata up to a common level is water-filling: each gives its weight's share, small ones are used up, and what they
cannot give the others do. Sources are merged from their strata in the same way.

Sources: T. Vieira, "Gumbel-max trick and weighted reservoir sampling" (2014); P. Efraimidis and P. Spirakis (2006).

Legend: N documents.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.shards.order import keyed_hash, unit_interval

_TAG = 0x627564676574  # "budget": draws share no keys with splits and orders


def draw_keys(docs: NDArray[np.uint64], log_weight: NDArray[np.float64] | None, seed: int) -> NDArray[np.float64]:
    """Gumbel keys float64[N]: the largest come first."""
    place = unit_interval(keyed_hash((seed, _TAG), docs[:, None])[:, 0]) + 2.0**-54  # never 0
    noise = -np.log(-np.log(place))
    return noise if log_weight is None else noise + log_weight


def stratum_levels(
    strata: NDArray[np.integer],
    order: NDArray[np.int64],
    tokens: NDArray[np.int64],
    shares: NDArray[np.float64] | None,
    temperature: float,
) -> NDArray[np.float64]:
    """Level float64[N]: tokens before each document in its stratum, over the stratum's weight.

    Args:
        strata: int[N, 1 or 2]; weights are compared inside the first column.
        order: int64[N], the order inside strata.
        tokens: int64[N].
        shares: weights by stratum; None = tokens of the stratum ** temperature.
        temperature: see ``shares``.
    """
    _, stratum = np.unique(strata, axis=0, return_inverse=True)
    stratum = stratum.reshape(-1)
    grouped = order[np.argsort(stratum[order], kind="stable")]
    of_group = stratum[grouped]
    before = np.cumsum(tokens[grouped]) - tokens[grouped]
    firsts = np.flatnonzero(np.diff(of_group, prepend=-1))
    sizes = np.diff(np.append(firsts, len(grouped)))
    before = before - np.repeat(before[firsts], sizes)
    if shares is None:
        sums = np.add.reduceat(tokens[grouped], firsts) if len(firsts) else np.empty(0)
        weight = sums.astype(np.float64) ** temperature
    else:
        weight = shares[strata[grouped[firsts], 0]]
    level = np.empty(len(tokens), np.float64)
    with np.errstate(invalid="ignore"):  # a stratum without tokens weighs nothing; its documents come last
        level[grouped] = before / np.repeat(weight, sizes)
    return level
