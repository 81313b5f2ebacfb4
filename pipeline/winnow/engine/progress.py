"""Progress of a stage: a bar on a terminal, plain log lines elsewhere."""

import contextlib
import logging
import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from winnow.engine import metrics
from winnow.engine.doing import doing, told_by_the_clock
from winnow.engine.executors.execute import Failure
from winnow.engine.records import Record, Unit

log = logging.getLogger("winnow")


class StageProgress:
    """Counts units and bytes of one stage while it runs; used as a context."""

    def __init__(self, stage: str, units: list[Unit], missing: list[Unit]) -> None:
        self.stage = stage
        self.total = len(units)
        self.done = len(units) - len(missing)
        self.failed = 0
        self._bytes_of = {unit.number: unit.work_bytes for unit in missing}
        self._bytes_total = sum(self._bytes_of.values())
        self._bytes_done = 0
        self._started = time.perf_counter()
        self._doing = contextlib.ExitStack()
        self._bar: Progress | None = None
        if missing and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.inputs:<11}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[units]} units  {task.fields[rate]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[failed]}"),
                console=Console(stderr=True),
            )
            # zero-byte units still have to move the bar
            self._task = self._bar.add_task(stage, total=max(1, self._bytes_total), **self._fields())

    def _fields(self) -> dict[str, Any]:
        seconds = max(1e-9, time.perf_counter() - self._started)
        return {
            "units": f"{self.done}/{self.total}",
            "rate": f"{self._bytes_done / seconds / 1e6:,.1f} MB/s",
            "failed": f"[red]{self.failed} failed[/red]" if self.failed else "",
        }

    def advance(self, result: Record | Failure) -> None:
        """A unit came back."""
        if isinstance(result, Failure):
            self.failed += 1
            metrics.add("winnow_units_failed", 1, self.stage)
        else:
            size = self._bytes_of.get(result.number, 0)
            self.done += 1
            self._bytes_done += size
            metrics.add("winnow_units_done", 1, self.stage)
            metrics.add("winnow_bytes", size, self.stage)
        seconds = max(1e-9, time.perf_counter() - self._started)
        metrics.show("winnow_units_left", self.total - self.done, self.stage)
        metrics.show("winnow_mb_per_second", self._bytes_done / seconds / 1e6, self.stage)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._bytes_done, **self._fields())

    def _log(self) -> None:
        log.info(
            "%s",
            self._line(),
            extra={"stage": self.stage, "done": self.done, "units": self.total, "failed": self.failed},
        )

    def _told(self) -> str:
        """For those who look at a log, every 15 s, whether a unit has ended or not."""
        return "" if self._bar is not None else self._line()

    def _line(self) -> str:
        fields = self._fields()
        left = self._bytes_total - self._bytes_done
        seconds = time.perf_counter() - self._started
        remaining = f"{seconds * left / self._bytes_done:,.0f} s left" if self._bytes_done else "time left unknown"
        return f"{self.stage}: {fields['units']} units, {fields['rate']}, {remaining}, {self.failed} failed"

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        if self._bytes_of:
            self._doing.enter_context(doing(self._told))
            self._doing.enter_context(told_by_the_clock())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._doing.close()
        if self._bar is not None:
            self._bar.stop()
        elif self._bytes_of:
            self._log()
