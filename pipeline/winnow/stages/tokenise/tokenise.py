"""Tokenise: ids of every kept document, checked against the reference tokeniser on a sample of every unit."""

from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.fault_point import fault_point
from winnow.sources.source import STRUCTURE
from winnow.stages.edits import edited_columns, read_edits
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.tables import column_to_numpy, ipc_output, parquet_batches, read_ipc
from winnow.stages.tokenise.dropout import Dropout
from winnow.stages.versions import library_versions
from winnow.storage.node_copy import node_copy, without_pin
from winnow.text.edits import Edits
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.structured import MarkedTexts, encode_structured
from winnow.tokens.tokeniser import Tokeniser, with_first_token
from winnow.tokens.vocabulary import Vocabulary


def stage(
    config: TokeniserConfig, vocabulary: Vocabulary, structured: Json | None = None, chance: Json | None = None
) -> Stage:
    """The stage; the vocabulary's hash is part of what its results depend on.

    ``structured`` are the settings of :func:`encode_structured`; None in runs without marks. ``chance`` are those of
    :class:`Dropout`, where ids have some.
    """
    how = {"check_share", "cache_mb"}  # they change no id
    settings = {
        "config": config.model_dump(exclude={*how, "dropout"}) | {"encoding": without_pin(config.encoding)},
        "vocabulary": vocabulary.sha256,
        "versions": library_versions("gigatoken", "tiktoken", "tokenizers"),
        "structured": structured,
        **({} if chance is None else {"dropout": chance}),
    }
    return Stage("tokenise", 2, settings, run, config.model_dump(include={*how, "encoding"}))


_MOST_LISTED = 8
"""Of one kind, in one record."""


@cache
def _tokeniser(config: bytes) -> Tokeniser:
    return Tokeniser(TokeniserConfig.model_validate_json(config))


def run(unit: Unit, workspace: Workspace) -> None:
    """Encode the part's surviving documents."""
    with workspace.timed("load kernels"):
        encoding = node_copy(workspace.runtime["encoding"], workspace.store.storage)
        config = workspace.settings["config"] | workspace.runtime | {"encoding": encoding}
        tokeniser = _tokeniser(orjson.dumps(config))
        dropout = Dropout(unit, workspace, tokeniser) if "dropout" in workspace.settings else None
    survivors = column_to_numpy(read_ipc(workspace.store, unit.inputs["survivors"]), "doc")
    workspace.metadata["engine"] = tokeniser.engine
    structured = workspace.settings["structured"]
    ids_type = pa.from_numpy_dtype(np.dtype(np.uint32 if structured else tokeniser.vocabulary.dtype))
    with ipc_output(workspace, "tokens", schemas.tokens(ids_type, marks=structured is not None)) as table:
        columns = ["doc", "text", "source", *([f"keep.{STRUCTURE}"] if structured else [])]
        batches = parquet_batches(workspace.store, unit.inputs["documents"], columns)
        edits = read_edits(workspace.store, unit.inputs)
        while (batch := _next_survivors(batches, survivors, workspace)) is not None:
            batch = _edited(batch, edits)
            docs, texts = batch.column("doc").to_numpy(), batch.column("text")
            probe_in_child(workspace, docs, batch, partial(_process, tokeniser, structured))
            fault_point("batch", stage="tokenise", texts=texts)
            with workspace.timed("tokenise and check"):
                if structured:
                    marked = _encode_structured(tokeniser, batch, structured)
                    encoded, checked, more = marked.encoded, marked.checked, {"end_mark": marked.end_marks}
                    workspace.count("truncated_pairs", marked.truncated)
                    _note_conversations(workspace, marked, docs)
                else:
                    encoded, checked = tokeniser.encode_checked(texts)
                    if dropout is not None:
                        encoded = dropout(encoded, docs, texts)
                    encoded, more = with_first_token(encoded, tokeniser.vocabulary.first_token), {}
            ids = pa.LargeListArray.from_arrays(pa.array(encoded.offsets, pa.int64()), pa.array(encoded.ids, ids_type))
            with workspace.timed("write"):
                table.write({"doc": docs, "ids": ids, **more})
            workspace.count("documents", len(docs))
            workspace.count("tokens", len(encoded.ids))
            workspace.count("text_bytes", texts.nbytes)
            workspace.count("checked", checked.documents)
            workspace.count("mismatches", len(checked.mismatches))
            workspace.count("lossy", checked.lossy)
            workspace.count("unchecked", checked.unchecked)
            for mismatch in checked.mismatches:
                number = int(docs[mismatch.row])
                workspace.metadata.setdefault("mismatches", []).append({"doc": number, "reason": mismatch.reason})
            _count_sources(workspace, batch.column("source"), np.diff(encoded.offsets))
    workspace.store.drop_page_cache(unit.inputs["documents"]["path"])


def _edited(batch: pa.RecordBatch, edits: Edits) -> pa.RecordBatch:
    """The batch with its edits made."""
    column = f"keep.{STRUCTURE}"
    structures = batch.column(column) if column in batch.schema.names else None
    docs, texts = batch.column("doc").to_numpy(), batch.column("text")
    texts, structures = edited_columns(docs, texts, structures, edits)
    changed = {"text": texts, **({} if structures is None else {column: structures})}
    return pa.record_batch({name: changed.get(name, batch.column(name)) for name in batch.schema.names})


def _note_conversations(workspace: Workspace, marked: MarkedTexts, docs: NDArray[np.uint64]) -> None:
    """Count what the templates refused, spelled and left out, with the first few documents."""
    workspace.count("refused_conversations", len(marked.refused))
    workspace.count("unanswered_conversations", marked.unanswered)
    listed = workspace.metadata.setdefault("refused", [])
    listed += [{"doc": int(docs[row]), "reason": reason} for row, reason in sorted(marked.refused.items())]
    del listed[_MOST_LISTED:]
    for name, conversations in sorted(marked.spelled.items())[:_MOST_LISTED]:
        workspace.count(f"spelled/{name}", conversations)
    for part, conversations in sorted(marked.unread.items()):
        workspace.count(f"unread/{part}", conversations)


def _process(tokeniser: Tokeniser, structured: Json | None, batch: pa.RecordBatch) -> None:
    """All that is done to texts, for nothing but to see whether the process lives."""
    fault_point("batch", stage="tokenise", texts=batch.column("text"))
    if structured:
        _encode_structured(tokeniser, batch, structured)
    else:
        tokeniser.encode_checked(batch.column("text"))


def _encode_structured(tokeniser: Tokeniser, batch: pa.RecordBatch, settings: Json) -> MarkedTexts:
    column = f"keep.{STRUCTURE}"
    known = column in batch.schema.names  # a part of plain documents only has no such column
    structures = batch.column(column).to_pylist() if known else [None] * batch.num_rows
    return encode_structured(tokeniser, batch.column("text"), structures, batch.column("source").to_pylist(), settings)


def _next_survivors(
    batches: Iterator[pa.RecordBatch], survivors: NDArray[np.uint64], workspace: Workspace
) -> pa.RecordBatch | None:
    """The next batch's surviving documents; None at the end."""
    with workspace.timed("read"):
        for batch in batches if len(survivors) else ():
            docs = batch.column("doc").to_numpy()
            place = np.minimum(np.searchsorted(survivors, docs), len(survivors) - 1)
            rows = np.flatnonzero(survivors[place] == docs)
            if len(rows):
                return batch if len(rows) == len(docs) else batch.take(pa.array(rows))
    return None


def _count_sources(workspace: Workspace, source: pa.DictionaryArray, lengths: NDArray[np.int64]) -> None:
    sums = np.bincount(source.indices.to_numpy(), weights=lengths, minlength=len(source.dictionary))
    for name, value in zip(source.dictionary.to_pylist(), sums, strict=True):
        if value:
            workspace.count(f"source_tokens/{name}", int(value))
