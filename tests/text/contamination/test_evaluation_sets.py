"""Evaluation sets: fields told by their names, and whatever may be wrong with a file."""

import bz2
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.errors import ConfigError
from winnow.text.contamination.items import Items, Layout, read_items


def read(path, given=None) -> Items:
    items = Items()
    read_items(items, path, "set", path.name, given)
    return items


def written(folder, content, name="set.jsonl"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


EIGHT = {
    "gsm8k/test.jsonl": (1319, "Janet’s ducks lay 16", ["Janet sells 16 - 3 - 4"]),
    "hellaswag/hellaswag_1000_unique.jsonl": (1000, "Health: How to do", ["If you need additional padding"]),
    "hellaswag/olmo_rc_5shot_requests.jsonl.gz": (8000, "Finance and Business", ["You don't have to be a resident"]),
    "humaneval/HumanEval.jsonl": (164, "from typing import List", ["    for idx, elem"]),
    "mbpp/mbpp.jsonl": (974, "Write a function to find", ["R = 3"]),
    "mmlu/mmlu_all.jsonl": (15858, "Find all c in Z_3", ["1"]),
    "openbookqa/openbookqa.jsonl": (500, "A person wants to start", ["quit eating lunch out"]),
    "piqa/valid.jsonl": (1838, "How do I ready a guinea pig", ["Provide the guinea", "Provide the guinea"]),
    "truthfulqa/TruthfulQA.csv": (817, "What happens to you if you eat", ["The watermelon seeds pass"]),
}


@pytest.mark.parametrize("name", EIGHT)
def test_fields_of_eight_benchmarks(shared, name):
    number, question, answers = EIGHT[name]
    items = read(shared / "evals" / name)
    assert len(items) == number
    assert items.question[0].startswith(question)
    assert len(items.answers[0]) == len(answers)
    assert all(found.startswith(begin) for found, begin in zip(items.answers[0], answers, strict=True))
    assert sum(not text for text in items.question) == 0


ROW = {"question": "q?", "answer": "B", "choices": ["one", "two"]}


@pytest.mark.parametrize(
    ("row", "answers"),
    [
        (ROW, ("two",)),
        (ROW | {"answer": 0}, ("one",)),
        (ROW | {"answer": "1"}, ("two",)),
        (ROW | {"answer": "two"}, ("two",)),
        (ROW | {"answer": 7}, ("one", "two")),  # which one is right is not known
        (ROW | {"answer": None}, ("one", "two")),
        ({"question": "q?", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"}, ("y",)),
        ({"question": {"stem": "q?", "choices": [{"text": "x", "label": "C"}]}, "answerKey": "C"}, ("x",)),
        ({"question": "q?", "answer": ["a", "b", "a", " "]}, ("a", "b")),
        ({"question": "q?", "answer": {"value": "a", "aliases": ["b"]}}, ("a", "b")),
        ({"question": "q?", "answer": 12.5}, ("12.5",)),
        ({"question": "q?"}, ()),
        ({"problem": "q?", "solution": "s"}, ("s",)),
    ],
)
def test_answers(tmp_path, row, answers):
    items = read(written(tmp_path, lines(row)))
    assert (items.question, items.answers) == (["q?"], [answers])


def test_fields_that_the_config_names(tmp_path):
    row = {"a": {"b": "q?"}, "question": "no", "x": "one", "y": "two", "right": "1"}
    path = written(tmp_path, lines(row))
    items = read(path, Layout("a.b", "right", ("x", "y")))
    assert (items.question, items.answers) == (["q?"], [("two",)])
    assert read(path, Layout("", "x")).answers == [("one",)]
    for given, field in ((Layout("c"), "c"), (Layout("a.c"), "a.c"), (Layout("a.b", "z"), "z")):
        with pytest.raises(ConfigError, match=rf"set.jsonl, line 1: has no field '{field}'; there are 'a', 'question'"):
            read(path, given)


def test_every_format_reads_alike(tmp_path):
    rows = [{"question": f"what, is\n{n}?", "answer": f"“{n}”"} for n in range(3)]
    table = 'question,answer\n"what, is\n0?",“0”\n"what, is\n1?",“1”\n"what, is\n2?",“2”\n'
    paths = [
        written(tmp_path, lines(*rows)),
        written(tmp_path, "\ufeff\n" + lines(*rows), "marked.jsonl"),
        written(tmp_path, json.dumps(rows, indent=1), "set.json"),
        written(tmp_path, lines(*rows), "lines.json"),
        written(tmp_path, table, "set.csv"),
        written(tmp_path, "\ufeff" + table.replace("\n", "\r\n").replace("is\r\n", "is\n"), "windows.csv"),
        written(tmp_path, table.replace(",“", "\t“").replace("question,", "question\t"), "set.tsv"),
        written(tmp_path, gzip.compress(lines(*rows).encode()), "set.jsonl.gz"),
        written(tmp_path, bz2.compress(table.encode()), "set.csv.bz2"),
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    for path in [*paths, tmp_path / "set.parquet"]:
        items = read(path)
        assert items.question == [row["question"] for row in rows], path.name
        assert items.answers == [(row["answer"],) for row in rows], path.name
    assert read(paths[4]).line == [2, 4, 6]
    assert read(paths[1]).line == [2, 3, 4]


GOOD = lines({"question": "a", "answer": "b"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", GOOD + '{"question": "no end\n', r"a\.jsonl, line 2: no JSON .*correct or remove"),
        ("a.jsonl", GOOD + "[1]\n", r"a\.jsonl, line 2: a JSON list; expected an object"),
        ("a.jsonl", GOOD + '{"question": 5}\n', r"line 2: field 'question' is a int; expected the text"),
        ("a.jsonl", GOOD + '{"question": "\udce4"}\n', "line 2: no JSON"),
        ("a.jsonl", "", r"a\.jsonl: holds no item"),
        ("a.jsonl", "\n \n", "holds no item"),
        ("a.jsonl", lines({"foo": 1, "bar\x1b": 2}), r"line 1: nobody can tell.*'foo', 'bar\\x1b': name them"),
        ("a.jsonl", "[" * 5000 + "\n", "no JSON"),
        ("a.json", '[{"question": "a"},\n {"question"]', r"a\.json, line 2: no JSON"),
        ("a.json", '[{"question": "a"}, 5]', "element 2: a int"),
        ("a.csv", "question,answer\na,b\nc\n", "line 3: 1 fields, and the first line names 2"),
        ("a.csv", 'question,answer\na,b\n"c,d\n', r"a\.csv, line 3: malformed CSV"),
        ("a.csv", "question,answer\n", "holds no item"),
        ("a.csv", b"question,answer\na,b\n\xe4,b\n", r"a\.csv, line 3: not UTF-8"),
        ("a.jsonl.gz", b"no gzip", "wrong format: the name says gzip"),
        ("a.jsonl.gz", gzip.compress(GOOD.encode() * 900)[:-9], r"a\.jsonl\.gz: truncated"),
        ("a.parquet", b"PAR1 no parquet", r"a\.parquet, behind row 0: no Parquet"),
        ("a.parquet.gz", b"", "nobody can tell what this evaluation set holds"),
        ("a.txt", "x", "nobody can tell what this evaluation set holds; expected a file named"),
        ("a.jsonl", lines({"question": "a", "choices": [["x"]]}), "line 1: a choice in 'choices' is a list"),
        ("a.jsonl", lines({"question": "a", "choices": ["x"] * 99}), "line 1: 99 answers"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, name, content, message):
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    with pytest.raises(ConfigError, match=message):
        read(written(tmp_path, content, name))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.jsonl: cannot be read: No such file"):
        read(tmp_path / "gone.jsonl")


def test_empty_items_are_kept_to_be_counted(tmp_path):
    rows = [{"question": "a", "answer": "b"}, {"question": "", "answer": "b"}, {"question": None}, {}]
    items = read(written(tmp_path, lines(*rows)))
    assert items.question == ["a", "", "", ""]
    assert items.line == [1, 2, 3, 4]
