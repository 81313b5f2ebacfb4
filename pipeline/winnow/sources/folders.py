"""Folders named ``key=value``, as Hive, Spark, DuckDB and Arrow write them: values that all records below them have."""

import dataclasses
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from winnow.sources.records import RecordBatch

_NULL = "__HIVE_DEFAULT_PARTITION__"


def folder_values(path: str) -> dict[str, str | None]:
    """What the folders of a path say; the innermost where a key stands twice."""
    pairs = (part.partition("=") for part in path.split("/")[:-1])
    return {unquote(key): None if value == _NULL else unquote(value) for key, equals, value in pairs if key and equals}


def with_folder_values(values: dict[str, str | None], batch: RecordBatch) -> RecordBatch:
    """The batch, with the folders' values in kept columns where its records have none of their own."""
    kept = {
        name: pc.coalesce(batch.keep[name], pa.scalar(value, pa.string()))
        for name, value in values.items()
        if name in batch.keep and value is not None
    }
    fields = (*batch.fields, *(name for name in values if name not in batch.fields)) if batch.fields else ()
    return dataclasses.replace(batch, keep=batch.keep | kept, fields=fields)
