"""kill -9 at random moments of random processes of a run, again and again, over real text: always the same bytes.

    python -m tests.faults.soak --kills 100 --executor processes --seed 1

Runs follow each other until so many processes were killed: the driver, the server that forks workers, a worker, a
process of Ray. A command that did not end with 0 is given again, in the same folder; one that did has the shards of a
run without faults and closed books. Every wait and choice follows from the seed and the time of that run; what it
meets there is up to the machine.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from tests.support.configs import run_config, source_of
from tests.support.corpora import write_part
from tests.support.finished import shards_of
from tests.support.processes import command
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.runs.state import load_run

SHARED = Path(__file__).resolve().parents[3] / "shared"
PARTS = {"02": 2e6, "08": 2e6, "09": 1e6}
MOST_COMMANDS = 60
"""In one run folder: if it takes more, the run does not come forward."""


class Soak:
    """A reference, and runs that are killed until enough were."""

    def __init__(self, folder: Path, executor: str, seed: int) -> None:
        self.folder, self.executor = folder, executor
        self.random = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        files = write_part(SHARED, folder / "data", PARTS)
        self.sources = [source_of(path, path.stem, id="id") for path in files]
        began = time.monotonic()
        line = command(self._config("reference", "inline"), folder / "config.yaml")
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.mean = (time.monotonic() - began) / 2  # between two kills, on a machine as fast as this one is now
        self.reference = shards_of(folder / "reference")

    def _config(self, name: str, executor: str) -> dict:
        compute = {"executor": executor, "workers": 2, "unit_mb": 1, "partition_mb": 1}
        return run_config(self.folder / name, *self.sources, shards={"shard_mb": 1}, compute=compute)

    def whole_run(self, number: int, most_kills: int) -> None:
        """One folder from nothing to a finished run."""
        name = f"run-{number}"
        line = command(self._config(name, self.executor), self.folder / "config.yaml")
        for _ in range(MOST_COMMANDS):
            code = self._command(line, most_kills)
            self.codes[code] += 1
            if code == 0:
                break
        else:
            raise AssertionError(f"{name} does not come to its end; see {self.folder / 'messages'}")
        finished = load_run(str(self.folder / name))
        assert shards_of(self.folder / name) == self.reference, f"{name} has other shards"
        assert check_shards(finished) == check_work(finished, hashes=True) == []
        assert all(balance.expected == balance.found for balance in recount(finished))
        left = [path for path in finished.store.files_below("") if ".draft-" in path or path.endswith("lease.json")]
        assert left == [], left
        shutil.rmtree(self.folder / name)

    def _command(self, line: list[str], most_kills: int) -> int:
        """Run it, killing now and then; its exit code."""
        with (self.folder / "messages").open("ab") as messages:
            driver = subprocess.Popen(line, stdout=messages, stderr=messages)
        while True:
            try:
                return driver.wait(self.random.expovariate(1) * self.mean)
            except subprocess.TimeoutExpired:
                if self.killed.total() < most_kills:
                    self._kill_one(driver)

    def _kill_one(self, driver: subprocess.Popen) -> None:
        try:
            mine = psutil.Process(driver.pid)
            family = [mine, *mine.children(recursive=True)]
            chosen = self.random.choice(family)
            kind = "driver" if chosen.pid == driver.pid else chosen.name().partition(":")[0]
            chosen.kill()
        except psutil.NoSuchProcess:
            return
        self.killed[kind] += 1


def main() -> None:
    """Kill, compare, and tell how many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--executor", choices=("processes", "ray"), default="processes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not (SHARED / "corpus").is_dir():
        sys.exit("needs the shared test corpus in a folder `shared` beside the repository")
    with tempfile.TemporaryDirectory(prefix="winnow-soak-") as folder:
        soak = Soak(Path(folder), options.executor, options.seed)
        began, number = time.monotonic(), 0
        while soak.killed.total() < options.kills:
            soak.whole_run(number, options.kills)
            number += 1
            told = f"{dict(soak.killed)}; exit codes {dict(soak.codes)}"
            print(f"{number} runs, {soak.killed.total()} killed: {told}; {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
