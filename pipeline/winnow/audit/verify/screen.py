"""Does the ledger say of operators after dedup what their tables say? Their rules are decided again, from rows alone.

Rules by quantile are left out: their thresholds are of all parts together.
"""

import pyarrow as pa
import pyarrow.compute as pc

from winnow import schemas
from winnow.engine.records import Json, Record
from winnow.flow.records import RunRecords
from winnow.flow.redact import limits_of
from winnow.flow.step import Balance
from winnow.stages.tables import read_parquet
from winnow.text.rules.signal_rules import SignalRule, bounds_of, failures_of


def check_screen(run: RunRecords) -> list[Balance]:
    """Documents screened, rules that they failed, and what was left out for it; nothing without such operators."""
    screened = _check(run, "decide", "screen", "screen_signals", run.config.filter.rules, frozenset())
    before = run.earlier("redact")
    limits = limits_of(run.config) if run.of("redact") else ()
    always = frozenset(str(rule.name) for rule in limits)
    return screened + _check(run, before, "redact", "redact_spans", (*run.config.filter.rules, *limits), always)


def _check(
    run: RunRecords, earlier: str, stage: str, made_by: str, rules: tuple[SignalRule, ...], always: frozenset[str]
) -> list[Balance]:
    if not run.of(stage):
        return []
    wanted = {"screened": 0, "failed": 0, "left out": 0}
    found = dict.fromkeys(wanted, 0)
    annotates = run.config.filter.mode == "annotate"
    for decided, made, screened in zip(run.of(earlier), run.of(made_by), run.of(stage), strict=True):
        kept, left = _kept(run, decided), _kept(run, screened)
        signals = read_parquet(run.store, made.outputs["signals"].reference()).combine_chunks()
        failures = read_parquet(run.store, screened.outputs["failures"].reference()).to_pylist()
        failed = {row["doc"] for row in failures if not annotates or row["rule"] in always}
        names = _decidable(rules, signals)
        again, told = _decided_again(rules, signals, names), _told(failures, names)
        for what, one, other in (
            ("screened", kept, set(signals.column("doc").to_pylist())),
            ("failed", again, told),
            ("left out", failed, kept - left),
        ):
            wanted[what] += len(one | other)
            found[what] += len(one & other)
    return [
        Balance(f"documents that {earlier} kept and that {stage} looked at", wanted["screened"], found["screened"]),
        Balance(f"rules on {stage}ed signals that documents fail", wanted["failed"], found["failed"]),
        Balance(f"documents that {stage} left out, and that failed a rule", wanted["left out"], found["left out"]),
    ]


def _kept(run: RunRecords, record: Record) -> set[int]:
    table = read_parquet(run.store, record.outputs["decisions"].reference(), ["doc", "outcome"])
    return set(table.filter(pc.equal(table.column("outcome"), schemas.KEPT)).column("doc").to_pylist())


def _decidable(rules: tuple[SignalRule, ...], signals: pa.Table) -> set[str]:
    """Names of rules by value, and of verdicts, on columns of the table."""
    bounds = [bound for bound in bounds_of(rules) if bound.rule.signal in signals.column_names]
    names = {bound.name for bound in bounds} - {bound.name for bound in bounds if bound.quantile is not None}
    return names | set(_verdicts(signals))


def _verdicts(signals: pa.Table) -> list[str]:
    return [field.name for field in signals.schema if pa.types.is_boolean(field.type)]


def _decided_again(rules: tuple[SignalRule, ...], signals: pa.Table, names: set[str]) -> set[tuple[int, str]]:
    docs = signals.column("doc").to_pylist()
    found = set()
    for bound in bounds_of(rules):
        if bound.name in names and bound.rule.signal in signals.column_names:
            found |= {(docs[row], bound.name) for row in failures_of(bound, signals, None).row.tolist()}
    for name in _verdicts(signals):
        found |= {
            (doc, name) for doc, keep in zip(docs, signals.column(name).to_pylist(), strict=True) if keep is False
        }
    return found


def _told(failures: list[Json], names: set[str]) -> set[tuple[int, str]]:
    return {(row["doc"], row["rule"]) for row in failures if row["rule"] in names}
