"""Arrays that are built once a node."""

import os

import numpy as np
import pytest

from winnow.numeric import cached_arrays as prepared
from winnow.numeric.cached_arrays import prepared_arrays


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(prepared, "CACHE_FOLDER", str(tmp_path / "cache"))
    return tmp_path / "cache"


def counting():
    def build():
        build.calls += 1
        return {"a": np.arange(5), "b": np.array(["x", "yz"]), "mapped": np.arange(10_000)}

    build.calls = 0
    return build


def test_built_once_and_equal_the_second_time():
    build = counting()
    first, second = prepared_arrays("t", (1, "x"), build), prepared_arrays("t", (1, "x"), build)
    assert build.calls == 1
    for name, array in build().items():
        assert first[name].tolist() == second[name].tolist() == array.tolist()
        assert second[name].dtype == array.dtype


def test_other_versions_or_options_are_built_anew():
    build = counting()
    for made_of in ((1,), (2,), ("1",)):
        prepared_arrays("t", made_of, build)
    prepared_arrays("u", (1,), build)
    assert build.calls == 4


def test_writing_to_mapped_arrays_reaches_nobody_else():
    build = counting()
    for array in prepared_arrays("t", (), build).values():
        array[:] = 7
    assert prepared_arrays("t", (), build)["a"].tolist() == [0, 1, 2, 3, 4]
    assert prepared_arrays("t", (), build)["mapped"].tolist() == list(range(10_000))


def test_small_arrays_hold_no_file_open():
    prepared_arrays("t", (), counting())
    opened = len(os.listdir("/proc/self/fd"))
    held = prepared_arrays("t", (), counting())
    assert len(os.listdir("/proc/self/fd")) == opened + 1
    assert isinstance(held["mapped"].base, np.memmap)


def test_a_cache_cut_short_is_built_again(own_folder):
    build = counting()
    prepared_arrays("t", (), build)
    next(own_folder.glob("t-*/a.npy")).write_bytes(b"\x93NUMPY")
    assert prepared_arrays("t", (), build)["a"].tolist() == [0, 1, 2, 3, 4]
    assert build.calls == 2


def test_a_cache_that_cannot_be_written_does_no_harm(own_folder):
    own_folder.parent.mkdir(exist_ok=True)
    own_folder.write_text("a file where the folder should be")
    build = counting()
    for _ in range(2):
        assert prepared_arrays("t", (), build)["a"].tolist() == [0, 1, 2, 3, 4]
    assert build.calls == 2


def test_no_objects():
    with pytest.raises(ValueError, match="allow_pickle"):
        prepared_arrays("t", (), lambda: {"a": np.array([object()])})
