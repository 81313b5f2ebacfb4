"""The global stream, read from the shuffle's files: documents of some partitions in order, and their ids.

The index of a file (keys, lengths) stands apart from its payload, so documents can be counted and packed without
reading a token.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.engine.exchange import ExchangeFile
from pipeline.engine.records import Json
from pipeline.engine.store import Store
from pipeline.stages.tables import read_listing
from pipeline.tokens.packing import Stretch


class Documents(NamedTuple):
    """Documents in the global order; a copy of a document counts as a document."""

    key_high: NDArray[np.uint64]
    """uint64[N]: the place in the order, its first 64 bits."""
    doc: NDArray[np.uint64]
    """uint64[N]."""
    copy: NDArray[np.uint16]
    """uint16[N]."""
    lengths: NDArray[np.int64]
    """int64[N], ids without the end-of-text."""
    files: NDArray[np.int64]
    """int64[N], position of the file in the listing."""
    items: NDArray[np.int64]
    """int64[N], where the ids begin in the file's payload."""
    end_marks: NDArray[np.uint8]
    """uint8[N], the mark of the end-of-text; 0 in runs without marks."""
    labels: NDArray[np.uint16]
    """uint16[N], the number of the document's label; 0 in runs without labels."""

    def take(self, chosen: NDArray[Any] | slice) -> "Documents":
        """Some of the documents, by position, mask or range."""
        columns: list[Any] = [values[chosen] for values in self]
        return Documents(*columns)


def stream_order(columns: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """The global order of rows read from several map files."""
    return np.lexsort((columns["copy"], columns["doc"], columns["key_low"], columns["key_high"]))


def read_documents(store: Store, listing: Json, first: int, last: int) -> tuple[Documents, np.dtype[Any]]:
    """Documents of partitions [first, last) in the global order, and the type of their ids; no payload is read."""
    paths = [entry["path"] for entry in read_listing(store, listing)]
    index: list[dict[str, NDArray[Any]]] = []
    item_starts: list[NDArray[np.int64]] = []

    def read(file: BinaryIO) -> tuple[dict[str, NDArray[Any]], np.dtype[Any], int]:
        exchange = ExchangeFile.open(file)
        return exchange.read(first, last), exchange.item_dtype, int(exchange.payload_starts(first, first)[0])

    found = list(store.read_each(paths, read))
    dtype = found[0][1]
    for columns, _, first_item in found:
        index.append(columns)
        lengths = columns["length"].astype(np.int64)
        item_starts.append(first_item + np.cumsum(lengths) - lengths)
    joined = {name: np.concatenate([columns[name] for columns in index]) for name in index[0]}
    order = stream_order(joined)
    files = np.repeat(np.arange(len(index)), [len(columns["doc"]) for columns in index])
    documents = Documents(
        joined["key_high"][order],
        joined["doc"][order],
        joined["copy"][order],
        joined["length"][order].astype(np.int64),
        files[order],
        np.concatenate(item_starts)[order],
        joined["end_mark"][order] if "end_mark" in joined else np.zeros(len(order), np.uint8),
        joined["label"][order] if "label" in joined else np.zeros(len(order), np.uint16),
    )
    return documents, dtype


def read_ids(store: Store, listing: Json, documents: Documents) -> tuple[Iterator[Stretch], NDArray[np.int64]]:
    """The payload that holds some documents, stretch by stretch, and where each begins in it: int64[N].

    What is read of each file, from its first such document to its last, end to end, is the payload. What was read
    leaves the page cache.
    """
    paths = [entry["path"] for entry in read_listing(store, listing)]
    begins = np.full(len(paths), np.iinfo(np.int64).max)
    ends = np.zeros(len(paths), np.int64)
    np.minimum.at(begins, documents.files, documents.items)
    np.maximum.at(ends, documents.files, documents.items + documents.lengths)
    sizes = np.where(ends > begins, ends - begins, 0)
    held = np.cumsum(sizes) - sizes

    def stretches() -> Iterator[Stretch]:
        for number in np.flatnonzero(sizes):
            wanted = int(begins[number]), int(ends[number])
            with store.open(paths[number]) as file:
                exchange = ExchangeFile.open(file)
                at = int(held[number])
                for ids in exchange.read_payload(*wanted):
                    yield at, ids
                    at += len(ids)
                stands_at = exchange.payload_range(*wanted)
            store.release(paths[number], *stands_at)

    return stretches(), held[documents.files] + documents.items - begins[documents.files]
