"""CSV as an input format: the first line names the fields, every further record is a document."""

import csv
import sys

from winnow.sources.readers.reader import BadRecordError, FileFaultError, Reader, batches_of, open_text


def read(part, source, file, batch_bytes):
    yield from batches_of(records(part, file), part, source, file, batch_bytes)


def records(part, file):
    """Each record as a dict; one that cannot be read as a BadRecordError."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    rows = csv.reader(open_text(file, part.path), strict=True)
    try:
        names = next(rows, [])
        for values in rows:
            if len(values) == len(names):
                yield dict(zip(names, values, strict=True))
            else:
                yield BadRecordError(f"wrong number of fields: {len(values)}, the first line has {len(names)}")
    except csv.Error as error:  # from here on nobody can tell where a record begins
        raise FileFaultError(f"malformed CSV: {error}", file.position) from error


READER = Reader(name="csv", suffixes=(".csv",), read=read)
