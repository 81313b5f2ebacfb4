"""Files of clean text: from the shuffle, or part by part in the order of the inputs."""

import numpy as np
import pyarrow as pa

from winnow.engine.exchange_extents import read_extents, read_rows
from winnow.engine.records import Json, Output, Unit, content_hash
from winnow.engine.stage import Stage, Workspace
from winnow.shards.documents.cells import from_cells
from winnow.shards.documents.formats import TEXT_FORMATS
from winnow.stages.documents.columns import Column, arrow_schema, read_part
from winnow.stages.shards.shard_files import KEY, encrypts
from winnow.stages.shards.stream import read_payload
from winnow.stages.tables import read_listing
from winnow.stages.versions import library_versions
from winnow.storage.encrypted_names import SUFFIX


def stage(
    columns: list[Column],
    schema: list[list[str]],
    formats: list[str],
    splits: list[str],
    order: str,
    key_id: str | None = None,
) -> Stage:
    """One unit a file of each format, or with `order: input` one a part; ``key_id`` is of the key that encrypts."""
    found = [TEXT_FORMATS.get(name) for name in formats]
    origins = {name: origin for name in formats if (origin := TEXT_FORMATS.origin(name)) is not None}
    settings = {
        "columns": [list(column) for column in columns],
        "schema": schema,
        "formats": formats,
        "splits": splits,
        "order": order,
        "versions": library_versions(*sorted({package for each in found for package in each.packages})),
        **({"code": origins} if origins else {}),
        **({KEY: key_id} if key_id else {}),
    }
    return Stage("document_shards", 1, settings, run)


def plan_shuffled(writing: Stage, exchange: Json, shards: list[int], text_bytes: int) -> list[Unit]:
    """One unit a file.

    ``exchange`` names two listings, the shuffle's files (``rows``) and their ``extents``, and has a hash of all
    ``edits`` if there are any.
    """
    splits = writing.settings["splits"]
    named = [writing.fingerprint, exchange["extents"]["hash"], splits]
    if "edits" in exchange:
        named.append(exchange["edits"])
    folder = f"documents/{content_hash(named, 16)}"
    units: list[Unit] = []
    for split, files in enumerate(shards):
        for number in range(files):
            place = {"folder": folder, "split": split, "name": f"{splits[split]}-{number:05d}-of-{files:05d}"}
            inputs = {"place": place, "partition": len(units), "exchange": exchange}
            units.append(Unit(len(units), inputs, text_bytes // max(1, sum(shards))))
    return units


def plan_parts(writing: Stage, tables: list[Json], text_bytes: list[int]) -> list[Unit]:
    """One unit a part, with a file for each split that the part has documents of."""
    named = [writing.fingerprint, content_hash([part["decisions"]["hash"] for part in tables], 16)]
    if any("edits" in part for part in tables):
        named.append(edits_hash(tables))
    folder = f"documents/{content_hash(named, 16)}"
    return [
        Unit(number, {**part, "place": {"folder": folder, "name": f"part-{number:05d}"}}, size)
        for number, (part, size) in enumerate(zip(tables, text_bytes, strict=True))
    ]


def edits_hash(tables: list[Json]) -> str:
    """Of all edits of all parts: texts with other edits are other files, even where they are as long."""
    return content_hash([[edits["hash"] for edits in part.get("edits", [])] for part in tables], 16)


def run(unit: Unit, workspace: Workspace) -> None:
    """Read documents in their order and write them in every format."""
    settings, place = workspace.settings, unit.inputs["place"]
    schema = arrow_schema(settings["schema"])
    if settings["order"] == "global":
        with workspace.timed("read"):
            table = _shuffled(workspace, unit.inputs, schema)
        _write(workspace, table, place, settings["splits"][place["split"]], place["name"])
        return
    with workspace.timed("read"):
        part = read_part(workspace.store, unit.inputs, [Column(*c) for c in settings["columns"]], schema)
    for split in settings["splits"]:
        mine = part.split == split
        if mine.any():
            _write(workspace, part.table.filter(pa.array(mine)), place, split, f"{split}-{place['name']}")


def _shuffled(workspace: Workspace, inputs: Json, schema: pa.Schema) -> pa.Table:
    store, partition = workspace.store, inputs["partition"]
    paths = [entry["path"] for entry in read_listing(store, inputs["exchange"]["rows"])]
    extents = read_extents(
        store, read_listing(store, inputs["exchange"]["extents"]), len(paths), partition, partition + 1
    )
    columns, files, bytes_at = read_rows(store, paths, extents)
    order = np.lexsort((columns["doc"], columns["key_low"], columns["key_high"]))
    columns = {name: values[order] for name, values in columns.items()}
    stretches, starts = read_payload(
        store, paths, np.dtype(np.uint8), files[order], bytes_at[order], columns["length"].astype(np.int64)
    )
    return from_cells(schema, columns, stretches, starts)


def _write(workspace: Workspace, table: pa.Table, place: Json, split: str, name: str) -> None:
    for number, kind in enumerate(workspace.settings["formats"]):
        TEXT_FORMATS.check_origin(kind, workspace.settings.get("code", {}).get(kind))
        chosen = TEXT_FORMATS.get(kind)
        encrypted, inside = encrypts(workspace.store, workspace.settings), chosen.write_encrypted
        path = f"{place['folder']}/{name}{chosen.suffix}" + (SUFFIX if encrypted and inside is None else "")
        with workspace.timed(f"write_{kind}"), workspace.store.create(path, "sha256", once=encrypted) as draft:
            if encrypted and inside is not None:
                inside(table, draft, workspace.store.encryption())
            else:
                chosen.write(table, draft)
        workspace.outputs[f"{split}/{number}"] = Output(path, draft.bytes, table.num_rows, draft.hash)
        workspace.store.drop_page_cache(path)
    workspace.count(f"documents/{split}", table.num_rows)
