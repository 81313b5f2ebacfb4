"""What the steps of select are, with all documents at hand: what a run decides part by part and range by range."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.select.prototypes import nearest_to_centre
from winnow.select.sampling import draw_keys, stratum_levels
from winnow.select.step_configs import SampleConfig
from winnow.select.steps import (
    BUDGET,
    PROTOTYPES,
    Candidates,
    SelectionResult,
    StepsConfig,
    draw_log_weight,
    leave_out_low_quality,
)


def take_steps(candidates: Candidates, config: StepsConfig, shares: NDArray[np.float64] | None) -> SelectionResult:
    """All steps, in order.

    Args:
        candidates: what semantic dedup left.
        config: which steps are on.
        shares: float64[sources] of the budget, or None.
    """
    result = SelectionResult.of(len(candidates.docs))
    leave_out_low_quality(candidates, config, result)
    if config.drop_share is not None:
        assert candidates.centre_cosine is not None
        rows = result.see(PROTOTYPES)
        cosine = candidates.centre_cosine[rows]
        dropped, cut = nearest_to_centre(candidates.docs[rows], candidates.cluster[rows], cosine, config.drop_share)
        result.drop(PROTOTYPES, rows[dropped], cosine[dropped], cut[dropped])
    if config.sample is not None:
        rows = result.see(BUDGET)
        weight = draw_log_weight(candidates, config)
        draw = draw_sample(
            candidates.docs[rows],
            candidates.tokens[rows],
            candidates.source[rows],
            candidates.cluster[rows],
            None if weight is None else weight[rows],
            config.sample,
            shares,
        )
        out = ~draw.taken
        result.drop(BUDGET, rows[out], draw.level[out], draw.water)
    return result


@dataclass(frozen=True)
class Draw:
    """Which documents are in, bool[N]; their levels float64[N] in the order; the first level left out (inf: none)."""

    taken: NDArray[np.bool_]
    level: NDArray[np.float64]
    water: float


def draw_sample(
    docs: NDArray[np.uint64],
    tokens: NDArray[np.int64],
    source: NDArray[np.integer],
    cluster: NDArray[np.integer],
    log_weight: NDArray[np.float64] | None,
    config: SampleConfig,
    shares: NDArray[np.float64] | None,
) -> Draw:
    """Draw the sample.

    Args:
        docs: uint64[N], distinct.
        tokens: int64[N].
        source: int[N], places in ``shares``.
        cluster: int[N].
        log_weight: float64[N] natural logarithms of importance weights; None draws all alike.
        config: budget, temperature, seed.
        shares: float64[sources], or None.
    """
    key = draw_keys(docs, log_weight, config.seed)
    order = np.lexsort((docs, -key))
    level = np.arange(len(docs), dtype=np.float64)
    level[order] = level.copy()
    if config.cluster_temperature is not None:
        strata = np.stack([source, cluster], axis=1)
        level = stratum_levels(strata, order, tokens, None, config.cluster_temperature)
        order = np.lexsort((docs, -key, level))
    if shares is not None or config.cluster_temperature is not None:  # else clusters would move shares between sources
        level = stratum_levels(np.asarray(source)[:, None], order, tokens, shares, 1.0)
        order = np.lexsort((docs, -key, level))
    filled = np.cumsum(tokens[order])
    number = int(np.searchsorted(filled, config.target_tokens, side="right"))
    taken = np.zeros(len(docs), np.bool_)
    taken[order[:number]] = True
    water = float(level[order[number]]) if number < len(order) else float("inf")
    return Draw(taken, level, water)
