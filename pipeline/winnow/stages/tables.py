"""Reading and writing the tables between stages: Parquet where people look, Arrow IPC where only stages do.

Arrow IPC is mapped, not read: a table is there at once, and only the columns and rows touched cost memory.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.engine.exchange import Columns, ExchangeFile, read_items, write_exchange
from winnow.engine.exchange_extents import write_extents
from winnow.engine.records import Json
from winnow.engine.stage import Workspace
from winnow.storage.draft import Draft
from winnow.storage.store import Store

Compression = Literal["zstd", "lz4"]
STRING_COMPRESSION: Compression = "zstd"
"""Of columns of strings, at level 1: texts take a third less than with lz4, for 0.7 ms of processor time a MB to write
and 0.4 to read."""
NUMBER_COMPRESSION: Compression = "lz4"
"""Of all other columns: there are many and they are short, so what zstd needs to begin is most of its time."""


class TableOutput:
    """An output table being written, batch by batch."""

    def __init__(self, writer: Any, schema: pa.Schema) -> None:
        self._writer = writer
        self.schema = schema
        self.rows = 0

    def write(self, columns: dict[str, Any] | pa.RecordBatch) -> None:
        """Append rows; columns are matched to the schema by name."""
        if isinstance(columns, dict):
            batch = pa.record_batch([_column(columns[f.name], f.type) for f in self.schema], schema=self.schema)
        else:
            batch = columns.select(self.schema.names).cast(self.schema)
        if batch.num_rows:
            self._writer.write_batch(batch)
            self.rows += batch.num_rows


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    return pa.array(values, kind)


@contextlib.contextmanager
def parquet_output(
    workspace: Workspace,
    name: str,
    schema: pa.Schema,
    plain: tuple[str, ...] = (),
    compression: Compression = STRING_COMPRESSION,
) -> Iterator[TableOutput]:
    """A Parquet output of the unit; one row group a batch; ``plain`` columns get no dictionary and no statistics, and
    numbers no dictionary. ``compression`` is that of strings. Columns are not nested: leaves have other
    names."""
    path = workspace.output_path(f"{name}.parquet")
    with workspace.create(path) as draft:
        texts = {field.name for field in schema if not pa.types.is_primitive(field.type)}
        looked_at = [field.name for field in schema if field.name not in plain]
        with pq.ParquetWriter(
            draft.arrow(),
            schema,
            compression={name: compression if name in texts else NUMBER_COMPRESSION for name in schema.names},
            compression_level=dict.fromkeys(texts, 1) if compression == "zstd" else None,
            use_dictionary=[name for name in looked_at if name in texts],
            write_statistics=looked_at,
        ) as writer:
            table = TableOutput(writer, schema)
            yield table
    workspace.published(name, path, draft, table.rows)


@contextlib.contextmanager
def ipc_output(workspace: Workspace, name: str, schema: pa.Schema) -> Iterator[TableOutput]:
    """An Arrow IPC output of the unit, uncompressed, one record batch a write."""
    path = workspace.output_path(f"{name}.arrow")
    with workspace.create(path) as draft, pa.ipc.new_file(draft.arrow(), schema) as writer:
        table = TableOutput(writer, schema)
        yield table
    workspace.published(name, path, draft, table.rows)


def exchange_output(
    workspace: Workspace,
    name: str,
    partition: NDArray[np.int64],
    columns: Columns,
    num_partitions: int,
    payload: Iterable[NDArray[Any]] | None = None,
    payload_dtype: np.dtype[Any] | None = None,
) -> None:
    """An exchange file of the unit, as :func:`write_exchange` makes it."""

    def write(draft: Draft) -> int:
        write_exchange(draft, partition, columns, num_partitions, payload, payload_dtype)
        return len(partition)

    workspace.write(f"{name}.exchange", write)


def extents_output(
    workspace: Workspace, rows: Json, partitions: int, first: int, last: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where partitions [first, last) lie in the exchange files of a listing, as an output; their rows and items."""
    store, path = workspace.store, workspace.output_path("extents.bin")
    paths = [entry["path"] for entry in read_listing(store, rows)]
    with workspace.create(path) as draft:
        found = write_extents(draft, store, paths, partitions, first, last)
    workspace.published("extents.bin", path, draft, last - first)
    return found


def read_parquet(store: Store, reference: Json, columns: list[str] | None = None) -> pa.Table:
    """A whole Parquet table, or some of its columns, in the order that is asked for.

    Raises:
        KeyError: it has no such column.
    """
    source = store.columns_of(reference["path"])
    # read_table would make a data set of the file first, and read it piece by piece: twice the time for small tables
    with pq.ParquetFile(source, memory_map=True, pre_buffer=not isinstance(source, str | Path)) as file:
        table = file.read(columns, use_threads=False)
    return table if columns is None else table.select(columns)


def parquet_batches(store: Store, reference: Json, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A Parquet table row group by row group, in order."""
    with pq.ParquetFile(store.columns_of(reference["path"]), pre_buffer=store.is_remote) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns, use_threads=False).combine_chunks()
            yield from table.to_batches()


def read_ipc(store: Store, reference: Json) -> pa.Table:
    """An Arrow IPC table, mapped, or in memory where it is encrypted."""
    return pa.ipc.open_file(store.mapped(reference["path"], reference.get("hash", ""))).read_all()


def read_listing(store: Store, reference: Json) -> list[Json]:
    """The entries of a listing that the engine published."""
    entries: list[Json] = orjson.loads(store.read(reference["path"]))
    return entries


def partition_pieces(store: Store, listing: Json, partition: int) -> Iterator[Columns]:
    """One partition of an exchange, map file by map file, in unit order; a few are read ahead."""
    paths = [entry["path"] for entry in read_listing(store, listing)]
    return store.read_each(paths, lambda file: ExchangeFile.open(file).read(partition, partition + 1))


def read_partition(store: Store, listing: Json, partition: int) -> dict[str, NDArray[Any]]:
    """One partition of an exchange: its rows from every map file, in unit order."""
    pieces = list(partition_pieces(store, listing, partition))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def read_partition_payload(store: Store, listing: Json, partition: int) -> NDArray[Any]:
    """The payload of one partition of an exchange: the items of its rows, in the order of :func:`read_partition`.

    Held once: the sizes are added up before anything is read.
    """
    paths = [entry["path"] for entry in read_listing(store, listing)]

    def place(file: BinaryIO) -> tuple[int, int, np.dtype[Any]]:
        exchange = ExchangeFile.open(file)
        begin, end = exchange.extents(partition, partition + 1)[:, 1].tolist()
        return begin, end, exchange.item_dtype

    places = list(store.read_each(paths, place))
    dtype = places[0][2]
    ranges = [(path, begin, end) for path, (begin, end, _) in zip(paths, places, strict=True) if end > begin]
    payload = np.empty(sum(end - begin for _, begin, end in ranges) // dtype.itemsize, dtype)
    at = 0
    for (_, begin, end), file in zip(ranges, store.open_each(ranges), strict=True):
        for stretch in read_items(file, dtype, (end - begin) // dtype.itemsize):
            payload[at : at + len(stretch)] = stretch
            at += len(stretch)
    return payload


def column_to_numpy(table: pa.Table, column: str) -> NDArray[Any]:
    """A numeric or boolean column without nulls as a numpy array."""
    array: NDArray[Any] = table.column(column).to_numpy()
    return array


def list_lengths(table: pa.Table, column: str) -> NDArray[np.int64]:
    """Lengths int64[N] of the lists of a column."""
    lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in table.column(column).chunks]
    return np.concatenate(lengths) if lengths else np.empty(0, np.int64)


def list_column_to_2d(table: pa.Table, column: str, width: int) -> NDArray[Any]:
    """A fixed_size_list column as an array [N, width]."""
    chunks = [chunk.flatten().to_numpy() for chunk in table.column(column).chunks]
    flat = chunks[0] if len(chunks) == 1 else np.concatenate(chunks) if chunks else np.empty(0, np.uint32)
    return np.asarray(flat).reshape(-1, width)


def dictionary_column(values: NDArray[Any], names: tuple[str, ...] | list[str], missing: int | None = None) -> pa.Array:
    """A dictionary column from codes [N] into ``names``; codes equal to ``missing`` become null."""
    mask = None if missing is None else values == missing
    indices = pa.array(np.where(mask, 0, values) if mask is not None else values, pa.int32(), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))
