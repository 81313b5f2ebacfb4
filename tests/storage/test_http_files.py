"""Files of web servers: ranges, versions, refusals and manners, against a server with the habits of real ones."""

import email.utils
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.web_server import WebServer, web_server
from winnow.errors import AddressError, InputError, WebServerError
from winnow.sources.inputs import list_paths, look_at
from winnow.storage import http_files, object_files
from winnow.storage.address import check_address, check_writable
from winnow.storage.config import StorageConfig
from winnow.storage.http_files import HttpFiles
from winnow.storage.local_store import LocalStore
from winnow.storage.object_files import forget_clients
from winnow.storage.request_slots import request_slot

BODY = bytes(range(256)) * 4000


@pytest.fixture
def web():
    with web_server() as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_files, "FIRST_WAIT_SECONDS", 0.01)
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    forget_clients()


def settings(tmp_path: Path, **more: object) -> StorageConfig:
    return StorageConfig.model_validate({"scratch": str(tmp_path), "retries": 3, "timeout_seconds": 5} | more)


def opened(url: str, storage: StorageConfig):
    return LocalStore("/", storage).open_input(url)


@pytest.mark.parametrize(
    "how",
    [{}, {"ranges": False}, {"ranges": False, "length": False}, {"head": False}, {"head": False, "length": False}],
    ids=["ranges", "no ranges", "no ranges, no length", "no HEAD", "no HEAD, no length"],
)
def test_any_bytes_of_a_file_however_the_server_sends_it(web: WebServer, tmp_path, how) -> None:
    url = web.add("/a.bin", BODY, etag='"1"', **how)
    storage = settings(tmp_path)
    assert look_at(url, storage)[:3] == (len(BODY), 0, "1")
    with opened(url, storage) as file:
        assert file.read(10) == BODY[:10]
        file.seek(700_000)
        assert file.read(400_000) == BODY[700_000:]
        file.seek(5)
        assert file.read() == BODY[5:]
        file.seek(len(BODY) + 7)
        assert file.read(3) == b""
    if how.get("ranges") is False:  # at most once to look, and once to read
        assert web.count("GET") <= 4


def test_an_empty_file(web: WebServer, tmp_path) -> None:
    url = web.add("/empty", b"", modified="Mon, 05 Jan 2026 10:00:00 GMT")
    assert look_at(url, settings(tmp_path)).bytes == 0
    with opened(url, settings(tmp_path)) as file:
        assert file.read() == b""


def test_identity_is_etag_or_time_of_change(web: WebServer, tmp_path) -> None:
    files = HttpFiles(settings(tmp_path))
    told = files.info(web.add("/a", b"x", etag='W/"abc"'))
    assert (told["size"], told["etag"]) == (1, "abc")
    told = files.info(web.add("/b", b"x", modified="Mon, 05 Jan 2026 10:00:00 GMT"))
    assert told["etag"] == "" and told["last_modified"].timestamp() == 1767607200


def test_a_file_written_anew_while_it_is_read_is_told(web: WebServer, tmp_path) -> None:
    url = web.add("/a.bin", BODY, etag='"1"')
    with opened(url, settings(tmp_path)) as file:
        file.read(10)
        web.add("/a.bin", BODY[::-1], etag='"2"')
        file.seek(900_000)
        with pytest.raises(WebServerError, match="wrote the file anew while it was read"):
            file.read(10)
    with opened(url, settings(tmp_path)) as file:  # another reading is of the other version
        assert file.read(10) == BODY[::-1][:10]


def test_passing_refusals_are_asked_again(web: WebServer, tmp_path) -> None:
    url = web.add("/a.bin", BODY, failures=[500, 0, 429])
    with opened(url, settings(tmp_path)) as file:
        assert file.read(100) == BODY[:100]
    assert web.count("GET") == 4


@pytest.mark.slow
def test_a_server_may_send_less_than_it_was_asked_for(web: WebServer, tmp_path) -> None:
    for name, total in (("/a", True), ("/b", False)):
        with opened(web.add(name, BODY, most=100_000, total=total), settings(tmp_path)) as file:
            assert file.read(10) == BODY[:10]
            file.seek(900_000)
            assert file.read(400_000) == BODY[900_000:]
    with pytest.raises(WebServerError, match="sends less than it was asked for, 64 times"):
        opened(web.add("/c", BODY, most=100), settings(tmp_path, retries=0)).read(10)


def test_a_short_answer_is_asked_for_again(web: WebServer, tmp_path) -> None:
    url = web.add("/a.bin", BODY, length=False, failures=[0])  # half of a range, and nothing says how much it is
    with opened(url, settings(tmp_path)) as file:
        assert file.read(1000) == BODY[:1000] and file.read(200_000) == BODY[1000:201_000]
    assert web.count("GET") == 2


@pytest.mark.parametrize("form", ["seconds", "a time"])
def test_retry_after_is_honoured(web: WebServer, tmp_path, monkeypatch, form) -> None:
    asked = "9" if form == "seconds" else email.utils.formatdate(time.time() + 9, usegmt=True)
    waits: list[float] = []
    monkeypatch.setattr(object_files.time, "sleep", lambda seconds: waits.append(seconds))
    url = web.add("/a.bin", BODY, failures=[503], headers={"Retry-After": asked})
    with opened(url, settings(tmp_path)) as file:
        assert file.read(5) == BODY[:5]
    assert 5 < max(waits) <= 9


def test_a_server_that_asks_for_an_age_is_asked_again_sooner(web: WebServer, tmp_path, monkeypatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(object_files.time, "sleep", lambda seconds: waits.append(seconds))
    url = web.add("/a.bin", BODY, failures=[503], headers={"Retry-After": "9" * 12})
    with opened(url, settings(tmp_path)) as file:
        assert file.read(5) == BODY[:5]
    assert max(waits) == 120


def test_refusals_end_with_what_the_server_said(web: WebServer, tmp_path) -> None:
    storage = settings(tmp_path, retries=1)
    cases = {403: 1, 503: 2}
    for status, times in cases.items():
        url = web.add(f"/{status}", b"", status=status)
        with pytest.raises(WebServerError, match=f"cannot read {url}.*the server said {status}"):
            opened(url, storage).read(1)
        assert web.count("GET", f"/{status}") == times
    with pytest.raises(FileNotFoundError):
        opened(f"{web.url}/none", storage).read(1)
    with pytest.raises(FileNotFoundError):
        look_at(f"{web.url}/none", storage)


def test_nobody_answers(tmp_path) -> None:
    with web_server() as server:
        url = f"{server.url}/a"
    with pytest.raises(WebServerError, match=r"cannot look at .*: nobody answers at 127.0.0.1"):
        look_at(url, settings(tmp_path, retries=0))


@pytest.mark.slow
def test_silence_and_trickles_end(web: WebServer, tmp_path, monkeypatch) -> None:
    storage = settings(tmp_path, retries=0, timeout_seconds=0.3)
    with pytest.raises(WebServerError, match="silent for too long"):
        opened(web.add("/silent", BODY, slow=2.0), storage).read(1)
    monkeypatch.setattr(http_files, "PIECE_BYTES", 4)
    with pytest.raises(WebServerError, match="sends under 2,000 bytes a second"):
        opened(web.add("/trickle", BODY[:2000], trickle=0.02), storage).read(1)


def test_redirects_are_followed_a_few_times(web: WebServer, tmp_path) -> None:
    storage = settings(tmp_path, retries=0)
    web.add("/there", b"here")
    for number in range(7):
        to = "/there" if number == 0 else f"/hop{number - 1}"
        web.add(f"/hop{number}", b"", status=(301, 302, 307, 308)[number % 4], headers={"Location": to})
    assert opened(f"{web.url}/hop4", storage).read() == b"here"
    with pytest.raises(WebServerError, match="sent us on more than 5 times"):
        opened(f"{web.url}/hop6", storage).read()
    for place in ("file:///etc/passwd", "", "ftp://e.org/"):
        web.add("/away", b"", status=302, headers={"Location": place})
        with pytest.raises(WebServerError, match="no http:// or https:// address"):
            opened(f"{web.url}/away", storage).read()


def test_another_coding_than_asked_for_is_refused(web: WebServer, tmp_path) -> None:
    storage = settings(tmp_path, retries=0)
    coded = {"Content-Encoding": "gzip"}
    assert opened(web.add("/a.gz", b"as it is", headers=coded), storage).read() == b"as it is"
    with pytest.raises(WebServerError, match="Content-Encoding: gzip"):
        opened(web.add("/a.txt", b"as it is", headers=coded), storage).read()
    assert {headers["Accept-Encoding"] for headers in web.headers} == {"identity"}
    assert all(agent.startswith("winnow/") and "(+https://" in agent for agent in web.agents)


def test_an_endless_file_without_ranges_is_refused(web: WebServer, tmp_path, monkeypatch) -> None:
    storage = settings(tmp_path, retries=0).model_copy(update={"cache_mb": 1})
    with pytest.raises(WebServerError, match=r"sends more than storage.cache_mb \(1 MB\)"):
        opened(web.add("/a", BODY * 2, ranges=False, length=False), storage).read(1)


@pytest.mark.slow
def test_few_requests_at_a_time_from_all_processes(web: WebServer, tmp_path) -> None:
    url = web.add("/a.bin", BODY, slow=0.05)
    program = (
        "import sys; from concurrent.futures import ThreadPoolExecutor\n"
        "from winnow.storage.config import StorageConfig; from winnow.storage.http_files import HttpFiles\n"
        "files = HttpFiles(StorageConfig(scratch=sys.argv[2], requests_per_host=2))\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    assert all(pool.map(lambda n: files.cat_file(sys.argv[1], n, n + 1), range(8)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, url, str(tmp_path)]
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert web.count("GET") == 16 and web.most_at_once == 2


def test_a_slot_of_a_dead_process_is_free(tmp_path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from winnow.storage.request_slots import request_slot\n"
        "with request_slot(Path(sys.argv[1]), 'h', 1): os._exit(9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path / "s")], env=environment).returncode == 9
    taken = threading.Event()

    def take() -> None:
        with request_slot(tmp_path / "s", "h", 1):
            taken.set()

    threading.Thread(target=take, daemon=True).start()
    assert taken.wait(5)


def test_the_proxy_of_the_environment_is_used_and_its_password_told_nobody(web: WebServer, tmp_path, monkeypatch):
    host = web.url.removeprefix("http://")
    monkeypatch.setenv("http_proxy", f"http://me:pass-word@{host}")
    web.add("http://elsewhere.invalid/a.txt", b"through the proxy")
    assert opened("http://elsewhere.invalid/a.txt", settings(tmp_path)).read() == b"through the proxy"
    assert any("proxy-authorization" in map(str.lower, headers) for headers in web.headers)
    with pytest.raises(WebServerError) as failed:
        web.add("http://elsewhere.invalid/b.txt", b"", status=500)
        opened("http://elsewhere.invalid/b.txt", settings(tmp_path, retries=0)).read()
    assert "pass-word" not in str(failed.value)


@pytest.mark.parametrize(
    "address",
    ["https://me:secret@e.org/a.jsonl", "https://e.org/a.jsonl?access_token=1", "https://e.org/a?X-Amz-Signature=1"],
)
def test_no_credentials_in_addresses(address: str) -> None:
    with pytest.raises(AddressError) as refused:
        check_address(address)
    assert "secret@" not in str(refused.value) and "=1" not in str(refused.value)


def test_the_web_is_only_read() -> None:
    with pytest.raises(AddressError, match="https:// is read only"):
        check_writable("https://e.org/run")


def test_patterns_need_a_listing(web: WebServer, tmp_path) -> None:
    with pytest.raises(InputError, match="web servers list no files"):
        list_paths(f"{web.url}/*.jsonl", settings(tmp_path))
    url = web.add("/get.jsonl", b"{}") + "?part=1*"
    assert list_paths(url, settings(tmp_path)) == [url]
    with pytest.raises(InputError, match="no such file"):
        list_paths(f"{web.url}/none.jsonl", settings(tmp_path))
