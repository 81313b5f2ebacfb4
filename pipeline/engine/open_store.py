"""The store of a root: a folder of a disk, or an address in an object store."""

from pipeline.engine.local_store import LocalStore
from pipeline.engine.store import Store
from pipeline.objects.address import check_address, is_url
from pipeline.objects.config import StorageConfig


def open_store(root: str, storage: StorageConfig | None = None) -> Store:
    """The store of a root. Nothing is asked of it yet.

    Raises:
        AddressError: the root is a URL that cannot be used.
    """
    if not is_url(check_address(root)):
        return LocalStore(root, storage)
    from pipeline.engine.object_store import ObjectStore  # noqa: PLC0415 - only object stores need it

    return ObjectStore(root.rstrip("/"), storage)
