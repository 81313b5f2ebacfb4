"""Plan of the reading: which slices of which files make a unit.

Plain JSONL larger than a unit is split by byte range, after a counting pass that gives each range its first row;
Parquet larger than a unit by row groups. Everything else is read as a whole, small files many to a unit.
"""

from bisect import bisect_right
from dataclasses import replace

import pyarrow.parquet as pq

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.sources.catalogue import InputFile
from winnow.sources.inputs import check_unchanged
from winnow.sources.read import format_of
from winnow.sources.readers.jsonl import count_lines
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile
from winnow.sources.structured.chat import template_text
from winnow.storage.address import scheme_of
from winnow.storage.store import Store

COMPRESSED_RATIO = 4
"""Text grows about this much when decompressed; only plans and progress bars rely on it."""
COMPRESSED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
MAX_FILES_IN_UNIT = 2_000


def _etag(file: InputFile) -> Json:
    return {"etag": file.etag} if file.etag else {}


def estimated_bytes(file: InputFile) -> int:
    """Raw bytes that a file probably holds."""
    return file.bytes * (COMPRESSED_RATIO if file.path.endswith(COMPRESSED_SUFFIXES) else 1)


def count_stage() -> Stage:
    """The counting pass over files that will be split."""
    return Stage("count", 1, {}, run_count)


def plan_count(files: list[InputFile], sources: dict[str, SourceConfig], unit_bytes: int) -> list[Unit]:
    """One unit for each range of each file that is larger than a unit and can be split."""
    units: list[Unit] = []
    for file in files:
        kind = format_of(file.path, sources[file.source])
        if file.bytes <= unit_bytes or file.path.endswith(COMPRESSED_SUFFIXES):
            continue
        if kind == "parquet":
            inputs = {
                "path": file.path,
                "modified_ns": file.modified_ns,
                "bytes": file.bytes,
                "format": kind,
                **_etag(file),
            }
            units.append(Unit(len(units), inputs, 1))
        elif kind == "jsonl":
            for start in range(0, file.bytes, unit_bytes):
                stop = min(start + unit_bytes, file.bytes)
                inputs = {
                    "path": file.path,
                    "modified_ns": file.modified_ns,
                    "format": kind,
                    "start": start,
                    "stop": stop,
                    **_etag(file),
                }
                units.append(Unit(len(units), inputs, stop - start))
    return units


def run_count(unit: Unit, workspace: Workspace) -> None:
    """Count the lines of a byte range, or list the sizes of a Parquet file's row groups."""
    inputs = unit.inputs
    workspace.metadata["path"] = inputs["path"]
    if inputs["format"] == "jsonl":
        file_slice = FileSlice(
            path=inputs["path"],
            file=0,
            source="",
            format="jsonl",
            size=inputs["stop"],
            start=inputs["start"],
            stop=inputs["stop"],
        )
        workspace.metadata |= {"start": inputs["start"], "stop": inputs["stop"]}
        try:
            with workspace.store.open_input(inputs["path"]) as file:
                StoredFile(file, inputs["stop"]).check_kind("")
            workspace.count("lines", count_lines(file_slice, workspace.store.open_input))
        except (ConnectionError, TimeoutError):  # nothing is known of the file: the unit is tried again
            raise
        except (OSError, FileFaultError) as error:  # measure reads the file whole and records what is wrong with it
            workspace.metadata["fault"] = str(error)
        return
    try:
        with workspace.store.open_input(inputs["path"]) as file:
            metadata = pq.ParquetFile(file).metadata
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
            workspace.metadata["row_groups"] = [[group.num_rows, group.total_byte_size] for group in groups]
    except (ConnectionError, TimeoutError):
        raise
    except (OSError, ValueError) as error:  # as above
        workspace.metadata["row_groups"] = []
        workspace.metadata["fault"] = str(error)


def plan_measure(
    files: list[InputFile],
    sources: dict[str, SourceConfig],
    counted: list[Record],
    unit_bytes: int,
    aside: dict[int, str] | None = None,
) -> list[Unit]:
    """Slices in document order, gathered into units of about ``unit_bytes`` of raw input.

    ``aside`` are documents to leave out, and why; they stand in the descriptions of the units that would read them.
    """
    by_path: dict[str, list[Record]] = {}
    for record in counted:
        by_path.setdefault(record.metadata["path"], []).append(record)
    units: list[Unit] = []
    slices: list[Json] = []
    size = 0

    def close_unit() -> None:
        nonlocal slices, size
        if slices:
            units.append(Unit(len(units), {"slices": slices}, size))
        slices, size = [], 0

    for file in files:
        source = sources[file.source]
        kind = format_of(file.path, source)
        reader = reader_settings(source)
        for fields, slice_bytes in _slices_of(file, kind, reader, by_path.get(file.path, []), unit_bytes):
            if size and size + slice_bytes > unit_bytes:
                close_unit()
            slices.append(fields)
            size += slice_bytes
            if size >= unit_bytes or len(slices) >= MAX_FILES_IN_UNIT:
                close_unit()
    close_unit()
    return _with_aside(units, aside) if aside else units


def _with_aside(units: list[Unit], aside: dict[int, str]) -> list[Unit]:
    """The units, each with the documents that it is to leave out: ``[[number, reason], ...]``."""
    begins = [
        ((fields["file"] << 32) + fields["first_row"], place)
        for place, unit in enumerate(units)
        for fields in unit.inputs["slices"]
    ]
    starts = [start for start, _ in begins]
    named: dict[int, list[list[int | str]]] = {}
    for doc, reason in aside.items():
        at = bisect_right(starts, doc) - 1
        if at >= 0 and starts[at] >> 32 == doc >> 32:  # not of a file that is no input any more
            named.setdefault(begins[at][1], []).append([doc, reason])
    return [
        replace(unit, inputs={**unit.inputs, "aside": named[place]}) if place in named else unit
        for place, unit in enumerate(units)
    ]


def parse_quarantined(unit: Unit) -> dict[int, str]:
    """Documents that a unit is to leave out, and why."""
    return {int(doc): str(reason) for doc, reason in unit.inputs.get("aside", [])}


def reader_settings(source: SourceConfig) -> Json:
    """What a source's records depend on besides the files."""
    reader = source.model_dump(mode="json", exclude={"name", "path", "format", "weight", "licence"})
    reader["chat_template"] = template_text(source.chat_template)  # what the file says, not how it is called
    return reader


def parse_slice(fields: Json) -> tuple[FileSlice, SourceConfig]:
    """A slice of a unit's inputs, and how its source is read."""
    source = SourceConfig.model_validate({**fields["reader"], "name": fields["source"], "path": "-"})
    return FileSlice(**{k: v for k, v in fields.items() if k not in ("modified_ns", "etag", "reader")}), source


def check_slices(slices: list[Json], store: Store) -> None:
    """Look whether the objects that slices were read from are still those of the catalogue.

    Raises:
        InputError: one was written anew meanwhile.
    """
    by_scheme: dict[str, list[tuple[str, str]]] = {}
    for fields in slices:
        if "etag" in fields:
            by_scheme.setdefault(scheme_of(fields["path"]), []).append((fields["path"], fields["etag"]))
    for read in by_scheme.values():
        check_unchanged(read, store.storage)


def _slices_of(
    file: InputFile, kind: str, reader: Json, counted: list[Record], unit_bytes: int
) -> list[tuple[Json, int]]:
    whole: Json = {
        "reader": reader,
        "path": file.path,
        "file": file.number,
        "source": file.source,
        "format": kind,
        "size": file.bytes,
        "modified_ns": file.modified_ns,
        "start": 0,
        "stop": None,
        "first_row": 0,
        **_etag(file),
    }
    if kind == "jsonl" and counted and not any("fault" in record.metadata for record in counted):
        slices = []
        first_row = 0
        for record in counted:
            start, stop = record.metadata["start"], record.metadata["stop"]
            slices.append(({**whole, "start": start, "stop": stop, "first_row": first_row}, stop - start))
            first_row += record.counters["lines"]
        return slices
    if kind == "parquet" and counted and counted[0].metadata["row_groups"]:
        return _row_group_slices(whole, counted[0].metadata["row_groups"], unit_bytes)
    return [(whole, estimated_bytes(file))]


def _row_group_slices(whole: Json, groups: list[list[int]], unit_bytes: int) -> list[tuple[Json, int]]:
    slices: list[tuple[Json, int]] = []
    start = first_row = rows = size = 0
    for number, (group_rows, group_bytes) in enumerate(groups):
        if size and size + group_bytes > unit_bytes:
            slices.append(({**whole, "start": start, "stop": number, "first_row": first_row}, size))
            start, first_row, rows, size = number, first_row + rows, 0, 0
        rows += group_rows
        size += group_bytes
    slices.append(({**whole, "start": start, "stop": len(groups), "first_row": first_row}, size))
    return slices
