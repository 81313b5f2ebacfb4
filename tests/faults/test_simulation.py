"""Two runs of one config in a simulated world: no schedule breaks a promise. What is printed of one reproduces it."""

import subprocess
import sys

import pytest


def simulate(schedules: int, seed: int) -> None:
    line = [sys.executable, "-m", "tests.support.simulated_runs", "--schedules", str(schedules), "--seed", str(seed)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"{' '.join(line)}\n{done.stdout}"


def test_some_schedules():
    simulate(40, 1)


@pytest.mark.slow
def test_a_few_hundred_schedules():
    simulate(400, 101)


@pytest.mark.longest
def test_ten_thousand_schedules():
    simulate(10_000, 1001)
