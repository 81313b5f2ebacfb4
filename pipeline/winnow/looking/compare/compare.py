"""Two runs side by side: what changed, in how many documents, with examples."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.looking.compare.pairs import Names, Partition, Rows, joined
from winnow.looking.compare.settings import Changed, changed_files, changed_settings
from winnow.looking.list_documents import listed_documents
from winnow.looking.tune import tokens_a_character

Kind = Literal["lost", "gained", "other_rule", "split", "only_then", "only_now"]
"""Of examples: kept then and not now, the other way round, dropped both times by other rules, kept in another split,
in one run alone."""
_KEPT, _UNREADABLE = schemas.OUTCOMES.index(schemas.KEPT), schemas.OUTCOMES.index(schemas.UNREADABLE)


@dataclass
class Group:
    """A source or a language of a run."""

    records: int = 0
    kept: int = 0
    tokens: int = 0
    """Of sources counted, of kept documents before sampling; of languages estimated from characters."""
    share: float = 0.0
    """Of all tokens."""


@dataclass
class Side:
    """One of the two runs."""

    run: str
    outcomes: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    """In the shards, every copy counted."""
    splits: dict[str, Json] = field(default_factory=dict)
    """Documents, tokens and rows of each."""
    sources: dict[str, Group] = field(default_factory=dict)
    languages: dict[str, Group] = field(default_factory=dict)


@dataclass
class Comparison:
    """What changed from the run ``then`` to the run ``now``. Documents are joined by source and id."""

    then: Side
    now: Side
    settings: list[Changed]
    files: dict[str, int]
    both: int = 0
    """Documents that are in both."""
    only_then: dict[str, int] = field(default_factory=dict)
    """By outcome."""
    only_now: dict[str, int] = field(default_factory=dict)
    moves: dict[str, dict[str, int]] = field(default_factory=dict)
    """By outcome then and outcome now, where they differ."""
    lost: dict[str, int] = field(default_factory=dict)
    """Kept then and not now, by outcome and rule now."""
    gained: dict[str, int] = field(default_factory=dict)
    """Kept now and not then, by outcome and rule then."""
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    """``lost`` and ``gained`` of each source with some."""
    by_language: dict[str, dict[str, int]] = field(default_factory=dict)
    """By the language that was found now."""
    other_rule: int = 0
    """The same outcome by another rule."""
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    """By split then and split now, kept documents that are in another."""
    copies: int = 0
    """Kept documents that enter an epoch another number of times."""
    lengths: int = 0
    """Documents whose clean text has another length."""
    examples: dict[Kind, list[Json]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether there is anything to tell."""
        one, other = (asdict(side) | {"run": ""} for side in (self.then, self.now))
        return (
            one != other
            or any(
                (self.settings, self.only_then, self.only_now, self.moves, self.other_rule, self.splits, self.copies),
            )
            or bool(self.lengths)
        )


def compare_runs(then: RunRecords, now: RunRecords, sample: int = 0, characters: int = 120) -> Comparison:
    """Compare two finished runs.

    Args:
        then: the earlier one, or the one that is taken for it.
        now: the other.
        sample: examples of each kind, drawn by the hash of their ids: the same ones each time.
        characters: of an example's text.

    Raises:
        ConfigError: they have different ledgers of one part, so that one of them is damaged.
        StorageError: a manifest is missing or damaged.
    """
    manifests = then.manifest, now.manifest
    found = Comparison(
        _side(then, manifests[0]),
        _side(now, manifests[1]),
        changed_settings(*manifests),
        changed_files(then, now),
    )
    names = Names()
    drawn: dict[Kind, list[tuple[int, int]]] = {}
    sums = [_Languages(tokens_a_character(run)) for run in (then, now)]
    try:
        for partition in joined(then, now, names):
            _count(found, partition, names)
            for side, pair, alone in zip(sums, partition[:2], partition[2:], strict=True):
                for rows in (pair, alone):
                    side.add(rows, names)
            _draw(drawn, partition, sample)
    except ValueError as error:
        raise ConfigError(
            f"{then.config.run}, {now.config.run}: tables of one part have other rows ({error})"
        ) from error
    for of, languages in zip((found.then, found.now), sums, strict=True):
        of.languages = languages.groups(names)
    _order(found)
    found.examples = _examples(then, now, drawn, characters)
    return found


def _side(run: RunRecords, manifest: Json) -> Side:
    splits = {
        name: {key: split[key] for key in ("documents", "tokens", "rows")}
        for name, split in manifest["shards"]["splits"].items()
    }
    tokens = sum(source["tokens"] for source in manifest["sources"].values())
    sources = {
        name: Group(
            sum(source["outcomes"].values()),
            source["outcomes"].get(schemas.KEPT, 0),
            source["tokens"],
            round(source["tokens"] / tokens, 6) if tokens else 0.0,
        )
        for name, source in manifest["sources"].items()
    }
    outcomes = {name: number for name, number in manifest["books"]["outcomes"].items() if number}
    return Side(run.config.run, outcomes, sum(split["tokens"] for split in splits.values()), splits, sources)


class _Languages:
    """Records and characters of a run, by language and source."""

    def __init__(self, rates: dict[str, float]) -> None:
        self.rates = rates
        self.sums: Counter[tuple[int, int]] = Counter()
        self.kept: Counter[int] = Counter()
        self.records: Counter[int] = Counter()

    def add(self, rows: Rows, names: Names) -> None:
        """Count some documents."""
        kept = rows["outcome"] == _KEPT
        size = len(names.names)
        self.records.update(_tally(rows["language"][rows["outcome"] != _UNREADABLE]))
        self.kept.update(_tally(rows["language"][kept]))
        pair = rows["language"][kept].astype(np.int64) * size + rows["source"][kept]
        code, place = np.unique(pair, return_inverse=True)
        characters = np.bincount(place, rows["characters"][kept], len(code)) if len(code) else np.empty(0)
        for number, amount in zip(code.tolist(), characters.tolist(), strict=True):
            self.sums[divmod(number, size)] += int(amount)

    def groups(self, names: Names) -> dict[str, Group]:
        """By language, the most frequent of what was kept first."""
        tokens: Counter[int] = Counter()
        for (language, source), characters in self.sums.items():
            tokens[language] += round(characters * self.rates[names.names[source]])
        whole = sum(tokens.values())
        order = sorted(self.records, key=lambda code: (-tokens[code], names.names[code]))
        return {
            names.names[code] or "unknown": Group(
                self.records[code],
                self.kept[code],
                tokens[code],
                round(tokens[code] / whole, 6) if whole else 0.0,
            )
            for code in order
        }


def _tally(codes: NDArray[np.uint32]) -> dict[int, int]:
    known, number = np.unique(codes, return_counts=True)
    return dict(zip(known.tolist(), number.tolist(), strict=True))


def _reason(outcome: int, rule: str) -> str:
    return schemas.OUTCOMES[outcome] + (f": {rule}" if rule else "")


def _fates(partition: Partition) -> dict[Kind, NDArray[np.bool_]]:
    """By kind, which of the pairs are meant."""
    then, now = partition.then, partition.now
    was, is_kept = then["outcome"] == _KEPT, now["outcome"] == _KEPT
    dropped = ~was & ~is_kept & (then["outcome"] == now["outcome"])
    return {
        "lost": was & ~is_kept,
        "gained": ~was & is_kept,
        "other_rule": dropped & (then["rule"] != now["rule"]),
        "split": was & is_kept & (then["split"] != now["split"]),
    }


def _count(found: Comparison, partition: Partition, names: Names) -> None:
    then, now = partition.then, partition.now
    found.both += len(then)
    for side, rows in ((found.only_then, partition.only_then), (found.only_now, partition.only_now)):
        for code, number in _tally(rows["outcome"]).items():
            _add(side, schemas.OUTCOMES[code], number)
    moved = then["outcome"] != now["outcome"]
    for (a, b), number in _pairs(then["outcome"][moved], now["outcome"][moved]):
        _add(found.moves.setdefault(schemas.OUTCOMES[a], {}), schemas.OUTCOMES[b], number)
    fates = _fates(partition)
    for kind, rows, reasons in (("lost", now, found.lost), ("gained", then, found.gained)):
        mine = fates["lost" if kind == "lost" else "gained"]
        for (outcome, rule), number in _pairs(rows["outcome"][mine], rows["rule"][mine]):
            _add(reasons, _reason(outcome, names.names[rule]), number)
        for column, groups in (("source", found.by_source), ("language", found.by_language)):
            for code, number in _tally(now[column][mine]).items():
                _add(groups.setdefault(names.names[code] or "unknown", {"lost": 0, "gained": 0}), kind, number)
    found.other_rule += int(fates["other_rule"].sum())
    for (a, b), number in _pairs(then["split"][fates["split"]], now["split"][fates["split"]]):
        _add(found.splits.setdefault(names.names[a], {}), names.names[b], number)
    both_kept = (then["outcome"] == _KEPT) & (now["outcome"] == _KEPT)
    found.copies += int((both_kept & (then["copies"] != now["copies"])).sum())
    readable = (then["outcome"] != _UNREADABLE) & (now["outcome"] != _UNREADABLE)
    found.lengths += int((readable & (then["characters"] != now["characters"])).sum())


def _pairs(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> list[tuple[tuple[int, int], int]]:
    """Different pairs of codes, with how often each is there."""
    known, number = np.unique(np.stack((first.astype(np.int64), second.astype(np.int64))), axis=1, return_counts=True)
    return [((int(a), int(b)), int(n)) for a, b, n in zip(known[0], known[1], number, strict=True)]


def _add(counts: dict[str, int], name: str, number: int) -> None:
    counts[name] = counts.get(name, 0) + number


def _order(found: Comparison) -> None:
    """The most frequent first, whatever partition they came from."""
    for name in ("lost", "gained", "only_then", "only_now"):
        counts: dict[str, int] = getattr(found, name)
        setattr(found, name, dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))))
    for table in (found.moves, found.splits):
        ordered = {name: dict(sorted(table[name].items())) for name in sorted(table)}
        table.clear()
        table.update(ordered)
    for groups in (found.by_source, found.by_language):
        in_order = sorted(groups.items(), key=lambda entry: (-sum(entry[1].values()), entry[0]))
        groups.clear()
        groups.update(in_order)


def _draw(drawn: dict[Kind, list[tuple[int, int]]], partition: Partition, sample: int) -> None:
    """Numbers then and now of the first documents of each kind by hash: partitions come in that order."""
    if not sample:
        return
    none = int(schemas.NO_DOC)
    for kind, mine in _fates(partition).items():
        pairs = zip(partition.then["doc"][mine].tolist(), partition.now["doc"][mine].tolist(), strict=True)
        _take(drawn.setdefault(kind, []), [*pairs][:sample], sample)
    _take(
        drawn.setdefault("only_then", []), [(doc, none) for doc in partition.only_then["doc"][:sample].tolist()], sample
    )
    _take(
        drawn.setdefault("only_now", []), [(none, doc) for doc in partition.only_now["doc"][:sample].tolist()], sample
    )


def _take(known: list[tuple[int, int]], more: list[tuple[int, int]], most: int) -> None:
    known.extend(more[: most - len(known)])


def _examples(
    then: RunRecords, now: RunRecords, drawn: dict[Kind, list[tuple[int, int]]], characters: int
) -> dict[Kind, list[Json]]:
    none = int(schemas.NO_DOC)
    listed = [
        listed_documents(run, {pair[side] for pairs in drawn.values() for pair in pairs} - {none}, characters)
        for side, run in enumerate((then, now))
    ]
    found: dict[Kind, list[Json]] = {}
    for kind, pairs in drawn.items():
        for pair in pairs:
            both = [asdict(side[doc]) if doc in side else None for side, doc in zip(listed, pair, strict=True)]
            shown = both[1] or both[0]
            if shown is None:  # a record that could not be read
                continue
            text = {name: shown[name] for name in ("id", "source", "language", "text")}
            found.setdefault(kind, []).append(text | {"then": _fate(both[0]), "now": _fate(both[1])})
    return found


def _fate(listed: Json | None) -> Json | None:
    names = ("doc", "outcome", "rule", "value", "threshold", "more_rules", "keeper", "similarity", "split")
    return listed and {name: listed[name] for name in names}
