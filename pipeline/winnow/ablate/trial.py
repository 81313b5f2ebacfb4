"""One trial: a model trained on one arm with one seed, and judged. A unit of the engine, committed like any other."""

from functools import partial
from typing import Any

import pyarrow as pa

from winnow.ablate.evaluate import bits_per_byte, choice_scores
from winnow.ablate.sizes import Size
from winnow.ablate.train import ALONE, Team, Training, device_here, threads, train
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Accelerated, Stage, Workspace
from winnow.stages.tables import read_ipc
from winnow.storage.store import Store


def stage(settings: Json, checkpoint_steps: int, *, gpus: bool = False) -> Stage:
    """Trials of an ablation.

    Args:
        settings: ``size`` (of sizes.Size), ``vocabulary``, ``end_of_text``, ``row`` (tokens), ``rows`` (a step),
            ``rate``, ``weight_decay``, ``threads``; ``documents`` and ``choices``: references to the held-out tables;
            ``workers`` where a trial has several.
        checkpoint_steps: steps between two checkpoints.
        gpus: whether each of several workers gets a GPU.
    """
    return Stage(
        "trial", 1, settings, run, runtime={"checkpoint_steps": checkpoint_steps, "gpus": gpus},
        accelerated=Accelerated(prepare, finish),
    )  # fmt: skip


def prepare(_unit: Unit, _workspace: Workspace) -> pa.Table:
    """Nothing: shards are read while the model trains."""
    return pa.table({})


def finish(unit: Unit, workspace: Workspace, _prepared: pa.Table) -> None:
    """Train and judge, on the GPU that this process holds."""
    run(unit, workspace)


def run(unit: Unit, workspace: Workspace) -> None:
    """Train and judge. The result is the record's metadata: curve, scores by set, and whether it diverged.

    The unit's inputs are ``shards`` (path and hash), ``seed`` and ``steps``.
    """
    settings, inputs, store = workspace.settings, unit.inputs, workspace.store
    training = Training(
        inputs["shards"]["path"], inputs["seed"], inputs["steps"], settings["rows"], Size(*settings["size"]),
        settings["vocabulary"], settings["rate"], settings["weight_decay"],
    )  # fmt: skip
    checkpoint, runtime = f"checkpoints/{workspace.stem}.pt", workspace.runtime
    work = partial(train_and_judge, training, settings, store, checkpoint, runtime["checkpoint_steps"])
    if (workers := settings.get("workers", 1)) == 1:
        workspace.metadata |= work(ALONE)
    else:
        from winnow.ablate.over_workers import over_workers  # noqa: PLC0415 - Ray Train takes seconds to load

        workspace.metadata |= over_workers(work, workers, settings["threads"], gpus=runtime["gpus"])
    workspace.count("tokens", inputs["steps"] * settings["rows"] * settings["row"])
    store.remove(checkpoint)


def train_and_judge(
    training: Training, settings: Json, store: Store, checkpoint: str, every: int, team: Team
) -> dict[str, Any]:
    """Train a model, with a team or alone; its first judges it, and gives what :func:`run` notes."""
    with threads(settings["threads"]):
        trained = train(training, store, checkpoint, every, team)
        found: dict[str, Any] = {"bits": {}, "choices": {}}
        if not trained.diverged and team.rank == 0:
            model, row = trained.model.eval(), settings["row"]
            documents, choices = (read_ipc(store, settings[name]) for name in ("documents", "choices"))
            found["bits"] = bits_per_byte(model, documents, row, settings["end_of_text"])
            found["choices"] = choice_scores(model, choices, row)
    return found | {
        "curve": trained.curve,
        "diverged": trained.diverged,
        "resumed": trained.resumed,
        "device": str(device_here()),
    }
