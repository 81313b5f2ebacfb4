"""Addresses of data sets on a Hugging Face hub: ``hf://datasets/OWNER/NAME[@REVISION][/PATH]``, as people write them.

A revision is a branch, a tag or a commit; only a commit always means the same bytes. Nothing here asks a server.
"""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from winnow.errors import AddressError

SCHEME = "hf"
MAIN = "main"
_PREFIX = f"{SCHEME}://"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_SPECIAL = re.compile(r"refs/(?:convert/[\w.-]+|pr/\d+)")
"""Revisions with slashes that stand unquoted in addresses: requests to merge, and what the hub converts by itself."""
_EXPECTED = "expected hf://datasets/OWNER/NAME/PATH or hf://datasets/OWNER/NAME@REVISION/PATH"


class HubAddress(NamedTuple):
    """A place in a data set on a hub."""

    repository: str
    """``OWNER/NAME``."""
    revision: str
    path: str
    """Below the repository; empty is all of it."""

    def at(self, revision: str) -> "HubAddress":
        """The same place in another revision."""
        return self._replace(revision=revision)

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return _COMMIT.fullmatch(self.revision) is not None

    @property
    def name(self) -> str:
        """The address without the path in the repository."""
        revision = self.revision if _SPECIAL.fullmatch(self.revision) else quote(self.revision, safe="")
        return f"{_PREFIX}datasets/{self.repository}@{revision}"

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.name}/{self.path}" if self.path else self.name


class HubRevision(NamedTuple):
    """What a hub says of a revision."""

    commit: str
    licence: str
    """As the data set's card says at that commit; empty where it says nothing."""


def is_hub(path: str) -> bool:
    """Whether a path is an address on a hub."""
    return path.startswith(_PREFIX)


def parse_hub(url: str) -> HubAddress:
    """An address in its parts; without a revision it means the branch ``main``.

    Raises:
        AddressError: it names no data set.
    """
    kind, _, rest = url.removeprefix(_PREFIX).partition("/")
    if kind != "datasets":
        also = "" if kind not in ("models", "spaces", "buckets") else f"; {kind} are not read"
        raise AddressError(f"{url}: names no data set of a hub; {_EXPECTED}{also}")
    owner, _, rest = rest.partition("/")
    name, slash, path = rest.partition("/")
    name, at, revision = name.partition("@")
    if at and (special := _SPECIAL.match(f"{revision}{slash}{path}")):
        revision, path = special[0], f"{revision}{slash}{path}"[special.end() :].removeprefix("/")
    for part in (owner, name):
        if not _NAME.fullmatch(part) or ".." in part:
            raise AddressError(f"{url}: {part or 'nothing'!r} is no name of an owner or a data set; {_EXPECTED}")
    revision = unquote(revision)
    if (at and not revision) or re.search(r"[\s~^:?*\[\\]|\.\.", revision) or revision.startswith(("-", "/")):
        raise AddressError(f"{url}: {revision!r} is no branch, tag or commit; {_EXPECTED}")
    return HubAddress(f"{owner}/{name}", revision or MAIN, path)


def check_hub(url: str) -> str:
    """The address, if it is one.

    Raises:
        AddressError: it names no data set.
    """
    parse_hub(url)
    return url


def without_commit(path: str) -> str:
    """An address without the commit that it is pinned to; anything else as it is."""
    if not is_hub(path) or not (address := parse_hub(path)).is_pinned:
        return path
    return f"{_PREFIX}datasets/{address.repository}/{address.path}"
