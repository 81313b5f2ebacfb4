"""The global stream, read from the shuffle's files: documents of some partitions in order, and their ids.

The index of a file (keys, lengths) stands apart from its payload, so documents can be counted and packed without
reading a token.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from winnow.engine.exchange import read_items
from winnow.engine.exchange_extents import read_extents, read_rows
from winnow.engine.records import Json
from winnow.shards.packing.narrow import NARROW, widened
from winnow.shards.packing.stream import Stretch
from winnow.stages.tables import read_listing
from winnow.storage.store import Store


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
    ids_at: NDArray[np.int64]
    """int64[N], the byte of the file at which the ids begin."""
    end_marks: NDArray[np.uint8]
    """uint8[N], the mark of the end-of-text; 0 in runs without marks."""
    labels: NDArray[np.uint16]
    """uint16[N], the number of the document's label; 0 in runs without labels."""

    def take(self, chosen: NDArray[Any] | slice) -> "Documents":
        """Some of the documents, by position, mask or range."""
        columns: list[Any] = [values[chosen] for values in self]
        return Documents(*columns)


class Payload(NamedTuple):
    """Where the ids of documents lie."""

    paths: list[str]
    """Of the shuffle's files."""
    stored: np.dtype[Any]
    """Of the ids there: their own, or NARROW."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the ids."""
        return np.dtype(np.uint32) if self.stored == NARROW else self.stored


def stream_order(columns: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """The global order of rows read from several map files."""
    return np.lexsort((columns["copy"], columns["doc"], columns["key_low"], columns["key_high"]))


def read_documents(store: Store, exchange: Json, first: int, last: int) -> tuple[Documents, Payload]:
    """Documents of partitions [first, last) in the global order, and where their ids lie; no id is read.

    ``exchange`` names two listings: the shuffle's files (``rows``), and where everything lies in them (``extents``).
    """
    paths = [entry["path"] for entry in read_listing(store, exchange["rows"])]
    extents = read_extents(store, read_listing(store, exchange["extents"]), len(paths), first, last)
    columns, files, ids_at = read_rows(store, paths, extents)
    order = stream_order(columns)
    documents = Documents(
        columns["key_high"][order],
        columns["doc"][order],
        columns["copy"][order],
        columns["length"][order].astype(np.int64),
        files[order],
        ids_at[order],
        columns["end_mark"][order] if "end_mark" in columns else np.zeros(len(order), np.uint8),
        columns["label"][order] if "label" in columns else np.zeros(len(order), np.uint16),
    )
    return documents, Payload(paths, extents.item_dtype)


def read_ids(store: Store, payload: Payload, documents: Documents) -> tuple[Iterator[Stretch], NDArray[np.int64]]:
    """The ids of some documents, as :func:`read_payload` gives them."""
    stretches, places = read_payload(store, *payload, documents.files, documents.ids_at, documents.lengths)
    return (widened(stretches) if payload.stored == NARROW else stretches), places


def read_payload(
    store: Store,
    paths: list[str],
    dtype: np.dtype[Any],
    files: NDArray[np.int64],
    items_at: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> tuple[Iterator[Stretch], NDArray[np.int64]]:
    """The items of some documents, stretch by stretch, and where each document begins in them: int64[N].

    What is read of each file, from its first such document to its last, is put end to end. What was read leaves the
    page cache.

    Args:
        store: holds the files.
        paths: of an exchange's files.
        dtype: of the items.
        files: int64[N], position of each document's file in ``paths``.
        items_at: int64[N], the byte of the file at which its items begin.
        lengths: int64[N], its items.
    """
    begins = np.full(len(paths), np.iinfo(np.int64).max)
    ends = np.zeros(len(paths), np.int64)
    np.minimum.at(begins, files, items_at)
    np.maximum.at(ends, files, items_at + lengths * dtype.itemsize)
    items = np.where(ends > begins, ends - begins, 0) // dtype.itemsize
    held = np.cumsum(items) - items

    def equal_runs() -> Iterator[Stretch]:
        chosen = np.flatnonzero(items).tolist()
        ranges = [(paths[number], int(begins[number]), int(ends[number])) for number in chosen]
        for number, file in zip(chosen, store.open_each(ranges), strict=True):
            at = int(held[number])
            for found in read_items(file, dtype, int(items[number])):
                yield at, found
                at += len(found)
            store.drop_page_cache(paths[number], int(begins[number]), int(ends[number] - begins[number]))

    return equal_runs(), held[files] + (items_at - begins[files]) // dtype.itemsize
