"""Winnow in Python: what ``import winnow`` offers (see ``winnow.__all__``)."""

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from winnow.config.config import Config, parse_config
from winnow.config.load import load_config
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.finished.tables import table_of, tables_of
from winnow.flow.records import RunRecords
from winnow.runs.folder import SETS, run_folder, shard_sets
from winnow.runs.state import load_run
from winnow.storage.address import last_part, settled_path
from winnow.storage.open_store import open_store

if TYPE_CHECKING:
    from pandas import DataFrame

    from winnow.finished.story import Story
    from winnow.report.page.notebook import RunReport
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
    def shards(self) -> str:
        """The folder or address of its shard set, for :class:`winnow.ShardDataset` and other readers."""
        return self._records.store.location(self._records.shards)

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

    def frame(self, name: str, columns: Sequence[str] | None = None) -> "DataFrame":
        """A table as a ``pandas.DataFrame`` in memory, a row each of :meth:`table`.

        Args:
            name: of the table.
            columns: those that are read; by default all. Leave ``text`` and ``ids`` out where the corpus is large.

        Raises:
            ConfigError: this run has no such table, or it no such column.
        """
        table = self.table(name)
        if unknown := sorted(set(columns or ()) - set(table.schema.names)):
            raise ConfigError(f"table {name!r} has no column {unknown[0]!r}; it has {', '.join(table.schema.names)}")
        frame: DataFrame = table.to_table(columns=None if columns is None else list(columns)).to_pandas()
        return frame

    @cached_property
    def report(self) -> "RunReport":
        """The run in pictures, tables and texts: what ``reports/report.html`` shows, inline in a notebook."""
        from winnow.report.page.notebook import RunReport  # noqa: PLC0415

        return RunReport(self._records)

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

        return ShardDataset(self.shards, split, **settings)


def run(config: Config | Mapping[str, Any] | str | Path, overrides: Sequence[str] = ()) -> Run:
    """Do what is missing of a run and open it: raw text in, shuffled training shards out.

    Args:
        config: settings as in the YAML, the path of a YAML file, or a :class:`winnow.Config`.
        overrides: ``section.setting=value`` each, for a YAML file.

    Raises:
        WinnowError: ConfigError, InputError, LeaseHeldError, StageFailedError, UnreadableShareError, BooksError,
            StorageError, or AlarmedError (the run is finished), each with a message that says what to do.
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


class Runs(Sequence[Run]):
    """Several finished runs as one, such as the nights of a corpus. :func:`open` of a list gives it.

    ``runs[0]`` and ``runs["2026-11-21"]`` are one of them, opened when it is asked for.
    """

    def __init__(self, given: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        self._given = tuple(given)
        """A corpus and its nights, or "" and a run."""
        self.paths = tuple(path for _, paths in given for path in paths)
        """The run folders, oldest night first."""
        self._opened: dict[int, Run] = {}

    def __repr__(self) -> str:
        """The call that opens them."""
        return f"winnow.open({list(self.paths)!r})"

    def __len__(self) -> int:
        """How many runs."""
        return len(self.paths)

    @property
    def names(self) -> tuple[str, ...]:
        """Last parts of the paths: of a corpus, the names of its sets."""
        return tuple(map(last_part, self.paths))

    @overload
    def __getitem__(self, which: int | str) -> Run: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[Run]: ...
    def __getitem__(self, which: int | str | slice) -> Run | Sequence[Run]:
        """A run by its place or name."""
        if isinstance(which, slice):
            return [self[at] for at in range(*which.indices(len(self)))]
        if isinstance(which, str):
            if self.names.count(which) != 1:
                raise KeyError(f"{which!r}: none of {', '.join(self.names)}, or several; give its number")
            which = self.names.index(which)
        at = range(len(self))[operator.index(which)]
        if at not in self._opened:
            self._opened[at] = Run(load_run(self.paths[at]))
        return self._opened[at]

    @property
    def outcomes(self) -> dict[str, int]:
        """Records by outcome, of all runs together."""
        total: Counter[str] = Counter()
        for run in self:
            total.update(run.outcomes)
        return dict(total)

    def dataset(self, split: str = "train", **settings: Any) -> "ShardDataset":
        """Training batches from the shards of all runs as one stream: see :class:`winnow.ShardDataset` (needs torch).

        Raises:
            ShardError: no such split, or shard sets that cannot be read as one.
        """
        from winnow.shards.dataset.torch_datasets import ShardDataset  # noqa: PLC0415

        places = [corpus or Run(load_run(paths[0])).shards for corpus, paths in self._given]
        return ShardDataset(places, split, **settings)


@overload
def open(run: str | Path) -> Run: ...  # type: ignore[overload-overlap]  # a str is a sequence, too
@overload
def open(run: Sequence[str | Path]) -> Runs: ...
def open(run: str | Path | Sequence[str | Path]) -> Run | Runs:
    """Open a finished run by its folder or address, or several by a list of them.

    In a list the folder of a corpus that grows (``winnow run --new-only``) stands for all its nights.

    Raises:
        ConfigError: a folder is not there, or no run has finished in it.
    """
    if isinstance(run, str | Path):
        return Run(load_run(str(run)))
    if not run:
        raise ConfigError("no runs: give one at least")
    given = [str(item) for item in run]
    return Runs([_runs_at(path) for path in given])


def _runs_at(path: str) -> tuple[str, tuple[str, ...]]:
    """A corpus and the folders of its nights, or "" and a run folder."""
    store = open_store(settled_path(path))
    nights = shard_sets(store)
    if not nights:
        return "", (run_folder(path).root,)
    return store.root, tuple(store.location(f"{SETS}/{night['name']}") for night in nights)
