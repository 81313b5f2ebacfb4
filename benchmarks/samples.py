"""Where the time of a run goes, by py-spy: samples of the worker's stack, told apart by the code they stand in.

    python -m benchmarks.samples [CORPUS] [--rate 200]

A second opinion on the parts that the records themselves measure (``benchmarks.end_to_end``): nothing of Winnow takes
part in the measuring. The run is `inline`, so that one process does all the work; py-spy must be allowed to look into
a child process (root, or ``kernel.yama.ptrace_scope=0``). The innermost frame that is known decides:

- *kernels*: winnow/text, dedup, tokens and shards, and what they call (ftfy, gigatoken, tiktoken, py3langid);
- *reading and writing*: winnow/sources, the store, the exchange and the tables, and what they call (zstandard,
  orjson, Arrow, Parquet);
- *start-up*: imports, loading of compiled kernels and models;
- *overhead*: everything else.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import yaml

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "corpus"
PLACES = (
    ("start-up", r"<frozen|importlib|numba/core|prepared\.py|vocabulary\.py"),
    ("kernels", r"winnow/(text|dedup|tokens|shards|numeric)/"),
    ("reading and writing", r"winnow/(sources/|storage/|engine/(exchange|records)\.py|stages/tables\.py)"),
    ("overhead", r"winnow/|jobs/"),
)


def place_of(stack: str) -> str:
    """What the innermost known frame of a stack ("outer;...;inner") belongs to."""
    for frame in reversed(stack.split(";")):
        for name, pattern in PLACES:
            if re.search(pattern, frame):
                return name
    return "start-up"  # the interpreter itself, before any of our code


def innermost(stack: str) -> str:
    """The innermost frame of ours, as ``function (file)``."""
    frames = [frame for frame in stack.split(";") if "winnow/" in frame]
    return re.sub(r":\d+\)", ")", frames[-1]) if frames else "(none)"


def main() -> None:
    """Run under py-spy and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--rate", type=int, default=200, help="samples a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = {
            "run": f"{folder}/run",
            "sources": [{"name": "corpus", "path": f"{options.corpus}/[01]*.jsonl.zst", "id": "id"}],
            "filter": {"mode": "annotate"},
            "compute": {"executor": "inline"},
        }
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        recording = ["py-spy", "record", "--format", "raw", "--rate", str(options.rate), "--full-filenames"]
        command = [sys.executable, "-m", "jobs", "run", str(path)]
        finished = subprocess.run(
            [*recording, "--output", f"{folder}/stacks", "--", *command], capture_output=True, text=True
        )
        if finished.returncode != 0:
            sys.exit(f"py-spy or the run failed:\n{finished.stderr}")
        shares: Counter[str] = Counter()
        inner: dict[str, Counter[str]] = {}
        for line in (Path(folder) / "stacks").read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            if "_renew (" in stack:  # the lease's heartbeat, which sleeps
                continue
            name = place_of(stack)
            shares[name] += int(count)
            inner.setdefault(name, Counter())[innermost(stack)] += int(count)
    total = sum(shares.values())
    print(f"{total:,} samples at {options.rate} a second")
    for name, count in shares.most_common():
        print(f"{count / total:6.1%}  {name}")
        for frame, samples in inner[name].most_common(6):
            print(f"    {samples / total:6.1%}  {re.sub(r'/.*/winnow/', 'winnow/', frame)}")


if __name__ == "__main__":
    main()
