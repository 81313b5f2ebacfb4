"""Passage anchors: what every window of every kept document is looked for by, and which of these are repeated.

Map side: a part sends each anchor once (8 bytes), whatever the number of its documents that hold it, so no anchor takes
more of a partition than there are parts. Reduce side: anchors of several parts go back to these.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.exchange import Columns, partition_of_hash, partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.numeric.arrow_strings import string_buffers
from winnow.stages.ingest.measure import Part
from winnow.stages.passages.searched import compile_kernels, count_by_source, searched, text_units, texts_of
from winnow.stages.tables import column_to_numpy, exchange_output, ipc_output, partition_pieces, read_ipc
from winnow.storage.store import Store
from winnow.text.passages.shared import first_and_repeated, in_several
from winnow.text.passages.windows import BLOCK_BITS, Blocks, anchors_of

_ANCHOR_BYTES = 24
"""That an anchor takes in a reduce unit: itself, and its key twice while keys are sorted."""
_WORD_BYTES = 6
"""Of text, about: only the number of partitions follows from it."""
ANCHORS = pa.schema([("anchor", pa.uint64())])
BLOCKS = pa.schema([("doc", pa.uint64()), ("begins", pa.large_list(pa.uint32()))])
"""Documents that are looked through, and the first byte of each of their blocks."""


def stage(settings: Json) -> Stage:
    """Map side; ``settings`` of :func:`winnow.stages.passages.searched.settings_of`."""
    return Stage("passage_anchors", 3, settings, run)


def plan(parts: list[Part], survivors: list[Record], length: int, gram: int, partition_mb: int) -> list[Unit]:
    """One unit a part. The number of partitions follows from the size of the text alone."""
    words = sum(part.text_bytes for part in parts) // _WORD_BYTES
    partitions = partitions_for(words * 2 // (length - gram + 2) * _ANCHOR_BYTES, partition_mb)
    return [
        Unit(unit.number, {**unit.inputs, "partitions": partitions}, unit.work_bytes)
        for unit in text_units(parts, survivors)
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Find the anchors of the part's documents, and which of them come twice in the part."""
    settings, partitions = workspace.settings, unit.inputs["partitions"]
    with workspace.timed("load"):
        compile_kernels()
        mine = searched(unit, workspace)
    pieces, blocks = [np.empty(0, np.uint64)], 0
    with ipc_output(workspace, "blocks", BLOCKS) as table:
        for docs, row, texts in texts_of(workspace, unit.inputs["documents"], mine.docs):
            with workspace.timed("words"):
                wanted = np.zeros(len(texts), np.bool_)
                wanted[row] = True
                found = anchors_of(texts, wanted, blocks, settings["words"], settings["anchor_words"])
            pieces.append(found.anchors)
            starts = np.append(np.flatnonzero(found.begins == 0), len(found.begins))
            table.write({"doc": docs, "begins": pa.LargeListArray.from_arrays(starts, found.begins)})
            blocks += len(found.begins)
            words = found.words[row]
            workspace.count("documents", len(docs))
            workspace.count("bytes", np.diff(string_buffers(texts)[1])[row].sum())
            workspace.count("words", words.sum())
            of = mine.source.take(pa.array(np.searchsorted(mine.docs, docs)))
            count_by_source(workspace, "words", of, words)
    workspace.count("markup_documents", mine.markup)
    with workspace.timed("sort"):
        first, repeated = first_and_repeated(np.concatenate(pieces))
    workspace.count("anchors", sum(len(piece) for piece in pieces))
    workspace.count("sent", len(first))
    exchange_output(workspace, "anchors", partition_of_hash(first, partitions), {"anchor": first}, partitions)
    with ipc_output(workspace, "own", ANCHORS) as table:
        table.write({"anchor": repeated})


def read_blocks(store: Store, reference: Json) -> tuple[NDArray[np.uint64], Blocks]:
    """A part's documents uint64[N] that are looked through, rising, and their blocks."""
    table = read_ipc(store, reference).combine_chunks()
    begins = table.column("begins").combine_chunks()
    sizes = np.diff(begins.offsets.to_numpy())
    text = np.repeat(np.arange(len(sizes)), sizes)
    number = np.arange(len(text)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return column_to_numpy(table, "doc"), Blocks(text, number, begins.flatten().to_numpy())


def shared_stage() -> Stage:
    """Reduce side: the anchors that several parts hold."""
    return Stage("passage_shared", 2, {"block_bits": BLOCK_BITS}, run_shared)


def plan_shared(listing: Json, anchored: list[Record], partitions: int) -> list[Unit]:
    """One unit a partition."""
    size = total(anchored, "sent") * 8 // partitions
    return [Unit(number, {"anchors": listing, "partition": number}, size) for number in range(partitions)]


def run_shared(unit: Unit, workspace: Workspace) -> None:
    """Send anchors of several parts back to each of these."""
    compile_kernels()
    found = partition_pieces(workspace.store, unit.inputs["anchors"], unit.inputs["partition"])
    shared = in_several([piece["anchor"].astype(np.uint64, copy=False) for piece in found])
    sizes = [len(piece) for piece in shared]
    columns: Columns = {"anchor": np.concatenate(shared)}
    exchange_output(workspace, "shared", np.repeat(np.arange(len(shared)), sizes), columns, len(shared))
    workspace.count("shared", sum(sizes))
