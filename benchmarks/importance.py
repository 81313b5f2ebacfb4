"""What select's scores do to a real corpus, and what they cost: importance toward targets, a quality head, prototypes.

    python -m benchmarks.importance [CORPUS] [--tokens 8000000]

Every 20th document of each source is taken out of the corpus; those of one source are a target, or examples. Runs in
one process and one thread (OMP_NUM_THREADS=1), without dedup. The first run reads and tokenises everything; each later
one does only what its settings change. Printed: the target source's share of all tokens and of the sample's, and CPU.
"""

import argparse
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import zstandard

from winnow.config.config import parse_config
from winnow.engine.records import totals_under
from winnow.flow.context import RunContext
from winnow.flow.select_accounting import quality_books, select_steps
from winnow.runs.run import run

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "corpus"
EVERY = 20
TARGETS = ("imdb", "helm-www", "pg-books", "ruanyf-weekly")
SHOWN = ("embed", "assign", "quality", "importance_counts", "importance", "scores", "sample")


def divide(corpus: Path, folder: Path) -> list[str]:
    """Write each source without its held-out documents, and these beside it; returns the sources' names."""
    names = []
    for path in sorted(corpus.glob("[01]*.jsonl.zst")):
        name = path.name.removesuffix(".jsonl.zst").partition("-")[2]
        names.append(name)
        with (
            zstandard.open(path, "rb") as file,
            zstandard.open(folder / f"{name}.jsonl.zst", "wb") as rest,
            (folder / f"held-{name}.jsonl").open("wb") as held,
        ):
            for number, line in enumerate(io.BufferedReader(file)):
                (held if number % EVERY == 0 else rest).write(line)
    return names


def cpu_of(context: RunContext) -> str:
    """Documents a second of CPU, by stage that this run computed."""
    told = []
    for summary in context.engine.summaries:
        if summary.name in SHOWN and summary.units > summary.reused:
            documents = sum(record.counters.get("documents", 0) for record in context.run.records[summary.name])
            documents = documents or sum(record.counters["documents"] for record in context.run.of("scores"))
            told.append(f"{summary.name} {summary.cpu_seconds:.2f} s ({documents / summary.cpu_seconds:,.0f}/s)")
    return "; ".join(told)


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--tokens", type=int, default=8_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = divide(options.corpus, Path(folder))

        def select(settings: dict[str, Any]) -> RunContext:
            config = {
                "run": f"{folder}/run",
                "sources": [{"name": name, "path": f"{folder}/{name}.jsonl.zst", "id": "id"} for name in names],
                "filter": {"mode": "annotate"},
                "dedup": "off",
                "select": settings,
                "compute": {"executor": "inline"},
            }
            return run(parse_config(json.loads(json.dumps(config))))

        def shares(context: RunContext, name: str) -> str:
            before, after = (totals_under(context.run.of("sample"), counter) for counter in ("tokens", "taken_tokens"))
            taken = sum(after.values())
            return (
                f"{name} {before[name] / sum(before.values()):7.2%} -> {after[name] / taken:7.2%} of {taken:,} tokens"
            )

        sample = {"target_tokens": options.tokens}
        context = select({"semantic": "off", "sample": sample})
        print("no importance:     ", "; ".join(shares(context, name) for name in TARGETS), flush=True)
        for name in TARGETS:
            target = f"{folder}/held-{name}.jsonl"
            for most in (None, 10, 50, 200, 1000):
                context = select(
                    {"semantic": "off", "importance": {"target": target, "max_features": most}, "sample": sample}
                )
                nats = context.run.of("importance_ratio")[0].metadata["nats_a_feature"]
                print(
                    f"importance {f'up to {most}' if most else 'whole sums':11}",
                    shares(context, name),
                    f"({nats:.2f} nats)",
                    cpu_of(context),
                    flush=True,
                )
        negative = [f"{folder}/held-{name}.jsonl" for name in names if name != "imdb"]
        quality = {"positive": f"{folder}/held-imdb.jsonl", "negative": negative}
        context = select({"semantic": "off", "quality": quality})
        books = quality_books(context.run.of("quality_fit")[0], context.run.of("quality"))
        print(f"quality head, imdb against the others: AUC {books['auc']:.4f}", cpu_of(context), flush=True)
        for hundredth in (10, 30, 50, 70, 90):
            print("  ", books["curve"][hundredth - 1])
        every = {"quality": {**quality, "threshold": 0.3}, "prototypes": {"drop_share": 0.2}, "sample": sample}
        context = select(every | {"importance": {"target": f"{folder}/held-imdb.jsonl"}})
        for step in select_steps(context.run.of("scores"), context.run.of("sample"), semantic=True):
            print("  ", step)
        print(cpu_of(context))


if __name__ == "__main__":
    main()
