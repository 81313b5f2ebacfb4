"""The mixture: how often each kept document is in the shards, by the shares of sources and to a budget."""

from winnow.config.config import Config
from winnow.engine.records import Json, Record
from winnow.errors import ConfigError
from winnow.flow.alarm import Alarm
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.row_accounting import row_accounting
from winnow.flow.step import Balance, ManifestPart, Step
from winnow.shards.config import USUAL_EPOCHS, ShardsConfig
from winnow.stages import mixture

MISSED_SHARE = 0.1
"""Of a source's share of the mixture, from which it is an alarm that it was missed."""


def mix_documents(context: RunContext) -> None:
    """Count, find where budgets end, write the ledger once more; nothing where nothing was read.

    Raises:
        ConfigError: a source has nothing to give, or the budget takes no document, or one too often.
    """
    engine, run, config = context.engine, context.run, context.config.shards
    sources = [source.name for source in context.config.sources]
    shares = None if config.mixture is None else [config.mixture[name] for name in sources]
    if not run.parts:
        return
    tables = run.of("tokenise"), run.ledger, run.of("filter")
    rows = config.cutting_rows
    counting = mixture.counts_stage(config.seed, sources, rows, by_source=shares is not None)
    counted = engine.run(counting, mixture.plan_counts(*tables))
    entries, sums = (engine.listing(counting, counted, name) for name in ("entries", "sums"))
    limiting = mixture.limits_stage(shares, config.max_tokens)
    (limits,) = engine.run(limiting, mixture.plan_limits(entries, sums, counted))
    _check(limits, sources, config)
    mixing = mixture.stage(config.seed, sources, rows)
    engine.run(mixing, mixture.plan(*tables, limits))


def _check(limits: Record, sources: list[str], config: ShardsConfig) -> None:
    strata = limits.metadata["strata"]
    if config.mixture is not None:
        for name, stratum in zip(sources, strata, strict=True):
            if not stratum["tokens"]:
                raise ConfigError(
                    f"shards.mixture asks for documents of source {name}, but none of them is in rows of split train; "
                    "leave the source out of the config, or look with `winnow why` why its documents were dropped"
                )
            epochs = stratum["budget"] / stratum["tokens"]
            if epochs > config.max_epochs:
                raise ConfigError(
                    f"shards.mixture and shards.max_tokens ask for {stratum['budget']:,} tokens of source {name}, "
                    f"whose rows have {stratum['tokens']:,}: {epochs:,.1f} times all of it, over shards.max_epochs "
                    f"({config.max_epochs:g}); lower its share or shards.max_tokens, add text, or raise max_epochs"
                )
    if sum(s["tokens"] for s in strata) and not sum(s["given"] for s in strata):
        raise ConfigError("shards.max_tokens is less than the first document has; raise it")


def mixture_balances(run: RunRecords) -> list[Balance]:
    """What sources were to give against what they gave and what the train split has."""
    if not run.of("mixture_limits"):
        return []
    given = sum(stratum["given"] for stratum in run.of("mixture_limits")[0].metadata["strata"])
    names = [source.name for source in run.config.sources]
    whole = sum(run.total("mixture", f"whole_tokens/{name}") for name in names)
    balances = [
        Balance("tokens of the mixture against those of its sources", given, sum(_given(run, n) for n in names)),
        Balance("tokens shuffled in split train against the mixture", whole, run.total("shuffle", "tokens/train")),
    ]
    if run.config.shards.packs_by_groups:
        in_rows = row_accounting(run)["train"]["row_tokens"]
        balances.append(Balance("tokens in the rows of split train against the mixture", given, in_rows))
    return balances


def mixture_of(run: RunRecords) -> dict[str, Json]:
    """By source: what it gave to rows of split train, and how often on average; empty without mixture and budget."""
    if not run.of("mixture_limits"):
        return {}
    names = [source.name for source in run.config.sources]
    tokens = sum(_given(run, name) for name in names)
    return {
        name: {
            "documents": run.total("mixture", f"documents/{name}"),
            "copies": run.total("mixture", f"copies/{name}"),
            "tokens": _given(run, name),
            "share": round(_given(run, name) / max(1, tokens), 6),
            "epochs": round(_given(run, name) / max(1, run.total("mixture", f"available_tokens/{name}")), 6),
        }
        for name in names
    }


def _given(run: RunRecords, source: str) -> int:
    return run.total("mixture", f"tokens/{source}")


def _manifest(run: RunRecords) -> ManifestPart:
    return ManifestPart(sources={name: {"mixture": gave} for name, gave in mixture_of(run).items()})


def _summary(run: RunRecords) -> list[str]:
    return [
        f"mixture: {source} gave {gave['tokens']:,} tokens ({gave['share']:.2%} of train), {gave['epochs']:.2f} "
        f"times its text, from {gave['documents']:,} documents"
        for source, gave in mixture_of(run).items()
    ]


def _alarms(run: RunRecords) -> list[Alarm]:
    gave = mixture_of(run)
    asked = run.config.shards.mixture or {}
    whole = sum(asked.values())
    alarms = []
    for source, found in gave.items():
        if found["epochs"] > USUAL_EPOCHS:
            what = (
                f"{source} is repeated {found['epochs']:.1f} times: over {USUAL_EPOCHS:g} passes (the default of "
                "shards.max_epochs) little is learnt from more of them"
            )
            alarms.append(Alarm("repetition", source, what, "lower its share or shards.max_tokens, or add text"))
        if source not in asked:
            continue
        if not found["documents"]:
            what = (
                f"shards.mixture asks for {asked[source]:g} of source {source}, but none of its documents is in train; "
                "its budget is less than its first document has"
            )
            alarms.append(Alarm("mixture", source, what, "raise its share or shards.max_tokens"))
        elif _missed(found, asked[source] / whole):
            what = (
                f"source {source} gave {found['share']:.2%} of the tokens of train, shards.mixture asks for "
                f"{asked[source] / whole:.2%}"
            )
            alarms.append(Alarm("mixture", source, what, "its budget ends inside a document: raise shards.max_tokens"))
    return alarms


def _missed(gave: Json, share: float) -> bool:
    """Whether a source is off its share by a tenth of it and by more than ten of its documents."""
    whole = gave["tokens"] / max(gave["share"], 1e-9)
    off = abs(gave["tokens"] - share * whole)
    return bool(off > MISSED_SHARE * share * whole and off > 10 * gave["tokens"] / gave["copies"])


def _enabled(config: Config) -> bool:
    return config.shards.mixes


STEP = Step(
    name="mixture",
    run=mix_documents,
    stages=lambda _context: ["mixture_counts", "mixture_limits", "mixture"],
    enabled=_enabled,
    ledger="mixture",
    reasons={mixture.RULE: "place {0:.6g}, the sample ends at {1:.6g}"},
    balances=mixture_balances,
    manifest=_manifest,
    summary=_summary,
    alarms=_alarms,
)
