"""Data sets on a Hugging Face hub, read as ``object_files`` reads any store: listings, states and ranges of bytes.

The requests are those of huggingface_hub's ``HfFileSystem``, sent through its session. That class itself reads 5 MB
ahead of each range, lists a file's folder before it is opened, asks again by itself, and sends whatever token
``hf auth login`` has left on the machine. Here each call is one request (a listing: one for each page), who asks again
is decided in ``object_files``, and the token comes from the environment alone.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from winnow.errors import AddressError, HubError
from winnow.storage.address import check_endpoint
from winnow.storage.config import StorageConfig
from winnow.storage.hub import HubAddress, HubRevision, parse_hub

DEFAULT_ENDPOINT = "https://huggingface.co"
TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable
PAGE_ATTEMPTS = 3
"""How often one page of a long listing is asked for before the listing begins anew."""
_LONGEST_LICENCE = 200
_LONGEST_MESSAGE = 300
_RESET = re.compile(r"\br=0\s*;\s*t=(\d+)")


class HubAnswerError(OSError):
    """The hub refused for a passing reason; ``response`` has the shape in which botocore keeps answers."""

    def __init__(self, status: int, said: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {said}".strip())
        self.response = {
            "Error": {"Code": str(status), "Message": said},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        self.retry_after = retry_after
        """Seconds that the hub asks to wait."""


def endpoint() -> str:
    """The server of ``hf://`` addresses: HF_ENDPOINT of the environment, or Hugging Face's own.

    Raises:
        AddressError: HF_ENDPOINT is no address of a server.
    """
    try:
        return check_endpoint(os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    except AddressError as error:
        raise AddressError(f"HF_ENDPOINT: {error}") from None


def token() -> str:
    """The token of the environment; empty where there is none. No file is looked at.

    Raises:
        HubError: it cannot be one.
    """
    found = (os.environ.get(TOKEN) or "").strip()
    if not found.isascii() or not found.isprintable() or " " in found:
        raise HubError(f"{TOKEN}: holds spaces or characters that no token has; set it to the token alone")
    return found


def request_headers() -> dict[str, str]:
    """Headers of every request, with the token of the environment."""
    from huggingface_hub.utils import build_hf_headers  # noqa: PLC0415 - the extra `hub`

    headers: dict[str, str] = build_hf_headers(token=token() or False, library_name="winnow")
    return headers


class HubFiles:
    """What ``object_files`` asks of a file system."""

    def __init__(self, config: StorageConfig) -> None:
        self._config = config
        self._endpoint = endpoint()

    def revision(self, url: str) -> HubRevision:
        """The commit that a revision means now, and the licence that its card tells.

        Raises:
            HubError: there is no such data set or revision, or it may not be read.
        """
        address = parse_hub(url)
        where = f"api/datasets/{address.repository}/revision/{quote(address.revision, safe='')}"
        told = self._json("GET", address, where)
        if not isinstance(told, dict) or not re.fullmatch(r"[0-9a-f]{40}", str(told.get("sha"))):
            raise HubError(f"{address.name}: {self._endpoint} does not answer as a hub does; check HF_ENDPOINT")
        card = told.get("cardData")
        licence = card.get("license") if isinstance(card, dict) else None
        names = licence if isinstance(licence, list) else [licence]
        said = ", ".join(name for name in names if isinstance(name, str) and name.isprintable())
        return HubRevision(told["sha"], said[:_LONGEST_LICENCE])

    def cat_file(self, url: str, start: int | None = None, end: int | None = None) -> bytes:
        """Bytes [start, end) of a file, or fewer where it ends before; without them the whole."""
        if start is None or end is None:
            with self._opened(parse_hub(url)) as answer:
                return b"".join(answer.iter_bytes())
        with self._opened(parse_hub(url), f"bytes={start}-{end - 1}") as answer:
            if answer.status_code != 206:  # ranges are not known there: what lies before is read over
                return _slice_of(answer, start, end)
            found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("content-range", ""))
            if found is None or int(found[1]) != start or int(found[2]) >= end:
                raise ConnectionError(f"another range than {start}-{end - 1} came")
            expected = end - start if found[3] == "*" else min(end, int(found[3])) - start
            data = b"".join(answer.iter_bytes())
            if len(data) != expected:
                raise ConnectionError(f"{len(data):,} bytes came of {expected:,}")
            return data

    def get_file(self, url: str, path: str) -> None:
        """Write a file to a local one."""
        with self._opened(parse_hub(url)) as answer, Path(path).open("wb") as file:
            for piece in answer.iter_bytes():
                file.write(piece)

    def info(self, url: str) -> dict[str, Any]:
        """Size and identity of a file."""
        address = parse_hub(url)
        if not address.path:
            return {"name": url, "type": "directory", "size": 0}
        where = f"api/datasets/{address.repository}/paths-info/{quote(address.revision, safe='')}"
        told = self._json("POST", address, where, data={"paths": [address.path.rstrip("/")], "expand": "false"})
        for entry in _entries(url, told):
            if entry["name"] == url.removeprefix("hf://").rstrip("/"):
                return entry
        raise FileNotFoundError(2, "no such file", url)

    def find(self, url: str, detail: bool = True) -> dict[str, dict[str, Any]]:
        """All files below a folder."""
        return {entry["name"]: entry for entry in self._tree(url, recursive=True) if entry["type"] == "file"}

    def ls(self, url: str, detail: bool = True) -> list[dict[str, Any]]:
        """Files and folders directly in a folder."""
        return self._tree(url, recursive=False)

    def invalidate_cache(self) -> None:
        """Nothing is kept."""

    def _tree(self, url: str, *, recursive: bool) -> list[dict[str, Any]]:
        from huggingface_hub.utils import http_backoff  # noqa: PLC0415

        address = parse_hub(url.rstrip("/"))
        below = f"/{quote(address.path, safe='')}" if address.path else ""
        revision = quote(address.revision, safe="")
        page: str | None = f"{self._endpoint}/api/datasets/{address.repository}/tree/{revision}{below}"
        parameters: dict[str, Any] | None = {"recursive": str(recursive).lower(), "expand": "false"}
        found: list[dict[str, Any]] = []
        while page is not None:
            with self._translated(address):
                answer = http_backoff(
                    "GET",
                    page,
                    params=parameters,
                    headers=request_headers(),
                    timeout=self._config.timeout_seconds,
                    max_retries=PAGE_ATTEMPTS - 1 if found else 0,
                    retry_on_status_codes=(429, 500, 502, 503, 504) if found else (),
                    retry_on_exceptions=(),
                )
                self._check(answer, address)
            found += _entries(url, _json_of(answer))
            following = answer.links.get("next", {}).get("url")
            if following and following.startswith(f"{DEFAULT_ENDPOINT}/"):  # a mirror that hands on what it was told
                following = self._endpoint + following.removeprefix(DEFAULT_ENDPOINT)
            if following and _origin(following) != _origin(self._endpoint):
                raise HubError(
                    f"{address.name}: the listing goes on at another server ({_origin(following)[1]}), which is not "
                    "followed; check HF_ENDPOINT"
                )
            page, parameters = following, None
        return found

    def _json(self, method: str, address: HubAddress, where: str, **options: Any) -> Any:
        from huggingface_hub.utils import get_session  # noqa: PLC0415

        with self._translated(address):
            answer = get_session().request(
                method,
                f"{self._endpoint}/{where}",
                headers=request_headers(),
                timeout=self._config.timeout_seconds,
                **options,
            )
            self._check(answer, address)
        return _json_of(answer)

    @contextmanager
    def _opened(self, address: HubAddress, range_: str = "") -> Iterator[Any]:
        """The answer with a file's bytes. Files of some size lie on other servers, to which the token does not go."""
        from huggingface_hub.utils import get_session  # noqa: PLC0415

        revision = quote(address.revision, safe="")
        url = f"{self._endpoint}/datasets/{address.repository}/resolve/{revision}/{quote(address.path)}"
        headers = {**request_headers(), "Accept-Encoding": "identity"} | ({"Range": range_} if range_ else {})
        timeout = self._config.timeout_seconds
        with (
            self._translated(address),
            get_session().stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer,
        ):
            if answer.status_code >= 400:
                answer.read()
            self._check(answer, address)
            yield answer

    @contextmanager
    def _translated(self, address: HubAddress) -> Iterator[None]:
        with translated(address, self._endpoint):
            yield

    def _check(self, answer: Any, address: HubAddress) -> None:
        if answer.status_code >= 400:
            raise_for(answer, address, self._endpoint)


@contextmanager
def translated(address: HubAddress, server: str) -> Iterator[None]:
    """Errors of the HTTP library as errors of Python: which they are decides whether a request is sent again."""
    import httpx2  # noqa: PLC0415 - huggingface_hub brings it
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled  # noqa: PLC0415

    try:
        yield
    except OfflineModeIsEnabled:
        raise HubError(
            f"{address.name}: HF_HUB_OFFLINE is set, so nothing is asked of a hub; unset it, or give the folder of a "
            "local copy (~/.cache/huggingface/hub/datasets--OWNER--NAME/snapshots/COMMIT)"
        ) from None
    except HfHubHTTPError as error:
        raise_for(error.response, address, server)
    except httpx2.TimeoutException as error:
        raise TimeoutError(f"{server} is silent ({type(error).__name__})") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise ConnectionError(f"{server}: {type(error).__name__}: {error}") from None


def raise_for(answer: Any, address: HubAddress, server: str) -> NoReturn:
    """The error that an answer of the hub, or of the server that it points to, stands for.

    Raises:
        FileNotFoundError: there is no such file. HubAnswerError: a passing reason. HubError: anything else.
    """
    status, headers = answer.status_code, answer.headers
    code, message = headers.get("x-error-code", ""), headers.get("x-error-message") or answer.reason_phrase
    message = "".join(letter for letter in message if letter.isprintable())[:_LONGEST_MESSAGE]
    elsewhere = _origin(str(answer.url)) != _origin(server)
    if code == "EntryNotFound":
        raise FileNotFoundError(2, "no such file", address.url)
    if status in (409, 412, 416, 429) or status >= 500:
        raise HubAnswerError(status, message, _asked_to_wait(headers))
    if status == 408 or elsewhere:  # elsewhere: an address that was signed has expired
        raise ConnectionError(f"{_origin(str(answer.url))[1]} said {status} {message}")
    missing = code in ("RepoNotFound", "RevisionNotFound") or (status == 401 and not token() and code != "GatedRepo")
    raise HubError(f"{address.name}: {_refusal(status, code, message, address, server)}", is_missing=missing)


def _refusal(status: int, code: str, message: str, address: HubAddress, server: str) -> str:
    """What a refusal means, and what to do."""
    page = f"{server}/datasets/{address.repository}"
    if code == "GatedRepo":
        return (
            f"a gated data set; accept its terms at {page}, and set {TOKEN} to a token of the account that did, on "
            "every node"
        )
    if code == "RevisionNotFound":
        return f"no branch, tag or commit {address.revision!r} there; {page} lists what there is"
    if "disabled" in message:
        return f"the hub has disabled this data set ({message})"
    if status == 401 and token() and "credentials" in message.lower():
        return f"the hub does not know the token in {TOKEN} (mistyped, or expired); put a valid one there"
    if code == "RepoNotFound" or status == 401:
        if token():
            return f"no such data set, or the token in {TOKEN} may not read it; correct the name, or give it access"
        return (
            f"no such data set, or a private one; correct the name, or set {TOKEN} in the environment of every node "
            "(what `hf auth login` has saved is not read: export HF_TOKEN=$(hf auth token))"
        )
    if status == 403:
        return f"the hub forbids it ({message}); the token in {TOKEN} needs more rights, or another one"
    return f"{server} said {status} {message}; check the address and HF_ENDPOINT"


def _asked_to_wait(headers: Any) -> float:
    """Seconds, from ``Retry-After`` or the hub's own ``RateLimit``."""
    after = headers.get("retry-after", "").strip()
    if after.isascii() and after.isdecimal():
        return float(after)
    found = _RESET.search(headers.get("ratelimit", ""))
    return float(found[1]) if found else 0.0


def _json_of(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise ConnectionError(f"an answer of {_origin(str(answer.url))[1]} is no JSON; check HF_ENDPOINT") from None


def _entries(url: str, told: Any) -> list[dict[str, Any]]:
    path = parse_hub(url).path.rstrip("/")
    root = url.rstrip("/").removeprefix("hf://").removesuffix(path).rstrip("/")  # as the caller spells it
    try:
        return [_as_fsspec(root, entry) for entry in told]
    except (KeyError, TypeError, ValueError) as error:
        raise ConnectionError(f"a listing lacks what belongs there ({error!r}); check HF_ENDPOINT") from None


def _as_fsspec(root: str, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of a listing as fsspec tells it; the identity is that of the content."""
    lfs = entry.get("lfs")
    return {
        "name": f"{root}/{entry['path']}",
        "type": "file" if entry["type"] == "file" else "directory",
        "size": int(entry["size"]),
        "etag": str(lfs["oid"] if lfs else entry["oid"]),
    }


def _slice_of(answer: Any, start: int, end: int) -> bytes:
    """Bytes [start, end) of an answer that holds all; no more is kept, or read behind them."""
    kept, at = bytearray(), 0
    for piece in answer.iter_bytes():
        kept += piece[max(0, start - at) : max(0, end - at)]
        at += len(piece)
        if at >= end:
            break
    return bytes(kept)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
