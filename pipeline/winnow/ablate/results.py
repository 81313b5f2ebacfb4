"""What came out of the trials: by measure and arm a mean over seeds, its spread, and how it compares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from winnow.ablate.arms import Arm
from winnow.ablate.judge import Comparison, Estimate, compare, estimate
from winnow.engine.records import Json, Record

BITS, CORRECT, ANSWER_BITS = "bits a byte", "share right", "bits a byte of the right answer"
LOWER_IS_BETTER = {BITS: True, CORRECT: False, ANSWER_BITS: True}


@dataclass(frozen=True)
class Row:
    """One measure of one arm."""

    measure: str
    """What is measured: BITS, CORRECT, ANSWER_BITS."""
    set: str
    arm: str
    estimate: Estimate
    comparison: Comparison | None
    """None of the baseline, and where the baseline has no figures."""


@dataclass
class Results:
    """All of an ablation."""

    baseline: str
    rows: list[Row]
    comparisons: int
    """Together they hold with 95 %."""
    arms: dict[str, Json] = field(default_factory=dict)
    """By arm: what it was trained on, curves, and which seeds diverged."""


def results_of(
    arms: Sequence[Arm], baseline: str, trials: Mapping[str, Sequence[tuple[int, Record]]], step_tokens: int
) -> Results:
    """Add up the trials.

    Args:
        arms: in the order of the plan.
        baseline: name of the one that others are compared with.
        trials: by arm, seeds and records.
        step_tokens: tokens of a step.
    """
    scores = {arm.name: _scores([record for _, record in trials[arm.name]]) for arm in arms}
    measures = list(dict.fromkeys(key for found in scores.values() for key in found))
    others = [arm.name for arm in arms if arm.name != baseline]
    compared = max(1, sum(key in scores[name] and key in scores[baseline] for key in measures for name in others))
    found = []
    for measure, set_name in measures:
        key = measure, set_name
        estimates = {name: estimate(values[key]) for name, values in scores.items() if key in values}
        for name, one in estimates.items():
            against = estimates.get(baseline) if name != baseline else None
            judged = None
            if against is not None:
                judged = compare(one, against, comparisons=compared, lower_is_better=LOWER_IS_BETTER[measure])
            found.append(Row(measure, set_name, name, one, judged))
    about = {arm.name: _about(arm, trials[arm.name], step_tokens) for arm in arms}
    return Results(baseline, found, compared, about)


def _scores(records: Sequence[Record]) -> dict[tuple[str, str], list[float]]:
    """Figures of an arm's models that did not diverge, seed by seed."""
    found: dict[tuple[str, str], list[float]] = {}
    for record in records:
        for name, bits in record.metadata["bits"].items():
            found.setdefault((BITS, name), []).append(bits)
        for name, (correct, bits) in record.metadata["choices"].items():
            found.setdefault((CORRECT, name), []).append(correct)
            found.setdefault((ANSWER_BITS, name), []).append(bits)
    return found


def _about(arm: Arm, trials: Sequence[tuple[int, Record]], step_tokens: int) -> Json:
    tokens = trials[0][1].counters["tokens"]
    return {
        "shards": arm.shards,
        "tokens_of_arm": arm.tokens,
        "tokens": tokens,
        "epochs": arm.epochs(tokens),
        "step_tokens": step_tokens,
        "seconds": sum(record.metrics["seconds"] for _, record in trials),
        "diverged": {seed: record.metadata["diverged"] for seed, record in trials if record.metadata["diverged"]},
        "curves": {seed: record.metadata["curve"] for seed, record in trials},
    }
