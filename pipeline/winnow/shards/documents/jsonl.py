"""Clean text as lines of JSON, compressed with zstd."""

import orjson
import pyarrow as pa

from winnow.shards.documents.formats import TextFormat
from winnow.storage.draft import Draft

_ROWS = 1024  # documents that are Python objects at once


def write(table: pa.Table, draft: Draft) -> None:
    """One object a line, keys in the order of the columns; what is missing is null."""
    with pa.CompressedOutputStream(draft.arrow(), "zstd") as stream:
        for batch in table.to_batches(max_chunksize=_ROWS):
            stream.write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist()))


FORMAT = TextFormat(suffix=".jsonl.zst", write=write, packages=("pyarrow", "orjson"))
