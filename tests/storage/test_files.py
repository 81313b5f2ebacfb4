"""Requests to a real S3 server: conditional creation, retries, what is told when all is lost, and what never is."""

import faulthandler
import os
import threading

import pytest

from tests.support.faulty_objects import FaultyServer
from winnow.errors import AddressError, ObjectStorageError
from winnow.storage.address import check_address, check_endpoint
from winnow.storage.config import StorageConfig
from winnow.storage.listing import find_objects
from winnow.storage.object_errors import without_secrets
from winnow.storage.object_files import ObjectFiles, object_files
from winnow.storage.traffic import counted_traffic

BUCKET = "s3://winnow-files"


@pytest.fixture
def server(s3, monkeypatch):
    import s3fs

    monkeypatch.setattr("winnow.storage.object_files.FIRST_WAIT_SECONDS", 0.001)
    s3fs.S3FileSystem().makedirs(BUCKET, exist_ok=True)
    faulty = FaultyServer(s3.port)
    with faulty.running():
        yield faulty


@pytest.fixture
def files(server) -> ObjectFiles:
    return object_files(BUCKET, StorageConfig(endpoint=server.endpoint, retries=3))


def test_of_two_creators_one_wins(files, server):
    results = {}
    barrier = threading.Barrier(2)

    def create(name: str) -> None:
        barrier.wait()
        results[name] = files.create(f"{BUCKET}/race", name.encode())

    threads = [threading.Thread(target=create, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results.values()) == [False, True]
    assert results[files.read(f"{BUCKET}/race").decode()]
    sent = [headers for method, path, headers in server.headers if method == "PUT" and path.endswith("race")]
    assert [headers.get("If-None-Match") for headers in sent] == ["*", "*"]


def test_a_creator_whose_answer_was_lost_has_won(files, server):
    server.fail(1, "lost", "PUT", "mine")
    assert files.create(f"{BUCKET}/mine", b"me")
    assert not files.create(f"{BUCKET}/mine", b"another")
    assert files.read(f"{BUCKET}/mine") == b"me"


def test_a_creator_told_of_a_conflict_asks_again(files, server):
    """S3 says so while another write of the object is under way, which may be this one's own."""
    server.fail(2, 409, "PUT", "mine-too")
    assert files.create(f"{BUCKET}/mine-too", b"me")
    assert files.read(f"{BUCKET}/mine-too") == b"me"


@pytest.mark.parametrize("how", [503, "lost", *(pytest.param(how, marks=pytest.mark.slow) for how in (500, "hang up"))])
def test_passing_errors_are_asked_again_and_counted(files, server, how):
    server.fail(3, how)
    with counted_traffic() as asked:
        files.write(f"{BUCKET}/again", b"content")
    # the HTTP library itself asks once more where a kept connection broke
    assert asked["objects.retries"] == 3 or (isinstance(how, str) and asked["objects.retries"] >= 1)
    server.fail(2, how)
    assert files.read(f"{BUCKET}/again") == b"content"


def test_an_error_that_stays_says_which_object_and_what_to_do(files, server):
    server.fail(1000, 503)
    with pytest.raises(
        ObjectStorageError, match=r"cannot read s3://winnow-files/x \(4 attempts\): the server said 503: SlowDown"
    ):
        files.read(f"{BUCKET}/x")
    assert server.asked["GET"] == 4


def test_what_may_not_be_done_is_not_asked_twice(files, server):
    server.fail(1000, 403)
    with pytest.raises(ObjectStorageError, match="AWS_ACCESS_KEY_ID.*AWS_PROFILE.*role"):
        files.write(f"{BUCKET}/x", b"")
    assert server.asked["PUT"] == 1


def test_a_bucket_that_is_not_there(s3):
    files = object_files("s3://no-such-bucket", StorageConfig())
    for ask in (files.read, files.state, files.below):
        with pytest.raises(ObjectStorageError, match="create the bucket, or correct its name"):
            ask("s3://no-such-bucket/x")


def test_nobody_there(s3):
    files = object_files("s3://bucket", StorageConfig(endpoint="http://127.0.0.1:9", retries=0))
    with pytest.raises(ObjectStorageError, match=r"s3://bucket/x: no answer: .*check `storage.endpoint`"):
        files.read("s3://bucket/x")


def test_no_credentials_says_where_they_are_looked_for(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    files = ObjectFiles("s3", StorageConfig(endpoint=s3.endpoint))
    with pytest.raises(ObjectStorageError, match="no usable credentials were found; looked for: AWS_ACCESS_KEY_ID"):
        files.read("s3://bucket/x")


@pytest.mark.slow
def test_a_large_file_goes_in_parts_and_none_are_left_of_a_failed_one(files, server, tmp_path, monkeypatch):
    import s3fs

    monkeypatch.setattr("winnow.storage.object_files.PART_BYTES", 5 << 20)
    content = bytes(range(256)) * (13 << 12)  # 13 MiB and a bit: 3 parts
    (tmp_path / "large").write_bytes(content)
    server.fail(1, 503, "PUT", "partNumber=2")
    with counted_traffic() as asked:
        files.upload(f"{BUCKET}/large", str(tmp_path / "large"), len(content))
    assert asked["objects.retries"] == 1
    assert files.read(f"{BUCKET}/large") == content
    assert (server.asked["POST"], server.asked["DELETE"]) == (3, 1)  # begun, given up; begun, completed
    server.fail(1000, 503, "PUT", "partNumber=3")
    with pytest.raises(ObjectStorageError):
        files.upload(f"{BUCKET}/never", str(tmp_path / "large"), len(content))
    assert files.state(f"{BUCKET}/never") is None
    assert s3fs.S3FileSystem().list_multipart_uploads(BUCKET.removeprefix("s3://")) == []


def test_patterns_mean_what_they_mean_on_disks(files, tmp_path):
    from winnow.sources.inputs import list_paths

    names = ["a/x.jsonl", "a/y.txt", "a/b/x.jsonl", "a/b/c/x.jsonl", "a/.hidden/x.jsonl", "a/.x.jsonl", "ab/x.jsonl"]
    names += ["a/z.jsonl/part-0", "a/z.jsonl/_SUCCESS", "a/_delta_log/0.jsonl", "a/_metadata", "a/b/k=v/x.jsonl"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
        files.write(f"{BUCKET}/tree/{name}", b"1")
    patterns = "a a/b a/*.jsonl a/**/*.jsonl **/x.jsonl a*/x.jsonl a/? a/**/c/* **/*.txt a/[a-b]/x.jsonl a/x.jsonl"
    patterns += " a/* * ** a/**/z.* a/z.jsonl a/_delta_log/* a/_* a/b/k=*"
    for pattern in patterns.split():
        try:
            expected = [path.removeprefix(f"{tmp_path}/") for path in list_paths(f"{tmp_path}/{pattern}")]
        except ValueError:
            expected = []
        found = [o.url.removeprefix(f"{BUCKET}/tree/") for o in find_objects(files, f"{BUCKET}/tree/{pattern}")]
        assert found == expected, pattern


def test_a_name_that_looks_like_a_pattern(files):
    from winnow.sources.inputs import list_paths

    for name in ("part[1].jsonl", "part1.jsonl", "100% a+b #1 ü?.jsonl"):
        files.write(f"{BUCKET}/odd/{name}", name.encode())
        assert list_paths(f"{BUCKET}/odd/{name}") == [f"{BUCKET}/odd/{name}"]
        assert files.read(f"{BUCKET}/odd/{name}") == name.encode()
    assert list_paths(f"{BUCKET}/odd/part[12].jsonl") == [f"{BUCKET}/odd/part1.jsonl"]


def test_objects_that_runs_write_are_no_input(files):
    from winnow.sources.inputs import list_paths

    names = ["a/x.jsonl", "run.jsonl", "run/y.jsonl"]
    for name in names:
        files.write(f"{BUCKET}/written/{name}", b"1")
    root = f"{BUCKET}/written"
    for pattern in (root, f"{root}/**/*.jsonl"):
        assert list_paths(pattern) == [f"{root}/{name}" for name in names]
        assert list_paths(pattern, None, [f"{root}/run/", "/run"]) == [f"{root}/{name}" for name in names[:2]]
    assert list_paths(f"{root}/run/*.jsonl", None, [f"{root}/run"]) == [f"{root}/run/y.jsonl"]


def test_an_input_written_anew_is_noticed(files):
    from winnow.errors import InputError
    from winnow.sources.inputs import check_unchanged

    urls = [f"{BUCKET}/changing/{number}" for number in range(3)]
    for url in urls:
        files.write(url, b"one")
    read = [(url, files.state(url).etag) for url in urls]
    files.remove(urls[0])
    check_unchanged(read, files.config)
    files.write(urls[2], b"two")
    with pytest.raises(InputError, match=f"{urls[2]}: written anew since.*run the same command again"):
        check_unchanged(read, files.config)


@pytest.mark.parametrize("name", ["a//b", "./b", "../b", "a\x01b", "b/"])
def test_odd_names_of_others_do_not_hide_the_rest(files, name):
    import s3fs

    folder = f"odd-names/{name.encode().hex()}"
    files.write(f"{BUCKET}/{folder}/x.jsonl", b"1")
    s3fs.S3FileSystem().call_s3("put_object", Bucket=BUCKET.removeprefix("s3://"), Key=f"{folder}/{name}", Body=b"1")
    below = {state.url for state in files.below(f"{BUCKET}/{folder}")}
    assert below == {f"{BUCKET}/{folder}/x.jsonl", f"{BUCKET}/{folder}/{name}"}


def test_credentials_of_a_profile(files, server, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text("[mine]\naws_access_key_id = test\naws_secret_access_key = test\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    files = ObjectFiles("s3", StorageConfig(endpoint=server.endpoint, retries=0))
    files.write(f"{BUCKET}/profile", b"1")
    assert files.read(f"{BUCKET}/profile") == b"1"


def test_a_forked_process_asks_with_a_client_of_its_own(s3, files):
    """As the workers of a DataLoader do: a client that keeps threads would wait for ever in the child."""
    files.write(f"{BUCKET}/forked", b"1")
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(30, exit=True)  # ends the child, with 1
        code = 2
        try:
            # not by the proxy, which lives in the parent
            found = object_files(BUCKET, StorageConfig(endpoint=s3.endpoint, retries=0)).read(f"{BUCKET}/forked")
            code = 0 if found == b"1" else 3
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.slow
def test_listings_longer_than_an_answer(files, monkeypatch):
    import s3fs

    s3 = s3fs.S3FileSystem()
    s3.pipe({f"{BUCKET}/many/{number:05d}": b"" for number in range(1001)})
    assert len(files.below(f"{BUCKET}/many")) == len(files.directly_in(f"{BUCKET}/many")[0]) == 1001


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAEXAMPLE:verysecret@bucket/run",
        "s3://AKIAEXAMPLE@bucket/run",
        "s3://bucket/run?X-Amz-Signature=verysecret",
        "az://name:verysecret@container/x",
        "abfs://name:verysecret@account.dfs.core.windows.net/x",
    ],
)
def test_secrets_in_addresses_are_refused_and_not_repeated(url):
    with pytest.raises(AddressError) as refused:
        check_address(url)
    assert "verysecret" not in str(refused.value) and "AKIAEXAMPLE" not in str(refused.value)


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "ftp://host/x", "https:///x", "s3:/b/x", "S3:b/x"])
def test_addresses_that_cannot_be_used(url):
    with pytest.raises(AddressError):
        check_address(url)


@pytest.mark.parametrize("url", ["s3://b/x@y", "abfs://container/x", "/a/b", "a:b@c/d", "gs1/x", "az"])
def test_addresses_that_can(url):
    assert check_address(url) == url


def test_an_account_in_an_address_is_told_where_it_belongs():
    """Names in listings come without it, so that nothing would be found below such an address."""
    with pytest.raises(AddressError, match=r"AZURE_STORAGE_ACCOUNT_NAME.*abfs://container/PATH"):
        check_address("abfs://container@account.dfs.core.windows.net/x")


@pytest.mark.parametrize("endpoint", ["minio:9000", "http://key:secret@minio:9000", "http://minio?x=1", "ftp://minio"])
def test_endpoints_that_cannot_be_used(endpoint):
    with pytest.raises(AddressError) as refused:
        check_endpoint(endpoint)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("scratch", ["s3://bucket/scratch", "s3:/bucket", "s3://AKIAEXAMPLE:verysecret@bucket"])
def test_a_scratch_folder_is_one_of_a_disk(scratch):
    with pytest.raises(ValueError, match="expected|credentials") as refused:
        StorageConfig(scratch=scratch)
    assert "verysecret" not in refused.value.errors()[0]["msg"]


def test_messages_hold_no_credentials(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    text = "https://b.s3.amazonaws.com/x?X-Amz-Credential=AKIA&X-Amz-Signature=abc said wJalrXUtnFEMI/K7MDENG"
    assert without_secrets("to http://KEY:hidden@minio:9000/b/x@y?") == "to http://***@minio:9000/b/x@y?"
    assert without_secrets(text) == "https://b.s3.amazonaws.com/x?X-Amz-Credential=***&X-Amz-Signature=*** said ***"


@pytest.mark.parametrize(
    ("scheme", "package", "extra"), [("gs", "gcsfs", "gcs"), ("az", "adlfs", "azure"), ("s3", "s3fs", "s3")]
)
def test_a_missing_package_names_the_extra(scheme, package, extra, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(AddressError, match=rf"pip install 'winnow-corpus\[{extra}\]'"):
        ObjectFiles(scheme, StorageConfig())
