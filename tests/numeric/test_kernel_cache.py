"""Compiled kernels are filed by what they are, not by where the package lies: a job's code lies elsewhere each time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np
from winnow.numeric import radix
numbers = np.array([3, 1, 2], np.uint64)
assert radix.sort_pairs(numbers, numbers, True)[0].tolist() == [1, 2, 3]
stats = radix.sort_pairs.stats
print(radix.__file__, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
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
