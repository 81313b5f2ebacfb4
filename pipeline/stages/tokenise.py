"""Tokenise: ids of every kept document, checked against the reference tokeniser on a sample of every unit."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from pipeline import schemas
from pipeline.engine.records import Record, Unit
from pipeline.engine.stage import Stage, Workspace
from pipeline.stages.measure import Part
from pipeline.stages.tables import ipc_output, numbers, parquet_batches, read_ipc
from pipeline.stages.versions import library_versions
from pipeline.tokens.tokeniser import Tokeniser, with_first_token
from pipeline.tokens.vocabulary import TokeniserConfig, Vocabulary


def stage(config: TokeniserConfig, vocabulary: Vocabulary) -> Stage:
    """The stage; the vocabulary's hash is part of what its results depend on."""
    how = {"check_share", "cache_mb"}  # they change no id
    unset = {name for name in ("lowercase", "first_token") if getattr(config, name) is None}
    settings = {
        "config": config.model_dump(exclude=how | unset),
        "vocabulary": vocabulary.sha256,
        "versions": library_versions("gigatoken", "tiktoken", "tokenizers"),
    }
    return Stage("tokenise", 1, settings, run, config.model_dump(include=how))


def plan(parts: list[Part], decided: list[Record]) -> list[Unit]:
    """One unit a part; only its text and who survived name the work."""
    return [
        Unit(
            part.number,
            {"documents": part.documents, "survivors": record.outputs["survivors"].reference()},
            part.text_bytes,
        )
        for part, record in zip(parts, decided, strict=True)
    ]


@cache
def _tokeniser(config: bytes) -> Tokeniser:
    return Tokeniser(TokeniserConfig.model_validate_json(config))


def run(unit: Unit, workspace: Workspace) -> None:
    """Encode the part's surviving documents."""
    with workspace.timed("load kernels"):
        tokeniser = _tokeniser(orjson.dumps(workspace.settings["config"] | workspace.runtime))
    survivors = numbers(read_ipc(workspace.store, unit.description["survivors"]), "doc")
    ids_type = pa.from_numpy_dtype(np.dtype(tokeniser.vocabulary.dtype))
    with ipc_output(workspace, "tokens", schemas.tokens(ids_type)) as table:
        batches = parquet_batches(workspace.store, unit.description["documents"], ["doc", "text", "source"])
        while (batch := _next_survivors(batches, survivors, workspace)) is not None:
            docs, texts = batch.column("doc").to_numpy(), batch.column("text")
            with workspace.timed("tokenise and check"):
                encoded, checked = tokeniser.encode_checked(texts)
            encoded = with_first_token(encoded, tokeniser.vocabulary.first_token)
            ids = pa.LargeListArray.from_arrays(pa.array(encoded.offsets, pa.int64()), pa.array(encoded.ids, ids_type))
            with workspace.timed("write"):
                table.write({"doc": docs, "ids": ids})
            workspace.count("documents", len(docs))
            workspace.count("tokens", len(encoded.ids))
            workspace.count("text_bytes", texts.nbytes)
            workspace.count("checked", checked.documents)
            workspace.count("mismatches", len(checked.mismatches))
            workspace.count("lossy", checked.lossy)
            for mismatch in checked.mismatches:
                number = int(docs[mismatch.row])
                workspace.notes.setdefault("mismatches", []).append({"doc": number, "reason": mismatch.reason})
            _count_sources(workspace, batch.column("source"), np.diff(encoded.offsets))
    workspace.store.release(unit.description["documents"]["path"])


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
