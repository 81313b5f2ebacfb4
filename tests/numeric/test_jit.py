"""Compiled kernels are kept: a second process compiles nothing, and other sources find nothing of these."""

import os
import subprocess
import sys

import pytest

CODE = """
import numpy as np
from winnow.numeric import jit
from winnow.text.characters import class_of
some = np.arange(256, dtype=np.uint16)
assert class_of(some, some, 3) == 3
print(sum(class_of.stats.cache_misses.values()), jit.CACHE_FOLDER)
"""


@pytest.fixture
def process(tmp_path):
    def run() -> tuple[int, str]:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
        told = subprocess.run(
            [sys.executable, "-c", CODE], env=environment, check=True, capture_output=True, text=True
        ).stdout
        return int(told.split()[0]), told.split()[1]

    return run


def test_a_second_process_compiles_nothing(process, tmp_path):
    misses, folder = process()
    assert misses == 1
    assert folder.startswith(str(tmp_path / "kernels"))
    assert process() == (0, folder)
