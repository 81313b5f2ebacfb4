"""What became of each split's tokens and documents on their way into rows: for manifest, summary and books."""

from winnow.engine.records import total
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.shards.config import ShardsConfig

LOSSES = ("dropped_tokens", "dropped_documents", "truncated_documents", "split_documents")


def section_names(config: ShardsConfig) -> list[str]:
    """Names of the sections of the global order: the phases of train, if there are some, and the splits."""
    return [*(config.phase_names or config.split_names[:1]), *config.split_names[1:]]


def by_section(run: RunRecords, what: str) -> list[int]:
    """``documents`` or ``tokens`` that were shuffled, by section."""
    config = run.config.shards
    counter = {"documents": "phase_documents", "tokens": "phase_tokens"}[what]
    of_phases = [run.total("shuffle", f"{counter}/{name}") for name in config.phase_names]
    of_splits = [run.total("shuffle", f"{what}/{name}") for name in config.split_names]
    return [*(of_phases or of_splits[:1]), *of_splits[1:]]


def row_accounting(run: RunRecords) -> dict[str, dict[str, int]]:
    """By split: ``rows``, their ``row_tokens`` and ``padding_tokens``, ``repeated_tokens`` (each time a token stands in
    a row after the first), ``dropped_tokens`` (in no row), ``dropped_documents`` (nothing of them in a row),
    ``truncated_documents`` (a part in no row), ``split_documents`` (in several rows). Copies count as documents.
    """
    config, found = run.config.shards, _by_section(run)
    books = {}
    for split, name in enumerate(config.split_names):
        mine = [found[section] for section in config.sections_of(split)]
        books[name] = {what: sum(section[what] for section in mine) for what in mine[0]}
    return books


def _by_section(run: RunRecords) -> list[dict[str, int]]:
    config = run.config.shards
    documents, tokens_of = (by_section(run, what) for what in ("documents", "tokens"))
    books = []
    for section, stream_tokens in enumerate(tokens_of):
        sharded = [record for record in run.of("shards") if record.metadata["split"] == section]
        rows, tokens = total(sharded, "rows"), total(sharded, "tokens")
        counted = [record for record in run.of("row_counts") if record.metadata["split"] == section]
        losses = {loss: total(counted or sharded, loss) for loss in LOSSES}
        if not config.packs_by_groups and not sharded:  # too short for a window
            losses["dropped_tokens"] = stream_tokens
            losses["dropped_documents"] = documents[section]
        books.append(
            {
                "rows": rows,
                "row_tokens": tokens,
                "padding_tokens": rows * config.row_tokens - tokens,
                "repeated_tokens": tokens + losses["dropped_tokens"] - stream_tokens,
                **losses,
            }
        )
    return books


def row_balances(run: RunRecords) -> list[Balance]:
    """Tokens in = tokens in rows, less those that repeat, and tokens in none."""
    config, balances = run.config.shards, []
    documents, tokens_of, names = by_section(run, "documents"), by_section(run, "tokens"), section_names(config)
    for section, (name, books) in enumerate(zip(names, _by_section(run), strict=True)):
        stream_tokens = tokens_of[section]
        counted = [record for record in run.of("row_counts") if record.metadata["split"] == section]
        if config.packs_by_groups:
            repeated = total(counted, "repeated_tokens")
            balances += [
                Balance(f"documents packed in split {name}", documents[section], total(counted, "documents")),
                Balance(f"tokens packed in split {name}", stream_tokens, total(counted, "stream_tokens")),
                Balance(f"rows in the shards of split {name}", total(counted, "rows"), books["rows"]),
                Balance(f"tokens in the shards of split {name}", total(counted, "row_tokens"), books["row_tokens"]),
            ]
        else:
            repeated = 0
            if config.row == "window":
                repeated = max(0, books["rows"] - 1) * (config.row_tokens - config.stride_tokens)
                full = books["rows"] * config.row_tokens
                balances.append(Balance(f"tokens in the shards of split {name}", full, books["row_tokens"]))
        balances.append(
            Balance(
                f"tokens in the rows of split {name}, less repeated, and dropped against shuffled",
                stream_tokens,
                books["row_tokens"] - repeated + books["dropped_tokens"],
            )
        )
    return balances
