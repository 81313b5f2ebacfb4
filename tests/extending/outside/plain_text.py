"""Clean text as plain text files: documents one after another, a form feed on a line of its own behind each."""

import pyarrow as pa

from winnow.shards.documents.formats import TextFormat
from winnow.storage.draft import Draft


def write(table: pa.Table, draft: Draft) -> None:
    """The column ``text`` of a file's documents."""
    for text in table.column("text"):
        draft.write(text.as_py().encode() + b"\n\f\n")


FORMAT = TextFormat(suffix=".txt", write=write, packages=())
