"""Made-up documents for the near-duplicate stages: the tables that they read, without any text.

Every document is computed from its number alone, so a corpus of any size is written part by part, in any order.
Documents without a duplicate have a random signature. The others belong to clusters whose sizes follow a power law:
the r-th largest is proportional to r^-0.7 (sizes s then have a tail of s^-2.4), the mean is 5, members lie anywhere in
the corpus. Three members in ten are exact copies of the cluster's origin; every other one has changed a share
0.4 u^2 of the origin's entries, u uniform: half of them under a tenth, the rest reaching far below the threshold.

Imported by ``dedup_scale.py``, ``dedup_slabs.py`` and by tests.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.config.config import parse_config
from winnow.dedup.minhash_config import MinHashConfig
from winnow.engine.engine import Engine
from winnow.engine.exchange import ExchangeFile
from winnow.engine.records import Output, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.flow.context import RunContext
from winnow.flow.dedup import find_duplicates
from winnow.flow.records import RunRecords
from winnow.numeric.jit import inline_kernel, kernel
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import TableOutput, dictionary_column, ipc_output, parquet_output
from winnow.storage.local_store import LocalStore

CLUSTERED = 0.3
"""Share of documents that have near-duplicates."""
CLUSTER_MEAN = 5
RANK_POWER = 0.7
EXACT_COPIES = 0.3
LARGEST_CHANGE = 0.4
PART_DOCUMENTS = 16_000
"""64 MB of text, at 4 KB a document."""
UNWRITTEN = "unwritten/"
"""Folder of signatures that stand nowhere: `FIRST-LAST-TOTAL-ENTRIES` says which documents' they are."""

_STEP = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


@inline_kernel
def _mix(x: Any) -> Any:
    """The finaliser of splitmix64: consecutive numbers become independent ones."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel
def _fill(
    origin: NDArray[np.uint64], own: NDArray[np.uint64], change: NDArray[np.float64], signed: NDArray[np.uint32]
) -> None:
    """Signatures: the entries of ``origin``, of which a share ``change`` is replaced by those of ``own``."""
    for n in range(len(signed)):
        limit = np.uint64(change[n] * 2.0**32)
        for entry in range(signed.shape[1]):
            step = np.uint64(entry + 1) * np.uint64(0x9E3779B97F4A7C15)
            mine = _mix(own[n] + step)
            if (mine >> np.uint64(32)) < limit:
                signed[n, entry] = np.uint32(_mix(mine))
            else:
                signed[n, entry] = np.uint32(_mix(origin[n] + step))


def _uniform(numbers: NDArray[np.uint64], purpose: int) -> NDArray[np.float64]:
    mixed = numbers * _STEP + np.uint64(purpose * 0x632BE59BD9B4E019 & (1 << 64) - 1)
    for shift, factor in zip(_SHIFTS, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 1), strict=True):
        mixed = (mixed ^ (mixed >> shift)) * np.uint64(factor)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def clusters_of(docs: NDArray[np.uint64], total: int) -> NDArray[np.int64]:
    """Number of each document's cluster, the largest first, or -1."""
    clusters = max(1, int(total * CLUSTERED / CLUSTER_MEAN))
    power = 1.0 - RANK_POWER
    rank = ((1.0 + _uniform(docs, 2) * ((clusters + 1) ** power - 1.0)) ** (1.0 / power)).astype(np.int64) - 1
    return np.where(_uniform(docs, 1) < CLUSTERED, rank, -1)


def power_law(docs: NDArray[np.uint64], total: int, num_perm: int) -> dict[str, NDArray[Any]]:
    """Signature and text hash of these documents of a corpus of ``total``."""
    cluster = clusters_of(docs, total)
    alone = cluster < 0
    copy = ~alone & (_uniform(docs, 3) < EXACT_COPIES)
    change = np.where(alone | copy, 0.0, LARGEST_CHANGE * _uniform(docs, 4) ** 2)
    origin = np.where(alone, docs * np.uint64(2), cluster.astype(np.uint64) * np.uint64(2) + np.uint64(1)) * _STEP
    text = np.where(copy, cluster.astype(np.uint64) * np.uint64(2) + np.uint64(1), docs * np.uint64(2))
    return family(origin, docs, change, text, num_perm)


def family(
    origin: NDArray[np.uint64],
    docs: NDArray[np.uint64],
    change: NDArray[np.float64],
    text: NDArray[np.uint64],
    num_perm: int,
) -> dict[str, NDArray[Any]]:
    """Columns of documents that differ from the document ``origin`` in a share ``change``; ``text`` names the text."""
    signed = np.empty((len(docs), num_perm), np.uint32)
    own = (docs + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)
    _fill(origin * np.uint64(0xFF51AFD7ED558CCD), own, change, signed)
    return {
        "exact_high": text * _STEP,
        "exact_low": text,
        "shingles": np.full(len(docs), 800, np.uint32),
        "signature": signed,
    }


def write_part(workspace: Workspace, docs: NDArray[np.uint64], columns: dict[str, NDArray[Any]]) -> None:
    """The tables that ``measure`` and ``filter`` would have left: signatures, and verdicts that let everything pass."""
    with ipc_output(workspace, "signatures", schemas.signatures(columns["signature"].shape[1])) as table:
        table.write({"doc": docs} | columns)
    write_verdicts(workspace, docs)


def write_verdicts(workspace: Workspace, docs: NDArray[np.uint64]) -> None:
    """The table that ``filter`` would have left: everything passes."""
    with parquet_output(workspace, "verdicts", schemas.VERDICTS, plain=("doc",)) as table:
        table.write(
            {
                "doc": docs,
                "passed": np.ones(len(docs), bool),
                "outcome": dictionary_column(np.full(len(docs), -1), (schemas.FILTERED,), missing=-1),
                "failed_rules": (_uniform(docs, 5) * 4).astype(np.uint16),
                "characters": (_uniform(docs, 6) * 8000).astype(np.uint32),
                "source": np.zeros(len(docs), np.uint16),
            }
        )
    workspace.count("passed", len(docs))


def write_made(unit: Unit, workspace: Workspace) -> None:
    """One part of a corpus: its documents are the rows of one file, which gives them dense numbers."""
    first, last, total = (unit.inputs[name] for name in ("first", "last", "total"))
    docs = np.arange(first, last, dtype=np.uint64)
    num_perm, change = workspace.settings["num_perm"], workspace.settings["change"]
    if not workspace.settings["written"]:
        path = f"{UNWRITTEN}{first}-{last}-{total}-{num_perm}"
        workspace.outputs["signatures"] = Output(path, 0, len(docs), path)
        write_verdicts(workspace, docs)
        return
    if change is None:
        columns = power_law(docs, total, num_perm)
    else:
        one = np.zeros_like(docs)
        columns = family(one, docs, np.full(len(docs), change), docs if change else one, num_perm)
    write_part(workspace, docs, columns)


def make_parts(
    engine: Engine,
    total: int,
    config: MinHashConfig,
    part_documents: int = PART_DOCUMENTS,
    change: float | None = None,
    *,
    written: bool = True,
) -> tuple[list[Part], list[Record]]:
    """Write a corpus of ``total`` documents; returns its parts and the records that stand for the filter's.

    With ``change`` all have one origin, of whose signature each has changed that share (0: copies of one text).
    Without ``written`` the engine's store, an :class:`UnwrittenStore`, makes signatures when they are read.
    """
    made = Stage("made", 1, {"num_perm": config.num_perm, "change": change, "written": written}, write_made)
    starts = range(0, total, part_documents)
    units = [
        Unit(
            number,
            {"first": first, "last": min(first + part_documents, total), "total": total},
            part_documents * 1024,
        )
        for number, first in enumerate(starts)
    ]
    return as_parts(engine.run(made, units), list(starts))


def as_parts(records: list[Record], first_docs: list[int]) -> tuple[list[Part], list[Record]]:
    """Parts of records that :func:`write_part` filled, and the records again."""
    parts = []
    for record, first_doc in zip(records, first_docs, strict=True):
        signatures = record.outputs["signatures"]
        none = {"path": "-", "rows": signatures.rows, "hash": "-"}
        parts.append(
            Part(record.number, first_doc, signatures.rows * 4096, signatures.rows, none, none, signatures.reference())
        )
    return parts, records


class UnwrittenStore(LocalStore):
    """Signatures of made-up parts never lie on its disk: they are computed for the unit that reads them."""

    making_seconds = 0.0
    """Of processor time that this took."""

    def mapped(self, relative: str, version: str = "") -> pa.NativeFile:
        """As any store does, or the table that :func:`write_part` would have written there."""
        if not relative.startswith(UNWRITTEN):
            return super().mapped(relative, version)
        begun = time.process_time()
        first, last, total, num_perm = (int(number) for number in relative.removeprefix(UNWRITTEN).split("-"))
        docs, schema, sink = (
            np.arange(first, last, dtype=np.uint64),
            schemas.signatures(num_perm),
            pa.BufferOutputStream(),
        )
        with pa.ipc.new_file(sink, schema) as writer:
            TableOutput(writer, schema).write({"doc": docs} | power_law(docs, total, num_perm))
        table = pa.BufferReader(sink.getvalue())
        self.making_seconds += time.process_time() - begun
        return table


def restart_peak() -> None:
    """Let this process' peak memory count from here (on Linux; elsewhere from its start)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


class WatchedEngine(Engine):
    """An engine in this process that measures the peak memory of each stage by itself."""

    def run(self, stage: Stage, units: list[Unit], *rest: Any) -> list[Record]:
        """As the engine does, with the process' peak memory begun anew."""
        restart_peak()
        return super().run(stage, units, *rest)


class MadeUpParts(RunRecords):
    """Records of a run that measured nothing."""

    def __init__(self, made_up: list[Part], *rest: Any) -> None:
        super().__init__(*rest)
        self.made_up = made_up

    @property
    def parts(self) -> list[Part]:
        """The made-up ones."""
        return self.made_up


def deduplicate(
    engine: Engine, parts: list[Part], filtered: list[Record], dedup: dict[str, Any] | None = None
) -> dict[str, list[Record]]:
    """Run the real stages from bands to keepers over made-up parts; returns the records of each stage."""
    dedup = {"verify": "estimate"} | (dedup or {})  # there are no texts
    config = parse_config(
        {"run": engine.store.root, "sources": [{"name": "made", "path": "-"}], "dedup": dedup}
    ).model_copy(update={"compute": engine.compute})
    engine.committed["filter"] = filtered
    find_duplicates(RunContext(MadeUpParts(parts, engine.store, config, engine.committed), engine, {}))
    return engine.committed


def fates(engine: Engine, clustered: list[Record], *names: str) -> dict[str, NDArray[Any]]:
    """What the keepers stage decided of every candidate: its columns (or some, and `doc`), in order of documents."""
    pieces = []
    for record in clustered:
        with engine.store.open(record.outputs["member_decisions"].path) as file:
            exchange = ExchangeFile.open(file)
            piece = exchange.read(0, exchange.num_partitions)
        pieces.append({name: piece[name] for name in ("doc", *names)} if names else piece)
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    order = np.argsort(columns["doc"])
    return {name: values[order] for name, values in columns.items()}
