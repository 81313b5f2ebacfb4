"""The mixture: how often each kept document is in the shards, by the shares of sources or buckets and to a budget."""

import math
from dataclasses import dataclass

from winnow.config.config import Config
from winnow.engine.records import Record
from winnow.errors import ConfigError
from winnow.flow.buckets import bucket_columns, bucket_stages, buckets_of, find_buckets
from winnow.flow.context import RunContext
from winnow.flow.mixture_accounting import Strata, mixture_balances, mixture_lines, mixture_part
from winnow.flow.mixture_alarms import mixture_alarms
from winnow.flow.step import Step
from winnow.shards.config import ShardsConfig
from winnow.shards.mixture.config import PhaseConfig
from winnow.stages import mixture
from winnow.stages.buckets import column_of


@dataclass(frozen=True)
class _Phase:
    """A phase, or the one mixture of a run without phases."""

    number: int
    settings: PhaseConfig
    strata: Strata | None
    where: str
    """How messages call its settings."""


def mix_documents(context: RunContext) -> None:
    """Count, find where budgets end, write the ledger once more; nothing where nothing was read.

    Raises:
        ConfigError: a source or bucket has nothing to give, or a budget takes no document, or one too often; or
            documents lie in buckets that nobody names.
    """
    engine, run, config = context.engine, context.run, context.config.shards
    if not run.parts:
        return
    sources, rows = [source.name for source in context.config.sources], config.cutting_rows
    buckets, bucketed = find_buckets(context), buckets_of(context.config)
    tables = mixture.part_tables(run.of("tokenise"), run.ledger, run.of("filter"))
    limits, read = [], []
    for number, (phase, strata) in enumerate(zip(config.all_phases, Strata.of(context.config), strict=True)):
        mine = mixture.with_buckets(tables, buckets if bucketed[number] else [], column_of(number))
        counting = mixture.counts_stage(config.seed, 1 if strata is None else len(strata.names), rows, number)
        counted = engine.run(counting, mixture.plan_counts(mine, run.of("tokenise")))
        entries, sums = (engine.listing(counting, counted, name) for name in ("entries", "sums"))
        repeats = phase.mixture is not None and phase.mixture.repeats is not None
        numbers = strata.numbers if strata else None
        limiting = mixture.limits_stage(numbers, phase.max_tokens, repeats=repeats, phase=number)
        (limit,) = engine.run(limiting, mixture.plan_limits(entries, sums, counted))
        where = f"shards.phases.{phase.name}" if config.phases else "shards"
        _check(limit, _Phase(number, phase, strata, where), config)
        limits.append(limit)
        read.append(mine)
    mixing = mixture.stage(config.seed, sources, rows)
    mixed = engine.run(mixing, mixture.plan(read, run.ledger, limits, config.phase_names))
    _check_copies(mixed, config)


def _check(limits: Record, phase: _Phase, config: ShardsConfig) -> None:
    strata, asked, where = limits.metadata["strata"], phase.strata, phase.where
    if asked is not None:
        held = [name for name, stratum in zip(asked.names, strata, strict=True) if stratum["tokens"]]
        for name, number, stratum in zip(asked.names, asked.numbers, strata, strict=True):
            if number and not stratum["tokens"]:
                what = "leave the source out of the config, or look with `winnow why` why its documents were dropped"
                if asked.kind == "bucket":
                    what = f"leave it out, or give it 0; with documents are: {', '.join(held) or 'none'}"
                raise ConfigError(
                    f"{where}.mixture asks for documents of {asked.kind} {name}, but none of them is in rows of split "
                    f"train; {what}"
                )
            epochs = stratum["budget"] / max(1, stratum["tokens"])
            if epochs > config.max_epochs:
                raise ConfigError(
                    f"{where}.mixture and {where}.max_tokens ask for {stratum['budget']:,} tokens of {asked.kind} "
                    f"{name}, whose rows have {stratum['tokens']:,}: {epochs:,.1f} times all of it, over "
                    f"shards.max_epochs ({config.max_epochs:g}); lower its share or {where}.max_tokens, add text, or "
                    "raise max_epochs"
                )
    if sum(s["tokens"] for s in strata) and not sum(s["given"] for s in strata):
        raise ConfigError(f"{where}.max_tokens is less than the first document has; raise it")


def _check_copies(mixed: list[Record], config: ShardsConfig) -> None:
    """Phases together may not repeat a document too often either."""
    most = max((record.metadata.get("most_copies", 0) for record in mixed), default=0)
    if most > math.ceil(config.max_epochs):
        raise ConfigError(
            f"shards.phases take a document {most:,} times, all phases together, over shards.max_epochs "
            f"({config.max_epochs:g}); lower shares or budgets of phases that take the same documents, or "
            "raise max_epochs"
        )


def _stages(context: RunContext) -> list[str]:
    prefixes = [mixture.prefix_of(number) for number in range(len(context.config.shards.all_phases))]
    counted = [f"{prefix}{name}" for prefix in prefixes for name in ("mixture_counts", "mixture_limits")]
    return [*bucket_stages(context.config), *counted, "mixture"]


def _enabled(config: Config) -> bool:
    return config.shards.mixes


def _check_columns(config: Config) -> None:
    bucket_columns(config)


STEP = Step(
    name="mixture",
    run=mix_documents,
    stages=_stages,
    enabled=_enabled,
    check=_check_columns,
    ledger="mixture",
    reasons={mixture.RULE: "place {0:.6g}, the sample ends at {1:.6g}"},
    balances=mixture_balances,
    manifest=mixture_part,
    summary=mixture_lines,
    alarms=mixture_alarms,
)
