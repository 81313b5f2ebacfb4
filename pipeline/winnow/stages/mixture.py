"""Mixture: how often each document of the train split is in the shards, from token shares and a budget.

Each source or bucket (all of them as one, where only a budget is given) has its documents in an order of its own, by a
keyed hash. Its budget is so many whole passes over all of its documents, and then the first ones in that order, as many
as fit: exact to one document, and a larger budget only adds. Passes are copies, which the global order spreads apart.
Tokens are those that get into rows: of a document that rows cut, what they leave; of one that they drop, none.

Three stages: counts (tokens by stratum and range of the hash, a unit a part), limits (one unit: it looks at the totals,
and at the documents of one range of each stratum), mixture (the ledger once more).

Legend: N documents, S strata (sources, buckets, or one), B ranges of the hash.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.exchange import Columns
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.shards.order import keyed_hash, unit_interval
from winnow.shards.packing.windows import tokens_in_rows
from winnow.stages.decide.ledger_tables import LeftOut, leave_out
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    ipc_output,
    list_lengths,
    read_ipc,
    read_listing,
    read_parquet,
    read_partition,
)

RULE = "shards.mixture"
"""Name in the ledger's column ``rule``: the document came after its source's budget."""
GIVEN = ("documents", "copies", "available_tokens", "tokens")
"""What a unit tells of each stratum of each phase: in its metadata, column by column."""
_RANGES = 256
_TAG = 0x6D697874757265  # "mixture": the draw shares no key with order, splits and weights
_SUMS = pa.schema([("tokens", pa.int64())])


def counts_stage(seed: int, strata: int, rows: Json, phase: int = 0) -> Stage:
    """Tokens of the train split by stratum and range, which ``rows`` may cut (``ShardsConfig.cutting_rows``).

    Every ``phase`` draws by keys of its own.
    """
    settings = {"seed": seed, "strata": strata, "rows": rows, **({"phase": phase} if phase else {})}
    return Stage(f"{prefix_of(phase)}mixture_counts", 2, settings, run_counts)


def prefix_of(phase: int) -> str:
    """Of the names of a phase's stages."""
    return f"phase{phase + 1}_" if phase else ""


def part_tables(tokenised: list[Record], ledger: list[Record], filtered: list[Record]) -> list[Json]:
    """What the stages read of each part."""
    return [
        {
            "tokens": tokens.outputs["tokens"].reference(),
            "decisions": decided.outputs["decisions"].reference(),
            "verdicts": verdicts.outputs["verdicts"].reference(),
        }
        for tokens, decided, verdicts in zip(tokenised, ledger, filtered, strict=True)
    ]


def with_buckets(tables: list[Json], buckets: list[Record], column: str) -> list[Json]:
    """The same with the buckets of a phase, where its mixture has some."""
    if not buckets:
        return tables
    return [
        {**named, "buckets": {**record.outputs["buckets"].reference(), "column": column}}
        for named, record in zip(tables, buckets, strict=True)
    ]


def plan_counts(tables: list[Json], tokenised: list[Record]) -> list[Unit]:
    """One unit a part."""
    return [
        Unit(number, named, record.counters.get("documents", 0) * 32)
        for number, (named, record) in enumerate(zip(tables, tokenised, strict=True))
    ]


def run_counts(unit: Unit, workspace: Workspace) -> None:
    """Sums, and every document's key and tokens, by stratum and range."""
    strata = workspace.settings["strata"]
    docs, _, stratum, _, tokens, _ = _train(workspace, unit.inputs, strata)
    key = _keys(docs, workspace.settings["seed"], workspace.settings.get("phase", 0))
    place = stratum * _RANGES + (key >> np.uint64(56)).astype(np.int64)
    order = np.lexsort((docs, key, place))
    columns: Columns = {"key": key[order], "doc": docs[order], "tokens": tokens[order]}
    exchange_output(workspace, "entries", place[order], columns, strata * _RANGES)
    sums = np.zeros(strata * _RANGES, np.int64)
    np.add.at(sums, place, tokens)
    with ipc_output(workspace, "sums", _SUMS) as table:
        table.write({"tokens": sums})
    workspace.count("documents", len(docs))


def limits_stage(shares: list[float] | None, max_tokens: int | None, *, repeats: bool = False, phase: int = 0) -> Stage:
    """Where every stratum's budget ends. ``shares`` by stratum, or how often each is taken (``repeats``); None takes
    all sources as one."""
    settings = {"shares": shares, "max_tokens": max_tokens, **({"repeats": True} if repeats else {})}
    return Stage(f"{prefix_of(phase)}mixture_limits", 1, settings, run_limits)


def plan_limits(entries: Json, sums: Json, counted: list[Record]) -> list[Unit]:
    """A single unit."""
    return [Unit(0, {"entries": entries, "sums": sums}, total(counted, "documents") * 24 // _RANGES)]


def budgets(
    tokens: list[int], shares: list[float] | None, max_tokens: int | None, *, repeats: bool = False
) -> list[int]:
    """Tokens that each stratum is to give.

    Without ``max_tokens``, the largest mixture that repeats nothing. Without ``shares`` nothing is repeated either.

    Args:
        tokens: of each stratum.
        shares: any numbers of at least 0, not all of them 0, or None for a single stratum.
        max_tokens: of all together, or None.
        repeats: shares say how often each stratum is taken, and ``max_tokens`` makes all of them smaller alike.
    """
    if shares is None:
        return [tokens[0] if max_tokens is None else min(tokens[0], max_tokens)]
    exact = [Fraction(repr(share)) if repeats else Fraction(share) for share in shares]
    if repeats:
        taken = [n * times for n, times in zip(tokens, exact, strict=True)]
        all_taken = sum(taken)
        less = Fraction(1) if max_tokens is None or all_taken <= max_tokens else Fraction(max_tokens) / all_taken
        return [int(n * less) for n in taken]
    whole = sum(exact)
    all_tokens = min(n * whole / share for n, share in zip(tokens, exact, strict=True) if share)
    wanted = all_tokens if max_tokens is None else Fraction(max_tokens)
    return [int(wanted * share / whole) for share in exact]


def run_limits(unit: Unit, workspace: Workspace) -> None:
    """Add up, and find the first document of every stratum that no longer fits."""
    shares, max_tokens = workspace.settings["shares"], workspace.settings["max_tokens"]
    sums = sum(
        column_to_numpy(read_ipc(workspace.store, entry), "tokens")
        for entry in read_listing(workspace.store, unit.inputs["sums"])
    )
    by_range = np.asarray(sums, np.int64).reshape(-1, _RANGES)
    tokens = by_range.sum(axis=1).tolist()
    strata = []
    wanted = budgets(tokens, shares, max_tokens, repeats=workspace.settings.get("repeats", False))
    for stratum, (held, budget) in enumerate(zip(tokens, wanted, strict=True)):
        passes, rest = divmod(budget, held) if held else (0, 0)
        ends = np.cumsum(by_range[stratum])
        number = int(np.searchsorted(ends, rest, side="right"))  # rest < held, so it is there
        key, doc, taken = 0, 0, 0
        if rest:
            entries = read_partition(workspace.store, unit.inputs["entries"], stratum * _RANGES + number)
            order = np.lexsort((entries["doc"], entries["key"]))
            filled = int(ends[number]) - int(by_range[stratum, number]) + np.cumsum(entries["tokens"][order])
            first = int(np.searchsorted(filled, rest, side="right"))
            key, doc = int(entries["key"][order[first]]), int(entries["doc"][order[first]])
            taken = int(filled[first] - entries["tokens"][order[first]])
        strata.append(
            {"tokens": held, "budget": budget, "passes": passes, "key": key, "doc": doc, "given": passes * held + taken}
        )
    workspace.metadata["strata"] = strata


def stage(seed: int, sources: list[str], rows: Json) -> Stage:
    """The ledger once more, with the copies that the mixture gives."""
    return Stage("mixture", 3, {"seed": seed, "sources": sources, "rows": rows}, run)


def plan(tables: list[list[Json]], ledger: list[Record], limits: list[Record], phases: list[str]) -> list[Unit]:
    """One unit a part.

    Args:
        tables: by phase, what is read of each part.
        ledger: before the mixture.
        limits: by phase.
        phases: their names; none where there is a single one that has none.
    """
    units = []
    for number, record in enumerate(ledger):
        inputs = {**tables[0][number], "strata": limits[0].metadata["strata"]}
        if phases:
            buckets = [of_phase[number].get("buckets") for of_phase in tables]
            strata = [limit.metadata["strata"] for limit in limits]
            told = zip(phases, strata, buckets, strict=True)
            inputs = {name: inputs[name] for name in ("tokens", "decisions", "verdicts")}
            inputs["phases"] = [
                {"name": name, "strata": known, **({"buckets": led} if led else {})} for name, known, led in told
            ]
        units.append(Unit(number, inputs, record.outputs["decisions"].rows * 64))
    return units


class _Taken(NamedTuple):
    """What a phase takes of a part's documents of the train split."""

    train: "_Train"
    times: NDArray[np.int64]
    """int64[N]."""
    place: NDArray[np.float64]
    """float64[N], in the order of the document's stratum."""
    limit: NDArray[np.float64]
    """float64[N], where what is taken ends."""


def _take(workspace: Workspace, inputs: Json, phase: int) -> _Taken:
    strata = inputs["strata"]
    train = _train(workspace, inputs, len(strata))
    key = _keys(train.docs, workspace.settings["seed"], phase)
    limit_key, limit_doc = (np.array([s[name] for s in strata], np.uint64)[train.stratum] for name in ("key", "doc"))
    passes = np.array([s["passes"] for s in strata], np.int64)[train.stratum]
    times = passes + ((key < limit_key) | ((key == limit_key) & (train.docs < limit_doc)))
    return _Taken(train, times, unit_interval(key), unit_interval(limit_key))


def run(unit: Unit, workspace: Workspace) -> None:
    """Copies of the train split's documents; none is ``sampled_out``. Everything else stays what it was.

    With phases, a table tells how many of them are in each. Place and limit of what none takes are those of the first.
    """
    sources, phases = workspace.settings["sources"], unit.inputs.get("phases")
    found = [
        _take(workspace, {**unit.inputs, **known}, phase) for phase, known in enumerate(phases or [{}])
    ]  # of the same documents each
    _, source, _, whole, tokens, row = found[0].train
    taken = np.sum([phase.times for phase in found], axis=0)
    before = read_parquet(workspace.store, unit.inputs["decisions"]).combine_chunks()
    copies = column_to_numpy(before, "copies").astype(np.int64)
    once = copies[row]
    copies[row] *= taken
    out = np.zeros(before.num_rows, bool)
    out[row] = taken == 0
    place, limit = np.zeros((2, before.num_rows), np.float32)
    place[row], limit[row] = found[0].place, found[0].limit
    of_all = column_to_numpy(read_parquet(workspace.store, unit.inputs["verdicts"], ["source"]), "source")
    leave_out(workspace, before, LeftOut(out, schemas.SAMPLED_OUT, RULE, place, limit), copies, of_all, sources)
    for index, name in enumerate(sources):
        mine = source == index
        workspace.count(f"documents/{name}", (taken[mine] > 0).sum())
        workspace.count(f"copies/{name}", copies[row][mine].sum())
        workspace.count(f"available_tokens/{name}", tokens[mine].sum())
        workspace.count(f"tokens/{name}", (tokens * taken)[mine].sum())
        workspace.count(f"whole_tokens/{name}", (whole * taken)[mine].sum())
    if phases or "buckets" in unit.inputs:
        workspace.metadata["given"] = [_given(phase, once) for phase in found]
    if phases:
        schema = pa.schema([("doc", pa.uint64()), *((f"copies{number}", pa.uint16()) for number in range(len(found)))])
        told = {f"copies{number}": (phase.times * once).astype(np.uint16) for number, phase in enumerate(found)}
        with ipc_output(workspace, "phases", schema) as table:
            table.write({"doc": found[0].train.docs, **told})
        workspace.metadata["most_copies"] = int(taken.max(initial=0))


def _given(phase: _Taken, once: NDArray[np.int64]) -> list[list[int]]:
    """What a phase takes, by stratum: the numbers that ``GIVEN`` names."""
    train, times = phase.train, phase.times
    gave = np.zeros((int(train.stratum.max(initial=-1)) + 1, len(GIVEN)), np.int64)
    rows = np.stack([times > 0, once * times, train.tokens, train.tokens * times], axis=1)
    np.add.at(gave, train.stratum, rows)
    return gave.tolist()


def _keys(docs: NDArray[np.uint64], seed: int, phase: int = 0) -> NDArray[np.uint64]:
    return keyed_hash((seed, _TAG + phase), docs[:, None])[:, 0]


class _Train(NamedTuple):
    """Documents of a part's train split."""

    docs: NDArray[np.uint64]
    """uint64[N]."""
    source: NDArray[np.int64]
    """int64[N]."""
    stratum: NDArray[np.int64]
    """int64[N]."""
    whole: NDArray[np.int64]
    """int64[N], tokens of all copies so far, end-of-text included."""
    tokens: NDArray[np.int64]
    """int64[N], those of them that get into rows."""
    row: NDArray[np.int64]
    """int64[N] of the ledger."""


def _train(workspace: Workspace, inputs: Json, strata: int) -> _Train:
    store = workspace.store
    decisions = read_parquet(store, inputs["decisions"], ["doc", "split", "copies"]).combine_chunks()
    verdicts = read_parquet(store, inputs["verdicts"], ["doc", "source"])
    tokens = read_ipc(store, inputs["tokens"])
    length = list_lengths(tokens, "ids")
    copies = column_to_numpy(decisions, "copies").astype(np.int64)
    train = pc.fill_null(pc.equal(decisions.column("split").cast(pa.string()), "train"), False)
    row = np.flatnonzero(train.to_numpy() & (copies > 0))
    docs = column_to_numpy(decisions, "doc")[row]
    source = column_to_numpy(verdicts, "source")[np.searchsorted(column_to_numpy(verdicts, "doc"), docs)]
    stratum = source if strata > 1 else np.zeros_like(source)
    if "buckets" in inputs:
        led = read_ipc(store, inputs["buckets"])
        stratum = column_to_numpy(led, inputs["buckets"]["column"])[np.searchsorted(column_to_numpy(led, "doc"), docs)]
    held = length[np.searchsorted(column_to_numpy(tokens, "doc"), docs)] + 1
    reach = tokens_in_rows(held, workspace.settings["rows"])
    return _Train(docs, source.astype(np.int64), stratum.astype(np.int64), held * copies[row], reach * copies[row], row)
