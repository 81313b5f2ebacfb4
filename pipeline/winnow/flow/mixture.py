"""The mixture: how often each kept document is in the shards, by the shares of sources or buckets and to a budget."""

from dataclasses import dataclass

from winnow.config.config import Config
from winnow.engine.records import Json, Record
from winnow.errors import ConfigError
from winnow.flow.buckets import bucket_columns, bucket_cuts, bucket_stages, buckets_of, find_buckets, without_value
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.row_accounting import row_accounting
from winnow.flow.step import Balance, ManifestPart, Step
from winnow.shards.config import USUAL_EPOCHS, ShardsConfig
from winnow.stages import mixture


@dataclass(frozen=True)
class Strata:
    """What a mixture gives shares to: sources, or buckets."""

    kind: str
    """``source`` or ``bucket``."""
    names: list[str]
    numbers: list[float]
    """Weights, or how often each is taken."""

    @classmethod
    def of(cls, config: Config) -> "Strata | None":
        """Those of a config; None where a budget alone takes all sources as one."""
        chosen = config.shards.mixture
        if chosen is None:
            return None
        if chosen.by_source:
            numbers = {leaf.path[0]: leaf.number for leaf in chosen.leaves}
            names = [source.name for source in config.sources]
            return cls("source", names, [numbers[name] for name in names])
        leaves = chosen.leaves
        return cls("bucket", [leaf.name for leaf in leaves], [leaf.number for leaf in leaves])


def mix_documents(context: RunContext) -> None:
    """Count, find where budgets end, write the ledger once more; nothing where nothing was read.

    Raises:
        ConfigError: a source or bucket has nothing to give, or the budget takes no document, or one too often; or
            documents lie in buckets that nobody names.
    """
    engine, run, config = context.engine, context.run, context.config.shards
    if not run.parts:
        return
    sources, rows, strata = (
        [source.name for source in context.config.sources],
        config.cutting_rows,
        Strata.of(context.config),
    )
    buckets = find_buckets(context)
    tables = mixture.part_tables(run.of("tokenise"), run.ledger, run.of("filter"), buckets)
    counting = mixture.counts_stage(config.seed, 1 if strata is None else len(strata.names), rows)
    counted = engine.run(counting, mixture.plan_counts(tables, run.of("tokenise")))
    entries, sums = (engine.listing(counting, counted, name) for name in ("entries", "sums"))
    repeats = config.mixture is not None and config.mixture.repeats is not None
    limiting = mixture.limits_stage(strata.numbers if strata else None, config.max_tokens, repeats=repeats)
    (limits,) = engine.run(limiting, mixture.plan_limits(entries, sums, counted))
    _check(limits, strata, config)
    mixing = mixture.stage(config.seed, sources, rows)
    engine.run(mixing, mixture.plan(tables, run.ledger, limits))


def _check(limits: Record, asked: Strata | None, config: ShardsConfig) -> None:
    strata = limits.metadata["strata"]
    if asked is not None:
        held = [name for name, stratum in zip(asked.names, strata, strict=True) if stratum["tokens"]]
        for name, number, stratum in zip(asked.names, asked.numbers, strata, strict=True):
            if number and not stratum["tokens"] and asked.kind == "source":
                raise ConfigError(
                    f"shards.mixture asks for documents of source {name}, but none of them is in rows of split train; "
                    "leave the source out of the config, or look with `winnow why` why its documents were dropped"
                )
            if number and not stratum["tokens"]:
                raise ConfigError(
                    f"shards.mixture asks for documents of bucket {name}, but none of them is in rows of split train; "
                    f"leave it out, or give it 0; with documents are: {', '.join(held) or 'none'}"
                )
            epochs = stratum["budget"] / max(1, stratum["tokens"])
            if epochs > config.max_epochs:
                raise ConfigError(
                    f"shards.mixture and shards.max_tokens ask for {stratum['budget']:,} tokens of {asked.kind} "
                    f"{name}, whose rows have {stratum['tokens']:,}: {epochs:,.1f} times all of it, over "
                    f"shards.max_epochs ({config.max_epochs:g}); lower its share or shards.max_tokens, add text, or "
                    "raise max_epochs"
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
    if buckets_of(run.config) is not None:
        of_buckets = sum(bucket["tokens"] for bucket in buckets_given(run))
        balances.append(Balance("tokens of the mixture against those of its buckets", given, of_buckets))
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


def buckets_given(run: RunRecords) -> list[Json]:
    """By bucket, in the order of the config: what was asked of it and what it gave, as :func:`mixture_of` tells of
    sources; empty where the mixture is by source."""
    chosen = buckets_of(run.config)
    if chosen is None or not run.of("mixture"):
        return []
    sums = [[sum(values) for values in zip(*rows, strict=True)] for rows in zip(*_by_unit(run), strict=True)]
    whole, tokens = sum(leaf.number for leaf in chosen.leaves), sum(row[mixture.GIVEN.index("tokens")] for row in sums)
    told = []
    for leaf, row in zip(chosen.leaves, sums, strict=True):
        gave = dict(zip(mixture.GIVEN, row, strict=True))
        asked = {"repeats": leaf.number} if chosen.repeats is not None else {"asked": round(leaf.number / whole, 6)}
        told.append(
            {
                "bucket": list(leaf.path),
                **asked,
                **gave,
                "share": round(gave["tokens"] / max(1, tokens), 6),
                "epochs": round(gave["tokens"] / max(1, gave["available_tokens"]), 6),
            }
        )
    return told


def _by_unit(run: RunRecords) -> list[list[list[int]]]:
    return [record.metadata["buckets"] for record in run.of("mixture")]


def left_out_of_mixture(run: RunRecords) -> dict[str, float]:
    """Sources or buckets that ``shards.mixture`` asks for and that gave no document, with the number it gives each."""
    strata = Strata.of(run.config)
    if strata is None or not run.of("mixture"):
        return {}
    if strata.kind == "bucket":
        documents = [bucket["documents"] for bucket in buckets_given(run)]
    else:
        documents = [gave["documents"] for gave in mixture_of(run).values()]
    asked = zip(strata.names, strata.numbers, documents, strict=True)
    return {name: number for name, number, gave in asked if number and not gave}


def _given(run: RunRecords, source: str) -> int:
    return run.total("mixture", f"tokens/{source}")


def _manifest(run: RunRecords) -> ManifestPart:
    sources = {name: {"mixture": gave} for name, gave in mixture_of(run).items()}
    chosen, given = buckets_of(run.config), buckets_given(run)
    if chosen is None or not given:
        return ManifestPart(sources=sources)
    told = {"by": list(chosen.by), "buckets": given, "cuts": bucket_cuts(run), "without_value": without_value(run)}
    return ManifestPart(top={"mixture": told}, sources=sources)


def _summary(run: RunRecords) -> list[str]:
    strata, given = Strata.of(run.config), buckets_given(run)
    asked = strata if strata is not None and strata.kind == "source" else None
    lines = []
    for number, (source, gave) in enumerate(mixture_of(run).items()):
        share = f"; {asked.numbers[number] / sum(asked.numbers):.2%} asked" if asked else ""
        lines.append(_line(source, gave, share))
    for bucket in given:
        wanted = f"{bucket['asked']:.2%} asked" if "asked" in bucket else f"{bucket['repeats']:g} times asked"
        lines.append(_line(f"bucket {_name(bucket)}", bucket, f"; {wanted}"))
    lines += [
        f"mixture: {cut['bucket']}: quantile {cut['quantile']:g}{_of_group(cut)} is {cut['value']:g}, of "
        f"{cut['documents']:,} documents"
        for cut in bucket_cuts(run)
    ]
    lines += [
        f"WARNING: {number:,} documents of split train have no value of {column}; the mixture takes them as bucket "
        "(none), or as others"
        for column, number in without_value(run).items()
    ]
    repeated = {f"bucket {_name(bucket)}": bucket for bucket in given} or mixture_of(run)
    lines += [
        f"ALARM: {name} is repeated {gave['epochs']:.1f} times: over {USUAL_EPOCHS:g} passes (the default of "
        "shards.max_epochs) little is learnt from more of them; lower its share or shards.max_tokens, or add text"
        for name, gave in repeated.items()
        if gave["epochs"] > USUAL_EPOCHS
    ]
    return lines + [
        f"WARNING: shards.mixture asks for {share:g} of {strata.kind if strata else ''} {name}, but none of its "
        "documents is in train: its budget is less than its first document has; raise its share or shards.max_tokens"
        for name, share in left_out_of_mixture(run).items()
    ]


def _line(name: str, gave: Json, asked: str) -> str:
    return (
        f"mixture: {name} gave {gave['tokens']:,} tokens ({gave['share']:.2%} of train{asked}), {gave['epochs']:.2f} "
        f"times its text, from {gave['documents']:,} documents"
    )


def _name(bucket: Json) -> str:
    return "/".join(bucket["bucket"])


def _of_group(cut: Json) -> str:
    return f" of {cut['by']} {cut['group']}" if cut["by"] else ""


def _enabled(config: Config) -> bool:
    return config.shards.mixes


def _check_columns(config: Config) -> None:
    bucket_columns(config)


STEP = Step(
    name="mixture",
    run=mix_documents,
    stages=lambda context: [*bucket_stages(context.config), "mixture_counts", "mixture_limits", "mixture"],
    enabled=_enabled,
    check=_check_columns,
    ledger="mixture",
    reasons={mixture.RULE: "place {0:.6g}, the sample ends at {1:.6g}"},
    balances=mixture_balances,
    manifest=_manifest,
    summary=_summary,
)
