"""Addresses against lists in plain Python, by the standard library: what the kernels must say."""

import re
from urllib.parse import unquote_to_bytes, urlsplit

import idna


def host_of(address: str) -> str:
    """Of an address with a scheme: lower case, ASCII, without user, port and dots at its ends."""
    host = urlsplit(address.strip()).hostname or ""
    mapped = idna.uts46_remap(unquote_to_bytes(host).decode(), std3_rules=False, transitional=False)
    labels = mapped.split(".")
    return ".".join(x if x.isascii() else "xn--" + x.encode("punycode").decode() for x in labels).strip(".")


def above(host: str) -> list[str]:
    """The host and every host above it, the shortest first."""
    labels = host.split(".")
    return [".".join(labels[k:]) for k in range(len(labels) - 1, -1, -1)]


def listed_domain(address: str, entries: set[str]) -> str | None:
    """The entry that stands for the address's host."""
    return next((host for host in above(host_of(address)) if host in entries), None)


def exact(address: str) -> str:
    """What exact addresses are compared by."""
    parts = urlsplit(address.strip())
    return (host_of(address) + parts.path + ("?" + parts.query if parts.query else "")).removesuffix("/")


def words(address: str) -> list[str]:
    """Words of an address in order, lower case."""
    text = unquote_to_bytes(address.lower()).decode(errors="replace").lower()
    return re.findall(r"[a-z0-9\u0080-\U0010ffff]+", text)
