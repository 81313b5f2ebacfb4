"""What a removal request asks for, from the command line: checked before anything is looked at."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from winnow.engine.records import Json, content_hash
from winnow.errors import ConfigError
from winnow.stages.removals.lists import address_pattern

LARGEST_FILE = 1 << 30
"""Bytes of a file of ids."""


@dataclass(frozen=True)
class Request:
    """Documents with one of these ids, addresses or texts."""

    ids: tuple[str, ...] = ()
    url_prefixes: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    """Texts that stand in the documents, letter by letter."""
    near: bool = False
    """Whether near-duplicates of what is found go, too."""
    reason: str = ""

    def described(self) -> Json:
        """What a proof says of it. Of texts only the hash, because a proof is kept for long."""
        return {
            "ids": {"number": len(self.ids), "sha256": _sha256("\n".join(self.ids))},
            "url_prefixes": list(self.url_prefixes),
            "match": [{"characters": len(text), "sha256": _sha256(text)} for text in self.match],
            "near_duplicates": self.near,
            "reason": self.reason,
        }

    @property
    def identity(self) -> str:
        """Equal for requests that ask for the same."""
        return content_hash(self.described())


def request_of(
    ids: str | None, url_prefixes: list[str], match: list[str], *, near: bool = False, reason: str = ""
) -> Request:
    """The request; ``ids`` names a file with one id a line.

    Raises:
        ConfigError: it asks for nothing, or something of it cannot be used.
    """
    if ids is None and not url_prefixes and not match:
        raise ConfigError("nothing is asked for: give --ids FILE, --url-prefix PREFIX or --match TEXT")
    for prefix in url_prefixes:
        address_pattern(prefix)
    for text in match:
        if not text.strip():
            raise ConfigError("--match: a text without a letter would stand in every document; give what to look for")
    read = read_ids(ids) if ids is not None else ()
    return Request(read, tuple(sorted(set(url_prefixes))), tuple(sorted(set(match))), near, reason)


def read_ids(path: str) -> tuple[str, ...]:
    """The ids of a file, one a line, sorted, each once; blank lines count for nothing.

    Raises:
        ConfigError: the file cannot be read, or holds no id.
    """
    try:
        if not Path(path).is_file():
            raise ConfigError(f"--ids {path}: no such file; expected one id a line")
        if Path(path).stat().st_size > LARGEST_FILE:
            raise ConfigError(f"--ids {path}: larger than {LARGEST_FILE:,} bytes; split it into several requests")
        content = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ConfigError(f"--ids {path}: {error.strerror}") from error
    found = set()
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            name = line.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            raise ConfigError(f"--ids {path}: line {number:,} is not UTF-8; expected one id a line") from None
        if name.strip():
            found.add(name)
    if not found:
        raise ConfigError(f"--ids {path}: holds no id; expected one id a line")
    return tuple(sorted(found))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
