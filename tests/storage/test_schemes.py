"""Every kind of address is reached in one way, and what is only read is never written to."""

import pytest

from winnow.errors import AddressError
from winnow.storage import address
from winnow.storage.config import StorageConfig
from winnow.storage.open_store import open_store
from winnow.storage.schemes import SCHEMES, Scheme, file_system


def test_each_kind_of_address_says_how_it_is_reached() -> None:
    assert set(SCHEMES) == set(address.SCHEMES)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "gs", Scheme("no_such_package", "gcs", SCHEMES["gs"].connect))
    with pytest.raises(AddressError, match=r"gs:// needs the package no_such_package .*winnow-corpus\[gcs\]"):
        file_system("gs", StorageConfig())


def test_nothing_is_written_to_what_is_only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "READ_ONLY", ("memory",))
    with pytest.raises(AddressError, match="memory:// is read only"):
        open_store("memory://bucket/run")
