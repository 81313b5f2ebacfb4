"""Finding the documents that end the process that works on them, or raise in it: each try is a child process.

Only in the last attempt of a unit whose attempts before all failed, and in a run whose last two attempts died: no
kernel is known to do this, but bad input must not end a run. Stages that work on texts call :func:`try_first`; what
they find is quarantined, and those that read the inputs leave it out (:func:`drop_quarantined`).
"""

import os
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.quarantine import quarantine
from winnow.engine.stage import Workspace
from winnow.errors import SurroundingsError
from winnow.schemas import document_numbers, split_document_number
from winnow.sources.readers.registry import is_cut_by_bytes
from winnow.sources.records import RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import STRUCTURE
from winnow.storage.store import Store

MOST_OF_A_BATCH = 32
"""Where more documents of one batch cannot be worked on, it is not the documents: none is quarantined."""
KNOWN_GOOD = "This text is known to be good: whoever cannot work on it cannot work on any."
"""Stands for a document where no other one of the batch could be worked on."""


def probe_in_child(
    workspace: Workspace,
    docs: NDArray[np.uint64],
    batch: Any,
    work: Callable[[Any], object],
    store: Store | None = None,
) -> None:
    """Where attempts before this one died or failed: see whether a process survives the work.

    Args:
        workspace: of the unit.
        docs: uint64[N].
        batch: Array or RecordBatch of N rows.
        work: takes any slice of ``batch``; what it returns is thrown away.
        store: the run folder, where the workspace is not in it.

    Raises:
        QuarantineError: some documents end it; they are named now.
        SurroundingsError: a good document ends it, too.
    """
    if workspace.isolate is None or len(batch) == 0:
        return
    fatal = find_poison_rows(batch, work)
    if fatal:
        found = {int(docs[row]): f"{reason} in {workspace.stage_name}" for row, reason in fatal.items()}
        quarantine(store or workspace.store, found, workspace.isolate)


def drop_quarantined(batch: RecordBatch, file_slice: FileSlice, quarantined: dict[int, str]) -> RecordBatch:
    """The batch without documents that were quarantined (number: reason); those are noted as unreadable."""
    if not quarantined:
        return batch
    docs = document_numbers(file_slice.file, batch.rows)
    bad = np.isin(docs, np.array(list(quarantined), np.uint64))
    if not bad.any():
        return batch
    reasons = {int(at): quarantined[int(docs[at])] for at in np.flatnonzero(bad)}
    notes = unreadable_documents(reasons, docs, batch.texts, batch.ids, file_slice)
    return batch.without(dict(zip(reasons, notes, strict=True)))


def unreadable_documents(
    reasons: dict[int, str], docs: NDArray[np.uint64], texts: pa.Array, ids: pa.Array, file_slice: FileSlice
) -> list[Unreadable]:
    """Some documents of a batch as they are listed where they could not be worked on.

    Args:
        reasons: row of the batch -> why.
        docs: uint64[N]. texts: large_string[N]. ids: string[N].
        file_slice: where they were read.
    """
    by_bytes = is_cut_by_bytes(file_slice.path, file_slice.format)
    return [
        Unreadable(
            row=split_document_number(int(docs[row]))[1],
            position=file_slice.start if by_bytes else 0,
            reason=reason,
            bytes=len(texts[row].as_py().encode()),
            id=ids[row].as_py(),
        )
        for row, reason in sorted(reasons.items())
    ]


def find_poison_rows(batch: Any, work: Callable[[Any], object]) -> dict[int, str]:
    """Rows of an Array or RecordBatch that ``work`` does not survive, and why; found by halving.

    The reasons hold no text: ``fatal: ends its process (SIGKILL)`` or ``fatal: raises ValueError``. A row is found
    where two tries of it alone end so, and one of a good row does not. Nothing is found where it is not the documents:
    more than MOST_OF_A_BATCH, or a good one raises, too (the work itself then meets the error and tells it).

    Raises:
        SurroundingsError: a good row ends the process.
    """
    suspects: list[int] = []
    good: Any = None
    ranges = [(0, len(batch))]
    while ranges:
        start, stop = ranges.pop()
        if stop == start:
            continue
        if _try(batch.slice(start, stop - start), work) is None:
            good = batch.slice(start, 1) if good is None else good
        elif stop - start == 1:
            suspects.append(start)
            if len(suspects) > MOST_OF_A_BATCH:
                return {}
        else:
            middle = (start + stop) // 2
            ranges += [(start, middle), (middle, stop)]
    found: dict[int, str] = {}
    for row in sorted(suspects):
        again = _try(batch.slice(row, 1), work)
        if again is None:  # something else ended it: a Ctrl-C, memory that others took
            continue
        blameless = _try(_known_good(batch.slice(row, 1)) if good is None else good, work)
        if blameless is not None and "process" in blameless:
            raise SurroundingsError(
                f"{blameless}, on a good document as well: it is not the documents; look at this machine's memory, and "
                "at the models and libraries that this stage works with"
            )
        if blameless is not None:
            return {}
        found[row] = again
    return found


def _known_good(row: Any) -> Any:
    """A row whose text is good, in the place of this one."""
    text = pa.array([KNOWN_GOOD], pa.large_string())
    if isinstance(row, pa.Array):
        return text.cast(row.type)
    columns = {name: row.column(name) for name in row.schema.names}
    structures = {name: pa.nulls(1, column.type) for name, column in columns.items() if name.endswith(STRUCTURE)}
    return pa.record_batch(columns | structures | {"text": text.cast(columns["text"].type)})


def _try(batch: Any, work: Callable[[Any], object]) -> str | None:
    """Do the work in a child that nothing comes back from but how it ended; None: it did the work.

    A storage that fails (OSError) is no fault of a document's: the work itself will meet it and tell.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        name = ""
        try:
            os.close(reader)
            pa.set_cpu_count(1)
            work(batch)
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001 - told to the parent
            name = type(error).__name__
            os.write(writer, name.encode()[:200])
        finally:
            os._exit(1 if name else 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        name = told.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        return f"fatal: ends its process ({signal.Signals(-status).name})"
    return f"fatal: raises {name}" if status else None
