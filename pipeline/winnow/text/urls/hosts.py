"""Hosts that are not plain ASCII, in the one spelling that all their spellings have: Punycode, as browsers make it.

``Bücher.example``, ``b%C3%BCcher.example`` and ``xn--bcher-kva.example`` are one host. Only the rows that need it are
touched, by UTS 46 (package idna); everything else about addresses is done by kernels.
"""

import re
import unicodedata
from urllib.parse import unquote

import idna
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.text.lines.line_keys import readable_buffers
from winnow.text.urls.parts import PERCENT, find_host

PACKAGES = ("idna", "unicodedata")
"""Whose version may change a host's spelling."""
_LONGEST = 1024
"""Characters of a host that are looked at: none that can be resolved has more than 253."""
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_DROPPED = re.compile(r"[\t\n\r]")
_DELIMITERS = frozenset("/\\?#@:%")


@kernel
def _rows_to_rewrite(data: NDArray[np.uint8], offsets: NDArray[np.int64], found: NDArray[np.bool_]) -> None:
    bytes_ = pointer_to(data)
    for n in range(len(offsets) - 1):
        first, last, _ = find_host(bytes_, offsets[n], offsets[n + 1])
        odd = False
        for i in range(first, last):
            odd |= bytes_[i] >= 128 or bytes_[i] == PERCENT or bytes_[i] < 32
        found[n] = odd


def with_plain_hosts(addresses: pa.Array) -> pa.Array:
    """Addresses with hosts in ASCII.

    Args:
        addresses: large_string[N] without nulls.
    """
    data, offsets = readable_buffers(addresses)
    odd = np.zeros(len(addresses), bool)
    _rows_to_rewrite(data, offsets, odd)
    if not odd.any():
        return addresses
    mask = pa.array(odd)
    rewritten = [_rewritten(address) for address in addresses.filter(mask).to_pylist()]
    return pc.replace_with_mask(addresses, mask, pa.array(rewritten, pa.large_string()))


def _rewritten(address: str) -> str:
    encoded = _DROPPED.sub("", address.strip()).encode()
    data = np.frombuffer(encoded + b" ", np.uint8)
    first, last, _ = _host_of(data, len(encoded))
    if first < 0:
        return encoded.decode()
    host = plain_host(encoded[first:last].decode())
    return encoded[:first].decode() + host + encoded[last:].decode()


@kernel
def _host_of(data: NDArray[np.uint8], end: int) -> tuple[int, int, int]:
    return find_host(pointer_to(data), 0, end)


def plain_host(host: str) -> str:
    """The ASCII spelling of a host; what is no host comes back in lower case."""
    if len(host) > _LONGEST:
        return host.lower()
    if "%" in host:
        decoded = unquote(host)
        if _DELIMITERS & set(decoded) or not decoded.isprintable():
            return host.lower()
        host = decoded
    try:
        host = idna.uts46_remap(host, std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError):  # a code point that no host may have
        host = unicodedata.normalize("NFC", host.lower())
    return ".".join(label if label.isascii() else f"xn--{_punycode(label)}" for label in _DOTS.split(host)).strip(".")


def _punycode(label: str) -> str:
    return label.encode("punycode").decode("ascii")
