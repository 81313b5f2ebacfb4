"""Kinds of address that can be read, and written: for each, the package that does the talking and how it is set up."""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from winnow.errors import AddressError
from winnow.storage.config import StorageConfig


def _plain(scheme: str, config: StorageConfig, **options: Any) -> Any:
    import fsspec  # noqa: PLC0415 - only object stores need it

    return fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True, **options)


def _s3(scheme: str, config: StorageConfig) -> Any:
    sse = {"ServerSideEncryption": config.sse, "SSEKMSKeyId": config.sse_kms_key_id}
    files = _plain(
        scheme,
        config,
        endpoint_url=config.endpoint,
        s3_additional_kwargs={name: value for name, value in sse.items() if value is not None},
        client_kwargs={} if config.region is None else {"region_name": config.region},
        config_kwargs={
            "connect_timeout": min(config.timeout_seconds, 10.0),
            "read_timeout": config.timeout_seconds,
            "retries": {"total_max_attempts": 1},  # who asks again is decided in object_files
        },
    )
    files.retries = 1
    return files


def _hub(scheme: str, config: StorageConfig) -> Any:
    from winnow.storage.hub_files import HubFiles  # noqa: PLC0415 - only hubs need it

    return HubFiles(config)


def _http(_scheme: str, config: StorageConfig) -> Any:
    from winnow.storage.http_files import HttpFiles  # noqa: PLC0415 - only the web needs it

    return HttpFiles(config)


class Scheme(NamedTuple):
    """One kind of address."""

    package: str
    """Module that must be importable."""
    extra: str
    """Of winnow-corpus, which brings it."""
    connect: Callable[[str, StorageConfig], Any]
    """Scheme and settings -> a file system of fsspec's kind, without caches of listings."""


SCHEMES = {
    "s3": Scheme("s3fs", "s3", _s3),
    "gs": Scheme("gcsfs", "gcs", _plain),
    "gcs": Scheme("gcsfs", "gcs", _plain),
    "az": Scheme("adlfs", "azure", _plain),
    "abfs": Scheme("adlfs", "azure", _plain),
    "abfss": Scheme("adlfs", "azure", _plain),
    "memory": Scheme("fsspec", "s3", _plain),
    "hf": Scheme("huggingface_hub", "hub", _hub),
    "http": Scheme("urllib3", "http", _http),
    "https": Scheme("urllib3", "http", _http),
}
"""All kinds; those of ``address.READ_ONLY`` are for sources alone."""


def file_system(scheme: str, config: StorageConfig) -> Any:
    """What talks to the store of a kind of address.

    Raises:
        AddressError: its package is not installed.
    """
    kind = SCHEMES[scheme]
    try:
        importlib.import_module(kind.package)
    except ImportError as error:
        raise AddressError(
            f"{scheme}:// needs the package {kind.package} ({error}); pip install 'winnow-corpus[{kind.extra}]', on "
            "every node"
        ) from None
    return kind.connect(scheme, config)
