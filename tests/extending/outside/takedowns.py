"""A step: documents whose ids stand in a list leave the corpus, whatever the rules said of them."""

from pathlib import Path

import numpy as np

from winnow.engine.records import Unit
from winnow.engine.stage import Stage, Workspace
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Step
from winnow.stages.decide.ledger_tables import LeftOut, leave_out
from winnow.stages.tables import column_to_numpy, read_parquet

RULE = "takedowns.listed"


def run_unit(unit: Unit, workspace: Workspace) -> None:
    """One part: write the decisions anew, without the listed documents."""
    store, settings = workspace.store, workspace.settings
    before = read_parquet(store, unit.inputs["decisions"]).combine_chunks()
    ids = read_parquet(store, unit.inputs["documents"], ["id"]).column("id").to_numpy()
    source = column_to_numpy(read_parquet(store, unit.inputs["verdicts"], ["source"]), "source")
    copies = column_to_numpy(before, "copies").astype(np.int64)
    gone = np.isin(ids, settings["ids"]) & (copies > 0)
    copies[gone] = 0
    no_value = np.zeros(len(gone), np.float32)
    leave_out(
        workspace, before, LeftOut(gone, "filtered", RULE, no_value, no_value), copies, source, settings["sources"]
    )
    workspace.count("removed", gone.sum())


def run_step(context: RunContext) -> None:
    """All parts. The list's content is among the settings, so another list is another work."""
    run = context.run
    listed = sorted(set(Path(context.config.steps["takedowns"]["list"]).read_text().split()))
    stage = Stage("takedowns", 1, {"ids": listed, "sources": [source.name for source in run.config.sources]}, run_unit)
    units = [
        Unit(
            part.number,
            {
                "decisions": decided.outputs["decisions"].reference(),
                "documents": part.documents,
                "verdicts": filtered.outputs["verdicts"].reference(),
            },
            part.rows * 64,
        )
        for part, decided, filtered in zip(run.parts, run.ledger, run.of("filter"), strict=True)
    ]
    context.engine.run(stage, units)


def summary(run: RunRecords) -> list[str]:
    """A line of the run's summary."""
    return [f"takedowns: {run.total('takedowns', 'removed'):,} documents left out"]


STEP = Step(
    name="takedowns",
    run=run_step,
    stages=lambda context: ["takedowns"],
    after="select",
    ledger="takedowns",
    reasons={RULE: "its id stands in the list of takedowns"},
    summary=summary,
)
