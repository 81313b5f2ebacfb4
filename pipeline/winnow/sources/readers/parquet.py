"""Parquet: only the columns that are needed, row group by row group, in bounded batches.

Legend: N rows of a batch.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from winnow.sources.fields import MOST_NAMES, BadRecordError
from winnow.sources.readers.charset import Charset
from winnow.sources.readers.reader import Piece, Reader
from winnow.sources.records import FOREIGN, MAX_ROWS, REPLACED, FileFaultError, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import LABEL, STRUCTURE, SourceConfig
from winnow.sources.stored_file import StoredFile, fault_of
from winnow.sources.structured.labels import MAX_LABEL_BYTES, fault_of_name
from winnow.sources.structured.structure import StructureError, structure_reader

MAX_BATCH_ROWS = 16_384
"""Rows decoded at once, however short the texts seem: a dictionary may hide how long they are."""
STREAM_BUFFER_BYTES = 1 << 20
"""Column chunks are read through a buffer of this size instead of whole."""

_STRINGS = (pa.string(), pa.large_string(), pa.string_view())
_BINARIES = (pa.binary(), pa.large_binary(), pa.binary_view())


def read_parquet(
    file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int
) -> Iterator[RecordBatch]:
    """Read the row groups [start, stop) of a file.

    The text column may be a string or binary of any kind, also dictionary-encoded; ``a.b`` names a field of a
    struct. A column named by ``id`` or ``keep`` that the file lacks is null throughout.

    Raises:
        FileFaultError: after the batches before it have been yielded.
    """
    file.check_kind("Parquet")
    watched = _WatchedFile(file.raw)
    with _noted(watched, "Parquet footer", 0):
        parquet = pq.ParquetFile(watched, buffer_size=STREAM_BUFFER_BYTES)
        schema = parquet.schema_arrow
        metadata = parquet.metadata
    texts = source.structure_fields or _text_columns(schema, source)
    wanted = [name for name in dict.fromkeys([*texts, source.id, *source.keep, source.label]) if name is not None]
    for name in texts:
        _check_columns(schema, name, wanted, text=name != source.messages)
    if source.label is not None:
        _check_label(schema, source.label, wanted)
    groups = range(file_slice.start, metadata.num_row_groups if file_slice.stop is None else file_slice.stop)
    if groups.stop > metadata.num_row_groups:
        raise FileFaultError(
            f"shorter file: has {metadata.num_row_groups} row groups, expected {groups.stop}", file_slice.size
        )
    columns = [name for name in wanted if _type_of(schema, name) is not None]
    charset = Charset(source, file, file_slice.path, is_text=False)
    names = _names(schema)
    row = file_slice.first_row
    for number in groups:
        with _noted(watched, f"Parquet row group {number}", 0):
            group = metadata.row_group(number)
            position, stored, decoded = _extent(group, columns)
        if row + group.num_rows > MAX_ROWS:
            raise FileFaultError(f"too many rows: a file may have {MAX_ROWS:,}; split it", position)
        batch_rows = max(1, min(MAX_BATCH_ROWS, batch_bytes * group.num_rows // max(1, decoded)))
        end = row + group.num_rows
        with _noted(watched, f"Parquet row group {number}", position):
            for table in parquet.iter_batches(batch_rows, row_groups=[number], columns=columns, use_threads=False):
                yield _to_batch(table, source, charset, row, position, stored, names)
                row += table.num_rows
                stored = 0
        if row != end:
            raise FileFaultError(f"corrupt file: Parquet row group {number} lacks {end - row} of its rows", position)


def _pieces(file_slice: FileSlice, file: StoredFile) -> list[Piece]:
    """One piece a row group."""
    watched = _WatchedFile(file.raw)
    with _noted(watched, "Parquet footer", 0):
        metadata = pq.ParquetFile(watched).metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [Piece(n, n + 1, group.num_rows, group.total_byte_size) for n, group in enumerate(groups)]


class _WatchedFile:
    """Remembers the system's error, of which the Parquet reader passes on only the message."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = error
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self.error = error
            raise

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@contextlib.contextmanager
def _noted(file: _WatchedFile, part: str, position: int) -> Iterator[None]:
    """Turns errors of the reader into ``FileFaultError``."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, MemoryError):
            raise
        if file.error is not None:
            raise fault_of(file.error, position) from error
        raise FileFaultError(f"corrupt file: {part}: {_line(error)}", position) from error


def _to_batch(
    table: pa.RecordBatch,
    source: SourceConfig,
    charset: Charset,
    first_row: int,
    position: int,
    stored: int,
    names: tuple[str, ...],
) -> RecordBatch:
    rows = np.arange(first_row, first_row + table.num_rows, dtype=np.uint32)
    ids = pa.nulls(len(rows), pa.string()) if source.id is None else _as_strings(_column(table, source.id), len(rows))
    structured = _structured(table, source) if source.structure_fields else None
    raw = _texts(table, source) if structured is None else structured.texts
    unreadable: list[Unreadable] = []
    readable = np.ones(len(raw), bool)

    def refuse(index: int, reason: str, size: int) -> None:
        readable[index] = False
        unreadable.append(Unreadable(int(rows[index]), position, reason, size, ids[index].as_py()))

    lengths = pc.fill_null(pc.binary_length(raw), -1).to_numpy(zero_copy_only=False)
    for index, reason in structured.reasons.items() if structured else ():
        refuse(index, reason, 0)
    for index in np.flatnonzero((lengths < 0) | (lengths > source.max_document_bytes)).tolist():
        if lengths[index] < 0:
            refuse(index, f"null text: column {source.text_name} is null", 0)
        else:
            refuse(
                index,
                f"too large: a text of {lengths[index]:,} bytes; max_document_mb is less",
                lengths[index],
            )
    noted: dict[str, tuple[int, int]] = {}
    try:
        texts = raw.cast(pa.large_string())  # checks every byte
    except pa.ArrowInvalid:
        values: list[str | None] = []
        for index, value in enumerate(raw.to_pylist()):
            text, note = None, ""
            try:
                if value is not None and readable[index]:
                    text, note = _decode(value, charset)
            except BadRecordError as bad:
                refuse(index, str(bad), len(value))
            if note:
                number, first = noted.get(note, (0, int(rows[index])))
                noted[note] = number + 1, first
            values.append(text)
        texts = pa.array(values, pa.large_string())
    keep = {name: _as_strings(_column(table, name), len(rows)) for name in source.keep}
    if structured is not None:
        keep[STRUCTURE] = structured.structures
    if source.label is not None:
        keep[LABEL] = _as_strings(_column(table, source.label), len(rows))
        sizes = pc.fill_null(pc.binary_length(keep[LABEL]), -1).to_numpy(zero_copy_only=False)
        for index in np.flatnonzero(readable & ((sizes < 1) | (sizes > MAX_LABEL_BYTES))).tolist():
            named = fault_of_name(int(sizes[index]), source.label) if sizes[index] >= 0 else None
            refuse(index, named or f"missing label: field {source.label!r} is null", int(lengths[index]))
    if unreadable:
        unreadable.sort(key=lambda bad: bad.row or 0)
        mask = pa.array(readable)
        rows, texts, ids = rows[readable], texts.filter(mask), ids.filter(mask)
        keep = {name: values.filter(mask) for name, values in keep.items()}
    replaced = sum(noted[note][0] for note in (REPLACED, FOREIGN) if note in noted)
    return RecordBatch(rows, ids, texts, keep, unreadable, replaced, stored, noted, names)


class _Structured(NamedTuple):
    """Structured records of a batch."""

    texts: pa.Array
    """large_binary[N]; empty where a record is refused."""
    structures: pa.Array
    """string[N]."""
    reasons: dict[int, str]
    """Why records are refused."""


def _structured(table: pa.RecordBatch, source: SourceConfig) -> _Structured:
    read = structure_reader(source)
    columns = [_column(table, name) for name in source.structure_fields]
    texts, structures, reasons = [], [], dict[int, str]()
    for index in range(table.num_rows):
        text, structure = "", None
        try:
            text, structure = read([column[index].as_py() for column in columns if column is not None])
        except StructureError as error:
            reasons[index] = str(error)
        except UnicodeDecodeError as error:
            reasons[index] = f"invalid UTF-8: byte {error.start:,} of a text"
        texts.append(text.encode())
        structures.append(structure)
    return _Structured(pa.array(texts, pa.large_binary()), pa.array(structures, pa.string()), reasons)


def _decode(value: bytes, charset: Charset) -> tuple[str, str]:
    """The text, and what is to be noted of it: what is valid UTF-8 is that, whatever the source says of the rest."""
    try:
        return value.decode(), ""
    except UnicodeDecodeError:
        return charset.decode(value)


def _binary(column: pa.Array) -> pa.Array:
    """Any string or binary column as large_binary, nothing checked. Parquet files do not vouch for their
    UTF-8."""
    column = _decoded(column)
    if column.type == pa.string_view():
        column = column.cast(pa.binary_view())
    elif column.type == pa.string():
        column = column.view(pa.binary())
    elif column.type == pa.large_string():
        column = column.view(pa.large_binary())
    return column.cast(pa.large_binary())


def _decoded(column: pa.Array) -> pa.Array:
    """A column without dictionary or extension type around its values."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _as_strings(column: pa.Array | None, rows: int) -> pa.Array:
    """An id or kept column as string[N]: Arrow's text form of plain values, JSON of nested ones."""
    if column is None:
        return pa.nulls(rows, pa.string())
    column = _decoded(column)
    if column.type in _STRINGS or column.type in _BINARIES:
        raw = _binary(column)
        try:
            return raw.cast(pa.string())
        except pa.ArrowInvalid:
            return pa.array([v if v is None else v.decode(errors="replace") for v in raw.to_pylist()], pa.string())
    if pa.types.is_nested(column.type):
        values = column.to_pylist()
        return pa.array([v if v is None else orjson.dumps(v, default=_plain).decode() for v in values], pa.string())
    return column.cast(pa.string())


def _plain(value: Any) -> str:
    """Values inside nested columns that JSON has no form for."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _text_columns(schema: pa.Schema, source: SourceConfig) -> tuple[str, ...]:
    """Those that the file has of the source's text columns; the first where it has none, to be missed."""
    names = schema.names  # a name that stands twice is refused afterwards
    there = (n for n in source.texts if names.count(n.split(".")[0]) > 1 or _type_of(schema, n) is not None)
    return tuple(there) or source.texts[:1]


def _texts(table: pa.RecordBatch, source: SourceConfig) -> pa.Array:
    """The text column as large_binary[N]; of several, in each row the first that has a value."""
    columns = [column for name in source.texts if (column := _column(table, name)) is not None]
    return pc.coalesce(*map(_binary, columns)) if len(columns) > 1 else _binary(columns[0])


def _column(table: pa.RecordBatch, name: str) -> pa.Array | None:
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


def _names(schema: pa.Schema) -> tuple[str, ...]:
    """Names of columns, those inside structs with a dot; some at least, to be shown."""
    names: list[str] = []
    for field in schema:
        inner = field.type if pa.types.is_struct(field.type) else ()
        names += [f"{field.name}.{part.name}" for part in inner] if len(inner) else [field.name]
    return tuple(names[:MOST_NAMES])


def _type_of(schema: pa.Schema, name: str) -> pa.DataType | None:
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


def _check_columns(schema: pa.Schema, name: str, wanted: list[str], *, text: bool = True) -> None:
    for column in wanted:
        if max(schema.names.count(column), schema.names.count(column.split(".")[0])) > 1:
            raise FileFaultError(f"ambiguous column: several columns are named {column!r}", 0)
    found = _type_of(schema, name)
    if found is None:
        present = ", ".join(field[:40] for field in _names(schema))
        raise FileFaultError(f"missing column: no column {name!r}; the file has: {present}", 0)
    if not text:
        return
    value = found.value_type if pa.types.is_dictionary(found) else found
    value = value.storage_type if isinstance(value, pa.BaseExtensionType) else value
    if value not in _STRINGS and value not in _BINARIES:
        raise FileFaultError(f"wrong type: column {name!r} is {found}, expected string or binary", 0)


def _check_label(schema: pa.Schema, name: str, wanted: list[str]) -> None:
    _check_columns(schema, name, wanted, text=False)
    found = _type_of(schema, name)
    value: Any = found.value_type if isinstance(found, pa.DictionaryType) else found
    value = value.storage_type if isinstance(value, pa.BaseExtensionType) else value
    if not (value in _STRINGS or value in _BINARIES or pa.types.is_integer(value) or pa.types.is_boolean(value)):
        raise FileFaultError(f"wrong type: column {name!r} is {found}, expected strings or integers as labels", 0)


def _extent(group: Any, columns: list[str]) -> tuple[int, int, int]:
    """First byte of a row group, and the bytes of its wanted columns, as stored and uncompressed."""
    starts, stored, decoded = [], 0, 0
    for index in range(group.num_columns):
        chunk = group.column(index)
        starts.append(min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)), default=0))
        path = chunk.path_in_schema
        if any(path == name or path.startswith(f"{name}.") for name in columns):
            stored += chunk.total_compressed_size
            decoded += chunk.total_uncompressed_size
    return min(starts, default=0), stored, decoded


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


READER = Reader(name="parquet", suffixes=(".parquet",), read=read_parquet, may_be_compressed=False, pieces=_pieces)
