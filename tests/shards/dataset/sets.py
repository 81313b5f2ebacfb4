"""Shard sets of known rows, written by the real writer."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.shards.manifest import manifest_bytes, shard_entry
from pipeline.shards.packed_rows import PackedRows
from pipeline.shards.parquet import ParquetShardWriter

END_OF_TEXT = 1


def numbered_rows(count: int, row_tokens: int = 5, dtype: str = "uint32") -> np.ndarray:
    """Rows that tell their own number: row n is n + 2 at every place, plus the place."""
    return (np.arange(count)[:, None] + np.arange(row_tokens) * 1000 + 2).astype(dtype)


def write_set(
    folder: Path,
    splits: dict[str, list[np.ndarray]],
    pieces: dict[str, list[list[list[int]]]] | None = None,
    compression: str = "none",
    columns: dict[str, list[dict[str, np.ndarray]]] | None = None,
) -> Path:
    """A shard set: for each split its shards' rows, and the lengths of their pieces (default: one piece a row)."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {}
    some = next(rows for shards in splits.values() for rows in [*shards, np.zeros((0, 5), np.uint32)])
    for name, shards in splits.items():
        entries = []
        for number, rows in enumerate(shards):
            lens = pieces[name][number] if pieces else [[rows.shape[1]]] * len(rows)
            path = folder / f"{name}-{number:05d}-of-{len(shards):05d}.parquet"
            packed = PackedRows(
                rows,
                np.array([length for row in lens for length in row], np.uint32),
                np.concatenate([[0], np.cumsum([len(row) for row in lens])]).astype(np.int64),
                **({"columns": columns[name][number]} if columns else {}),
            )
            with pa.OSFile(str(path), "wb") as sink:
                kinds = {column: values.dtype for column, values in packed.columns.items()}
                writer = ParquetShardWriter(sink, rows.shape[1], rows.dtype, compression, kinds)
                writer.write(*packed)
                writer.close()
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            entries.append(shard_entry(path.name, len(rows), len(data), digest, sum(map(sum, lens))))
        described[name] = {"rows": sum(e["rows"] for e in entries), "shards": entries}
    manifest = {
        "shards": {
            "row": "concat",
            "row_tokens": some.shape[1],
            "sequence_tokens": some.shape[1] - 1,
            "dtype": some.dtype.name,
            "splits": described,
        },
        "vocabulary": {"name": "made-up", "size": 60_000, "end_of_text": END_OF_TEXT},
    }
    (folder / "manifest.json").write_bytes(manifest_bytes(manifest))
    return folder
