"""What readers say, looked at: an exception becomes a fault of the file, a wrong batch of another package an error."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from winnow.errors import ReaderError, WinnowError
from winnow.sources.readers.reader import Piece, Reader
from winnow.sources.records import FileFaultError, RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, fault_of


def named_faults(batches: Iterator[RecordBatch], name: str, part: FileSlice, file: StoredFile) -> Iterator[RecordBatch]:
    """The same batches; whatever ends them early names the file.

    Raises:
        FileFaultError: the reader raised an exception that says nothing about the surroundings; the bytes since its
            last batch are unread.
        OSError, MemoryError, WinnowError: with a note of the file and the first row that is not read.
    """
    row, read = part.first_row - 1, 0
    try:
        for batch in batches:
            last = max([bad.row for bad in batch.unreadable if bad.row is not None], default=-1)
            row = max(row, last, int(batch.rows[-1]) if len(batch.rows) else -1)
            read = min(read + batch.bytes_read, file.size)
            held = [batch]
            del batch  # whoever gets it is the only one that holds it
            yield held.pop()
    except FileFaultError:
        raise
    except (OSError, MemoryError, WinnowError) as error:
        error.add_note(f"while reading {part.path} from row {row + 1:,} on")
        raise
    except Exception as error:
        raise FileFaultError(f"failed reader: {name} raises {type(error).__name__}", read) from error


def checked_batches(
    batches: Iterator[RecordBatch], name: str, part: FileSlice, source: SourceConfig, file: StoredFile
) -> Iterator[RecordBatch]:
    """The same batches, of a reader of another package.

    Raises:
        FileFaultError: the reader met an error of the system.
        ReaderError: a batch is not what :class:`RecordBatch` says, or rows do not ascend.
    """
    place = f"reader {name!r}, {part.path}"
    next_row, read = part.first_row, 0
    batches = iter(batches)
    while True:
        try:
            batch = next(batches, None)
        except OSError as error:
            raise fault_of(error, read) from error
        if batch is None:
            return
        next_row = _check(batch, place, source, next_row)
        read = min(read + batch.bytes_read, file.size)
        yield batch


def _check(batch: RecordBatch, place: str, source: SourceConfig, next_row: int) -> int:
    """The first row that may come in the next batch."""
    if not isinstance(batch, RecordBatch):
        raise ReaderError(f"{place}: yields {type(batch).__name__}, expected RecordBatch")
    columns = {"ids": (batch.ids, pa.string()), "texts": (batch.texts, pa.large_string())}
    columns |= {f"keep[{column!r}]": (values, pa.string()) for column, values in batch.keep.items()}
    if sorted(batch.keep) != sorted(source.carried):
        raise ReaderError(f"{place}: keeps {sorted(batch.keep)}, expected {sorted(source.carried)}")
    for column, (values, kind) in columns.items():
        if not isinstance(values, pa.Array) or values.type != kind or len(values) != len(batch.rows):
            found = f"{values.type}[{len(values)}]" if isinstance(values, pa.Array) else type(values).__name__
            raise ReaderError(f"{place}: {column} is {found}, expected {kind}[{len(batch.rows)}]")
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as error:
            raise ReaderError(f"{place}: {column} is not valid: {error}") from error
    if batch.texts.null_count:
        raise ReaderError(f"{place}: texts has nulls; a record without text is an Unreadable")
    refused = [bad.row for bad in batch.unreadable if bad.row is not None]
    rows = np.concatenate([np.asarray(batch.rows, np.int64), np.array(refused, np.int64)])
    ascend = (np.diff(batch.rows.astype(np.int64)) > 0).all() and len(np.unique(rows)) == len(rows)
    if batch.rows.dtype != np.uint32 or not ascend:
        raise ReaderError(f"{place}: rows must be uint32 and ascend, and no row may come twice")
    if len(rows) and rows.min() < next_row:
        raise ReaderError(f"{place}: row {rows.min():,} comes after row {next_row - 1:,}, or before the part")
    return int(rows.max()) + 1 if len(rows) else next_row


def pieces_of(reader: Reader, part: FileSlice, file: StoredFile) -> list[Piece]:
    """Where a part of a file can be cut, as its reader says.

    Raises:
        FileFaultError, OSError: that cannot be told.
        ReaderError: the pieces do not lie end to end.
    """
    assert reader.pieces is not None
    try:
        pieces = [Piece(*map(int, piece)) for piece in reader.pieces(part, file)]
    except (FileFaultError, OSError, MemoryError):
        raise
    except Exception as error:
        raise FileFaultError(f"failed reader: {reader.name} raises {type(error).__name__}", 0) from error
    if any(before.stop != after.start for before, after in pairwise(pieces)):
        raise ReaderError(f"reader {reader.name!r}, {part.path}: its pieces do not lie end to end")
    return pieces
