"""URL lists: how long a list of hosts takes to become a table and to be there, what it takes of memory, and how many
addresses a second are looked up, beside Python's own set of the same hosts.

    python -m benchmarks.url_lists [--entries 1000000 4500000] [--addresses 500000]

Hosts are made up: 6 to 18 letters, some with a label before, 16 bytes a line. Of the addresses, 2 % are of listed
hosts. Times are processor time on one core, but for the opening of a table, which is wall time of a fresh process.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measuring import median_seconds, one_core
from winnow.text.urls.config import KINDS
from winnow.text.urls.lists import keys, look_at_list, read_bytes, read_lines
from winnow.text.urls.match import match
from winnow.text.urls.table import NOTHING, Table, build, open_table, parts_of_file

_OPEN = """
import sys, time
from pathlib import Path
from winnow.text.urls.table import open_table
def resident(what):
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(fields[what].split()[0]) / 1000
before = resident("VmRSS")
started = time.perf_counter()
table = open_table(sys.argv[1])
took = time.perf_counter() - started
opened = resident("VmRSS")
table.heap.sum(), table.starts.sum()
print(f"{took:.4f} {opened - before:.1f} {resident('VmRSS') - before:.1f}")
"""


def hosts(number: int, seed: int) -> list[str]:
    """Different host names."""
    rng = np.random.default_rng(seed)
    letters = rng.choice(np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789-", np.uint8), (number, 14))
    sizes = rng.integers(4, 13, number)
    ends = np.array([".com", ".net", ".org", ".de", ".ru", ".info"])[rng.integers(0, 6, number)]
    before = np.array(["", "", "", "blog.", "m."])[rng.integers(0, 5, number)]
    names = (bytes(row[:size]).decode().strip("-") for row, size in zip(letters, sizes, strict=True))
    return [f"{a}x{name}{b}" for a, name, b in zip(before, names, ends, strict=True)]


def addresses(number: int, listed: list[str]) -> pa.Array:
    """Addresses of pages, two in a hundred of listed hosts."""
    rng = np.random.default_rng(7)
    other = [f"www.y{host}" for host in hosts(number, 8)]
    mine = rng.random(number) < 0.02
    picked = rng.integers(0, len(listed), number)
    made = [f"www.{listed[p]}" if hit else host for hit, p, host in zip(mine, picked, other, strict=True)]
    return pa.array(
        [f"https://{host}/articles/2026/{n}/some-title?page=2" for n, host in enumerate(made)], "large_string"
    )


def by_set(found: list[str], entries: set[str]) -> int:
    """The plain way: every host above the address's host, looked up in a set."""
    return sum(any(host in entries for host in _above(address)) for address in found)


def _above(address: str) -> Iterator[str]:
    host = address.partition("//")[2].partition("/")[0].lower()
    while host:
        yield host
        host = host.partition(".")[2]


def table_of(path: Path) -> Table:
    """A list as a table, from its bytes on."""
    made, offsets = keys(read_lines(read_bytes(path), "domains"), "domains")
    return build(made, offsets, np.zeros(len(offsets) - 1, np.uint8))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=[1_000_000, 4_500_000])
    parser.add_argument("--addresses", type=int, default=500_000)
    arguments = parser.parse_args()
    one_core()
    columns = ("entries", "list MB", "looked at, s", "built, s", "table MB", "opened, ms", "MB opened / all read")
    print(f"| {' | '.join(columns)} | addresses a second | by a set |")
    print("| ---: " * 9 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for number in arguments.entries:
            path = Path(folder) / f"{number}.txt"
            listed = hosts(number, 1)
            path.write_text("\n".join(listed) + "\n")
            table_of(path)  # compiles
            looked = _spent(lambda path=path: look_at_list(path, "domains", str(path)))
            built = _spent(lambda path=path: table_of(path))
            target = Path(folder) / f"{number}.table"
            target.write_bytes(b"".join(bytes(memoryview(part)) for part in parts_of_file(table_of(path))))
            told = subprocess.run(
                [sys.executable, "-c", _OPEN, str(target)], capture_output=True, text=True, check=True
            ).stdout.split()
            table = open_table(str(target))
            tables = dict.fromkeys(KINDS, NOTHING) | {"domains": table}
            asked = addresses(arguments.addresses, listed)
            spent = median_seconds(lambda asked=asked, tables=tables: match(asked, tables))
            hits = int((match(asked, tables).places[:, 0] >= 0).sum())
            entries = set(listed)
            plain = asked.to_pylist()
            spent_set = median_seconds(lambda plain=plain, entries=entries: by_set(plain, entries))
            assert by_set(plain, entries) == hits, "the two differ"
            print(
                f"| {table.entries:,} | {path.stat().st_size / 1e6:.1f} | {looked:.2f} | {built:.2f} | "
                f"{target.stat().st_size / 1e6:.1f} | {1000 * float(told[0]):.1f} | {told[1]} / {told[2]} | "
                f"{len(asked) / spent:,.0f} | {len(asked) / spent_set:,.0f} |",
                flush=True,
            )


def _spent(work: object) -> float:
    started = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - started


if __name__ == "__main__":
    main()
