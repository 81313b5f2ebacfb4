"""Thresholds by quantile: exact, over all documents of the signals' tables, in memory that does not grow with them.

A value's key is an integer of 32 bits in the order of the values. Two rounds of a count each, so four stages, and none
where no rule asks for a quantile: quantile_counts (a unit a part: documents by the upper 16 bits of their key),
quantile_bins (one unit: the 16 bits that each quantile lies in, and its rank among them), quantile_values (a unit a
part: documents of those bins by the lower 16 bits), quantile_cuts (one unit: the values).

A *group* is what a quantile is of: a source, a language, or all documents (null). What is added up are at most 65,536
counts for each quantile and group, of billions of documents as of ten.

Legend: M documents that a rule is about and that have a value.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.tables import TableOutput, ipc_output, read_ipc, read_listing, read_parquet
from winnow.storage.store import Store
from winnow.text.rules.signal_rules import SignalRule, applies_to, quantile_bounds, rank_of

_GROUP = [("bound", pa.uint16()), ("group", pa.string()), ("whole", pa.bool_())]
"""A quantile's place among those of ``filter.rules``, its group, and whether its signal holds whole numbers."""
_COUNTS = pa.schema([*_GROUP, ("digit", pa.uint16()), ("documents", pa.int64())])
_BINS = pa.schema([*_GROUP, ("digit", pa.uint16()), ("rank", pa.int64()), ("documents", pa.int64())])
_CUTS = pa.schema([("bound", pa.uint16()), ("group", pa.string()), ("value", pa.float64()), ("documents", pa.int64())])
_ADDED_AT = 1 << 20
"""Rows of counts that are gathered before they are added up."""
_LOW = np.uint32(0xFFFF)
_NONE = 0xFFFF_FFFF
"""No bin: a group of no document."""
_SIGN = np.uint32(0x8000_0000)


class SignalTable(Protocol):
    """A table of signals, such as a part's: where it lies, and its rows."""

    @property
    def number(self) -> int: ...  # noqa: D102

    @property
    def signals(self) -> Json: ...  # noqa: D102

    @property
    def rows(self) -> int: ...  # noqa: D102


Cuts = list[dict[str | None, float]]
"""Of each quantile, the threshold by group."""


def counts_stage(rules: tuple[SignalRule, ...], prefix: str = "") -> Stage:
    """Documents by quantile, group and upper half of the key. ``prefix`` of the stage's name, here and below."""
    return Stage(f"{prefix}quantile_counts", 1, {"rules": _asked(rules)}, run_counts)


def _asked(rules: tuple[SignalRule, ...]) -> list[Json]:
    """What counts depend on: not the quantiles, so that others count nothing again."""
    fields = {"signal", "by", "sources", "languages"}
    return [bound.rule.model_dump(mode="json", include=fields) for bound in quantile_bounds(rules)]


def plan_counts(parts: Sequence[SignalTable]) -> list[Unit]:
    """One unit a part."""
    return [Unit(part.number, {"signals": part.signals}, part.rows * 8) for part in parts]


def run_counts(unit: Unit, workspace: Workspace) -> None:
    """Count the upper halves."""
    with ipc_output(workspace, "counts", _COUNTS) as table:
        for found in _values(workspace, unit.inputs["signals"]):
            _write_counts(table, found, (found.key >> np.uint32(16)).astype(np.int64))


def bins_stage(rules: tuple[SignalRule, ...], prefix: str = "") -> Stage:
    """Where each quantile lies."""
    quantiles = [bound.quantile for bound in quantile_bounds(rules)]
    return Stage(f"{prefix}quantile_bins", 1, {"quantiles": quantiles}, run_bins)


def plan_bins(counts: Json, counted: list[Record]) -> list[Unit]:
    """A single unit."""
    return [Unit(0, {"counts": counts}, sum(record.outputs["counts"].rows for record in counted) * 16)]


def run_bins(unit: Unit, workspace: Workspace) -> None:
    """Add up; find the upper half of each quantile's key, and its rank among the documents that share it."""
    rows = []
    for added in _added(workspace.store, unit.inputs["counts"]):
        documents = int(added.documents.sum())
        rank = rank_of(workspace.settings["quantiles"][added.bound], documents)
        digit, rest = _digit_of(added, rank)
        rows.append({**added.group_fields, "digit": digit, "rank": rest, "documents": documents})
    with ipc_output(workspace, "bins", _BINS) as table:
        table.write(pa.RecordBatch.from_pylist(rows, _BINS))


def values_stage(rules: tuple[SignalRule, ...], prefix: str = "") -> Stage:
    """Documents of the bins by the lower half of the key."""
    return Stage(f"{prefix}quantile_values", 1, {"rules": _asked(rules)}, run_values)


def plan_values(parts: Sequence[SignalTable], bins: Record) -> list[Unit]:
    """One unit a part."""
    reference = bins.outputs["bins"].reference()
    return [Unit(part.number, {"signals": part.signals, "bins": reference}, part.rows * 8) for part in parts]


def run_values(unit: Unit, workspace: Workspace) -> None:
    """Count the lower halves of the keys that lie in a bin."""
    table = read_ipc(workspace.store, unit.inputs["bins"])
    bins = {(row["bound"], row["group"]): row["digit"] for row in table.to_pylist()}
    with ipc_output(workspace, "counts", _COUNTS) as out:
        for found in _values(workspace, unit.inputs["signals"]):
            digits = np.array([bins.get((found.bound, name), _NONE) for name in found.groups], np.uint32)
            here = (found.key >> np.uint32(16)) == digits[found.code]
            low = found._replace(code=found.code[here], key=found.key[here])
            _write_counts(out, low, (low.key & _LOW).astype(np.int64))


def cuts_stage(prefix: str = "") -> Stage:
    """The values."""
    return Stage(f"{prefix}quantile_cuts", 1, {}, run_cuts)


def plan_cuts(counts: Json, counted: list[Record], bins: Record) -> list[Unit]:
    """A single unit."""
    size = sum(record.outputs["counts"].rows for record in counted) * 16
    return [Unit(0, {"counts": counts, "bins": bins.outputs["bins"].reference()}, size)]


def run_cuts(unit: Unit, workspace: Workspace) -> None:
    """Add up, and put both halves of each quantile's key together."""
    bins = {(row["bound"], row["group"]): row for row in read_ipc(workspace.store, unit.inputs["bins"]).to_pylist()}
    rows = []
    for added in _added(workspace.store, unit.inputs["counts"]):
        found = bins[added.bound, added.group]
        digit, _ = _digit_of(added, found["rank"])
        value = value_of(found["digit"] << 16 | digit, whole=added.whole)
        rows.append({"bound": added.bound, "group": added.group, "value": value, "documents": found["documents"]})
    workspace.metadata["cuts"] = rows
    with ipc_output(workspace, "cuts", _CUTS) as table:
        table.write(pa.RecordBatch.from_pylist(rows, _CUTS))


def read_cuts(store: Store, reference: Json, bounds: int) -> Cuts:
    """The thresholds that ``quantile_cuts`` wrote, of so many quantiles."""
    cuts: Cuts = [{} for _ in range(bounds)]
    for row in read_ipc(store, reference).to_pylist():
        cuts[row["bound"]][row["group"]] = row["value"]
    return cuts


class _Values(NamedTuple):
    """The values of one part that a quantile is of."""

    bound: int
    whole: bool
    groups: list[str | None]
    code: NDArray[np.int64]
    """int64[M] into ``groups``."""
    key: NDArray[np.uint32]
    """uint32[M], in the order of the values."""


def _values(workspace: Workspace, reference: Json) -> Iterator[_Values]:
    rules = [SignalRule.model_validate(asked | {"min_quantile": 0.0}) for asked in workspace.settings["rules"]]
    if not rules:
        return
    columns = dict.fromkeys(["source", "language", *(rule.signal for rule in rules)])
    signals = read_parquet(workspace.store, reference, list(columns)).combine_chunks()
    for bound, rule in enumerate(rules):
        column = signals.column(rule.signal)
        here = applies_to(rule, signals) & np.asarray(column.is_valid())
        key, whole = keys_of(column.to_numpy()[here], column.type)
        code = np.zeros(len(key), np.int64)
        groups: list[str | None] = [None]
        if rule.by is not None:
            named = (
                signals.column(rule.by).cast(pa.string()).filter(pa.array(here)).combine_chunks().dictionary_encode()
            )
            groups = [*named.dictionary.to_pylist(), None]
            code = named.indices.fill_null(len(groups) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
        yield _Values(bound, whole, groups, code, key)


def keys_of(values: NDArray[np.generic], kind: pa.DataType) -> tuple[NDArray[np.uint32], bool]:
    """Keys uint32[M] in the order of values [M], and whether they are whole numbers.

    Whole numbers (of 32 bits, not negative) are their own keys. Of others (float32, without NaN), the bits: turned
    round where the sign is set, and after them the rest.
    """
    if not pa.types.is_float32(kind):
        return values.astype(np.uint32), True
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN), False


def value_of(key: int, *, whole: bool) -> float:
    """The value of a key."""
    if whole:
        return float(key)
    bits = np.uint32(key)
    return float((bits ^ _SIGN if bits & _SIGN else ~bits).view(np.float32))


def _write_counts(table: TableOutput, found: _Values, digit: NDArray[np.int64]) -> None:
    """Documents by group and digit."""
    both, documents = np.unique(found.code << 16 | digit, return_counts=True)
    groups = pa.array(found.groups, pa.string()).take(pa.array(both >> 16))
    table.write(
        {
            "bound": np.full(len(both), found.bound, np.uint16),
            "group": groups,
            "whole": np.full(len(both), found.whole),
            "digit": (both & 0xFFFF).astype(np.uint16),
            "documents": documents.astype(np.int64),
        }
    )


class _Added(NamedTuple):
    """The counts of one quantile and group, over all parts; digits rise."""

    bound: int
    group: str | None
    whole: bool
    digits: NDArray[np.int64]
    documents: NDArray[np.int64]

    @property
    def group_fields(self) -> Json:
        return {"bound": self.bound, "group": self.group, "whole": self.whole}


def _added(store: Store, listing: Json) -> Iterator[_Added]:
    """All parts' counts added up, quantile by quantile and group by group."""
    sums, waiting, rows = _COUNTS.empty_table(), [], 0
    for entry in read_listing(store, listing):
        waiting.append(read_ipc(store, entry))
        rows += waiting[-1].num_rows
        if rows >= _ADDED_AT:
            sums, waiting, rows = _add([sums, *waiting]), [], 0
    sums = _add([sums, *waiting])
    names = [name for name, _ in _GROUP]
    groups = sums.group_by(names).aggregate([("digit", "list"), ("documents", "list")])
    for row in groups.sort_by([("bound", "ascending"), ("group", "ascending")]).to_pylist():
        digits, documents = (np.array(row[f"{name}_list"], np.int64) for name in ("digit", "documents"))
        order = np.argsort(digits)
        yield _Added(row["bound"], row["group"], row["whole"], digits[order], documents[order])


def _add(tables: list[pa.Table]) -> pa.Table:
    names = [name for name in _COUNTS.names if name != "documents"]
    added = pa.concat_tables(tables).group_by(names, use_threads=False).aggregate([("documents", "sum")])
    return added.rename_columns([*names, "documents"])


def _digit_of(added: _Added, rank: int) -> tuple[int, int]:
    """The digit that the document of this rank has, and its rank among those with the same."""
    ends = np.cumsum(added.documents)
    at = int(np.searchsorted(ends, rank))
    return int(added.digits[at]), rank - (int(ends[at - 1]) if at else 0)
