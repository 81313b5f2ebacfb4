"""Columns of a Parquet file by name, and whether they can be what a source says."""

import pyarrow as pa
import pyarrow.compute as pc

from winnow.sources.fields import MOST_NAMES
from winnow.sources.readers.side_columns import is_text
from winnow.sources.records import FileFaultError
from winnow.sources.source import SourceConfig


def column_of(table: pa.RecordBatch, name: str) -> pa.Array | None:
    """A column by name, or a field inside structs by dotted path."""
    if name in table.schema.names:
        return table.column(name)
    first, *path = name.split(".")
    column = table.column(first) if first in table.schema.names else None
    for key in path:
        if column is None or not pa.types.is_struct(column.type) or column.type.get_field_index(key) < 0:
            return None
        column = pc.struct_field(column, key)
    return column


def column_names(schema: pa.Schema) -> tuple[str, ...]:
    """Names of columns, those inside structs with a dot; some at least, to be shown."""
    names: list[str] = []
    for field in schema:
        inner = field.type if pa.types.is_struct(field.type) else ()
        names += [f"{field.name}.{part.name}" for part in inner] if len(inner) else [field.name]
    return tuple(names[:MOST_NAMES])


def type_of(schema: pa.Schema, name: str) -> pa.DataType | None:
    """Type of a column or of a field inside structs; None where there is none."""
    if name in schema.names:
        return schema.field(name).type
    first, *path = name.split(".")
    found = schema.field(first).type if first in schema.names else None
    for key in path:
        if found is None or not pa.types.is_struct(found) or found.get_field_index(key) < 0:
            return None
        found = found.field(key).type
    return found


def text_columns(schema: pa.Schema, source: SourceConfig) -> tuple[str, ...]:
    """Those that a file has of the source's text columns; the first where it has none, to be missed."""
    names = schema.names  # a name that stands twice is refused afterwards
    there = (n for n in source.texts if names.count(n.split(".")[0]) > 1 or type_of(schema, n) is not None)
    return tuple(there) or source.texts[:1]


def check_columns(schema: pa.Schema, name: str, wanted: list[str], *, text: bool = True) -> None:
    """Look whether a column can be had.

    Args:
        schema: of the file.
        name: the column; it must be there.
        wanted: all columns that will be read; none may be ambiguous.
        text: whether it must hold strings or bytes.

    Raises:
        FileFaultError: it cannot.
    """
    for column in wanted:
        if max(schema.names.count(column), schema.names.count(column.split(".")[0])) > 1:
            raise FileFaultError(f"ambiguous column: several columns are named {column!r}", 0)
    found = type_of(schema, name)
    if found is None:
        present = ", ".join(field[:40] for field in column_names(schema))
        raise FileFaultError(f"missing column: no column {name!r}; the file has: {present}", 0)
    if not text:
        return
    if not is_text(found):
        raise FileFaultError(f"wrong type: column {name!r} is {found}, expected string or binary", 0)


def check_label(schema: pa.Schema, name: str, wanted: list[str]) -> None:
    """The same of a column of labels."""
    check_columns(schema, name, wanted, text=False)
    found = type_of(schema, name)
    value = found.value_type if isinstance(found, pa.DictionaryType) else found
    if not (is_text(found) or pa.types.is_integer(value) or pa.types.is_boolean(value)):
        raise FileFaultError(f"wrong type: column {name!r} is {found}, expected strings or integers as labels", 0)
