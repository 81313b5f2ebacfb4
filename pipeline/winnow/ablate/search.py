"""A search for a mixture: many tiny models at random mixtures, a regression, and a check of what it predicts."""

from dataclasses import dataclass

import numpy as np

from winnow.ablate.ablate import Ablation, check_packages, open_ablation, run_trials, training_of
from winnow.ablate.arms import Arm, make_arms
from winnow.ablate.plan import ArmConfig
from winnow.ablate.regression import CANDIDATES, Predicted, Shares, draw, predict
from winnow.ablate.results import BITS
from winnow.ablate.search_plan import BEST, NATURAL, TRIED, SearchPlan
from winnow.engine.doing import say
from winnow.engine.engine import Engine
from winnow.engine.stopping import Stop
from winnow.errors import ConfigError
from winnow.storage.store import Store

REACHED = 0.9
"""Of the text that a source has for a split, as far as it may be used: whole documents do not come out even."""
WIDER = 10
"""Times what a model reads that a mixture's arm holds, where its sources have so much: in an arm of just what is read,
one long document is a large part of a source's share, and a chance that is not counted."""


@dataclass
class Search:
    """What a search found."""

    sources: tuple[str, ...]
    natural: Shares
    """float64[K]: shares of the tokens that the base keeps."""
    shares: Shares
    """float64[N, K] of the mixtures tried."""
    measured: Shares
    """float64[N]: the goal, in bits a byte."""
    goal: dict[str, float]
    """Weights of the sets, which add up to 1."""
    predicted: Predicted
    check: Ablation
    """Natural shares against the best, with all seeds."""
    cost: str
    """Of everything."""
    diverged: int
    """Mixtures whose model diverged: the regression does without them."""


def search_mixture(plan: SearchPlan, stop: Stop | None = None) -> Search:
    """Do what is missing of a search.

    Raises:
        ConfigError, InputError: the plan cannot be done; the message says why. Others: as an ablation.
    """
    check_packages()
    stop = stop or Stop()
    with open_ablation(plan, stop) as (store, engine):
        return _search(plan, stop, store, engine)


def _search(plan: SearchPlan, stop: Stop, store: Store, engine: Engine) -> Search:
    natural_arm = ArmConfig(name=NATURAL)
    (natural,) = make_arms(plan.plan([natural_arm], 1), stop, store)
    tokens_of = _tokens(natural)
    tokens = plan.train.equal_tokens or 0
    once = _once(natural, list(tokens_of.values()))
    assert natural.run is not None
    most = once * natural.run.config.shards.max_epochs / tokens
    try:
        shares, candidates = draw(plan.runs, most, plan.seed), draw(CANDIDATES, most, plan.seed + 1)
    except ValueError as error:
        raise ConfigError(
            f"{error}: a model reads {tokens:,} tokens, and the sources have {sum(tokens_of.values()):,}, each taken "
            "`shards.max_epochs` times at most; give `train.tokens` a smaller number, or more text"
        ) from error
    cost = _cost(plan, natural)
    say(cost)

    def arm(name: str, row: Shares) -> ArmConfig:
        named = {source: round(float(share), 4) for source, share in zip(tokens_of, row, strict=True)}
        return plan.arm(name, named, tokens_of_arm(row, once, tokens))

    tried = [arm(TRIED.format(number), row) for number, row in enumerate(shares)]
    made = plan.plan([natural_arm, *tried], 1)
    found = run_trials(made, make_arms(made, stop, store), engine, store)
    goal = _goal(plan, found)
    scores = [_score(found, entry.name, goal) for entry in tried]
    there = [place for place, score in enumerate(scores) if score is not None]
    if len(there) < plan.runs // 2:
        raise ConfigError(f"{plan.runs - len(there)} of {plan.runs} models diverged; give `train.learning_rate` less")
    measured = np.array([score for score in scores if score is not None])
    of_base = np.array(list(tokens_of.values()), np.float64) / sum(tokens_of.values())
    predicted = predict(shares[there], measured, of_base, candidates, plan.seed)
    made = plan.plan([natural_arm, arm(BEST, predicted.best)], plan.train.seeds)
    check = run_trials(made, make_arms(made, stop, store), engine, store)
    lost = plan.runs - len(there)
    return Search(tuple(tokens_of), of_base, shares[there], measured, goal, predicted, check, cost, lost)


def _tokens(natural: Arm) -> dict[str, int]:
    """Tokens that the base keeps of each source.

    Raises:
        ConfigError: one has no text, or there is one alone.
    """
    assert natural.run is not None
    found = {name: int(source["tokens"]) for name, source in natural.run.manifest["sources"].items()}
    if empty := [name for name, tokens in found.items() if not tokens]:
        raise ConfigError(f"base: nothing of source {empty[0]} is kept; leave it out of what is mixed")
    if len(found) < 2:
        raise ConfigError("base: it has one source; a mixture needs two at least")
    return found


def _once(natural: Arm, kept: list[int]) -> Shares:
    """float64[K]: tokens that each source has for split train."""
    assert natural.run is not None
    return np.array(kept) * (1 - sum(natural.run.config.shards.splits.values())) * REACHED


def tokens_of_arm(shares: Shares, once: Shares, tokens: int) -> int:
    """How much text the arm of a mixture holds: as much as its sources have once, between what is read and WIDER times.

    Args:
        shares: float64[K].
        once: float64[K], tokens that each source has.
        tokens: what a model reads.
    """
    most = float(np.min(once[shares > 0] / shares[shares > 0]))
    return int(np.clip(most, tokens, WIDER * tokens))


def _goal(plan: SearchPlan, found: Ablation) -> dict[str, float]:
    """Weights of all sets, parts of one sharing its weight; they add up to 1.

    Raises:
        ConfigError: there is no such set.
    """
    given = plan.goal or {entry.name: 1.0 for entry in plan.evaluate.sets}
    weights: dict[str, float] = {}
    for name, weight in given.items():
        judged = [one for one, about in found.sets.items() if about["documents"]]
        parts = [one for one in judged if one == name or one.startswith(f"{name}/")]
        if not parts:
            raise ConfigError(f"goal: there is no held-out set {name!r}; there are {', '.join(found.sets)}")
        for part in parts:
            weights[part] = weights.get(part, 0.0) + weight / len(parts)
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def _score(found: Ablation, arm: str, goal: dict[str, float]) -> float | None:
    """The goal of an arm's model; None where it diverged."""
    bits = {row.set: row.estimate.mean for row in found.results.rows if row.measure == BITS and row.arm == arm}
    return sum(weight * bits[name] for name, weight in goal.items()) if bits else None


def _cost(plan: SearchPlan, natural: Arm) -> str:
    """Of all models of a search together, as if none were done."""
    from winnow.ablate.cost import cost_of  # noqa: PLC0415 - torch, an extra

    training = training_of(plan.plan([ArmConfig(name=NATURAL)], 1), natural, plan.train.first_seed)
    everything = [training] * (plan.runs + 2 * plan.train.seeds)
    told = cost_of(everything, 0, natural.row, plan.train.threads, plan.compute)
    return f"the whole search, {plan.runs} mixtures and {plan.train.seeds} seeds of two arms to check: {told.sentence}"
