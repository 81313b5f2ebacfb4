"""The licence of each document: what it says itself, else what its source says of all its documents."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc


def licences_of(
    documents: pa.RecordBatch | pa.Table, fields: Sequence[str], declared: Mapping[str, str | None]
) -> pa.ChunkedArray:
    """Licences string[N], null where neither says one.

    Args:
        documents: N rows of the documents table: ``source``, and the kept fields where a source of the part has them.
        fields: kept fields that may say it, without what the table puts before them; the first that does counts.
        declared: the licence of each source.
    """
    names = pa.array(list(declared), pa.string())
    place = pc.index_in(documents.column("source").cast(pa.string()), value_set=names)
    of_source = pa.array(list(declared.values()), pa.string()).take(place)
    there = [name for name in (f"keep.{field}" for field in fields) if name in documents.schema.names]
    return pc.coalesce(*(documents.column(name).cast(pa.string()) for name in there), of_source)
