"""Where a run tells what it reads and writes, as OpenLineage events."""

from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from winnow.section import Section
from winnow.storage.address import is_url
from winnow.storage.config import PathSetting


class LineageConfig(Section):
    """OpenLineage events (https://openlineage.io, specification 2-0-2): START, and COMPLETE, FAIL or ABORT, with what a
    run read and wrote. Nothing here changes a byte of the result, and no fault of the receiver ends a run."""

    file: PathSetting | None = Field(default=None, min_length=1)
    """File on this machine's disk to which events are appended, one a line."""
    http: str | None = Field(default=None, min_length=1)
    """Address to which each event is posted, such as http://marquez:5000/api/v1/lineage; OPENLINEAGE_API_KEY of the
    environment is sent as bearer token."""
    namespace: str = Field(default="winnow", min_length=1)
    """Of the job, in the receiver's catalogue."""
    job: str | None = Field(default=None, min_length=1)
    """Name of the job; null: the last part of `run`."""
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """How long the receiver may take; an event that it does not take in time is lost, and told."""

    @field_validator("file")
    @classmethod
    def _on_disk(cls, file: str | None) -> str | None:
        if file is not None and is_url(file):
            raise ValueError("file: events are appended, which object stores cannot do; give a path, or use `http`")
        return file

    @field_validator("http")
    @classmethod
    def _an_address(cls, address: str | None) -> str | None:
        if address is not None:
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("http: expected http://HOST/PATH or https://HOST/PATH")
            if parts.username or parts.password:
                raise ValueError("http: holds a password; put it into OPENLINEAGE_API_KEY of the environment")
        return address

    @model_validator(mode="after")
    def _somewhere(self) -> "LineageConfig":
        if self.file is None and self.http is None:
            raise ValueError("give `file`, `http` or both")
        return self
