"""What a run adds to the index that it has joined: settled before shards are made, written when they are out."""

from winnow.config.config import Config
from winnow.flow.context import RunContext
from winnow.flow.measure import files_read
from winnow.flow.records import RunRecords
from winnow.flow.step import Step


def plan_segment(context: RunContext) -> None:
    """Settle the run's segment, after select: later runs rely on what comes out.

    Raises:
        ConfigError: the run has committed, and would now commit something else.
    """
    run = context.run
    assert context.index is not None
    context.index.plan_append(
        context.config, run.parts, run.of("filter"), run.ledger, context.duplicates, files_read(run)
    )


def _summary(run: RunRecords) -> list[str]:
    index = run.index
    lines: list[str] = []
    if index is None:
        return lines
    if index.skipped_files:
        lines.append(f"{index.skipped_files:,} input files were taken by earlier runs of the index: not read again")
    if not run.files:
        return [*lines, "nothing is new: no file that the index does not hold; nothing was added to it"]
    repeated = run.total("keepers", "removed_for_index")
    return [
        *lines,
        f"index {index.path}: compared with {index.documents:,} kept documents of {index.segments:,} "
        f"earlier runs, {repeated:,} documents removed for them; this run is segment {index.segment}",
    ]


def _enabled(config: Config) -> bool:
    return config.dedup is not None and config.dedup.index is not None


STEP = Step(name="index", run=plan_segment, stages=lambda _context: [], enabled=_enabled, summary=_summary)
