"""Finding the documents that end the process that works on them, or raise in it: each try is a child process.

Only in the last attempt of a unit whose attempts before all failed, and in a run whose last two attempts died: no
kernel is known to do this, but bad input must not end a run.
"""

import dataclasses
import os
import signal
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from pipeline.sources.records import RecordBatch, Unreadable
from pipeline.sources.slices import FileSlice


def without_fatal(batch: RecordBatch, file_slice: FileSlice, work: Callable[[pa.Array], object]) -> RecordBatch:
    """The batch without documents that ``work`` does not survive; those are noted as unreadable."""
    fatal = fatal_rows(batch.texts, work)
    if not fatal:
        return batch
    good = np.ones(len(batch.rows), bool)
    good[list(fatal)] = False
    notes = [
        Unreadable(
            row=int(batch.rows[at]),
            position=file_slice.start if file_slice.format == "jsonl" else 0,
            reason=reason,
            bytes=len(batch.texts[at].as_py().encode()),
            id=batch.ids[at].as_py(),
        )
        for at, reason in fatal.items()
    ]
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


def fatal_rows(texts: pa.Array, work: Callable[[pa.Array], object]) -> dict[int, str]:
    """Rows of ``texts`` (large_string[N]) that ``work`` does not survive, and why; found by halving.

    The reasons hold no text: ``fatal: ends its process (SIGKILL)`` or ``fatal: raises ValueError``.
    """
    found: dict[int, str] = {}
    ranges = [(0, len(texts))]
    while ranges:
        start, stop = ranges.pop()
        reason = _try(texts.slice(start, stop - start), work) if stop > start else None
        if reason is None:
            continue
        if stop - start == 1:
            found[start] = reason
            continue
        middle = (start + stop) // 2
        ranges += [(start, middle), (middle, stop)]
    return dict(sorted(found.items()))


def _try(texts: pa.Array, work: Callable[[pa.Array], object]) -> str | None:
    """Do the work in a child that nothing comes back from but how it ended; None: it did the work."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        name = ""
        try:
            os.close(reader)
            pa.set_cpu_count(1)
            work(texts)
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
