"""Where the rows and the payload of every partition lie in every file of an exchange: few files tell it for all.

A reduce unit that is to read little of each of many files would spend its requests on headers and indexes. With the
extents it reads the two stretches of each file that it needs, and files without rows of its partitions not at all.

File layout, little-endian::

    b"WINNOWE1" | uint32 header bytes | header JSON {columns, payload, partitions, files} | zeros up to byte 4096
    for each partition of the range that this file tells of, and one more, for each file:
        int64 at which byte its rows begin | int64 at which byte its payload begins

The places of one partition in all files stand together, so what a unit needs of the extents is one stretch, too. The
place after the last partition is where the last one ends. ``columns`` and ``payload`` are those of all files.
"""

import contextlib
import struct
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from winnow.engine.exchange import (
    Columns,
    Described,
    ExchangeFile,
    described_types,
    description_of,
    joined_rows,
    read_exactly,
    row_bytes,
    split_rows,
)
from winnow.engine.records import Json
from winnow.storage.draft import Draft
from winnow.storage.store import Store

MAGIC = b"WINNOWE1"
HEADER_BYTES = 4096
"""Fixed, so that whoever knows the number of files knows where the places of a partition stand."""
RANGE_BYTES = 256_000_000
"""Places that one file tells, and that are collected in memory at once."""
_PLACE = 16  # bytes of a file's two numbers


def ranges_of(num_partitions: int, num_files: int, range_bytes: int = RANGE_BYTES) -> list[tuple[int, int]]:
    """Partitions, in ranges that one file of extents each tells of: (first, the one after the last)."""
    step = max(1, range_bytes // (_PLACE * max(1, num_files)))
    return [(first, min(num_partitions, first + step)) for first in range(0, num_partitions, step)]


def write_extents(
    draft: Draft, store: Store, paths: list[str], num_partitions: int, first: int, last: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Collect what the indexes of all files of an exchange that has a payload say of partitions [first, last).

    Args:
        draft: where to.
        store: holds the files.
        paths: of the files, at least one.
        num_partitions: of the exchange.
        first: of the partitions.
        last: the one after them.

    Returns:
        rows and items of each of these partitions, in all files together: int64[P], int64[P].

    Raises:
        ValueError: a file is damaged, or has other columns, partitions or items than the first.
    """
    if not paths or last <= first:
        raise ValueError("there are no files of the exchange, or no partitions")
    with store.open(paths[0]) as file:
        known, _ = _places(file, num_partitions, 0, 0)
    draft.write(_header(known, last - first, len(paths)))
    all_places = np.empty((last - first + 1, len(paths), 2), "<i8")
    found = store.read_each(paths, partial(_places, num_partitions=num_partitions, first=first, last=last))
    for number, (kind, places) in enumerate(found):
        if kind != known:
            raise ValueError(
                f"{store.location(paths[number])}: its rows are {_told(kind)}, those of "
                f"{store.location(paths[0])} are {_told(known)}; remove the one that is wrong"
            )
        all_places[:, number] = places
    draft.write(all_places)
    rows, items = np.diff(all_places.sum(axis=1, dtype=np.int64), axis=0).T
    return rows // row_bytes(known.columns), items // known.item_dtype.itemsize


class _Kind(NamedTuple):
    """What all files of an exchange have in common."""

    columns: Described
    item_dtype: np.dtype[Any]


def _places(file: BinaryIO, num_partitions: int, first: int, last: int) -> tuple[_Kind, NDArray[np.int64]]:
    exchange = ExchangeFile.open(file)
    if exchange.num_partitions != num_partitions:
        raise ValueError(
            f"{exchange.name}: it has {exchange.num_partitions} partitions, expected {num_partitions}; remove it"
        )
    return _Kind(exchange.columns, exchange.item_dtype), exchange.extents(first, last)


def _told(kind: _Kind) -> str:
    columns, payload = description_of(*kind)
    return f"{', '.join(f'{name} {dtype} x {width}' for name, dtype, width in columns)} with items {payload}"


def _header(kind: _Kind, num_partitions: int, num_files: int) -> bytes:
    columns, payload = description_of(*kind)
    described = orjson.dumps({"columns": columns, "payload": payload, "partitions": num_partitions, "files": num_files})
    header = MAGIC + struct.pack("<I", len(described)) + described
    if len(header) > HEADER_BYTES:
        raise ValueError(f"the inputs of {len(columns)} columns takes more than {HEADER_BYTES} bytes")
    return header.ljust(HEADER_BYTES, b"\0")


class Extents(NamedTuple):
    """Where some partitions lie in every file."""

    columns: Described
    item_dtype: np.dtype[Any]
    places: NDArray[np.int64]
    """int64[N + 1, F, 2]: the bytes at which rows and payload of each partition begin, and at which the last ends."""


def read_extents(store: Store, told: list[Json], num_files: int, first: int, last: int) -> Extents:
    """Places of partitions [first, last) in all files.

    Args:
        store: holds the extents.
        told: the files of extents (``path``), and of how many partitions each tells (``rows``), in order.
        num_files: F, of the exchange.
        first: of the partitions.
        last: the one after them.

    Raises:
        ValueError: not the extents of that many files, or damaged.
    """
    ends = np.cumsum([entry["rows"] for entry in told])
    begins = [0, *ends[:-1].tolist()]
    low = min(int(np.searchsorted(ends, first, side="right")), len(told) - 1)
    high = max(low, int(np.searchsorted(begins, last)) - 1)
    pieces = []
    for number in range(low, high + 1):
        begin, end = begins[number], last if number == high else int(ends[number])
        pieces.append(_read_piece(store, told[number]["path"], num_files, max(0, first - begin), end - begin))
    places = [piece.places[:-1] for piece in pieces[:-1]]  # where one range ends, the next one begins
    return pieces[0]._replace(places=np.concatenate([*places, pieces[-1].places]))


def _read_piece(store: Store, path: str, num_files: int, first: int, last: int) -> Extents:
    name, width = store.location(path), num_files * _PLACE
    begin, end = HEADER_BYTES + first * width, HEADER_BYTES + (last + 1) * width
    with contextlib.closing(store.open_each([(path, 0, HEADER_BYTES), (path, begin, end)])) as stretches:
        columns, item_dtype = _read_header(next(stretches), name, num_files, last)
        data = read_exactly(next(stretches), end - begin, "places")
    places = np.frombuffer(data, "<i8").reshape(-1, num_files, 2)
    sizes = np.diff(places, axis=0)
    if np.any(places[0] < 0) or np.any(sizes < 0) or np.any(sizes % [row_bytes(columns), item_dtype.itemsize]):
        raise ValueError(f"{name}: it names places that cannot be; damaged, remove it")
    return Extents(columns, item_dtype, places)


def _read_header(file: BinaryIO, name: str, num_files: int, last: int) -> tuple[Described, np.dtype[Any]]:
    header = read_exactly(file, HEADER_BYTES, "header")
    if header[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{name}: not the extents of an exchange (begins with {header[:8]!r}); remove it")
    size = int.from_bytes(header[len(MAGIC) : len(MAGIC) + 4], "little")
    try:
        described = orjson.loads(header[len(MAGIC) + 4 : len(MAGIC) + 4 + size])
        (columns, item_dtype), files, partitions = (
            described_types(described),
            described["files"],
            described["partitions"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{name}: its header cannot be read ({error}); damaged, remove it") from error
    if files != num_files or last > partitions or item_dtype is None:
        raise ValueError(
            f"{name}: it tells of {partitions} partitions in {files} files, expected at least {last} in {num_files}; "
            "remove it"
        )
    return columns, item_dtype


def read_rows(
    store: Store, paths: list[str], extents: Extents
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64], NDArray[np.int64]]:
    """All rows of some partitions, file by file.

    Args:
        store: holds the files.
        paths: of all files.
        extents: of the partitions.

    Returns:
        The columns; int64[R], the number of the file of each row; int64[R], the byte at which the row's items begin
        in that file.

    Raises:
        ValueError: a file is shorter than the extents say, or its rows are not those that the extents tell of.
    """
    begins, ends = extents.places[0], extents.places[-1]
    chosen = np.flatnonzero(ends[:, 0] > begins[:, 0])
    rows = np.diff(extents.places[:, chosen, 0], axis=0).T // row_bytes(extents.columns)
    ranges = [(paths[number], int(begins[number, 0]), int(ends[number, 0])) for number in chosen]
    pieces: list[Columns] = []
    for (_, begin, end), counts, file in zip(ranges, rows.tolist(), store.open_each(ranges), strict=True):
        pieces.extend(split_rows(read_exactly(file, end - begin, "rows"), extents.columns, counts))
    columns = joined_rows(pieces, extents.columns)
    counts_of = rows.sum(axis=1)
    files = np.repeat(chosen, counts_of)

    sizes = columns["length"].astype(np.int64) * extents.item_dtype.itemsize
    upto = np.concatenate([[0], np.cumsum(sizes)])
    row = np.concatenate([[0], np.cumsum(counts_of)])
    held = upto[row[1:]] - upto[row[:-1]]
    wrong = np.flatnonzero(held != (ends - begins)[chosen, 1])
    if len(wrong):
        raise ValueError(
            f"{store.location(ranges[wrong[0]][0])}: its rows tell of {held[wrong[0]]} bytes of payload, expected "
            f"{(ends - begins)[chosen[wrong[0]], 1]}; it was damaged or written anew, remove it"
        )
    return columns, files, np.repeat(begins[chosen, 1] - upto[row[:-1]], counts_of) + upto[:-1]
