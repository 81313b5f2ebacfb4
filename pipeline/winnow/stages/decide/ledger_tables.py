"""The ledger of a part as every deciding stage writes it, and the work of stages that read the documents it keeps.

Two tables: ``decisions`` (everything), and ``survivors`` (only which documents go on), so that what changes a decision
but no survivor names no later work anew.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Record, Unit
from winnow.engine.stage import Workspace
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import dictionary_column, ipc_output, parquet_output

OUTCOMES = list(schemas.DECIDED_OUTCOMES)
KEPT = OUTCOMES.index(schemas.KEPT)
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
