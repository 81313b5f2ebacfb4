"""Redact's spans: what operators that find spans make of every document that is kept so far.

Two tables: ``edits`` (what is replaced, and by what), and ``signals`` (how many spans of each kind). Stored texts stay
as they are. Of a conversation or pair the contents are looked at one by one.

Legend: N kept documents of a batch, P pieces of text: a document, or the contents of one.
"""

from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.fault_point import fault_point
from winnow.operators.apply import Applier
from winnow.operators.chain import Chain
from winnow.operators.operator import VALUE, Operator
from winnow.operators.spans import Found, spans_apart
from winnow.sources.source import STRUCTURE
from winnow.sources.structured.structure import messages_of
from winnow.stages.edits import edited_columns, joined_contents, read_edits, with_edits
from winnow.stages.ingest.measure import Part
from winnow.stages.ingest.operators import appliers_of
from winnow.stages.screen.signals import no_language, prepare, probe, quarantine_failed, settings_of
from winnow.stages.screen.signals import plan as plan_signals
from winnow.stages.tables import parquet_output, read_parquet
from winnow.storage.store import Store
from winnow.text.edits import Edits, merge_edits

LEFT = "bytes_left"
"""The signal that says how many bytes a document's text has with the edits of all steps so far made, blanks at both
ends left out."""
_STRUCTURE = f"keep.{STRUCTURE}"


def stage(operators: list[Operator], measured: list[str], most_aside: int) -> Stage:
    """The stage.

    Args:
        operators: those that find spans, in order.
        measured: columns of the signals table, made by operators before, that they may see.
        most_aside: documents that may be set aside, after which the run ends anyway.
    """
    settings, runtime = settings_of(operators, measured, most_aside)
    return Stage("redact_spans", 2, settings, run, runtime)


def plan(parts: list[Part], kept: list[Record], edits: list[list[Json]]) -> list[Unit]:
    """One unit a part; ``edits`` are those of steps before."""
    return with_edits(plan_signals(parts, kept), edits)


def run(unit: Unit, workspace: Workspace) -> None:
    """Find the spans of the part's kept documents.

    Raises:
        OperatorError: an operator broke its contract.
        QuarantineError: one raised on some documents; they are named now.
    """
    appliers = appliers_of(workspace)
    chain = Chain(appliers, no_language, workspace.count)
    structures = _structures(workspace.store, unit.inputs["documents"])
    failed: dict[int, str] = {}
    prepared, before = prepare(unit, workspace), read_edits(workspace.store, unit.inputs)
    with (
        parquet_output(workspace, "edits", schemas.EDITS, plain=("doc", "start", "end")) as edits,
        parquet_output(workspace, "signals", _schema(appliers), plain=("doc",)) as signals,
    ):
        for whole in prepared.to_batches():
            docs, batch = whole.column(0).to_numpy(), whole.select(list(range(1, whole.num_columns)))
            pieces = _in_pieces(docs, batch, structures)
            probe(workspace, appliers, docs[pieces.row], pieces.batch)
            fault_point("batch", stage=workspace.stage_name, texts=batch.column("text"))
            with workspace.timed("operators"):
                made = chain(pieces.batch, docs[pieces.row])
            failed |= {int(docs[pieces.row[piece]]): reason for piece, reason in made.failed.items()}
            if made.failed:
                continue  # the unit is done again without them
            found = [_on_documents(workspace, applier, made.columns, pieces) for applier in appliers]
            with workspace.timed("write"):
                merged = merge_edits([_edits(docs, *each) for each in zip(appliers, found, strict=True)])
                edits.write(merged.columns())
                every = merge_edits([before.of_documents(docs), merged])
                left = _left(docs, batch.column("text"), structures, every)
                counts = _counts(workspace, appliers, found, batch.column("source"), len(docs))
                described = {name: batch.column(name) for name in ("source", "language")}
                signals.write({"doc": docs, **described, **counts, LEFT: left})
            workspace.count("documents", len(docs))
            workspace.count("edits", len(merged))
        chain.finish()
        if failed:
            quarantine_failed(workspace, appliers, failed)


class _Pieces(NamedTuple):
    """The texts that operators are asked about."""

    batch: pa.RecordBatch
    """[P], what they see."""
    row: NDArray[np.int64]
    """int64[P], the document."""
    start: NDArray[np.int64]
    """int64[P], where the piece begins among the contents of its document."""
    fixed: NDArray[np.bool_]
    """bool[P], contents that are no strings: what is found there stays."""


def _structures(store: Store, documents: Json) -> dict[int, str]:
    """Structures of the documents that have one, by number."""
    with pq.ParquetFile(store.columns_of(documents["path"])) as file:
        if _STRUCTURE not in file.schema_arrow.names:
            return {}
    table = read_parquet(store, documents, ["doc", _STRUCTURE])
    table = table.filter(pc.is_valid(table.column(_STRUCTURE)))
    return dict(zip(table.column("doc").to_pylist(), table.column(_STRUCTURE).to_pylist(), strict=True))


def _in_pieces(docs: NDArray[np.uint64], batch: pa.RecordBatch, structures: dict[int, str]) -> _Pieces:
    """Documents with a structure in its contents, the others as they are."""
    everything = np.arange(len(docs))
    if not any(doc in structures for doc in docs.tolist()):
        return _Pieces(batch, everything, np.zeros(len(docs), np.int64), np.zeros(len(docs), np.bool_))
    rows: list[int] = []
    starts: list[int] = []
    texts: list[str] = []
    fixed: list[bool] = []
    for row, (doc, text) in enumerate(zip(docs.tolist(), batch.column("text").to_pylist(), strict=True)):
        contents, begins = joined_contents(structures[doc]) if doc in structures else ([text], [0])
        rows += [row] * len(contents)
        starts += begins
        texts += contents
        fixed += _are_no_strings(structures[doc]) if doc in structures else [False]
    taken = batch.take(pa.array(rows, pa.int64()))
    columns = {name: taken.column(name) for name in taken.schema.names} | {"text": pa.array(texts, pa.large_string())}
    return _Pieces(
        pa.record_batch(columns), np.array(rows, np.int64), np.array(starts, np.int64), np.array(fixed, np.bool_)
    )


def _are_no_strings(structure: str) -> list[bool]:
    """Of each content of a structure, whether it is something else than a string, such as a tool call's arguments."""
    kinds: list[bool] = []
    for part in messages_of(orjson.loads(structure)):
        values = [part] if type(part) is str else [value for key, value in part.items() if key != "role"]
        kinds += [type(value) is not str for value in values]
    return kinds


def _on_documents(workspace: Workspace, applier: Applier, columns: dict[str, pa.Array], pieces: _Pieces) -> Found:
    """What an operator found, by document; places as edits count them."""
    found = spans_apart(applier.operator, columns[applier.operator.name], pieces.batch.column("text"))
    if applier.operator.tokens is not None and pieces.fixed.any():
        workspace.count("spans_left", int(pieces.fixed[found.row].sum()))
    shift = pieces.start[found.row]
    return Found(pieces.row[found.row], found.start + shift, found.end + shift, found.kind)


def _edits(docs: NDArray[np.uint64], applier: Applier, found: Found) -> Edits:
    operator = applier.operator
    if operator.tokens is None:
        return Edits.none()
    names = [f"{operator.name}.{kind}" for kind in operator.kinds]
    tokens = [operator.tokens[kind] for kind in operator.kinds]
    codes = pa.array(found.kind, pa.int32())
    return Edits(
        docs[found.row],
        found.start,
        found.end,
        pa.DictionaryArray.from_arrays(codes, pa.array(tokens, pa.string())),
        pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string())),
    )


def _counts(
    workspace: Workspace, appliers: list[Applier], found: list[Found], source: pa.Array, rows: int
) -> dict[str, Any]:
    """Columns float32[N], how many spans of each kind; counted by kind, and by source and kind."""
    columns = {}
    names, codes = source.dictionary.to_pylist(), source.indices.to_numpy()
    for applier, spans in zip(appliers, found, strict=True):
        operator = applier.operator
        total = np.bincount(spans.row, minlength=rows)
        for number, kind in enumerate(operator.kinds):
            each = np.bincount(spans.row[spans.kind == number], minlength=rows)
            columns[f"{operator.name}.{kind}"] = each.astype(np.float32)
            workspace.count(f"spans/{operator.name}.{kind}", int(each.sum()))
            workspace.count(f"with_spans/{operator.name}.{kind}", int((each > 0).sum()))
            for code, spans_there in enumerate(np.bincount(codes, weights=each, minlength=len(names)).tolist()):
                if spans_there:
                    workspace.count(f"spans_of/{names[code]}/{operator.name}.{kind}", int(spans_there))
        columns[operator.columns[-1]] = total.astype(np.float32)
    return columns


def _left(docs: NDArray[np.uint64], texts: pa.Array, structures: dict[int, str], edits: Edits) -> NDArray[np.float32]:
    """float32[N], bytes of each document's text with edits made, blanks at both ends left out where there are some."""
    left: NDArray[np.float32] = pc.binary_length(texts).to_numpy().astype(np.float32)
    row = np.searchsorted(docs, np.unique(edits.doc))
    if len(row):
        chosen = docs[row]
        mine = pa.array([structures.get(doc) for doc in chosen.tolist()], pa.string())
        edited, _ = edited_columns(chosen, texts.take(pa.array(row)), mine, edits)
        left[row] = pc.binary_length(pc.utf8_trim_whitespace(edited)).to_numpy()
    return left


def _schema(appliers: list[Applier]) -> pa.Schema:
    name = schemas.documents().field("source").type
    columns = [column for applier in appliers for column in applier.operator.columns]
    found = [pa.field(column, VALUE) for column in [*columns, LEFT]]
    return pa.schema([("doc", pa.uint64()), ("source", name), ("language", name), *found])
