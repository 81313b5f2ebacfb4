"""One operator on one batch: documents that it raises on are found by halving, a sample is looked at twice.

Legend: N documents of a batch, S of the sample.
"""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.errors import OperatorError, WinnowError
from winnow.operators.operator import Operator
from winnow.operators.results import Columns, columns_of

_HERE = str(Path(__file__).parent)
PLAIN_TEXT = "A plain text, which every operator takes."
NOT_THE_DOCUMENTS = (WinnowError, OSError, MemoryError, ImportError)
"""Errors that say nothing about the documents at hand."""
SAMPLE = 16
"""Documents of a unit's first batch that every operator sees again, in another order and without the others."""


class Applied(NamedTuple):
    """What an operator made of a batch."""

    columns: Columns
    """Of the documents that it did not raise on, in order."""
    failed: dict[int, str]
    """Row of the batch -> the error, without its message, which may hold text."""


class Applier:
    """An operator that is loaded, for batches.

    Documents depend on nothing but themselves: not on their neighbours, not on their order, not on when. That is what
    the sample shows, and why halves of a batch may be asked again.
    """

    def __init__(self, operator: Operator, call: Callable[[pa.RecordBatch], Any]) -> None:
        self.operator = operator
        self._call = call
        self._good: pa.RecordBatch | None = None
        """One document that it took in this process."""
        self._doubtful: tuple[str, pa.RecordBatch] | None = None
        """An error, and the document that it was raised on, before it took any."""

    def __call__(self, batch: pa.RecordBatch) -> Applied:
        """Ask for the whole batch, and where that raises for its halves.

        Raises:
            OperatorError: it returned what it must not, or raises on a good document, too. OSError, MemoryError,
                ImportError: as it raised them; the machine's fault, so the unit is tried again.
        """
        failed: dict[int, str] = {}
        pieces: list[Columns] = []
        ranges = [(0, batch.num_rows)]
        while ranges:
            start, stop = ranges.pop()
            piece = batch if stop - start == batch.num_rows else batch.slice(start, stop - start)
            try:
                pieces.append(columns_of(self.operator, self._call(piece), stop - start))
            except NOT_THE_DOCUMENTS:
                raise
            except Exception as error:  # noqa: BLE001 - a document's, until halving shows whose
                if stop - start == 1:
                    failed[start] = _told(error)
                    continue
                middle = (start + stop) // 2
                ranges += [(middle, stop), (start, middle)]
        self._doubt(batch, failed)
        return Applied(_joined(pieces), failed)

    def _doubt(self, batch: pa.RecordBatch, failed: dict[int, str]) -> None:
        """Where it raised on documents: look whether it still takes one that it took before.

        Raises:
            OperatorError: it does not.
        """
        taken = next((row for row in range(batch.num_rows) if row not in failed), None)
        if self._good is None and taken is not None:
            self._good = batch.take(pa.array([taken]))
        if not failed:
            return
        row, error = next(iter(failed.items()))
        if self._good is None:
            self._doubtful = error, batch.take(pa.array([row]))
        elif again := self._raises(self._good):
            raise self._not_the_documents(error, f"{again} on one that it took before")

    def finish(self) -> None:
        """At the end of a unit: documents on which it raised are at fault only if it takes any at all.

        Raises:
            OperatorError: it has taken none in this process, and raises in the same way on a plain text.
        """
        if self._good is not None or self._doubtful is None:
            return
        error, row = self._doubtful
        plain = {"text": pa.array([PLAIN_TEXT], pa.large_string()), "id": pa.array(["plain text"], pa.string())}
        again = self._raises(pa.record_batch({name: row.column(name) for name in row.schema.names} | plain))
        if again == error:
            raise self._not_the_documents(error, "has taken none yet, nor a plain text")

    def _raises(self, batch: pa.RecordBatch) -> str | None:
        try:
            self._call(batch)
        except NOT_THE_DOCUMENTS:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no document's
            return _told(error)
        return None

    def _not_the_documents(self, error: str, why: str) -> OperatorError:
        return OperatorError(
            f"operator {self.operator.name} raises {error} on documents, and {why}, so it is not the documents: mend "
            "the operator, or what it works with (a model, a package, a device); where it has no answer, let it "
            "return null"
        )

    def check(self, batch: pa.RecordBatch, columns: Columns, places: NDArray[np.int64]) -> None:
        """Ask again for some documents, and compare.

        Args:
            batch: N documents that it did not raise on.
            columns: what it made of them.
            places: int64[S], rows to ask for, in any order.

        Raises:
            OperatorError: it says something else now.
        """
        rows = pa.array(places)
        sample = batch.take(rows)
        try:
            again = columns_of(self.operator, self._call(sample), len(places))
        except NOT_THE_DOCUMENTS:
            raise
        except Exception as error:
            raise OperatorError(
                f"operator {self.operator.name} raises {_told(error)} on documents that it took before, such as "
                f"{sample['id'][0]}; the same documents must give the same result"
            ) from error
        for name, column in again.items():
            before = columns[name].take(rows)
            if before.equals(column):
                continue
            differs = next(row for row in range(len(places)) if before[row] != column[row])
            what = "another text" if name == "text" else f"{before[differs]}, then {column[differs]}"
            raise OperatorError(
                f"operator {self.operator.name} gave {what} for document {sample['id'][differs]} when it was asked "
                "again among other documents: the same document must always give the same result, whatever stands "
                "beside it; seed what is drawn by the id or the text, and round what a model computes (6 digits)"
            )


def sample_places(docs: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows int64[S] of some of ``docs`` uint64[N], by a hash, in its order."""
    mixed = docs * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    return np.argsort(mixed * np.uint64(0xBF58476D1CE4E5B9), kind="stable")[:SAMPLE]


def _joined(pieces: list[Columns]) -> Columns:
    if len(pieces) == 1:
        return pieces[0]
    return {name: pa.concat_arrays([piece[name] for piece in pieces]) for name in pieces[0]} if pieces else {}


def _told(error: BaseException) -> str:
    """The kind of an error and where it was raised: ``ValueError (my_ops.py, line 12)``."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_HERE)]
    place = f" ({frames[0].filename.rpartition('/')[2]}, line {frames[0].lineno})" if frames else ""
    return f"{type(error).__name__}{place}"
