"""One trial: a model trained on one arm with one seed, and judged. A unit of the engine, committed like any other."""

from typing import Any

import pyarrow as pa

from winnow.ablate.evaluate import bits_per_byte, choice_scores
from winnow.ablate.sizes import Size
from winnow.ablate.train import Training, device_here, threads, train
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Accelerated, Stage, Workspace
from winnow.stages.tables import read_ipc


def stage(settings: Json, checkpoint_steps: int) -> Stage:
    """Trials of an ablation.

    Args:
        settings: ``size`` (of sizes.Size), ``vocabulary``, ``end_of_text``, ``row`` (tokens), ``rows`` (a step),
            ``rate``, ``weight_decay``, ``threads``; ``documents`` and ``choices``: references to the held-out tables.
        checkpoint_steps: steps between two checkpoints.
    """
    return Stage(
        "trial", 1, settings, run, runtime={"checkpoint_steps": checkpoint_steps},
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
    checkpoint = f"checkpoints/{workspace.stem}.pt"
    with threads(settings["threads"]):
        trained = train(training, store, checkpoint, workspace.runtime["checkpoint_steps"])
        found: dict[str, Any] = {"bits": {}, "choices": {}}
        if not trained.diverged:
            model, row = trained.model.eval(), settings["row"]
            documents, choices = (read_ipc(store, settings[name]) for name in ("documents", "choices"))
            found["bits"] = bits_per_byte(model, documents, row, settings["end_of_text"])
            found["choices"] = choice_scores(model, choices, row)
    workspace.metadata |= found
    workspace.metadata |= {
        "curve": trained.curve,
        "diverged": trained.diverged,
        "resumed": trained.resumed,
        "device": str(device_here()),
    }
    workspace.count("tokens", inputs["steps"] * settings["rows"] * settings["row"])
    store.remove(checkpoint)
