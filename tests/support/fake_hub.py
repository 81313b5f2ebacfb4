"""A hub on this machine's loopback, and the other server that its large files lie on: what huggingface_hub asks for,
faults on order, and what was asked with which token."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from tests.support.http_server import BreakingServer

TOKEN = "hf_test_token_of_nobody"
LARGE = 10_000
"""Bytes from which a file lies on the other server, as do all with the suffix of data."""
_DATA = (".parquet", ".zst", ".bin", ".npy")


class Asked(NamedTuple):
    """One request."""

    server: str
    """``hub`` or ``elsewhere``."""
    method: str
    path: str
    headers: dict[str, str]
    sent: int
    """Bytes of the answer."""


class Repository:
    """Files by commit, commits by branch."""

    def __init__(self, files: dict[str, bytes] | None = None, *, private: bool = False, gated: bool = False) -> None:
        self.private, self.gated = private, gated
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.card: dict[str, Any] = {}
        self.history: list[list[str]] = []
        """Paths that each commit wrote or removed."""
        self.commit(dict(files or {}))

    def commit(self, files: dict[str, bytes | None], branch: str = "main") -> str:
        """Write (None: remove) files on top of a branch."""
        before = self.branches.get(branch)
        held = dict(self.commits[before]) if before else {}
        for path, content in files.items():
            if content is None:
                held.pop(path)
            else:
                held[path] = content
        content = (
            f"{len(self.commits)} {before} {[(k, hashlib.sha256(v).hexdigest()) for k, v in sorted(held.items())]}"
        )
        sha = hashlib.sha1(content.encode()).hexdigest()
        self.commits[sha] = held
        self.branches[branch] = sha
        self.history.append(list(files))
        return sha

    def resolve(self, revision: str) -> str | None:
        return self.branches.get(revision, revision if revision in self.commits else None)

    def files(self, branch: str = "main") -> dict[str, bytes]:
        return self.commits[self.branches[branch]]


def is_large(path: str, content: bytes) -> bool:
    return path.endswith(_DATA) or len(content) >= LARGE


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as listings tell it."""
    told: dict[str, Any] = {"type": "file", "path": path, "size": len(content)}
    if is_large(path, content):
        oid = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()
        return told | {"oid": _blob(pointer), "lfs": {"oid": oid, "size": len(content), "pointerSize": len(pointer)}}
    return told | {"oid": _blob(content)}


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


Fault = Callable[[str, str, str], Any]
"""By server, method and path: a status, (status, headers), ``"hang up"``, ``"short"``, ``"lost"`` (done, but no answer
comes), ``"no ranges"``, or None."""


class FakeHub:
    """Two servers, and what lies there."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        """What was uploaded to the other server, by sha256."""
        self.asked: list[Asked] = []
        self.fault: Fault = lambda _server, _method, _path: None
        self.page = 1000
        self._hub = _server(self, "hub")
        self._elsewhere = _server(self, "elsewhere")
        self.endpoint = f"http://127.0.0.1:{self._hub.server_port}"
        self.elsewhere = f"http://localhost:{self._elsewhere.server_port}"

    @contextmanager
    def running(self) -> Iterator["FakeHub"]:
        for server in (self._hub, self._elsewhere):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield self
        finally:
            for server in (self._hub, self._elsewhere):
                server.shutdown()
                server.server_close()

    def fail(self, times: int, how: Any, method: str = "", holds: str = "", server: str = "") -> None:
        """Fail the next so many requests of a method whose path holds a text."""
        left = [times]

        def fault(asked_server: str, asked: str, path: str) -> Any:
            if left[0] and method in ("", asked) and holds in path and server in ("", asked_server):
                left[0] -= 1
                return how
            return None

        self.fault = fault

    def requests(self, method: str = "", holds: str = "", server: str = "") -> list[Asked]:
        return [a for a in self.asked if method in ("", a.method) and holds in a.path and server in ("", a.server)]

    def answer(self, method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], Any]:
        """What the hub answers: status, headers, and bytes or JSON."""
        parts = urlsplit(url)
        path, query = parts.path, parse_qs(parts.query)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in ("", TOKEN):
            return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, {}
        if path == "/api/validate-yaml":
            return 200, {}, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            return self._create(json.loads(body), token)
        found = re.match(r"(?:/api)?/datasets/([^/]+/[^/]+?)(?:\.git)?(?:/(.*))?$", path)
        if not found:
            return 404, {}, {}
        name, rest = found[1], found[2] or ""
        repository = self.repositories.get(name)
        if repository is None or (repository.private and token != TOKEN):
            return (
                (404 if token else 401),
                {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"},
                {},
            )
        if repository.gated and token != TOKEN:
            return 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to dataset {name} is restricted."}, {}
        kind, _, rest = rest.partition("/")
        if method == "POST" and kind in ("commit", "preupload", "branch", "info") and token != TOKEN:
            return 403, {"X-Error-Message": "You need write access"}, {}
        if kind == "info":
            return self._batch(json.loads(body))
        if kind == "branch":
            if unquote(rest) in repository.branches:
                return 409, {}, {}
            start = repository.resolve(json.loads(body).get("startingPoint", "main"))
            if start is None:
                return 404, {"X-Error-Code": "RevisionNotFound"}, {}
            repository.branches[unquote(rest)] = start
            return 200, {}, {}
        if kind == "commits":
            told = {"title": "", "message": "", "authors": [], "date": "2026-01-01T00:00:00.000Z"}
            return 200, {}, [{"id": sha, **told} for sha in reversed(repository.commits)]
        revision, _, rest = rest.partition("/")
        commit = repository.resolve(unquote(revision) if revision else "main")
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}, {}
        files = repository.commits[commit]
        if kind in ("", "revision"):
            card = {"cardData": repository.card} if repository.card else {}
            return 200, {}, {"id": name, "sha": commit, "siblings": [], "tags": [], **card}
        if kind == "tree":
            return self._tree(files, unquote(rest), query, path)
        if kind == "paths-info":
            paths = parse_qs(body.decode())["paths"]
            folders = [{"type": "directory", "path": p, "oid": "0" * 40, "size": 0} for p in paths if _below(files, p)]
            return 200, {}, [entry(p, files[p]) for p in paths if p in files] + folders
        if kind == "resolve":
            return self._resolve(method, files, unquote(rest), commit, headers)
        if kind == "preupload":
            return 200, {}, {"files": [self._mode(files, told) for told in json.loads(body)["files"]]}
        if kind == "commit":
            return self._commit(repository, name, unquote(revision), commit, body)
        return 404, {}, {}

    def _create(self, asked: dict[str, Any], token: str) -> tuple[int, dict[str, str], Any]:
        name = f"{asked['organization']}/{asked['name']}"
        if token != TOKEN:
            return 401, {"X-Error-Message": "Invalid username or password."}, {}
        if name in self.repositories:
            return 409, {}, {"url": f"{self.endpoint}/datasets/{name}", "name": name}
        attributes = {".gitattributes": b"*.parquet filter=lfs\n"}
        self.repositories[name] = Repository(attributes, private=asked.get("visibility") == "private")
        return 200, {}, {"url": f"{self.endpoint}/datasets/{name}", "name": name}

    def _tree(self, files: dict[str, bytes], folder: str, query: Any, path: str) -> tuple[int, dict[str, str], Any]:
        below = f"{folder}/" if folder else ""
        inside = sorted(p for p in files if p.startswith(below))
        if folder and not inside:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}, {}
        entries = [entry(p, files[p]) for p in inside]
        parents = {p[: at.start()] for p in inside for at in re.finditer("/", p) if at.start() > len(below)}
        entries += [{"type": "directory", "path": p, "oid": "0" * 40, "size": 0} for p in sorted(parents)]
        if query.get("recursive", ["false"])[0].lower() != "true":
            entries = [e for e in entries if "/" not in e["path"][len(below) :]]
        first = int(query.get("cursor", ["0"])[0])
        page, more = entries[first : first + self.page], len(entries) > first + self.page
        following = f"{self.endpoint}{path}?recursive={query['recursive'][0]}&cursor={first + self.page}"
        return 200, {"Link": f'<{following}>; rel="next"'} if more else {}, page

    def _resolve(
        self, method: str, files: dict[str, bytes], path: str, commit: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        if path not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}, {}
        content = files[path]
        told = {"X-Repo-Commit": commit, "ETag": f'"{entry(path, content)["oid"]}"', "Accept-Ranges": "bytes"}
        if is_large(path, content):
            oid = hashlib.sha256(content).hexdigest()
            self.objects[oid] = content
            location = f"{self.elsewhere}/objects/{oid}?X-Amz-Signature=secret&path={quote(path)}"
            return (
                302,
                told | {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content)), "Location": location},
                b"",
            )
        return ranged(content, headers, told)

    @staticmethod
    def _mode(files: dict[str, bytes], told: dict[str, Any]) -> dict[str, Any]:
        content = files.get(told["path"])
        large = told["path"].endswith(_DATA) or told["size"] >= LARGE
        known = None if content is None else entry(told["path"], content)
        oid = known and (known["lfs"]["oid"] if "lfs" in known else known["oid"])
        return {"path": told["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}

    def _batch(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        objects = []
        for told in asked["objects"]:
            upload = {"upload": {"href": f"{self.elsewhere}/upload/{told['oid']}?X-Amz-Signature=secret"}}
            objects.append(told if told["oid"] in self.objects else told | {"actions": upload})
        return 200, {}, {"transfer": "basic", "objects": objects}

    def _commit(
        self, repository: Repository, name: str, branch: str, head: str, body: bytes
    ) -> tuple[int, dict[str, str], Any]:
        files: dict[str, bytes | None] = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header" and value.get("parentCommit") not in (None, head):
                return 412, {"X-Error-Message": "A commit has happened since. Please refresh and try again."}, {}
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    return 400, {"X-Error-Message": f"no object {value['oid']}"}, {}
                files[value["path"]] = self.objects[value["oid"]]
            if line["key"] == "deletedFile":
                files[value["path"]] = None
        sha = repository.commit(files, branch)
        return (
            200,
            {},
            {"commitUrl": f"{self.endpoint}/datasets/{name}/commit/{sha}", "commitOid": sha, "success": True},
        )


def _below(files: dict[str, bytes], folder: str) -> bool:
    return any(path.startswith(f"{folder}/") for path in files)


def ranged(content: bytes, headers: dict[str, str], told: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """The whole, or the range that was asked for."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
    if not asked:
        return 200, told, content
    first, last = int(asked[1]), int(asked[2] or len(content) - 1)
    if first >= len(content):
        return 416, told | {"Content-Range": f"bytes */{len(content)}"}, b""
    last = min(last, len(content) - 1)
    return 206, told | {"Content-Range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1]


def _server(hub: FakeHub, which: str) -> BreakingServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = self._chunks()
            headers = {name.lower(): value for name, value in self.headers.items()}
            wrong = hub.fault(which, self.command, self.path)
            if wrong == "no ranges":
                headers.pop("range", None)
            if isinstance(wrong, int | tuple):
                status, extra = (wrong, {}) if isinstance(wrong, int) else wrong
                answer: tuple[int, dict[str, str], Any] = status, extra, {}
            elif wrong == "hang up":
                answer = 0, {}, b""
            elif which == "hub":
                answer = hub.answer(self.command, self.path, headers, body)
            else:
                answer = self._object(headers, body)
            status, extra, content = answer
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            hub.asked.append(Asked(which, self.command, self.path, headers, len(content)))
            if wrong in ("hang up", "lost"):
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if wrong == "short":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            elif self.command != "HEAD":
                self.wfile.write(content)

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _object(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], Any]:
            oid = urlsplit(self.path).path.rpartition("/")[2]
            if self.command == "PUT":
                if hashlib.sha256(body).hexdigest() != oid:
                    return 400, {}, {}
                hub.objects[oid] = body
                return 200, {}, b""
            return ranged(hub.objects[oid], headers, {}) if oid in hub.objects else (404, {}, b"")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def log_message(self, *_: object) -> None:
            pass

    return BreakingServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[FakeHub]:
    """A hub of this test's own; ``hf://`` means it, without a token, and none of this machine's user is in reach."""
    pytest.importorskip("huggingface_hub", reason="needs huggingface_hub (pip install -c constraints.txt '.[dev]')")
    from huggingface_hub import close_session, constants

    from winnow.storage import object_files

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # of processes that tests start
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(object_files, "FIRST_WAIT_SECONDS", 0.001)
    with FakeHub().running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        object_files.forget_clients()
        close_session()
        yield hub
    object_files.forget_clients()
    close_session()
