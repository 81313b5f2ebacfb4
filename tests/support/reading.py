"""Reads a file whole or in slices and gathers what came out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winnow.sources.read import format_of, read_slice
from winnow.sources.records import RecordBatch, Unreadable
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig


@dataclass
class Gathered:
    rows: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    keep: dict[str, list[str | None]] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    replaced: int = 0
    noted: dict[str, int] = field(default_factory=dict)
    bytes_read: int = 0
    batches: int = 0

    @property
    def kinds(self) -> list[tuple[int | None, str]]:
        return [(bad.row, bad.reason.split(":")[0]) for bad in self.unreadable]

    def add(self, batch: RecordBatch) -> None:
        assert batch.rows.dtype == "uint32"
        assert batch.texts.type == "large_string"
        assert batch.ids.type == "string"
        assert len(batch.rows) == len(batch.texts) == len(batch.ids)
        assert batch.texts.null_count == 0
        batch.texts.validate(full=True)
        self.rows += batch.rows.tolist()
        self.texts += batch.texts.to_pylist()
        self.ids += batch.ids.to_pylist()
        for name, values in batch.keep.items():
            assert values.type == "string" and len(values) == len(batch.rows)
            self.keep.setdefault(name, []).extend(values.to_pylist())
        self.unreadable += batch.unreadable
        self.replaced += batch.replaced
        for note, (number, _) in batch.noted.items():
            self.noted[note] = self.noted.get(note, 0) + number
        self.bytes_read += batch.bytes_read
        self.batches += 1


def open_binary(path: str) -> Any:
    return Path(path).open("rb")


def read(path: Path, batch_bytes: int = 1 << 20, opener: Any = open_binary, **settings: Any) -> Gathered:
    where = {name: settings.pop(name) for name in ("start", "stop", "first_row", "size") if name in settings}
    source = SourceConfig(name="s", path=str(path), **settings)
    size = where.pop("size", path.stat().st_size if path.exists() else 100)
    file_slice = FileSlice(path=str(path), file=3, source="s", format=format_of(str(path), source), size=size, **where)
    found = Gathered()
    for batch in read_slice(file_slice, source, opener, batch_bytes):
        found.add(batch)
    return found
