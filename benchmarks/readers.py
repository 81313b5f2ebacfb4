"""The same rows read by Winnow, by MosaicML Streaming and by LitData: tokens a second, start, resume.

    python -m tests.formats.environments mds litdata
    python -m benchmarks.readers [TEXT] [--sequence-tokens 2048] [--runs 3]

TEXT (JSONL.zst with `text`) becomes one shard set in all four formats; each library reads its own in a shuffled order,
in batches of 16 rows as int64 tensors, in one process with one thread, from the page cache. Tokens a second are by
processor time. Start and resume (in the middle) are wall time from nothing to the first batch, imports left out.
Medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.measuring import CORPUS, machine
from tests.formats.environments import python_of

BATCH = 16
WORKER = Path(__file__).with_name("readers_worker.py")


def make_set(text: Path, folder: Path, sequence_tokens: int) -> Path:
    """The shard set of one run over the text."""
    config = {
        "run": str(folder / "run"),
        "sources": [{"name": "text", "path": str(text), "id": "id"}],
        "filter": {"mode": "annotate"},
        "report": False,
        "compute": {"executor": "inline"},
        "shards": {
            "sequence_tokens": sequence_tokens,
            "shard_mb": 8,
            "formats": ["parquet", "raw", "mds", "litdata"],
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "jobs", "run", str(folder / "config.yaml")]
    subprocess.run(command, check=True, capture_output=True)
    state = json.loads((folder / "run" / "state.json").read_text())
    return folder / "run" / str(state["shards"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", type=Path, default=CORPUS / "08-pg-books.jsonl.zst")
    parser.add_argument("--sequence-tokens", type=int, default=2048)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    missing = [name for name in ("mds", "litdata") if not python_of(name).exists()]
    if missing:
        sys.exit(f"no environment of {', '.join(missing)}; make it: python -m tests.formats.environments mds litdata")
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        shards = make_set(options.text, Path(folder), options.sequence_tokens)
        readers = (
            ("winnow", Path(sys.executable), shards),
            ("winnow raw", Path(sys.executable), shards),
            ("mds", python_of("mds"), shards / "mds" / "train"),
            ("litdata", python_of("litdata"), shards / "litdata" / "train"),
        )
        print(f"{'':24}{'million tokens a second':>24}{'start, ms':>12}{'resume, ms':>12}")
        for name, python, place in readers:
            command = [python, WORKER, name, place, str(BATCH), str(options.sequence_tokens + 1)]
            told = [
                json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
                for _ in range(options.runs)
            ]
            rate = statistics.median(one["ids"] / one["processor"] for one in told) / 1e6
            start, resume = (statistics.median(one[key] for one in told) * 1000 for key in ("start", "resume"))
            print(f"{name:24}{rate:>24,.0f}{start:>12,.0f}{resume:>12,.0f}", flush=True)


if __name__ == "__main__":
    main()
