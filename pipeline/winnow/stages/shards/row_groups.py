"""Row groups: slices of the global order whose documents are packed together, and how many rows each gives.

A group is a slice of the key space: the number of groups follows from the documents of the split alone, and a
document's group from its key. So rows depend on nothing else, and whoever needs a group finds its documents in one
contiguous stretch of every file of the shuffle. How many rows a group gives is known only after packing; so lengths
are packed once here, without their tokens (30 bytes a document are read), before shards are planned, and once more
by the shard that writes the rows.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.engine.exchange import partition_of_hash
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.config import ONE_A_ROW
from winnow.shards.order import keyed_hash
from winnow.shards.packing.best_fit import pack_best_fit
from winnow.shards.packing.pieces import Pieces, account, first_pieces, permuted
from winnow.shards.packing.windows import document_rows, document_windows, preference_rows
from winnow.stages.shards.stream import Documents, Payload, read_documents
from winnow.storage.store import Store

GROUP_DOCUMENTS = 16384
"""Documents of a group where they do not share rows, so that the number decides nothing."""
UNIT_DOCUMENTS = 1 << 20
"""Documents that a unit counts: about 150 MB of memory."""
_ROWS_TAG = 0x726F7773  # "rows": the order of rows in a group shares no key with the order of documents


def stage(row: Json, row_tokens: int) -> Stage:
    """Packs lengths and counts rows.

    Args:
        row: kind and options, of a kind that packs by groups.
        row_tokens: L.
    """
    return Stage("row_counts", 1, {"row": row, "row_tokens": row_tokens}, run)


def num_groups(documents: int, row: Json) -> int:
    """Groups of a split of ``documents``, copies counted: each has from one to two times as many as asked for."""
    size: int = row.get("group_documents", GROUP_DOCUMENTS)
    return max(1, documents // size)


def plan(row: Json, split_documents: list[int], exchange: Json, partitions: int) -> list[Unit]:
    """One unit about a million documents; a split without documents has none."""
    units: list[Unit] = []
    for split, documents in enumerate(split_documents):
        groups = num_groups(documents, row)
        step = max(1, UNIT_DOCUMENTS * groups // max(1, documents))
        for first in range(0, groups if documents else 0, step):
            last = min(groups, first + step)
            inputs = {
                "split": split,
                "groups": groups,
                "first_group": first,
                "last_group": last,
                "partitions": partitions,
                "exchange": exchange,
            }
            units.append(Unit(len(units), inputs, documents * (last - first) // groups * 30))
    return units


def run(unit: Unit, workspace: Workspace) -> None:
    """Pack the lengths of some groups."""
    row, row_tokens = workspace.settings["row"], workspace.settings["row_tokens"]
    with workspace.timed("read"):
        documents, group, _ = read_groups(workspace.store, unit.inputs)
    rows = []
    with workspace.timed("pack"):
        for number in range(unit.inputs["first_group"], unit.inputs["last_group"]):
            tokens = documents.lengths[slice(*np.searchsorted(group, [number, number + 1]))] + 1
            pieces = pack_group(row, tokens, row_tokens)
            rows.append(pieces.rows)
            for name, value in account(pieces, tokens).items():
                workspace.count(name, value)
    workspace.metadata.update(split=unit.inputs["split"], rows=rows)


def rows_of_groups(counted: list[Record], split: int) -> NDArray[np.int64]:
    """int64[G + 1]: rows of the split before each of its groups."""
    rows = [rows for record in counted if record.metadata["split"] == split for rows in record.metadata["rows"]]
    return np.cumsum([0, *rows])


def read_groups(store: Store, inputs: Json) -> tuple[Documents, NDArray[np.int64], Payload]:
    """Documents of groups [first_group, last_group) in the global order, the group of each, where their ids lie."""
    groups, first, last = (inputs[name] for name in ("groups", "first_group", "last_group"))
    partitions = inputs["partitions"]
    # as partition_of_hash: by the first 32 bits of the key
    first_key, end_key = (-(-(group << 32) // groups) for group in (first, last))
    low, high = partitions * first_key >> 32, partitions * (end_key - 1) >> 32
    begin = inputs["split"] * partitions
    documents, payload = read_documents(store, inputs["exchange"], begin + low, begin + high + 1)
    group = partition_of_hash(documents.key_high, groups)
    inside = slice(*np.searchsorted(group, [first, last]))
    return documents.take(inside), group[inside], payload


def pack_group(row: Json, tokens: NDArray[np.int64], row_tokens: int) -> Pieces:
    """Rows of a group, not yet in their order.

    Args:
        row: kind and options.
        tokens: int64[N], tokens of its documents with their end-of-text, in the global order.
        row_tokens: L.
    """
    if row["kind"] == "best_fit":
        return pack_best_fit(tokens, row_tokens, row["long_documents"])
    if row["kind"] == "window":
        return document_windows(tokens, row_tokens, row["stride_tokens"])
    if row["kind"] == "preference":
        return preference_rows(tokens)
    return document_rows(tokens, row_tokens)


def in_final_order(row: Json, pieces: Pieces, documents: Documents, seed: int, epoch: int) -> Pieces:
    """A group's rows in the order in which they are written.

    Where a document gives several rows, or rows come out sorted by fill, they are spread over the group by a hash of
    what stands first in them; rows of one document keep the order of the documents, which is as random.
    """
    if row["kind"] in ONE_A_ROW:
        return pieces
    first = first_pieces(pieces)
    document = pieces.document[first]
    messages = np.empty((len(first), 4), np.uint64)
    messages[:, 0], messages[:, 1] = documents.doc[document], documents.copy[document]
    messages[:, 2], messages[:, 3] = pieces.start[first], epoch
    digest = keyed_hash((seed, _ROWS_TAG), messages)
    return permuted(pieces, np.lexsort((digest[:, 1], digest[:, 0])))
