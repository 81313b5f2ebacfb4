"""The folder that scheduled runs share: a header, and one segment for every run that committed to it.

A segment is whatever its record names; the record is created last and at once, so a run that fails or is killed
leaves the index as it was. Numbers of segments and of parts are never given twice, not even after a drop: a dropped
segment's record stays, under another name. A run *pins* the segments it uses at its start: run again, it uses the
same ones, never itself or later ones. Everything that changes the folder holds its lease.
"""

import secrets
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from winnow.config.config import Config
from winnow.dedup.index import MAX_PARTS
from winnow.dedup.verification import ACCEPTED_ERRORS, Verify
from winnow.engine.lease import LEASE
from winnow.engine.records import Json, content_hash
from winnow.errors import ConfigError
from winnow.storage.address import absolute, inside, is_url, last_part, settled_path
from winnow.storage.config import StorageConfig
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

HEADER = "index.json"
SEGMENTS = "segments"
DROPPED = ".dropped"
PIN = "pinned_index.json"
"""In a run folder: what that run uses of its index."""
_FILES = "work/segment"
FORMAT = 1
WORDS = 2
"""Version of what a word and a shingle are (`text/words.py`, `dedup/shingles.py`); signatures hang on it."""


def pinned_settings(config: Config) -> Json:
    """Settings that all runs of an index must share, by name, for signatures to compare and splits to hold."""
    assert config.dedup is not None
    return {
        **{f"dedup.minhash.{name}": value for name, value in config.dedup.minhash.model_dump(mode="json").items()},
        **{
            f"measure.normalise.{name}": value
            for name, value in config.measure.normalise.model_dump(mode="json").items()
        },
        "dedup.verify": _verified(config.dedup.verify),
        # each source has its own lines, so which sources there are is a run's own affair
        "dedup.lines": lines.model_dump(mode="json", exclude={"sources"}) if (lines := config.dedup.lines) else None,
        **_line_rules(config),
        # near-duplicates of two runs are drawn alike only by the same seed and shares
        "shards.seed": config.shards.seed,
        "shards.splits": config.shards.splits,
        "definition of words and shingles": WORDS,
        **_mappers(config),
    }


def _mappers(config: Config) -> Json:
    """Operators that change texts, where there are some: other texts have other signatures."""
    pinned = {entry.found.name: entry.pinned for entry in config.measure.operators if entry.found.kind == "mapper"}
    return {f"measure.operators.{name}": fingerprint for name, fingerprint in pinned.items()}


def _line_rules(config: Config) -> Json:
    """Line rules, where there are some: they change texts, too."""
    rules = config.measure.line_rules
    return {"measure.line_rules": rules.model_dump(mode="json", exclude={"sources"})} if rules else {}


def _verified(verify: Verify) -> str:
    """The way to verify, with how far its signatures are trusted."""
    return f"{verify}, {ACCEPTED_ERRORS:g} standard errors" if verify == "signature" else verify


@dataclass(frozen=True)
class Segment:
    """The record of one committed run."""

    number: int
    run: str
    """The run folder, as it was called when the run committed."""
    token: str
    """Told apart from other runs by this, wherever their folders are moved."""
    content: str
    """Hash of what the run kept and of the files it took: the same run with other results is not this segment."""
    first_part: int
    parts: list[Json]
    files: list[list[Any]]
    """Real path, bytes and modification time (ns) of every input file that was taken in whole."""
    against: list[int]
    """Segments that this one was deduplicated against."""
    documents: int
    kept: int
    bytes: int
    committed: str
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def end_part(self) -> int:
        """First part number that is free after this segment."""
        return self.first_part + len(self.parts)


@dataclass(frozen=True)
class Pin:
    """What one run uses of an index, and which numbers it gets in it. Kept in the run folder."""

    index: str
    token: str
    segment: int
    first_part: int
    segments: list[int]


@dataclass(frozen=True)
class Index:
    """An index folder."""

    path: str
    storage: StorageConfig = field(default_factory=StorageConfig)

    @cached_property
    def store(self) -> Store:
        """The folder."""
        return open_store(absolute(self.path), self.storage)

    def header(self) -> Json | None:
        """The header, or None where no run has ever begun.

        Raises:
            ConfigError: the folder holds something else.
        """
        if not is_url(self.path) and Path(self.path).exists() and not Path(self.path).is_dir():
            raise ConfigError(f"{self.path}: a file, not an index; give `dedup.index` a folder of its own")
        if not self.store.exists(HEADER):
            if others := [name for name in self.store.list("") + self.store.folders("") if name != LEASE]:
                raise ConfigError(
                    f"{self.path}: not an index, but holds {others[0]}; give `dedup.index` a folder of its own"
                )
            return None
        try:
            header: Json = orjson.loads(self.store.read(HEADER))
            known = header["format"] == FORMAT
            header["id"], header["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self.store.location(HEADER)}: damaged ({error}); restore it, or begin a new index"
            ) from error
        if not known:
            raise ConfigError(
                f"{self.store.location(HEADER)}: format {header['format']}, this version of winnow reads format "
                f"{FORMAT}; use the version that wrote it, or begin a new index"
            )
        return header

    def check_settings(self, settings: Json) -> None:
        """Compare a run's settings with those that the index was begun with.

        Raises:
            ConfigError: they differ; the message names every setting that does.
        """
        header = self.header()
        if header is None or not self._names():  # nothing is there to be compared with
            return
        begun = header["settings"]
        names = sorted(begun.keys() | settings.keys())
        differing = [
            f"  {name}: the index has {begun.get(name, 'nothing')!r}, this run {settings.get(name, 'nothing')!r}"
            for name in names
            if begun.get(name) != settings.get(name)
        ]
        if differing:
            raise ConfigError(
                f"dedup.index: {self.path} was begun with other settings; use those, or begin another index\n"
                + "\n".join(differing)
            )

    def begin(self, settings: Json) -> None:
        """Write the header of a new index. Only while holding the lease."""
        known = self.header()
        if known is None:
            # the identity is told apart by chance, not by place, so that the folder can be moved; it reaches no result
            header = {"format": FORMAT, "id": secrets.token_hex(8), "settings": settings}
            self.store.create_exclusive(HEADER, orjson.dumps(header, option=orjson.OPT_INDENT_2))
        elif known["settings"] != settings and not self._names():  # begun by a run that failed
            self.store.replace(HEADER, orjson.dumps(known | {"settings": settings}, option=orjson.OPT_INDENT_2))
        self.check_settings(settings)

    def _names(self) -> list[str]:
        """Names of the records of all segments that are there."""
        return self.store.list(SEGMENTS, ".json")

    def segments(self, *, dropped: bool = False) -> dict[int, Segment]:
        """Segments by number, in order; ``dropped`` adds those that are gone, of which only the record is left.

        Raises:
            ConfigError: a record is damaged.
        """
        names = self._names() + (self.store.list(SEGMENTS, DROPPED) if dropped else [])
        segments = {}
        for name in sorted(names):
            try:
                segment = Segment(**orjson.loads(self.store.read(f"{SEGMENTS}/{name}")))
                for output in (output for part in segment.parts for output in part["outputs"].values()):
                    inside(output["path"])
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ConfigError(
                    f"{self.store.location(SEGMENTS)}/{name}: damaged record of a segment ({error}); restore it from a "
                    "backup; see `winnow index check`"
                ) from error
            segments[segment.number] = segment
        return segments

    def entries(self, numbers: list[int]) -> list[Json]:
        """Every part of some segments as units read it: numbers, rows, and files under their full paths."""
        known = self.segments(dropped=True)
        entries = []
        for number in numbers:
            segment = known[number]
            for part in segment.parts:
                outputs = {
                    name: {**output, "path": self.store.location(output["path"])}
                    for name, output in part["outputs"].items()
                }
                entry = {key: part[key] for key in ("part", "rows", "kept")}
                entries.append({**entry, "segment": number, "run": segment.run, **outputs})
        return entries

    def commit(self, segment: Segment) -> None:
        """Make a segment part of the index: the one moment at which later runs begin to see it.

        Raises:
            ConfigError: somebody has taken the number, which the lease should have prevented.
        """
        record = orjson.dumps(asdict(segment), option=orjson.OPT_INDENT_2)
        if not self.store.create_exclusive(f"{SEGMENTS}/{segment.number:05d}.json", record):
            raise ConfigError(
                f"{self.path}: segment {segment.number} was committed by another run meanwhile; run the same command "
                "again: it deduplicates against that run, too"
            )

    def find(self, run: str) -> Segment:
        """The segment with this number, or of the run folder with this path or name.

        Raises:
            ConfigError: there is none, or more than one.
        """
        live = self.segments()
        if run.isascii() and run.isdecimal() and int(run) in live:
            return live[int(run)]
        full = absolute(run)
        found = [s for s in live.values() if s.run in (run, full)] or [
            s for s in live.values() if last_part(s.run) == run
        ]
        if len(found) != 1:
            which = f"segments {', '.join(str(s.number) for s in found)} are of such a run" if found else "none is"
            raise ConfigError(
                f"{self.path}: no single segment {run!r}: {which}; give a number that `winnow index ls` shows"
            )
        return found[0]

    def drop(self, number: int) -> None:
        """Take a segment out of the index: first its record gets another name, then its files go."""
        name = f"{SEGMENTS}/{number:05d}"
        self.store.rename(f"{name}.json", f"{name}{DROPPED}")
        self.remove_leftovers()

    def leftovers(self) -> list[str]:
        """Files of segments that belong to no segment: of runs that failed or go on, and of dropped segments."""
        used = {output["path"] for s in self.segments().values() for p in s.parts for output in p["outputs"].values()}
        folders = {str(Path(path).parent) for path in used}
        names = self.store.files_below(_FILES)
        return [n for n in names if n not in used and not (n.endswith(".json") and str(Path(n).parent) in folders)]

    def remove_leftovers(self) -> None:
        """Remove what belongs to no segment. Only while holding the lease."""
        for name in self.leftovers():
            self.store.remove(name)
        self.store.remove_empty_folders(_FILES)


def open_index(path: str) -> Index:
    """An index that is there.

    Raises:
        ConfigError: no run has begun one.
    """
    index = Index(settled_path(path))
    if index.header() is None:
        raise ConfigError(f"{path}: no index here; give the folder that `dedup.index` names in the config of a run")
    return index


def pin_segments(index: Index, run: Store, *, save: bool) -> tuple[Pin, Segment | None]:
    """What this run uses of the index, chosen once and for all; and its own segment, where it has committed.

    A run that has not committed yet while others have (it failed, they did not wait) is pinned anew, so that every
    segment is deduplicated against all that were there before it.
    """
    header = index.header()
    identity = header["id"] if header else ""
    known = index.segments(dropped=True)
    live = list(index.segments())
    if run.exists(PIN):
        pin = Pin(**orjson.loads(run.read(PIN)))
        if pin.index == identity:
            own = known.get(pin.segment)
            if own is not None and own.token == pin.token and own.number in live:
                return pin, own
            if own is None and pin.segments == live:
                return pin, None
    first_part = max((segment.end_part for segment in known.values()), default=0)
    if first_part >= MAX_PARTS:
        raise ConfigError(f"{index.path}: all part numbers are used up; begin another index")
    pin = Pin(identity, secrets.token_hex(8), max(known, default=-1) + 1, first_part, live)
    if save:
        run.replace(PIN, orjson.dumps(asdict(pin), option=orjson.OPT_INDENT_2))
    return pin, None


def content_of(kept: list[list[Any]], files: list[list[Any]]) -> str:
    """Names what a segment holds: the documents that its run kept, and the files that it took."""
    return content_hash([kept, files])
