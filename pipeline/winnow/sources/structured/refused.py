"""Conversations that their template refuses: no documents, but unreadable records with the template's reason."""

import orjson

from winnow.sources.readers.registry import is_cut_by_bytes
from winnow.sources.records import RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import STRUCTURE, SourceConfig
from winnow.sources.structured.chat import render
from winnow.sources.structured.structure import conversations_of
from winnow.sources.structured.template_environment import ChatTemplateError


def without_refused(batch: RecordBatch, source: SourceConfig, file_slice: FileSlice) -> RecordBatch:
    """The batch without conversations that the source's template cannot render.

    Raises:
        OSError: no process can be started to render in.
    """
    talks = [conversations_of(orjson.loads(structure)) for structure in batch.keep[STRUCTURE].to_pylist()]
    rows = [row for row, some in enumerate(talks) for _ in some]
    rendered = render(source.template, [talk for some in talks for talk in some])
    refused = {
        row: str(error) for row, error in zip(rows, rendered, strict=True) if isinstance(error, ChatTemplateError)
    }
    if not refused:
        return batch
    position = file_slice.start if is_cut_by_bytes(file_slice.path, file_slice.format) else 0
    notes = {
        row: Unreadable(
            row=int(batch.rows[row]),
            position=position,
            reason=f"template error: {reason}",
            bytes=len(batch.texts[row].as_py().encode()),
            id=batch.ids[row].as_py(),
        )
        for row, reason in refused.items()
    }
    return batch.without(notes)
