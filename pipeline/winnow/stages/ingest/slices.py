"""Plan of the reading: which slices of which files make a unit.

A file larger than a unit is split where its reader can: a counting pass asks it for the file's pieces, with the rows of
each (JSONL: byte ranges, of the decompressed text; Parquet: rows). Everything else is read as a whole, small files many
to a unit. How large a file is, is told by its text, not by its bytes as stored.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError
from types import MappingProxyType

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.errors import ConfigError
from winnow.sources.catalogue import InputFile
from winnow.sources.encoding import DETECT, is_ascii_superset
from winnow.sources.inputs import check_unchanged
from winnow.sources.read import can_split, format_of
from winnow.sources.readers.outside import pieces_of
from winnow.sources.readers.reader import Piece
from winnow.sources.readers.registry import READERS, is_cut_by_bytes
from winnow.sources.records import FileFaultError
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.structured.chat import template_text
from winnow.sources.web.by_trafilatura import TRAFILATURA_PACKAGES
from winnow.sources.web.page import PACKAGES as PAGE_PACKAGES
from winnow.stages.ingest.afar import Told
from winnow.stages.ingest.estimates import COMPRESSED_RATIO, SHARE_OF_LARGE, estimated_bytes, estimated_text
from winnow.stages.versions import library_versions
from winnow.storage.address import is_web, scheme_of
from winnow.storage.store import Store

MAX_FILES_IN_UNIT = 2_000
NOT_OF_READER = {
    *("name", "path", "paths_from", "ranges_from", "base", "first_files", "sample_files"),
    *("format", "weight", "licence", "augmented_from"),
}
"""Settings of a source on which its records do not depend, beside the files."""
NOT_OF_SLICE = ("modified_ns", "etag", "reader", "code", "libraries")
"""What a unit's inputs say of a slice beside the fields of ``FileSlice``."""


def _etag(file: InputFile) -> Json:
    return {"etag": file.etag} if file.etag else {}


def _parts_of_ranges(file: InputFile, unit_bytes: int) -> Iterator[tuple[Json, int]]:
    """Records of a list, as many as make a unit, with the bytes of their text."""
    ratio = COMPRESSED_RATIO if compression_of(file.path) else 1
    spans = file.ranges.split(",")
    first = size = 0
    for at, span in enumerate(spans):
        more = int(span.partition(":")[2]) * ratio
        if size and size + more > unit_bytes:
            yield {"ranges": ",".join(spans[first:at]), "first_row": first}, size
            first, size = at, 0
        size += more
    yield {"ranges": ",".join(spans[first:]), "first_row": first}, size


def count_stage() -> Stage:
    """The counting pass over files that will be split."""
    return Stage("count", 3, {}, run_count)


def plan_count(
    files: list[InputFile],
    sources: dict[str, SourceConfig],
    unit_bytes: int,
    afar: Mapping[str, Told] = MappingProxyType({}),
) -> list[Unit]:
    """One unit for each file that is larger than a unit and can be split; one for each range where that is by bytes.

    Compressed files are split only where they are a large share of all text: many files keep all workers busy as they
    are, and a part of a compressed file is not read without what is before it. So are files that come from afar: those
    in ``afar``, by path.
    """
    units: list[Unit] = []
    total = estimated_text(files, sources)
    for file in files:
        kind = format_of(file.path, sources[file.source])
        size, compression = estimated_bytes(file, kind), compression_of(file.path)
        wide = not is_ascii_superset(sources[file.source].encoding)
        if size <= unit_bytes or wide or not can_split(file.path, kind, sources[file.source]):
            continue
        told = afar.get(file.path)
        if told is not None:
            inputs = {
                "path": file.path,
                "modified_ns": 0,
                "bytes": told.bytes,
                "format": kind,
                "start": 0,
                "stop": None,
            }
            units.append(Unit(len(units), {**inputs, "afar": asdict(told), **_code(kind)}, told.bytes))
            continue
        if is_web(file.path) or file.ranges or not file.bytes:  # no server is asked twice for all of a file
            continue
        whole = bool(compression) or READERS.get(kind).counted_whole
        if whole and size * SHARE_OF_LARGE < 1 << total.bit_length():
            continue
        by_separator = READERS.get(kind).by_separator
        by_bytes = is_cut_by_bytes(file.path, kind) and not by_separator
        for start in range(0, file.bytes, unit_bytes if by_bytes else file.bytes):
            stop = min(start + unit_bytes, file.bytes) if by_bytes else None
            inputs = {
                "path": file.path,
                "modified_ns": file.modified_ns,
                "bytes": file.bytes,
                "format": kind,
                "start": start,
                "stop": stop,
                **_etag(file),
                **_code(kind),
            }
            if by_separator:
                inputs["separator"] = sources[file.source].separator_bytes.hex()
            if cut_by := READERS.get(kind).cut_by:
                inputs["settings"] = {name: getattr(sources[file.source], name) for name in cut_by}
            work = file.bytes if whole or by_separator else 1 if stop is None else stop - start
            units.append(Unit(len(units), inputs, work))
    return units


def run_count(unit: Unit, workspace: Workspace) -> None:
    """Ask the reader for the pieces of a file or range: ``pieces``, a list for each ``Piece``."""
    inputs = unit.inputs
    READERS.check_origin(inputs["format"], inputs.get("code"))
    part = FileSlice(
        path=inputs["path"],
        file=0,
        source="",
        format=inputs["format"],
        size=inputs["bytes"],
        start=inputs["start"],
        stop=inputs["stop"],
        separator=bytes.fromhex(inputs.get("separator", "")),
        settings=inputs.get("settings", {}),
    )
    reader = READERS.get(part.format)
    workspace.metadata |= {"path": part.path, "pieces": []}
    if told := inputs.get("afar"):
        workspace.metadata["of"] = {"size": told["bytes"], "etag": told["etag"]}
        if told["whole"]:
            workspace.metadata["fault"] = told["whole"]
            return
    try:
        with workspace.store.open_input(part.path) as file:
            workspace.metadata["pieces"] = [
                list(piece) for piece in pieces_of(reader, part, StoredFile(file, part.size))
            ]
    except (ConnectionError, TimeoutError):  # nothing is known of the file: the unit is tried again
        raise
    except (OSError, FileFaultError) as error:  # measure reads the file whole and records what is wrong with it
        workspace.metadata["fault"] = str(error)


def plan_measure(
    files: list[InputFile],
    sources: dict[str, SourceConfig],
    counted: list[Record],
    unit_bytes: int,
    quarantined: dict[int, str] | None = None,
) -> list[Unit]:
    """Slices in document order, gathered into units of about ``unit_bytes`` of raw input.

    ``quarantined`` are documents to leave out, and why; they stand in the inputs of the units that would read them.
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
    return _with_quarantined(units, quarantined) if quarantined else units


def _with_quarantined(units: list[Unit], quarantined: dict[int, str]) -> list[Unit]:
    """The units, each with the documents that it is to leave out: ``[[number, reason], ...]``."""
    begins = [
        ((fields["file"] << 32) + fields["first_row"], place)
        for place, unit in enumerate(units)
        for fields in unit.inputs["slices"]
    ]
    starts = [start for start, _ in begins]
    named: dict[int, list[list[int | str]]] = {}
    for doc, reason in quarantined.items():
        at = bisect_right(starts, doc) - 1
        if at >= 0 and starts[at] >> 32 == doc >> 32:  # not of a file that is no input any more
            named.setdefault(begins[at][1], []).append([doc, reason])
    return [
        replace(unit, inputs={**unit.inputs, "quarantined": named[place]}) if place in named else unit
        for place, unit in enumerate(units)
    ]


def parse_quarantined(unit: Unit) -> dict[int, str]:
    """Documents that a unit is to leave out, and why."""
    return {int(doc): str(reason) for doc, reason in unit.inputs.get("quarantined", [])}


def reader_settings(source: SourceConfig) -> Json:
    """What a source's records depend on besides the files."""
    reader = source.model_dump(mode="json", exclude=NOT_OF_READER)
    reader["chat_template"] = template_text(source.chat_template)  # what the file says, not how it is called
    return reader


def parse_slice(fields: Json) -> tuple[FileSlice, SourceConfig]:
    """A slice of a unit's inputs, and how its source is read.

    Raises:
        ConfigError: this process has another reader of that format than the one that the run began with, or none.
    """
    READERS.check_origin(fields["format"], fields.get("code"))
    source = SourceConfig.model_validate({**fields["reader"], "name": fields["source"], "path": "-"})
    return FileSlice(**{k: v for k, v in fields.items() if k not in NOT_OF_SLICE}), source


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


def _code(file_format: str) -> Json:
    """Version and code of a reader of another package: another one reads anew."""
    origin = READERS.origin(file_format)
    return {} if origin is None else {"code": origin}


def _libraries(kind: str, reader: Json) -> Json:
    """Versions of what decides a reader's texts, encodings that are guessed included: others read anew."""
    packages = {*READERS.get(kind).packages, *(PAGE_PACKAGES if reader["html"] else ())}
    if packages and reader["extract"] == "trafilatura":
        packages |= set(TRAFILATURA_PACKAGES)
    if reader["encoding"] == DETECT:
        packages.add("charset-normalizer")
    try:
        return {"libraries": library_versions(*sorted(packages))} if packages else {}
    except PackageNotFoundError as error:
        raise ConfigError(
            f"files of format {kind} need the package {error.name}: pip install "
            f"'winnow-corpus[{'trafilatura' if error.name in TRAFILATURA_PACKAGES else 'web'}]'"
        ) from error


def _slices_of(
    file: InputFile, kind: str, reader: Json, counted: list[Record], unit_bytes: int
) -> list[tuple[Json, int]]:
    """The slices of a file with their bytes: its pieces, as many as make a unit; else the whole file."""
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
        **({"listed": True} if file.state.is_unasked else {}),
        **_etag(file),
        **_code(kind),
        **_libraries(kind, reader),
    }
    if file.ranges:
        return [({**whole, **part}, size) for part, size in _parts_of_ranges(file, unit_bytes)]
    pieces = [piece for record in counted for piece in record.metadata["pieces"]]
    if not pieces or any("fault" in record.metadata for record in counted):
        return [(whole, estimated_bytes(file, kind))]
    slices: list[tuple[Json, int]] = []
    first_row = rows = size = 0
    first: Json = {}
    stop = 0

    for record in counted:
        whole |= record.metadata.get("of", {})

    def close() -> None:
        entry = {name: first[name] for name in ("enter", "before") if first[name]}
        slices.append(({**whole, "start": first["start"], "stop": stop, "first_row": first_row, **entry}, size))
        whole.pop("listed", None)  # a file is missed once

    for piece in (Piece(*fields) for fields in pieces):
        if size and size + piece.bytes > unit_bytes:
            close()
            first_row, rows, size, first = first_row + rows, 0, 0, {}
        first = first or piece._asdict()
        stop = piece.stop
        rows += piece.rows
        size += piece.bytes
    close()
    return slices
