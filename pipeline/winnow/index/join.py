"""One run's part in an index: what it need not read again, what it is compared with, and what it adds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from winnow.config.config import Config
from winnow.engine.engine import Engine
from winnow.engine.lease import hold_lease
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage
from winnow.errors import ConfigError
from winnow.index.folder import Index, Pin, Segment, content_of, pin_segments, pinned_settings
from winnow.sources.catalogue import InputFile
from winnow.sources.identity import lasting_name
from winnow.sources.inputs import look_at
from winnow.stages.dedup import index_append
from winnow.stages.ingest.measure import Part
from winnow.stages.versions import library_versions
from winnow.storage.address import absolute, real
from winnow.storage.store import Store


@dataclass
class IndexRun:
    """A run that has joined an index."""

    index: Index
    pin: Pin
    own: Segment | None
    """This run's segment, once it has committed."""
    entries: list[Json]
    """Parts of the index that this run is compared with."""
    listing: Json | None = None
    """Where they are listed, once dedup has come to them."""
    skipped: list[str] = field(default_factory=list)
    """Input files that an earlier run took."""
    work: tuple[Stage, list[Unit], list[list[Any]]] | None = None
    """What makes this run's segment: stage, units, files taken."""
    kept: list[list[Any]] = field(default_factory=list)
    """What the run keeps: first document, rows and hash of the survivors of each part."""

    @property
    def documents(self) -> int:
        """Kept documents that this run is compared with."""
        return sum(int(entry["kept"]) for entry in self.entries)

    def run(self, engine: Engine, stage: Stage, units: list[Unit]) -> list[Record]:
        """Records of a stage that reads the index.

        Raises:
            ConfigError: it would have to read a segment that was dropped since.
        """
        live = self.index.segments()
        gone = [number for number in self.pin.segments if number not in live]
        if gone and not engine.is_done(stage, units):
            raise ConfigError(
                f"this run was compared with segment {', '.join(map(str, gone))} of the index {self.index.path}, which "
                "was dropped since, and what the config asks for now needs it again; take this run out, too, and it is "
                f"compared with what is there now: winnow index drop {self.index.path} {self.pin.segment}"
            )
        return engine.run(stage, units)

    def new_inputs(self, inputs: dict[str, list[str]]) -> dict[str, list[str]]:
        """Inputs without the files that a segment has taken: same real path, size and modification time."""
        known = self.index.segments(dropped=True)
        taken = {tuple(file) for number in self.pin.segments for file in known[number].files}
        self.skipped = [p for paths in inputs.values() for p in paths if taken and _identity(p, self.index) in taken]
        old = set(self.skipped)
        return {source: [path for path in paths if path not in old] for source, paths in inputs.items()}

    def plan_append(
        self,
        config: Config,
        parts: list[Part],
        filtered: list[Record],
        decided: list[Record],
        duplicates: tuple[Json, Json | None] | None,
        files: list[InputFile],
    ) -> None:
        """Decide what this run adds. ``duplicates``: where decisions and matched components are; None without parts.

        Raises:
            ConfigError: the run has committed, and would now commit something else.
        """
        assert config.dedup is not None
        run_folder = absolute(config.run)
        stage = index_append.stage(config.dedup, config.guard_language, self.pin.segment, self.pin.token, run_folder)
        units = []
        if duplicates is not None:
            units = index_append.plan(parts, filtered, decided, *duplicates, self.pin.first_part)
        self.kept = [
            [part.first_doc, part.rows, record.outputs["survivors"].hash]
            for part, record in zip(parts, decided, strict=True)
        ]
        taken: list[list[Any]] = [[lasting_name(file.path), file.bytes, file.state.version] for file in files]
        self.work = stage, units, sorted(taken)
        if self.own and self.own.content != self._content():
            raise ConfigError(
                f"{config.run} is segment {self.pin.segment} of the index {self.index.path}, and with this config or "
                "these files it would keep other documents than the ones that later runs rely on; give the new run a "
                f"folder of its own, or take this one out first: winnow index drop {self.index.path} {self.pin.segment}"
            )

    def _content(self) -> str:
        assert self.work is not None
        return content_of(self.kept, self.work[2])

    def append(self, engine: Engine) -> None:
        """Write this run's segment and commit it, unless that was done or there is nothing to add.

        ``engine`` is the run's; a second one, over the index's folder, does the units.
        """
        assert self.work is not None
        stage, units, files = self.work
        if self.own or not files:
            return
        writer = Engine(
            self.index.store,
            engine.compute,
            guard=engine.guard,
            start_seconds=engine.start_seconds,
            stop=engine.stop,
        )
        records = writer.run(stage, units)
        engine.summaries += writer.summaries
        parts = [
            {
                "part": unit.inputs["index_part"],
                "rows": record.counters["documents"],
                "kept": record.counters["kept"],
                "outputs": {name: asdict(output) for name, output in sorted(record.outputs.items())},
            }
            for unit, record in zip(units, records, strict=True)
        ]
        self.own = Segment(
            number=self.pin.segment,
            run=stage.runtime["run"],
            token=self.pin.token,
            content=self._content(),
            first_part=self.pin.first_part,
            parts=parts,
            files=files,
            against=self.pin.segments,
            documents=total(records, "documents"),
            kept=total(records, "kept"),
            bytes=sum(output.bytes for record in records for output in record.outputs.values()),
            committed=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=library_versions("winnow-corpus", "ftfy", "unicodedata"),
        )
        engine.guard()
        self.index.commit(self.own)
        self.index.remove_leftovers()


def new_files(index: Index, inputs: dict[str, list[str]]) -> list[str]:
    """Input files that no run of the index has taken, not even one that was dropped."""
    taken = {tuple(file) for segment in index.segments(dropped=True).values() for file in segment.files}
    return [path for paths in inputs.values() for path in paths if _identity(path, index) not in taken]


def _identity(path: str, index: Index) -> tuple[str, int, int | str] | None:
    try:
        state = look_at(path, index.storage)
    except OSError:
        return None  # the catalogue says what is wrong with it
    return lasting_name(path), state.bytes, state.version


def index_of(config: Config) -> Index | None:
    """The index that a config names.

    Raises:
        ConfigError: it was begun with other settings.
    """
    if config.dedup is None or config.dedup.index is None:
        return None
    index = Index(config.dedup.index, config.storage)
    run, folder = (real(absolute(path)) for path in (config.run, config.dedup.index))
    if run == folder or run.startswith(f"{folder}/"):
        where = "is the run folder itself" if run == folder else f"holds the run folder {config.run}"
        raise ConfigError(f"dedup.index: {config.dedup.index} {where}; give it a folder of its own")
    index.check_settings(pinned_settings(config))
    return index


@contextmanager
def hold_index(index: Index | None) -> Iterator[Callable[[], None]]:
    """Own the index inside this block; yields a function that raises when that is no longer so.

    Raises:
        LeaseHeldError: another run, or ``winnow index drop``, is at work in it.
    """
    if index is None:
        yield lambda: None
        return
    with hold_lease(index.store, "index") as lease:
        index.store.remove_drafts()
        yield lease.check


def join_index(index: Index | None, config: Config, run: Store, *, save: bool) -> IndexRun | None:
    """Pin the segments that a run is compared with; ``save`` False only looks."""
    if index is None:
        return None
    if save:
        index.begin(pinned_settings(config))
    pin, own = pin_segments(index, run, save=save)
    return IndexRun(index, pin, own, index.entries(pin.segments))
