"""Figures of a finished shard set: rows, tokens, fill, lengths of document pieces, tokens of each source, files."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json, Record
from winnow.errors import StorageError
from winnow.finished.shards import best_source, read_stored, row_shape, stored_shards
from winnow.flow.records import RunRecords
from winnow.looking.token_lengths import token_lengths
from winnow.shards.formats.formats import FORMATS, has_document_boundaries
from winnow.stages.shards.shard_set import described_formats, files_of
from winnow.stages.tables import column_to_numpy, read_parquet

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


def shard_stats(run: RunRecords) -> Json:
    """Everything as plain JSON.

    ``splits``: by split, ``rows``, ``tokens`` (padding not counted), ``documents``, ``fill`` (share of the rows' places
    that hold tokens), ``pieces`` (stretches of one document in one row), ``pieces_a_row``, ``single_piece_rows``
    (rows of one piece), ``piece_tokens`` (quantiles of the pieces' lengths and their mean); what is said of pieces is
    None where no format of the set tells where documents begin. ``sources``: different documents of each in the set,
    their copies, and the tokens of all copies with end-of-text, all splits together: they add up to the splits.
    ``labels``: their names by number, and in each split ``labels``, the rows of each; an empty list without labels.
    ``files``: format, path, bytes of every file. ``formats``: bytes and bytes a token of each.

    Raises:
        StorageError: a shard, or a table that tells the sources, is missing or damaged.
    """
    manifest = run.manifest
    shards = manifest["shards"]
    row_tokens = row_shape(manifest).row_tokens
    borders = any(
        FORMATS.get(name).read and has_document_boundaries(name, row_shape(manifest))
        for name in described_formats(shards)
    )
    splits = {}
    for name, described in shards["splits"].items():
        places = described["rows"] * row_tokens
        splits[name] = {
            "documents": described["documents"],
            "tokens": described["tokens"],
            "rows": described["rows"],
            "shards": len(described["shards"]),
            **({"labels": described["labels"]} if "labels" in described else {}),
            **(_pieces(run, name, row_tokens, places) if borders else _whole_rows(described, places)),
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
        "labels": manifest["labels"]["names"] if "labels" in manifest else [],
        "sources": _sources(run, manifest),
        "formats": formats,
        "files": files,
    }


def _sources(run: RunRecords, manifest: Json) -> dict[str, Json]:
    """What of each source is in the set, from the ledger: the manifest's own tokens are those before any draw."""
    names = [source.name for source in run.config.sources]
    found = np.zeros((3, len(names)), np.int64)
    try:
        for number, (ledger, verdicts) in enumerate(zip(run.ledger, run.of("filter"), strict=True)):
            found += _counted(run, number, ledger, verdicts, len(names))
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise StorageError(
            f"a table under work/ cannot be read ({error}); `winnow verify` lists all damaged files"
        ) from error
    return {
        name: {
            "documents": documents,
            "copies": copies,
            "tokens": tokens,
            "weight": manifest["sources"][name]["weight"],
        }
        for name, documents, copies, tokens in zip(names, *found.tolist(), strict=True)
    }


def _counted(run: RunRecords, number: int, ledger: Record, verdicts: Record, sources: int) -> NDArray[np.int64]:
    """Of one part, int64[3, S]: documents, copies, tokens."""
    decisions = read_parquet(run.store, ledger.outputs["decisions"].reference(), ["doc", "copies"])
    copies = column_to_numpy(decisions, "copies").astype(np.int64)
    docs, copies = column_to_numpy(decisions, "doc")[copies > 0], copies[copies > 0]
    table = read_parquet(run.store, verdicts.outputs["verdicts"].reference(), ["doc", "source"])
    source = column_to_numpy(table, "source")[np.searchsorted(column_to_numpy(table, "doc"), docs)].astype(np.int64)
    token_docs, length = token_lengths(run, number)
    tokens = (length[np.searchsorted(token_docs, docs)] + 1) * copies
    counts = np.zeros((3, sources), np.int64)
    for row, values in zip(counts, (np.ones_like(copies), copies, tokens), strict=True):
        np.add.at(row, source, values)
    return counts


def _whole_rows(described: Json, places: int) -> Json:
    """What can be said of a split without the borders of documents."""
    fill = round(described["row_tokens"] / places, 6) if places else None
    return {"fill": fill, "pieces": None, "pieces_a_row": None, "single_piece_rows": None, "piece_tokens": {}}


def _pieces(run: RunRecords, split: str, row_tokens: int, places: int) -> Json:
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
