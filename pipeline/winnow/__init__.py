"""Raw text to clean, deduplicated, tokenised, globally shuffled training shards, on Ray."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers see of the names below
    from winnow.api import Run as Run
    from winnow.api import Runs as Runs
    from winnow.api import open as open
    from winnow.api import run as run
    from winnow.config.config import Config as Config
    from winnow.errors import ConfigError as ConfigError
    from winnow.errors import InputError as InputError
    from winnow.errors import ShardError as ShardError
    from winnow.errors import WinnowError as WinnowError
    from winnow.operators.marks import filter as filter
    from winnow.operators.marks import mapper as mapper
    from winnow.operators.marks import signal as signal
    from winnow.operators.marks import spans as spans
    from winnow.shards.dataset.torch_datasets import ShardDataset as ShardDataset

_WHERE = {
    "run": "api",
    "open": "api",
    "Run": "api",
    "Runs": "api",
    "Config": "config.config",
    "ShardDataset": "shards.dataset.torch_datasets",
    "signal": "operators.marks",
    "spans": "operators.marks",
    "mapper": "operators.marks",
    "filter": "operators.marks",
    "WinnowError": "errors",
    "ConfigError": "errors",
    "InputError": "errors",
    "ShardError": "errors",
}
__all__ = [*_WHERE]  # noqa: PLE0604 - names, all of them strings


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for: ``import winnow`` itself loads nothing."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*globals(), *__all__])
