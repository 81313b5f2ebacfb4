"""One shard, mapped: its rows' columns, and how much of each row is text.

Legend: R rows, L ids a row, P document pieces.
"""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.shards.dataset.columns import DecodedColumn, DecodedGroups, FixedColumn, PlainColumn
from pipeline.shards.dataset.errors import ShardError
from pipeline.shards.dataset.folders import Folder
from pipeline.shards.dataset.plain_pages import Pages, plain_pages
from pipeline.shards.dataset.shard_set import ShardEntry, ShardSet
from pipeline.shards.formats import raw

IDS = "input_ids"
PIECES = "doc_lens"
_WHAT_TO_DO = (
    "copy it again from where it was made (`winnow verify RUN` tells there which shards are whole), or remove it from "
    "the cache if it lies in one"
)


class ShardFile:
    """A shard open for reading.

    Raises:
        ShardError: it is missing, or has not the size, rows or columns that the manifest says.
    """

    def __init__(
        self, path: Path, entry: ShardEntry, shard_set: ShardSet, decoded: DecodedGroups, folder: Folder
    ) -> None:
        self._path, self._entry, self._set, self._decoded, self._folder = path, entry, shard_set, decoded, folder
        self._columns: dict[str, FixedColumn] = {}
        self._pieces: tuple[NDArray[np.uint32], NDArray[np.int64]] | None = None
        self._filled: NDArray[np.int64] | None = None
        self._data = self._mapped()
        self._file: pq.ParquetFile | None = None
        if shard_set.file_format == "parquet":
            self._file = self._footer()
            rows = self._file.metadata.num_rows
        else:
            rows = len(self._data) // (shard_set.row_tokens * shard_set.dtype.itemsize)
        self.names: list[str] = list(self._file.schema_arrow.names) if self._file else [IDS]
        """Names of the columns."""
        if rows != entry.rows:
            raise ShardError(f"{path}: {rows:,} rows, but the manifest says {entry.rows:,}; {_WHAT_TO_DO}")
        ids = self.column(IDS)
        if ids.length != shard_set.row_tokens:
            raise ShardError(
                f"{path}: rows of {ids.length} ids, but the manifest says {shard_set.row_tokens}; {_WHAT_TO_DO}"
            )

    def column(self, name: str) -> FixedColumn:
        """A column of fixed length by its name.

        Raises:
            ShardError: there is no such column.
        """
        if name not in self.names:
            raise ShardError(f"{self._path} has no column {name!r}; it has {', '.join(self.names)}")
        if name not in self._columns:
            self._columns[name] = self._open_column(name)
        return self._columns[name]

    def pieces(self) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Lengths uint32[P] of the document pieces, row after row, and offsets int64[R + 1] into them."""
        if self._pieces is None:
            if self._file and PIECES in self.names:
                column = self._file.read(columns=[PIECES]).column(0).combine_chunks()
                if isinstance(column, pa.ChunkedArray):
                    column = column.combine_chunks()
                offsets = column.offsets.to_numpy().astype(np.int64)
                self._pieces = column.values.to_numpy()[offsets[0] : offsets[-1]], offsets - offsets[0]
            elif self._file:
                raise ShardError(f"{self._path} has no column {PIECES!r}; it has {', '.join(self.names)}")
            else:
                ids: Any = self._data  # mapped, not copied
                packed = raw.read(ids, self._index(), self._set.row_tokens)
                self._pieces = packed.pieces, packed.offsets
        return self._pieces

    def filled(self) -> NDArray[np.int64]:
        """int64[R], how many ids at the beginning of each row are text; the rest is padding."""
        if self._filled is None:
            lens, offsets = self.pieces()
            ends = np.concatenate([[0], np.cumsum(lens, dtype=np.int64)])[offsets]
            self._filled = np.diff(ends)
        return self._filled

    @property
    def full(self) -> bool:
        """No row has padding, by the manifest's count of tokens: no piece length need be read."""
        return self._entry.tokens == self._entry.rows * self._set.row_tokens

    def _open_column(self, name: str) -> FixedColumn:
        length, dtype = self._set.row_tokens, self._set.dtype
        if self._file is None:
            pages = Pages(np.array([0, self._entry.rows * length]), np.array([0]), dtype.itemsize)
            return PlainColumn(self._data, pages, length, dtype)
        decoded = DecodedColumn(self._file, self._entry.path, name, self._decoded)
        if pa.types.is_fixed_size_list(self._file.schema_arrow.field(name).type) and decoded.dtype.kind in "iuf":
            metadata = self._file.metadata
            leaf = [metadata.schema.column(n).path.split(".")[0] for n in range(metadata.num_columns)].index(name)
            found = plain_pages(self._data, metadata, leaf)
            if found is not None and found.first_values[-1] == self._entry.rows * decoded.length:
                # integers narrower than 32 bits stand in Parquet files as 32-bit ones
                width = max(decoded.dtype.itemsize, 4)
                if width == found.width:
                    return PlainColumn(self._data, found, decoded.length, np.dtype(f"<{decoded.dtype.kind}{width}"))
        return decoded

    def _index(self) -> bytes:
        """Megatron's index of the documents beside a raw payload."""
        name, size = next(file for file in self._entry.files if file[0].endswith(".idx"))
        try:
            return self._folder.local_file(name, size).read_bytes()
        except FileNotFoundError:
            raise ShardError(
                f"{self._folder.location}/{name} is missing, though the manifest lists it; {_WHAT_TO_DO}"
            ) from None

    def _mapped(self) -> memoryview:
        path = self._path
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                if size != self._entry.bytes:
                    how = "cut short" if size < self._entry.bytes else "altered"
                    raise ShardError(
                        f"{path} is {how}: {size:,} bytes, but the manifest says {self._entry.bytes:,}; {_WHAT_TO_DO}"
                    )
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError:
            raise ShardError(f"{path} is missing, though the manifest lists it; {_WHAT_TO_DO}") from None

    def _footer(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(pa.BufferReader(pa.py_buffer(self._data)))
        except pa.ArrowInvalid as error:
            raise ShardError(f"{self._path} is altered: {error}; {_WHAT_TO_DO}") from None


def check_hash(path: Path, entry: ShardEntry) -> None:
    """Compare a shard's sha256 with the manifest's.

    Raises:
        ShardError: they differ, or the shard is missing.
    """
    import hashlib  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ShardError(f"{path} is missing, though the manifest lists it; {_WHAT_TO_DO}") from None
    if found != entry.sha256:
        raise ShardError(f"{path} is altered: its sha256 is {found}, the manifest says {entry.sha256}; {_WHAT_TO_DO}")


def column_values(column: FixedColumn, parts: list[Any]) -> NDArray[Any]:
    """Rows [n, L] from what :meth:`FixedColumn.runs` gave, in order."""
    joined = parts[0] if len(parts) == 1 else b"".join(parts)
    return np.frombuffer(joined, column.dtype).reshape(-1, column.length)
