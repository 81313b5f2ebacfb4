"""What operators return, as the columns that it becomes; everything else is refused with what came and was expected.

Legend: N documents of a batch.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.errors import OperatorError
from winnow.operators.operator import SPANS, VALUE, Operator

Columns = dict[str, pa.Array]

_EXPECTED = {
    "mapper": "one text a document: a string array, or a list of str",
    "filter": "one boolean a document: a boolean array, or a list of bool",
    "signal": "one number a document: an array of numbers, or a list of int, float or None",
    "spans": "one list a document, of (start, end, kind) in bytes of its UTF-8",
}


def columns_of(operator: Operator, returned: Any, rows: int) -> Columns:
    """What an operator returned for a batch of N rows, checked.

    Returns:
        Of a mapper ``{"text": large_string[N]}`` without nulls; of a filter its verdicts, bool[N]; of a signal its
        columns, float32[N] with null for None and NaN. Negative zeros become zero. Of spans ``SPANS``[N],
        without nulls.

    Raises:
        OperatorError: another type or length, or other columns than declared.
    """
    if operator.kind == "mapper":
        return {"text": _texts(operator, returned, rows)}
    if operator.kind == "spans":
        return {operator.name: _spans(operator, returned, rows)}
    if operator.kind == "filter":
        return {operator.columns[0]: _verdicts(operator, returned, rows)}
    if operator.columns == (operator.name,):
        if isinstance(returned, dict | pa.RecordBatch | pa.Table | pa.StructArray):
            raise _wrong(
                operator,
                f"{_what(returned)} with columns {', '.join(_named(returned)) or 'none'}",
                f"{_EXPECTED['signal']}; name several in the decorator: @winnow.signal(columns=[...])",
            )
        return {operator.name: _numbers(operator, returned, rows, operator.name)}
    return _several(operator, returned, rows)


def _several(operator: Operator, returned: Any, rows: int) -> Columns:
    declared = [column.partition(".")[2] for column in operator.columns]
    expected = f"columns {', '.join(declared)}, each {_EXPECTED['signal']}"
    if not isinstance(returned, dict | pa.RecordBatch | pa.Table | pa.StructArray):
        raise _wrong(operator, _what(returned), expected)
    found = _named(returned)
    if sorted(found) != sorted(declared):
        raise _wrong(operator, f"{_what(returned)} with columns {', '.join(found) or 'none'}", expected)
    values = {name: returned.field(name) if isinstance(returned, pa.StructArray) else returned[name] for name in found}
    return {
        column: _numbers(operator, values[name], rows, f"column {name}")
        for name, column in zip(declared, operator.columns, strict=True)
    }


def _named(returned: Any) -> list[str]:
    if isinstance(returned, dict):
        return [str(name) for name in returned]
    if isinstance(returned, pa.StructArray):
        return [field.name for field in returned.type]
    return list(returned.schema.names)


def _array(operator: Operator, returned: Any, rows: int, kind: pa.DataType | None, part: str = "") -> pa.Array:
    """One Arrow array of N rows."""
    expected = _EXPECTED[operator.kind]
    before = f"{part}: " if part and part != operator.name else ""
    if isinstance(returned, pa.ChunkedArray):
        returned = returned.combine_chunks()
    if isinstance(returned, np.ndarray) and returned.ndim != 1:
        raise _wrong(operator, f"{before}an array of {returned.ndim} dimensions", expected)
    if isinstance(returned, list | tuple | np.ndarray):
        try:
            returned = pa.array(returned, kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            kinds = ", ".join(sorted({type(value).__name__ for value in returned}))
            raise _wrong(operator, f"{before}{_what(returned)} of {kinds or 'nothing'}", expected) from error
    if not isinstance(returned, pa.Array):
        raise _wrong(operator, before + _what(returned), expected)
    if len(returned) != rows:
        raise _wrong(operator, f"{before}{len(returned):,} values for {rows:,} documents", expected)
    return returned


def _texts(operator: Operator, returned: Any, rows: int) -> pa.Array:
    found = _array(operator, returned, rows, pa.large_string() if isinstance(returned, list | tuple) else None)
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    if not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type) or found.type == pa.string_view()):
        raise _wrong(operator, f"an array of {found.type}", _EXPECTED["mapper"])
    if found.null_count:
        raise _wrong(operator, f"no text (null) for {found.null_count:,} documents", _EXPECTED["mapper"])
    texts = found.cast(pa.large_string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise _wrong(operator, "text that is not UTF-8", _EXPECTED["mapper"]) from error
    return texts


def _verdicts(operator: Operator, returned: Any, rows: int) -> pa.Array:
    found = _array(operator, returned, rows, None)
    if pa.types.is_null(found.type):
        found = found.cast(pa.bool_())
    if not pa.types.is_boolean(found.type):
        raise _wrong(operator, f"an array of {found.type}", _EXPECTED["filter"])
    return found


def _numbers(operator: Operator, returned: Any, rows: int, part: str) -> pa.Array:
    found = _array(operator, returned, rows, None, part)
    kind = found.type
    if not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    ):
        before = f"{part}: " if part != operator.name else ""
        raise _wrong(operator, f"{before}an array of {kind}", _EXPECTED["signal"])
    values = found.cast(VALUE, safe=False).to_numpy(zero_copy_only=False) + np.float32(0)
    missing = np.isnan(values)
    return pa.array(values, VALUE, mask=missing if missing.any() else None)


def _spans(operator: Operator, returned: Any, rows: int) -> pa.Array:
    expected = f"{_EXPECTED['spans']}, of the kinds {', '.join(operator.kinds)}"
    if isinstance(returned, list | tuple):
        try:
            names = ("start", "end", "kind")
            returned = pa.array([[dict(zip(names, s, strict=True)) for s in spans] for spans in returned], SPANS)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise _wrong(operator, f"{_what(returned)} of something else", expected) from error
    found = _array(operator, returned, rows, None)
    try:
        found = found.cast(SPANS)
    except pa.ArrowException as error:
        raise _wrong(operator, f"an array of {found.type}", expected) from error
    values = found.flatten()
    if found.null_count or values.null_count or any(values.field(name).null_count for name in range(3)):
        raise _wrong(operator, "a null; a document without any has an empty list", expected)
    kinds = pc.unique(values.field("kind")).to_pylist()
    if unknown := sorted(set(kinds) - set(operator.kinds)):
        raise _wrong(operator, f"the kind {unknown[0]!r:.60}", expected)
    return found


def _what(returned: Any) -> str:
    return "nothing (None)" if returned is None else f"a {type(returned).__name__}"


def _wrong(operator: Operator, came: str, expected: str) -> OperatorError:
    return OperatorError(f"operator {operator.name} ({operator.kind}) returned {came}; expected {expected}")
