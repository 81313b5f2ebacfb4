"""A whole ablation: arms, held-out text, cost, trials, and what came out."""

import logging
from dataclasses import dataclass
from importlib.util import find_spec

from winnow.ablate.arms import Arm, make_arms
from winnow.ablate.plan import Plan
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


def ablate(plan: Plan, stop: Stop | None = None) -> Ablation:
    """Do what is missing of an ablation.

    Raises:
        ConfigError, InputError: the plan cannot be done; the message says why. StageFailedError: a trial failed in
            every attempt. Others: as a run.
    """
    check_packages()
    stop = stop or Stop()
    stop.grace_seconds = plan.compute.grace_seconds
    store = open_store(plan.ablation, plan.storage)
    with ended_at_the_end(), hold_lease(store) as lease:
        store.remove_drafts_here()
        arms = make_arms(plan, stop, store)
        return run_trials(plan, arms, Engine(store, plan.compute, guard=lease.check, stop=stop), store)


def run_trials(plan: Plan, arms: list[Arm], engine: Engine, store: Store) -> Ablation:
    """Train and judge models on arms that are there, and compare."""
    from winnow.ablate import trial  # noqa: PLC0415 - torch, an extra
    from winnow.ablate.cost import cost_of  # noqa: PLC0415
    from winnow.ablate.tables import prepare  # noqa: PLC0415
    from winnow.ablate.train import Training  # noqa: PLC0415

    say("reading held-out text, and looking for it in the arms")
    judged_on = prepare(plan, arms, store)
    first, train, size = arms[0], plan.train, plan.model.shape
    rows = max(1, (train.batch_tokens or size.batch_tokens) // first.row)
    settings: Json = {
        "size": list(size),
        "vocabulary": first.vocabulary["size"],
        "end_of_text": first.vocabulary["end_of_text"],
        "row": first.row,
        "rows": rows,
        "rate": train.learning_rate,
        "weight_decay": train.weight_decay,
        "threads": train.threads,
        "documents": judged_on.documents,
        "choices": judged_on.choices,
    }
    stage = trial.stage(settings, train.checkpoint_steps)
    units, owners = _units(plan, arms, rows)
    missing = [unit for unit in units if not engine.is_done(stage, [unit])]
    cost = cost_of(
        [
            Training(unit.inputs["shards"]["path"], unit.inputs["seed"], unit.inputs["steps"], rows, size,
                     settings["vocabulary"], train.learning_rate, train.weight_decay)
            for unit in missing
        ],
        len(units) - len(missing), first.row, train.threads, plan.compute,
    )  # fmt: skip
    say(cost.sentence)
    records = engine.run(stage, units)
    trials: dict[str, list[tuple[int, Record]]] = {arm.name: [] for arm in arms}
    for unit, owner, record in zip(units, owners, records, strict=True):
        trials[owner].append((unit.inputs["seed"], record))
    results = results_of(arms, plan.against, trials, first.row, rows)
    for name, about in results.arms.items():
        for seed, how in about["diverged"].items():
            log.warning("arm %s, seed %d diverged (%s): it has no figures", name, seed, how)
    return Ablation(
        plan,
        results,
        judged_on.sets,
        first.vocabulary,
        first.row,
        size.parameters(first.vocabulary["size"]),
        cost.sentence,
        judged_on.unreadable,
        judged_on.left_out,
        len(units) - len(missing),
    )


def _units(plan: Plan, arms: list[Arm], rows: int) -> tuple[list[Unit], list[str]]:
    """A unit a trial, seed by seed, and the arm of each.

    Raises:
        ConfigError: an arm has too little text for one step, or two have the same shards.
    """
    train = plan.train
    for arm in arms:
        same = [other.name for other in arms if other.hash == arm.hash]
        if len(same) > 1:
            raise ConfigError(
                f"arms {' and '.join(same)} have the same shards, to the byte: their settings make no difference here; "
                "leave one of them out"
            )
    units: list[Unit] = []
    owners: list[str] = []
    for seed in range(train.first_seed, train.first_seed + train.seeds):
        for arm in arms:
            tokens = train.equal_tokens
            steps = int(arm.rows * (train.epochs or 0) if tokens is None else tokens / arm.row) // rows
            if steps < 1:
                raise ConfigError(
                    f"arm {arm.name}: {arm.rows * arm.row:,} tokens, and a step takes {rows * arm.row:,}; give "
                    "`train.batch_tokens` a smaller number, or more `tokens` or `epochs`"
                )
            inputs = {"shards": {"path": arm.shards, "hash": arm.hash}, "seed": seed, "steps": steps}
            units.append(Unit(len(units), inputs, TRIAL_BYTES))
            owners.append(arm.name)
    return units, owners
