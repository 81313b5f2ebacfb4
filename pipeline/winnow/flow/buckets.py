"""The buckets of a mixture by other columns than the source: which columns, cuts, and what no bucket is named for."""

from winnow.config.config import Config
from winnow.engine.records import Json, Record
from winnow.errors import ConfigError
from winnow.flow.columns import column_tables, find_column
from winnow.flow.context import RunContext
from winnow.flow.quantiles import SignalTable, cut_quantiles, quantile_stages
from winnow.flow.records import RunRecords
from winnow.shards.mixture.config import NOTHING, MixtureConfig
from winnow.stages import buckets
from winnow.stages.documents.columns import KEEP, Column, schema_of

PREFIX = "bucket_"
"""Of the stages that count duplicates and find quantiles."""
_TOLD = 10


def buckets_of(config: Config) -> list[MixtureConfig | None]:
    """Of every phase the mixture, where it divides by more than the source."""
    mixtures = [phase.mixture for phase in config.shards.all_phases]
    return [None if mixture is None or mixture.by_source else mixture for mixture in mixtures]


def bucket_columns(config: Config) -> tuple[list[Column], list[str], list[str]]:
    """Columns that the mixture needs, names of those that are texts, and of those that are numbers.

    Raises:
        ConfigError: there is no such column, or none that makes buckets as it is.
    """
    by = dict.fromkeys(name for mixture in buckets_of(config) if mixture is not None for name in mixture.by)
    if not by:
        return [], [], []
    defined = {bucket.name: bucket for bucket in config.shards.buckets}
    texts, numbers = dict.fromkeys(buckets.GROUPS), dict[str, None]()
    columns = {name: find_column(config, name, "shards.mixture.by") for name in texts}
    for name in by:
        if name in defined:
            signal = defined[name].signal
            columns[signal] = find_column(config, signal, f"signal of bucket {name}")
            numbers[signal] = None
            continue
        columns[name] = found = find_column(config, name, "shards.mixture.by")
        if name not in (*buckets.GROUPS, "cluster", "licence") and not found.field.startswith(KEEP):
            raise ConfigError(
                f"shards.mixture.by: {name} is a number or a text of its own: say in shards.buckets where it is cut, "
                f"such as `buckets: [{{name: level, signal: {name}, quantiles: [0.5]}}]`, and name level here"
            )
        texts[name] = None
    return list(columns.values()), list(texts), list(numbers)


def find_buckets(context: RunContext) -> list[Record]:
    """Run the stages; records of the tables of buckets, none where the mixture has none.

    Raises:
        ConfigError: documents lie in buckets that the mixture does not name.
    """
    run, engine, config = context.run, context.engine, context.config
    mixtures = buckets_of(config)
    if not any(mixtures):
        return []
    columns, texts, numbers = bucket_columns(config)
    tables = column_tables(context, {column.table for column in columns}, PREFIX)
    gathering = buckets.columns_stage(columns, schema_of(run.store, columns, tables[0]), texts, numbers)
    gathered = engine.run(gathering, buckets.plan_columns(tables, run.ledger))
    rules = buckets.quantile_rules(config.shards.buckets)
    cuts = cut_quantiles(engine, rules, [SignalTable.of(record) for record in gathered], PREFIX)
    found = engine.run(buckets.stage(mixtures, config.shards.buckets), buckets.plan(gathered, cuts))
    for phase, mixture in enumerate(mixtures):
        unnamed = sum(record.metadata["unnamed"][phase]["documents"] for record in found)
        if mixture is not None and unnamed:
            raise ConfigError(_unnamed(found, phase, mixture, unnamed))
    return found


def _unnamed(found: list[Record], phase: int, mixture: MixtureConfig, documents: int) -> str:
    by_values: dict[tuple[str, ...], int] = {}
    for record in found:
        for told in record.metadata["unnamed"][phase]["most"]:
            values = tuple(told["values"])
            by_values[values] = by_values.get(values, 0) + told["documents"]
    most = sorted(by_values.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{'/'.join(values)} ({number:,})" for values, number in most[:_TOLD])
    more = ", ..." if len(most) > _TOLD else ""
    nothing = f"; {NOTHING} are documents without a value" if NOTHING in named else ""
    return (
        f"shards.mixture names no bucket for {documents:,} documents of split train, by {', '.join(mixture.by)}: "
        f"{named}{more}{nothing}. Name them (0 leaves a bucket out), or all others by '*': 0"
    )


def bucket_stages(config: Config) -> list[str]:
    """Names of the stages."""
    if not any(buckets_of(config)):
        return []
    columns, _, _ = bucket_columns(config)
    counted = [f"{PREFIX}duplicate_counts"] if any(column.table == "duplicates" for column in columns) else []
    cut = quantile_stages(buckets.quantile_rules(config.shards.buckets), PREFIX)
    return [*counted, "bucket_columns", *cut, "buckets"]


def bucket_cuts(run: RunRecords) -> list[Json]:
    """Where quantiles are: of each bucket column and group the cuts with their values."""
    made = run.of(f"{PREFIX}quantile_cuts")
    if not made:
        return []
    named = [(bucket.name, quantile) for bucket in run.config.shards.buckets for quantile in bucket.quantiles or ()]
    by = {bucket.name: bucket.by for bucket in run.config.shards.buckets}
    return [
        {
            "bucket": named[row["bound"]][0],
            "quantile": named[row["bound"]][1],
            "by": by[named[row["bound"]][0]],
            "group": row["group"],
            "value": row["value"],
            "documents": row["documents"],
        }
        for row in made[0].metadata["cuts"]
    ]


def without_value(run: RunRecords) -> dict[str, int]:
    """By column of `shards.mixture.by`, documents of split train that have no value there."""
    return {name: number for name, number in run.totals("buckets", "no_value").items() if number}
