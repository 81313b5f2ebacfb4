"""Texts of documents of a run, by their numbers."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.flow.records import RunRecords
from winnow.sources.source import STRUCTURE
from winnow.stages.edits import edited_columns, read_edits
from winnow.stages.tables import column_to_numpy, read_parquet

_STRUCTURE = f"keep.{STRUCTURE}"


def parts_holding(run: RunRecords, docs: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Numbers of the parts that may hold some of ``docs``, and which of them."""
    starts = np.array([part.first_doc for part in run.parts], np.uint64)
    part = np.searchsorted(starts, docs, side="right") - 1
    for number in np.unique(part[part >= 0]).tolist():
        yield number, np.flatnonzero(part == number)


def read_texts(run: RunRecords, number: int, docs: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.uint64], pa.Array]]:
    """Texts of some documents of a part, row group by row group: docs uint64[D'], texts large_string[D'].

    Row groups without such a document are not read.
    """
    with pq.ParquetFile(
        run.store.columns_of(run.parts[number].documents["path"]), pre_buffer=run.store.is_remote
    ) as file:
        for group in range(file.num_row_groups):
            there = file.read_row_group(group, columns=["doc"], use_threads=False).column("doc").to_numpy()
            mine = np.isin(there, docs, assume_unique=True)
            if mine.any():
                column = file.read_row_group(group, columns=["text"], use_threads=False).column("text")
                texts = column.combine_chunks()
                yield there[mine], texts if mine.all() else texts.filter(pa.array(mine))


def texts_of(run: RunRecords, docs: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.uint64], pa.Array]]:
    """Texts of documents uint64[D] (rising), as :func:`read_texts` gives them, over all parts."""
    for number, places in parts_holding(run, docs):
        yield from read_texts(run, number, docs[places])


def text_by_document(run: RunRecords, docs: set[int]) -> dict[int, str]:
    """Texts of some documents by number; numbers that the run does not know are left out."""
    found: dict[int, str] = {}
    for there, texts in texts_of(run, np.array(sorted(docs), np.uint64)):
        found |= dict(zip(there.tolist(), texts.to_pylist(), strict=True))
    return found


def shown_texts(run: RunRecords, docs: set[int]) -> dict[int, str]:
    """The same, as texts leave: with their edits made, for people to look at."""
    found = text_by_document(run, docs)
    for number, _places in parts_holding(run, np.array(sorted(docs), np.uint64)) if any(run.edits) else ():
        if not run.edits[number]:
            continue
        edits = read_edits(run.store, {"edits": run.edits[number]})
        there = edits.of_documents(np.array(sorted(docs), np.uint64))
        if len(there) == 0:
            continue
        wanted = pc.field("doc").isin(pa.array(np.unique(there.doc)))
        path = run.store.columns_of(run.parts[number].documents["path"])
        names = pq.read_schema(path).names
        columns = ["doc", "text", *([_STRUCTURE] if _STRUCTURE in names else [])]
        table = pq.read_table(path, columns=columns, filters=wanted).combine_chunks()
        structures = table.column(_STRUCTURE).combine_chunks() if _STRUCTURE in table.column_names else None
        rows = column_to_numpy(table, "doc")
        texts, _ = edited_columns(rows, table.column("text").combine_chunks(), structures, there)
        found |= dict(zip(rows.tolist(), texts.to_pylist(), strict=True))
    return found


def ids_of(run: RunRecords, docs: set[int]) -> dict[int, str]:
    """The users' ids of some documents; documents that the run does not have are named by their number."""
    wanted = np.array(sorted(docs), np.uint64)
    names = {doc: str(doc) for doc in docs}
    for number, places in parts_holding(run, wanted):
        table = read_parquet(run.store, run.parts[number].documents, ["doc", "id"])
        there = table.take(np.flatnonzero(np.isin(column_to_numpy(table, "doc"), wanted[places])))
        names |= dict(zip(there.column("doc").to_pylist(), there.column("id").to_pylist(), strict=True))
    return names


def outcomes_of(run: RunRecords, docs: set[int]) -> dict[int, str]:
    """What became of some documents."""
    found: dict[int, str] = {}
    wanted = np.array(sorted(docs), np.uint64)
    for number, places in parts_holding(run, wanted):
        table = read_parquet(run.store, run.ledger[number].outputs["decisions"].reference(), ["doc", "outcome"])
        mine = table.filter(pa.array(np.isin(column_to_numpy(table, "doc"), wanted[places])))
        found |= dict(zip(mine.column("doc").to_pylist(), mine.column("outcome").to_pylist(), strict=True))
    return found
