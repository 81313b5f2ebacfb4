"""What a shard format is: all that Winnow knows of one.

This is the interface for formats of other packages as well (docs/extending.md): everything a format needs can be
imported from here.

Legend: R rows of L ids, P document pieces.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.errors import FormatError
from winnow.shards.formats.documents import Documents, pieces_of
from winnow.shards.formats.payload import pieces_of_bytes
from winnow.shards.packed_rows import NO_COLUMNS, PackedRows
from winnow.storage.encrypted_names import SUFFIX, content_name, is_encrypted

if TYPE_CHECKING:  # training ranks read shards with numpy and pyarrow alone
    from winnow.storage.draft import Draft
    from winnow.storage.store import Store

__all__ = ["FormatError", "PackedRows", "RowShape", "ShardFiles", "ShardFormat", "ShardId", "ShardSink"]
__all__ += ["pieces_of_bytes", "rows_without_boundaries"]

Json = dict[str, Any]
Compression = Literal["none", "zstd"]


class ShardId(NamedTuple):
    """Which shard of a set."""

    folder: str
    """The shard set."""
    split: str
    number: int
    of: int

    @property
    def name(self) -> str:
        """E.g. ``train-00000-of-00007``."""
        return f"{self.split}-{self.number:05d}-of-{self.of:05d}"


class RowShape(NamedTuple):
    """What the manifest says of every row of a set."""

    row_tokens: int
    dtype: np.dtype[Any]
    document_separator: int | None
    """End-of-text id where rows are one stream (``concat``), else None."""
    end_of_text: int = 0
    """What stands behind the answers of a preference pair."""


@dataclass
class ShardSink:
    """Where a format writes one shard."""

    store: "Store"
    path: str
    """Of the main file."""
    shard: ShardId
    compression: Compression
    vocabulary_size: int
    """Largest id + 1."""
    document_separator: int | None
    """End-of-text id where rows are one stream, so that a document may go on in the next row; else None."""
    encrypted: bool = False
    """Whether the shard is encrypted: the files whose names say so by the store, others by the format."""
    once: bool = False
    """As of :meth:`winnow.storage.store.Store.create`."""
    drafts: dict[str, tuple[str, "Draft"]] = field(default_factory=dict)
    """Path and content of every file written so far, by suffix; the main file's is empty."""

    @contextmanager
    def create(self, suffix: str = "") -> Iterator["Draft"]:
        """A file of the shard, open for writing; it appears whole when the block ends, with its ``bytes`` and ``hash``.

        Args:
            suffix: empty for the main file; else it takes the place of the main file's suffix.
        """
        path = beside(self.path, suffix)
        with self.store.create(path, "sha256", once=self.once) as draft:
            yield draft
        self.drafts[suffix] = path, draft

    def write(self, contents: Iterable[Any], suffix: str = "") -> "Draft":
        """A file of the shard from buffers, one behind the other."""
        with self.create(suffix) as draft:
            for piece in contents:
                draft.write(piece)
        return draft


@dataclass(frozen=True)
class ShardFiles:
    """The files of a published shard, for reading."""

    store: "Store"
    path: str
    """Of the main file."""
    entry: Json
    """Of the shard in the manifest."""

    @property
    def tokens(self) -> int:
        """Tokens in its rows, padding not counted."""
        return int(self.entry["tokens"])

    def has(self, suffix: str) -> bool:
        """Whether the manifest names a file with this suffix beside the main one."""
        return any(content_name(file["path"]).endswith(suffix) for file in self.entry.get("files", []))

    def mapped(self, suffix: str = "") -> NDArray[np.uint8]:
        """The bytes of a file, mapped or decrypted: uint8[B]."""
        if is_encrypted(self.path):
            return np.frombuffer(self.read(suffix), np.uint8)
        version = "" if suffix else f"sha256:{self.entry['sha256']}"
        return np.memmap(self.store.local(beside(self.path, suffix), version), np.uint8, "r")

    def read(self, suffix: str = "") -> bytes:
        """A small file."""
        return self.store.read(beside(self.path, suffix))

    def columns(self) -> Any:
        """The main file as Arrow's Parquet reader takes it."""
        return self.store.columns_of(self.path)

    def decryption(self) -> Json:
        """What Arrow's Parquet reader takes beside it: ``decryption_properties`` where the file is encrypted."""
        return self.store.decryption(self.path)


def beside(path: str, suffix: str) -> str:
    """Path of a file of a shard; the main file's for no suffix."""
    if not suffix:
        return path
    name = content_name(path)
    return str(PurePosixPath(name).with_suffix(suffix)) + path[len(name) :]


def rows_without_boundaries(
    ids: NDArray[Any],
    files: ShardFiles,
    shape: RowShape,
    columns: Mapping[str, NDArray[Any]] = NO_COLUMNS,
    labels: NDArray[np.int64] | None = None,
) -> PackedRows:
    """Rows of a format that does not store where documents begin, from ids[R, L].

    Where rows are one stream, every end-of-text ends a document and padding follows the last token; elsewhere each row
    is one piece, padding included.
    """
    if shape.document_separator is None:
        pieces, offsets = np.full(len(ids), shape.row_tokens, np.uint32), np.arange(len(ids) + 1)
    else:
        ends = np.flatnonzero(ids.reshape(-1)[: files.tokens] == shape.document_separator) + 1
        if len(ends) == 0 or ends[-1] != files.tokens:
            ends = np.append(ends, files.tokens)
        pieces, offsets = pieces_of(Documents(np.concatenate([[0], ends[:-1]]), ends), len(ids), shape.row_tokens)
    return PackedRows(ids, pieces, offsets, columns, labels=labels)


def _no_versions(_compression: str) -> dict[str, str]:
    return {}


def _payload_bytes(rows: int, row_bytes: int) -> int:
    return rows * row_bytes


@dataclass(frozen=True, kw_only=True)
class ShardFormat:
    """One shard format."""

    name: str
    """As in ``shards.formats``: lower-case letters and digits."""
    suffix: str
    """Of a shard's main file: ``train-00000-of-00007`` and the suffix, in the folder ``NAME/SPLIT`` of the set."""
    write: Callable[[PackedRows, ShardSink], Json | None]
    """Write a shard. Returns what the index of the split says of it where the format has one (``index``); else further
    keys of the shard in the manifest, or None. Equal rows give equal bytes. Raises FormatError for rows that cannot be
    held."""
    read: Callable[[ShardFiles, RowShape, int], PackedRows] | None = None
    """The first ``rows`` rows of a shard, or more; None where shards are only written. Raises ValueError or OSError for
    files that are not what the manifest says."""
    read_parts: Callable[[ShardFiles, RowShape], Iterator[PackedRows]] | None = None
    """All rows of a shard, some at a time, so that memory is used again; None where ``read`` maps the file. Raises as
    ``read`` does."""
    count: Callable[[ShardFiles], tuple[int, int]] | None = None
    """Rows, and tokens without padding, that the shard itself holds: ``winnow verify`` compares them with the manifest
    after the hashes. None where there is no quick way to tell."""
    index: Callable[[list[Json], list[str], int], bytes] | None = None
    """``index.json`` of a split from what ``write`` returned for each shard, the hashes of the main files, and the
    bytes of an id; None for formats without such a file."""
    sidecars: tuple[str, ...] = ()
    """Suffixes of the files that are always written beside the main one."""
    column_files: Mapping[str, str] = field(default_factory=dict)
    """Column -> suffix of the file beside the main one that holds it."""
    links: tuple[str, ...] = ()
    """Suffixes under which the main file is found as well: hard links, or copies in object stores."""
    columns: tuple[str, ...] | None = ()
    """Further columns (one number a token) that it has a place for; None is any."""
    docs: bool = False
    """Whether it holds whose pieces stand in a row (``shards.columns: [docs]``)."""
    labels: bool = False
    """Whether it holds the label of each row's document."""
    preferences: bool = False
    """Whether it holds preference pairs (``shards.row: preference``)."""
    has_document_boundaries: bool = False
    """Whether files tell where documents begin whatever the row kind; else only where rows are one stream."""
    encrypts: bool = False
    """Whether ``write`` encrypts by itself where the sink is ``encrypted``, as Parquet does; else the store does, whole
    files, and their names end with ``.age``."""
    compressible: bool = False
    """Whether ``shards.compression`` means something to it."""
    max_bytes: int | None = None
    """Largest file that can be written."""
    file_bytes: Callable[[int, int], int] = _payload_bytes
    """Size of a main file of so many rows of so many bytes, at most."""
    file_name: Callable[[ShardId, Compression], str] | None = None
    """Name of a main file, where a library expects another one."""
    own_folder: bool = True
    """Whether files lie in ``NAME/SPLIT``, not in the set's folder itself."""
    reads_after_writing: int = 0
    """Files of a shard that writing it opens again, for estimates of requests."""
    versions: Callable[[Compression], dict[str, str]] = _no_versions
    """Versions of libraries that decide its bytes; others write anew."""

    def __post_init__(self) -> None:
        """Refuse names that cannot be part of a path.

        Raises:
            ValueError: the name or a suffix is not usable.
        """
        if not re.fullmatch(r"[a-z][a-z0-9]*", self.name) or self.name == "split":
            raise ValueError(
                f"name of a shard format ({self.name!r}) must be lower-case letters and digits, and not split"
            )
        if self.suffix.count(".") != 1:
            raise ValueError(f"suffix {self.suffix!r} of format {self.name} must have one dot: the others replace it")
        for suffix in (self.suffix, *self.sidecars, *self.column_files.values(), *self.links):
            if not re.fullmatch(r"(\.[A-Za-z0-9-]+)+", suffix):
                raise ValueError(f"suffix {suffix!r} of format {self.name} must be a dot and letters or digits")

    def path(self, shard: ShardId, compression: Compression, *, encrypted: bool = False) -> str:
        """Main file of a shard."""
        name = self.file_name(shard, compression) if self.file_name else shard.name + self.suffix
        name += self._ending(encrypted=encrypted)
        return f"{shard.folder}/{self.name}/{shard.split}/{name}" if self.own_folder else f"{shard.folder}/{name}"

    def index_path(self, folder: str, split: str, *, encrypted: bool = False) -> str:
        """Where the index of a split lies."""
        return f"{folder}/{self.name}/{split}/index.json{self._ending(encrypted=encrypted)}"

    def _ending(self, *, encrypted: bool) -> str:
        return SUFFIX if encrypted and not self.encrypts else ""

    def files_a_shard(self, columns: Iterable[str]) -> int:
        """Files that are written for a shard with these columns, links included."""
        more = sum(name in self.column_files for name in columns)
        return 1 + len(self.sidecars) + len(self.links) + more

    def unsupported_columns(self, columns: Iterable[str]) -> list[str]:
        """Those of some columns that it has no place for."""
        return [] if self.columns is None else [name for name in columns if name not in self.columns]

    def check_rows(self, packed: PackedRows) -> None:
        """Look whether it has a place for all that rows have; numbers of documents may be left out.

        Raises:
            FormatError: it has not.
        """
        lost = self.unsupported_columns(packed.columns)
        lost += [] if self.labels or packed.labels is None else ["label"]
        lost += ["preference pairs"] if packed.preferences and not self.preferences else []
        if lost:
            raise FormatError(f"{self.name} shards have no place for {', '.join(lost)}; use another format")
