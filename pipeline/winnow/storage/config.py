"""Settings of storage: how object stores are reached, and what is encrypted. None changes what a result says."""

import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

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


_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,39}")  # shorter than any key


class EncryptionConfig(Section):
    """Shards and clean text encrypted by a key of your own (docs/encryption.md). The key itself stands nowhere: these
    settings say where it is found."""

    key: str = "env:WINNOW_KEY"
    """Where the key is: `env:NAME`, a variable of the environment that every process of the run has."""
    command: tuple[str, ...] | None = Field(None, strict=False, min_length=1, exclude=True, repr=False)
    """Instead: a program that prints the key, with its arguments, such as `[vault, kv, get, -field=key,
    secret/winnow]`. Every process runs it once; no run folder and no manifest holds it."""
    key_id: str | None = Field(None, pattern="^[0-9a-f]{16}$")
    """Id of the key, as `winnow key` prints it; another key is refused. null: the key that the run folder is of, or
    any in a new one."""
    work: bool = False
    """Whether the tables under `work/` are encrypted, too: texts, tokens, vectors."""

    @field_validator("key")
    @classmethod
    def _is_named(cls, key: str) -> str:
        if not _VARIABLE.fullmatch(key):
            raise ValueError(
                "a key itself belongs in no config; expected `env:NAME`, the variable that holds it, or set `command` "
                "(if this was a key, take another one: configs are copied)"
            )
        return key

    @property
    def described(self) -> dict[str, str | None]:
        """What manifests say of it: where readers look for the key, and its id."""
        return {"key": self.key, "key_id": self.key_id}

    @property
    def variable(self) -> str:
        """Name of the variable that holds the key."""
        return self.key.removeprefix("env:")


class StorageConfig(Section):
    """How object stores (s3://, gs://, az://) are reached, and what is encrypted. Credentials and keys come from the
    environment or the machine's role, never from here."""

    endpoint: str | None = None
    """Server of s3:// URLs where it is not AWS (MinIO, R2, Ceph), such as http://minio:9000; null: AWS_ENDPOINT_URL of
    the environment, or AWS."""
    region: str | None = None
    """Region of the bucket; null: AWS_DEFAULT_REGION of the environment or the profile."""
    encryption: EncryptionConfig | None = None
    """Shards and clean text encrypted by a key of your own: `on`, or settings; `off` encrypts nothing."""
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    """Server-side encryption that every write to s3:// asks for; null: what the bucket does by itself."""
    sse_kms_key_id: str | None = None
    """Key of AWS KMS for it, by id, ARN or alias; null: the account's own. Only with `sse: aws:kms`."""
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

    @field_validator("encryption", mode="before")
    @classmethod
    def _switched(cls, value: Any) -> Any:
        return None if value is False or value in ("none", "off") else {} if value is True or value == "on" else value

    @model_validator(mode="after")
    def _kms_has_a_key(self) -> Self:
        if self.sse_kms_key_id is not None and self.sse not in ("aws:kms", "aws:kms:dsse"):
            raise ValueError("sse_kms_key_id is of no use without `sse: aws:kms`; set both")
        return self

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
