"""One shard, mapped: its rows' columns, and how much of each row is text.

Legend: R rows, L ids a row, P document pieces.
"""

import hashlib
import mmap
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.errors import FormatError, ShardError
from winnow.shards.dataset.columns import (
    DecodedGroups,
    FixedColumn,
    PlainColumn,
    arrow_column,
    reading,
    sealed_column,
)
from winnow.shards.dataset.decrypted import Sealed, decrypted, decryption_of
from winnow.shards.dataset.errors import WHAT_TO_DO
from winnow.shards.dataset.folders import FileEntry, Folder, OpenedFile
from winnow.shards.dataset.pair_lists import pair_column, pair_pieces
from winnow.shards.dataset.plain_pages import Pages, plain_pages
from winnow.shards.dataset.provenance import DOCS, RowSource, source_numbers
from winnow.shards.dataset.shard_set import ShardEntry, ShardSet
from winnow.shards.footer import footer_fault
from winnow.shards.formats import raw
from winnow.shards.manifest_fields import FileFields
from winnow.storage.encrypted_names import content_name, is_encrypted

IDS = "input_ids"
PIECES = "doc_lens"
_MASK = np.dtype(np.uint8)


class ShardFile:
    """A shard open for reading.

    Args:
        path: of the file, for messages.
        file: it, open; it is mapped, and may be closed afterwards.
        entry: of the shard in the manifest.
        shard_set: that it belongs to.
        decoded: row groups that had to be decoded.
        folder: that holds the files beside it.
        verify: whether the sha256 of the files beside it is compared with the manifest's.

    Raises:
        ShardError: it is missing, or has not the size, rows or columns that the manifest says.
    """

    def __init__(
        self,
        path: Path,
        file: BufferedReader,
        entry: ShardEntry,
        shard_set: ShardSet,
        decoded: DecodedGroups,
        folder: Folder,
        verify: bool = False,
    ) -> None:
        self._verify = verify
        self._path, self._entry, self._set, self._decoded, self._folder = path, entry, shard_set, decoded, folder
        self._columns: dict[str, FixedColumn] = {}
        self._piece_ends: tuple[NDArray[np.uint32], NDArray[np.int64]] | None = None
        self._sources: tuple[NDArray[np.int32], NDArray[np.int64]] | None = None
        self._filled: NDArray[np.int64] = np.zeros(0, np.int64)  # known once the pieces are
        self._data = self._mapped(file)
        self._file: pq.ParquetFile | None = None
        self._sealed: Sealed | None = None
        if shard_set.file_format == "parquet":
            fault = entry.footer and footer_fault(self._data, *entry.footer)
            if fault:
                raise ShardError(f"{path} is altered: {fault}; {WHAT_TO_DO}")
            with reading(path):
                self._file = pq.ParquetFile(
                    pa.BufferReader(pa.py_buffer(self._data)), **decryption_of(self._data, shard_set.key)
                )
                rows, names = self._file.metadata.num_rows, self._file.schema_arrow.names
        else:
            if is_encrypted(entry.path):
                with reading(path):
                    self._sealed = Sealed(self._data, str(path), shard_set.key)
            rows, names = self._payload_bytes // (shard_set.row_tokens * shard_set.dtype.itemsize), [IDS]
            if self._beside(raw.LOSS):
                names.append(raw.LOSS_MASK)
        if shard_set.preferences:  # made of the three lists
            names = [IDS, *names]
        self.names: list[str] = names
        """Names of the columns."""
        if rows != entry.rows:
            raise ShardError(f"{path}: {rows:,} rows, but the manifest says {entry.rows:,}; {WHAT_TO_DO}")
        ids = self.column(IDS)
        if ids.length != shard_set.row_tokens:
            raise ShardError(
                f"{path}: rows of {ids.length} ids, but the manifest says {shard_set.row_tokens}; {WHAT_TO_DO}"
            )

    def column(self, name: str) -> FixedColumn:
        """A column of fixed length by its name.

        Raises:
            ShardError: there is no such column, or its rows differ in length.
        """
        if name not in self.names:
            raise ShardError(f"{self._path} has no column {name!r}; it has {', '.join(self.names)}")
        if name not in self._columns:
            with reading(self._path):
                self._columns[name] = self._open_column(name)
        return self._columns[name]

    def piece_ends(self) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Where the document pieces end in their rows uint32[P], row after row, and offsets int64[R + 1] into them.

        Raises:
            ShardError: they are not there, or do not fit the rows and tokens that the manifest says.
        """
        if self._piece_ends is None:
            if self._file and self._set.preferences:
                with reading(self._path):
                    found = pair_pieces(self._file)
                self._piece_ends = self._in_rows(self._path, *found)
            elif self._file and PIECES in self.names:
                self._piece_ends = self._in_rows(self._path, *self._lists(self._file, PIECES))
            elif self._file:
                raise ShardError(f"{self._path} has no column {PIECES!r}; it has {', '.join(self.names)}")
            else:
                self._piece_ends = self._in_rows(*self._indexed_pieces())
        return self._piece_ends

    def sources(self, known: Sequence[RowSource]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The source of each piece, int32[P] into ``known``, and offsets int64[R + 1] as those of the pieces.

        Raises:
            ShardError: the shard does not say whose its pieces are.
        """
        if self._sources is None:
            if self._file is None or DOCS not in self.names:
                raise ShardError(
                    f"{self._path} does not say whose its pieces are: set `shards.columns: [docs]` and run again, "
                    "which makes the Parquet shards anew and nothing before them"
                )
            docs, offsets = self._lists(self._file, DOCS)
            _, expected = self.piece_ends()
            if not np.array_equal(offsets, expected):
                raise ShardError(f"{self._path} is altered: {DOCS!r} and {PIECES!r} differ in length; {WHAT_TO_DO}")
            self._sources = source_numbers(docs, self._set.sources, known, self._path), offsets
        return self._sources

    def filled(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[n], how many ids at the beginning of the rows int64[n] are text; the rest is padding."""
        if self._entry.tokens == self._entry.rows * self._set.row_tokens:  # no piece length need be read
            return np.full(len(rows), self._set.row_tokens)
        self.piece_ends()
        return self._filled[rows]

    @property
    def _payload_bytes(self) -> int:
        """Of a raw shard, before encryption."""
        return len(self._data) if self._sealed is None else self._sealed.bytes

    def _lists(self, file: pq.ParquetFile, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """A column of lists of any length: its values, and offsets int64[R + 1] into them."""
        with reading(self._path):
            column = file.read(columns=[name], use_threads=False).column(0).combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = column.combine_chunks()
            if not pa.types.is_list(column.type):
                raise ShardError(f"{self._path}: column {name!r} is of type {column.type}; {WHAT_TO_DO}")
            # not to_numpy(), which imports pandas
            offsets = np.from_dlpack(column.offsets).astype(np.int64)
            return np.from_dlpack(column.values)[offsets[0] : offsets[-1]], offsets - offsets[0]

    def _open_column(self, name: str) -> FixedColumn:
        length, dtype = self._set.row_tokens, self._set.dtype
        if self._file is None and name == raw.LOSS_MASK:
            _, mask = self._read_beside(raw.LOSS)
            if len(mask) != self._entry.rows * length:
                raise ShardError(f"{self._path}: its loss mask has {len(mask):,} entries; {WHAT_TO_DO}")
            return PlainColumn(memoryview(mask), Pages(np.array([0, len(mask)]), np.array([0]), 1), length, _MASK)
        if self._sealed is not None:
            return sealed_column(
                cast(BinaryIO, self._sealed), self._path, self._entry.rows, length, dtype, self._decoded
            )
        if self._file is None:
            pages = Pages(np.array([0, self._entry.rows * length]), np.array([0]), dtype.itemsize)
            return PlainColumn(self._data, pages, length, dtype)
        if self._set.preferences and name == IDS:
            return pair_column(self._file, self._path, name, self._decoded, self._set)
        kind = self._file.schema_arrow.field(name).type
        numbers = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
        if not (pa.types.is_integer(numbers) or pa.types.is_floating(numbers) or pa.types.is_boolean(numbers)):
            raise ShardError(
                f"{self._path}: column {name!r} is of type {kind}; batches hold numbers, as many in every row. "
                "Lengths of the document pieces: doc_lens=True; other lists: read the file with pyarrow"
            )
        decoded = arrow_column(self._file, self._path, name, self._decoded)
        if self._set.key_source is None and pa.types.is_fixed_size_list(kind) and decoded.dtype.kind in "iuf":
            metadata = self._file.metadata
            leaf = [metadata.schema.column(n).path.split(".")[0] for n in range(metadata.num_columns)].index(name)
            found = plain_pages(self._data, metadata, leaf)
            if found is not None and found.first_values[-1] == self._entry.rows * decoded.length:
                # integers narrower than 32 bits stand in Parquet files as 32-bit ones
                width = max(decoded.dtype.itemsize, 4)
                if width == found.width:
                    return PlainColumn(self._data, found, decoded.length, np.dtype(f"<{decoded.dtype.kind}{width}"))
        return decoded

    def _indexed_pieces(self) -> tuple[Path, NDArray[np.uint32], NDArray[np.int64]]:
        """Where Megatron's index of the documents beside a raw payload lies, and what it says."""
        path, index = self._read_beside(".idx")
        try:
            pieces, offsets, _ = raw.read_index(self._payload_bytes, index, self._set.row_tokens)
        except FormatError as error:
            raise ShardError(f"{path} is altered: {error}; {WHAT_TO_DO}") from None
        return path, pieces, offsets

    def _beside(self, suffix: str) -> FileFields | None:
        """The manifest's entry of a file beside a raw payload."""
        return next((file for file in self._entry.files if content_name(file.path).endswith(suffix)), None)

    def _read_beside(self, suffix: str) -> tuple[Path, bytes]:
        """Where a file beside a raw payload lies, and what is in it."""
        entry = self._beside(suffix)
        if entry is None:
            raise ShardError(
                f"the manifest of {self._set.location} lists no {suffix} beside {self._entry.path}; copy manifest.json "
                "again from where it was made"
            )
        path, file = open_listed(self._folder, entry)
        with file:
            content = file.read()
        _check_size(path, len(content), entry.bytes)
        if self._verify:
            _check_sha256(path, hashlib.sha256(content).hexdigest(), entry.sha256)
        if is_encrypted(entry.path):
            with reading(path):
                content = decrypted(content, str(path), self._set.key)
        return path, content

    def _in_rows(
        self, path: Path, pieces: NDArray[np.uint32], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Lengths uint32[P] of pieces as ends in their rows, if they fit rows and tokens of the manifest."""
        ends = np.concatenate([[0], np.cumsum(pieces, dtype=np.int64)])
        tokens = int(ends[-1])
        if tokens != self._entry.tokens or len(offsets) != self._entry.rows + 1:
            raise ShardError(
                f"{path} is altered: its documents have {tokens:,} tokens in {len(offsets) - 1:,} rows, but the "
                f"manifest says {self._entry.tokens:,} in {self._entry.rows:,}; {WHAT_TO_DO}"
            )
        begins = ends[offsets]
        self._filled = np.diff(begins)
        if self._filled.max(initial=0) > self._set.row_tokens:
            raise ShardError(f"{path} is altered: its documents have more tokens than their row; {WHAT_TO_DO}")
        return (ends[1:] - np.repeat(begins[:-1], np.diff(offsets))).astype(np.uint32), offsets

    def _mapped(self, file: BufferedReader) -> memoryview:
        _check_size(self._path, file.seek(0, 2), self._entry.bytes)
        if not self._entry.bytes:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def open_listed(folder: Folder, file: FileEntry) -> OpenedFile:
    """A file that the manifest lists, open.

    Raises:
        ShardError: it is missing, or cannot be opened.
    """
    try:
        return folder.open(file)
    except FileNotFoundError as error:
        raise ShardError(f"{error.filename} is missing, though the manifest lists it; {WHAT_TO_DO}") from None
    except OSError as error:
        raise ShardError(f"{folder.location}/{file.path} cannot be opened ({error}); {WHAT_TO_DO}") from None


def check_hash(path: Path, file: BufferedReader, entry: ShardEntry) -> None:
    """Compare the sha256 of a shard, which is open, with the manifest's.

    Raises:
        ShardError: they differ.
    """
    _check_sha256(path, hashlib.file_digest(file, "sha256").hexdigest(), entry.sha256)


def _check_size(path: Path, found: int, expected: int) -> None:
    if found != expected:
        how = "cut short" if found < expected else "altered"
        raise ShardError(f"{path} is {how}: {found:,} bytes, but the manifest says {expected:,}; {WHAT_TO_DO}")


def _check_sha256(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ShardError(f"{path} is altered: its sha256 is {found}, the manifest says {expected}; {WHAT_TO_DO}")
