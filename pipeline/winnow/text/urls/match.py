"""Addresses against the tables of a user's lists: which of them are listed, and by which entry.

A listed host is itself and everything below it; an address is listed by its own bytes, a word by standing whole in the
address. Of several entries the one nearest to the end of the host counts, and the word that comes first. Soft words
are counted, each once.

Legend: N addresses.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.text.lines.line_keys import readable_buffers
from winnow.text.urls.config import KINDS
from winnow.text.urls.hosts import with_plain_hosts
from winnow.text.urls.parts import DOT, address_end, find_host, lower, next_word
from winnow.text.urls.table import LONGEST, Table, find, hash_end, hash_of, hash_start, hash_step

MOST_SOFT = 8
"""Different soft words of an address that are looked for."""
_LONGEST_HOST = 253


@kernel
def _find_domain(host: Any, size: int, starts: Any, shift: Any, heap: Any) -> Any:
    """The entry for a host of ``size`` bytes or a host above it."""
    value = hash_start()
    for i in range(size - 1, max(-1, size - 1 - _LONGEST_HOST), -1):
        value = hash_step(value, host[i])
        if i == 0 or host[i - 1] == DOT:
            place = find(hash_end(value), host, i, size, starts, shift, heap)
            if place >= 0:
                return place
    return -1


@kernel
def _match(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    domains: tuple[NDArray[np.uint32], np.uint64, NDArray[np.uint8]],
    urls: tuple[NDArray[np.uint32], np.uint64, NDArray[np.uint8]],
    words: tuple[NDArray[np.uint32], np.uint64, NDArray[np.uint8]],
    soft: tuple[NDArray[np.uint32], np.uint64, NDArray[np.uint8]],
    wanted: NDArray[np.bool_],
    scratch: NDArray[np.uint8],
    has_host: NDArray[np.bool_],
    places: NDArray[np.int64],
    soft_places: NDArray[np.int64],
) -> None:
    bytes_, out = pointer_to(data), pointer_to(scratch)
    domain_starts, domain_heap = pointer_to(domains[0]), pointer_to(domains[2])
    url_starts, url_heap = pointer_to(urls[0]), pointer_to(urls[2])
    word_starts, word_heap = pointer_to(words[0]), pointer_to(words[2])
    soft_starts, soft_heap = pointer_to(soft[0]), pointer_to(soft[2])
    for n in range(len(offsets) - 1):
        start, end = offsets[n], offsets[n + 1]
        for k in range(3):
            places[n, k] = -1
        for k in range(MOST_SOFT):
            soft_places[n, k] = -1
        first, last, rest = find_host(bytes_, start, end)
        has_host[n] = first >= 0
        if first >= 0 and (wanted[0] or wanted[1]):
            size = last - first
            for k in range(size):
                out[k] = lower(bytes_[first + k])
            if wanted[0]:
                places[n, 0] = _find_domain(out, size, domain_starts, domains[1], domain_heap)
            stop = address_end(bytes_, rest, end)
            if wanted[1] and size + stop - rest <= LONGEST:
                for k in range(rest, stop):
                    out[size] = bytes_[k]
                    size += 1
                places[n, 1] = find(hash_of(out, 0, size), out, 0, size, url_starts, urls[1], url_heap)
        if not (wanted[2] or wanted[3]):
            continue
        i, found = start, 0
        while i < end:
            size, i = next_word(bytes_, i, end, out)
            if size == 0:
                break
            value = hash_of(out, 0, size)
            if wanted[2] and places[n, 2] < 0:
                places[n, 2] = find(value, out, 0, size, word_starts, words[1], word_heap)
            if wanted[3] and found < MOST_SOFT:
                place = find(value, out, 0, size, soft_starts, soft[1], soft_heap)
                new = place >= 0
                for k in range(found):
                    new = new and soft_places[n, k] != place
                if new:
                    soft_places[n, found] = place
                    found += 1


@kernel
def _keys(data: NDArray[np.uint8], offsets: NDArray[np.int64], whole: bool, out: NDArray[np.uint8]) -> None:
    """Hosts, or whole addresses, end to end; ``offsets`` become those of ``out``."""
    bytes_, target = pointer_to(data), pointer_to(out)
    at, start = 0, offsets[0]
    offsets[0] = 0
    for n in range(len(offsets) - 1):
        end = offsets[n + 1]
        first, last, rest = find_host(bytes_, start, end)
        for k in range(max(first, 0), max(last, 0)):
            target[at] = lower(bytes_[k])
            at += 1
        if whole and first >= 0:
            for k in range(rest, address_end(bytes_, rest, end)):
                target[at] = bytes_[k]
                at += 1
        start = end
        offsets[n + 1] = at


def keys_of(lines: pa.Array, *, whole: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """What lines of a list of hosts, or (``whole``) of addresses, are looked up by; empty where there is no host.

    Args:
        lines: large_string[N] without nulls.
        whole: with what follows the host.
    """
    data, offsets = readable_buffers(with_plain_hosts(lines))
    out, ends = np.empty(int(offsets[-1] - offsets[0]), np.uint8), offsets.copy()
    _keys(data, ends, whole, out)
    return out[: ends[-1]], ends


Buffers = tuple[NDArray[np.uint32], np.uint64, NDArray[np.uint8]]
"""A table, as the kernel takes it."""
Given = tuple[Buffers, Buffers, Buffers, Buffers]
"""Those of all kinds."""


class Matches(NamedTuple):
    """What lists say of N addresses."""

    has_host: NDArray[np.bool_]
    """[N]."""
    places: NDArray[np.int64]
    """[N, 3], where the entry stands that is met first, of domains, urls and words; -1 for none."""
    soft_places: NDArray[np.int64]
    """[N, 8], those of the first different soft words."""


def match(addresses: pa.Array, tables: dict[str, Table]) -> Matches:
    """Look addresses up.

    Args:
        addresses: large_string[N] without nulls; empty where a document has none.
        tables: by kind, all of ``KINDS``.
    """
    plain = with_plain_hosts(addresses)
    found = Matches(
        np.empty(len(plain), bool),
        np.empty((len(plain), 3), np.int64),
        np.empty((len(plain), MOST_SOFT), np.int64),
    )
    wanted = np.array([tables[kind].entries > 0 for kind in KINDS])
    by_host, by_word = wanted & [True, True, False, False], wanted & [False, False, True, True]
    domains, urls, words, soft = ((table.starts, table.shift, table.heap) for table in map(tables.__getitem__, KINDS))
    given = (domains, urls, words, soft)
    if by_word.any() and not _is_ascii(addresses):  # words are those of the address as it is, without capitals
        _look_up(plain, given, by_host, found)
        by_words = Matches(np.empty_like(found.has_host), np.empty_like(found.places), found.soft_places)
        _look_up(pc.utf8_lower(addresses), given, by_word, by_words)
        found.places[:, 2] = by_words.places[:, 2]
    else:
        _look_up(plain, given, wanted, found)
    return found


def _look_up(addresses: pa.Array, given: Given, wanted: NDArray[np.bool_], found: Matches) -> None:
    data, offsets = readable_buffers(addresses)
    longest = int(np.diff(offsets).max(initial=0))
    _match(
        data, offsets, *given, wanted, np.empty(longest + 1, np.uint8), found.has_host, found.places, found.soft_places
    )


def _is_ascii(texts: pa.Array) -> bool:
    data, offsets = readable_buffers(texts)
    return not bool((data[offsets[0] : offsets[-1]] >= 128).any())
