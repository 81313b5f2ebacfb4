"""What became of each split's tokens and documents on their way into rows: for manifest, summary and books."""

from winnow.engine.records import total
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance

LOSSES = ("dropped_tokens", "dropped_documents", "truncated_documents", "split_documents")


def row_accounting(run: RunRecords) -> dict[str, dict[str, int]]:
    """By split: ``rows``, their ``row_tokens`` and ``padding_tokens``, ``repeated_tokens`` (each time a token stands in
    a row after the first), ``dropped_tokens`` (in no row), ``dropped_documents`` (nothing of them in a row),
    ``truncated_documents`` (a part in no row), ``split_documents`` (in several rows). Copies count as documents.
    """
    config = run.config.shards
    books = {}
    for split, name in enumerate(config.split_names):
        stream_tokens = run.total("shuffle", f"tokens/{name}")
        sharded = [record for record in run.of("shards") if record.metadata["split"] == split]
        rows, tokens = total(sharded, "rows"), total(sharded, "tokens")
        counted = [record for record in run.of("row_counts") if record.metadata["split"] == split]
        losses = {loss: total(counted or sharded, loss) for loss in LOSSES}
        if not config.packs_by_groups and not sharded:  # too short for a window
            losses["dropped_tokens"] = stream_tokens
            losses["dropped_documents"] = run.total("shuffle", f"documents/{name}")
        books[name] = {
            "rows": rows,
            "row_tokens": tokens,
            "padding_tokens": rows * config.row_tokens - tokens,
            "repeated_tokens": tokens + losses["dropped_tokens"] - stream_tokens,
            **losses,
        }
    return books


def row_balances(run: RunRecords) -> list[Balance]:
    """Tokens in = tokens in rows, less those that repeat, and tokens in none."""
    config, balances = run.config.shards, []
    for split, (name, books) in enumerate(row_accounting(run).items()):
        stream_tokens = run.total("shuffle", f"tokens/{name}")
        counted = [record for record in run.of("row_counts") if record.metadata["split"] == split]
        if config.packs_by_groups:
            documents = run.total("shuffle", f"documents/{name}")
            repeated = total(counted, "repeated_tokens")
            balances += [
                Balance(f"documents packed in split {name}", documents, total(counted, "documents")),
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
