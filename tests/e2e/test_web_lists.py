"""From web servers and lists to shards: what a list names is read, dead entries are told, parts make the whole."""

import gzip
import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.archives import archive, page
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.finished import shards_of
from tests.support.web_server import WebServer, web_server
from winnow.config.config import parse_config
from winnow.config.strict_yaml import write_yaml
from winnow.errors import InputError, UnreadableShareError
from winnow.finished.tables import table_of
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.sources.web import parts
from winnow.storage import object_files

SHARDS = {"sequence_tokens": 63, "splits": {"val": 0.1}}
CRAWL = "crawl-data/CC-MAIN-2026-05"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(object_files, "FIRST_WAIT_SECONDS", 0.01)
    with web_server() as server:
        yield server


def source(name: str = "crawl", **given) -> dict:
    return {"name": name, "keep": ["url"], **given}


def config(folder, web: WebServer, *sources: dict, share: float = 0.5, **more) -> dict:
    storage = {"common_crawl": web.url, "retries": 1, "scratch": str(folder)}
    compute = {"max_unreadable_share": share} | more.pop("compute", {})
    return run_config(folder, *sources, shards=SHARDS, storage=storage, compute=compute, **more)


def texts(folder) -> list[str]:
    return sorted(table_of(load_run(str(folder)), "documents").to_table().column("text").to_pylist())


def test_a_crawl_by_its_list_with_dead_entries(web: WebServer, tmp_path) -> None:
    names = [f"{CRAWL}/segments/{n}.warc.gz" for n in range(6)]
    for n, name in enumerate(names):
        web.add(f"/{name}", archive([page(10 * n + i) for i in range(5)]))
    dead, busy = f"{CRAWL}/segments/dead.warc.gz", f"{CRAWL}/segments/busy.warc.gz"
    web.add(f"/{busy}", b"", status=503)
    lines = ["# of January", "", *names[:3], dead, busy, *names[3:]]
    web.add(f"/{CRAWL}/warc.paths.gz", gzip.compress("\r\n".join(lines).encode()))
    wanted = source(path="cc://CC-MAIN-2026-05/warc.paths.gz")
    file = tmp_path / "run.yaml"
    file.write_bytes(write_yaml(config(tmp_path / "run", web, wanted)))
    code, plan = winnow("plan", str(file))
    assert code == 0 and "8 files of lists are taken to be like a few whose size is known" in plan, plan
    code, said = winnow("run", str(file))
    assert code == 0, said
    assert "unreadable: 1 x missing file, such as" in said and "dead.warc.gz, byte 0: no such object" in said
    assert "1 x failed to read" in said and "busy.warc.gz, byte 0: the server said 503" in said
    assert f"list {web.url}/{CRAWL}/warc.paths.gz names 8 files; sha256" in said
    assert "files of its lists that could not be read to their end: 2" in said
    assert "8 files of lists not counted, whose size nobody has asked for" in said
    found = load_run(str(tmp_path / "run")).manifest["sources"]["crawl"]["found"]
    assert (found["files"], found["taken"], found["unread"], found["lists"][0]["entries"]) == (8, 8, 2, 8)
    assert len(texts(tmp_path / "run")) == 30

    # the same bytes as from files of a disk, whatever is dead in either
    for name in names:
        place = tmp_path / "disk" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(web.pages[f"/{name}"].body)
    (tmp_path / "disk" / "list.txt").write_text("\n".join(lines))
    local = source(paths_from=str(tmp_path / "disk" / "list.txt"))
    run(parse_config(config(tmp_path / "local", web, local)))
    assert shards_of(tmp_path / "local") == shards_of(tmp_path / "run") != {}

    # what failed for a passing reason is read by the next run, and nothing else is
    web.add(f"/{busy}", archive([page(900)]))
    before = web.count("GET", f"/{names[0]}")
    run(parse_config(config(tmp_path / "run", web, wanted)))
    assert len(texts(tmp_path / "run")) == 31
    assert web.count("GET", f"/{names[0]}") <= before + 2  # its unit is read again, and its first records looked at


@pytest.mark.slow
def test_too_many_dead_entries_end_the_run(web: WebServer, tmp_path) -> None:
    made = {n: archive([page(10 * n + i) for i in range(9)]) for n in range(4)}
    lines = [web.add(f"/{n}.warc.gz", body) for n, body in made.items()] + [f"{web.url}/dead.warc.gz"]
    web.add("/list.txt", "\n".join(lines).encode())
    given = source(paths_from=f"{web.url}/list.txt")
    with pytest.raises(UnreadableShareError, match=r"1 of 5 files of lists \(20.00%\) cannot be read"):
        run(parse_config(config(tmp_path / "run", web, given, share=0.19)))
    run(parse_config(config(tmp_path / "run", web, given, share=0.21)))
    tried = source(paths_from=f"{web.url}/list.txt", first_files=3)
    said = run(parse_config(config(tmp_path / "few", web, tried, share=0))).run.found["crawl"]
    assert (said["files"], said["taken"]) == (5, 3)


@pytest.mark.slow
def test_a_long_list_costs_few_requests_before_the_first_work(web: WebServer, tmp_path) -> None:
    web.add("/list.txt", "\n".join(f"{n}.warc.gz" for n in range(5000)).encode())
    file = tmp_path / "run.yaml"
    file.write_bytes(write_yaml(config(tmp_path / "run", web, source(paths_from=f"{web.url}/list.txt"))))
    code, said = winnow("plan", str(file))
    assert code == 0 and "5,000 files" in said, said
    assert len(web.asked) < 20


def test_only_the_records_of_a_list_are_read(web: WebServer, tmp_path) -> None:
    from warcio.archiveiterator import ArchiveIterator

    every, whole = {}, []
    for n in range(3):
        pages = [page(100 * n + i) for i in range(60)]
        body = archive(pages)
        web.add(f"/{CRAWL}/{n}.warc.gz", body)
        path = tmp_path / f"{n}.warc.gz"
        path.write_bytes(body)
        whole.append(path)
        with path.open("rb") as file:
            records = ArchiveIterator(file)
            for record in records:
                kind, record_id = record.rec_type, record.rec_headers.get_header("WARC-Record-ID")
                place = {"filename": f"{CRAWL}/{n}.warc.gz", "offset": records.get_record_offset()}
                record.content_stream().read()
                place["length"] = records.get_record_length()
                if kind == "response":
                    every[n, record_id] = place
    chosen = {key: place for key, place in every.items() if int(key[1][-5:-1]) % 20 < 3}
    rows = list(chosen.values())
    first = dict(rows[0])
    wrong = [first | {"offset": first["offset"] + 7}, first | {"offset": 10**7}, first | {"length": 40}]
    wrong.append(first | {"length": first["length"] + rows[1]["length"] + 5000})
    listed = tmp_path / "records.jsonl"
    listed.write_text("\n".join(json.dumps(row) for row in [*rows, *wrong, {**first, "filename": "dead.warc.gz"}]))
    given = source(ranges_from=str(listed), base=web.url)
    web.asked.clear()
    context = run(parse_config(config(tmp_path / "run", web, given, share=0.9)))
    reasons = context.run.totals("measure", "unreadable_reason")
    assert reasons == {"not at its place": 3, "corrupt": 1, "missing file": 1}
    assert web.count("GET", f"/{CRAWL}/1.warc.gz") <= 2  # neighbours come with one request
    asked = [wanted for method, path, wanted in web.asked if path == f"/{CRAWL}/1.warc.gz" and method == "GET"]
    ends = [tuple(map(int, wanted.removeprefix("bytes=").split("-"))) for wanted in asked]
    mine = [place for (n, _), place in chosen.items() if n == 1]
    assert max(end for _, end in ends) == max(place["offset"] + place["length"] for place in mine) - 1
    run(parse_config(run_config(tmp_path / "whole", source_of(whole, "crawl"), shards=SHARDS)))
    numbers = [100 * n + int(record_id[-5:-1]) for n, record_id in chosen]
    of_all = {text.split("\n")[0]: text for text in texts(tmp_path / "whole")}
    assert texts(tmp_path / "run") == sorted(of_all[f"Page {number}"] for number in numbers)


def test_records_without_suffix_and_with_a_query(web: WebServer, tmp_path) -> None:
    rows = "\n".join(json.dumps({"text": f"Text {n} says a little more than others. " * 9}) for n in range(9))
    web.add("/get", rows.encode())
    web.add("/b.jsonl.gz", gzip.compress(rows.encode()))
    with pytest.raises(InputError, match="cannot tell what this file holds"):
        run(parse_config(config(tmp_path / "no", web, {"name": "a", "path": f"{web.url}/get?part=1"})))
    sources = [
        {"name": "a", "path": f"{web.url}/get?part=1", "format": "jsonl"},
        {"name": "b", "path": f"{web.url}/b.jsonl.gz?download=1"},
    ]
    run(parse_config(config(tmp_path / "run", web, *sources, dedup="off")))
    assert len(texts(tmp_path / "run")) == 18


@pytest.mark.slow
def test_an_archive_in_parts_gives_the_same_shards(web: WebServer, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "CUT_BYTES", 1 << 20)
    body = archive([page(n, sentences=1200) for n in range(150)], gzip=False)
    assert len(body) > 9e6
    (tmp_path / "a.warc").write_bytes(body[:4_000_000] + b"#" * 500 + body[4_000_000:])  # a fault, too
    given = source_of(tmp_path / "a.warc", "crawl")
    compute = {"unit_mb": 4}
    cut = run(parse_config(config(tmp_path / "cut", web, given, dedup="off", compute=compute)))
    assert len(cut.run.of("measure")) > 1
    monkeypatch.setattr(parts, "CUT_BYTES", 1 << 40)
    whole = run(parse_config(config(tmp_path / "whole", web, given, dedup="off", compute=compute)))
    assert len(whole.run.of("measure")) == 1
    assert shards_of(tmp_path / "cut") == shards_of(tmp_path / "whole") != {}
    for name in ("unreadable_reason", "passed"):
        assert cut.run.totals("measure", name) == whole.run.totals("measure", name) != {}


def test_the_examples_of_the_page_are_configs() -> None:
    page_of_docs = (Path(__file__).parents[2] / "docs" / "web.md").read_text()
    examples = re.findall(r"^```yaml\n(.*?)^```$", page_of_docs, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 4
    for example in examples:
        parse_config({"run": "/r", "sources": [{"name": "crawl", "path": "x"}], **yaml.safe_load(example)})
