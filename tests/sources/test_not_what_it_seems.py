"""Files that stand for others, JSON over several lines, and fields that are there with another type."""

import json

import pytest

from tests.support.reading import read
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.vocabulary import load_vocabulary

POINTER = """version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json", "a.parquet", "a.txt.gz", "a.jsonl.zst", "a.html"])
def test_a_pointer_of_git_lfs_is_no_document(tmp_path, name):
    (tmp_path / name).write_text(POINTER)
    found = read(tmp_path / name)
    assert not found.rows and [bad.row for bad in found.unreadable] == [None]
    assert found.unreadable[0].reason.startswith("wrong format: a Git LFS pointer")
    assert "git lfs pull" in found.unreadable[0].reason


@pytest.mark.parametrize("name", ["tokenizer.json", "ranks.tiktoken", "vocab.txt"])
def test_nor_is_it_a_vocabulary(tmp_path, name):
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(ValueError, match="Git LFS pointer.*git lfs pull"):
        load_vocabulary(TokeniserConfig(encoding=str(tmp_path / name), pattern=r"\S+" if "ranks" in name else None))


def test_json_over_several_lines_gets_a_hint(tmp_path):
    records = [{"text": "one"}, {"text": "two", "more": {"a": [1]}}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(record, indent=2) for record in records))
    found = read(tmp_path / "a.jsonl")
    assert not found.rows and {kind for _, kind in found.kinds} <= {"malformed JSON", "not an object"}
    assert "goes on over several lines" in found.unreadable[0].reason and "jq -c" in found.unreadable[0].reason


def test_of_several_text_fields_the_first_with_a_value_counts(tmp_path):
    records = [
        {"content": "a", "text": "b"},
        {"content": None, "text": "b"},
        {"text": "b"},
        {"content": 5, "text": "b"},
        {"content": ["a"], "text": "b"},
        {"content": None},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    found = read(tmp_path / "a.jsonl", text=["content", "text"])
    assert list(zip(found.rows, found.texts, strict=True)) == [(0, "a"), (1, "b"), (2, "b")]
    assert found.kinds == [(3, "wrong type"), (4, "wrong type"), (5, "null text")]
