"""Prometheus metrics of a run, through Ray: each node of a cluster exports what the driver on it counts.

Only where a run has joined a cluster; elsewhere nothing is counted and nothing imported. Exact figures are in the
records: these are for dashboards (``cluster/grafana``).
"""

import os
import sys
from functools import cache
from typing import Any

NAMES = {
    "winnow_units_done": "Units that committed.",
    "winnow_units_failed": "Attempts of units that failed.",
    "winnow_units_left": "Units that the stage at work has still to commit.",
    "winnow_bytes": "Bytes of work that committed units stand for.",
    "winnow_retries": "Units that were handed out again.",
    "winnow_mb_per_second": "Speed of the stage at work, in MB of its input.",
    "winnow_alarms": "Alarms that the run ended with.",
}
_GAUGES = ("winnow_units_left", "winnow_mb_per_second", "winnow_alarms")
_LABELS = {"winnow_alarms": "kind"}
"""What tells values of a metric apart, where it is not the stage."""


def add(name: str, value: float, label: str) -> None:
    """Add to a counter."""
    if _on() and value:
        _metric(name).inc(value, {_LABELS.get(name, "stage"): label})


def show(name: str, value: float, label: str) -> None:
    """Set a gauge."""
    if _on():
        _metric(name).set(value, {_LABELS.get(name, "stage"): label})


def _on() -> bool:
    """Whether this process has joined a cluster: a Ray of our own exports nothing."""
    ray: Any = sys.modules.get("ray")
    return bool(os.environ.get("RAY_ADDRESS")) and ray is not None and bool(ray.is_initialized())


@cache
def _metric(name: str) -> Any:
    from ray.util.metrics import Counter, Gauge  # noqa: PLC0415 - it is loaded

    kind: Any = Gauge if name in _GAUGES else Counter
    return kind(name, description=NAMES[name], tag_keys=(_LABELS.get(name, "stage"),))
