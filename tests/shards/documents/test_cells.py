"""Documents taken apart for an exchange come back as they were, in any order and any stretches."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.shards.documents.cells import from_cells, to_cells

SCHEMA = pa.schema(
    [
        ("id", pa.large_string()),
        ("words", pa.uint32()),
        ("text", pa.large_string()),
        ("score", pa.float64()),
        ("seen", pa.bool_()),
        ("at", pa.int64()),
    ]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.none() | st.text(max_size=4),
            "words": st.none() | st.integers(0, 2**32 - 1),
            "text": st.none() | st.text(max_size=40),
            "score": st.none() | st.floats(allow_nan=False),
            "seen": st.none() | st.booleans(),
            "at": st.none() | st.integers(-(2**63), 2**63 - 1),
        }
    ),
    max_size=12,
)


@given(rows=ROWS, seed=st.integers(0, 99), step=st.integers(1, 50))
def test_a_table_comes_back_in_the_order_asked_for(rows, seed, step):
    table = pa.Table.from_pylist(rows, SCHEMA)
    cells = to_cells(table)
    order = np.random.default_rng(seed).permutation(len(rows))
    payload = cells.payload
    stretches = [(first, payload[first : first + step]) for first in range(0, len(payload), step)]
    columns = {name: values[order] for name, values in cells.columns.items()}
    back = from_cells(SCHEMA, columns, reversed(stretches), cells.starts[order])
    assert back.schema == SCHEMA
    assert back.to_pylist() == [rows[n] for n in order]
    assert cells.lengths.tolist() == [len(f"{row['id'] or ''}{row['text'] or ''}".encode()) for row in rows]


def test_names_of_few_kinds_travel_as_strings_and_numbers_alone_have_no_payload():
    table = pa.table({"source": pa.array(["a", "b", "a", None]).dictionary_encode(), "n": pa.array([1, 2, 3, 4])})
    cells = to_cells(table)
    schema = pa.schema([("source", pa.large_string()), ("n", pa.int64())])
    back = from_cells(schema, cells.columns, [(0, cells.payload)], cells.starts)
    assert back.column("source").to_pylist() == ["a", "b", "a", None]
    numbers = to_cells(table.select(["n"]))
    assert len(numbers.payload) == 0 and numbers.lengths.tolist() == [0] * 4


def test_a_list_is_refused_and_a_short_payload_noticed():
    with pytest.raises(TypeError, match="column 'x' is list"):
        to_cells(pa.table({"x": [[1]]}))
    cells = to_cells(pa.table({"x": ["one", "two"]}))
    schema = pa.schema([("x", pa.large_string())])
    with pytest.raises(ValueError, match="holds 3 of the 6 bytes"):
        from_cells(schema, cells.columns, [(0, cells.payload[:3])], cells.starts)
