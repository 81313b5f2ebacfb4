"""An operator that was found and checked: what a worker needs to run it, and all that its results depend on."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from winnow.operators.files import NamedFile
from winnow.operators.marks import Kind

VALUE = pa.float32()
"""Type of every signal's column: as values and thresholds stand in the tables of decisions."""
SPANS = pa.large_list(pa.struct([("start", pa.int64()), ("end", pa.int64()), ("kind", pa.string())]))
"""Type of spans: of each document a list, in bytes of its UTF-8."""
TOTAL = "spans"
"""Beside its kinds, the signal of an operator that finds spans: how many of all."""


@dataclass(frozen=True)
class Operator:
    """One operator of a run. Everything here is JSON, but for the files on this machine.

    ``origin`` says where the code is: ``{"file", "source", "object"}`` with the whole text, or ``{"module", "object",
    "sources", "distributions"}`` with hashes of the modules' files. ``settings`` are plain values; a setting that
    names a file stands in ``files`` instead (path in the run folder, hash), one that names a folder in ``folders``
    (hash alone; its path, the same on every node, is in ``folder_paths``).
    """

    name: str
    kind: Kind
    version: str
    needs: tuple[str, ...] | None
    columns: tuple[str, ...]
    """Columns that it adds to the signals table; of spans, how many of each kind and of all."""
    origin: dict[str, Any]
    settings: dict[str, Any]
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    folder_paths: dict[str, str] = field(default_factory=dict)
    published: tuple[NamedFile, ...] = ()
    """What is put into the run folder."""
    gpu: bool = False
    """Runs after dedup, where the GPUs are. Not part of what its results depend on: the stage that runs it is."""
    tokens: dict[str, str] | None = None
    """By kind of spans, what stands in their place; None where texts are left as they are."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of one that finds spans, what they can be."""
        return tuple(column.removeprefix(f"{self.name}.") for column in self.columns[:-1])

    @property
    def described(self) -> dict[str, Any]:
        """The operator in the settings of a stage: names the work, and is all that a worker needs but folder paths."""
        return {
            "name": self.name,
            "kind": self.kind,
            "version": self.version,
            "needs": None if self.needs is None else list(self.needs),
            "columns": list(self.columns),
            "origin": self.origin,
            "settings": self.settings,
            "files": self.files,
            "folders": self.folders,
            **({"tokens": self.tokens} if self.kind == "spans" else {}),
        }

    @property
    def fingerprint(self) -> str:
        """Hash of all that its results depend on, hex."""
        encoded = orjson.dumps(self.described, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(encoded, digest_size=16).hexdigest()

    @staticmethod
    def from_described(described: dict[str, Any], folder_paths: dict[str, str]) -> "Operator":
        """The operator of a stage's settings."""
        lists = {name: None if described[name] is None else tuple(described[name]) for name in ("needs", "columns")}
        return Operator(**{**described, **lists}, folder_paths=folder_paths)


def fields_of(operator: Operator) -> list[pa.Field]:
    """The columns that an operator adds to a batch: numbers of a signal, a filter's verdict, lists of spans."""
    if operator.kind == "spans":
        return [pa.field(operator.name, SPANS)]
    kind = pa.bool_() if operator.kind == "filter" else VALUE
    return [pa.field(name, kind) for name in operator.columns]
