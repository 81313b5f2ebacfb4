"""Clean text of a run that has finished: its step alone, over what the run committed."""

from typing import Any, Literal

from pydantic import ValidationError

from winnow.config.messages import mistakes_of
from winnow.engine.engine import Engine
from winnow.engine.executors.processes import ended_at_the_end
from winnow.engine.lease import hold_lease
from winnow.engine.stopping import Stop
from winnow.errors import ConfigError
from winnow.flow.context import RunContext
from winnow.flow.documents import STEP
from winnow.flow.flow import close_books
from winnow.runs.state import load_run
from winnow.shards.documents.config import DocumentsConfig
from winnow.stages.removals.lists import refuse_unproven


def export_documents(
    run: str,
    settings: dict[str, Any],
    executor: Literal["auto", "ray", "processes", "inline"] | None = None,
    stop: Stop | None = None,
) -> list[str]:
    """Write a finished run's kept documents below its folder; what is there already is not written again.

    Args:
        run: its folder.
        settings: of the section `documents`, in place of the run's own.
        executor: where the work is done; None as the run had it.
        stop: whether this process is asked to stop.

    Returns:
        What the summary of a run with this section says of it.

    Raises:
        ConfigError: no run has finished there, a removal request to it is not done, or a setting is wrong.
        LeaseHeldError, StageFailedError, BooksError, StorageError, StoppedError: as a run.
    """
    try:
        documents = DocumentsConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError("documents:\n" + "\n".join(mistakes_of(error, DocumentsConfig))) from error
    finished = load_run(run)
    compute = finished.config.compute
    if executor is not None:
        compute = compute.model_copy(update={"executor": executor})
    finished.config = finished.config.model_copy(update={"documents": documents, "compute": compute})
    STEP.check(finished.config)
    stop = stop or Stop()
    stop.grace_seconds = compute.grace_seconds
    with ended_at_the_end(), hold_lease(finished.store) as lease:
        refuse_unproven(finished.store)
        finished.store.remove_drafts()
        engine = Engine(finished.store, compute, guard=lease.check, stop=stop, committed=finished.records)
        context = RunContext(finished, engine, {})
        STEP.run(context)
        close_books(list(STEP.balances(finished)))
        lease.check()
        for path, content in STEP.publishes(finished).items():
            finished.store.replace(path, content)
    return list(STEP.summary(finished))
