"""What reading altered, guessed or did not find is told: in summary, manifest and status, by source with one place."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from winnow.config.config import parse_config
from winnow.errors import UnreadableShareError
from winnow.report.reports import FOLDER
from winnow.report.summary import REPORT
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.runs.status import SUMMARY

GERMAN = "Die Prüfung der Größe Nummer {} war für alle schön. Äpfel und Öl gehören in die Küche, sagte die Köchin."
UNREAD = {"dedup": False, "shards": {"sequence_tokens": 63, "splits": {}}}


@pytest.fixture
def prose(tmp_path):
    folder = tmp_path / "prose"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.txt").write_bytes(GERMAN.format(number).encode("cp1252"))
    return folder


def config_of(tmp_path, *sources, share=0.01) -> dict:
    return run_config(tmp_path / "run", *sources, **UNREAD, compute={"max_unreadable_share": share})


def told(config: dict) -> str:
    """The run's summary."""
    run(parse_config(config))
    return (load_run(config["run"]).store.read(SUMMARY)).decode()


def test_a_source_in_another_encoding_stops_the_run_and_names_the_setting(tmp_path, prose):
    with pytest.raises(UnreadableShareError) as stopped:
        run(parse_config(config_of(tmp_path, source_of(prose, "prose"))))
    assert "12 of 12 records (100.00%) cannot be read or are in another encoding" in str(stopped.value)
    assert "source prose: 12 documents are not UTF-8" in str(stopped.value)
    assert f"{prose}/00.txt, row 0" in str(stopped.value) and "set `encoding`" in str(stopped.value)


def test_where_it_may_go_on_summary_manifest_and_status_tell_it(tmp_path, prose):
    other = tmp_path / "fine.jsonl"
    other.write_text("".join(json.dumps({"text": GERMAN.format(n)}) + "\n" for n in range(5)))
    config = config_of(tmp_path, source_of(prose, "prose"), source_of(other, "fine"), share=1.0)
    summary = told(config)
    alarm = (
        "ALARM: source prose: 12 of 12 documents (100.0%) hold U+FFFD in place of bytes that are not UTF-8, over 1%: "
        "set its `encoding`, such as cp1252 or gbk, or `detect`"
    )
    assert alarm in summary and f"{prose}/00.txt, row 0" in summary and "source fine" not in summary
    manifest = load_run(config["run"]).manifest
    assert manifest["sources"]["prose"]["reading"] == {"foreign": 12} and "reading" not in manifest["sources"]["fine"]
    assert alarm in winnow("status", config["run"])[1]
    assert alarm in json.loads(winnow("status", config["run"], "--json")[1])["warnings"]
    assert f"{FOLDER}/{REPORT.file}" == SUMMARY


def test_a_guess_is_counted_by_encoding_and_is_an_alarm_where_many_are(tmp_path, prose):
    config = config_of(tmp_path, source_of(prose, "prose", encoding="detect"))
    summary = told(config)
    assert "source prose: 12 documents are not UTF-8 and were read as cp1252, which is a guess" in summary
    (alarm,) = [line for line in summary.splitlines() if line.startswith("ALARM")]
    assert "source prose: 12 of 12 documents (100.0%) were read in an encoding that was guessed" in alarm
    assert load_run(config["run"]).manifest["sources"]["prose"]["reading"] == {"guessed cp1252": 12}


def test_bytes_replaced_in_kept_fields_are_told(tmp_path):
    by = pa.array([b"caf\xe9", *[b"a"] * 4], pa.binary())
    pq.write_table(pa.table({"text": [GERMAN.format(n) for n in range(5)], "by": by}), tmp_path / "a.parquet")
    config = config_of(tmp_path, source_of(tmp_path / "a.parquet", id=None, keep=["by"]))
    what = "source s: 1 documents hold bytes that are not UTF-8 in 'by': U+FFFD stands for them, in an id hexadecimal"
    assert what in told(config)
    assert load_run(config["run"]).manifest["sources"]["s"]["reading"] == {"replaced field by": 1}


@pytest.mark.parametrize("field", ["meta/by", "is/foreign"])
def test_a_field_of_any_name_is_told_of(tmp_path, field):
    values = pa.array([b"caf\xe9", b"a", b"\xff"], pa.binary())
    pq.write_table(
        pa.table({"text": [*(GERMAN.format(n) for n in range(2)), None], field: values}), tmp_path / "a.parquet"
    )
    config = config_of(tmp_path, source_of(tmp_path / "a.parquet", id=None, keep=[field]), share=0.5)
    assert f"source s: 1 documents hold bytes that are not UTF-8 in {field!r}" in told(config)  # not of the refused row
    assert load_run(config["run"]).manifest["sources"]["s"]["reading"] == {f"replaced field {field}": 1}


def test_a_named_encoding_is_read_without_a_word(tmp_path, prose):
    config = config_of(tmp_path, source_of(prose, "prose", encoding="cp1252"))
    assert "source prose" not in told(config)
    assert "reading" not in load_run(config["run"]).manifest["sources"]["prose"]


def test_names_that_match_nothing_are_warned_of_with_what_records_have(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"text": GERMAN.format(n), "url": f"u{n}", "meta": {"lang": "de"}}) + "\n" for n in range(5))
    )
    source = source_of(tmp_path / "a.jsonl", id="idd", keep=["ur1", "url", "meta.lang", "meta.la"])
    summary = told(config_of(tmp_path, source))
    has = ": records have: text, url, meta.lang"
    warned = [line for line in summary.splitlines() if "no record has a value" in line]
    assert warned == [
        f"ALARM: source s: id: no record has a value for 'idd', so ids are derived from source, path and row{has}",
        f"ALARM: source s: keep: no record has a value for 'ur1', so the column is empty{has}",
        f"ALARM: source s: keep: no record has a value for 'meta.la', so the column is empty{has}",
    ]


def test_ids_that_some_records_lack_are_warned_of(tmp_path):
    records = [{"text": GERMAN.format(n), "id" if n else "uid": f"d{n}"} for n in range(5)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    warned = "WARNING: source s: id: 1 of 5 documents have no value for 'id', so their ids are derived"
    assert warned in told(config_of(tmp_path, source_of(tmp_path / "a.jsonl", id="id")))
    assert "no value for" not in told(config_of(tmp_path, source_of(tmp_path / "a.jsonl", id=None)))


def test_examples_in_another_encoding_are_told_by_their_setting(tmp_path, prose):
    fine = tmp_path / "a.jsonl"
    fine.write_text("".join(json.dumps({"text": GERMAN.format(n)}) + "\n" for n in range(5)))
    config = config_of(tmp_path, source_of(fine))
    config["select"] = {"importance": {"target": str(prose)}, "sample": {"target_tokens": 100}}
    name = parse_config(config).select.importance.example_sets.keys()
    alarm = f"ALARM: source {next(iter(name))}: 12 of 12 documents (100.0%) hold U+FFFD"
    assert alarm in told(config)
    config["select"]["importance"]["target"] = {"path": str(prose), "encoding": "cp1252"}
    assert "ALARM" not in told(config)


def test_a_source_without_a_record_is_warned_of(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": GERMAN}) + "\n")
    (tmp_path / "b.jsonl").write_text("\n\n")
    summary = told(config_of(tmp_path, source_of(tmp_path / "a.jsonl", "a"), source_of(tmp_path / "b.jsonl", "b")))
    assert [line for line in summary.splitlines() if line.startswith(("WARNING", "ALARM: source b"))] == [
        "ALARM: source b: no record in its 1 files: look at its `path` and `format`"
    ]


def test_plain_text_beside_records_is_warned_of(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(json.dumps({"text": GERMAN}) + "\n")
    (tmp_path / "in" / "README.md").write_text("# A dataset card")
    summary = told(config_of(tmp_path, source_of(tmp_path / "in")))
    assert "WARNING: source s: 1 of 2 files are plain text beside records" in summary
    assert f"such as {tmp_path}/in/README.md" in summary
    (tmp_path / "in" / "README.md").unlink()
    assert "WARNING" not in told(config_of(tmp_path, source_of(tmp_path / "in")))


def test_a_separator_that_cuts_no_file_is_warned_of(tmp_path):
    (tmp_path / "a.txt").write_bytes("\r\n\r\n".join(GERMAN.format(n) for n in range(5)).encode())
    source = source_of(tmp_path / "a.txt", separator="\n\n")
    summary = told(config_of(tmp_path, source))
    assert (
        r"WARNING: source s: separator '\n\n' does not stand between texts in any of its 1 files, so each is one "
        r"document; files of Windows have \r\n at the ends of lines"
    ) in summary
    assert "WARNING" not in told(config_of(tmp_path, source | {"separator": "\r\n\r\n"}))
