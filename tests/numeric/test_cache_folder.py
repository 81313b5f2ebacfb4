"""Folders of compiled kernels: what several of them hold takes space once, and those that nobody uses go."""

import ast
import logging
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest

from tests.numeric.test_own_folder import cache_folder as folder_of_a_process
from winnow.numeric import cache_folder, cached_arrays, jit
from winnow.numeric.cache_folder import UNUSED_DAYS, remove_unused
from winnow.numeric.cached_arrays import prepared_arrays

PACKAGE = Path(cache_folder.__file__).parents[1]
TABLES = {"large": np.arange(200_000), "small": np.arange(5)}


def kernels(place: Path, number: int, days: float = 0.0) -> Path:
    """A folder of kernels that nobody has used for so many days."""
    folder = place / f"winnow-kernels-{number:016x}"
    folder.mkdir(mode=0o700)
    (folder / "x.nbc").write_bytes(b"code")
    used_last(folder, days)
    return folder


def used_last(folder: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(folder, (then, then))


def prepared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder's own file of a large table."""
    monkeypatch.setattr(cached_arrays, "CACHE_FOLDER", str(folder))
    found = prepared_arrays("t", (), lambda: TABLES)
    assert {name: array.tolist() for name, array in found.items()} == {n: a.tolist() for n, a in TABLES.items()}
    return next(folder.glob("t-*/large.npy"))


def test_tables_that_are_equal_take_space_once(tmp_path, monkeypatch):
    one, two = (prepared(kernels(tmp_path, number), monkeypatch) for number in (1, 2))
    assert one.samefile(two)
    assert (tmp_path / "winnow-tables").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in one.parent.iterdir()] != [one.name]  # the small one is a file of its own
    assert not one.with_name("small.npy").samefile(two.with_name("small.npy"))


def test_a_damaged_table_reaches_no_other_folder(tmp_path, monkeypatch):
    one = prepared(kernels(tmp_path, 1), monkeypatch)
    with one.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\xff")
    two, three = (prepared(kernels(tmp_path, number), monkeypatch) for number in (2, 3))
    assert two.samefile(three) and not two.samefile(one)


@pytest.mark.parametrize("how", ["link", "open"])
def test_no_table_is_taken_from_a_folder_that_others_can_write(tmp_path, monkeypatch, how):
    (tmp_path / "elsewhere").mkdir()
    if how == "link":
        (tmp_path / "winnow-tables").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "winnow-tables").mkdir()
        (tmp_path / "winnow-tables").chmod(0o777)
    one, two = (prepared(kernels(tmp_path, number), monkeypatch) for number in (1, 2))
    assert not one.samefile(two)
    assert not list((tmp_path / "winnow-tables").iterdir())


def test_folders_that_nobody_uses_go_with_what_they_alone_had(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("winnow"), "propagate", True)
    caplog.set_level(logging.INFO, logger="winnow")
    mine, used = kernels(tmp_path, 1, UNUSED_DAYS + 1), kernels(tmp_path, 2, UNUSED_DAYS - 1)
    unused = [kernels(tmp_path, number, UNUSED_DAYS + 1) for number in (3, 4)]
    for folder in (mine, unused[0]):
        prepared(folder, monkeypatch)
    other = tmp_path / "winnow-kernels-of-mine"
    other.mkdir()
    monkeypatch.setitem(TABLES, "large", np.arange(300_000))
    prepared(unused[1], monkeypatch)
    for folder in (mine, *unused, other):
        used_last(folder, UNUSED_DAYS + 1)
    assert len(list((tmp_path / "winnow-tables").iterdir())) == 2
    monkeypatch.setattr(cache_folder, "CACHE_FOLDER", str(mine))
    remove_unused()
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, used.name, other.name, "winnow-tables"}
    assert len(list((tmp_path / "winnow-tables").iterdir())) == 1
    assert all(f"removed {folder}: compiled kernels of another version" in caplog.text for folder in unused)


def test_a_folder_that_a_process_begins_with_meanwhile_stays(tmp_path, monkeypatch):
    folder = kernels(tmp_path, 2, UNUSED_DAYS + 1)
    monkeypatch.setattr(cache_folder, "CACHE_FOLDER", str(kernels(tmp_path, 1)))
    rename = Path.rename

    def begun(path: Path, target: Path) -> Path:
        if path == folder:
            os.utime(folder)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", begun)
    remove_unused()
    assert (folder / "x.nbc").read_bytes() == b"code"


def test_a_process_alone_removes_nothing(tmp_path, monkeypatch):
    folder = kernels(tmp_path, 2, UNUSED_DAYS + 1)
    monkeypatch.setattr(cache_folder, "CACHE_FOLDER", str(tmp_path / "winnow-kernels-abc"))
    remove_unused()
    assert folder.exists()


def test_a_process_says_which_folder_it_uses(tmp_path):
    folder = folder_of_a_process(tmp_path, HOME=str(tmp_path))
    used_last(folder, UNUSED_DAYS + 1)
    assert folder_of_a_process(tmp_path, HOME=str(tmp_path)) == folder
    assert time.time() - folder.stat().st_mtime < 3600


def test_whoever_compiles_looks_for_unused_folders(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(jit, "CACHE_FOLDER", str(tmp_path))
    monkeypatch.setattr(jit, "remove_unused", lambda: done.append("removed"))
    for _ in range(2):
        jit.compile_once("set", lambda: done.append("compiled"))
    assert done == ["removed", "compiled"]


def test_the_folder_is_another_one_where_a_kernel_that_others_call_has_changed():
    """A caller is compiled anew with its own file alone, so it would go on with the old one."""
    defined = {}
    for path in PACKAGE.rglob("*.py"):
        names = re.findall(r"^@kernel\ndef (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if names:
            defined[".".join(("winnow", *path.relative_to(PACKAGE).with_suffix("").parts))] = set(names), path
    called = set()
    for _, caller in defined.values():
        for node in ast.walk(ast.parse(caller.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in defined:
                names, path = defined[node.module]
                called |= {path} if names & {alias.name for alias in node.names} else set()
    assert PACKAGE / "sources/web/tags.py" in called and len(called) > 9
    assert called <= set(cache_folder._kernel_sources())
