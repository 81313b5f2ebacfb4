"""Reports that a run writes at its end, most into ``reports/``: one file each, made from its records and tables.

They are for people: no result depends on them, and one that cannot be made is told and left out.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass

from winnow.config.config import Config
from winnow.flow.records import RunRecords
from winnow.registry import Registry

FOLDER = "reports"
"""Of a run folder."""
log = logging.getLogger("winnow")


@dataclass(frozen=True)
class Report:
    """One report."""

    name: str
    file: str
    """Its name."""
    make: Callable[[RunRecords], bytes]
    """Its content, from a finished run."""
    enabled: Callable[[Config], bool] = lambda _config: True
    """Whether a run writes it."""
    folder: Callable[[RunRecords], str] = lambda _run: FOLDER
    """Of the run, where it lies."""
    begin: Callable[[Config], AbstractContextManager[None]] = lambda _config: nullcontext()
    """What takes its time to be ready and asks for no result: entered before the last step of a run."""


REPORTS: Registry[Report] = Registry(
    what="report",
    kind="winnow.report.reports:Report",
    group="winnow.reports",
    built_in={
        "languages": "winnow.report.languages:REPORT",
        "summary": "winnow.report.summary:REPORT",
        "metrics": "winnow.report.alarms:REPORT",
        "page": "winnow.report.page.page:REPORT",
        "datasheet": "winnow.report.sheet.datasheet:REPORT",
        "croissant": "winnow.report.sheet.croissant:REPORT",
        "eu_summary": "winnow.report.sheet.eu_summary:REPORT",
    },
)
"""All reports. A new one is a file and a line here, or an entry point of another package."""


def begin_reports(config: Config, until: ExitStack) -> None:
    """Begin what reports need that takes its time; it ends with ``until``. A fault is told when they are written."""
    for name in REPORTS:
        with suppress(Exception):
            report = REPORTS.get(name)
            if report.enabled(config):
                until.enter_context(report.begin(config))


def write_report(run: RunRecords, report: Report) -> str:
    """Write one report of a finished run; where it lies."""
    path = f"{report.folder(run)}/{report.file}"
    run.store.replace(path, report.make(run))
    return run.store.location(path)


def write_reports(run: RunRecords) -> None:
    """Write every report of a finished run. A fault of one keeps no other from being written."""
    for name in REPORTS:
        try:
            report = REPORTS.get(name)
            if not report.enabled(run.config):
                continue
            write_report(run, report)
        except Exception as error:  # noqa: BLE001 - the shards are out; a report is no reason to fail
            log.warning("report %s cannot be made: %s: %s", name, type(error).__name__, error)
