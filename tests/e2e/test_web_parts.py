"""Large archives of web servers and lists are read by several workers, with the bytes of a file on a disk."""

from pathlib import Path

import pytest

from tests.support.archives import archive, page
from tests.support.commands import winnow
from tests.support.configs import run_config
from tests.support.finished import shards_of
from tests.support.web_server import WebServer, web_server
from winnow.config.config import parse_config
from winnow.engine.engine import StageFailedError
from winnow.runs.run import run
from winnow.sources.web import parts
from winnow.stages.ingest import measure, slices
from winnow.storage import object_files

PLACE = "/a.warc"
SIZES = {"sequence_tokens": 63, "splits": {"val": 0.1}}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(object_files, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(parts, "CUT_BYTES", 200_000)
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def whole() -> bytes:
    data = archive([page(n, sentences=60) for n in range(320)], gzip=False)
    at = len(data) // 2
    return data[:at] + bytes(300) + data[at:]


def config(folder: Path, **source):
    given = {"name": "crawl", "keep": ["url"], **source}
    storage = {"retries": 0, "scratch": str(folder)}
    compute = {"max_unreadable_share": 0.5, "unit_mb": 1}
    return parse_config(run_config(folder, given, shards=SIZES, storage=storage, compute=compute, dedup="off"))


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[list[dict]]:
    """The slices that each run of a test reads."""
    found: list[list[dict]] = []
    plan = slices.plan_measure

    def plan_measure(*given):
        units = plan(*given)
        found.append([part for unit in units for part in unit.inputs["slices"]])
        return units

    monkeypatch.setattr(slices, "plan_measure", plan_measure)
    return found


@pytest.mark.slow
def test_parts_of_a_far_archive_are_those_of_a_local_one(web: WebServer, tmp_path, whole, planned) -> None:
    (tmp_path / "a.warc").write_bytes(whole)
    run(config(tmp_path / "local", path=str(tmp_path / "a.warc")))
    url = web.add(PLACE, whole, etag='"1"')
    run(config(tmp_path / "far", path=url))
    (tmp_path / "list.txt").write_text(f"{url}\n")
    before = len(web.asked)
    run(config(tmp_path / "listed", paths_from=str(tmp_path / "list.txt")))
    assert shards_of(tmp_path / "far") == shards_of(tmp_path / "listed") == shards_of(tmp_path / "local") != {}
    places = [[(part["start"], part["stop"], part["first_row"]) for part in read] for read in planned]
    assert len(places[0]) > 1 and places[0] == places[1] == places[2]
    assert {(part["size"], part["etag"]) for part in planned[2]} == {(len(whole), "1")}
    assert [part.get("listed") for part in planned[2]] == [True, *[None] * (len(places[0]) - 1)]

    # counted once, read once: no more than the bytes of two readings and a little at each seam
    fetched = 0
    for method, _, wanted in web.asked[before:]:
        if method == "GET" and wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            fetched += min(int(last), len(whole) - 1) - int(first) + 1
    assert fetched < 2 * len(whole) + 600_000 * (len(places[0]) + 2)
    assert web.most_at_once <= 4

    # a server that has gone silent changes no plan: nothing is read again
    web.pages[PLACE].status = 503
    before = web.count("GET", PLACE)
    run(config(tmp_path / "listed", paths_from=str(tmp_path / "list.txt")))
    assert web.count("GET", PLACE) <= before + 1  # the first look at records
    # another file under the name is counted and read anew
    web.add(PLACE, archive([page(n, sentences=60) for n in range(310)], gzip=False), etag='"2"')
    run(config(tmp_path / "listed", paths_from=str(tmp_path / "list.txt")))
    run(config(tmp_path / "anew", path=url))
    assert shards_of(tmp_path / "listed") == shards_of(tmp_path / "anew") != shards_of(tmp_path / "local")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"etag": '"1"', "ranges": False}, "its server sends no ranges"),
        ({}, "its server tells no version of it"),
    ],
)
def test_a_server_that_cannot_do_it_is_told_of(web: WebServer, tmp_path, whole, planned, how, why) -> None:
    url = web.add(PLACE, whole, **how)
    run(config(tmp_path / "run", path=url))
    assert [(part["start"], part["stop"]) for part in planned[0]] == [(0, None)]
    code, summary = winnow("summary", str(tmp_path / "run"))
    assert code == 0 and f"1 large files were read by one worker each, such as {url}: {why}" in summary, summary


def test_a_file_that_changes_between_its_parts_is_noticed(web: WebServer, tmp_path, whole, monkeypatch) -> None:
    url = web.add(PLACE, whole, etag='"1"')
    checked = measure.check_slices

    def check(read, store):
        checked(read, store)
        web.pages[PLACE].etag = '"2"'  # behind the first unit

    monkeypatch.setattr(measure, "check_slices", check)
    with pytest.raises(StageFailedError, match="written anew since this run catalogued it"):
        run(config(tmp_path / "run", path=url))
