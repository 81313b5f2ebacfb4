"""Winnow's library: what happens to text between raw files and training shards.

    import winnow

    @winnow.signal
    def exclamation_marks(batch):
        return pyarrow.compute.count_substring(batch["text"], "!")

Names are loaded when they are first used, so that ``import winnow`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winnow.operators.marks import filter, mapper, signal

_MODULES = dict.fromkeys(("signal", "mapper", "filter"), "winnow.operators.marks")
"""Name -> module that has it."""

__all__ = ["filter", "mapper", "signal"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'winnow' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_MODULES[name]), name)
