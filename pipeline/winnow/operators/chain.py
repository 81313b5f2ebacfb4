"""All operators of a run, one after the other, on batches of documents.

Each sees what those before it made: a mapper's texts, a signal's or filter's columns. ``language`` is that of the text
that it sees: identified when the first operator that may read it comes, and again where a mapper changed a text.

Legend: N documents of a batch, M of them left.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers
from winnow.operators.apply import Applier, sample_places
from winnow.operators.operator import fields_of

Count = Callable[[str, int], None]
"""Adds to a counter by name."""
OWN_COLUMNS = ("text", "id", "source", "language")
"""Columns of every batch; kept fields stand beside them under their own names."""


class Result(NamedTuple):
    """A batch after all operators."""

    texts: pa.Array
    """large_string[M]."""
    languages: pa.Array
    """dictionary<int16, string>[M], of these texts."""
    columns: dict[str, pa.Array]
    """[M] each, what the signals table gains."""
    left: NDArray[np.int64]
    """int64[M], rows of the batch that are left."""
    failed: dict[int, str]
    """Row of the batch -> ``operator NAME: raises ...``."""


class Chain:
    """The operators of a run; one for each unit, since the first batch that it sees is looked at twice.

    Args:
        appliers: in the order of the config.
        identify: large_string[N] to languages, dictionary<int16, string>[N].
        count: takes the unit's counters.
    """

    def __init__(self, appliers: list[Applier], identify: Callable[[pa.Array], pa.Array], count: Count) -> None:
        self._appliers = appliers
        self._identify = identify
        self._count = count
        self._checked = False
        made = {*OWN_COLUMNS, *(field.name for field in self.fields)}
        self._kept = [name for applier in appliers for name in applier.operator.needs or () if name not in made]

    @property
    def fields(self) -> list[pa.Field]:
        """What the signals table gains."""
        return [field for applier in self._appliers for field in fields_of(applier.operator)]

    def __call__(self, batch: pa.RecordBatch, docs: NDArray[np.uint64]) -> Result:
        """Run all of them.

        Args:
            batch: N documents with ``text``, ``id``, ``source`` and kept fields.
            docs: uint64[N], their numbers, which draw the sample.

        Raises:
            OperatorError: one returned what it must not, or something else when it was asked again.
        """
        work = _Work(batch, np.arange(batch.num_rows), self._kept)
        for applier in self._appliers:
            if work.batch.num_rows == 0:
                break
            self._apply(applier, work, docs)
        self._checked = True
        work.see_language(self._identify)
        added = {field.name: work.batch.column(field.name) for field in self.fields if field.name in work.columns}
        if work.batch.num_rows == 0:
            added = {field.name: pa.array([], field.type) for field in self.fields}
        return Result(work.batch.column("text"), work.batch.column("language"), added, work.left, work.failed)

    def finish(self) -> None:
        """At the end of a unit.

        Raises:
            OperatorError: one raised on documents, and it is not the documents.
        """
        for applier in self._appliers:
            applier.finish()

    def _apply(self, applier: Applier, work: "_Work", docs: NDArray[np.uint64]) -> None:
        operator = applier.operator
        if operator.needs is None or "language" in operator.needs:
            work.see_language(self._identify)
        count: Count = lambda what, number: self._count(f"operator/{operator.name}/{what}", number)  # noqa: E731
        seen = work.batch.num_rows
        columns, failed = applier(work.batch)
        count("documents", seen)
        count("errors", len(failed))
        if failed:
            work.drop({row: f"operator {operator.name}: raises {error}" for row, error in failed.items()})
        if work.batch.num_rows == 0:
            return
        if not self._checked:
            applier.check(work.batch, columns, sample_places(docs[work.left]))
        if operator.kind == "mapper":
            self._replace(columns["text"], work, count)
            return
        for name, column in columns.items():
            work.add(name, column)
        count("nulls", sum(column.null_count for column in columns.values()))
        if operator.kind == "filter":
            count("refused", int(pc.sum(pc.invert(columns[operator.name])).as_py() or 0))

    def _replace(self, texts: pa.Array, work: "_Work", count: Count) -> None:
        before = work.batch.column("text")
        changed = pc.not_equal(before, texts)
        count("changed", int(pc.sum(changed).as_py()))
        count("bytes_before", _bytes(before))
        count("bytes_after", _bytes(texts))
        work.replace(texts, changed, self._identify)


class _Work:
    """A batch on its way through the operators."""

    def __init__(self, batch: pa.RecordBatch, left: NDArray[np.int64], kept: list[str]) -> None:
        columns = {name: batch.column(name) for name in batch.schema.names}
        for name in kept:  # a field that another source keeps
            columns.setdefault(name, pa.nulls(batch.num_rows, pa.string()))
        self.columns = columns
        self.left = left
        self.failed: dict[int, str] = {}
        self.batch = pa.record_batch(columns)

    def add(self, name: str, column: pa.Array) -> None:
        """One column more, or in another's place."""
        self.columns[name] = column
        self.batch = pa.record_batch(self.columns)

    def drop(self, failed: dict[int, str]) -> None:
        """Take rows of the present batch out; ``failed`` says why."""
        keep = np.ones(self.batch.num_rows, bool)
        keep[list(failed)] = False
        self.failed |= {int(self.left[row]): reason for row, reason in failed.items()}
        self.left = self.left[keep]
        self.columns = {name: column.filter(pa.array(keep)) for name, column in self.columns.items()}
        self.batch = pa.record_batch(self.columns)

    def see_language(self, identify: Callable[[pa.Array], pa.Array]) -> None:
        """Have the language of every text, as it is now."""
        if "language" not in self.columns:
            self.add("language", identify(self.columns["text"]))

    def replace(self, texts: pa.Array, changed: pa.Array, identify: Callable[[pa.Array], pa.Array]) -> None:
        """Other texts; where languages are known, those of changed texts are identified again."""
        self.columns["text"] = texts
        known = self.columns.get("language")
        if known is not None and (rows := np.flatnonzero(changed.to_numpy(zero_copy_only=False))).size:
            codes = known.indices.to_numpy().copy()
            codes[rows] = identify(texts.take(pa.array(rows))).indices.to_numpy()
            self.columns["language"] = pa.DictionaryArray.from_arrays(pa.array(codes), known.dictionary)
        self.batch = pa.record_batch(self.columns)


def _bytes(texts: pa.Array) -> int:
    offsets = string_buffers(texts)[1]
    return int(offsets[-1] - offsets[0])
