"""The stages of the mixture, in order: from kept documents to how often each is in the shards."""

from typing import TYPE_CHECKING

from winnow.engine.records import Json, Record, total
from winnow.errors import ConfigError
from winnow.report.balances import Balance
from winnow.stages import mixture

if TYPE_CHECKING:
    from winnow.flow.context import RunContext


def mix_documents(context: "RunContext", ledger: list[Record]) -> list[Record]:
    """Count, find where budgets end, write the ledger once more; returns its records.

    Raises:
        ConfigError: a source has nothing to give, or the budget takes no document, or one too often.
    """
    engine, config = context.engine, context.config.shards
    sources = [source.name for source in context.config.sources]
    shares = None if config.mixture is None else [config.mixture[name] for name in sources]
    if not context.parts:
        return ledger
    counting = mixture.counts_stage(config.seed, sources, by_source=shares is not None)
    counted = engine.run(counting, mixture.plan_counts(context.tokenised, ledger, context.filtered))
    entries, sums = (engine.listing(counting, counted, name) for name in ("entries", "sums"))
    limiting = mixture.limits_stage(shares, config.max_tokens)
    (limits,) = engine.run(limiting, mixture.plan_limits(entries, sums, counted))
    _check(limits, sources, config.mixture)
    context.mixture_limits = limits
    mixing = mixture.stage(config.seed, sources)
    return engine.run(mixing, mixture.plan(context.tokenised, ledger, context.filtered, limits))


def _check(limits: Record, sources: list[str], shares: dict[str, float] | None) -> None:
    strata = limits.metadata["strata"]
    if shares is not None:
        for name, stratum in zip(sources, strata, strict=True):
            if not stratum["tokens"]:
                raise ConfigError(
                    f"shards.mixture asks for documents of source {name}, but none of them is kept in split train; "
                    "leave the source out of the config, or look with `winnow why` why its documents were dropped"
                )
            if stratum["passes"] >= mixture.MOST_COPIES:
                raise ConfigError(
                    f"shards.mixture and shards.max_tokens ask for {stratum['budget']:,} tokens of source {name} with "
                    f"{stratum['tokens']:,}: over {mixture.MOST_COPIES:,} copies of each document; lower its share or "
                    "shards.max_tokens"
                )
    if sum(s["tokens"] for s in strata) and not sum(s["given"] for s in strata):
        raise ConfigError("shards.max_tokens is less than the first document has; raise it")


def mixture_balances(context: "RunContext") -> list[Balance]:
    """What sources were to give against what they gave and what the train split has."""
    limits = context.mixture_limits
    if limits is None:
        return []
    given = sum(stratum["given"] for stratum in limits.metadata["strata"])
    names = [source.name for source in context.config.sources]
    return [
        Balance("tokens of the mixture against those of its sources", given, sum(_given(context, n) for n in names)),
        Balance("tokens shuffled in split train against the mixture", given, total(context.shuffled, "tokens/train")),
    ]


def mixture_of(context: "RunContext") -> dict[str, Json]:
    """By source: what it gave to split train, and how often on average; empty without mixture and budget."""
    if context.mixture_limits is None:
        return {}
    names = [source.name for source in context.config.sources]
    tokens = sum(_given(context, name) for name in names)
    return {
        name: {
            "documents": total(context.ledger, f"documents/{name}"),
            "copies": total(context.ledger, f"copies/{name}"),
            "tokens": _given(context, name),
            "share": round(_given(context, name) / max(1, tokens), 6),
            "epochs": round(_given(context, name) / max(1, total(context.ledger, f"available_tokens/{name}")), 6),
        }
        for name in names
    }


def left_out_of_mixture(context: "RunContext") -> dict[str, float]:
    """Sources that ``shards.mixture`` asks for and that gave no document, with the number it gives each."""
    shares = context.config.shards.mixture or {}
    return {
        name: shares[name] for name, gave in mixture_of(context).items() if name in shares and not gave["documents"]
    }


def _given(context: "RunContext", source: str) -> int:
    return total(context.ledger, f"tokens/{source}")
