"""Shard formats, one file each, the manifest that describes a shard set, and the training-side reader."""

from typing import Any


def __getattr__(name: str) -> Any:
    """``ShardDataset`` and ``ShardRows`` need torch, which is imported when they are asked for."""
    if name in ("ShardDataset", "ShardRows"):
        from winnow.shards.dataset import torch_datasets  # noqa: PLC0415

        return getattr(torch_datasets, name)
    if name == "ShardError":
        from winnow.errors import ShardError  # noqa: PLC0415

        return ShardError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
