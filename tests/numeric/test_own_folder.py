"""Folders whose content is believed: nobody else's, and none where there is no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from winnow.errors import NamedObjectError
from winnow.numeric.own_folder import own_folder, user_cache
from winnow.storage.cache import FileCache
from winnow.storage.config import StorageConfig
from winnow.storage.node_copy import node_copy

ROOT = Path(__file__).parents[2]


def take(folder: Path, how: str) -> None:
    """Somebody was here first."""
    if how == "link":
        (folder.parent / "elsewhere").mkdir(exist_ok=True)
        folder.symlink_to(folder.parent / "elsewhere")
    elif how == "file":
        folder.write_text("")
    else:
        folder.mkdir()
        folder.chmod(0o777)
        if how == "owner":
            folder.chmod(0o755)
            os.chown(folder, 12345, 12345)


TAKEN = ["link", "open", pytest.param("owner", marks=pytest.mark.skipif(os.getuid() != 0, reason="needs root")), "file"]


@pytest.mark.parametrize("how", TAKEN)
def test_a_folder_that_somebody_else_may_write_is_refused(tmp_path, how):
    take(tmp_path / "taken", how)
    with pytest.raises(OSError, match="taken"):
        own_folder(tmp_path / "taken", "do something else")
    config = StorageConfig(scratch=str(tmp_path))
    for folder in (config.cache_folder, Path(f"{config.cache_folder}-named")):
        take(folder, how) if how != "link" else folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"storage.scratch|exists"):
        FileCache(config.cache_folder, 1000).file("key", 1, lambda path: path.write_bytes(b"x"))
    with pytest.raises((OSError, NamedObjectError)):
        node_copy("memory://bucket/x#" + "0" * 32, config)


def test_an_own_one_is_for_this_user_alone(tmp_path):
    old = os.umask(0)
    try:
        folder = own_folder(tmp_path / "a" / "b", "")
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert own_folder(folder, "") == folder


PROGRAM = """
import os.path, sys
if len(sys.argv) > 1:
    os.path.expanduser = lambda path: path
from winnow.numeric.cache_folder import CACHE_FOLDER
print(CACHE_FOLDER)
"""


def cache_folder(tmp_path, *arguments, **environment) -> Path:
    names = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "TMPDIR")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    (tmp_path / "tmp").mkdir(exist_ok=True)
    environment = kept | {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(ROOT / "pipeline")} | environment
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.mark.parametrize("how", TAKEN)
def test_kernels_are_not_taken_from_a_folder_of_somebody_else(tmp_path, how):
    name = cache_folder(tmp_path, HOME=str(tmp_path / "home")).name
    places = [
        tmp_path / "numba" / name,
        tmp_path / "home" / ".cache" / name,
        tmp_path / "tmp" / f"{name}-{os.getuid()}",
    ]
    given = {"HOME": str(tmp_path / "home"), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    for place in places:
        assert cache_folder(tmp_path, **given) == place
        assert place.stat().st_mode & 0o777 == 0o700
        place.rmdir()
        take(place, how)
    alone = cache_folder(tmp_path, **given)
    assert alone.parent == tmp_path / "tmp"
    assert alone not in places
    assert not alone.exists()  # it went with its process


def test_kernels_where_no_home_is_known(tmp_path):
    found = cache_folder(tmp_path, "homeless")
    assert found.parent == tmp_path / "tmp" / f"winnow-cache-{os.getuid()}"


def test_the_cache_of_a_user(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert user_cache() == Path("/elsewhere")
