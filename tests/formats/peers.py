"""Runs a reader script in a library's own environment; what it read comes back as .npy files."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.formats.environments import FOLDER, LIBRARIES, python_of

READERS = Path(__file__).parent / "readers"


def read_with(name: str, script: str, out: Path, *arguments: object) -> dict[str, np.ndarray]:
    """Arrays by name that ``readers/SCRIPT.py OUT ARGUMENTS`` wrote.

    Skips the test where the environment is missing.
    """
    if not python_of(name).exists():
        fault = FOLDER / name / "failed.txt"
        why = fault.read_text() if fault.exists() else "not installed; `make test-formats` makes its environment"
        pytest.skip(f"{LIBRARIES[name].pin}: {why}")
    out.mkdir(parents=True, exist_ok=True)
    line = [str(python_of(name)), "-W", "ignore", str(READERS / f"{script}.py"), str(out), *map(str, arguments)]
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(out / "cache")}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | quiet
    result = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=out, timeout=300)
    assert result.returncode == 0, f"{script} with {LIBRARIES[name].pin}:\n{result.stdout}\n{result.stderr}"
    return {path.stem: np.load(path) for path in out.glob("*.npy")}
