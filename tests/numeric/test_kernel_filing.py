"""Compiled code of one kernel for different types, filed by several processes at once."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from numba.core.caching import IndexDataCacheFile

from winnow.numeric import jit


def test_processes_that_file_code_at_once_take_different_numbers(tmp_path):
    """Each waits between reading the index and writing it, as a slow disk would make it."""
    code = f"""
import sys, time
from numba.core.caching import IndexDataCacheFile
from winnow.numeric import jit

load = IndexDataCacheFile._load_index
def slowly(self):
    found = load(self)
    time.sleep(0.3)
    return found
IndexDataCacheFile._load_index = slowly
IndexDataCacheFile({str(tmp_path)!r}, "kernel", "stamp").save(sys.argv[1], sys.argv[1])
"""
    names = ["a", "b", "c"]
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "pipeline"), *sys.path])}
    with ThreadPoolExecutor(len(names)) as threads:
        began = time.monotonic()
        lines = [[sys.executable, "-c", code, name] for name in names]
        done = list(threads.map(lambda line: subprocess.run(line, capture_output=True, env=environment), lines))
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    assert time.monotonic() - began > 0.3
    filed = IndexDataCacheFile(str(tmp_path), "kernel", "stamp")
    assert {name: filed.load(name) for name in names} == {name: name for name in names}
    assert IndexDataCacheFile.save is jit._save_alone
