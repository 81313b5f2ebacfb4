"""For tests of faults: a function that the tester names is called at certain points of a run.

``WINNOW_FAULT_HOOK=package.module:function`` in the environment of a process (workers included) names it; it may
kill or stop the process, or raise. Without the variable a call costs a comparison. Points and what they tell:

``stage`` (driver; stage)
    before the missing units of a stage are run.
``group`` (worker on Ray; stage)
    before a worker begins with the units that it was given.
``unit`` (stage, number)
    before a unit's work begins.
``batch`` (stage, texts)
    before a stage works on the texts of a batch of documents.
``open`` (path)
    before a file of the store is begun.
``publish`` (path)
    before a whole file gets its name.
``commit`` (stage, number)
    when a unit's outputs are out, before its record.
``committed`` (stage, number)
    after its record.
"""

import importlib
import os
from functools import cache
from typing import Any

VARIABLE = "WINNOW_FAULT_HOOK"
_NAME = os.environ.get(VARIABLE, "")


def fault_point(point: str, **where: Any) -> None:
    """Tell the hook, if there is one."""
    if _NAME:
        _hook()(point, **where)


@cache
def _hook() -> Any:
    module, _, function = _NAME.partition(":")
    return getattr(importlib.import_module(module), function)
