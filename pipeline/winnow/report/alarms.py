"""All alarms of a finished run: those of its steps, and those of the machines that it ran on."""

from collections.abc import Iterator

from winnow.config.alarms import MEANINGS
from winnow.config.config import Config
from winnow.engine import metrics
from winnow.errors import AlarmedError
from winnow.flow.alarm import Alarm
from winnow.flow.flow import enabled_steps
from winnow.flow.records import RunRecords
from winnow.report.reports import Report

SHOWN = 5
"""Alarms of a kind that a summary shows."""
SWAPPED_MB = 64
"""Of a worker's memory in swap, from which it is an alarm: systems put aside a little that nobody uses."""


def alarms_of(run: RunRecords) -> list[Alarm]:
    """In the order of the flow, those of the machines last."""
    return [*(alarm for step in enabled_steps(run.config) for alarm in step.alarms(run)), *_of_machines(run)]


def alarm_lines(run: RunRecords, *, whole: bool) -> Iterator[str]:
    """The alarms, and how many of a kind are left out: one cause can raise dozens.

    Args:
        run: a finished run.
        whole: all of them.
    """
    found = run.once(alarms_of)
    by_kind: dict[str, list[Alarm]] = {}
    for alarm in found:
        by_kind.setdefault(alarm.kind, []).append(alarm)
    for kind, alarms in by_kind.items():
        shown = alarms if whole or len(alarms) <= SHOWN else alarms[: SHOWN - 1]
        yield from (f"ALARM: {alarm}" for alarm in shown)
        if rest := alarms[len(shown) :]:
            about = ", ".join(alarm.about for alarm in rest)
            told = f"ALARM: {len(rest):,} more of kind {kind}: {about}"
            yield f"{told}; all of them: winnow summary {run.config.run} --all"


def _of_machines(run: RunRecords) -> list[Alarm]:
    alarms = []
    for stage in run.observed.stages:
        if stage.swapped_mb > SWAPPED_MB:
            what = f"stage {stage.name}: a worker had {stage.swapped_mb:,.0f} MB of its memory in swap, which is slow"
            alarms.append(
                Alarm("swap", stage.name, what, "give it fewer compute.workers, or a machine with more memory")
            )
        if stage.disk_left is not None and stage.disk_left < stage.work_bytes and stage.units > stage.reused:
            what = (
                f"stage {stage.name} began with {stage.disk_left / 1e9:,.1f} GB left on the disk of the run folder, "
                f"and reads {stage.work_bytes / 1e9:,.1f} GB"
            )
            alarms.append(Alarm("disk", stage.name, what, "`winnow plan CONFIG` says what a run needs; free some disk"))
    return alarms


def failing(config: Config, alarms: list[Alarm]) -> list[Alarm]:
    """Those with which a run ends as failed."""
    if isinstance(config.alarms, str):
        return alarms if config.alarms == "fail" else []
    return [alarm for alarm in alarms if alarm.kind in config.alarms]


def check_alarms(run: RunRecords) -> None:
    """Show the alarms of a finished run to Prometheus, and fail where its config says so.

    Raises:
        AlarmedError: it has alarms that `alarms` names.
    """
    found = run.once(alarms_of)
    for kind in MEANINGS:
        metrics.show("winnow_alarms", sum(alarm.kind == kind for alarm in found), kind)
    if failed := failing(run.config, found):
        listed = "\n".join(f"  {alarm.kind}: {alarm}" for alarm in failed)
        raise AlarmedError(
            f"the run is finished and its shards are out, but `alarms` of its config fails runs with these:\n{listed}"
        )


def _gauges(run: RunRecords) -> bytes:
    """Alarms, records and tokens as Prometheus reads them: the text format, version 0.0.4."""
    found = run.once(alarms_of)
    name = _label(run.config.run)
    kept = run.totals(run.ledger_stage, "outcome")
    gauges = {
        "winnow_run_alarms": ("Alarms of the latest finished run, by kind.", "kind", _by_kind(found)),
        "winnow_run_documents": ("Readable documents of the latest finished run, by outcome.", "outcome", kept),
        "winnow_run_tokens": (
            "Tokens of kept documents, by source.",
            "source",
            run.totals("tokenise", "source_tokens"),
        ),
    }
    lines = []
    for gauge, (told, label, values) in gauges.items():
        lines += [f"# HELP {gauge} {told}", f"# TYPE {gauge} gauge"]
        lines += [f'{gauge}{{run="{name}",{label}="{_label(key)}"}} {value}' for key, value in values.items()]
    return ("\n".join(lines) + "\n").encode()


def _by_kind(alarms: list[Alarm]) -> dict[str, int]:
    return {kind: sum(alarm.kind == kind for alarm in alarms) for kind in MEANINGS}


def _label(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


REPORT = Report("metrics", "metrics.prom", _gauges)
