"""From mixtures that were tried to the one predicted to be best, and how sure that is.

As RegMix (Liu et al., 2024, "RegMix: Data Mixture as Regression for Language Model Pre-training") has it: a regression
from shares to loss, fitted to many tiny models, predicts the loss of mixtures that nobody tried. Two are fitted, one
linear in the shares and their logarithms, one of boosted trees; the one that predicts left-out mixtures better is used.

Legend: N mixtures tried, K sources, C candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.float64]
CANDIDATES = 5000
TOP = 50
"""Candidates whose mean is taken as the best: one alone would be the luckiest."""
RESAMPLES = 40
"""Bootstrap samples of the mixtures tried, from which the uncertainty comes."""
_LEAST = 0.01
"""Added to shares before the logarithm: below it, a source hardly matters."""


@dataclass(frozen=True)
class Predicted:
    """What the regression says."""

    regression: str
    """Which one predicts left-out mixtures better: ``linear`` or ``boosting``."""
    errors: dict[str, float]
    """Of both: root mean square error of predictions of left-out mixtures, in bits a byte."""
    rank_correlation: float
    """Of predictions of left-out mixtures with what was measured (Spearman), by the one that is used."""
    best: Shares
    """float64[K]."""
    low: Shares
    """float64[K], the 5 % quantile of the best share over bootstrap samples."""
    high: Shares
    """float64[K], the 95 % quantile."""
    gain: float
    """Bits a byte that the best is predicted to need less than natural shares."""
    gain_low: float
    gain_high: float
    """5 % and 95 % quantiles of the gain over bootstrap samples."""


def draw(number: int, most: Shares, seed: int) -> Shares:
    """Mixtures drawn evenly from all whose shares can be reached: float64[number, K], rows that add up to 1.

    Args:
        number: of mixtures.
        most: float64[K], the largest share of each source.
        seed: of the draw.

    Raises:
        ValueError: hardly any mixture can be reached.
    """
    rng = np.random.default_rng(seed)
    found: list[Shares] = []
    for _ in range(200):
        drawn = rng.dirichlet(np.ones(len(most)), 4 * number)
        found += list(drawn[(drawn <= most).all(1)])
        if len(found) >= number:
            return np.array(found[:number])
    raise ValueError("hardly any mixture can be reached")


def predict(shares: Shares, measured: Shares, natural: Shares, candidates: Shares, seed: int) -> Predicted:
    """Fit both regressions and take the better one's best mixture.

    Args:
        shares: float64[N, K] of the mixtures tried.
        measured: float64[N], what is to be small.
        natural: float64[K].
        candidates: float64[C, K].
        seed: of the bootstrap.
    """
    from scipy.stats import spearmanr  # noqa: PLC0415 - an extra

    left_out = {name: _left_out(fit, shares, measured) for name, fit in REGRESSIONS.items()}
    errors = {name: float(np.sqrt(np.mean((found - measured) ** 2))) for name, found in left_out.items()}
    used = min(errors, key=lambda name: errors[name])
    best, gain = _best(REGRESSIONS[used](shares, measured), candidates, natural)
    rng = np.random.default_rng(seed)
    bests, gains = [], []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(shares), len(shares))
        one, its_gain = _best(REGRESSIONS[used](shares[drawn], measured[drawn]), candidates, natural)
        bests.append(one)
        gains.append(its_gain)
    low, high = np.quantile(bests, (0.05, 0.95), axis=0)
    gain_low, gain_high = np.quantile(gains, (0.05, 0.95))
    rank = spearmanr(left_out[used], measured).statistic
    return Predicted(used, errors, float(rank), best, low, high, gain, float(gain_low), float(gain_high))


def _best(model: Any, candidates: Shares, natural: Shares) -> tuple[Shares, float]:
    """The mean of the best candidates, and the gain that is predicted for it."""
    order = np.argsort(model(candidates), kind="stable")[:TOP]
    best: Shares = candidates[order].mean(0)
    expected, as_is = model(np.stack([best, natural]))
    return best, float(as_is - expected)


def _left_out(fit: "Fit", shares: Shares, measured: Shares) -> Shares:
    """float64[N]: each mixture as predicted from all others."""
    found = np.empty(len(shares))
    for place in range(len(shares)):
        others = np.arange(len(shares)) != place
        found[place] = fit(shares[others], measured[others])(shares[place : place + 1])[0]
    return found


def _linear(shares: Shares, measured: Shares) -> Callable[[Shares], Shares]:
    from sklearn.linear_model import Ridge  # noqa: PLC0415 - an extra

    def features(of: Shares) -> Shares:
        return np.hstack([of, np.log(of + _LEAST)])

    model = Ridge(alpha=1e-3).fit(features(shares), measured)
    return lambda of: np.asarray(model.predict(features(of)))


def _boosting(shares: Shares, measured: Shares) -> Callable[[Shares], Shares]:
    from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415 - an extra

    model = GradientBoostingRegressor(n_estimators=80, learning_rate=0.1, max_depth=2, random_state=0)
    model.fit(shares, measured)
    return lambda of: np.asarray(model.predict(of))


Fit = Callable[[Shares, Shares], Callable[[Shares], Shares]]
REGRESSIONS: dict[str, Fit] = {"linear": _linear, "boosting": _boosting}
