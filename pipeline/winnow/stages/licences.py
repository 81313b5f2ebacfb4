"""The licence of each document: what it says itself, else what its source says of all its documents."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc


def licences_of(
    documents: pa.RecordBatch | pa.Table, field: str, declared: Mapping[str, str | None]
) -> pa.ChunkedArray:
    """Licences string[N], null where neither says one.

    Args:
        documents: N rows of the documents table: ``source``, and the kept field where a source of the part has it.
        field: the kept field, without what the table puts before it.
        declared: the licence of each source.
    """
    names = pa.array(list(declared), pa.string())
    place = pc.index_in(documents.column("source").cast(pa.string()), value_set=names)
    of_source = pa.array(list(declared.values()), pa.string()).take(place)
    column = f"keep.{field}"
    if column not in documents.schema.names:
        return of_source
    return pc.coalesce(documents.column(column).cast(pa.string()), of_source)
