"""One large run, watched from outside: memory of its processes and bytes on the disk over time, then `verify`.

    python -m benchmarks.big_run [CORPUS] [--copies 25] [--workers 2] [--executor processes] [--work FOLDER]

25 distinct copies of the corpus (`benchmarks.end_to_end` says how) are 10 GB of text. Annotate mode, so that every
document goes all the way, and `compute.keep: needed`. Memory is what processes have for themselves and their part of
what they share (PSS), read each second; disk is what the run folder occupies, without the input. The figures of the
processor count all processes of the command.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml

from benchmarks.end_to_end import SHARED, prepare
from benchmarks.measuring import machine
from winnow.runs.state import load_run

LINES = 24
"""Lines of the table over time."""


def children(pid: int) -> list[int]:
    """All processes below this one."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                below = [int(child) for child in task.read_text().split()]
            except OSError:
                continue
            found += below
            waiting += below
    return found


def pss_mb(pid: int) -> float:
    """Memory of one process: its own, and its part of what it shares. 0 of one that has ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return 0.0


def disk_mb(folder: Path) -> float:
    """What the files of a folder occupy; links to the input are not followed."""
    total = 0
    for place in folder.rglob("*"):
        try:
            total += place.lstat().st_blocks * 512
        except OSError:  # removed meanwhile
            continue
    return total / 1e6


class Watch(threading.Thread):
    """Looks at a command each second until it has ended."""

    def __init__(self, pid: int, folder: Path):
        super().__init__(daemon=True)
        self.pid, self.folder = pid, folder
        self.rows: list[tuple[float, float, float, float]] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """A row a second; the disk is looked at every fifth time."""
        began = time.monotonic()
        disk = 0.0
        while not self.ended.wait(1):
            workers = [pss_mb(pid) for pid in children(self.pid)]
            if len(self.rows) % 5 == 0:
                disk = disk_mb(self.folder)
            self.rows.append((time.monotonic() - began, pss_mb(self.pid), max(workers, default=0.0), disk))

    def table(self) -> None:
        """Each line tells the highest of its part of the time."""
        print(f"{'seconds':>10}{'driver MB':>12}{'worker MB':>12}{'disk MB':>12}")
        step = max(1, -(-len(self.rows) // LINES))
        for first in range(0, len(self.rows), step):
            part = self.rows[first : first + step]
            print("".join(f"{max(row[column] for row in part):>{12 if column else 10},.0f}" for column in range(4)))


def timed(command: list[str], folder: Path) -> tuple[float, float, Watch, str]:
    """Wall and processor seconds of a command, what was seen of it, and what it printed last."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        watch = Watch(process.pid, folder)
        watch.start()
        code = process.wait()
        seconds = time.perf_counter() - began
        watch.ended.set()
        watch.join()
        log.seek(0)
        said = log.read()
    if code != 0:
        sys.exit(f"{' '.join(command)} ended with {code}:\n{said}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, watch, said


def main() -> None:
    """Prepare, run, verify, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--copies", type=int, default=25)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--executor", default="processes", choices=("auto", "ray", "processes", "inline"))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "winnow-big-run")
    options = parser.parse_args()
    if not options.corpus.is_dir():
        sys.exit(f"{options.corpus}: no such folder; name a folder of JSONL.zst files with fields id and text")
    prepare(options.corpus.resolve(), options.work, options.copies)
    run = options.work / "run"
    shutil.rmtree(run, ignore_errors=True)
    config = {
        "run": str(run),
        "sources": [
            {"name": "corpus", "path": [f"{options.work}/copy-{n}/*.zst" for n in range(options.copies)], "id": "id"}
        ],
        "filter": {"mode": "annotate"},
        "compute": {"executor": options.executor, "workers": options.workers, "keep": "needed"},
    }
    (options.work / "config.yaml").write_text(yaml.safe_dump(config))
    winnow = [sys.executable, "-m", "jobs"]
    print(f"{machine()}; {options.workers} workers", flush=True)
    seconds, processor, watch, said = timed([*winnow, "run", str(options.work / "config.yaml")], run)
    megabytes = load_run(str(run)).total("measure", "text_bytes") / 1e6
    print(said)
    watch.table()
    highest = max(row[3] for row in watch.rows)
    print(
        f"\n{megabytes:,.0f} MB of text: {seconds:,.0f} s, {megabytes / seconds / options.workers:.1f} MB/s a core; "
        f"{processor:,.0f} s of processor time, {megabytes / processor:.1f} MB/s of one core\n"
        f"driver {max(row[1] for row in watch.rows):,.0f} MB, a worker {max(row[2] for row in watch.rows):,.0f} MB, "
        f"disk {highest:,.0f} MB at its highest, {highest / megabytes:.2f} bytes a byte of text"
    )
    seconds, processor, _, said = timed([*winnow, "verify", str(run)], run)
    print(said)
    print(f"verify: {seconds:,.0f} s, {processor:,.0f} s of processor time")


if __name__ == "__main__":
    main()
