"""Is the sample the one that its settings define? One pass over scores and ledger, in which nobody sorts all documents.

A run sorts to find where each cluster's prototypes begin and where the budget ends. Here both are given, and it is
enough to look at borders: in a group of documents (a cluster, or a cluster of a source), the last that is in has to
come before the first that is out. Levels rise with the order inside a group, so those two stand for their group among
the groups of a source, and the two at a source's border for it among the sources. What is held is two rows a group.
Levels of documents without tokens tie with others, so these only must not stand on the wrong side of both documents of
their group; between the two they may be in or out, which changes no token.

Legend: N documents, G groups.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.select.config import SelectConfig
from winnow.select.sampling import draw_keys
from winnow.select.steps import BUDGET, DROP_RULES, PROTOTYPES, QUALITY, Candidates, StepsConfig, draw_log_weight
from winnow.stages.mixture import RULE as MIXTURE
from winnow.stages.select.sample import candidates_of, shares_of, steps_of
from winnow.stages.tables import column_to_numpy, read_parquet

Rows = dict[str, NDArray[Any]]
"""``group`` int64, ``out`` bool, ``doc`` uint64, ``tokens`` int64, what the order looks at; and sums over all documents
that a row stands for: ``documents`` and ``all_tokens`` int64."""
IN, OTHERWISE = -1, -2
"""What the ledger can say of a document beside the step that left it out: that it is in, or anything else."""
_MERGED_FROM = 1 << 12
"""Rows that are put off before they are merged with those that are held, or as many as are held."""


class Borders:
    """What is in and what is out, group by group: how much, and the two documents at the border."""

    def __init__(self, *order: str) -> None:
        self.order = order
        """Columns that documents of a group are ordered by, the first before the second."""
        self._rows: list[Rows] = []

    def add(self, group: NDArray[np.int64], out: NDArray[np.bool_], columns: Rows) -> None:
        """Documents, each in a group of at least 0 (int64[N]), and whether they are out (bool[N])."""
        one_each = {"documents": np.ones(len(out), np.int64), "all_tokens": columns["tokens"]}
        self._rows.append(self._at_border({"group": group, "out": out, **columns, **one_each}))
        if sum(len(rows["group"]) for rows in self._rows[1:]) > max(_MERGED_FROM, len(self._rows[0]["group"])):
            self.rows()

    def rows(self) -> Rows:
        """The last that is in and the first that is out of each group, by group; a group may have one of them."""
        self._rows = [self._at_border({name: np.concatenate([r[name] for r in self._rows]) for name in self._rows[0]})]
        return self._rows[0]

    def _at_border(self, rows: Rows) -> Rows:
        order = np.lexsort([rows[name] for name in (*reversed(self.order), "out", "group")])
        rows = {name: column[order] for name, column in rows.items()}
        first = np.flatnonzero(np.diff(rows["group"] * 2 + rows["out"], prepend=-1))
        last = np.append(first[1:], len(order)) - 1
        chosen = np.where(rows["out"][first], first, last[: len(first)])
        sums = {name: np.add.reduceat(rows[name], first) for name in ("documents", "all_tokens") if len(first)}
        return {name: column[chosen] for name, column in rows.items()} | sums

    def misplaced(self) -> NDArray[np.int64]:
        """Groups in which a document that is out comes before one that is in."""
        rows = self.rows()
        order = np.lexsort([rows[name] for name in (*reversed(self.order), "group")])
        group, out = rows["group"][order], rows["out"][order]
        wrong: NDArray[np.int64] = group[1:][out[:-1] & ~out[1:] & (group[:-1] == group[1:])]
        return wrong

    def misplaced_among(self, others: "Borders") -> NDArray[np.int64]:
        """Groups in which one of these is out and comes before one of the others that is in, or vice versa."""
        found = []
        for out in (False, True):
            mixed = Borders(*self.order)
            for rows, of in ((self.rows(), out), (others.rows(), not out)):
                mixed._rows.append({name: column[rows["out"] == of] for name, column in rows.items()})
            found.append(mixed.misplaced())
        return np.unique(np.concatenate(found))

    def merged(self, group: NDArray[np.int64], weight: NDArray[np.float64]) -> "Borders":
        """Groups merged into larger ones, ordered by level first: tokens before a document over its group's weight.

        Args:
            group: int64[rows], the larger group of each row.
            weight: float64[rows], of the smaller one.
        """
        rows = self.rows()
        before = self.of_groups("all_tokens", out=False) - np.where(rows["out"], 0, rows["tokens"])
        with np.errstate(invalid="ignore"):  # a group without tokens weighs nothing; its documents come last
            level = before / weight
        larger = Borders("level", "key", "doc")
        larger._rows = [larger._at_border(rows | {"group": group, "level": level})]
        return larger

    def of_groups(self, name: str, *, out: bool | None = None) -> NDArray[np.int64]:
        """int64[rows]: a sum over all documents of each row's group, or over those that are out (or in)."""
        rows = self.rows()
        _, group = np.unique(rows["group"], return_inverse=True)
        sums = np.zeros(len(group), np.int64)
        np.add.at(sums, group, rows[name] if out is None else np.where(rows["out"] == out, rows[name], 0))
        return sums[group]

    def documents_of(self, groups: NDArray[np.int64]) -> int:
        """Documents of some groups."""
        rows = self.rows()
        return int(rows["documents"][np.isin(rows["group"], groups)].sum())


class SampleCheck:
    """The steps of select against a ledger, part by part."""

    def __init__(self, config: StepsConfig, shares: NDArray[np.float64] | None) -> None:
        """``shares`` float64[sources] of the budget, or None."""
        self._config, self._shares = config, shares
        self._documents = self._told = self._judged = 0
        self._clusters = Borders("cosine", "doc")
        self._groups, self._empty = Borders("key", "doc"), Borders("key", "doc")

    def add(self, candidates: Candidates, step: NDArray[np.int8]) -> None:
        """A part: what select looked at, and what the ledger says, int8[N]: a place in ``DROP_RULES``, or as above."""
        config, every = self._config, np.arange(len(step))
        on = {QUALITY: config.threshold, PROTOTYPES: config.drop_share, BUDGET: config.sample}
        self._documents += len(step)
        self._told += int(np.isin(step, [IN, *(number for number, asked in on.items() if asked is not None)]).sum())
        if config.threshold is not None:
            assert candidates.quality is not None
            low = candidates.quality < config.threshold  # NaN is not below
            self._judged += int((low == (step == QUALITY)).sum())
        if config.drop_share is not None:
            assert candidates.centre_cosine is not None
            seen = every[step != QUALITY]
            columns: Rows = {"cosine": candidates.centre_cosine, "doc": candidates.docs, "tokens": candidates.tokens}
            cluster = candidates.cluster[seen].astype(np.int64) + 1  # 0: without a vector
            self._clusters.add(cluster, step[seen] == PROTOTYPES, {name: c[seen] for name, c in columns.items()})
        if config.sample is not None:
            seen = every[(step != QUALITY) & (step != PROTOTYPES)]
            weight = draw_log_weight(candidates, config)
            key = -draw_keys(candidates.docs[seen], None if weight is None else weight[seen], config.sample.seed)
            group = candidates.source[seen].astype(np.int64)
            if config.sample.cluster_temperature is not None:
                group = (group << 32) + candidates.cluster[seen] + 1
            elif self._shares is None:
                group = np.zeros(len(seen), np.int64)
            columns = {"key": key, "doc": candidates.docs[seen], "tokens": candidates.tokens[seen]}
            for borders, of in ((self._groups, columns["tokens"] > 0), (self._empty, columns["tokens"] == 0)):
                borders.add(group[of], step[seen[of]] == BUDGET, {name: c[of] for name, c in columns.items()})

    def balances(self) -> list[Balance]:
        """What is right, of all parts that were added."""
        found = [
            Balance("documents that select keeps, or leaves out by a step of its own", self._documents, self._told)
        ]
        if self._config.threshold is not None:
            name = "documents that quality keeps or leaves out as the ledger says"
            found.append(Balance(name, self._documents, self._judged))
        if self._config.drop_share is not None:
            found.append(self._nearest(self._config.drop_share))
        if self._config.sample is not None:
            found += self._in_budget(self._config.sample.target_tokens, self._config.sample.cluster_temperature)
        return found

    def _nearest(self, drop_share: float) -> Balance:
        rows = self._clusters.rows()
        wanted = (self._clusters.of_groups("documents") * drop_share).astype(np.int64) * (rows["group"] > 0)
        other = rows["group"][self._clusters.of_groups("documents", out=True) != wanted]
        wrong = self._clusters.documents_of(np.union1d(other, self._clusters.misplaced()))
        documents = int(rows["documents"].sum())
        name = "documents of clusters that lose the share nearest to their centre, and nothing else"
        return Balance(name, documents, documents - wrong)

    def _in_budget(self, budget: int, temperature: float | None) -> list[Balance]:
        misplaced = self._empty.misplaced_among(self._groups)
        wrong = self._groups.documents_of(misplaced) + self._empty.documents_of(misplaced)
        for groups in self._levels(temperature):
            wrong = max(wrong, groups.documents_of(groups.misplaced()))
        rows = groups.rows()  # of all documents together
        documents = int(rows["documents"].sum() + self._empty.rows()["documents"].sum())
        taken = int(rows["all_tokens"][~rows["out"]].sum())
        fits = taken + rows["tokens"][rows["out"]] <= budget
        name = "documents of groups in whose order the sample takes the first"
        return [
            Balance(name, documents, documents - wrong),
            Balance("tokens of the sample over its budget", 0, max(0, taken - budget)),
            Balance("next documents for which the sample has room", 0, int(fits.sum())),
        ]

    def _levels(self, temperature: float | None) -> Iterator[Borders]:
        """Groups; where these are clusters, sources; and all documents."""
        groups = self._groups
        yield groups
        if temperature is not None:
            weight = groups.of_groups("all_tokens").astype(np.float64) ** temperature
            groups = groups.merged(groups.rows()["group"] >> 32, weight)
            yield groups
        if temperature is not None or self._shares is not None:
            source = groups.rows()["group"]
            weight = groups.of_groups("all_tokens").astype(np.float64) if self._shares is None else self._shares[source]
            yield groups.merged(np.zeros_like(source), weight)


def check_sample(run: RunRecords, select: SelectConfig) -> list[Balance]:
    """Does the ledger keep and leave out, by the same rules, what the settings say of the scores?"""
    config, names = steps_of(select), [source.name for source in run.config.sources]
    check = SampleCheck(config, shares_of(config, names))
    for scored, decided in zip(run.of("scores"), run.of(run.decided_stage), strict=True):
        candidates = candidates_of(run.store, [scored.outputs["scores"].reference()], config)
        table = read_parquet(run.store, decided.outputs["decisions"].reference(), ["doc", "outcome", "rule"])
        check.add(candidates, steps_told(table, candidates.docs))
    return check.balances()


def steps_told(table: pa.Table, docs: NDArray[np.uint64]) -> NDArray[np.int8]:
    """What decisions say of documents uint64[N]; what a mixture left out of the sample is in."""
    outcome, rule = (table.column(name).cast(pa.string()) for name in ("outcome", "rule"))
    by_rule = pc.index_in(rule, pa.array(DROP_RULES)).fill_null(OTHERWISE).to_numpy()
    step = np.where(pc.equal(rule, MIXTURE).fill_null(False).to_numpy(), IN, by_rule)
    left_out, kept = (pc.equal(outcome, name).to_numpy() for name in (schemas.SAMPLED_OUT, schemas.KEPT))
    told = np.append(np.where(kept, IN, np.where(left_out, step, OTHERWISE)), OTHERWISE)  # of documents not there
    there = column_to_numpy(table, "doc")
    row = np.searchsorted(there, docs)
    row[np.append(there, 0)[row] != docs] = len(there)
    found: NDArray[np.int8] = told[row].astype(np.int8)
    return found
