"""Break the code in many places, one at a time and in a copy, and see a fast test fail of each.

Exit code 1: a break that nobody noticed or that cannot be applied, or tests that fail without one.
"""

import argparse
import queue
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.breaks.all_breaks import BREAKS
from tests.breaks.change import Break, fault_of, file_of
from tests.breaks.checkout import ROOT, Checkout, Outcome, end_all

TESTS_FAILED = 1
"""Exit code of pytest; others say that tests could not be collected or run."""


@dataclass(frozen=True)
class Verdict:
    """What became of one break."""

    change: Break
    noticed: bool
    by: str
    """The first test that failed, or why there is none."""
    seconds: float


def judge(change: Break, outcome: Outcome) -> Verdict:
    """Whether tests that ended so have noticed the break."""
    if outcome.code is None:
        return Verdict(change, change.may_hang, "(did not end)", outcome.seconds)
    if outcome.code == TESTS_FAILED and outcome.failed:
        return Verdict(change, True, outcome.failed[0], outcome.seconds)
    why = "NOBODY" if outcome.code == 0 else f"pytest ended with {outcome.code}: {outcome.output[-300:]}"
    return Verdict(change, False, why, outcome.seconds)


def check_unbroken(copies: list[Checkout], changes: list[Break], seconds: float) -> list[str]:
    """Tests that fail before anything is broken; each copy runs a part of them."""
    tests = sorted({test for change in changes for test in change.tests})
    whole = {test for test in tests if "::" not in test}
    tests = [test for test in tests if "::" not in test or test.partition("::")[0] not in whole]
    by_file: dict[str, list[str]] = {}
    for test in tests:
        by_file.setdefault(test.partition("::")[0], []).append(test)
    parts: list[list[str]] = [[] for _ in copies]
    for number, part in enumerate(by_file.values()):
        parts[number % len(copies)] += part
    jobs = [(copy, part) for copy, part in zip(copies, parts, strict=True) if part]
    with ThreadPoolExecutor(len(copies)) as threads:
        outcomes = list(threads.map(lambda job: job[0].test(job[1], seconds), jobs))
    faults = []
    for outcome in outcomes:
        if outcome.code != 0:
            faults += outcome.failed or [f"pytest ended with {outcome.code}:\n{outcome.output[-2000:]}"]
    return faults


def run_breaks(copies: list[Checkout], changes: list[Break], seconds: float) -> list[Verdict]:
    """Every break in one of the copies, in the order given."""
    waiting: queue.SimpleQueue[tuple[int, Break]] = queue.SimpleQueue()
    for numbered in enumerate(changes):
        waiting.put(numbered)
    verdicts: dict[int, Verdict] = {}
    telling = threading.Lock()

    def work(copy: Checkout) -> None:
        while True:
            try:
                number, change = waiting.get_nowait()
            except queue.Empty:
                return
            with copy.broken(change):
                verdict = judge(change, copy.test(change.tests, seconds, "-x"))
            with telling:
                verdicts[number] = verdict
                found = "noticed" if verdict.noticed else "NOT NOTICED"
                print(f"{len(verdicts):3} {found:11} {verdict.seconds:5.0f} s  {change.name}", flush=True)

    with ThreadPoolExecutor(len(copies)) as threads:
        list(threads.map(work, copies))
    return [verdicts[number] for number in range(len(changes))]


def tell(verdicts: list[Verdict]) -> None:
    """The table, and how many breaks there are of each promise and package."""
    width = max(len(verdict.change.name) for verdict in verdicts)
    print()
    for verdict in verdicts:
        change = verdict.change
        print(f"{change.promise}  {change.name:{width}}  {verdict.seconds:4.0f} s  {verdict.by.splitlines()[0]}")
    for what, counts in (
        ("promise", Counter(str(verdict.change.promise) for verdict in verdicts)),
        ("package", Counter(verdict.change.package for verdict in verdicts)),
    ):
        print(f"by {what}: " + ", ".join(f"{name} {number}" for name, number in sorted(counts.items())))
    missed = [verdict for verdict in verdicts if not verdict.noticed]
    for verdict in missed:
        print(f"NOT NOTICED: {verdict.change.name} ({verdict.change.module}): {verdict.by}")
    print(f"{len(verdicts) - len(missed)} of {len(verdicts)} breaks noticed")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.breaks", description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="only breaks with one of these words in their name or module")
    parser.add_argument("--promise", type=int, help="only those of one sentence of DESIGN.md section 1")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are broken at the same time (2)")
    parser.add_argument("--timeout", type=float, default=300, help="seconds that the tests of a break may take (300)")
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument("--skip-unbroken", action="store_true", help="do not run the tests without a break first")
    options = parser.parse_args()
    changes = [
        change
        for change in BREAKS
        if (options.promise is None or change.promise == options.promise)
        and (not options.words or any(word in f"{change.name} {change.module}" for word in options.words))
    ]
    if options.list:
        for change in changes:
            print(f"{change.promise}  {change.name}  ({change.module})")
        return 0
    faults = [f"{change.name}: {fault}" for change in changes if (fault := fault_of(ROOT, change)) is not None]
    if faults or not changes:
        print("\n".join(faults) or "no such break")
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="winnow-breaks-", ignore_cleanup_errors=True) as folder:
        try:
            copies = [Checkout(Path(folder) / str(number)) for number in range(max(1, options.jobs))]
            for module, file in copies[0].imported({change.module for change in changes}).items():
                if file.resolve() != file_of(copies[0].root, module).resolve():
                    print(f"{module} would be imported from {file}, not from the copy: nothing would be broken")
                    return 1
            if not options.skip_unbroken:
                failing = check_unbroken(copies, changes, 4 * options.timeout)
                if failing:
                    print("these fail without a break:", *failing, sep="\n  ")
                    return 1
                print(f"without a break all tests pass ({time.monotonic() - began:.0f} s)", flush=True)
            verdicts = run_breaks(copies, changes, options.timeout)
        finally:
            end_all()
    tell(verdicts)
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if all(verdict.noticed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
