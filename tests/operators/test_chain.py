"""Operators on batches, without files and runs: what each sees, what is isolated, what is refused."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.errors import OperatorError
from winnow.operators.apply import SAMPLE, Applier, sample_places
from winnow.operators.chain import Chain
from winnow.operators.operator import Operator
from winnow.operators.results import columns_of


def operator(name: str, kind: str = "signal", columns=None, needs=None) -> Operator:
    adds = () if kind == "mapper" else columns or (name,)
    return Operator(name, kind, "", needs, adds, {"object": name}, {})


def first_letters(texts: pa.Array) -> pa.Array:
    """Stands for the language: the first letter, which a mapper may change."""
    names = ["a", "b", "c", "-"]
    codes = [names.index((text or "-")[0]) for text in texts.to_pylist()]
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int16()), pa.array(names))


def batch(texts: list[str], **kept) -> pa.RecordBatch:
    ids = pa.array([f"d{n}" for n in range(len(texts))], pa.string())
    return pa.record_batch({"text": pa.array(texts, pa.large_string()), "id": ids, **kept})


def run(operators: list, texts: list[str], identify=first_letters, **kept):
    counts: dict[str, int] = {}

    def count(name: str, number: int) -> None:
        counts[name] = counts.get(name, 0) + number

    chain = Chain([Applier(*pair) for pair in operators], identify, count)
    return chain(batch(texts, **kept), np.arange(len(texts), dtype=np.uint64)), counts


def test_language_is_that_of_the_text_that_is_seen():
    asked = []

    def identify(texts):
        asked.append(len(texts))
        return first_letters(texts)

    def languages(found):
        return pc.equal(
            found["language"].cast(pa.string()), pc.utf8_slice_codeunits(found["text"], 0, 1).cast("string")
        )

    turn = lambda found: pc.replace_substring(found["text"], "b", "c")  # noqa: E731
    operators = [
        (operator("before", needs=("text",)), lambda found: [float("language" in found.schema.names)] * len(found)),
        (operator("one"), languages),
        (operator("turn", "mapper"), turn),
        (operator("two"), languages),
    ]
    result, counts = run(operators, ["ax", "bx", "cx", "bb"], identify)
    assert result.columns["before"].to_pylist() == [0, 0, 0, 0]  # who does not need it does not wait for it
    assert result.columns["one"].to_pylist() == result.columns["two"].to_pylist() == [1, 1, 1, 1]
    assert result.languages.to_pylist() == ["a", "c", "c", "c"]
    assert asked == [4, 2]  # all, and then those that changed
    assert counts["operator/turn/changed"] == 2
    asked.clear()
    result, _ = run([(operator("turn", "mapper", needs=("text",)), turn)], ["ax", "bx"], identify)
    assert (result.languages.to_pylist(), asked) == (["a", "c"], [2])  # of the final text alone


@given(bad=st.sets(st.integers(0, 40)), worse=st.sets(st.integers(0, 40)), number=st.integers(1, 41))
def test_exceptions_are_isolated_to_their_documents(bad, worse, number):
    def raising(rows):
        def call(found):
            if any(int(name[1:]) in rows for name in found["id"].to_pylist()):
                raise KeyError("text")
            return [int(name[1:]) for name in found["id"].to_pylist()]

        return call

    operators = [(operator("bad"), raising(bad)), (operator("worse"), raising(worse))]
    result, counts = run(operators, ["a"] * number)
    left = [row for row in range(number) if row not in bad | worse]
    assert result.left.tolist() == left
    assert result.columns["bad"].to_pylist() == result.columns["worse"].to_pylist() == left
    assert sorted(result.failed) == [row for row in range(number) if row in bad | worse]
    for row, reason in result.failed.items():
        assert reason.startswith(f"operator {'bad' if row in bad else 'worse'}: raises KeyError (test_chain.py, line ")
    assert len(result.texts) == len(result.languages) == len(left)
    assert counts["operator/bad/errors"] == len([row for row in bad if row < number])


def test_what_is_the_machines_fault_is_no_documents():
    for error in (OSError("gone"), MemoryError(), ImportError("no such package"), OperatorError("told already")):

        def call(found, error=error):
            raise error

        with pytest.raises(type(error)):
            run([(operator("a"), call)], ["a", "b"])


def chain_of(*operators) -> Chain:
    return Chain([Applier(*pair) for pair in operators], first_letters, lambda _name, _number: None)


def test_an_operator_whose_model_breaks_blames_no_document():
    """It raises on all that comes from some moment on: on a document that it took before, too."""
    asked = []

    def breaks(found):
        asked.append(len(found))
        if len(asked) > 1:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return [0.0] * len(found)

    broken = Applier(operator("broken"), breaks)
    broken(batch(["a", "b"]))
    with pytest.raises(OperatorError, match=r"operator broken raises RuntimeError .* on one that it took before, so"):
        broken(batch(["c", "a"]))


@pytest.mark.parametrize("texts", [["a"], ["a", "b", "c"]])
def test_an_operator_that_takes_nothing_blames_no_document(texts):
    def broken(found):
        raise RuntimeError("the model's file is cut short")

    chain = chain_of((operator("broken"), broken))
    assert len(chain(batch(texts), np.arange(len(texts), dtype=np.uint64)).failed) == len(texts)
    with pytest.raises(OperatorError, match="has taken none yet, nor a plain text, so it is not the documents"):
        chain.finish()  # before the unit is committed

    def of_texts(found):
        return [float(text) for text in found["text"].to_pylist()]

    chain = chain_of((operator("of_texts"), of_texts))
    chain(batch(["a word"]), np.arange(1, dtype=np.uint64))
    chain(batch(["-7"]), np.arange(1, dtype=np.uint64))
    chain.finish()  # it takes others: the first one is at fault


def test_a_field_that_another_source_keeps_is_null():
    sees = lambda found: [value is None for value in found["url"].to_pylist()]  # noqa: E731
    result, _ = run([(operator("no_url", needs=("url",)), sees)], ["a", "b"])
    assert result.columns["no_url"].to_pylist() == [1, 1]
    result, _ = run([(operator("no_url", needs=("url",)), sees)], ["a", "b"], url=pa.array(["u", None]))
    assert result.columns["no_url"].to_pylist() == [0, 1]


def test_only_the_first_batch_of_a_unit_is_looked_at_twice():
    seen = []

    def call(found):
        seen.append(found["id"].to_pylist())
        return [1] * found.num_rows

    chain = Chain([Applier(operator("a"), call)], first_letters, lambda _name, _number: None)
    docs = np.arange(50, dtype=np.uint64)
    for _ in range(3):
        chain(batch(["a"] * 50), docs)
    assert [len(names) for names in seen] == [50, SAMPLE, 50, 50]
    assert seen[1] == [f"d{row}" for row in sample_places(docs)] != sorted(seen[1])


def test_a_sample_that_raises_the_second_time_is_told():
    calls = SimpleNamespace(number=0)

    def call(found):
        calls.number += 1
        if calls.number > 1:
            raise ValueError("why")
        return [1] * found.num_rows

    with pytest.raises(
        OperatorError, match=r"operator a raises ValueError .* on documents that it took before, such as d"
    ):
        run([(operator("a"), call)], ["a", "b"])


TAKEN = [
    ("signal", [1, None, 2.5], [1, None, 2.5]),
    ("signal", [True, False, None], [1, 0, None]),
    ("signal", [None, None, None], [None, None, None]),
    ("signal", np.array([1, 2, 3], np.int64), [1, 2, 3]),
    ("signal", np.array([1, np.nan, -0.0], np.float16), [1, None, 0]),
    ("signal", pa.chunked_array([[1, 2], [3]]), [1, 2, 3]),
    ("signal", pa.array([2**24, 2**24 + 1, 2**63], pa.uint64()), [2**24, 2**24, 2**63]),
    ("signal", pa.array([float("inf"), 1e300, -1e300]), [float("inf"), float("inf"), float("-inf")]),
    ("filter", [True, None, False], [True, None, False]),
    ("filter", np.array([True, False, True]), [True, False, True]),
    ("mapper", ["a", "", "\u00e9"], ["a", "", "\u00e9"]),
    ("mapper", pa.array(["a", "b", "c"], pa.string_view()), ["a", "b", "c"]),
    ("mapper", pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
    ("mapper", np.array(["a", "b", "c"], object), ["a", "b", "c"]),
]


@pytest.mark.parametrize(("kind", "returned", "expected"), TAKEN)
def test_what_is_taken(kind, returned, expected):
    (column,) = columns_of(operator("a", kind), returned, 3).values()
    assert column.to_pylist() == expected
    kinds = {"signal": pa.float32(), "filter": pa.bool_(), "mapper": pa.large_string()}
    assert column.type == kinds[kind]


@pytest.mark.parametrize(
    ("kind", "returned", "came"),
    [
        ("signal", ["1", "2", "3"], "an array of string"),
        ("signal", [1, "2", 3], "a list of int, str"),
        ("signal", np.ones((3, 2)), "an array of 2 dimensions"),
        ("signal", np.array([1, "a", None], object), "a ndarray of NoneType, int, str"),
        ("signal", 1.0, "a float"),
        ("signal", {"b": [1, 2, 3]}, "a dict with columns b;"),
        ("signal", iter([1, 2, 3]), "a list_iterator"),
        ("filter", [0, 1, 1], "an array of int64"),
        ("mapper", ["a", None, "c"], r"no text \(null\) for 1 documents"),
        ("mapper", ["a", "\ud800", "c"], "a list of str"),
        ("mapper", pa.array([b"a", b"b", b"c"]), "an array of binary"),
        ("mapper", "abc", "a str"),
        ("mapper", pa.array([b"\xff", b"b", b"c"]).view(pa.string()), "text that is not UTF-8"),
    ],
)
def test_what_is_refused(kind, returned, came):
    with pytest.raises(OperatorError, match=rf"operator a \({kind}\) returned {came}.*expected one "):
        columns_of(operator("a", kind), returned, 3)


def test_several_columns():
    several = operator("a", columns=("a.x", "a.y"))
    for returned in (
        {"y": [1, 2], "x": np.array([3, 4])},
        pa.record_batch({"x": [3, 4], "y": [1, 2]}),
        pa.table({"x": [3, 4], "y": [1, 2]}),
        pa.StructArray.from_arrays([pa.array([3, 4]), pa.array([1, 2])], ["x", "y"]),
    ):
        found = columns_of(several, returned, 2)
        assert {name: column.to_pylist() for name, column in found.items()} == {"a.x": [3, 4], "a.y": [1, 2]}
    with pytest.raises(OperatorError, match=r"returned column y: 1 values for 2 documents"):
        columns_of(several, {"x": [1, 2], "y": [1]}, 2)
    with pytest.raises(OperatorError, match=r"returned a list; expected columns x, y"):
        columns_of(several, [1, 2], 2)
