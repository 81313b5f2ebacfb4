"""Every call of storage fails once, fails for good, or is the last: of a disk and of an object store.

`make test-slow` tries a sample, `make test-faults` all of them; what is printed of a case reproduces it.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.call_runs import KINDS, Kind, prepare
from tests.support.configs import sample_config
from tests.support.fault_runs import STAGES
from winnow.config.config import parse_config
from winnow.flow import dedup, families, select
from winnow.flow.step import Step

SAMPLE, SEED = 12, 20
SHARES = 4
"""Tests that share all cases, so that as many processes can work."""


def tried(store: str, *options: str, **environment: str) -> None:
    line = [sys.executable, "-m", "tests.support.every_call", store, *options]
    done = subprocess.run(line, env=os.environ | environment, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"{' '.join(line)}\n{done.stdout}"


def stages_of(kind: str, step: Step, data: Path, patch: pytest.MonkeyPatch) -> tuple[set[str], Kind]:
    """What a step does in this kind of run, whose index holds something."""
    found = prepare(kind, data, patch)
    context: Any = SimpleNamespace(
        config=parse_config(sample_config(data, data / "run", **found.sections)),
        run=SimpleNamespace(records={}),
        index=SimpleNamespace(entries=["a part"]),
    )
    return set(step.stages(context)), found


@pytest.mark.parametrize(
    ("kind", "step"), [("families", families.STEP), ("select", select.STEP), ("rounds", dedup.STEP)], ids=KINDS[1:]
)
def test_no_stage_of_these_steps_is_left_out(kind, step, tmp_path, monkeypatch):
    """Neither here, nor where workers are killed and frozen."""
    names, run = stages_of(kind, step, tmp_path, monkeypatch)
    plain, _ = stages_of("plain", step, tmp_path, monkeypatch) if step is dedup.STEP else (set(), None)
    assert names - plain
    assert names - plain <= set(run.stages)
    assert names - plain <= set(STAGES)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_the_calls_of_a_disk(kind):
    tried("disk", "--run", kind, "--sample", str(SAMPLE), "--seed", str(SEED))


@pytest.mark.slow
def test_a_sample_of_the_requests_to_an_s3_server(s3):
    tried("s3", "--sample", str(SAMPLE), "--seed", str(SEED), **s3.environment)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_sample_of_the_requests_to_an_object_store(kind):
    tried("objects", "--run", kind, "--sample", str(SAMPLE), "--seed", str(SEED))


@pytest.mark.longest
@pytest.mark.parametrize("share", range(1, SHARES + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_all_calls_of_a_disk(kind, share):
    tried("disk", "--run", kind, "--share", f"{share}/{SHARES}")


@pytest.mark.longest
@pytest.mark.parametrize("share", range(1, SHARES + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_all_requests_to_an_object_store(kind, share):
    tried("objects", "--run", kind, "--share", f"{share}/{SHARES}")
