"""``use: field``: what the records say of themselves in a field that `keep` names, as a signal."""

import math
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from winnow.operators.marks import signal

_NUMBERS = {"true": 1.0, "false": 0.0}


@signal(version="1")
class Field:
    """A field's number; with `values`, 1 where it is one of them and 0 where it is another one."""

    def __init__(self, field: str, values: Sequence[str] = ()) -> None:
        (self._field,) = self.needs(field, values)
        self._values = pa.array(values, pa.string())

    @staticmethod
    def needs(field: str, values: Sequence[str] = ()) -> tuple[str, ...]:
        """The columns that it reads.

        Raises:
            ValueError: the settings cannot be.
        """
        if not isinstance(field, str) or not field:
            raise ValueError(f"field ({field!r:.60}) is no name of a field that `keep` names")
        if isinstance(values, str) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"values ({values!r:.60}) is no list of texts; write numbers in quotes")
        return (field,)

    def __call__(self, batch: pa.RecordBatch) -> pa.Array | list[float | None]:
        """The numbers; no value where the field has none, or one that is no finite number."""
        column = batch.column(self._field)
        if len(self._values):
            return pc.if_else(pc.is_valid(column), pc.is_in(column, value_set=self._values), None)
        return [_number(value) for value in column.to_pylist()]


def _number(value: str | float | None) -> float | None:
    try:
        number = _NUMBERS[value] if value in _NUMBERS else math.nan if value is None else float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
