"""Documents as they travel through an exchange: numbers as fixed-width columns, strings end to end as the payload.

Legend: N documents, S string columns, B bytes of all their strings.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers, strings_from_buffers
from winnow.shards.packing.stream import Stretch, gather_documents, place_documents

_NULL = -1  # length of a string that is missing


class Cells(NamedTuple):
    """A table taken apart."""

    columns: dict[str, NDArray[np.generic]]
    """By place of the column: ``n0`` values and ``v0`` whether there is one, or ``s0`` int64[N] bytes, -1 for none."""
    payload: NDArray[np.uint8]
    """uint8[B']: the strings of a document, column after column."""
    starts: NDArray[np.int64]
    """int64[N]: where the strings of each document begin in the payload."""
    lengths: NDArray[np.int64]
    """int64[N]: their bytes together."""


def to_cells(table: pa.Table) -> Cells:
    """Take a table apart; columns are numbers, booleans or strings.

    Raises:
        TypeError: a column is of another type.
    """
    columns: dict[str, NDArray[np.generic]] = {}
    strings = []
    for place, field in enumerate(table.schema):
        values = table.column(place).combine_chunks()
        if is_text(field.type):
            found = values.cast(pa.large_string())
            columns[f"s{place}"] = pc.binary_length(found).fill_null(_NULL).to_numpy(zero_copy_only=False)
            strings.append(found.fill_null(""))
            continue
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_boolean(field.type)):
            raise TypeError(f"column {field.name!r} is {field.type}; only numbers, booleans and strings can be written")
        columns[f"v{place}"] = values.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8)
        flat = values.fill_null(False if pa.types.is_boolean(field.type) else 0).to_numpy(zero_copy_only=False)
        columns[f"n{place}"] = flat.astype(np.uint8) if flat.dtype == bool else flat
    if not strings:
        nothing = np.zeros(table.num_rows, np.int64)
        return Cells(columns, np.empty(0, np.uint8), nothing, nothing)
    joined = (
        strings[0] if len(strings) == 1 else pc.binary_join_element_wise(*strings, pa.scalar("", pa.large_string()))
    )
    payload, offsets = string_buffers(joined)
    return Cells(columns, payload, offsets[:-1], np.diff(offsets))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column travels as strings."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def from_cells(
    schema: pa.Schema, columns: dict[str, NDArray[np.generic]], stretches: Iterable[Stretch], starts: NDArray[np.int64]
) -> pa.Table:
    """A table put together again.

    Args:
        schema: of the table; strings become ``large_string``.
        columns: of :class:`Cells`, N rows, in the order wanted.
        stretches: the payload, in any order; a stretch is done with when the next is asked for.
        starts: int64[N]: where the strings of each document begin in the payload.

    Raises:
        ValueError: the stretches do not hold all strings.
    """
    texts = {place: columns[f"s{place}"] for place, field in enumerate(schema) if is_text(field.type)}
    lengths = {place: np.maximum(found, 0).astype(np.int64) for place, found in texts.items()}
    whole = sum(lengths.values(), np.zeros(len(starts), np.int64))
    places = np.cumsum(whole) - whole
    payload = np.empty(int(whole.sum()), np.uint8)
    copied = place_documents(stretches, starts, whole, places, payload)
    if copied != len(payload):
        raise ValueError(f"the payload holds {copied} of the {len(payload)} bytes of these documents")
    made = []
    for place, field in enumerate(schema):
        if place in texts:
            flat = np.empty(int(lengths[place].sum()), np.uint8)
            at = 0
            for stretch in gather_documents(payload, places, lengths[place]):
                flat[at : at + len(stretch)] = stretch
                at += len(stretch)
            places = places + lengths[place]
            offsets = np.concatenate([[0], np.cumsum(lengths[place])])
            found = strings_from_buffers(flat, offsets)
            missing = pa.array(texts[place] == _NULL)
            made.append(pc.if_else(missing, pa.scalar(None, pa.large_string()), found) if missing.true_count else found)
            continue
        numbers = columns[f"n{place}"]
        values = numbers.astype(bool) if pa.types.is_boolean(field.type) else numbers
        made.append(pa.array(values, field.type, mask=columns[f"v{place}"] == 0))
    types = [pa.large_string() if place in texts else field.type for place, field in enumerate(schema)]
    return pa.table(made, pa.schema(list(zip(schema.names, types, strict=True))))
