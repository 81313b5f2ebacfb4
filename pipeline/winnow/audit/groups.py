"""Which documents mention which groups, before and after each step and rule of a finished run.

A rule that removes what mentions a group more often than other documents *of the same source, language and length*
stands out; without that comparison languages and lengths would stand for groups. Part by part: what is kept are counts
by stratum, and the clusters of near-duplicates.

Legend: N documents of a part, G groups, S strata (source, language, length in powers of two).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.audit.group_results import GroupsAudit, Part, Removal, Representation
from winnow.audit.intervals import share_of
from winnow.errors import ConfigError, NamedObjectError
from winnow.flow.records import RunRecords
from winnow.operators.files import fetched
from winnow.report.group_audits import state_of
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.storage.config import StorageConfig
from winnow.text.mentions.mentions import Finder
from winnow.text.mentions.terms import BUILT_IN, Terms, read_terms

RULES, DEDUP = "rules", "dedup"
LEAST_REMOVED = 10
"""Documents of a group that a rule removes, from which it can stand out."""
_LATER = ("screen", "decontaminate", "redact", "select", "mixture")
"""Stages behind dedup that write the ledger, in order."""
_JUDGED = {RULES: "filter", "screen": "screen", "redact": "redact"}
"""Stage that writes the failures of a step."""


class _Documents(NamedTuple):
    """Documents of a part."""

    docs: NDArray[np.uint64]  # [N]
    mentions: NDArray[np.bool_]  # [N, G]
    stratum: NDArray[np.int64]  # [N] into the strata so far
    size: int  # bytes of text


class _Counts:
    """Documents by stratum and group, and all of a stratum: int64[S, G + 1]."""

    def __init__(self, groups: int) -> None:
        self.counts = np.zeros((0, groups + 1), np.int64)

    def add(self, stratum: NDArray[np.int64], mentions: NDArray[np.bool_], strata: int) -> None:
        """Add documents."""
        if len(self.counts) < strata:
            more = np.zeros((strata - len(self.counts), self.counts.shape[1]), np.int64)
            self.counts = np.concatenate([self.counts, more])
        self.counts[:, -1] += np.bincount(stratum, minlength=len(self.counts))
        for group in range(mentions.shape[1]):
            self.counts[:, group] += np.bincount(stratum[mentions[:, group]], minlength=len(self.counts))


@dataclass
class _Found:
    """What all parts give."""

    groups: int
    strata: dict[tuple[str, str, int], int] = field(default_factory=dict)
    before: dict[str, _Counts] = field(default_factory=dict)
    """By step, documents that it finds, and under ``kept`` those at the end."""
    removed: dict[tuple[str, str], _Counts] = field(default_factory=dict)
    """By step and rule."""
    clusters: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = field(default_factory=list)
    """Keepers with their removed duplicates by group."""

    def count(self, into: dict, key: object, chosen: NDArray[np.bool_] | NDArray[np.int64], part: _Documents) -> None:  # type: ignore[type-arg]
        """Add the chosen documents of a part."""
        counts = into.setdefault(key, _Counts(self.groups))
        counts.add(part.stratum[chosen], part.mentions[chosen], len(self.strata))


def terms_of(file: str | None, storage: StorageConfig) -> tuple[str, Terms]:
    """The terms of a file, and what the list is called; without a file Winnow's own.

    Raises:
        ConfigError: it cannot be read, or is not as it should be.
    """
    if file is None:
        return "the built-in list", read_terms(BUILT_IN.read_bytes(), BUILT_IN.name)
    try:
        path = fetched(file, storage)
        if path.exists() and not path.is_file():  # a pipe would never end
            raise ConfigError(f"--terms {file}: no file; expected a list of terms as CSV or TSV")
        return file, read_terms(path.read_bytes(), file)
    except (NamedObjectError, OSError) as error:
        told = str(error) if isinstance(error, NamedObjectError) else f"{file}: {error.strerror or error}"
        raise ConfigError(f"--terms {told}; expected a list of terms as CSV or TSV") from error


def audit_groups(run: RunRecords, terms: Terms, name: str, ratio: float, note: str = "") -> GroupsAudit:
    """Look for the terms in every readable document, and follow those that hold one through the run's tables.

    Args:
        run: a finished run.
        terms: of the groups.
        name: of their file.
        ratio: over which a rule is said to remove a group more than others.
        note: what was done about earlier findings.

    Raises:
        ConfigError: the run has no documents.
    """
    if not run.parts:
        raise ConfigError(f"{run.store.root}: this run has no readable document, so there is nothing to audit")
    audit = GroupsAudit(run.store.root, name, state_of(run), ratio, note, altered=terms.altered)
    finder, found = Finder(terms), _Found(len(terms.groups))
    later = [stage for stage in _LATER if run.of(stage)]
    audit.steps = [RULES, *([DEDUP] if run.config.dedup else []), *later]
    for number in range(len(run.parts)):
        part = _read(run, number, finder, found)
        audit.documents += len(part.docs)
        audit.text_bytes += part.size
        audit.mentioning += int(part.mentions.any(axis=1).sum())
        _follow(run, number, part, found, later)
    held = zip(terms.term, terms.language, terms.group.tolist(), finder.documents.tolist(), strict=True)
    for term, language, group, documents in held:
        if documents:
            audit.found.setdefault(terms.groups[group], {})[f"{term} ({language})" if language else term] = documents
    _conclude(audit, terms.groups, found)
    return audit


def _read(run: RunRecords, number: int, finder: Finder, found: _Found) -> _Documents:
    """Documents of a part, with what they mention."""
    signals = read_parquet(run.store, run.parts[number].signals, ["language"])
    languages = signals.column("language").cast(pa.string()).combine_chunks()
    docs, mentions, strata, at, size = [], [], [], 0, 0
    with pq.ParquetFile(
        run.store.columns_of(run.parts[number].documents["path"]), pre_buffer=run.store.is_remote
    ) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["doc", "text", "source"], use_threads=False)
            texts, here = table.column("text").combine_chunks(), languages.slice(at, table.num_rows)
            at += table.num_rows
            mentions.append(finder(texts, here.to_pylist()))
            docs.append(column_to_numpy(table, "doc"))
            lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.float64)
            size += int(lengths.sum())
            bins = np.log2(lengths + 1).astype(np.int64)
            strata.append(_strata(table.column("source").cast(pa.string()).combine_chunks(), here, bins, found.strata))
    return _Documents(np.concatenate(docs), np.concatenate(mentions), np.concatenate(strata), size)


def _strata(sources: pa.Array, languages: pa.Array, bins: NDArray[np.int64], known: dict) -> NDArray[np.int64]:  # type: ignore[type-arg]
    """The stratum of each document; new ones are added to ``known``."""
    one, other = sources.dictionary_encode(), pc.fill_null(languages, "").dictionary_encode()
    codes = one.indices.to_numpy().astype(np.int64) * len(other.dictionary) + other.indices.to_numpy()
    values, place = np.unique(codes * 64 + bins, return_inverse=True)
    names = []
    for value in values.tolist():
        code, length = divmod(value, 64)
        source, language = divmod(code, len(other.dictionary))
        key = (one.dictionary[source].as_py(), other.dictionary[language].as_py(), length)
        names.append(known.setdefault(key, len(known)))
    return np.array(names or [0], np.int64)[place]


def _follow(run: RunRecords, number: int, part: _Documents, found: _Found, later: list[str]) -> None:
    """Count what each step found and took."""
    decided = read_parquet(
        run.store, run.of("decide")[number].outputs["decisions"].reference(), ["doc", "outcome", "keeper"]
    )
    outcome = _names(decided, "outcome")
    there = np.ones(len(part.docs), bool)
    found.count(found.before, RULES, there, part)
    for rule, rows in _failed(run, RULES, number, part.docs):
        found.count(found.removed, (RULES, rule), rows, part)
    sampled = outcome == schemas.SAMPLED_OUT  # by a weight, before dedup
    there = ~np.isin(outcome, [schemas.FILTERED, schemas.EMPTY]) & ~sampled
    if sampled.any():
        found.count(found.removed, (RULES, "source weight"), sampled, part)
    kept = outcome == schemas.KEPT
    if run.config.dedup:
        found.count(found.before, DEDUP, there, part)
        for name in (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE):
            found.count(found.removed, (DEDUP, name), outcome == name, part)
        _clusters(decided, part, found)
    for stage in later:
        ledger = read_parquet(run.store, run.of(stage)[number].outputs["decisions"].reference(), ["outcome", "rule"])
        found.count(found.before, stage, kept, part)
        gone = kept & (_names(ledger, "outcome") != schemas.KEPT)
        if stage in _JUDGED:
            for rule, rows in _failed(run, stage, number, part.docs):
                found.count(found.removed, (stage, rule), rows, part)
        else:
            rules = _names(ledger, "rule")
            for rule in sorted(set(rules[gone].tolist()) - {None}):
                found.count(found.removed, (stage, rule), gone & (rules == rule), part)
        kept = kept & ~gone
    found.count(found.before, schemas.KEPT, kept, part)


def _failed(
    run: RunRecords, step: str, number: int, docs: NDArray[np.uint64]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """By rule, rows of the documents that fail it, alone or with others."""
    failures = read_parquet(run.store, run.of(_JUDGED[step])[number].outputs["failures"].reference(), ["doc", "rule"])
    rules, rows = _names(failures, "rule"), np.searchsorted(docs, column_to_numpy(failures, "doc"))
    for rule in sorted(set(rules.tolist())):
        yield rule, np.unique(rows[rules == rule])


def _names(table: pa.Table, column: str) -> NDArray[np.object_]:
    found: NDArray[np.object_] = table.column(column).cast(pa.string()).to_numpy()
    return found


def _clusters(decided: pa.Table, part: _Documents, found: _Found) -> None:
    """Note the part's removed duplicates by their keepers."""
    rows = np.flatnonzero(decided.column("keeper").is_valid().to_numpy())
    if not len(rows):
        return
    keepers = decided.column("keeper").take(pa.array(rows)).to_numpy()
    values, place = np.unique(keepers, return_inverse=True)
    counts = np.zeros((len(values), found.groups), np.int64)
    np.add.at(counts, place, part.mentions[rows].astype(np.int64))
    found.clusters.append((values, counts))


def _effects(found: _Found, documents: NDArray[np.int64]) -> NDArray[np.float64]:
    """Design effect of each group float64[G]: sum of squared sizes of clusters over their sum (Kish 1965), where a
    keeper is taken to mention what its duplicates do."""
    if not found.clusters:
        return np.ones(found.groups)
    keepers, place = np.unique(np.concatenate([values for values, _ in found.clusters]), return_inverse=True)
    sizes = np.zeros((len(keepers), found.groups), np.int64)
    np.add.at(sizes, place, np.concatenate([counts for _, counts in found.clusters]))
    sizes += sizes > 0
    alone = np.maximum(documents - sizes.sum(axis=0), 0)
    squares = (sizes.astype(np.float64) ** 2).sum(axis=0) + alone
    effects: NDArray[np.float64] = np.maximum(squares / np.maximum(sizes.sum(axis=0) + alone, 1), 1.0)
    return effects


def _expected(hit: NDArray[np.int64], of: NDArray[np.int64], group: int) -> float | None:
    """What share of a group's documents would be hit if they were hit as others of their stratum are."""
    others, hit_others = of[:, -1] - of[:, group], hit[:, -1] - hit[:, group]
    there = (others > 0) & (of[:, group] > 0)
    weight = of[there, group]
    if not weight.sum():
        return None
    return float((weight * hit_others[there] / others[there]).sum() / weight.sum())


def _conclude(audit: GroupsAudit, groups: list[str], found: _Found) -> None:
    strata = len(found.strata)

    def table(counts: _Counts | None) -> NDArray[np.int64]:
        have = np.zeros((0, len(groups) + 1), np.int64) if counts is None else counts.counts
        return np.concatenate([have, np.zeros((strata - len(have), have.shape[1]), np.int64)])

    before = {step: table(counts) for step, counts in found.before.items()}
    read, kept = before[RULES], before[schemas.KEPT]
    effects = _effects(found, read[:, :-1].sum(axis=0))
    ends = {
        "read": read,
        **{step: before[after] for step, after in zip(audit.steps, [*audit.steps[1:], schemas.KEPT], strict=True)},
    }
    audit.comparisons = len(found.removed) * sum(bool(read[:, group].sum()) for group in range(len(groups)))
    for group, name in enumerate(groups):
        if not read[:, group].sum():
            continue
        effect = float(effects[group])
        after = {
            step: share_of(int(held[:, group].sum()), int(held[:, -1].sum()), effect=effect)
            for step, held in ends.items()
        }
        rate = share_of(int(kept[:, group].sum()), int(read[:, group].sum()), effect=effect)
        audit.groups.append(Representation(name, round(effect, 3), after, rate, _expected(kept, read, group)))
        for (step, rule), counts in found.removed.items():
            audit.removals.append(_removal(audit, step, rule, (name, group), table(counts), before[step], effect))
    for kind, at in (("source", 0), ("language", 1)):
        for part in sorted({key[at] for key in found.strata}):
            mine = [number for key, number in found.strata.items() if key[at] == part]
            rows = [("", len(groups)), *((name, group) for group, name in enumerate(groups))]
            for name, group in rows:
                if read[mine, group].sum():
                    totals = int(read[mine, group].sum()), int(kept[mine, group].sum())
                    audit.parts.append(Part(kind, str(part) or "not known", name, *totals))


def _removal(
    audit: GroupsAudit,
    step: str,
    rule: str,
    named: tuple[str, int],
    hit: NDArray[np.int64],
    of: NDArray[np.int64],
    effect: float,
) -> Removal:
    """What a rule takes of a group."""
    name, group = named
    hits, there = int(hit[:, group].sum()), int(of[:, group].sum())
    rate, expected = share_of(hits, there, effect=effect), _expected(hit, of, group)
    strict = share_of(hits, there, effect=effect, comparisons=audit.comparisons)
    over = expected is not None and rate.share is not None and rate.share >= audit.ratio * expected
    return Removal(
        step, rule, name, rate, expected, bool(over and hits >= LEAST_REMOVED and strict.low > (expected or 0))
    )
