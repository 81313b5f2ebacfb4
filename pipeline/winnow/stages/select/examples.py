"""Reading the user's example files: as sources are read, and normalised as the corpus is.

Rows that cannot be read are listed in an output ``unreadable`` and counted; the rest is used. A file that cannot be
read to its end is noted under ``faults``, and the run refuses to go on: half a file is not what the user pointed at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Workspace
from winnow.errors import InputError
from winnow.select.step_configs import ExamplesConfig
from winnow.sources.catalogue import InputFile, build_catalogue, list_inputs
from winnow.sources.read import format_of, read_slice
from winnow.stages.ingest.notes import note_readable, note_unreadable
from winnow.stages.ingest.slices import parse_slice, plan_measure
from winnow.stages.tables import parquet_output
from winnow.stages.versions import library_versions
from winnow.storage.config import StorageConfig
from winnow.storage.store import Store
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser


def list_examples(
    sets: Mapping[str, ExamplesConfig], storage: StorageConfig | None = None, left_out: Sequence[str] = ()
) -> dict[str, list[str]]:
    """The files of every set, keyed by the setting that names it; none of ``left_out``, folders that runs write.

    Raises:
        InputError: a path names nothing, a file stands in two of these sets, or nobody can tell what a file holds.
    """
    listed: dict[str, list[str]] = {}
    for setting, config in sets.items():
        source = config.source(setting)
        try:
            listed |= list_inputs({setting: list(source.paths)}, storage, left_out)
            for path in listed[setting]:
                format_of(path, source)
        except (InputError, ValueError) as error:
            raise InputError(f"{setting}: {error}") from error
    list_inputs(listed, storage)  # once more, all together: no file twice
    return listed


def plan_examples(
    sets: Mapping[str, ExamplesConfig], store: Store, unit_bytes: int, left_out: Sequence[str] = ()
) -> list[Unit]:
    """Units over all files of the sets, named by their path, size and time; their numbers are their own."""
    files: list[InputFile] = build_catalogue(store, list_examples(sets, store.storage, left_out), save=False)
    numbered = [replace(file, number=number) for number, file in enumerate(files)]
    sources = {setting: config.source(setting) for setting, config in sets.items()}
    return plan_measure(numbered, sources, [], unit_bytes)


def reading_settings(normalise: NormaliseConfig) -> Json:
    """What the texts depend on besides the files."""
    versions = library_versions("ftfy", "pyarrow", "unicodedata")
    return {"normalise": normalise.model_dump(), "versions": versions}


def read_examples(unit: Unit, workspace: Workspace) -> Iterator[tuple[str, NDArray[np.uint64], pa.Array]]:
    """Normalised texts, batch by batch: setting, docs uint64[B], texts large_string[B]."""
    config = NormaliseConfig.model_validate_json(orjson.dumps(workspace.settings["normalise"]))
    normalise = Normaliser(config)
    workspace.metadata["faults"] = []
    with parquet_output(workspace, "unreadable", schemas.UNREADABLE_RECORDS) as unreadable:
        for fields in unit.inputs["slices"]:
            file_slice, source = parse_slice(fields)
            for batch in read_slice(file_slice, source, workspace.store.open_input, workspace.runtime["batch_bytes"]):
                note_unreadable(unreadable, workspace, file_slice, batch.unreadable)
                faults = [bad.reason for bad in batch.unreadable if bad.row is None]
                workspace.metadata["faults"] += [[source.name, file_slice.path, reason] for reason in faults]
                if len(batch.rows):
                    note_readable(workspace, file_slice, source, batch)
                    workspace.count(f"read/{source.name}", len(batch.rows))
                    docs = schemas.document_numbers(file_slice.file, batch.rows)
                    yield source.name, docs, normalise(batch.texts).texts


def has_fault(record: Record) -> bool:
    """Whether a file could not be read to its end; it is looked at again, since the cause may have gone."""
    return bool(record.metadata["faults"])


def check_faults(records: list[Record]) -> None:
    """Refuse files that could not be read to their end.

    Raises:
        InputError: some could not.
    """
    for record in records:
        for setting, path, reason in record.metadata["faults"]:
            raise InputError(f"{setting}: {path} cannot be read to its end: {reason}; mend the file, or name another")
