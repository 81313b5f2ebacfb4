"""What every reader yields: batches of texts, and a note of everything that could not be read.

Legend: N readable records of a batch.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import strings_from_buffers

MAX_ROWS = 2**32
"""Rows of one file that a document number can tell apart."""
REPLACED = "replaced"
"""Note of a record in which U+FFFD stands for some bytes or lone surrogates."""
FOREIGN = "foreign"
"""Note of a record in which U+FFFD stands for most that is not ASCII: it is in another encoding."""
REPLACED_FIELD = "replaced field "
"""Begins the note of a record in which bytes of an id, a kept field or a label are not as its source says: U+FFFD
stands for them, or hexadecimal digits for an id. The field's name follows. Bytes inside nested values are not noted."""
REPLACED_NAME = "replaced name"
"""Note of a record out of an archive whose member's name is not UTF-8: U+FFFD stands for its bytes."""
GUESSED = "guessed "
"""Begins the note of a record whose encoding was guessed; the encoding follows."""
OPT_OUT = "opt-out "
"""Begins the note of a page that says that it is not for training; the kind of signal follows."""
UNREADABLE_OVERHEAD_BYTES = 256
"""Memory of one note; counts towards the size of a batch, so that a file of rubbish stays bounded as well."""


@dataclass(frozen=True)
class Unreadable:
    """A record that could not be read, or (``row`` None) the rest of a file."""

    row: int | None
    """Row in the file; None for a fault of the file as a whole."""
    position: int
    """Byte of the file as stored near which the record begins or the fault lies: exact for uncompressed
    files, the compressed bytes read before it for compressed ones, the start of the row group for Parquet."""
    reason: str
    """``kind: detail``; the kinds are few and fixed, the detail never quotes the text."""
    bytes: int
    """Bytes that were not read: of the record (decompressed), or of the rest of the file (as stored)."""
    id: str | None = None
    """The user's id, where at least that could be read."""


@dataclass(frozen=True)
class RecordBatch:
    """Records in file order."""

    rows: NDArray[np.uint32]
    """uint32[N], row in the file: line (blank lines count), Parquet row, or piece of text."""
    ids: pa.Array
    """string[N], the user's ids; null where there is none."""
    texts: pa.Array
    """large_string[N], valid UTF-8, without nulls."""
    keep: dict[str, pa.Array]
    """string[N] for each column the user wants to carry along; null where a record lacks it."""
    unreadable: list[Unreadable]
    """What could not be read among or just after these records."""
    replaced: int
    """Readable records in which bytes or lone surrogates that are not Unicode text became U+FFFD."""
    bytes_read: int
    """Bytes of the file as stored that were read for this batch."""
    noted: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How many readable records came out otherwise than their source says, and the row of the first one, by note
    (``REPLACED``, ``FOREIGN``, ``GUESSED`` and the encoding)."""
    fields: tuple[str, ...] = ()
    """Names that the first record has, some at least; none where that is not known."""
    passed: dict[str, int] = field(default_factory=dict)
    """Records that are no documents, by what they are; they have rows, and no other trace."""

    def without(self, bad: dict[int, Unreadable]) -> "RecordBatch":
        """The batch without some of its records (place in the batch: how it is listed), which are unreadable now."""
        good = np.ones(len(self.rows), bool)
        good[list(bad)] = False
        mask = pa.array(good)
        return replace(
            self,
            rows=self.rows[good],
            ids=self.ids.filter(mask),
            texts=self.texts.filter(mask),
            keep={name: column.filter(mask) for name, column in self.keep.items()},
            unreadable=[*self.unreadable, *bad.values()],
            replaced=min(self.replaced, int(good.sum())),
        )


T = TypeVar("T")


def gathered(
    items: Iterator[T], size: Callable[[T], int], most: int, alike: Callable[[T, T], bool] = lambda _a, _b: True
) -> Iterator[list[T]]:
    """Consecutive items in lists of about ``most``; those before an exception come out before it.

    Args:
        items: of any size.
        size: of an item.
        most: what a list of several items holds at most; with half of it a list ends.
        alike: whether an item may stand in one list with the one before it.
    """
    held: list[T] = []
    total = 0
    try:
        for item in items:
            more = size(item)
            if held and (total + more > most or not alike(held[-1], item)):
                yield held
                held, total = [], 0
            held.append(item)
            total += more
            del item  # a huge document exists as few times at once as can be
            if total * 2 >= most:
                yield held
                held, total = [], 0
    except Exception:
        if held:
            yield held
        raise
    if held:
        yield held


def concatenated(batches: list[RecordBatch]) -> RecordBatch:
    """Consecutive batches as one; the list is empty afterwards."""
    if len(batches) == 1:
        return batches.pop()
    noted: dict[str, tuple[int, int]] = {}
    for note, (number, first) in (entry for batch in batches for entry in batch.noted.items()):
        before, row = noted.get(note, (0, first))
        noted[note] = before + number, row
    passed: dict[str, int] = {}
    for what, number in (entry for batch in batches for entry in batch.passed.items()):
        passed[what] = passed.get(what, 0) + number
    whole = RecordBatch(
        rows=np.concatenate([batch.rows for batch in batches]),
        ids=pa.concat_arrays([batch.ids for batch in batches]),
        texts=pa.concat_arrays([batch.texts for batch in batches]),
        keep={name: pa.concat_arrays([batch.keep[name] for batch in batches]) for name in batches[0].keep},
        unreadable=[bad for batch in batches for bad in batch.unreadable],
        replaced=sum(batch.replaced for batch in batches),
        bytes_read=sum(batch.bytes_read for batch in batches),
        noted=noted,
        fields=next((batch.fields for batch in batches if batch.fields), ()),
        passed=passed,
    )
    batches.clear()
    return whole


class FileFaultError(Exception):
    """The rest of a file cannot be read. Readers end with it; ``read_slice`` turns it into an
    ``Unreadable``."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


@dataclass(frozen=True)
class Columns:
    """N records, column by column."""

    rows: NDArray[np.integer]
    """int[N], row in the file."""
    ids: pa.Array
    """string[N]."""
    text: NDArray[np.uint8]
    """Their texts, one behind the other."""
    sizes: NDArray[np.int64]
    """int64[N], bytes of each text."""
    kept: list[pa.Array]
    """string[N] each."""

    def slice(self, some: range) -> "Columns":
        """Some of the records."""
        first, last = some.start, some.stop
        begin, end = int(self.sizes[:first].sum()), int(self.sizes[:last].sum())
        return Columns(
            self.rows[first:last],
            self.ids[first:last],
            self.text[begin:end],
            self.sizes[first:last],
            [column[first:last] for column in self.kept],
        )


def nothing_read(keep: Iterable[str], bytes_read: int) -> RecordBatch:
    """A batch without records, for bytes that hold none."""
    return replace(BatchBuilder(tuple(keep)).take(0), bytes_read=bytes_read)


@dataclass
class BatchBuilder:
    """Collects records one by one until they make a batch."""

    keep: tuple[str, ...]
    rows: list[int] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    kept: list[list[str | None]] = field(init=False)
    unreadable: list[Unreadable] = field(default_factory=list)
    replaced: int = 0
    noted: dict[str, tuple[int, int]] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    passed: dict[str, int] = field(default_factory=dict)
    size: int = 0
    position: int = 0
    before: list[Columns] = field(default_factory=list)
    """Records before those that are collected one by one."""

    def __post_init__(self) -> None:
        self.kept = [[] for _ in self.keep]

    def add(self, row: int, text: str, identity: str | None, kept: list[str | None], size: int) -> None:
        """One readable record of about ``size`` bytes."""
        self.rows.append(row)
        self.texts.append(text)
        self.ids.append(identity)
        for column, value in zip(self.kept, kept, strict=True):
            column.append(value)
        self.size += size

    def extend(self, records: Columns, size: int) -> None:
        """Readable records of about ``size`` bytes."""
        self._close()
        self.before.append(records)
        self.size += size

    def note(self, row: int, note: str) -> None:
        """What is to be told of a record that was added; nothing for an empty note."""
        if note:
            number, first = self.noted.get(note, (0, row))
            self.noted[note] = number + 1, first
            self.replaced += note in (REPLACED, FOREIGN)

    def refuse(self, bad: Unreadable) -> None:
        """One record that could not be read."""
        self.unreadable.append(bad)
        self.size += UNREADABLE_OVERHEAD_BYTES

    def take(self, position: int) -> RecordBatch:
        """The batch so far, when ``position`` bytes of the file have been read; the builder is empty
        afterwards."""
        self._close()
        parts = self.before
        sizes = np.concatenate([part.sizes for part in parts])
        offsets = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        text = parts[0].text if len(parts) == 1 else np.concatenate([part.text for part in parts])
        kept = zip(*(part.kept for part in parts), strict=True)
        batch = RecordBatch(
            rows=np.concatenate([part.rows for part in parts]).astype(np.uint32),
            ids=pa.concat_arrays([part.ids for part in parts]),
            texts=strings_from_buffers(text, offsets),
            keep={name: pa.concat_arrays(columns) for name, columns in zip(self.keep, kept, strict=True)},
            unreadable=self.unreadable,
            replaced=self.replaced,
            bytes_read=position - self.position,
            noted=self.noted,
            fields=self.fields,
            passed=self.passed,
        )
        self.before, self.unreadable = [], []
        self.noted, self.passed = {}, {}
        self.replaced = self.size = 0
        self.position = position
        return batch

    def _close(self) -> None:
        """Make columns of the records that were collected one by one; of none, too, where there is nothing else."""
        if self.before and not self.rows:
            return
        encoded = [text.encode() for text in self.texts]  # ``pa.array``, which grows its buffers, takes twice as long
        self.before.append(
            Columns(
                np.array(self.rows, np.int64),
                pa.array(self.ids, pa.string()),
                np.frombuffer(b"".join(encoded), np.uint8),
                np.array([len(text) for text in encoded], np.int64),
                [pa.array(column, pa.string()) for column in self.kept],
            )
        )
        self.rows, self.ids, self.texts = [], [], []
        self.kept = [[] for _ in self.keep]

    def __bool__(self) -> bool:
        return bool(self.rows or self.before or self.unreadable or self.passed)
