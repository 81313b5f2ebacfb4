"""CSV and TSV against Python's csv module, and what is malformed."""

import csv
import gzip
import io
import random
import time
from pathlib import Path

import pytest

from tests.support.reading import Gathered, read
from winnow.sources.read import format_of
from winnow.sources.readers import csv_records, decoders, streams
from winnow.sources.source import SourceConfig

KEEP = ["k"]


def table(path: Path, data: bytes | str, **settings) -> Gathered:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read(path, id="id", keep=KEEP, **settings)


def told(found: Gathered) -> list[tuple[int | None, str]]:
    return [(bad.row, bad.reason) for bad in found.unreadable]


@pytest.mark.parametrize("dialect", ["minimal", "all", "semicolon", "tab", "apostrophe"])
def test_what_the_csv_module_writes_is_read_again(tmp_path, dialect):
    rng = random.Random(5)
    given = {
        "minimal": {},
        "all": {"quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
        "semicolon": {"delimiter": ";", "lineterminator": "\r\n"},
        "tab": {"delimiter": "\t"},
        "apostrophe": {"quotechar": "'"},
    }[dialect]
    settings = {"quote": "'"} if dialect == "apostrophe" else {"delimiter": ";"} if dialect == "semicolon" else {}
    for trial in range(60):
        rows = [["".join(rng.choices("ab\"',;\t\n\r é語\0", k=rng.randrange(7))) for _ in range(3)] for _ in range(4)]
        out = io.StringIO(newline="")
        writer = csv.writer(out, **given)
        writer.writerows([["id", "text", "k"], *rows])
        found = table(tmp_path / f"{trial}.{'tsv' if dialect == 'tab' else 'csv'}", out.getvalue(), **settings)
        assert (found.ids, found.texts, found.keep["k"]) == tuple(map(list, zip(*rows, strict=True)))
        assert found.unreadable == [] and found.rows == [0, 1, 2, 3]


def test_the_module_that_reads_csv_agrees_on_text_without_faults(tmp_path):
    """Stray quotes in bare fields, blank lines, a last line without an end, line ends of three kinds."""
    rng = random.Random(6)
    agreed = 0
    for trial in range(600):
        data = "id,text,k\n" + "".join(rng.choices('ab"",,,\n\n\r', k=rng.randrange(40)))
        try:
            rows = list(csv.reader(io.StringIO(data, newline=""), strict=True))
        except csv.Error:
            continue
        expected = [row for row in rows[1:] if row]
        found = table(tmp_path / f"{trial}.csv", data)
        good = [row for row in expected if len(row) == 3]
        assert found.texts == [row[1] for row in good] and found.ids == [row[0] for row in good], data
        assert len(found.unreadable) == len(expected) - len(good), data
        agreed += bool(good)
    assert agreed > 20


def test_what_is_malformed_costs_itself_alone(tmp_path):
    ragged = table(tmp_path / "a.csv", "id,text,k\n1,one,x\n2,two\n3,three,x,more\n\n4,four,x\n")
    assert (ragged.texts, ragged.rows) == (["one", "four"], [0, 3])
    assert told(ragged) == [
        (1, "wrong number of fields: 2, the header has 3"),
        (2, "wrong number of fields: 4, the header has 3"),
    ]
    assert [bad.position for bad in ragged.unreadable] == [18, 24]
    quotes = table(
        tmp_path / "b.csv", 'id,text,k\n1,"he said "yes" twice",x\nmore of it\n2,two,x\n3,"open,x\n4,four,x\n'
    )
    assert (quotes.ids, quotes.rows) == (["2", "4"], [2, 4])
    behind, not_closed = (
        "malformed CSV: something stands behind a closing quote",
        "malformed CSV: a quote is not closed",
    )
    assert told(quotes) == [(0, behind), (1, "wrong number of fields: 1, the header has 3"), (3, not_closed)]
    assert [(bad.position, bad.bytes) for bad in quotes.unreadable] == [(10, 26), (36, 10), (55, 10)]
    closed_later = table(tmp_path / "c.csv", 'id,text,k\n1,"open,x\n2,"two, too",x\n3,three,x\n')
    assert closed_later.ids == ["2", "3"] and told(closed_later) == [(0, behind)]
    assert table(tmp_path / "d.csv", 'id,text,k\n1,"one",x').texts == ["one"]


def test_the_end_of_a_compressed_file_is_missing(tmp_path):
    rows = "".join(f'{n},"text {n} {random.Random(n).random()}",x\n' for n in range(3000))
    data = gzip.compress(b"id,text,k\n" + rows.encode(), mtime=0)
    found = table(tmp_path / "a.csv.gz", data[:-5000])
    assert found.ids == [str(n) for n in range(len(found.ids))] and 0 < len(found.ids) < 3000
    assert found.kinds[-2:] == [(len(found.ids), "cut off"), (None, "truncated file")]
    assert table(tmp_path / "b.csv.gz", data).ids == [str(n) for n in range(3000)]


def test_marks_encodings_and_bytes_that_are_none(tmp_path):
    marked = table(tmp_path / "a.csv", b"\xef\xbb\xbfid,text,k\r\n1,caf\xe9,x\r\n2,two\r\n")
    assert (marked.texts, marked.replaced) == (["caf\ufffd"], 1)
    assert [(bad.row, bad.position) for bad in marked.unreadable] == [(1, 24)]
    strict = table(tmp_path / "b.csv", b"id,text,k\r\n1,caf\xe9,x\r\n", invalid_utf8="reject")
    assert strict.texts == [] and strict.kinds == [(0, "invalid UTF-8")]
    assert table(tmp_path / "c.csv", "id,text,k\n1,café,x\n".encode("cp1252"), encoding="cp1252").texts == ["café"]
    wide = 'id,text,k\n1,"語\n,",x\n'.encode("utf-16")
    assert (
        table(tmp_path / "d.csv", wide, encoding="utf-16").texts
        == table(tmp_path / "e.csv", wide, encoding="detect").texts
    )
    assert read(tmp_path / "d.csv", encoding="utf-16").texts == ["語\n,"]
    assert read(tmp_path / "d.csv").kinds == [(None, "wrong format")]
    sign = table(tmp_path / "f.csv", 'id,text,k\n1,"表,示",x\n'.encode("shift_jis"), encoding="shift_jis")
    assert sign.texts == ["表,示"]


def test_settings_that_cannot_work():
    def config(**settings):
        return SourceConfig(name="s", path="a.csv", **settings)

    for delimiter in ("", ",,", "a", "\n", '"', "é"):
        with pytest.raises(ValueError, match="must be one character such as"):
            config(delimiter=delimiter)
    with pytest.raises(ValueError, match="can be half of a character in shift_jis"):
        config(delimiter="|", encoding="shift-jis")
    assert config(delimiter="|", encoding="cp1252").delimiter == "|"
    assert format_of("/raw/a.TSV.zst", SourceConfig(name="s", path="/raw")) == "csv"


def test_headers(tmp_path):
    assert told(table(tmp_path / "a.csv", "id,text,text\n1,2,3\n")) == [
        (None, "malformed CSV: 2 columns are called 'text'")
    ]
    assert table(tmp_path / "b.csv", "id,x,x,text,k\n1,2,3,4,5\n").texts == ["4"]
    lacks = table(tmp_path / "c.csv", "id;text;k\n1;2;3\n")
    assert told(lacks) == [(0, "missing text: no field 'text'; the record has: id;text;k")]
    assert told(table(tmp_path / "d.csv", 'id,"te"xt,k\n1,2,3\n'))[0][0] is None
    assert told(table(tmp_path / "e.csv", 'id,"text\n1,2,3\n'))[0][0] is None
    assert table(tmp_path / "f.csv", '"id","te""xt\n","text","k"\n1,2,3,4\n').texts == ["3"]
    assert table(tmp_path / "g.csv", b"").unreadable == []
    wide = "id,text,k," + ",".join(f"c{n}" for n in range(10**6)) + "\n"
    assert table(tmp_path / "h.csv", wide + "1,one,x" + "," * 10**6 + "\n").texts == ["one"]
    without = table(tmp_path / "i.csv", 'id,text,k\n1,"a" b,x\n2,"c,x\n', quote="")
    assert without.texts == ['"a" b', '"c']


def test_records_that_are_too_large_are_only_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "CHUNK_BYTES", 100_000)
    monkeypatch.setattr(decoders, "STORED_BYTES", 50_000)
    huge = "long, but well quoted\r" * 150_000
    path = tmp_path / "a.csv"
    found = table(path, f'id,text,k\n1,one,x\n2,"{huge}",x\n3,three,x\n', max_document_mb=1)
    assert found.ids == ["1", "3"] and found.kinds == [(1, "too large")]
    assert found.unreadable[0].bytes == len(huge) + 6
    bare = table(path, f"id,text,k\n1,one,x\n2,{'long ' * 700_000},x\n3,three,x\n", max_document_mb=1)
    assert bare.ids == ["1", "3"] and bare.kinds == [(1, "too large")]
    nobody_closes = "id,text,k\n" + '1,"open,x\n' + "2,two,x\n" * 200_000
    found = table(path, nobody_closes, max_document_mb=1)
    assert len(found.ids) == 200_000 and found.kinds == [(0, "malformed CSV")]


@pytest.mark.parametrize(
    "data",
    [
        b'a","\n' * 300_000,
        b'"' * 2_000_000,
        b"," * 3_000_000,
        b'"x\n' * 8_000,
        b"\0" * 1_000_000,
        b'"a\n' + b'b"",c\n' * 100_000,
    ],
    ids=["same-state", "quotes", "commas", "all-open", "zeros", "one-open"],
)
def test_malformed_files_take_time_in_proportion_to_their_size(tmp_path, data):
    begin = time.process_time()
    found = table(tmp_path / "a.csv", b"id,text,k\n" + data)
    assert time.process_time() - begin < 10
    assert sum(bad.bytes for bad in found.unreadable) >= len(data) * 0.6 and found.texts == []


def test_what_is_read_does_not_depend_on_the_pieces_it_comes_in(tmp_path, monkeypatch):
    rng = random.Random(7)
    for trial in range(60):
        data = b"id,text,k\n" + "".join(rng.choices('ab"",,\n\n\r', k=rng.randrange(60))).encode()
        path = tmp_path / f"{trial}.csv"
        seen = []
        for size in (1, 2, 7, 1 << 20):
            monkeypatch.setattr(streams, "CHUNK_BYTES", size)
            monkeypatch.setattr(decoders, "STORED_BYTES", size)
            found = table(path, data)
            seen.append((found.rows, found.texts, found.ids, found.keep.get("k", []), found.unreadable))
            assert found.bytes_read == len(data)
            again = read(path, size, id="id", keep=KEEP)
            assert (again.rows, again.texts, again.unreadable) == (found.rows, found.texts, found.unreadable)
        assert seen[0] == seen[1] == seen[2] == seen[3], data


def test_the_look_behind_a_fault_ends(tmp_path, monkeypatch):
    """Lines beyond are read from the next one on, as from the begin of a file."""
    monkeypatch.setattr(csv_records, "LOOKED_AT", 10_000)
    far = 'id,text,k\n1,"a' + "\n," * 10_000 + '"b,x\n2,two,x\n'
    found = table(tmp_path / "a.csv", far)
    assert found.texts == ["two"] and found.kinds == [(0, "malformed CSV")]


def test_other_fields_of_a_source_may_be_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("q,a,kind\nwhat?,that,1\nwho?,,2\n")
    found = read(path, prompt="q", response="a", label="kind")
    assert len(found.texts) == 2 and "what?" in found.texts[0] and "that" in found.texts[0]
    assert found.keep["#label"] == ["1", "2"]
    html = tmp_path / "b.csv"
    html.write_text('body\n"<p class=""x"">One</p>"\n')
    assert read(html, html="body", extract="all").texts == ["One"]


def test_a_file_that_is_no_table_is_told(tmp_path):
    """One line without a header would be a header without records, and so would a file of zeros after a crash."""
    for data, reason in {
        b"7,a text without any header,x\n": "no records: the file has one line, and as a header it does not",
        bytes(5000): "wrong format: zeros in the header; the file is no CSV, is damaged, or is UTF-16",
        "id,text,k\n1,a,b\n".encode("utf-16-le"): "wrong format: zeros in the header",
    }.items():
        ((row, said),) = told(table(tmp_path / "a.csv", data))
        assert row is None and said.startswith(reason)
    assert not told(table(tmp_path / "b.csv", "id,text,k\n")) and not told(table(tmp_path / "b.csv", b""))
    assert not told(read(tmp_path / "b.csv", text=["body", "text"]))
