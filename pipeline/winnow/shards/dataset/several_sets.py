"""Which shard sets a location names: one; those that the ``corpus.json`` of a corpus that grows lists; or several.

A reader of several sets keeps to those that it found when it was made: another night that comes out meanwhile, or
between two processes of one training run, changes nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, NoReturn

from winnow.errors import ShardError
from winnow.shards.dataset.folders import Folder
from winnow.shards.dataset.open_folder import open_folder
from winnow.shards.dataset.shard_set import MANIFEST, ShardSet, Split, manifest_content, read_shard_set
from winnow.shards.manifest_fields import Part

CORPUS = "corpus.json"
"""The list of the shard sets of a corpus that grows, in its folder."""
CORPUS_FORMAT = 1
_AT_A_TIME = 16
"""Manifests that are asked for at once: behind a URL each takes a trip."""


class SetPlace(NamedTuple):
    """One shard set that was found."""

    location: str
    sha256: str
    """Of its manifest."""
    name: str
    """By which a corpus lists it; else its location."""


class SetSplit(NamedTuple):
    """A split of one shard set, and where its files lie."""

    shard_set: ShardSet
    split: Split
    folder: Folder
    place: SetPlace


class _Found(NamedTuple):
    folder: Folder
    content: bytes
    """The manifest."""
    place: SetPlace


class Opener(NamedTuple):
    """How the sets are opened: see :class:`winnow.shards.dataset.stream.Source`."""

    split: str
    until: str | None = None
    cache: str | None = None
    cache_mb: int | None = None
    file_format: str | None = None
    key: str | None = None

    def open(self, locations: Sequence[str | SetPlace]) -> tuple[SetSplit, ...]:
        """The split of every shard set that the locations name, in this order; of several, those that hold rows.

        Args:
            locations: folders or addresses of shard sets and of corpora, or places that were found before.

        Raises:
            ShardError: what cannot be read or is altered, no such split, empty ones alone; sets that do not go
                together, and one that is named twice.
            ValueError: no locations, or ``until`` with what is no corpus, or names none of its sets.
        """
        if not locations:
            raise ValueError("no shard sets: give one at least")
        found = [entry for location in locations for entry in self._find(location)]
        sets = [read_shard_set(entry.folder, self.file_format, entry.content, self.key) for entry in found]
        several = len(sets) > 1
        parts = [
            SetSplit(shard_set, shard_set.split(self.split, may_be_empty=several), entry.folder, entry.place)
            for shard_set, entry in zip(sets, found, strict=True)
        ]
        held = tuple(part for part in parts if part.split.rows)
        if not held:
            raise ShardError(f"split {self.split!r} is empty in all {len(parts)} shard sets; read another split")
        for part in held[1:]:
            _check_together(held[0], part)
        if len(held) > 1:
            _check_phases(held)
        _check_once(held)
        for part in held:
            if part.shard_set.key_source is not None:
                part.shard_set.key()  # here, where it is told before a batch is read
        return held

    def _find(self, location: str | SetPlace) -> list[_Found]:
        """The sets that a location names."""
        if isinstance(location, SetPlace):
            return [self._listed(location)]
        named = location.removesuffix(f"/{CORPUS}")
        folder = open_folder(named, self.cache, self.cache_mb)
        if named == location and self.until is None:
            try:
                content = folder.read(MANIFEST)
            except OSError:  # a corpus, or nothing that can be read: told below
                pass
            else:
                place = SetPlace(folder.location, hashlib.sha256(content).hexdigest(), folder.location)
                return [_Found(folder, content, place)]
        try:
            places = _sets_of_corpus(folder.location, folder.read(CORPUS))
        except OSError:
            if self.until is not None:
                raise ValueError(
                    f"until ({self.until!r}) names the last set of a corpus to read, and {location} has no {CORPUS}"
                ) from None
            manifest_content(folder)
            raise
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            return list(threads.map(self._listed, self._wanted(places, location)))

    def _wanted(self, places: list[SetPlace], location: str) -> list[SetPlace]:
        """The sets up to the last that is wanted."""
        if self.until is None:
            return places
        names = [place.name for place in places]
        if self.until not in names:
            raise ValueError(f"until ({self.until!r}) is none of the sets of {location}: {', '.join(names[-20:])}")
        return places[: names.index(self.until) + 1]

    def _listed(self, place: SetPlace) -> _Found:
        folder = open_folder(place.location, self.cache, self.cache_mb)
        content = manifest_content(folder)
        found = hashlib.sha256(content).hexdigest()
        if found != place.sha256:
            raise ShardError(
                f"{place.location}/{MANIFEST} is altered: its sha256 is {found}, {place.sha256} when it was listed; "
                "copy it again from where it was made"
            )
        return _Found(folder, content, place)


def _sets_of_corpus(location: str, content: bytes) -> list[SetPlace]:
    """The sets that a ``corpus.json`` lists, oldest first.

    Raises:
        ShardError: it is damaged, or lists none.
    """
    place = f"{location}/{CORPUS}"
    try:
        corpus = Part(json.loads(content), CORPUS)
        if corpus["format"].whole() != CORPUS_FORMAT:
            raise ValueError(f"format {corpus['format'].value}, this reader knows {CORPUS_FORMAT}")
        sets = [
            SetPlace(
                f"{location}/{entry['manifest'].path()}".removesuffix(f"/{MANIFEST}"),
                entry["sha256"].sha256(),
                entry["name"].text(),
            )
            for entry in corpus["sets"].each()
        ]
    except (ValueError, RecursionError) as error:
        raise ShardError(f"{place} is damaged ({error}); copy it again from where it was made") from None
    if not sets:
        raise ShardError(f"{place} lists no shard set yet; `winnow run CONFIG --new-only` adds one")
    return sets


def _check_together(first: SetSplit, other: SetSplit) -> None:
    """Look whether rows of two sets can stand in one batch.

    Raises:
        ShardError: rows of other lengths, ids of another vocabulary, other labels.
    """
    one, two = first.shard_set, other.shard_set

    def refuse(what: str, mine: Any, theirs: Any) -> NoReturn:
        raise ShardError(
            f"{first.place.name} and {other.place.name} cannot be read as one: {what} {mine!r:.200} and "
            f"{theirs!r:.200}; make them with the same settings, or read them one after the other"
        )

    for what, mine, theirs in (
        ("ids a row", one.row_tokens, two.row_tokens),
        ("end-of-text", one.end_of_text, two.end_of_text),
        ("types of ids", one.dtype.name, two.dtype.name),
        ("sizes of the vocabulary", one.vocabulary_size, two.vocabulary_size),
        ("labels", one.labels, two.labels),
    ):
        if mine != theirs:
            refuse(what, mine, theirs)
    if one.vocabulary and two.vocabulary and one.vocabulary != two.vocabulary:
        refuse("vocabularies of sha256", one.vocabulary, two.vocabulary)


def _check_phases(parts: Sequence[SetSplit]) -> None:
    """Look whether no set has phases: those of several sets have no one order.

    Raises:
        ShardError: one has.
    """
    for part in parts:
        if part.split.phases:
            raise ShardError(
                f"{part.place.name} has phases in split {part.split.name!r}, which follow each other; read it alone, "
                "or one phase of each set (SPLIT/PHASE)"
            )


def _check_once(parts: Sequence[SetSplit]) -> None:
    """Look whether each set stands there once.

    Raises:
        ShardError: the same rows come from two places.
    """
    names: dict[str, str] = {}
    for part in parts:
        if part.split.identity in names:
            raise ShardError(
                f"{names[part.split.identity]} and {part.place.name} hold the same rows of split {part.split.name!r}: "
                "an epoch reads each row once; name the set once (`epochs` reads it again)"
            )
        names[part.split.identity] = part.place.name
