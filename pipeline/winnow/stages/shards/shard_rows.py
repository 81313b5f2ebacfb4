"""The rows of one shard, read from the shuffle's files: which documents it needs, and what becomes of them."""

import numpy as np
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.engine.stage import Workspace
from winnow.shards.packed_rows import PackedRows
from winnow.shards.packing.assemble import fill_rows, token_columns
from winnow.shards.packing.pieces import Pieces, joined, rows_between
from winnow.shards.packing.stream import pack_rows
from winnow.shards.packing.windows import stream_losses, stream_windows
from winnow.stages.shards.postprocess import mark_document_ends, postprocess_rows
from winnow.stages.shards.row_groups import in_final_order, pack_group, read_groups
from winnow.stages.shards.stream import Documents, Payload, read_documents, read_ids


def read_rows(workspace: Workspace, inputs: Json) -> PackedRows:
    """Rows of the shard that a unit describes, with the columns that the settings ask for; counts what is lost."""
    row = workspace.settings["row"]
    if row["kind"] == "concat":
        packed = _concat(workspace, inputs)
    elif "groups" in inputs:
        packed = _of_groups(workspace, inputs)
    else:
        packed = _stream_windows(workspace, inputs)
    wanted = [name for name in workspace.settings["columns"] if name != "docs"]
    columns = token_columns(wanted, packed.pieces, packed.offsets, packed.rows.shape[1])
    if "docs" not in workspace.settings["columns"]:
        packed = packed._replace(docs=None, doc_starts=None)
    return postprocess_rows(packed._replace(columns=columns), workspace.settings)


def _read_stream(
    workspace: Workspace, inputs: Json, first_token: int, last_token: int
) -> tuple[Documents, NDArray[np.int64], Payload]:
    """Documents that stand in [first_token, last_token) of the split's stream, where each begins, where ids lie."""
    first, last = inputs["first_partition"], inputs["last_partition"]
    documents, payload = read_documents(workspace.store, inputs["exchange"], first, last)
    ends = inputs["tokens_before"] + np.cumsum(documents.lengths + 1)
    begins = ends - documents.lengths - 1
    inside = np.flatnonzero((ends > first_token) & (begins < last_token))
    return documents.take(inside), begins[inside], payload


def _concat(workspace: Workspace, inputs: Json) -> PackedRows:
    """The stream, cut every ``row_tokens``."""
    row_tokens, tokens = workspace.settings["row_tokens"], inputs["tokens"]
    first_token = inputs["first_row"] * row_tokens
    documents, begins, payload = _read_stream(workspace, inputs, first_token, first_token + tokens)
    stretches, places = read_ids(workspace.store, payload, documents)
    rows, pieces, offsets = pack_rows(
        stretches,
        places,
        documents.lengths,
        int(begins[0]) - first_token,
        tokens,
        row_tokens,
        workspace.settings["end_of_text"],
        payload.dtype,
    )
    last_tokens = begins + documents.lengths
    mine = begins >= first_token  # a document counts in the shard in which it begins
    workspace.count("split_documents", (mine & (begins // row_tokens != last_tokens // row_tokens)).sum())
    at = first_token + np.cumsum(pieces, dtype=np.int64) - pieces
    owner = np.searchsorted(begins, at, side="right") - 1
    packed = PackedRows(
        rows, pieces, offsets, docs=documents.doc[owner], doc_starts=(at - begins[owner]).astype(np.uint32)
    )
    mark_document_ends(packed, documents, owner, workspace.settings)
    return packed


def _stream_windows(workspace: Workspace, inputs: Json) -> PackedRows:
    """Windows over the stream."""
    row_tokens, stride = workspace.settings["row_tokens"], workspace.settings["row"]["stride_tokens"]
    first, windows, all_windows = inputs["first_row"], inputs["rows"], inputs["windows"]
    begin, end = first * stride, (first + windows - 1) * stride + row_tokens
    own_end = inputs["own_end"]
    documents, begins, payload = _read_stream(workspace, inputs, begin, max(end, own_end))
    mine = (begins >= begin) & (begins < own_end)  # a document counts in the shard in which it begins
    tokens = documents.lengths + 1
    for name, value in stream_losses(begins[mine], tokens[mine], row_tokens, stride, all_windows).items():
        workspace.count(name, value)
    pieces = stream_windows(begins, tokens, row_tokens, stride, first, windows)
    return _fill(workspace, documents, pieces, payload)


def _of_groups(workspace: Workspace, inputs: Json) -> PackedRows:
    """Rows of a kind that packs by groups: all groups that the shard touches, and of these its rows."""
    settings = workspace.settings
    row, row_tokens = settings["row"], settings["row_tokens"]
    documents, group, payload = read_groups(workspace.store, inputs)
    packed, sizes = [], []
    for number in range(inputs["first_group"], inputs["last_group"]):
        some = slice(*np.searchsorted(group, [number, number + 1]))
        mine = documents.take(some)
        pieces = pack_group(row, mine.lengths + 1, row_tokens)
        packed.append(in_final_order(row, pieces, mine, settings["seed"], settings["epoch"]))
        sizes.append(len(mine.doc))
    skipped = inputs["skipped_rows"]
    pieces = rows_between(joined(packed, sizes), skipped, skipped + inputs["rows"])
    return _fill(workspace, documents, pieces, payload)


def _fill(workspace: Workspace, documents: Documents, pieces: Pieces, payload: Payload) -> PackedRows:
    """Read the ids of the pieces' documents and put them in their rows."""
    used, document = np.unique(pieces.document, return_inverse=True)
    pieces, documents = pieces._replace(document=document), documents.take(used)
    stretches, places = read_ids(workspace.store, payload, documents)
    settings = workspace.settings
    rows = fill_rows(
        stretches, places, documents.lengths, pieces, settings["row_tokens"], settings["end_of_text"], payload.dtype
    )
    counts = np.bincount(pieces.row, minlength=pieces.rows)
    packed = PackedRows(
        rows,
        pieces.length.astype(np.uint32),
        np.concatenate([[0], np.cumsum(counts)]),
        docs=documents.doc[document],
        doc_starts=pieces.start.astype(np.uint32),
    )
    mark_document_ends(packed, documents, document, settings)
    if settings["labelled"]:  # rows of whole documents: a piece is a row
        packed = packed._replace(labels=documents.labels[document].astype(np.int64))
    return packed
