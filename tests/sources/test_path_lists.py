"""Lists of files and of records: what they may look like, what is refused with the line, and what is told of them."""

import gzip
import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.support.configs import source_of
from winnow.errors import FAILED, ConfigError, InputError, ObjectStorageError
from winnow.sources.catalogue import build_catalogue, list_inputs
from winnow.sources.path_lists import PathList, expanded, given_list, read_list
from winnow.sources.source import SourceConfig
from winnow.sources.wanted import wanted_of
from winnow.storage.config import StorageConfig
from winnow.storage.local_store import LocalStore

STORAGE = StorageConfig()
AFAR = "https://e.org/data"


def listing(path, data: bytes, base: str = AFAR, of_ranges: bool = False):
    path.write_bytes(data)
    return read_list(PathList(str(path), base, of_ranges), STORAGE)


@pytest.mark.parametrize("suffix", ["txt", "txt.gz", "txt.zst"])
def test_comments_blank_lines_and_windows_line_ends(tmp_path, suffix) -> None:
    text = "\ufeff# a crawl\r\n\r\na/1.warc.gz\r\n  a/2.warc.gz  \r\nhttps://other.org/3.warc.gz\r\na/1.warc.gz"
    pack = {"gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}.get(suffix[4:], bytes)
    data = pack(text.encode())
    found = listing(tmp_path / f"list.{suffix}", data)
    assert list(found.paths) == [f"{AFAR}/a/1.warc.gz", f"{AFAR}/a/2.warc.gz", "https://other.org/3.warc.gz"]
    assert (found.entries, found.twice, found.sha256) == (4, 1, hashlib.sha256(data).hexdigest())


RECORDS = [("b.warc.gz", 900, 50), ("a.warc.gz", 10, 20), ("b.warc.gz", 0, 900), ("a.warc.gz", 10, 20)]


def forms() -> dict[str, bytes]:
    names = ("warc_filename", "warc_record_offset", "warc_record_length")
    table = pa.table([list(column) for column in zip(*RECORDS, strict=True)], names=names)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    rows = [dict(zip(("filename", "offset", "length"), record, strict=True)) for record in RECORDS]
    texts = [{name: str(value) for name, value in row.items()} | {"url": "http://e.org/"} for row in rows]
    cells = "".join(f"http://e.org/,{name},{first},{size}\n" for name, first, size in RECORDS)
    return {
        "list.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "list.cdxj": "\n".join(f"org,e)/ 20260101000000 {json.dumps(row)}" for row in texts).encode(),
        "list.csv": f"url,filename,offset,length\n{cells}".encode(),
        "list.tsv.gz": gzip.compress(f"url\tfilename\toffset\tlength\n{cells}".replace(",", "\t").encode()),
        "list.parquet": sink.getvalue().to_pybytes(),
    }


@pytest.mark.parametrize("name", list(forms()))
def test_lists_of_records(tmp_path, name) -> None:
    found = listing(tmp_path / name, forms()[name], of_ranges=True)
    assert found.paths == {f"{AFAR}/b.warc.gz": [(0, 900), (900, 50)], f"{AFAR}/a.warc.gz": [(10, 20)]}
    assert (found.entries, found.twice) == (4, 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "names no file"),
        (b"# nothing\n", "names no file"),
        (b"a\n<!doctype html>\n", "line 2: '<!doctype html>' is no path"),
        (b"a\nb\0c\n", "line 2: .* is no path"),
        (b"a\n\xff\xfe\n", "UTF-8"),
        (b"a\n" + b"x" * 5000, "line 2: over 4,096 characters"),
        (b"a\n../../b\n", "line 2: ../../b leads out of https://e.org/data"),
        (b"https://me:secret@e.org/a\n", "line 1: .*credentials"),
        (b"file:///etc/passwd\n", "line 1: file://: not a kind of storage"),
    ],
)
def test_what_is_no_list_is_refused_with_the_line(tmp_path, data, said) -> None:
    with pytest.raises(InputError, match=said) as refused:
        listing(tmp_path / "list.txt", data)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"filename": "a", "offset": 1}', "this one has filename, offset"),
        (b'{"filename": "a", "offset": -1, "length": 4}', "line 1: no record lies at offset -1"),
        (b'{"filename": "a", "offset": 1, "length": 0}', "length 0"),
        (b'{"filename": "a", "offset": "x", "length": 4}', "line 1: offset 'x'"),
        (b'{"filename": "", "offset": 1, "length": 4}', "line 1: names no file"),
        (b'{"filename": "a", "offset": 1, "length": 4}\n[1]', "line 2: "),
        (b"filename,offset,length\na,1\n", "line 2: 2 values, the first line names 3"),
        (b"a,1,2\n", "this one has a, 1, 2"),
    ],
)
def test_malformed_lists_of_records_are_refused_with_the_line(tmp_path, data, said) -> None:
    with pytest.raises(InputError, match=said):
        listing(tmp_path / "list", data, of_ranges=True)


def test_where_common_crawl_lies() -> None:
    assert expanded("cc://CC-MAIN-2026-05/warc.paths.gz", STORAGE) == (
        "https://data.commoncrawl.org/crawl-data/CC-MAIN-2026-05/warc.paths.gz"
    )
    bucket = StorageConfig(common_crawl="s3://commoncrawl/")
    assert expanded("cc://crawl-data/CC-NEWS/a.warc.gz", bucket) == "s3://commoncrawl/crawl-data/CC-NEWS/a.warc.gz"
    source = SourceConfig(name="s", path="cc://CC-MAIN-2026-05/wet.paths.gz")
    (wanted,) = wanted_of(source, bucket).entries
    assert wanted == PathList("s3://commoncrawl/crawl-data/CC-MAIN-2026-05/wet.paths.gz", "s3://commoncrawl")
    assert given_list("lists/a.txt", None, STORAGE, of_ranges=False).base == "lists"
    assert given_list("/a.txt", None, STORAGE, of_ranges=False).base == "/"
    assert given_list("https://e.org/l/a.txt", None, STORAGE, of_ranges=False).base == "https://e.org/l"


def test_a_source_names_its_files_in_one_way() -> None:
    for given in ({}, {"path": "a", "paths_from": "b"}, {"paths_from": "a", "ranges_from": "b"}):
        with pytest.raises(ValueError, match="a source needs one of them"):
            SourceConfig(name="s", **given)
    with pytest.raises(ValueError, match="base is what the paths of a list lie below"):
        SourceConfig(name="s", path="a", base="b")


def write_files(folder, number: int) -> list[str]:
    folder.mkdir()
    for n in range(number):
        (folder / f"{n:03d}.jsonl").write_text('{"text": "a"}\n')
    return [f"{n:03d}.jsonl" for n in range(number)]


def test_a_part_of_the_files_is_always_the_same_part(tmp_path) -> None:
    names = write_files(tmp_path / "in", 60)
    (tmp_path / "in" / "list.txt").write_text("\n".join(names[::-1]))

    def taken(**given) -> tuple[list[str], dict]:
        source = SourceConfig(name="s", **given)
        inputs = list_inputs({"s": wanted_of(source, STORAGE)})
        return [path.rpartition("/")[2] for path in inputs["s"]], inputs.told.get("s", {})

    by_list = {"paths_from": str(tmp_path / "in" / "list.txt")}
    assert taken(**by_list, first_files=2)[0] == names[-2:]
    assert taken(path=str(tmp_path / "in/*.jsonl"), first_files=2)[0] == names[:2]
    half, told = taken(**by_list, sample_files=0.5)
    assert 15 < len(half) < 45 and (told["files"], told["taken"]) == (60, len(half))
    fifth, _ = taken(**by_list, sample_files=0.2)
    assert set(fifth) < set(half) and half == taken(path=str(tmp_path / "in/*.jsonl"), sample_files=0.5)[0]
    assert taken(path=str(tmp_path / "in/*.jsonl"))[1] == {}
    with pytest.raises(InputError, match=r"sample_files: 1e-06 of 60 files are none"):
        taken(**by_list, sample_files=1e-6)


def test_listed_files_of_a_disk_are_looked_at_and_dead_ones_are_catalogued(tmp_path) -> None:
    write_files(tmp_path / "in", 2)
    listed = tmp_path / "list.txt"
    listed.write_text("in/000.jsonl\nin/gone.jsonl\n")
    store = LocalStore(str(tmp_path / "run"))
    source = SourceConfig(name="s", paths_from=str(listed))

    def catalogue():
        return build_catalogue(store, list_inputs({"s": wanted_of(source, STORAGE)}), save=True)

    there, gone = catalogue()
    assert there.bytes == 14 and not there.state.is_unasked and gone.state.is_unasked
    (tmp_path / "in" / "gone.jsonl").write_text("{}")
    assert [file.number for file in catalogue()] == [0, 2]  # it is another file now
    listed.write_text("in\n")
    with pytest.raises(InputError, match="a folder; a list names files"):
        catalogue()


def test_other_records_of_an_archive_are_another_file(tmp_path) -> None:
    store = LocalStore(str(tmp_path / "run"))
    (tmp_path / "a.warc").write_bytes(b"x" * 100)
    listed = tmp_path / "list.csv"

    def number(*spans) -> int:
        listed.write_text("filename,offset,length\n" + "".join(f"a.warc,{a},{b}\n" for a, b in spans))
        source = SourceConfig(name="s", ranges_from=str(listed))
        (file,) = build_catalogue(store, list_inputs({"s": wanted_of(source, STORAGE)}), save=True)
        return file.number

    assert [number((0, 5)), number((0, 5), (5, 9)), number((5, 9), (0, 5))] == [0, 1, 1]


def test_records_are_of_web_archives(tmp_path) -> None:
    from winnow.config.config import parse_config
    from winnow.runs.run import resolve_inputs

    (tmp_path / "list.csv").write_text("filename,offset,length\na.jsonl,0,5\n")
    source = source_of("-", ranges_from=str(tmp_path / "list.csv"))
    del source["path"]
    config = parse_config({"run": str(tmp_path / "run"), "sources": [source]})
    with pytest.raises(InputError, match="ranges_from is for web archives"):
        resolve_inputs(config)
    with pytest.raises(ConfigError, match="paths_from"):
        parse_config({"run": "/r", "sources": [{"name": "s"}]})


def test_a_list_at_a_host_that_does_not_answer_is_no_mistake_of_the_config() -> None:
    storage = StorageConfig(retries=0, timeout_seconds=1)
    with pytest.raises(ObjectStorageError, match="nobody answers at 127.0.0.1; run the same command again") as told:
        read_list(given_list("http://127.0.0.1:9/list.txt", None, storage, of_ranges=False), storage)
    assert told.value.exit_code == FAILED  # which schedulers try again, as they do not with 2
