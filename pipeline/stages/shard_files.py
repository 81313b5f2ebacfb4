"""The files of a shard: its rows in every format that the config asks for."""

from pipeline.engine.stage import Workspace
from pipeline.shards.packed_rows import PackedRows
from pipeline.shards.parquet import ParquetShardWriter


def write_rows(workspace: Workspace, path: str, packed: PackedRows) -> None:
    """Write a shard and publish it."""
    row_tokens = packed.rows.shape[1]
    with workspace.store.create(path, "sha256") as draft:
        writer = ParquetShardWriter(
            draft.arrow(),
            row_tokens,
            packed.rows.dtype,
            workspace.settings["compression"],
            {name: column.dtype for name, column in packed.columns.items()},
            docs=packed.docs is not None,
        )
        writer.write(*packed)
        writer.close()
    workspace.store.release(path)
    workspace.published("shard", path, draft, len(packed.rows))
