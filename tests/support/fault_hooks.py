"""Faults on order: what `WINNOW_FAULT_HOOK` calls in every process of a run under test.

`WINNOW_TEST_FAULTS` is a JSON list of faults; each says where (`point`, and words that must occur in what the point
tells), what to `do`, how many `times` (counted over all processes by files in `marks`), and in which `process`.
"""

import errno
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FAULTS = json.loads(os.environ.get("WINNOW_TEST_FAULTS", "[]"))


def hook(point: str, **where: Any) -> None:
    if point == "stage":  # no stage is too small for workers
        from winnow.engine import engine

        engine.TINY_STAGE_BYTES = 0
    if point == "batch":
        where["texts"] = " ".join(where["texts"].to_pylist())
    for number, fault in enumerate(FAULTS):
        if fault["point"] != point or any(str(where.get(key)) != value for key, value in fault.get("is", {}).items()):
            continue
        if any(text not in str(where.get(key)) for key, text in fault.get("holds", {}).items()):
            continue
        if fault.get("worker") and os.environ.get("WINNOW_TEST_DRIVER") == str(os.getpid()):
            continue
        if _due(number, fault):
            _do(fault, where)


def _due(number: int, fault: dict) -> bool:
    """Whether this is one of the fault's times; exact over all processes."""
    if fault.get("times") is None:
        return True
    for time_number in range(fault["times"]):
        try:
            (Path(fault["marks"]) / f"{number}-{time_number}").open("x").write(str(os.getpid()))
        except FileExistsError:
            continue
        return True
    return False


def _do(fault: dict, where: dict[str, Any]) -> None:
    what = fault["do"]
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "note":
        (Path(FAULTS[0]["marks"]) / f"{where['stage']}-{where['number']}-{socket.gethostname()}").touch()
    elif what == "sleep":
        time.sleep(fault["seconds"])
    elif what == "error":
        number = getattr(errno, fault["errno"])
        raise OSError(number, os.strerror(number), where.get("path"))
    elif what == "crash":
        raise RuntimeError("a fault on order")
    else:
        raise ValueError(f"no fault {what!r}")


def environment(marks: Path, *faults: dict) -> dict[str, str]:
    """Environment of a run with these faults."""
    marks.mkdir(parents=True, exist_ok=True)
    return {
        **os.environ,
        "WINNOW_FAULT_HOOK": "tests.support.fault_hooks:hook",
        "WINNOW_TEST_FAULTS": json.dumps([{"marks": str(marks), **fault} for fault in faults]),
    }
