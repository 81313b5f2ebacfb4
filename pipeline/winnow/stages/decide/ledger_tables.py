"""The ledger of a part as every deciding stage writes it, and the work of stages that read the documents it keeps.

Two tables: ``decisions`` (everything), and ``survivors`` (only which documents go on), so that what changes a decision
but no survivor names no later work anew.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.guard import REASONS
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Workspace
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, dictionary_column, ipc_output, parquet_output

OUTCOMES = list(schemas.DECIDED_OUTCOMES)
KEPT = OUTCOMES.index(schemas.KEPT)
_KEPT_COLUMNS = ("doc", "keeper", "similarity", "containment", "lost_ngrams", "guard_keeper")
_SURVIVORS = pa.schema([("doc", pa.uint64())])


class Ledger(NamedTuple):
    """Decisions of the documents of a part, column by column; names are codes."""

    docs: NDArray[np.uint64]
    """uint64[N]."""
    outcome: NDArray[np.int64]
    """int64[N] into ``OUTCOMES``."""
    rule: NDArray[np.int64]
    """int64[N] into the rules' names, -1 for none."""
    value: NDArray[np.float32]
    """float32[N], counts where there is a rule."""
    threshold: NDArray[np.float32]
    """float32[N], counts where there is a rule."""
    keeper: NDArray[np.uint64]
    """uint64[N], NO_DOC for none."""
    similarity: NDArray[np.float32]
    """float32[N], NaN for none."""
    containment: NDArray[np.float32]
    """float32[N], NaN for none."""
    lost: NDArray[np.int64]
    """int64[N], -1 for none."""
    guard: NDArray[np.integer[Any]]
    """uint8[N], code of the guard's ``REASONS``, 0 for none."""
    guard_keeper: NDArray[np.uint64]
    """uint64[N], NO_DOC for none."""
    split: NDArray[np.int64]
    """int64[N] into the splits' names, -1 for none."""
    copies: NDArray[np.uint16]
    """uint16[N], 0 unless kept."""


def write_ledger(
    workspace: Workspace,
    ledger: Ledger,
    rules: tuple[str, ...],
    splits: list[str],
    source: NDArray[np.integer[Any]],
    sources: list[str],
) -> None:
    """Write both tables, and count outcomes in all and by source: ``source`` int[N] into ``sources``."""
    with parquet_output(workspace, "decisions", schemas.DECISIONS, plain=("doc",)) as table:
        table.write(
            {
                "doc": ledger.docs,
                "outcome": dictionary_column(ledger.outcome, OUTCOMES),
                "rule": dictionary_column(ledger.rule, rules, missing=-1),
                "value": pa.array(ledger.value, pa.float32(), mask=ledger.rule < 0),
                "threshold": pa.array(ledger.threshold, pa.float32(), mask=ledger.rule < 0),
                "keeper": pa.array(ledger.keeper, pa.uint64(), mask=ledger.keeper == schemas.NO_DOC),
                "similarity": pa.array(ledger.similarity, pa.float32(), mask=np.isnan(ledger.similarity)),
                "containment": pa.array(ledger.containment, pa.float32(), mask=np.isnan(ledger.containment)),
                "lost_ngrams": pa.array(np.maximum(ledger.lost, 0), pa.uint32(), mask=ledger.lost < 0),
                "guard": dictionary_column(ledger.guard, REASONS, missing=0),
                "guard_keeper": pa.array(ledger.guard_keeper, pa.uint64(), mask=ledger.guard_keeper == schemas.NO_DOC),
                "split": dictionary_column(ledger.split, splits, missing=-1),
                "copies": ledger.copies,
            }
        )
    write_survivors(workspace, ledger.docs[ledger.outcome == KEPT])
    for index, name in enumerate(sources):
        for code, number in enumerate(np.bincount(ledger.outcome[source == index], minlength=len(OUTCOMES))):
            if number:
                workspace.count(f"outcome/{OUTCOMES[code]}", number)
                workspace.count(f"source/{name}/{OUTCOMES[code]}", number)
    workspace.count("copies", ledger.copies.sum(dtype=np.int64))


class LeftOut(NamedTuple):
    """Documents that a step after ``decide`` leaves out, and why, for N documents of a part."""

    gone: NDArray[np.bool_]
    """bool[N]; the other columns count where it is true."""
    outcome: str
    rule: pa.Array | str
    """string[N], or one for all."""
    value: NDArray[np.float32]
    """float32[N]."""
    threshold: NDArray[np.float32]
    """float32[N]."""
    keeper: NDArray[np.uint64] | None = None
    """uint64[N], the document whose text it repeats, NO_DOC for none; None where none is a repeat."""


def leave_out(
    workspace: Workspace,
    before: pa.Table,
    left_out: LeftOut,
    copies: NDArray[np.int64],
    source: NDArray[np.integer[Any]],
    sources: list[str],
) -> None:
    """Write both tables once more, with some documents left out; count outcomes in all and by source.

    Args:
        workspace: of the unit.
        before: the ledger so far, N rows, in one chunk.
        left_out: what changes. All else stays what it was.
        copies: int64[N], 0 for what is left out.
        source: int[N] into ``sources``.
        sources: in config order.
    """
    gone = pa.array(left_out.gone)
    names = {name: before.column(name).cast(pa.string()) for name in ("outcome", "rule", "split")}
    names["outcome"] = pc.if_else(gone, left_out.outcome, names["outcome"])
    names["guard"] = before.column("guard").cast(pa.string())
    names["rule"] = pc.if_else(gone, left_out.rule, names["rule"])
    names["split"] = pc.if_else(gone, pa.scalar(None, pa.string()), names["split"])
    values = {name: before.column(name) for name in _KEPT_COLUMNS}
    values["value"] = pc.if_else(gone, pa.array(left_out.value, pa.float32()), before.column("value"))
    values["threshold"] = pc.if_else(gone, pa.array(left_out.threshold, pa.float32()), before.column("threshold"))
    if left_out.keeper is not None:
        keeper = pa.array(left_out.keeper, pa.uint64(), mask=left_out.keeper == schemas.NO_DOC)
        values["keeper"] = pc.if_else(gone, keeper, before.column("keeper"))
    encoded = {name: column.combine_chunks().dictionary_encode() for name, column in names.items()}
    with parquet_output(workspace, "decisions", schemas.DECISIONS, plain=("doc",)) as table:
        table.write({**values, **encoded, "copies": copies.astype(np.uint16)})
    write_survivors(workspace, column_to_numpy(before, "doc")[copies > 0])
    count_outcomes(workspace, names["outcome"], copies, source, sources)


def count_outcomes(
    workspace: Workspace,
    outcome: pa.ChunkedArray,
    copies: NDArray[np.int64],
    source: NDArray[np.integer[Any]],
    sources: list[str],
) -> None:
    """Count outcomes string[N] in all and by source, and copies int64[N]."""
    outcomes = np.array(outcome.to_pylist())
    for index, name in enumerate(sources):
        for found, number in zip(*np.unique(outcomes[source == index], return_counts=True), strict=True):
            workspace.count(f"outcome/{found}", number)
            workspace.count(f"source/{name}/{found}", number)
    workspace.count("copies", copies.sum())


def write_survivors(workspace: Workspace, docs: NDArray[np.uint64]) -> None:
    """Write which documents go on."""
    with ipc_output(workspace, "survivors", _SURVIVORS) as table:
        table.write({"doc": docs})


def survivor_units(parts: list[Part], ledger: list[Record]) -> list[Unit]:
    """Units of a stage that reads the kept documents' texts, one a part; only text and survivors name the work."""
    return [
        Unit(
            part.number,
            {"documents": part.documents, "survivors": record.outputs["survivors"].reference()},
            part.text_bytes,
        )
        for part, record in zip(parts, ledger, strict=True)
    ]


def ledger_units(ledger: list[Record], filtered: list[Record], found: list[Json]) -> list[Unit]:
    """Units of a stage that writes the ledger anew, one a part.

    Args:
        ledger: as it is; ``filtered`` says where documents come from.
        filtered: records of the filter.
        found: of each part, what the stage goes by.
    """
    return [
        Unit(
            number,
            {
                "decisions": before.outputs["decisions"].reference(),
                "verdicts": verdicts.outputs["verdicts"].reference(),
                **named,
            },
            before.outputs["decisions"].rows * 64,
        )
        for number, (before, verdicts, named) in enumerate(zip(ledger, filtered, found, strict=True))
    ]
