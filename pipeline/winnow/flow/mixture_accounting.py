"""What a mixture gave: by source, by bucket and by phase, beside what was asked; for books, manifest, summary, page."""

from dataclasses import dataclass

from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.flow.buckets import bucket_cuts, buckets_of, without_value
from winnow.flow.records import RunRecords
from winnow.flow.row_accounting import row_accounting
from winnow.flow.step import Balance, ManifestPart
from winnow.shards.config import USUAL_EPOCHS
from winnow.shards.mixture.config import MixtureConfig
from winnow.stages import mixture

MOST_LINES = 40
"""Of one kind that the summary prints."""


@dataclass(frozen=True)
class Strata:
    """What a mixture gives shares to: sources, or buckets."""

    kind: str
    """``source`` or ``bucket``."""
    names: list[str]
    numbers: list[float]
    """Weights, or how often each is taken."""

    @classmethod
    def of(cls, config: Config) -> "list[Strata | None]":
        """Those of every phase; None where a budget alone takes all sources as one."""
        return [cls._of(phase.mixture, config) for phase in config.shards.all_phases]

    @classmethod
    def _of(cls, chosen: MixtureConfig | None, config: Config) -> "Strata | None":
        if chosen is None:
            return None
        if chosen.by_source:
            numbers = {leaf.path[0]: leaf.number for leaf in chosen.leaves}
            names = [source.name for source in config.sources]
            return cls("source", names, [numbers[name] for name in names])
        leaves = chosen.leaves
        return cls("bucket", [leaf.name for leaf in leaves], [leaf.number for leaf in leaves])


def mixture_balances(run: RunRecords) -> list[Balance]:
    """What sources were to give against what they gave and what the train split has."""
    if not run.of("mixture_limits"):
        return []
    limits = [run.of(f"{mixture.prefix_of(n)}mixture_limits")[0] for n in range(len(run.config.shards.all_phases))]
    given = sum(stratum["given"] for limit in limits for stratum in limit.metadata["strata"])
    names = [source.name for source in run.config.sources]
    whole = sum(run.total("mixture", f"whole_tokens/{name}") for name in names)
    balances = [
        Balance("tokens of the mixture against those of its sources", given, sum(_given(run, n) for n in names)),
        Balance("tokens shuffled in split train against the mixture", whole, run.total("shuffle", "tokens/train")),
    ]
    for limit, told in zip(limits, strata_given(run), strict=False):
        of_strata = sum(stratum["tokens"] for stratum in told)
        wanted = sum(stratum["given"] for stratum in limit.metadata["strata"])
        balances.append(Balance("tokens of a phase's mixture against those of its buckets", wanted, of_strata))
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


def strata_given(run: RunRecords) -> list[list[Json]]:
    """By phase and stratum, what was asked of it and what it gave; empty for a single mixture by source."""
    records = [record.metadata["given"] for record in run.of("mixture") if "given" in record.metadata]
    if not records:
        return []
    told = []
    for number, strata in enumerate(Strata.of(run.config)):
        names, numbers = (strata.names, strata.numbers) if strata else (["all"], [1.0])
        sums = [[0] * len(mixture.GIVEN) for _ in names]
        for phases in records:
            for total, row in zip(sums, phases[number], strict=False):
                total[:] = [a + b for a, b in zip(total, row, strict=True)]
        chosen = run.config.shards.all_phases[number].mixture
        repeats = chosen is not None and chosen.repeats is not None
        whole, tokens = sum(numbers), sum(row[mixture.GIVEN.index("tokens")] for row in sums)
        told.append(
            [
                _stratum(name, {"repeats": n} if repeats else {"asked": round(n / whole, 6)}, row, tokens)
                for name, n, row in zip(names, numbers, sums, strict=True)
            ]
        )
    return told


def _stratum(name: str, asked: Json, row: list[int], tokens: int) -> Json:
    gave = dict(zip(mixture.GIVEN, row, strict=True))
    share, epochs = gave["tokens"] / max(1, tokens), gave["tokens"] / max(1, gave["available_tokens"])
    return {"name": name, **asked, **gave, "share": round(share, 6), "epochs": round(epochs, 6)}


def left_out_of_mixture(run: RunRecords) -> dict[str, float]:
    """Sources or buckets that a mixture asks for and that gave no document, with the number it gives each."""
    if not run.of("mixture"):
        return {}
    found = {}
    given = strata_given(run) or [[{"documents": gave["documents"]} for gave in mixture_of(run).values()]]
    for number, (strata, gave) in enumerate(zip(Strata.of(run.config), given, strict=True)):
        for name, share, told in zip(strata.names, strata.numbers, gave, strict=True) if strata else ():
            if share and not told["documents"]:
                found[f"{strata.kind} {name}{_in_phase(run, number)}"] = share  # type: ignore[union-attr]
    return found


def _in_phase(run: RunRecords, number: int) -> str:
    names = run.config.shards.phase_names
    return f" in phase {names[number]}" if names else ""


def _given(run: RunRecords, source: str) -> int:
    return run.total("mixture", f"tokens/{source}")


def mixture_part(run: RunRecords) -> ManifestPart:
    """By source what it gave; of buckets and phases all of them."""
    sources = {name: {"mixture": gave} for name, gave in mixture_of(run).items()}
    given = strata_given(run)
    if not given:
        return ManifestPart(sources=sources)
    told = []
    for number, (phase, strata) in enumerate(zip(run.config.shards.all_phases, given, strict=True)):
        by = list(phase.mixture.by) if phase.mixture else []
        named = {"phase": phase.name} if run.config.shards.phases else {}
        told.append({**named, "by": by, "buckets": strata, "tokens": sum(s["tokens"] for s in given[number])})
    more = {"cuts": bucket_cuts(run), "without_value": without_value(run)}
    return ManifestPart(top={"mixture": {"mixtures": told, **more}}, sources=sources)


def mixture_lines(run: RunRecords) -> list[str]:
    """Shares reached beside those asked for, cuts, and what is repeated or missing."""
    given, (first, *_) = strata_given(run), Strata.of(run.config)
    asked = first if first is not None and first.kind == "source" and not given else None
    lines = []
    for number, (source, gave) in enumerate(mixture_of(run).items()):
        share = f"; {asked.numbers[number] / sum(asked.numbers):.2%} asked" if asked else ""
        lines.append(_line(source, gave, "train", share))
    for number, strata in enumerate(given):
        kind = "bucket " if buckets_of(run.config)[number] else ""
        of = f"phase {run.config.shards.phase_names[number]}" if run.config.shards.phases else "train"
        for told in strata:
            wanted = f"{told['repeats']:g} times asked" if "repeats" in told else f"{told['asked']:.2%} asked"
            lines.append(_line(f"{kind}{told['name']}", told, of, f"; {wanted}"))
    lines = _first(lines) + _first([_cut_line(cut) for cut in bucket_cuts(run)])
    lines += [
        f"WARNING: {number:,} documents of split train have no value of {column}; the mixture takes them as bucket "
        "(none), or as others"
        for column, number in without_value(run).items()
    ]
    repeated = list(mixture_of(run).items()) if not given else []
    repeated += [
        (f"{'bucket ' if buckets_of(run.config)[n] else ''}{told['name']}{_in_phase(run, n)}", told)
        for n, strata in enumerate(given)
        for told in strata
    ]
    lines += [
        f"ALARM: {name} is repeated {gave['epochs']:.1f} times: over {USUAL_EPOCHS:g} passes (the default of "
        "shards.max_epochs) little is learnt from more of them; lower its share or shards.max_tokens, or add text"
        for name, gave in repeated
        if gave["epochs"] > USUAL_EPOCHS
    ]
    return lines + [
        f"WARNING: shards.mixture asks for {share:g} of {name}, but none of its documents is in train: its "
        "budget is less than its first document has; raise its share or shards.max_tokens"
        for name, share in left_out_of_mixture(run).items()
    ]


def _first(lines: list[str]) -> list[str]:
    """Lines for a terminal."""
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"mixture: {more:,} more such lines stand in the manifest"]


def _cut_line(cut: Json) -> str:
    of = f" of {cut['by']} {cut['group']}" if cut["by"] else ""
    return (
        f"mixture: {cut['bucket']}: quantile {cut['quantile']:g}{of} is {cut['value']:g}, of {cut['documents']:,} "
        "documents"
    )


def _line(name: str, gave: Json, of: str, asked: str) -> str:
    return (
        f"mixture: {name} gave {gave['tokens']:,} tokens ({gave['share']:.2%} of {of}{asked}), {gave['epochs']:.2f} "
        f"times its text, from {gave['documents']:,} documents"
    )
