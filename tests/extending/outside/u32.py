"""Shards as bare uint32 ids in a file ``.u32``, with a ``.json`` beside it that tells the length of every piece."""

import json

import numpy as np

from winnow.shards.formats.shard_format import PackedRows, ShardFormat, pieces_of_bytes


def write(packed, sink):
    sink.write(pieces_of_bytes(packed.rows.astype("<u4")))
    pieces = {"lengths": packed.pieces.tolist(), "offsets": packed.offsets.tolist()}
    sink.write([json.dumps(pieces).encode()], ".json")


def read(files, shape, rows):
    pieces = json.loads(files.read(".json"))
    ids = files.mapped().view("<u4").reshape(-1, shape.row_tokens).astype(shape.dtype)
    return PackedRows(ids, np.array(pieces["lengths"], np.uint32), np.array(pieces["offsets"], np.int64))


def count(files):
    pieces = json.loads(files.read(".json"))
    return len(pieces["offsets"]) - 1, sum(pieces["lengths"])


FORMAT = ShardFormat(
    name="u32",
    suffix=".u32",
    write=write,
    read=read,
    count=count,
    sidecars=(".json",),
    has_document_boundaries=True,
)
