"""Compiled kernels are filed by what they are, not by where the package lies: a job's code lies elsewhere each time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np
from winnow.text import characters
some = np.arange(256, dtype=np.uint16)
assert characters.class_of(some, some, 3) == 3
stats = characters.class_of.stats
print(characters.__file__, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_a_copy_of_the_package_finds_what_another_one_compiled(tmp_path):
    told = []
    for name in ("one", "two"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "pipeline" / "winnow", tmp_path / name / "winnow", ignore=ignored)
        environment = os.environ | {"PYTHONPATH": str(tmp_path / name), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        line = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        path, hits, misses = done.stdout.split()
        assert path.startswith(str(tmp_path / name))
        told.append((int(hits) > 0, int(misses) > 0))
    assert told == [(False, True), (True, False)]  # hits, misses
    assert not list((tmp_path / "one").rglob("*.nbc"))
