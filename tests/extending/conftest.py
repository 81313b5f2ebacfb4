"""A folder for packages of other people, on Python's path while a test runs."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.extending.packages import uninstall


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a module is written anew within a second
    yield folder
    uninstall(folder)
