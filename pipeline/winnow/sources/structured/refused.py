"""Conversations that their template refuses: no documents, but unreadable records with the template's reason."""

import dataclasses

import numpy as np
import orjson
import pyarrow as pa

from winnow.sources.readers.registry import READERS
from winnow.sources.records import RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import STRUCTURE, SourceConfig
from winnow.sources.structured.chat import render
from winnow.sources.structured.structure import conversation_of
from winnow.sources.structured.template_environment import ChatTemplateError


def without_refused(batch: RecordBatch, source: SourceConfig, file_slice: FileSlice) -> RecordBatch:
    """The batch without conversations that the source's template cannot render.

    Raises:
        OSError: no process can be started to render in.
    """
    structures = [orjson.loads(structure) for structure in batch.keep[STRUCTURE].to_pylist()]
    conversations = [conversation for one in structures if (conversation := conversation_of(one))]
    rendered = render(source.template, conversations)
    refused = {row: str(error) for row, error in enumerate(rendered) if isinstance(error, ChatTemplateError)}
    if not refused:
        return batch
    position = file_slice.start if READERS.get(file_slice.format).by_bytes else 0
    notes = [
        Unreadable(
            row=int(batch.rows[row]),
            position=position,
            reason=f"template error: {reason}",
            bytes=len(batch.texts[row].as_py().encode()),
            id=batch.ids[row].as_py(),
        )
        for row, reason in refused.items()
    ]
    good = np.ones(len(batch.rows), bool)
    good[list(refused)] = False
    mask = pa.array(good)
    return dataclasses.replace(
        batch,
        rows=batch.rows[good],
        ids=batch.ids.filter(mask),
        texts=batch.texts.filter(mask),
        keep={name: column.filter(mask) for name, column in batch.keep.items()},
        unreadable=batch.unreadable + notes,
        replaced=min(batch.replaced, int(good.sum())),
    )
