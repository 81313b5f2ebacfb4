"""Units of work and the commit records that say what came of them.

A unit is a deterministic slice of a stage's input. Its key is a hash of the stage's fingerprint and of the unit's
own inputs, which names every input by content hash. So the same work always has the same key, and a record
under that key means: never compute this again.
"""

import dataclasses
import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from winnow.storage.address import inside

Json = dict[str, Any]


def canonical(value: Any) -> bytes:
    """JSON bytes with sorted keys: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_DATACLASS)


def content_hash(value: Any, digits: int = 24) -> str:
    """Hex BLAKE2b of a JSON value, shortened to ``digits`` (24 = 96 bits)."""
    return hashlib.blake2b(canonical(value), digest_size=32).hexdigest()[:digits]


def identity(value: Any) -> Any:
    """A inputs without the paths of files that it also names by hash: equal content is the same work."""
    if isinstance(value, dict):
        return {k: identity(v) for k, v in value.items() if not (k == "path" and "hash" in value)}
    if isinstance(value, list):
        return [identity(item) for item in value]
    return value


@dataclass(frozen=True)
class Unit:
    """One piece of a stage's work.

    ``inputs`` is JSON, holds all that ``run`` needs besides the stage's settings, and names inputs by path
    and hash. ``work_bytes`` orders units (largest first) and drives the progress bar; it is not part of the key.
    """

    number: int
    inputs: Json
    work_bytes: int = 0


class Numbers(Mapping[str, Any]):
    """Numbers by name in 8 bytes each: records of one stage mostly have the same names, which are kept once."""

    __slots__ = ("_places", "_values")

    def __init__(self, values: Mapping[str, float], kind: str) -> None:
        """``kind`` as :mod:`array` has it: `q` for int64, `d` for float64."""
        self._places = _places_of(tuple(values))
        self._values = array(kind, values.values())

    def __getitem__(self, name: str) -> Any:
        return self._values[self._places[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._values)


@lru_cache(4096)
def _places_of(names: tuple[str, ...]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class Output:
    """A published file of a unit."""

    path: str
    bytes: int
    rows: int
    hash: str

    def reference(self) -> Json:
        """What a unit of a later stage says of this file in its inputs."""
        return {"path": self.path, "rows": self.rows, "hash": self.hash}


@dataclass(frozen=True, slots=True)
class Record:
    """A unit's commit record: without it, nothing that the unit wrote exists.

    ``counters`` are exact and reach the books. ``metrics`` (seconds, memory) are observations of one attempt and
    reach nothing but the summary.
    """

    stage: str
    fingerprint: str
    key: str
    number: int
    outputs: dict[str, Output]
    counters: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The record as it is stored."""
        return orjson.dumps(dataclasses.asdict(self), dict, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)

    def compact(self) -> "Record":
        """The same in less memory, for the driver, which holds all.

        Raises:
            TypeError, OverflowError: a counter or measure is no number, or none of 64 bits.
        """
        return dataclasses.replace(self, counters=Numbers(self.counters, "q"), metrics=Numbers(self.metrics, "d"))

    @staticmethod
    def from_json(data: bytes) -> "Record":
        """Read a stored record.

        Raises:
            ValueError: the bytes are no record.
        """
        fields = orjson.loads(data)
        try:
            fields["outputs"] = {name: Output(**output) for name, output in fields["outputs"].items()}
            record = Record(**fields)
            for output in record.outputs.values():
                inside(output.path)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no record of a unit: {error}") from error
        return record


def total(records: list[Record], counter: str) -> int:
    """Sum of one counter over records."""
    return sum(record.counters.get(counter, 0) for record in records)


def totals_under(records: list[Record], prefix: str) -> dict[str, int]:
    """Sums of all counters named ``prefix/x``, keyed by ``x``, sorted by name."""
    sums: dict[str, int] = {}
    for record in records:
        for name, value in record.counters.items():
            if name.startswith(prefix + "/"):
                key = name[len(prefix) + 1 :]
                sums[key] = sums.get(key, 0) + value
    return dict(sorted(sums.items()))
