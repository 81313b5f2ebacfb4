"""Shard sets of known rows, written by the real writer."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.shards.footer import describe_footer
from winnow.shards.formats import raw
from winnow.shards.manifest import file_entry, manifest_bytes, shard_entry
from winnow.shards.packed_rows import PackedRows
from winnow.shards.parquet import ParquetShardWriter

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
    formats: tuple[str, ...] = ("parquet",),
    footers: bool = False,
) -> Path:
    """A shard set: for each split its shards' rows, and the lengths of their pieces (default: one piece a row)."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {file_format: {} for file_format in formats}
    some = next(rows for shards in splits.values() for rows in [*shards, np.zeros((0, 5), np.uint32)])
    for name, shards in splits.items():
        entries = {file_format: [] for file_format in formats}
        for number, rows in enumerate(shards):
            lens = pieces[name][number] if pieces else [[rows.shape[1]]] * len(rows)
            path = folder / f"{name}-{number:05d}-of-{len(shards):05d}.parquet"
            packed = PackedRows(
                rows,
                np.array([length for row in lens for length in row], np.uint32),
                np.concatenate([[0], np.cumsum([len(row) for row in lens])]).astype(np.int64),
                **({"columns": columns[name][number]} if columns else {}),
            )
            tokens = sum(map(sum, lens))
            if "parquet" in formats:
                with pa.OSFile(str(path), "wb") as sink:
                    kinds = {column: values.dtype for column, values in packed.columns.items()}
                    writer = ParquetShardWriter(sink, rows.shape[1], rows.dtype, compression, kinds)
                    writer.write(*packed)
                    writer.close()
                data = path.read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                entries["parquet"].append(shard_entry(path.name, len(rows), len(data), digest, tokens))
                if footers:
                    with path.open("rb") as file:
                        entries["parquet"][-1]["footer"] = describe_footer(file)
            if "raw" in formats:
                entries["raw"].append(_write_raw(folder, f"{name}-{number:05d}", packed, tokens))
        for file_format in formats:
            described[file_format][name] = {"shards": entries[file_format]}
    manifest = {
        "shards": {
            "row": "concat",
            "row_tokens": some.shape[1],
            "sequence_tokens": some.shape[1] - 1,
            "dtype": some.dtype.name,
            "format": formats[0],
            "formats": {file_format: described[file_format] for file_format in formats[1:]},
            "splits": described[formats[0]],
        },
        "vocabulary": {"name": "made-up", "size": 60_000, "end_of_text": END_OF_TEXT},
    }
    (folder / "manifest.json").write_bytes(manifest_bytes(manifest))
    return folder


def _write_raw(folder: Path, name: str, packed: PackedRows, tokens: int) -> dict:
    (folder / "raw").mkdir(exist_ok=True)
    data = b"".join(raw.payload(packed))
    (folder / "raw" / f"{name}.bin").write_bytes(data)
    entry = shard_entry(f"raw/{name}.bin", len(packed.rows), len(data), hashlib.sha256(data).hexdigest(), tokens)
    entry["files"] = []
    for suffix, content in raw.sidecars(packed, END_OF_TEXT, 60_000):
        (folder / "raw" / f"{name}{suffix}").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entry["files"].append(file_entry(f"raw/{name}{suffix}", len(content), digest))
    return entry
