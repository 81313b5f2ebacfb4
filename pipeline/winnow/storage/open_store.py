"""The store of a root: a folder of a disk, or an address in an object store."""

from winnow.storage.address import check_writable, is_url
from winnow.storage.config import StorageConfig
from winnow.storage.local_store import LocalStore
from winnow.storage.store import Store


def open_store(root: str, storage: StorageConfig | None = None) -> Store:
    """The store of a root. Nothing is asked of it yet.

    Raises:
        AddressError: the root is a URL that cannot be used, or is only read.
    """
    if not is_url(check_writable(root)):
        return LocalStore(root, storage)
    from winnow.storage.object_store import ObjectStore  # noqa: PLC0415 - only object stores need it

    return ObjectStore(root.rstrip("/"), storage)
