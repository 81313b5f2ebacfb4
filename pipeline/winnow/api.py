"""Winnow in Python: what ``import winnow`` offers (see ``winnow.__all__``)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.config.config import Config, parse_config
from winnow.config.load import load_config
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.finished.tables import table_of, tables_of
from winnow.flow.records import RunRecords
from winnow.runs.state import load_run

if TYPE_CHECKING:
    from winnow.finished.explain import Story
    from winnow.shards.dataset.torch_datasets import ShardDataset


class Run:
    """A finished run: its tables, what became of each document, its shards. :func:`open` and :func:`run` give one."""

    def __init__(self, records: RunRecords) -> None:
        self._records = records

    def __repr__(self) -> str:
        """The call that opens it."""
        return f"winnow.open({self.path!r})"

    @property
    def path(self) -> str:
        """The run folder."""
        return self._records.config.run

    @property
    def config(self) -> Config:
        """Settings of the run."""
        return self._records.config

    @property
    def manifest(self) -> Json:
        """What the shard set holds and where it came from.

        Raises:
            StorageError: it is missing or damaged.
        """
        return self._records.manifest

    @property
    def outcomes(self) -> dict[str, int]:
        """Records by outcome; their sum is the number of records read."""
        from winnow.report.manifest import outcomes_of  # noqa: PLC0415 - what a call needs is imported by it

        return outcomes_of(self._records)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that this run has."""
        return tables_of(self._records)

    def table(self, name: str) -> Any:
        """A table as a ``pyarrow.dataset.Dataset`` with its schema; ``doc`` joins tables.

        Raises:
            ConfigError: this run has no such table.
        """
        return table_of(self._records, name)

    def explain(self, name: str | int) -> "Story":
        """What became of one document.

        Args:
            name: its id; or its number, as an integer or, where it is nobody's id, as text.

        Raises:
            KeyError: no document has this id. ConfigError: several have; give a number.
        """
        from winnow.finished.explain import explain, find  # noqa: PLC0415

        found = find(self._records, str(name), by_number=isinstance(name, int))
        if not found:
            raise KeyError(f"{name!r}: no readable document has this id in {self.path}; ids are exact")
        if len(found) > 1:
            numbers = ", ".join(map(str, found[:5]))
            raise ConfigError(f"{name!r}: {len(found):,} documents have this id; explain one by its number: {numbers}")
        return explain(self._records, found[0])

    def summary(self) -> str:
        """What the run printed at its end."""
        from winnow.report.summary import REPORT  # noqa: PLC0415

        return REPORT.make(self._records).decode()

    def dataset(self, split: str = "train", **settings: Any) -> "ShardDataset":
        """Training batches from the shards of a split: :class:`winnow.ShardDataset` with these settings (needs torch).

        Raises:
            ShardError: no such split, or an empty one.
        """
        from winnow.shards.dataset.torch_datasets import ShardDataset  # noqa: PLC0415

        return ShardDataset(self._records.store.location(self._records.shards), split, **settings)


def run(config: Config | Mapping[str, Any] | str | Path, overrides: Sequence[str] = ()) -> Run:
    """Do what is missing of a run and open it: raw text in, shuffled training shards out.

    Args:
        config: settings as in the YAML, the path of a YAML file, or a :class:`winnow.Config`.
        overrides: ``section.setting=value`` each, for a YAML file.

    Raises:
        ConfigError, InputError, LeaseHeldError, StageFailedError, UnreadableShareError, BooksError, StorageError,
            AlarmedError (the run is finished): each with a message that says what to do; all are of
            :class:`winnow.WinnowError`.
    """
    from winnow.report.alarms import check_alarms  # noqa: PLC0415
    from winnow.runs.run import run as run_pipeline  # noqa: PLC0415 - loads every kernel

    if isinstance(config, str | Path):
        settings = load_config(str(config), list(overrides))
    elif overrides:
        raise ConfigError("overrides change a YAML file; settings given in Python can be changed there")
    else:
        settings = config if isinstance(config, Config) else parse_config(dict(config))
    finished = run_pipeline(settings).run
    check_alarms(finished)
    return Run(finished)


def open(run: str | Path) -> Run:
    """Open a finished run by its folder or address.

    Raises:
        ConfigError: the folder is not there, or no run has finished in it.
    """
    return Run(load_run(str(run)))
