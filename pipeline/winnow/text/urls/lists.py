"""A list of hosts, addresses or words as a text file: read in bounds, looked at line by line, made into keys.

Blank lines and lines that begin with ``#`` are passed over. A line that cannot be an entry of its kind is told, with
its number; where such lines are more than one in a hundred, or none is left, the list is another kind of file, and
refused.

Legend: L lines, N of them entries.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.errors import ConfigError
from winnow.numeric.arrow_strings import strings_from_buffers
from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.sources.readers.streams import read_chunks
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.text.urls.match import keys_of
from winnow.text.urls.parts import find_host, is_digit, is_letter
from winnow.text.urls.table import LONGEST

MOST_BYTES = 1_000_000_000
"""Bytes of a list, decompressed."""
_FEED, _COMMENT, _SPACE = 10, 35, 32
_FINE, _EMPTY, _BLANKS, _PATTERN, _WHOLE, _NO_HOST, _NO_WORD, _LONG = range(8)
PROBLEMS = {
    _BLANKS: "white space within the line",
    _PATTERN: "characters of a pattern (such as * ^ $ | \\), which is not looked for",
    _WHOLE: "a whole address where a host belongs",
    _NO_HOST: "no host in it",
    _NO_WORD: "not one word of letters and digits",
    _LONG: f"over {LONGEST:,} bytes",
}
_MARK = b"\xef\xbb\xbf"
_MOST_ODD = 0.01


@kernel
def _kind_of_line(data: Any, first: int, last: int, hosts: bool, words: bool) -> int:
    """What bytes first to last, without white space around them, are."""
    if last - first > LONGEST:
        return _LONG
    pattern, slash, odd, space = False, False, False, False
    for i in range(first, last):
        byte = data[i]
        plain = is_letter(byte) or is_digit(byte) or byte >= 128
        space |= byte <= _SPACE
        if hosts or words:
            pattern |= byte in (36, 40, 41, 42, 43, 63, 92, 94, 123, 124, 125)  # $ ( ) * + ? \ ^ { | }
        else:
            pattern |= byte in (42, 92, 94, 124)  # * \ ^ |
        slash |= byte == 47
        if hosts:
            odd |= not plain and byte not in (45, 46, 95, 58, 37, 91, 93)  # - . _ : % [ ]
        elif words:
            odd |= not plain
    if space:
        return _BLANKS
    if hosts and slash:
        return _WHOLE
    if pattern:
        return _PATTERN
    if words:
        return _NO_WORD if odd else _FINE
    if odd or find_host(data, first, last)[0] < 0:
        return _NO_HOST
    return _FINE


@kernel
def _read_lines(
    data: NDArray[np.uint8],
    hosts: bool,
    words: bool,
    out: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    numbers: NDArray[np.int64],
    firsts: NDArray[np.int64],
) -> int:
    """Entries, trimmed, end to end; how many. ``numbers`` and ``firsts`` [8]: lines of each kind, and the first."""
    bytes_, target = pointer_to(data), pointer_to(out)
    entries, at, line, i, end = 0, 0, 0, 0, len(data)
    offsets[0] = 0
    while i < end:
        stop = i
        while stop < end and bytes_[stop] != _FEED:
            stop += 1
        line += 1
        first, last = i, stop
        while first < last and bytes_[first] <= _SPACE:
            first += 1
        while last > first and bytes_[last - 1] <= _SPACE:
            last -= 1
        i = stop + 1
        kind = _EMPTY
        if first < last and bytes_[first] != _COMMENT:
            kind = _kind_of_line(bytes_, first, last, hosts, words)
        numbers[kind] += 1
        if firsts[kind] == 0:
            firsts[kind] = line
        if kind == _FINE:
            for k in range(first, last):
                target[at] = bytes_[k]
                at += 1
            entries += 1
            offsets[entries] = at
    return entries


def read_bytes(path: Path) -> bytes:
    """A list's text, decompressed.

    Raises:
        ConfigError: it cannot be read, is larger than may be, or is no text.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        with path.open("rb") as file:
            for chunk in read_chunks(StoredFile(file, path.stat().st_size), compression_of(path.name)):
                pieces.append(chunk.data)
                size += len(chunk.data)
                if size > MOST_BYTES:
                    raise ConfigError(f"{path}: over {MOST_BYTES:,} bytes, which no list may have; cut it in several")
    except (FileFaultError, OSError) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: {told}; a list is a text file with one entry a line") from error
    text = b"".join(pieces)
    text = text.removeprefix(_MARK)
    if (zero := text.find(b"\0")) >= 0:
        line = text.count(b"\n", 0, zero) + 1
        raise ConfigError(f"{path}: line {line}: a zero byte; a list is a text file")
    try:
        text.decode()  # of the whole, once: nothing below looks at what is not UTF-8
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line}: is not UTF-8; convert the list, such as with iconv") from error
    return text


class Lines(NamedTuple):
    """The entries of a list, as its lines hold them."""

    entries: pa.Array
    """large_string[N]."""
    odd: dict[str, tuple[int, int]]
    """What is wrong with lines -> how many, and the number of the first."""


def read_lines(text: bytes, kind: str) -> Lines:
    """The entries of a list of one of the ``KINDS``."""
    data = np.frombuffer(text, np.uint8)
    lines = text.count(b"\n") + 1
    out, offsets = np.empty(len(data), np.uint8), np.empty(lines + 1, np.int64)
    numbers, firsts = np.zeros((2, len(PROBLEMS) + 2), np.int64)
    words = kind in ("words", "soft_words")
    entries = _read_lines(data, kind == "domains", words, out, offsets, numbers, firsts)
    found = strings_from_buffers(out[: offsets[entries]], offsets[: entries + 1])
    odd = {told: (int(numbers[k]), int(firsts[k])) for k, told in PROBLEMS.items() if numbers[k]}
    return Lines(found, odd)


def keys(lines: Lines, kind: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """What the entries of a list are looked up by: uint8[B] and offsets int64[N + 1]."""
    if kind in ("domains", "urls"):
        return keys_of(lines.entries, whole=kind == "urls")
    lowered = pc.utf8_lower(lines.entries)
    _, offsets, data = lowered.buffers()
    starts = np.frombuffer(offsets, np.int64)[: len(lowered) + 1]
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), starts


@dataclass(frozen=True)
class ListFacts:
    """What a list is, without its entries."""

    sha256: str
    """Of the file as it is stored."""
    entries: int
    odd: dict[str, tuple[int, int]]


def look_at_list(path: Path, kind: str, shown: str) -> ListFacts:
    """Read a list through once.

    Args:
        path: of this machine.
        kind: one of the ``KINDS``.
        shown: what the user calls it.

    Raises:
        ConfigError: it cannot be used.
    """
    try:
        state = path.stat()
        return _looked_at(path, kind, state.st_size, state.st_mtime_ns)
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(path), shown)) from error
    except OSError as error:
        raise ConfigError(f"{shown}: {error.strerror or error}; put the list there or correct the path") from error


@lru_cache(maxsize=64)
def _looked_at(path: Path, kind: str, _size: int, _modified: int) -> ListFacts:
    if path.is_dir():
        inside = sorted(entry.name for entry in path.iterdir() if entry.is_file())[:5]
        has = f", such as {path}/{inside[0]}" if inside else ""
        raise ConfigError(f"{path}: is a folder; name the file in it{has}")
    lines = read_lines(read_bytes(path), kind)
    entries, odd = len(lines.entries), sum(number for number, _ in lines.odd.values())
    if odd > _MOST_ODD * (entries + odd):
        told, (_, line) = min(lines.odd.items(), key=lambda item: item[1][1])
        raise ConfigError(
            f"{path}: line {line}: {told}; so are {odd:,} of {entries + odd:,} lines; expected {_EXPECTED[kind]}"
        )
    if not entries:
        raise ConfigError(f"{path}: has no entry; expected {_EXPECTED[kind]}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ListFacts(digest, entries, lines.odd)


_EXPECTED = {
    "domains": "one host a line, such as example.com, which stands for everything below it, too",
    "urls": "one address a line, such as example.com/page",
    "words": "one word of letters and digits a line",
    "soft_words": "one word of letters and digits a line",
}
