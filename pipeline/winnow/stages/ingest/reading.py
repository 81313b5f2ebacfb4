"""Reading the slices of a unit: documents of one source in batches, those of several small files together.

What is done to a batch costs some milliseconds, however small it is, here and in every stage that reads the tables
batch by batch; so a batch is not a file.

Legend: N documents of a batch.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Unit
from winnow.engine.stage import Workspace
from winnow.sources.read import read_slice
from winnow.sources.records import RecordBatch, Unreadable, gathered
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.web.own_extract import OwnExtract
from winnow.stages.ingest.extractors import loaded_extractor
from winnow.stages.ingest.isolate import drop_quarantined, unreadable_documents
from winnow.stages.ingest.slices import parse_quarantined, parse_slice

Note = Callable[[FileSlice, SourceConfig, RecordBatch], None]
"""Is told of every batch of a slice, without documents that were quarantined, also where nothing of it is readable."""


@dataclass
class Documents:
    """Readable documents of one source, in order."""

    source: SourceConfig
    docs: NDArray[np.uint64]
    """uint64[N]."""
    ids: pa.Array
    """string[N], without nulls: derived from source, path and row where the record has none."""
    texts: pa.Array
    """large_string[N]."""
    keep: dict[str, pa.Array]
    """string[N] for each column that is carried."""
    slices: list[tuple[int, FileSlice]]
    """Where the documents of a slice begin in the batch; ascending, the first at 0."""

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(column.nbytes for column in (self.texts, self.ids, *self.keep.values()))

    def unreadable(self, reasons: dict[int, str]) -> Iterator[tuple[FileSlice, list[Unreadable]]]:
        """Some documents (row of the batch: why) as they are listed where they could not be worked on, by slice."""
        by_slice: dict[int, dict[int, str]] = {}
        for row, reason in sorted(reasons.items()):
            at = bisect_right(self.slices, row, key=lambda begin: begin[0]) - 1
            by_slice.setdefault(at, {})[row] = reason
        for at, some in by_slice.items():
            part = self.slices[at][1]
            yield part, unreadable_documents(some, self.docs, self.texts, self.ids, part)


def read_documents(unit: Unit, workspace: Workspace, note: Note) -> Iterator[Documents]:
    """Documents of the unit's slices, without those that were quarantined, in batches of ``runtime["batch_bytes"]``.

    Raises:
        OSError, ReaderError: as ``read_slice``.
    """
    limit = workspace.runtime["batch_bytes"]
    groups = gathered(_documents(unit, workspace, note), lambda some: some.nbytes, limit, _of_one_source)
    while True:
        with workspace.timed("read"):
            group = next(groups, None)
        if group is None:
            return
        yield _joined(group)


def _of_one_source(one: Documents, other: Documents) -> bool:
    return one.source is other.source or one.source == other.source


def _documents(unit: Unit, workspace: Workspace, note: Note) -> Iterator[Documents]:
    quarantined = parse_quarantined(unit)
    extractors: list[OwnExtract] = []
    for fields in unit.inputs["slices"]:
        part, source = parse_slice(fields)
        if (own := loaded_extractor(source, workspace.store)) is not None and own not in extractors:
            extractors.append(own)
        for batch in read_slice(part, source, workspace.store.open_input, workspace.runtime["batch_bytes"]):
            batch = drop_quarantined(batch, part, quarantined)  # noqa: PLW2901 - the other one is let go of
            note(part, source, batch)
            if len(batch.rows) == 0:
                continue
            docs = schemas.document_numbers(part.file, batch.rows)
            ids = _ids(batch.ids, source, part, batch.rows)
            held = [Documents(source, docs, ids, batch.texts, batch.keep, [(0, part)])]
            del batch, docs, ids  # whoever gets them is the only one that holds them
            yield held.pop()
    for own in extractors:
        own.finish()


def _joined(group: list[Documents]) -> Documents:
    """Consecutive batches as one; the list is empty afterwards."""
    if len(group) == 1:
        return group.pop()
    begins = np.cumsum([0, *(len(some.docs) for some in group)]).tolist()
    whole = Documents(
        source=group[0].source,
        docs=np.concatenate([some.docs for some in group]),
        ids=pa.concat_arrays([some.ids for some in group]),
        texts=pa.concat_arrays([some.texts for some in group]),
        keep={name: pa.concat_arrays([some.keep[name] for some in group]) for name in group[0].keep},
        slices=[(at + begin, part) for at, some in zip(begins, group, strict=False) for begin, part in some.slices],
    )
    group.clear()
    return whole


def _ids(ids: pa.Array, source: SourceConfig, part: FileSlice, rows: np.ndarray[Any, Any]) -> pa.Array:
    """The user's ids; where there is none, one derived from source, path and row."""
    if ids.null_count == 0:
        return ids.cast(pa.string())
    derived = pa.array([f"{source.name}:{part.path}:{row}" for row in rows.tolist()], pa.string())
    return pa.compute.coalesce(ids.cast(pa.string()), derived)
