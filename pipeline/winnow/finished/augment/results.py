"""The tables that `winnow augment` writes: texts with what they were made of, and what was left out, and why."""

import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from winnow.engine.records import Json
from winnow.finished.augment.chain import Outcome, Task
from winnow.storage.store import Store

DOCUMENTS, LEFT_OUT = "documents", "left_out"
SHOWN_CHARACTERS = 1000
ID, PARENT = "id", "parent"
TEXTS = pa.schema(
    [
        (ID, pa.string()),
        ("text", pa.large_string()),
        (PARENT, pa.string()),  # the id of the document that it was made of
        ("parent_source", pa.string()),
        ("passage", pa.uint32()),  # number in that document, from 0
        ("operator", pa.string()),
        ("model", pa.string()),  # as the server named it
        ("prompt", pa.string()),  # names the prompts: files below prompts/
        ("licence", pa.string()),  # of the document that it was made of
    ]
)
"""One row a text."""
REASONS = pa.schema(
    [
        (PARENT, pa.string()),
        ("parent_source", pa.string()),
        ("passage", pa.uint32()),
        ("operator", pa.string()),
        ("model", pa.string()),
        ("reason", pa.string()),
        ("answer", pa.string()),  # its beginning
    ]
)
"""One row a request without a text."""


class Written(NamedTuple):
    """A file."""

    path: str
    bytes: int
    hash: str
    rows: int

    def entry(self) -> Json:
        """As the manifest has it."""
        return self._asdict()


def write_part(store: Store, number: int, tasks: list[Task], found: list[Outcome]) -> Iterator[tuple[str, Written]]:
    """Write the tables of a part that have rows. A file that holds the same already is left as it is: a run that reads
    it takes it for the file it has read."""
    pairs = list(zip(tasks, found, strict=True))
    texts = pa.Table.from_pylist([_text(task, outcome) for task, outcome in pairs if not outcome.reason], TEXTS)
    reasons = pa.Table.from_pylist([_left_out(task, outcome) for task, outcome in pairs if outcome.reason], REASONS)
    for folder, table in ((DOCUMENTS, texts), (LEFT_OUT, reasons)):
        if table.num_rows:
            yield folder, _write(store, f"{folder}/part-{number:05d}.parquet", table)


def remove_others(store: Store, written: Iterable[Written]) -> None:
    """Remove tables of attempts before that this one does not have."""
    ours = {file.path for file in written}
    for folder in (DOCUMENTS, LEFT_OUT):
        for name in store.list(folder, ".parquet"):
            if f"{folder}/{name}" not in ours:
                store.remove(f"{folder}/{name}")


def _write(store: Store, path: str, table: pa.Table) -> Written:
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    data = content.getvalue()
    digest = f"xxh3_128:{xxhash.xxh3_128_hexdigest(data)}"
    if store.size(path) != len(data) or store.hash(path) != digest:
        store.replace(path, data)
    return Written(path, len(data), digest, table.num_rows)


def _text(task: Task, outcome: Outcome) -> Json:
    passage, asking = task
    return {
        ID: f"{passage.parent}#{asking.label}.{passage.number}",
        "text": outcome.text,
        PARENT: passage.parent,
        "parent_source": passage.source,
        "passage": passage.number,
        "operator": asking.label,
        "model": outcome.model,
        "prompt": asking.prompt,
        "licence": passage.licence,
    }


def _left_out(task: Task, outcome: Outcome) -> Json:
    passage, asking = task
    return {
        PARENT: passage.parent,
        "parent_source": passage.source,
        "passage": passage.number,
        "operator": asking.label,
        "model": outcome.model,
        "reason": outcome.reason,
        "answer": outcome.answer[:SHOWN_CHARACTERS],
    }
