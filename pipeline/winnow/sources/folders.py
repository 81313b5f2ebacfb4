"""Folders as other tools write them: ``key=value`` of Hive, Spark, DuckDB and Arrow, whose values all records below
have; and those of tables whose log says which files belong to them."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from winnow.sources.records import RecordBatch
from winnow.storage.address import is_url, without_query

_NULL = "__HIVE_DEFAULT_PARTITION__"


def folder_values(path: str) -> dict[str, str | None]:
    """What the folders of a path say; the innermost where a key stands twice."""
    pairs = (part.partition("=") for part in without_query(path).split("/")[:-1])
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


def tables_with_a_log(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Folders on disks above some files that are tables of Delta, Hudi or Iceberg, and of which; sorted."""
    folders = {folder for path in paths if not is_url(path) for folder in Path(path).parents}
    kinds = {str(folder): _kind_of(folder) for folder in folders}
    return sorted((folder, kind) for folder, kind in kinds.items() if kind)


def _kind_of(folder: Path) -> str:
    if (folder / "_delta_log").is_dir():
        return "Delta"
    if (folder / ".hoodie").is_dir():
        return "Hudi"
    return "Iceberg" if any((folder / "metadata").glob("*.metadata.json")) else ""
