"""Operators: what ``measure`` does with a user's functions, after boilerplate lines and before signals.

Where the config names none, texts pass through and nothing is written or counted.
"""

from functools import cache, partial
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.engine.stage import Workspace
from winnow.errors import OperatorError, WinnowError
from winnow.operators.apply import Applier
from winnow.operators.chain import OWN_COLUMNS, Chain, Result
from winnow.operators.files import local_copy
from winnow.operators.find import made_operator
from winnow.operators.operator import Operator
from winnow.sources.source import STRUCTURE
from winnow.stages.ingest.languages import RunFolder
from winnow.text.language.identifier import Identifier


class UnitOperators:
    """The operators of one unit.

    Args:
        workspace: its settings may have ``operators``; counts by operator, under ``operator/NAME``.
        identify: names the language of texts.
    """

    def __init__(self, workspace: Workspace, identify: Identifier) -> None:
        self._workspace = workspace
        self._appliers = appliers_of(workspace)
        self._identify = identify
        self._chain = Chain(self._appliers, self._timed_languages, workspace.count)
        self.columns: list[pa.Field] = self._chain.fields
        """What the signals table has besides."""

    def __bool__(self) -> bool:
        return bool(self._appliers)

    def __call__(self, texts: pa.Array, beside: pa.RecordBatch, docs: NDArray[np.uint64]) -> Result:
        """Run them on N documents.

        Args:
            texts: large_string[N], as the operators see them.
            beside: what they see besides (:func:`beside_texts`).
            docs: uint64[N].
        """
        with self._workspace.timed("operators"):
            return self._chain(with_texts(beside, texts), docs)

    def finish(self) -> None:
        """At the end of the unit: raise OperatorError where documents were unreadable for an operator's own fault."""
        self._chain.finish()

    def try_on(self, texts: pa.Array, beside: pa.RecordBatch) -> pa.Array:
        """The same for nothing but to see whether the process lives: the texts that come of it.

        What breaks an operator's contract is no fault of a document's: the work itself meets it and tells.
        """
        chain = Chain(self._appliers, self._identify, lambda _name, _number: None)
        try:
            return chain(with_texts(beside, texts), np.arange(len(texts), dtype=np.uint64)).texts
        except (OperatorError, MemoryError):
            return texts

    def _timed_languages(self, texts: pa.Array) -> pa.Array:
        with self._workspace.timed("language"):
            return self._identify(texts)


def beside_texts(ids: pa.Array, source: pa.Array, kept: dict[str, pa.Array]) -> pa.RecordBatch:
    """What operators see of N documents besides texts: id, source, and kept fields with a name of their own."""
    fields = {name: column for name, column in kept.items() if name not in (*OWN_COLUMNS, STRUCTURE)}
    return pa.record_batch({"id": ids, "source": source, **fields})


def with_texts(beside: pa.RecordBatch, texts: pa.Array) -> pa.RecordBatch:
    """Both in one batch."""
    return pa.record_batch({"text": texts, **{name: beside.column(name) for name in beside.schema.names}})


def without_rows(columns: dict[str, Any], left: NDArray[np.int64]) -> dict[str, Any]:
    """Arrow or numpy columns with the rows that are left."""
    rows = pa.array(left)
    return {
        name: column[left] if isinstance(column, np.ndarray) else column.take(rows) for name, column in columns.items()
    }


def appliers_of(workspace: Workspace) -> list[Applier]:
    """The operators of the stage's settings, loaded; each is made once a process."""
    return [_applier(workspace, operator) for operator in workspace.settings.get("operators", [])]


def _applier(workspace: Workspace, described: Json) -> Applier:
    folders = workspace.runtime.get("operator_folders", {}).get(described["name"], {})
    return _made(orjson.dumps([described, folders]), RunFolder(workspace.store))


@cache
def _made(encoded: bytes, folder: RunFolder) -> Applier:
    """Made once a process: a class loads its model here."""
    described, folders = orjson.loads(encoded)
    operator = Operator.from_described(described, folders)
    try:
        call = made_operator(operator, partial(local_copy, folder.store))
    except (WinnowError, OSError, MemoryError):
        raise
    except Exception as error:
        raise OperatorError(
            f"operator {operator.name}: {operator.origin['object']} cannot be made with its settings: "
            f"{type(error).__name__}: {error}"
        ) from error
    return Applier(operator, call)
