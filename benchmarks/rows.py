"""Row kinds on the documents of a finished run: fill, what is cut or lost, padding by group size, packing speed.

    python -m benchmarks.rows RUN

Packs the lengths in the shuffle's files of a run; no token is read and nothing is written. CPU time, median of runs.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from winnow.runs.state import load_run
from winnow.shards.packing.best_fit import pack_best_fit
from winnow.shards.packing.config import BestFitConfig
from winnow.shards.packing.pieces import Pieces, account, joined
from winnow.shards.packing.windows import document_rows, document_windows, num_windows, stream_losses, stream_windows
from winnow.stages.shards.row_groups import read_groups

Numbers = NDArray[np.int64]


def by_groups(tokens: Numbers, group_documents: int, pack: Callable[[Numbers], Pieces]) -> Pieces:
    """Pack groups of equal size, one after another."""
    groups = np.array_split(tokens, max(1, len(tokens) // group_documents))
    return joined([pack(group) for group in groups], [len(group) for group in groups])


def row_kinds(tokens: Numbers, length: int) -> dict[str, dict[str, int]]:
    """Figures of every kind of row for rows of ``length`` tokens (and one more where targets need it)."""
    row, size = length + 1, BestFitConfig().group_documents
    begins, stream = np.cumsum(tokens) - tokens, int(tokens.sum())
    rows = -(-stream // row)
    concat = account(stream_windows(begins, tokens, row, row, 0, rows), tokens)
    windows = int(num_windows(np.array([stream]), row, length)[0])
    held = windows * row
    lost = stream_losses(begins, tokens, row, length, windows)
    return {
        "concat": concat,
        **{
            f"best_fit, long: {long}": account(
                by_groups(tokens, size, lambda g, k=long: pack_best_fit(g, row, k)), tokens
            )
            for long in ("split", "truncate", "drop")
        },
        "window over the stream": {
            **concat,
            **lost,
            "rows": windows,
            "row_tokens": held,
            "repeated_tokens": held - stream + lost["dropped_tokens"],
        },
        "window over documents": account(document_windows(tokens, row, length), tokens),
        "document": account(document_rows(tokens, length), tokens),
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="folder of a finished run")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    finished = load_run(arguments.run)
    everything = {"split": 0, "groups": 1, "first_group": 0, "last_group": 1, "exchange": finished.layout["exchange"]}
    documents, _, _ = read_groups(finished.store, everything | {"partitions": finished.layout["partitions"]})
    tokens = documents.lengths + 1
    print(f"{len(tokens):,} documents of split train, {tokens.sum():,} tokens, median {np.median(tokens):,.0f}\n")

    head = ("rows of", "fill %", "repeated %", "dropped %", "in several rows", "lost a part", "in no row")
    print(f"{'kind':24}{head[0]:>9}{'rows':>9}" + "".join(f"{title:>16}" for title in head[1:]))
    for length in arguments.lengths:
        for kind, found in row_kinds(tokens, length).items():
            row = length + (kind != "document")
            shares = (found["row_tokens"] / (found["rows"] * row), found["repeated_tokens"] / found["stream_tokens"])
            shares += (found["dropped_tokens"] / found["stream_tokens"],)
            counts = [found[name] for name in ("split_documents", "truncated_documents", "dropped_documents")]
            print(
                f"{kind:24}{row:9}{found['rows']:9,}"
                + "".join(f"{share:16.3%}" for share in shares)
                + "".join(f"{count:16,}" for count in counts)
            )

    print(f"\n{'best_fit, documents a group':30}" + "".join(f"{f'padding at {s}':>18}" for s in arguments.lengths))
    for size in (1024, 4096, 8192, 16384, 32768):
        shares = []
        for length in arguments.lengths:
            rows = by_groups(tokens, size, lambda g, row=length + 1: pack_best_fit(g, row, "split")).rows
            shares.append(1 - tokens.sum() / (rows * (length + 1)))
        print(f"{size:<30,}" + "".join(f"{share:18.4%}" for share in shares))

    print()
    for length in arguments.lengths:
        seconds = []
        for _ in range(arguments.runs):
            started = time.process_time()
            by_groups(tokens, BestFitConfig().group_documents, lambda g, row=length + 1: pack_best_fit(g, row, "split"))
            seconds.append(time.process_time() - started)
        took = statistics.median(seconds)
        print(
            f"best_fit at {length}: {tokens.sum() / took / 1e6:,.0f} M tokens/s, {took / len(tokens) * 1e6:.2f} us a "
            "document"
        )


if __name__ == "__main__":
    main()
