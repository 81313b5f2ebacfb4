"""Settings of object stores. None of them changes a byte of a result."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from winnow.errors import AddressError
from winnow.section import Section
from winnow.storage.address import check_address, check_endpoint, is_url, settled_path

AS_WRITTEN = "as written"
"""Key of the context in which configs are checked: where it is set, ``~`` is left for another machine to read."""


def settle(path: str, info: ValidationInfo) -> str:
    """What :data:`PathSetting` does with a setting."""
    return path if info.context and info.context.get(AS_WRITTEN) else settled_path(path)


PathSetting = Annotated[str, AfterValidator(settle)]
"""The type of every setting that is, or may be, a path."""


class StorageConfig(Section):
    """How object stores (s3://, gs://, az://) are reached. Credentials come from the environment or the machine's role,
    never from here. Nothing here changes a byte of the result."""

    endpoint: str | None = None
    """Server of s3:// URLs where it is not AWS (MinIO, R2, Ceph), such as http://minio:9000; null: AWS_ENDPOINT_URL of
    the environment, or AWS."""
    region: str | None = None
    """Region of the bucket; null: AWS_DEFAULT_REGION of the environment or the profile."""
    retries: int = Field(8, ge=0, le=20)
    """How often a request that failed for a passing reason is sent again, after 0.2 s, then twice as long each time up
    to 20 s; 8 hold out for about 40 s."""
    requests_per_host: int = Field(4, ge=1, le=64)
    """How many requests a node sends to one server of http:// or https:// at a time, all its processes together; a run
    on ten nodes sends ten times as many at most."""
    common_crawl: PathSetting = "https://data.commoncrawl.org"
    """Where cc:// leads: the server, bucket (`s3://commoncrawl`) or folder that holds `crawl-data`."""
    timeout_seconds: float = Field(60.0, gt=0)
    """How long the server may be silent before a request counts as failed."""
    scratch: PathSetting | None = None
    """Folder on each node's own disk for files on their way to the store and for the cache; null: the system's
    temporary folder."""
    cache_mb: int = Field(20_000, ge=100)
    """Largest size, in MB, of a node's cache of objects that stages map; what is in use may exceed it."""

    @field_validator("endpoint")
    @classmethod
    def _usable_endpoint(cls, endpoint: str | None) -> str | None:
        return None if endpoint is None else check_endpoint(endpoint)

    @field_validator("common_crawl")
    @classmethod
    def _usable_place(cls, place: str) -> str:
        return check_address(place).rstrip("/")

    @field_validator("scratch")
    @classmethod
    def _on_a_disk(cls, scratch: str | None) -> str | None:
        if scratch is not None and is_url(check_address(scratch)):
            raise AddressError("an address; expected a folder of the node's own disk")
        return scratch

    @property
    def scratch_folder(self) -> Path:
        """Where files wait for their upload."""
        return Path(self.scratch) if self.scratch else Path(tempfile.gettempdir())

    @property
    def cache_folder(self) -> Path:
        """Where objects are kept; one for each user of a node."""
        return self.scratch_folder / f"winnow-objects-{os.getuid()}"
