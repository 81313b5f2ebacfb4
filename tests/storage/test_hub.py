"""Files of a hub: the bytes that are there, at the commit that was asked for, with the token of the environment alone;
every refusal says what to do."""

import io
import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.fake_hub import TOKEN, FakeHub, Repository
from winnow.errors import AddressError, HubError, ObjectStorageError
from winnow.storage import object_files as objects
from winnow.storage.config import StorageConfig
from winnow.storage.hub import parse_hub, without_commit
from winnow.storage.listing import find_objects
from winnow.storage.object_errors import without_secrets
from winnow.storage.object_files import ObjectFiles, object_files
from winnow.storage.object_reader import ObjectReader

NAME = "acme/web"
URL = f"hf://datasets/{NAME}"
SMALL = b'{"text": "one"}\n'
LARGE = os.urandom(300_000)
FILES = {
    "README.md": b"---\nlicense: mit\n---\n",
    "a.jsonl": SMALL,
    "data/b.parquet": LARGE,
    "data/deep/c #1 @x%20[1].jsonl": b"odd",
    "data/.hidden": b"dot",
}


@pytest.fixture
def files(hub: FakeHub) -> ObjectFiles:
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit(FILES)
    return object_files(URL, StorageConfig(retries=3, timeout_seconds=5))


def test_addresses_are_taken_apart_and_put_together() -> None:
    sha = "0123456789" * 4
    for url, repository, revision, path in [
        ("hf://datasets/a/b", "a/b", "main", ""),
        ("hf://datasets/a/b/c/*.d", "a/b", "main", "c/*.d"),
        ("hf://datasets/a/b@v1.0/c", "a/b", "v1.0", "c"),
        ("hf://datasets/a/b@refs/convert/parquet/x/y", "a/b", "refs/convert/parquet", "x/y"),
        ("hf://datasets/a/b@refs%2Fpr%2F7/x", "a/b", "refs/pr/7", "x"),
        (f"hf://datasets/a/b@{sha}/c@d", "a/b", sha, "c@d"),
    ]:
        found = parse_hub(url)
        assert (found.repository, found.revision, found.path) == (repository, revision, path)
        assert parse_hub(found.url) == found
        assert found.is_pinned == (revision == sha)
    assert without_commit(f"hf://datasets/a/b@{sha}/c/d") == "hf://datasets/a/b/c/d"
    assert without_commit("hf://datasets/a/b@v1/c/d") == "hf://datasets/a/b@v1/c/d"


@pytest.mark.parametrize(
    "url",
    [
        "hf://a/b",
        "hf://models/a/b/x",
        "hf://datasets/a",
        "hf://datasets/a/",
        "hf://datasets/a/*/x",
        "hf://datasets/../b",
        "hf://datasets/a/b@/x",
        "hf://datasets/a/b@a b/x",
        "hf://datasets/a/b@../x",
        "hf://datasets/a/b?x",
    ],
)
def test_what_names_no_data_set_is_refused(url: str) -> None:
    with pytest.raises(AddressError, match="expected hf://datasets/OWNER/NAME"):
        object_files(url, StorageConfig())


def test_listings_and_bytes_are_those_of_hugging_faces_own_file_system(hub: FakeHub, files: ObjectFiles) -> None:
    from huggingface_hub import HfFileSystem

    reference = HfFileSystem(endpoint=hub.endpoint, token=False, skip_instance_cache=True)
    sha = hub.repositories[NAME].branches["main"]
    for revision in ("main", sha):
        mine = {s.url.removeprefix("hf://"): s for s in files.below(f"{URL}@{revision}")}
        at = f"datasets/{NAME}" if revision == "main" else f"datasets/{NAME}@{revision}"
        theirs = reference.find(at, detail=True)
        assert sorted(name.replace("@main", "") for name in mine) == sorted(theirs)
        for name, told in theirs.items():
            state = mine[name if revision == sha else name.replace(NAME, f"{NAME}@main", 1)]
            assert (state.bytes, state.modified) == (told["size"], 0.0)
            assert state.etag == (told["lfs"].sha256 if told["lfs"] else told["blob_id"])
            assert files.state(state.url) == state
            assert files.read(state.url) == reference.cat_file(name)
    hub.page = 2  # an answer holds so many
    assert len(files.below(f"{URL}@{sha}")) == len(FILES)


def test_names_are_spelled_as_they_were_asked_for(hub: FakeHub, files: ObjectFiles) -> None:
    hub.repositories[NAME].branches["refs/convert/parquet"] = hub.repositories[NAME].branches["main"]
    for root in (URL, f"{URL}@main", f"{URL}@refs/convert/parquet", f"{URL}@refs%2Fconvert%2Fparquet"):
        assert [state.url for state in files.below(f"{root}/data")] == sorted(
            f"{root}/{path}" for path in FILES if path.startswith("data/")
        )
        assert files.state(f"{root}/a.jsonl").url == f"{root}/a.jsonl"


def test_patterns_mean_what_they_mean_on_a_disk(files: ObjectFiles) -> None:
    def found(pattern: str) -> list[str]:
        return [state.url.partition("@main/")[2] for state in find_objects(files, f"{URL}@main{pattern}")]

    assert found("/**/*.jsonl") == ["a.jsonl", "data/deep/c #1 @x%20[1].jsonl"]
    assert found("/*.jsonl") == ["a.jsonl"]
    assert found("/data") == ["data/b.parquet", "data/deep/c #1 @x%20[1].jsonl"]
    assert found("") == ["README.md", "a.jsonl", "data/b.parquet", "data/deep/c #1 @x%20[1].jsonl"]
    assert found("/data/deep/c #1 @x%20[1].jsonl") == ["data/deep/c #1 @x%20[1].jsonl"]
    assert found("/none/**") == []


@pytest.mark.parametrize("name", ["a.jsonl", "data/b.parquet"])
def test_ranges_are_ranges_and_no_more_is_fetched(hub: FakeHub, files: ObjectFiles, name: str) -> None:
    url, content = f"{URL}@main/{name}", FILES[name]
    for first, end in [(0, 1), (3, 9), (5, len(content)), (5, len(content) + 100)]:
        before = len(hub.asked)
        assert files.read_range(url, first, end) == content[first:end]
        assert sum(asked.sent for asked in hub.asked[before:]) == len(content[first:end])
    assert files.read_range(url, len(content), len(content) + 5) == b""
    reader = io.BufferedReader(ObjectReader(files, url, len(content)))
    assert reader.read() == content


def test_a_column_of_parquet_is_read_without_the_others(hub: FakeHub, files: ObjectFiles) -> None:
    table = pa.table({"small": list(range(20)), "large": [os.urandom(100_000) for _ in range(20)]})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=5, compression="none")
    hub.repositories[NAME].commit({"wide.parquet": sink.getvalue()})
    file = pq.ParquetFile(ObjectReader(files, f"{URL}@main/wide.parquet", len(sink.getvalue())))
    assert file.read(["small"]).column("small").to_pylist() == list(range(20))
    assert sum(asked.sent for asked in hub.requests("GET", "/objects/", "elsewhere")) < len(sink.getvalue()) * 0.8


@pytest.mark.parametrize(
    "wrong",
    [500, 503, 429, (429, {"Retry-After": "0"}), "hang up", "short", 408],
)
@pytest.mark.parametrize("server", ["hub", "elsewhere"])
def test_a_passing_fault_passes(hub: FakeHub, files: ObjectFiles, wrong, server: str) -> None:
    hub.fail(2, wrong, server=server)
    assert files.read_range(f"{URL}@main/data/b.parquet", 10, 200_000) == LARGE[10:200_000]
    if server == "hub":
        hub.fail(2, wrong)
        assert len(files.below(f"{URL}@main")) == len(FILES)
        hub.fail(2, wrong)
        assert files.hub_revision(URL).commit == hub.repositories[NAME].branches["main"]


def test_an_expired_signature_is_asked_for_anew(hub: FakeHub, files: ObjectFiles) -> None:
    hub.fail(2, 403, server="elsewhere")
    assert files.read(f"{URL}@main/data/b.parquet") == LARGE


def test_a_server_that_knows_no_ranges_is_read_over(hub: FakeHub, files: ObjectFiles) -> None:
    hub.fail(2, "no ranges")
    assert files.read_range(f"{URL}@main/data/b.parquet", 100_000, 200_000) == LARGE[100_000:200_000]


def test_another_range_than_the_one_asked_for_is_no_answer(hub: FakeHub, files: ObjectFiles) -> None:
    hub.fail(1, (206, {"Content-Range": "bytes 0-1/300000"}), server="elsewhere")
    assert files.read_range(f"{URL}@main/data/b.parquet", 5, 7) == LARGE[5:7]
    hub.fail(1, (206, {"Content-Range": "bytes 5-8/300000"}), server="elsewhere")  # two bytes come of four
    assert files.read_range(f"{URL}@main/data/b.parquet", 5, 9) == LARGE[5:9]


def test_the_hub_is_waited_for_as_long_as_it_asks(hub: FakeHub, files: ObjectFiles, monkeypatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(objects.time, "sleep", waits.append)
    hub.fail(1, (429, {"Retry-After": "7"}))
    files.read(f"{URL}@main/a.jsonl")
    hub.fail(1, (429, {"RateLimit": '"api";r=0;t=11'}))
    files.read(f"{URL}@main/a.jsonl")
    hub.fail(1, (429, {"Retry-After": "999999"}))
    files.read(f"{URL}@main/a.jsonl")
    assert waits == [7.0, 11.0, 300.0]


def test_a_hub_that_stays_ill_is_told(hub: FakeHub, files: ObjectFiles) -> None:
    hub.fail(99, 503)
    with pytest.raises(ObjectStorageError, match=r"4 attempts.*503.*the same command"):
        files.read(f"{URL}@main/a.jsonl")
    hub.fault = lambda *_: None
    with pytest.raises(FileNotFoundError):
        files.read(f"{URL}@main/none.jsonl")
    assert files.state(f"{URL}@main/none.jsonl") is None
    assert files.state(f"{URL}@main/data") is None


def test_no_server_is_told(hub: FakeHub, monkeypatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    objects.forget_clients()
    with pytest.raises(ObjectStorageError, match=r"http://127.0.0.1:9"):
        object_files(URL, StorageConfig(retries=1)).hub_revision(URL)
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@hub")
    objects.forget_clients()
    with pytest.raises(AddressError, match="HF_ENDPOINT: holds credentials") as refused:
        object_files(URL, StorageConfig(retries=1))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "token", "says"),
    [
        ({}, "", None),
        (None, "", r"no such data set, or a private one; correct the name, or set HF_TOKEN"),
        (None, TOKEN, r"no such data set, or the token in HF_TOKEN may not read it"),
        ({"private": True}, "", r"or a private one; .*set HF_TOKEN .*every node"),
        ({"private": True}, TOKEN, None),
        ({"private": True}, "hf_wrong", r"does not know the token in HF_TOKEN"),
        ({"gated": True}, "", r"a gated data set; accept its terms at http://.*/datasets/acme/web"),
        ({"gated": True}, TOKEN, None),
    ],
)
def test_who_may_not_read_is_told_what_to_do(hub: FakeHub, monkeypatch, kind, token: str, says: str | None) -> None:
    if kind is not None:
        hub.repositories[NAME] = Repository(**kind)
        hub.repositories[NAME].commit(FILES)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    files = object_files(URL, StorageConfig(retries=2))
    requests = [
        lambda: files.hub_revision(URL),
        lambda: files.below(URL),
        lambda: files.read(f"{URL}@main/data/b.parquet"),
        lambda: files.state(f"{URL}@main/a.jsonl"),
    ]
    for request in requests:
        before = len(hub.asked)
        if says is None:
            request()
            continue
        with pytest.raises(HubError, match=says) as refused:
            request()
        assert refused.value.exit_code == 2
        assert token == "" or token not in str(refused.value)
        assert len(hub.asked) == before + 1  # asking again mends nothing


def test_a_missing_revision_is_told(files: ObjectFiles) -> None:
    with pytest.raises(HubError, match=r"no branch, tag or commit 'v9' there"):
        files.hub_revision(f"{URL}@v9")


def test_the_token_goes_to_the_hub_and_nowhere_else(hub: FakeHub, files: ObjectFiles, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    files.below(URL)
    assert files.read(f"{URL}@main/data/b.parquet") == LARGE
    assert {a.headers.get("authorization") for a in hub.requests(server="hub")} == {f"Bearer {TOKEN}"}
    assert hub.requests(server="elsewhere")
    assert all(TOKEN not in str(a.headers) + a.path for a in hub.requests(server="elsewhere"))
    assert without_secrets(f"x {TOKEN} y") == "x *** y"


def test_a_listing_is_not_followed_to_another_server(hub: FakeHub, files: ObjectFiles, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.fail(1, (200, {"Link": f'<{hub.elsewhere}/more>; rel="next"'}), holds="/tree/")
    with pytest.raises(HubError, match="goes on at another server"):
        files._files._tree(URL, recursive=True) if hub.page else None
    assert not hub.requests(server="elsewhere")


def test_what_can_be_no_token_is_refused(hub: FakeHub, files: ObjectFiles, monkeypatch) -> None:
    for wrong in ("hf_a b", "hf_schl\u00fcssel", "hf_a\nX-Other: 1"):
        monkeypatch.setenv("HF_TOKEN", wrong)
        with pytest.raises(HubError, match="HF_TOKEN: holds") as refused:
            files.read(f"{URL}@main/a.jsonl")
        assert wrong not in str(refused.value)
    assert not hub.asked


def test_a_mirror_that_hands_on_addresses_is_followed(hub: FakeHub, files: ObjectFiles, monkeypatch) -> None:
    from winnow.storage import hub_files

    listing = f"{hub.endpoint}/api/datasets/{NAME}/tree/main".replace(hub.endpoint, "https://upstream.example")
    monkeypatch.setattr(hub_files, "DEFAULT_ENDPOINT", "https://upstream.example")
    hub.fail(1, (200, {"Link": f'<{listing}?recursive=true&cursor=0>; rel="next"'}), holds="/tree/")
    assert len(files.below(URL)) == len(FILES)


def test_no_token_of_a_file_is_sent(hub: FakeHub, files: ObjectFiles, tmp_path, monkeypatch) -> None:
    from huggingface_hub import constants, get_token

    (tmp_path / "token").write_text("hf_saved_by_login")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    assert get_token() == "hf_saved_by_login"
    assert files.read(f"{URL}@main/a.jsonl") == SMALL
    assert all("authorization" not in asked.headers for asked in hub.asked)


def test_the_licence_is_that_of_the_card(hub: FakeHub, files: ObjectFiles) -> None:
    repository = hub.repositories[NAME]
    for card, licence in [
        ({}, ""),
        ({"license": "cc-by-4.0"}, "cc-by-4.0"),
        ({"license": ["mit", "apache-2.0"]}, "mit, apache-2.0"),
        ({"license": {"x": 1}}, ""),
        ({"license": ["mit", 7, "a\nb"]}, "mit"),
        ({"license": "x" * 1000}, "x" * 200),
    ]:
        repository.card = card
        assert files.hub_revision(URL).licence == licence


def test_offline_mode_is_told(hub: FakeHub, files: ObjectFiles, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set.*snapshots"):
        files.hub_revision(URL)


def test_what_is_no_hub_is_told(hub: FakeHub, files: ObjectFiles) -> None:
    hub.fail(1, (200, {}))
    with pytest.raises(HubError, match="does not answer as a hub does"):
        files.hub_revision(URL)
    hub.fail(1, 404)
    with pytest.raises(HubError, match=re.escape("said 404")):
        files.hub_revision(URL)
