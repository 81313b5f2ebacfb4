"""Records of a finished run that could not be read."""

from collections.abc import Iterator

from winnow import schemas
from winnow.engine.records import Json
from winnow.flow.records import RunRecords
from winnow.stages.tables import parquet_batches


def unreadable_records(run: RunRecords, sources: tuple[str, ...] = ()) -> Iterator[Json]:
    """Every unreadable record in input order: source, path, row (None for the rest of a file), id, position, reason.

    Args:
        run: a finished run.
        sources: only of these; empty: of all.
    """
    for record in run.of("measure"):
        reference = record.outputs["unreadable"].reference()
        for batch in parquet_batches(run.store, reference, schemas.UNREADABLE_RECORDS.names):
            for row in batch.to_pylist():
                if not sources or row["source"] in sources:
                    doc = row.pop("doc")
                    number = None if doc == int(schemas.NO_DOC) else schemas.split_document_number(doc)[1]
                    yield {**row, "row": number}
