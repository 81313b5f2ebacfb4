"""What a unit notes while it reads: what could not be read, what is not as its source says, which fields there are."""

from collections import Counter

import numpy as np

from winnow import schemas
from winnow.engine.stage import Workspace
from winnow.sources.records import REPLACED, RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.stages.tables import TableOutput


def note_unreadable(table: TableOutput, workspace: Workspace, file_slice: FileSlice, records: list[Unreadable]) -> None:
    """List what of a batch could not be read, and count it by source and by reason."""
    if not records:
        return
    source = file_slice.source
    table.write(
        {
            "doc": np.array(
                [schemas.NO_DOC if bad.row is None else np.uint64(file_slice.file << 32 | bad.row) for bad in records],
                np.uint64,
            ),
            "source": [source] * len(records),
            "path": [file_slice.path] * len(records),
            "id": [bad.id for bad in records],
            "position": [bad.position for bad in records],
            "bytes": [bad.bytes for bad in records],
            "reason": [bad.reason for bad in records],
        }
    )
    workspace.count(f"unreadable/{source}", len(records))
    if file_slice.listed and any(bad.row is None for bad in records):
        workspace.count(f"unread_listed/{source}", 1)
    workspace.count("unread_bytes", sum(bad.bytes for bad in records if bad.row is None))
    for kind, number in sorted(Counter(bad.reason.split(":")[0] for bad in records).items()):
        workspace.count(f"unreadable_reason/{kind}", number)


def note_passed(workspace: Workspace, source: SourceConfig, batch: RecordBatch) -> None:
    """Count records of a file that are no documents: ``passed/SOURCE/WHAT``."""
    for what, number in batch.passed.items():
        workspace.count(f"passed/{source.name}/{what}", number)


def note_readable(workspace: Workspace, file_slice: FileSlice, source: SourceConfig, batch: RecordBatch) -> None:
    """Count what is to be told of a batch's readable records, with the first place of each kind.

    Counters: ``noted/SOURCE/NOTE`` (notes of ``winnow.sources.records``) and ``given/SOURCE/FIELD``, records that have
    a value for ``id`` or a field of ``keep``. Metadata: ``noted`` ({source: {note: "path, row 3"}}) and ``fields``
    ({source: names that its first record has}).
    """
    noted = batch.noted or ({REPLACED: (batch.replaced, int(batch.rows[0]))} if batch.replaced else {})
    for note, (number, row) in noted.items():
        workspace.count(f"noted/{source.name}/{note}", min(number, len(batch.rows)))
        places = workspace.metadata.setdefault("noted", {}).setdefault(source.name, {})
        places.setdefault(note, f"{file_slice.path}, row {row:,}")
    if batch.fields:
        workspace.metadata.setdefault("fields", {}).setdefault(source.name, list(batch.fields))
    given = {name: batch.keep[name] for name in source.keep} | ({source.id: batch.ids} if source.id else {})
    for name, values in given.items():
        workspace.count(f"given/{source.name}/{name}", len(values) - values.null_count)
