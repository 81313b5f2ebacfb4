"""Screen's signals: what operators with ``gpu=True`` make of every document that ``decide`` keeps. No text changes.

In two halves, as every stage that can use GPUs: ``prepare`` reads what the operators see, ``finish`` runs them where
the GPU is, and writes the table ``signals``: doc, source, language, and the operators' columns.

Legend: N kept documents of a part.
"""

import sys
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.quarantine import add_to_quarantine, told
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Accelerated, Stage, Workspace
from winnow.errors import OperatorError, QuarantineError
from winnow.fault_point import fault_point
from winnow.operators.apply import Applier
from winnow.operators.chain import OWN_COLUMNS, Chain
from winnow.operators.operator import Operator
from winnow.sources.source import STRUCTURE
from winnow.stages.decide.ledger_tables import survivor_units
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.ingest.measure import Part
from winnow.stages.ingest.operators import appliers_of, beside_texts, with_texts
from winnow.stages.tables import column_to_numpy, parquet_batches, parquet_output, read_ipc, read_parquet
from winnow.storage.store import Store

_KEPT = "keep."
"""Before the names of kept fields in the table of documents."""


def stage(operators: list[Operator], measured: list[str], most_aside: int) -> Stage:
    """The stage.

    Args:
        operators: those on GPUs, in order.
        measured: columns of the signals table, made by operators before, that they may see.
        most_aside: documents that may be set aside, after which the run ends anyway.
    """
    settings, runtime = settings_of(operators, measured, most_aside)
    return Stage("screen_signals", 1, settings, run, runtime, accelerated=Accelerated(prepare, finish))


def settings_of(operators: list[Operator], measured: list[str], most_aside: int) -> tuple[Json, Json]:
    """Settings of a stage that runs operators behind dedup, and what else its workers are told; see :func:`stage`."""
    settings = {"operators": [operator.described for operator in operators], "measured": measured}
    folders = {operator.name: operator.folder_paths for operator in operators}
    return settings, {"operator_folders": folders, "most_aside": most_aside}


def plan(parts: list[Part], decided: list[Record]) -> list[Unit]:
    """One unit a part; ``decided`` says which documents are kept."""
    units = survivor_units(parts, decided)
    return [
        Unit(unit.number, {**unit.inputs, "signals": part.signals}, unit.work_bytes)
        for unit, part in zip(units, parts, strict=True)
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Both halves in one process."""
    finish(unit, workspace, prepare(unit, workspace))


def prepare(unit: Unit, workspace: Workspace) -> pa.Table:
    """The CPU half: N rows of what the operators see, and before these columns the documents' numbers."""
    store, inputs = workspace.store, unit.inputs
    survivors = column_to_numpy(read_ipc(store, inputs["survivors"]), "doc")
    measured = read_parquet(store, inputs["signals"], ["doc", "language", *workspace.settings["measured"]])
    measured = measured.take(pa.array(np.searchsorted(column_to_numpy(measured, "doc"), survivors)))
    measured = measured.combine_chunks().drop_columns(["doc"])
    kept = _kept_fields(store, inputs["documents"], workspace.settings["operators"])
    pieces, begin = [], 0
    for batch in parquet_batches(store, inputs["documents"], ["doc", "id", "text", "source", *kept]):
        rows = np.flatnonzero(np.isin(batch.column("doc").to_numpy(), survivors, assume_unique=True))
        if not len(rows):
            continue
        chosen = batch.take(pa.array(rows))
        fields = {name.removeprefix(_KEPT): chosen.column(name) for name in kept}
        beside = beside_texts(chosen.column("id"), chosen.column("source"), fields)
        seen = with_texts(beside, chosen.column("text"))
        made = measured.slice(begin, len(rows)).combine_chunks()
        begin += len(rows)
        columns = [chosen.column("doc"), *seen.columns, *(_in_one(column) for column in made.columns)]
        pieces.append(pa.table(columns, ["doc", *seen.schema.names, *made.column_names]))
    return pa.concat_tables(pieces) if pieces else pa.table({"doc": pa.array([], pa.uint64())})


def _in_one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _kept_fields(store: Store, documents: Json, operators: list[Json]) -> list[str]:
    """Columns of the documents' table that some operator may read."""
    with pq.ParquetFile(store.columns_of(documents["path"])) as file:
        names = [name for name in file.schema_arrow.names if name.startswith(_KEPT)]
    there = [name for name in names if name != f"{_KEPT}{STRUCTURE}"]
    if any(operator["needs"] is None for operator in operators):
        return there
    needed = {f"{_KEPT}{name}" for operator in operators for name in operator["needs"] if name not in OWN_COLUMNS}
    return [name for name in there if name in needed]


def finish(unit: Unit, workspace: Workspace, prepared: pa.Table) -> None:
    """The other half: the operators, batch by batch, and their table.

    Raises:
        OperatorError: one broke its contract.
        QuarantineError: one raised on some documents; they are named now.
    """
    appliers = appliers_of(workspace)
    chain = Chain(appliers, no_language, workspace.count)
    failed: dict[int, str] = {}
    with parquet_output(workspace, "signals", _schema(chain.fields), plain=("doc",)) as table:
        for whole in prepared.to_batches():
            docs, batch = whole.column(0).to_numpy(), whole.select(list(range(1, whole.num_columns)))
            probe(workspace, appliers, docs, batch)
            fault_point("batch", stage=workspace.stage_name, texts=batch.column("text"))
            with workspace.timed("operators"):
                made = chain(batch, docs)
            failed |= {int(docs[row]): reason for row, reason in made.failed.items()}
            described = {name: whole.column(name).take(pa.array(made.left)) for name in ("source", "language")}
            table.write({"doc": docs[made.left], **described, **made.columns})
        chain.finish()
        if failed:
            quarantine_failed(workspace, appliers, failed)
    workspace.count("documents", prepared.num_rows)


def _schema(fields: list[pa.Field]) -> pa.Schema:
    name = schemas.documents().field("source").type
    return pa.schema([("doc", pa.uint64()), ("source", name), ("language", name), *fields])


def no_language(_texts: pa.Array) -> pa.Array:
    """Stands for what names the language of texts: nobody asks it after dedup."""
    raise AssertionError("languages are known before operators on GPUs run, and these change no text")


def quarantine_failed(workspace: Workspace, appliers: list[Applier], failed: dict[int, str]) -> None:
    """Name documents that operators raised on, for as long as these operators stay what they are.

    Where that ends the run anyway, no more of them than it takes.
    """
    first = dict(sorted(failed.items())[: workspace.runtime["most_aside"] + 1])
    for applier in appliers:
        operator = applier.operator
        mine = {doc: reason for doc, reason in first.items() if reason.startswith(f"operator {operator.name}: ")}
        add_to_quarantine(workspace.store, mine, operator.fingerprint[:16])
    raise QuarantineError(told(failed))


def probe(workspace: Workspace, appliers: list[Applier], docs: NDArray[np.uint64], batch: pa.RecordBatch) -> None:
    """See whether a process survives the operators; not where CUDA is in use, which no child can go on with."""
    torch = sys.modules.get("torch")
    if workspace.isolate and not (torch is not None and torch.cuda.is_initialized()):
        probe_in_child(workspace, docs, batch, partial(_process, appliers))


def _process(appliers: list[Applier], batch: pa.RecordBatch) -> None:
    """The work, for nothing but to see whether the process lives; what breaks a contract is no document's fault."""
    chain = Chain(appliers, no_language, lambda _name, _number: None)
    try:
        chain(batch, np.arange(batch.num_rows, dtype=np.uint64))
    except (OperatorError, MemoryError):
        return
