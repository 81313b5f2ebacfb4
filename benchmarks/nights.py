"""What an index costs a nightly run: a tenth of the corpus, alone and against an index of the other nine tenths.

    python -m benchmarks.nights [CORPUS] [--nights 10] [--runs 3] [--work FOLDER]

Annotate mode, one process; CPU seconds, medians over the runs. The night without an index takes the same files. Bytes
of the index that a night reads: band keys and links as a whole, once over all partitions; signatures only of
candidates.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import orjson

from benchmarks.measuring import add_corpus, corpus_files, machine, read_records
from winnow.config.config import Config, parse_config
from winnow.engine.records import total
from winnow.flow.context import RunContext
from winnow.index.folder import Index
from winnow.runs.run import run

DEDUP = ("bands", "index_groups", "edges", "components", "candidates", "index_candidates", "keepers", "segment")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="where the run folders go; a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        measure(Path(folder), options.corpus, options.nights, options.runs)


def measure(folder: Path, corpus: Path, nights: int, runs: int) -> None:
    """Build the index, run the night ``runs`` times with and without it, print."""
    old, new = write_inputs(folder, corpus, nights)
    index = Index(str(folder / "index"))
    run(config(folder / "old", old, index))
    stored = index.segments()[0]
    with_index, alone = [], []
    for number in range(runs):
        alone.append(run(config(folder / f"alone-{number}", new, None)))
        with_index.append(run(config(folder / f"night-{number}", new, index)))
        index.drop(with_index[-1].index.pin.segment)  # the next one meets the same index
    print(machine())
    print(f"index: {stored.documents:,} documents, {stored.kept:,} kept, {stored.bytes / 1e6:,.1f} MB")
    context = with_index[0]
    print(f"night: {total(context.run.of('filter'), 'passed'):,} documents, {len(context.run.parts)} parts")
    bands = sum(part["outputs"]["bands"]["bytes"] for part in stored.parts)
    links = sum(part["outputs"]["links"]["bytes"] for part in stored.parts)
    signatures = sum(part["outputs"]["signatures"]["bytes"] for part in stored.parts)
    gathered = context.run.of("index_candidates")
    rows = total(gathered, "candidates")
    row_bytes = context.config.dedup.minhash.num_perm * 4 + 28
    print(f"read: bands {bands / 1e6:,.1f} MB, links {links / 1e6:,.2f} MB, ", end="")
    print(f"signatures {rows * row_bytes / 1e6:,.2f} of {signatures / 1e6:,.1f} MB ({rows:,} candidates)")
    print(f"removed for documents of the index: {total(context.run.of('keepers'), 'removed_for_index'):,}")
    print(f"\n{'stage':<18}{'alone, CPU s':>14}{'with index':>14}")
    for stage in DEDUP:
        print(f"{stage:<18}{median(alone, stage):>14.3f}{median(with_index, stage):>14.3f}")
    print(f"{'all stages':<18}{median(alone):>14.3f}{median(with_index):>14.3f}")


def median(walks: list[RunContext], stage: str | None = None) -> float:
    """Median CPU seconds of one stage, or of all."""
    return statistics.median(
        sum(summary.cpu_seconds for summary in context.engine.summaries if stage in (None, summary.name))
        for context in walks
    )


def write_inputs(folder: Path, corpus: Path, nights: int) -> tuple[Path, Path]:
    """Every n-th record for the night, the others for the index."""
    old, new = folder / "old.jsonl", folder / "new.jsonl"
    number = 0
    with old.open("wb") as old_file, new.open("wb") as new_file:
        for path in corpus_files(corpus):
            for record in read_records(path):
                number += 1
                line = orjson.dumps({"id": record["id"], "text": record["text"]}) + b"\n"
                (old_file if number % nights else new_file).write(line)
    return old, new


def config(folder: Path, file: Path, index: Index | None) -> Config:
    """A run over one file."""
    return parse_config(
        {
            "run": str(folder),
            "sources": [{"name": "corpus", "path": str(file), "id": "id"}],
            "filter": {"mode": "annotate"},
            "dedup": {"index": None if index is None else index.path},
            "compute": {"executor": "inline"},
        }
    )


if __name__ == "__main__":
    main()
