"""Compiled code of one kernel for different types, filed by several processes at once."""

import os
import time

from numba.core.caching import IndexDataCacheFile

from winnow.numeric import kernel_files


def test_processes_that_file_code_at_once_take_different_numbers(tmp_path, monkeypatch):
    """Each waits between reading the index and writing it, as a slow disk would make it."""
    load = IndexDataCacheFile._load_index
    filed = IndexDataCacheFile(str(tmp_path), "kernel", "stamp")

    def slowly(self):
        found = load(self)
        time.sleep(0.3)
        return found

    names, children = ["a", "b", "c"], []
    began = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(IndexDataCacheFile, "_load_index", slowly)
        for name in names:
            children.append(os.fork())
            if children[-1] == 0:
                try:
                    filed.save(name, name)
                    os._exit(0)
                finally:
                    os._exit(1)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert time.monotonic() - began > 0.3
    assert {name: filed.load(name) for name in names} == {name: name for name in names}
    assert IndexDataCacheFile.save is kernel_files._save_alone
