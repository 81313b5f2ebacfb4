"""The training example, run shortly: its loss falls, and a killed run goes on with the same losses."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.shard_sets import write_set

pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")
pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_gpt.py"
STEPS = 48


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Rows of a language in which every token has two successors out of 64."""
    rng = np.random.default_rng(1)
    successors = rng.integers(2, 66, (66, 2))
    rows = np.empty((700, 33), np.uint16)
    rows[:, 0] = rng.integers(2, 66, 700)
    for place in range(1, 33):
        rows[:, place] = successors[rows[:, place - 1], rng.integers(0, 2, 700)]
    return write_set(tmp_path_factory.mktemp("set"), {"train": [rows[:400], rows[400:640]], "val": [rows[640:]]})


def command(shards, checkpoint, *more):
    return [
        sys.executable, str(EXAMPLE), str(shards), "--steps", str(STEPS), "--report", "8", "--batch", "8",
        "--vocabulary", "128", "--checkpoint", str(checkpoint), *more,
    ]  # fmt: skip


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def losses(text):
    """Step -> the printed losses, as printed."""
    return dict(re.findall(r"^ +(\d+) +\d+ +(\d+\.\d+ +\d+\.\d+) ", text, re.MULTILINE))


def test_the_loss_falls_under_the_unigram_entropy_and_a_killed_run_goes_on_with_the_same_losses(shards, tmp_path):
    whole = subprocess.run(
        command(shards, tmp_path / "a.pt"), capture_output=True, text=True, check=True, env=environment()
    ).stdout
    found = losses(whole)
    assert list(found) == [str(step) for step in range(8, STEPS + 1, 8)]
    entropy = float(re.search(r"validation rows: ([\d.]+) nats", whole).group(1))
    assert float(found[str(STEPS)].split()[1]) < 0.75 * entropy

    running = subprocess.Popen(command(shards, tmp_path / "b.pt"), stdout=subprocess.PIPE, text=True, env=environment())
    before = ""
    for line in running.stdout:
        before += line
        if len(losses(before)) == 3:
            running.send_signal(signal.SIGKILL)
            break
    running.wait()
    running.stdout.close()
    after = subprocess.run(
        command(shards, tmp_path / "b.pt", "--resume", "--workers", "2"),
        capture_output=True, text=True, check=True, env=environment(),
    ).stdout  # fmt: skip
    later = losses(after)
    assert later
    assert {**losses(before), **later} == found
    assert "8" not in later

    refused = subprocess.run(
        command(shards, tmp_path / "b.pt", "--resume", "--steps", "9"),
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert refused.returncode == 2
    assert "was made with" in refused.stderr
