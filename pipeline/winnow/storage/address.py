"""Paths and addresses as people write them: what counts as an address, what must not stand in one, what `~` means."""

import os
import re
from pathlib import Path

from winnow.errors import AddressError
from winnow.storage.hub import check_hub, is_hub

READ_ONLY: tuple[str, ...] = ("hf", "http", "https")
"""Kinds of URL that sources are read from, and nothing is written to."""
SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "memory", *READ_ONLY)
"""Kinds of URL (``schemes.SCHEMES`` says how each is reached); ``memory`` is fsspec's own, for one process."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MISTYPED = re.compile(rf"({'|'.join(SCHEMES)}):/?(?!/)", re.IGNORECASE)
_VARIABLE = re.compile(r"(?:^|/)(\$(?:[A-Za-z_]\w*|\{\w+\}))(?=/|$)")
_RUNTIME_ENVIRONMENT = re.compile(r"/runtime_resources/[a-z_]+_files/|/_ray_pkg_[0-9a-f]+/")
"""Folders of `working_dir` and `py_modules` (ray/_private/runtime_env: working_dir.py, packaging.py)."""
_SIGNATURE = re.compile(
    r"[?&](X-Amz-|X-Goog-|sig=|Signature=|AWSAccessKeyId=|[^=&]{0,40}(token|secret|passw|api_?key)[^=&]{0,40}=)", re.I
)
_CREDENTIALS = "they come from the environment (AWS_ACCESS_KEY_ID and the like), a profile, or the machine's role alone"
_HOST_WITH_ACCOUNT = ("abfs", "abfss")  # container@account.dfs.core.windows.net


def is_url(path: str) -> bool:
    """Whether a path names something in an object store rather than on a disk."""
    return _SCHEME.match(path) is not None


def is_web(path: str) -> bool:
    """Whether a path is an address of the web, which has files and no folders."""
    return path.startswith(("http://", "https://"))


def without_query(path: str) -> str:
    """The part of an address that names a file; what is no address of the web stays as it is."""
    return re.split("[?#]", path, maxsplit=1)[0] if is_web(path) else path


_CURLY_QUOTES = frozenset("“”„‘’‚«»")


def settled_path(path: str) -> str:
    """A path of a config or a command line as it was meant: ``~`` and ``~name`` are home folders.

    Everything that takes a path from people takes it through here, so that none of it means a folder called ``~``.

    Raises:
        AddressError: no home folder is known, or a variable of the shell stands there, which nothing here replaces;
            curly quotes stand around it, which are none to YAML or a shell; or it holds a NUL, which no system takes.
    """
    if "\0" in path:
        raise AddressError(f"{path!r}: holds a NUL character, which no path or address can; write it again by hand")
    if path[:1] in _CURLY_QUOTES and path[-1:] in _CURLY_QUOTES and not os.path.lexists(path):
        raise AddressError(f"{path}: curly quotes stand for themselves; write straight ones, or none: {path[1:-1]}")
    if is_url(path):
        return path
    if (found := _VARIABLE.search(path)) and not os.path.lexists(path[: found.end()]):
        raise AddressError(
            f"{path}: {found[1]} stays as it is written, variables are replaced by a shell only; write the path out, "
            f'or give it on a command line, such as --set run="$HOME/run"'
        )
    if not path.startswith("~"):
        return path
    name = path.partition("/")[0]
    at_home = os.path.expanduser(path)  # noqa: PTH111 - Path's own raises where there is none
    if at_home != path and (name != "~" or os.environ.get("HOME", "/")):
        return at_home
    if os.path.lexists(name):
        return path
    whose = "this user" if name == "~" else f"a user {name[1:]!r}"
    raise AddressError(
        f"{path}: no home folder of {whose} is known here; write the path out, or ./{path} for a file of that name"
    )


def check_lasting(path: str) -> str:
    """The path, if what is written there stays: it does not below the code that a job of Ray was sent with.

    Raises:
        AddressError: it lies in the folder of a runtime environment, which Ray removes.
    """
    if not is_url(path) and _RUNTIME_ENVIRONMENT.search(f"{os.path.realpath(path)}/"):
        raise AddressError(
            f"{path}: lies in Ray's temporary folder of uploaded code ({os.path.realpath(path)}), where it would be "
            "lost with the job; give an absolute path that all nodes see, or an address such as s3://bucket/run"
        )
    return path


def scheme_of(url: str) -> str:
    """The part before ``://``."""
    found = _SCHEME.match(url)
    assert found is not None
    return found[1]


def check_address(path: str) -> str:
    """The path, if it is a path of a disk or a URL that can be used.

    Raises:
        AddressError: an unknown kind of URL, or one with credentials or without a bucket.
    """
    if not is_url(path):
        if mistyped := _MISTYPED.match(path):
            raise AddressError(f"{path}: neither a path nor an address; expected {mistyped[1]}://BUCKET/PATH")
        return path
    scheme, _, rest = path.partition("://")
    bucket = rest.partition("/")[0]
    account = bucket.partition("@")[0] if "@" in bucket else ""
    if account and (":" in account or scheme not in _HOST_WITH_ACCOUNT):
        without = "files of web servers are read without any" if is_web(path) else _CREDENTIALS
        raise AddressError(f"a {scheme}:// URL holds credentials before an @; take them out: {without}")
    if account:
        raise AddressError(
            f"{path}: the account comes from the environment (AZURE_STORAGE_ACCOUNT_NAME); expected "
            f"{scheme}://{account}/PATH"
        )
    if _SIGNATURE.search(path):
        raise AddressError(
            f"a {scheme}:// URL is signed; take the part from the ? on out: credentials come from the environment, a "
            "profile, or the machine's role alone"
        )
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES if name != "memory")
        plain = f"; write the plain path {path.partition('://')[2]}" if scheme.lower() == "file" else ""
        raise AddressError(
            f"{scheme}://: not a kind of storage that winnow knows; there are {known} and plain paths{plain}"
        )
    if not bucket:
        raise AddressError(f"{path}: no bucket; expected {scheme}://BUCKET/PATH")
    return check_hub(path) if is_hub(path) else path


def check_writable(path: str) -> str:
    """The path, if it is one where something can be written.

    Raises:
        AddressError: a URL that cannot be used, or one of a kind that is only read.
    """
    if is_url(check_address(path)) and (scheme := scheme_of(path)) in READ_ONLY:
        raise AddressError(
            f"{path}: {scheme}:// is read only; write to a folder, or to an object store such as s3://bucket/run"
        )
    return path


def check_endpoint(endpoint: str) -> str:
    """The address of a server, if it is one and holds no credentials.

    Raises:
        AddressError: it is not.
    """
    scheme, separator, rest = endpoint.partition("://")
    if "@" in rest.partition("/")[0] or "@" in scheme or "?" in endpoint:
        raise AddressError("holds credentials or a query; give the server's address alone, such as http://minio:9000")
    if not separator or scheme not in ("http", "https") or not rest:
        raise AddressError(f"{endpoint!r}: expected http://SERVER:PORT or https://SERVER")
    return endpoint


def absolute(path: str) -> str:
    """A path that means the same in every folder; a URL as it is."""
    return path.rstrip("/") if is_url(path) else str(Path(path).absolute())


def real(path: str) -> str:
    """A path by which two names of one file can be known; a URL as it is."""
    return path if is_url(path) else os.path.realpath(path)


def inside(path: str) -> str:
    """The path, if it is one below the folder that names it: what manifests and records say is followed.

    Raises:
        ValueError: it leads elsewhere.
    """
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"{path!r} is no path")
    if is_url(path) or path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} leads out of its folder, which is never followed")
    return path


def join(root: str, relative: str) -> str:
    """A file below a root, unless ``relative`` is a whole address by itself."""
    if is_url(relative) or relative.startswith("/"):
        return relative
    return f"{root.rstrip('/')}/{relative}" if relative else root.rstrip("/")


def last_part(path: str) -> str:
    """The name at the end of a path or URL."""
    return path.rstrip("/").rpartition("/")[2]
