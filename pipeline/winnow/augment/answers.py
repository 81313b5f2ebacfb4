"""Answers that were paid for: kept by the hash of what was asked, so that nothing is asked twice.

A folder of segments, Parquet files numbered in the order in which they were published; each is there whole or not at
all. Where two hold an answer to the same question, the one with the lower number counts: a later one changes nothing.
Used by several threads; one process at a time writes.
"""

import hashlib
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow.errors import ConfigError
from winnow.storage.store import Store

FOLDER = "answers"
KEY_BYTES = 16
FLUSH_SECONDS = 1.0
"""How long an answer waits for others to be written with."""
FLUSH_BYTES = 8_000_000
MOST_SMALL = 256
"""Segments from which on they are joined."""
JOINED_BYTES = 64_000_000
NOT_TAKEN = "not_taken"
"""`finish` where the endpoint would not take the request, and will not the next time."""
SCHEMA = pa.schema(
    [
        ("key", pa.binary(KEY_BYTES)),
        ("content", pa.large_string()),
        ("finish", pa.string()),
        ("model", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("answer_tokens", pa.int64()),
    ]
)
"""A row an answer."""


class Answer(NamedTuple):
    """What an endpoint said."""

    content: str
    finish: str
    """Why it ends: `stop`, `length`, `content_filter`, or whatever the server says; or ``NOT_TAKEN``."""
    model: str
    """As the server names it."""
    prompt_tokens: int
    answer_tokens: int


def key_of(body: dict[str, Any]) -> bytes:
    """What a request is kept by: the hash of all that it asks (model, messages, parameters)."""
    return hashlib.blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=KEY_BYTES).digest()


class Answers:
    """The answers in a folder."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiting: dict[bytes, Answer] = {}
        self._waiting_bytes = 0
        self._flushed = time.monotonic()
        self._names: list[str] = []
        self._fresh: dict[bytes, int] = {}
        self._load()

    def _load(self) -> None:
        self._names = self._store.list(FOLDER, ".parquet")
        self._fresh.clear()
        keys, segments = [np.empty(0, _KEY)], [np.empty(0, np.uint32)]
        for number in range(len(self._names)):
            keys.append(_as_keys(self._table(number, ["key"])))
            segments.append(np.full(len(keys[-1]), number, np.uint32))
        found = np.concatenate(keys)
        order = np.argsort(found, kind="stable")  # of equal keys the lowest segment stays first
        self._keys, self._segment = found[order], np.concatenate(segments)[order]

    def _table(self, number: int, columns: list[str] | None = None) -> pa.Table:
        path = f"{FOLDER}/{self._names[number]}"
        try:
            return pq.read_table(self._store.columns_of(path), columns=columns)
        except pa.ArrowInvalid as error:
            raise ConfigError(
                f"{self._store.location(path)}: damaged ({error}); remove it: what it holds is asked again"
            ) from error

    def __len__(self) -> int:
        with self._lock:
            return len(np.unique(self._keys)) + len(self._fresh) + len(self._waiting)

    def holds(self, key: bytes) -> bool:
        """Whether there is an answer."""
        with self._lock:
            return key in self._waiting or self._segment_of(key) is not None

    def read(self, keys: Iterable[bytes]) -> dict[bytes, Answer]:
        """The answers to some questions, as far as there are any."""
        found: dict[bytes, Answer] = {}
        by_segment: dict[int, set[bytes]] = {}
        with self._lock:
            for key in keys:
                if key in self._waiting:
                    found[key] = self._waiting[key]
                elif (segment := self._segment_of(key)) is not None:
                    by_segment.setdefault(segment, set()).add(key)
        for segment, wanted in by_segment.items():
            table = self._table(segment)
            rows = [row for row, key in enumerate(table.column("key").to_pylist()) if key in wanted]
            for row in table.take(rows).to_pylist():
                found.setdefault(row.pop("key"), Answer(**row))
        return found

    def add(self, key: bytes, answer: Answer) -> None:
        """Keep an answer; it is committed with the next flush."""
        with self._lock:
            if self._segment_of(key) is None and key not in self._waiting:
                self._waiting[key] = answer
                self._waiting_bytes += len(answer.content)

    def flush_if_due(self) -> bool:
        """Commit what waits, if it has waited long enough or is much; whether that was done."""
        with self._lock:
            due = time.monotonic() - self._flushed >= FLUSH_SECONDS or self._waiting_bytes >= FLUSH_BYTES
            if due:
                self._flush()
            return due

    def flush(self) -> None:
        """Commit what waits."""
        with self._lock:
            self._flush()

    def join_segments(self) -> None:
        """Make few segments of many; kill it anywhere, every answer is still there."""
        if len(self._names) < MOST_SMALL:
            return
        group: list[int] = []
        held = 0
        for number, name in enumerate(self._names):
            size = self._store.size(f"{FOLDER}/{name}") or 0
            if held + size > JOINED_BYTES:
                self._join(group)
                group, held = [], 0
            group.append(number)
            held += size
        self._join(group)
        self._load()

    def _join(self, group: list[int]) -> None:
        """The first of some segments holds what all of them held."""
        if len(group) < 2:
            return
        joined = pa.concat_tables([self._table(number) for number in group])
        _, first = np.unique(_as_keys(joined), return_index=True)
        self._write(joined.take(pa.array(np.sort(first))), self._names[group[0]])
        for number in group[1:]:
            self._store.remove(f"{FOLDER}/{self._names[number]}")

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if not self._waiting:
            return
        columns = list(zip(*self._waiting.values(), strict=True))
        rows = [list(self._waiting), *map(list, columns)]
        table = pa.table([pa.array(values, field.type) for values, field in zip(rows, SCHEMA, strict=True)], SCHEMA)
        name = f"{1 + int(self._names[-1].partition('.')[0]) if self._names else 0:010d}.parquet"
        self._write(table, name)
        self._names.append(name)
        self._fresh |= dict.fromkeys(self._waiting, len(self._names) - 1)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _write(self, table: pa.Table, name: str) -> None:
        with self._store.create(f"{FOLDER}/{name}") as draft:
            pq.write_table(table, draft.arrow(), compression="zstd")

    def _segment_of(self, key: bytes) -> int | None:
        if key in self._fresh:
            return self._fresh[key]
        wanted = np.frombuffer(key, _KEY)
        place = int(np.searchsorted(self._keys, wanted[0]))
        return int(self._segment[place]) if place < len(self._keys) and self._keys[place] == wanted[0] else None


_KEY = np.dtype(f"S{KEY_BYTES}")


def _as_keys(table: pa.Table) -> NDArray[np.bytes_]:
    """bytes[N] of the column of keys."""
    return np.frombuffer(b"".join(table.column("key").to_pylist()), _KEY)
