"""The first records of each source are looked at before any work is done, by plan and run alike."""

import gzip
import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.configs import run_config, source_of
from winnow.config.config import parse_config
from winnow.errors import InputError
from winnow.runs.plan import plan_run
from winnow.runs.run import run


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def config_of(tmp_path, *sources, **sections):
    return parse_config(run_config(tmp_path / "run", *sources, **sections))


@pytest.mark.parametrize("start", [plan_run, run])
@pytest.mark.parametrize("kind", ["jsonl", "json.gz", "parquet"])
def test_a_missing_field_is_refused_at_once_with_what_there_is(tmp_path, start, kind):
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"body": ["a"], "url": ["u"]}), path)
    else:
        data = json.dumps([{"body": "a", "url": "u"}]).encode()
        path.write_bytes(gzip.compress(data) if kind == "json.gz" else data[1:-1])
    with pytest.raises(InputError) as refused:
        start(config_of(tmp_path, source_of(path, "web")))
    assert str(refused.value).startswith(f"source web: none of the first records of {path} can be read: missing")
    assert "'text'" in str(refused.value) and "has: body, url; correct `text` of the source" in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("record", "source", "named"),
    [
        ({"text": 7}, {}, "wrong type: field 'text' is a number"),
        ({"text": "a"}, {"messages": "talk"}, "missing messages: field 'talk' is not there; correct `messages`"),
        ({"q": "a"}, {"prompt": "q", "response": "a"}, "missing text: field 'a' is not there; correct `prompt` and"),
        ({"text": "a"}, {"pair": "b"}, "missing text: field 'b' is not there; correct `text` and `pair`"),
    ],
)
def test_other_shapes_too(tmp_path, record, source, named):
    with pytest.raises(InputError) as refused:
        shards = {"row": "document"}
        plan_run(config_of(tmp_path, source_of(write(tmp_path / "a.jsonl", record), **source), shards=shards))
    assert named in str(refused.value)


def test_one_bad_file_or_record_refuses_nothing(tmp_path):
    write(tmp_path / "a.jsonl", {"txt": "card"})
    write(tmp_path / "b.jsonl", {"text": "b"})
    write(tmp_path / "c.jsonl", {"txt": "c"}, {"text": "c"})
    write(tmp_path / "d.jsonl")
    (tmp_path / "e.jsonl").write_text("no json\n")
    plan_run(config_of(tmp_path, source_of([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])))
    for name in "cde":
        plan_run(config_of(tmp_path, source_of(tmp_path / f"{name}.jsonl")))
    all_may_be_bad = {"compute": {"max_unreadable_share": 1.0}}
    plan_run(config_of(tmp_path, source_of(tmp_path / "a.jsonl"), **all_may_be_bad))


def test_what_is_no_record_at_all_is_warned_of_before_any_work(tmp_path, caplog):
    (tmp_path / "a.jsonl").write_text("<html>not found</html>\n")
    with caplog.at_level(logging.WARNING, "winnow"):
        plan_run(config_of(tmp_path, source_of(tmp_path / "a.jsonl")))
    told = f"source s: none of the first records of {tmp_path}/a.jsonl can be read: malformed JSON"
    assert [line.startswith(told) for line in caplog.messages] == [True]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (["conversations", "id"], "`messages: conversations` reads"),
        (["instruction", "input", "output"], "`prompt: [instruction, input]` with `response: output`"),
        (["chosen", "rejected"], "`chosen: chosen` with"),
        (["body", "messages "], None),
    ],
)
def test_what_reads_records_of_another_kind_is_told(tmp_path, fields, told):
    path = write(tmp_path / "a.jsonl", dict.fromkeys(fields, "x"))
    with pytest.raises(InputError) as refused:
        plan_run(config_of(tmp_path, source_of(path)))
    assert told in str(refused.value) if told else str(refused.value).endswith("or `path`")


def test_names_without_a_value_and_text_beside_records_are_warned_of(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in/a.jsonl", {"text": "a", "url": "u", "meta": {"lang": "de"}})
    (tmp_path / "in/README.md").write_text("# card")
    with caplog.at_level(logging.WARNING, "winnow"):
        plan_run(config_of(tmp_path, source_of(tmp_path / "in", id="idd", keep=["ur1", "url", "meta.lang"])))
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 3 and "1 of 2 files are plain text beside records" in warned[0]
    assert "id: no record has a value for 'idd'" in warned[1] and "records have: text, url, meta.lang" in warned[1]
    assert "keep: no record has a value for 'ur1'" in warned[2]
