"""A whole ablation: arms, held-out text, cost, trials, and what came out."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from winnow.ablate.arms import Arm, make_arms
from winnow.ablate.plan import Experiment, Plan
from winnow.ablate.results import Results, results_of
from winnow.engine.doing import say
from winnow.engine.engine import Engine
from winnow.engine.executors.processes import ended_at_the_end
from winnow.engine.lease import hold_lease
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stopping import Stop
from winnow.errors import ConfigError
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

if TYPE_CHECKING:
    from winnow.ablate.train import Training

log = logging.getLogger("winnow")
TRIAL_BYTES = 64_000_000
"""What a trial counts as in the engine's choice of who does it: worth a worker, and no cluster of its own."""
_NEEDED = ("torch", "scipy", "sklearn")


@dataclass
class Ablation:
    """What came out, and of what."""

    plan: Plan
    results: Results
    sets: dict[str, Json]
    """By set, its size and what was left out of it."""
    vocabulary: Json
    row: int
    parameters: int
    cost: str
    unreadable: int
    """Records of held-out files that could not be read."""
    left_out: int
    """Items without choices of which one is right."""
    reused: int = 0
    """Trials that were done before."""


def check_packages() -> None:
    """Look whether what trains and judges is installed.

    Raises:
        ConfigError: it is not.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ConfigError(f"{', '.join(missing)}: not installed; pip install 'winnow-corpus[ablate]'")


@contextlib.contextmanager
def open_ablation(plan: Experiment, stop: Stop) -> Iterator[tuple[Store, Engine]]:
    """The folder of an experiment, which this process owns while it lasts, and the engine that works there.

    Raises:
        LeaseHeldError: another process owns it.
    """
    stop.grace_seconds = plan.compute.grace_seconds
    store = open_store(plan.ablation, plan.storage)
    with ended_at_the_end(), hold_lease(store) as lease:
        store.remove_drafts_here()
        compute = plan.compute
        if plan.train.workers > 1:  # those of one trial are at work, and this process waits for them
            compute = compute.model_copy(update={"executor": "inline"})
        yield store, Engine(store, compute, guard=lease.check, stop=stop)


def ablate(plan: Plan, stop: Stop | None = None) -> Ablation:
    """Do what is missing of an ablation.

    Raises:
        ConfigError, InputError: the plan cannot be done; the message says why. StageFailedError: a trial failed in
            every attempt. Others: as a run.
    """
    check_packages()
    stop = stop or Stop()
    with open_ablation(plan, stop) as (store, engine):
        return run_trials(plan, make_arms(plan, stop, store), engine, store)


def run_trials(plan: Plan, arms: list[Arm], engine: Engine, store: Store) -> Ablation:
    """Train and judge models on arms that are there, and compare."""
    from winnow.ablate import trial  # noqa: PLC0415 - torch, an extra
    from winnow.ablate.cost import cost_of  # noqa: PLC0415
    from winnow.ablate.tables import prepare  # noqa: PLC0415

    say("reading held-out text, and looking for it in the arms")
    judged_on = prepare(plan, arms, store)
    trainings = [
        (arm, training_of(plan, arm, seed))
        for seed in range(plan.train.first_seed, plan.train.first_seed + plan.train.seeds)
        for arm in arms
    ]
    first, one = arms[0], trainings[0][1]
    settings: Json = {
        "size": list(one.size),
        "vocabulary": one.vocabulary,
        "end_of_text": first.vocabulary["end_of_text"],
        "row": first.row,
        "rows": one.rows,
        "rate": one.rate,
        "weight_decay": one.weight_decay,
        "threads": plan.train.threads,
        "documents": judged_on.documents,
        "choices": judged_on.choices,
    }
    workers = plan.train.workers
    if workers > 1:
        settings["workers"] = workers
    stage = trial.stage(settings, plan.train.checkpoint_steps)
    units = [
        Unit(
            number,
            {"shards": {"path": arm.shards, "hash": arm.hash}, "seed": training.seed, "steps": training.steps},
            TRIAL_BYTES,
        )
        for number, (arm, training) in enumerate(trainings)
    ]
    missing = [unit.number for unit in units if not engine.is_done(stage, [unit])]
    to_do = [trainings[number][1] for number in missing]
    cost = cost_of(to_do, len(units) - len(missing), first.row, plan.train.threads, plan.compute, workers)
    say(cost.sentence)
    if workers > 1 and missing:
        from winnow.ablate.over_workers import make_room  # noqa: PLC0415 - Ray Train takes seconds to load

        gpus = make_room(plan.compute, workers, plan.train.threads, engine.stop)
        stage = trial.stage(settings, plan.train.checkpoint_steps, gpus=gpus)
    records = engine.run(stage, units)
    trials: dict[str, list[tuple[int, Record]]] = {arm.name: [] for arm in arms}
    for (arm, training), record in zip(trainings, records, strict=True):
        trials[arm.name].append((training.seed, record))
    results = results_of(arms, plan.against, trials, one.rows * first.row)
    for name, about in results.arms.items():
        for seed, how in about["diverged"].items():
            log.warning("arm %s, seed %d diverged (%s): it has no figures", name, seed, how)
    return Ablation(
        plan,
        results,
        judged_on.sets,
        first.vocabulary,
        first.row,
        one.size.parameters(one.vocabulary),
        cost.sentence,
        judged_on.unreadable,
        judged_on.left_out,
        len(units) - len(missing),
    )


def training_of(plan: Plan, arm: Arm, seed: int) -> "Training":
    """What a model of an arm is trained on, and how.

    Raises:
        ConfigError: the arm has too little text for one step.
    """
    from winnow.ablate.train import Training  # noqa: PLC0415 - torch, an extra

    train, size = plan.train, plan.model.shape
    rows = max(1, (train.batch_tokens or size.batch_tokens) // arm.row)
    tokens = train.equal_tokens
    steps = int(arm.rows * (train.epochs or 0) if tokens is None else tokens / arm.row) // rows
    if steps < 1:
        read = arm.rows * arm.row * (train.epochs or 0) if tokens is None else tokens
        raise ConfigError(
            f"arm {arm.name}: a model reads {read:,.0f} tokens, and a step takes {rows * arm.row:,}; give "
            "`train.batch_tokens` a smaller number, or more `tokens` or `epochs`"
        )
    if rows % train.workers:
        raise ConfigError(
            f"train.workers is {train.workers}, and a step has {rows} rows of {arm.row:,} tokens: they cannot share it "
            "evenly; give `train.batch_tokens` a multiple of both"
        )
    vocabulary, rate = int(arm.vocabulary["size"]), train.learning_rate
    return Training(arm.shards, seed, steps, rows, size, vocabulary, rate, train.weight_decay)
