"""What operators did, from the records of measure and screen, and which of them does what."""

import logging
from itertools import pairwise

from winnow.config.config import Config
from winnow.engine.doing import doing
from winnow.engine.executors.demand import joins_cluster
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.operators.loading import not_made
from winnow.text.rules.signal_rules import SignalRule

log = logging.getLogger("winnow")


def rules_on(config: Config, *, gpu: bool) -> tuple[SignalRule, ...]:
    """The rules on signals of operators on GPUs, which ``screen`` decides, or the others, which ``filter`` does."""
    columns = {column for entry in config.measure.operators_on(gpu=True) for column in entry.made_columns}
    later = rules_on_spans(config)
    return tuple(rule for rule in config.filter.rules if rule not in later and (rule.signal in columns) == gpu)


def rules_on_spans(config: Config) -> tuple[SignalRule, ...]:
    """The rules on how many spans there are, which ``redact`` decides."""
    columns = {column for entry in config.measure.span_operators for column in entry.made_columns}
    return tuple(rule for rule in config.filter.rules if rule.signal in columns)


def verdicts_on(config: Config, *, gpu: bool) -> tuple[str, ...]:
    """Columns of verdicts that ``screen``, or ``filter``, decides by."""
    found = (entry.found for entry in config.measure.operators_on(gpu=gpu))
    return tuple(operator.name for operator in found if operator.kind == "filter")


def measured_columns(config: Config) -> list[str]:
    """Columns of the signals table that operators made, which operators behind dedup may see."""
    return [column for entry in config.measure.operators_on(gpu=False) for column in entry.found.columns]


def most_aside_of(run: RunRecords) -> int:
    """Documents that operators behind dedup may set aside: beyond, the run ends anyway."""
    records = sum(sum(run.totals("measure", name).values()) for name in ("readable", "unreadable"))
    return int(records * run.config.compute.max_unreadable_share)


def late_versions(config: Config) -> frozenset[str]:
    """What operators after dedup are now: documents that an earlier version raised on are no longer set aside."""
    late = (*config.measure.operators_on(gpu=True), *config.measure.span_operators)
    return frozenset(entry.found.fingerprint[:16] for entry in late)


def check_classes(config: Config) -> None:
    """Make the classes of operators that measure runs once, before any document is read.

    Raises:
        ConfigError: one cannot be made with its settings; its model was cut short, for example.
    """
    for entry in config.measure.operators_on(gpu=False):
        name = entry.found.name
        with doing(f"operator {name}: making its class once, to see whether that can be done"):
            wrong = not_made(entry.found)
        if wrong is None:
            continue
        if wrong.elsewhere and joins_cluster():
            log.warning(
                "operator %s: its class cannot be made on this machine (%s); the cluster's nodes will try",
                name,
                wrong.what,
            )
            continue
        raise ConfigError(
            f"measure.operators: {name}: its class cannot be made with its settings: {wrong.what}; look at the files "
            "that it loads (one that was cut short?) and at the packages that it needs"
        )


def failed_most(run: RunRecords, stage: str) -> str:
    """The six rules that most documents failed in ``filter`` or ``screen``, with their documents; empty for none."""
    top = sorted(run.totals(stage, "failed").items(), key=lambda item: (-item[1], item[0]))[:6]
    return ", ".join(f"{name} {number:,}" for name, number in top)


def operator_counts(run: RunRecords) -> dict[str, Json]:
    """By operator, in their order; empty without any.

    ``documents`` seen, ``errors`` (documents that it raised on); of a signal ``nulls``, of a filter ``nulls`` and
    ``refused``, of a mapper ``changed``, ``bytes_before`` and ``bytes_after``. Documents that one on a GPU raised on
    are unreadable from the start, and not among those that it saw.
    """
    counts = {}
    for entry in run.config.measure.operators:
        stage = "screen_signals" if entry.on_gpu else "redact_spans" if entry.finds_spans else "measure"
        counts[str(entry.name)] = run.totals(stage, f"operator/{entry.name}")
        if stage != "measure":
            counts[str(entry.name)]["errors"] = run.total("measure", f"unreadable_reason/operator {entry.name}")
    return counts


def operator_balances(run: RunRecords) -> list[Balance]:
    """Every operator of measure saw what the one before it left, and the last one left the readable documents."""
    told_of = operator_counts(run)
    counts = {str(entry.name): told_of[str(entry.name)] for entry in run.config.measure.operators_on(gpu=False)}
    left = {name: told.get("documents", 0) - told.get("errors", 0) for name, told in counts.items()}
    balances = [
        Balance(
            f"documents that operator {after} saw against those that {before} left", left[before], _seen(counts, after)
        )
        for before, after in pairwise(counts)
    ]
    if counts:
        last, readable = list(counts)[-1], sum(run.totals("measure", "readable").values())
        balances.append(Balance(f"readable documents against those that operator {last} left", left[last], readable))
    return balances


def _seen(counts: dict[str, Json], name: str) -> int:
    return int(counts[name].get("documents", 0))


def operator_lines(run: RunRecords, *, gpu: bool) -> list[str]:
    """One line an operator, of those on GPUs or of those before them."""
    lines, counts = [], operator_counts(run)
    for name in (str(entry.name) for entry in run.config.measure.operators_on(gpu=gpu)):
        told = counts[name]
        parts = [f"{told.get('documents', 0):,} documents"]
        if "changed" in told:
            lost = told["bytes_before"] - told["bytes_after"]
            size = f"{abs(lost):,} bytes {'fewer' if lost >= 0 else 'more'} of {told['bytes_before']:,}"
            parts.append(f"{told['changed']:,} changed, {size}")
        parts += [f"{told[what]:,} {words}" for what, words in _WORDS.items() if told.get(what)]
        lines.append(f"operator {name}: {'; '.join(parts)}")
    return lines


_WORDS = {"refused": "refused", "nulls": "without a value", "errors": "unreadable because it raised"}
