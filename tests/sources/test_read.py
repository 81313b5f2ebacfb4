import pytest

from tests.support.reading import open_binary
from winnow.sources.read import format_of, read_slice
from winnow.sources.readers.registry import is_cut_by_bytes
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig


def _source(path="folder", **settings):
    return SourceConfig(name="web", path=path, **settings)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.jsonl", "jsonl"),
        ("s3://b/a.ndjson.gz", "jsonl"),
        ("x/a.JSON.ZST", "jsonl"),
        ("a.b.jsonl.bz2", "jsonl"),
        ("a.parquet", "parquet"),
        ("a.txt.xz", "text"),
        ("README.md", "text"),
        ("enwiki-20260101-pages-articles1.xml-p1p41242.bz2", "wiki"),
    ],
)
def test_suffixes_say_what_a_file_holds(path, expected):
    assert format_of(path, _source()) == expected


@pytest.mark.parametrize(
    "path",
    [
        "folder/data.xls",
        "folder/_SUCCESS",
        "folder/a.gz",
        "folder/a.jsonl.br",
        "folder/a.xml-part1",
        "folder/a.jsonl-p1p2",
    ],
)
def test_unknown_suffixes_are_refused_by_name_unless_the_source_is_text(path):
    with pytest.raises(ValueError, match=path.rsplit("/", 1)[1]):
        format_of(path, _source())
    assert format_of(path, _source(format="text")) == "text"
    with pytest.raises(ValueError, match="format jsonl"):
        format_of(path, _source(format="jsonl"))


def test_a_file_named_by_the_user_has_the_format_the_user_says():
    assert format_of("/data/dump", _source("/data/dump", format="jsonl")) == "jsonl"
    assert format_of("/data/x/part-1.data", _source("/data/**/*.data", format="jsonl")) == "jsonl"
    assert format_of("/data/part-1.parq", _source(("/other", "/data/*.parq"), format="parquet")) == "parquet"
    with pytest.raises(ValueError, match=r"README\.md"):
        format_of("/data/README.md", _source("/data", format="jsonl"))


def test_compressed_parquet_is_refused():
    with pytest.raises(ValueError, match="decompress"):
        format_of("a.parquet.gz", _source())


@pytest.mark.parametrize(("name", "kind"), [("a.jsonl.xz", "jsonl"), ("a.jsonl.bz2", "jsonl"), ("a.txt", "text")])
def test_a_part_of_what_has_no_parts_is_refused(tmp_path, name, kind):
    part = FileSlice(path=str(tmp_path / name), file=0, source="web", format=kind, size=9, start=3)
    with pytest.raises(ValueError, match="read it whole"):
        next(read_slice(part, _source(), open_binary, 100))


def test_batch_bytes_must_be_positive(tmp_path):
    whole = FileSlice(path=str(tmp_path / "a.txt"), file=0, source="web", format="text", size=9)
    with pytest.raises(ValueError, match="batch_bytes"):
        next(read_slice(whole, _source(), open_binary, 0))


def test_what_is_cut_by_its_stored_bytes():
    """Elsewhere the start of a part is no place in the file: a decompressed byte, or a row."""
    assert is_cut_by_bytes("a.jsonl", "jsonl")
    assert not is_cut_by_bytes("a.jsonl.zst", "jsonl")
    assert not is_cut_by_bytes("a.parquet", "parquet")
