"""Passage windows: those with a repeated anchor, compared with each other.

Map side: a part settles which of its own windows repeat another of its own, and sends one of each kind (8 bytes a
window, 16 more a run) to where its anchor leads. Reduce side: windows that an earlier part holds, too, go back with the
place of their first copy.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.exchange import Columns, partition_of_hash, partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.stages.ingest.measure import Part
from winnow.stages.passages.anchors import ANCHORS, read_blocks
from winnow.stages.passages.searched import compile_kernels, texts_of
from winnow.stages.tables import (
    column_to_numpy,
    exchange_output,
    ipc_output,
    partition_pieces,
    read_ipc,
    read_partition,
    read_partition_payload,
)
from winnow.text.passages.repeats import Repeats, Runs, first_copies, only_first, repeats_of
from winnow.text.passages.shared import blocks_of, keys_of
from winnow.text.passages.windows import BLOCK_BITS, Blocks, KnownAnchors, Windows, known_anchors, windows_of

_WINDOW_BYTES = 48
"""That a window takes in a reduce unit while it is sorted."""
REPEATS = pa.schema(
    [
        ("doc", pa.uint64()),
        ("word", pa.uint32()),
        ("windows", pa.uint32()),
        ("keeper", pa.uint64()),
        ("keeper_word", pa.uint32()),
    ]
)
"""The columns of :class:`Repeats`."""


def stage(settings: Json) -> Stage:
    """Map side; ``settings`` of :func:`winnow.stages.passages.searched.settings_of`."""
    return Stage("passage_windows", 2, settings, run)


def plan(
    parts: list[Part],
    anchored: list[Record],
    shared: list[Record],
    listing: Json,
    partition_mb: int,
) -> list[Unit]:
    """One unit a part; ``listing`` says where ``shared`` anchors are. Partitions follow from their number alone."""
    words, anchors = total(anchored, "words"), total(anchored, "anchors")
    windows = total(shared, "shared") * words // max(1, anchors)
    partitions = partitions_for(windows * _WINDOW_BYTES, partition_mb)
    return [
        Unit(
            part.number,
            {
                "documents": part.documents,
                "blocks": record.outputs["blocks"].reference(),
                "own": record.outputs["own"].reference(),
                "shared": listing,
                "place": place,
                "partitions": partitions,
            },
            part.text_bytes,
        )
        for place, (part, record) in enumerate(zip(parts, anchored, strict=True))
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Find the windows, settle what repeats in the part, and send what may stand elsewhere."""
    partitions = unit.inputs["partitions"]
    with workspace.timed("load"):
        compile_kernels()
        known, docs, blocks = _known(unit, workspace)
    with workspace.timed("words"):
        found = _windows(unit, workspace, docs, blocks, known)
    with workspace.timed("compare"):
        runs = Runs(found.text.astype(np.uint64), found.word, found.windows)
        first = first_copies(runs, found.hashes, found.key)
        copies = repeats_of(runs, first)
        sent, owner, hashes = only_first(runs, found.hashes, found.elsewhere, first)
    workspace.count("windows", len(first))
    workspace.count("sent", len(hashes))
    workspace.count("sent_runs", len(owner))
    partition = partition_of_hash(found.key[owner] << np.uint64(BLOCK_BITS), partitions)
    order = np.argsort(partition, kind="stable")
    lengths = sent.windows.astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    columns: Columns = {"doc": docs[sent.doc.astype(np.int64)], "word": sent.word, "length": sent.windows}
    exchange_output(
        workspace,
        "windows",
        partition[order],
        {name: column[order] for name, column in columns.items()},
        partitions,
        [_gathered(hashes, starts[order], lengths[order])],
        np.dtype(np.uint64),
    )
    write_repeats(workspace, "copies", copies, docs)


def _known(unit: Unit, workspace: Workspace) -> tuple[KnownAnchors, NDArray[np.uint64], Blocks]:
    """The anchors of the part that are repeated, the documents that may hold one, rising, and of these the blocks."""
    own = column_to_numpy(read_ipc(workspace.store, unit.inputs["own"]), ANCHORS.names[0])
    shared = read_partition(workspace.store, unit.inputs["shared"], unit.inputs["place"])["anchor"].astype(np.uint64)
    docs, every = read_blocks(workspace.store, unit.inputs["blocks"])
    chosen = blocks_of(np.concatenate([own, shared]), len(every.text))
    text, place = np.unique(every.text[chosen], return_inverse=True)
    return (
        known_anchors(keys_of(shared), keys_of(own)),
        docs[text],
        Blocks(place, every.number[chosen], every.begin[chosen]),
    )


def _windows(
    unit: Unit, workspace: Workspace, docs: NDArray[np.uint64], blocks: Blocks, known: KnownAnchors
) -> Windows:
    """The windows of documents; ``text`` is the place in ``docs``."""
    settings = workspace.settings
    pieces = []
    for there, row, texts in texts_of(workspace, unit.inputs["documents"], docs):
        place = np.searchsorted(docs, there)
        found = windows_of(texts, blocks.renamed(place, row), known, settings["words"], settings["anchor_words"])
        pieces.append(found._replace(text=place[np.searchsorted(row, found.text)]))
        workspace.count("documents", len(there))
    if not pieces:
        kinds = (np.int64, np.uint32, np.uint32, np.uint64, np.bool_, np.uint64)
        return Windows(*(np.empty(0, kind) for kind in kinds))
    return Windows(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def _gathered(items: NDArray[np.uint64], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Stretches of an array, one behind the other."""
    shift = starts - (np.cumsum(lengths) - lengths)
    gathered: NDArray[np.uint64] = items[np.arange(int(lengths.sum())) + np.repeat(shift, lengths)]
    return gathered


def write_repeats(workspace: Workspace, name: str, repeats: Repeats, docs: NDArray[np.uint64]) -> None:
    """Write repeats whose documents are places in ``docs``."""
    named = repeats._replace(doc=docs[repeats.doc.astype(np.int64)], keeper=docs[repeats.keeper.astype(np.int64)])
    with ipc_output(workspace, name, REPEATS) as table:
        table.write(named._asdict())


def repeats_stage() -> Stage:
    """Reduce side: windows that stand in an earlier part."""
    return Stage("passage_repeats", 2, {}, run_repeats)


def plan_repeats(listing: Json, found: list[Record], partitions: int) -> list[Unit]:
    """One unit a partition."""
    size = (total(found, "sent") * 8 + total(found, "sent_runs") * 16) // partitions
    return [Unit(number, {"windows": listing, "partition": number}, size) for number in range(partitions)]


def run_repeats(unit: Unit, workspace: Workspace) -> None:
    """Compare one partition's windows of all parts, and send repeated ones back."""
    store, listing, partition = workspace.store, unit.inputs["windows"], unit.inputs["partition"]
    compile_kernels()
    pieces = list(partition_pieces(store, listing, partition))
    sizes = [len(piece["doc"]) for piece in pieces]
    runs = Runs(*(np.concatenate([piece[name] for piece in pieces]) for name in ("doc", "word", "length")))
    runs = Runs(runs.doc.astype(np.uint64), runs.word.astype(np.uint32), runs.windows.astype(np.uint32))
    hashes = read_partition_payload(store, listing, partition).astype(np.uint64, copy=False)
    row = np.arange(len(runs.doc), dtype=np.uint64)
    runs_by_row = runs._replace(doc=row)
    repeats = repeats_of(runs_by_row, first_copies(runs_by_row, hashes))
    part = np.repeat(np.arange(len(sizes)), sizes)[repeats.doc.astype(np.int64)]
    columns: Columns = {
        "doc": runs.doc[repeats.doc.astype(np.int64)],
        "word": repeats.word,
        "windows": repeats.windows,
        "keeper": runs.doc[repeats.keeper.astype(np.int64)],
        "keeper_word": repeats.keeper_word,
    }
    exchange_output(workspace, "repeats", part, columns, len(sizes))
    workspace.count("repeats", len(part))
    workspace.count("repeated_windows", repeats.windows.sum(dtype=np.int64))
