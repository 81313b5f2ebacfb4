"""Figures of a finished shard set: rows, tokens, fill, lengths of document pieces, tokens of each source, files."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.engine.records import Json
from pipeline.finished import FinishedRun
from pipeline.shard_access import best_source, read_stored, row_shape, stored_shards
from pipeline.stages.shard_set import described_formats, files_of

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


def shard_stats(run: FinishedRun) -> Json:
    """Everything as plain JSON.

    ``splits``: by split, ``rows``, ``tokens`` (padding not counted), ``documents``, ``fill`` (share of the rows' places
    that hold tokens), ``pieces`` (stretches of one document in one row), ``pieces_a_row``, ``single_piece_rows``
    (rows of one piece), ``piece_tokens`` (quantiles of the pieces' lengths and their mean). ``sources``: documents and
    tokens of each, without end-of-text, each document counted once. ``files``: format,
    path, bytes of every file. ``formats``: bytes and bytes a token of each.

    Raises:
        StorageError: a shard is missing or damaged.
        ConfigError: no format of the set tells where documents begin.
    """
    manifest = run.manifest
    shards = manifest["shards"]
    row_tokens = row_shape(manifest).row_tokens
    splits = {}
    for name, described in shards["splits"].items():
        places = described["rows"] * row_tokens
        splits[name] = {
            "documents": described["documents"],
            "tokens": described["tokens"],
            "rows": described["rows"],
            "shards": len(described["shards"]),
            **_pieces(run, name, row_tokens, places),
        }
    files = [
        {"format": kind, "path": file["path"], "bytes": file["bytes"]}
        for kind, by_split in described_formats(shards).items()
        for described in by_split.values()
        for file in files_of(described)
    ]
    tokens = sum(split["tokens"] for split in splits.values())
    formats = {}
    for kind in described_formats(shards):
        size = sum(file["bytes"] for file in files if file["format"] == kind)
        formats[kind] = {"bytes": size, "bytes_a_token": round(size / tokens, 4) if tokens else None}
    return {
        "shards": run.shards,
        "row": shards["row"],
        "row_tokens": row_tokens,
        "dtype": shards["dtype"],
        "splits": splits,
        "sources": {name: _source(source) for name, source in manifest["sources"].items()},
        "formats": formats,
        "files": files,
    }


def _source(source: Json) -> Json:
    kept = source["outcomes"].get("kept", 0)
    return {"documents": kept, "tokens": source["tokens"], "weight": source["weight"]}


def _pieces(run: FinishedRun, split: str, row_tokens: int, places: int) -> Json:
    """Lengths of the pieces of a split, from all of its shards, one in memory at a time."""
    kind = best_source(run.manifest)
    counts: NDArray[np.int64] = np.zeros(row_tokens + 1, np.int64)  # by length: no piece is longer than its row
    single = 0
    for shard in stored_shards(run, kind, split):
        packed = read_stored(run, kind, shard)
        counts += np.bincount(packed.pieces, minlength=row_tokens + 1)
        single += int((np.diff(packed.offsets) == 1).sum())
    pieces = int(counts.sum())
    covered = int((counts * np.arange(row_tokens + 1)).sum())
    rows = places // row_tokens
    if not pieces:
        return {"fill": None, "pieces": 0, "pieces_a_row": None, "single_piece_rows": 0, "piece_tokens": {}}
    return {
        "fill": round(covered / places, 6),
        "pieces": pieces,
        "pieces_a_row": round(pieces / rows, 3),
        "single_piece_rows": single,
        "piece_tokens": {**_quantiles(counts), "mean": round(covered / pieces, 1)},
    }


def _quantiles(counts: NDArray[np.int64]) -> dict[str, Any]:
    """Lengths below or at which a share of all pieces lies; exact."""
    reached = np.cumsum(counts)
    ranks = [max(1, int(np.ceil(q * reached[-1]))) for q in QUANTILES]
    return {f"{q:.0%}": int(np.searchsorted(reached, rank)) for q, rank in zip(QUANTILES, ranks, strict=True)}
