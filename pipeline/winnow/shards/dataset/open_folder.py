"""Opens the folder of a shard set: of a disk, or in an object store."""

from winnow.shards.dataset.folders import Folder, LocalFolder
from winnow.storage.address import settled_path


def open_folder(location: str, cache: str | None = None, cache_mb: int | None = None) -> Folder:
    """A folder by its path, or by an fsspec URL (``s3://bucket/run/shards/...``), which needs a cache folder."""
    location = settled_path(location)
    if "://" not in location:
        return LocalFolder(location)
    from winnow.shards.dataset.remote import RemoteFolder  # noqa: PLC0415  # fsspec is needed for URLs alone

    return RemoteFolder(location, cache and settled_path(cache), cache_mb)
