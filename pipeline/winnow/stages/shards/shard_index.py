"""Index files over all shards of a split, for formats that want one (MDS, litdata), once all shards are committed."""

from collections.abc import Iterable

from winnow.engine.records import Json, Output, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.formats.formats import FORMATS, indexed
from winnow.stages.shards.shard_files import CONTENTS, outside_formats
from winnow.stages.tables import read_listing
from winnow.storage.encrypted_names import is_encrypted


def stage(id_bytes: int, formats: list[str]) -> Stage:
    """One index file a unit."""
    return Stage("shard_index", 1, {"id_bytes": id_bytes, **outside_formats(formats)}, run)


def shard_entries(sharded: list[Record], sections: list[int], file_format: str) -> list[Json]:
    """What the index says of each shard of a split, which has these sections, with the reference of the file, whose
    hash is that of its content."""
    return [
        {
            **record.outputs[file_format].reference(),
            **({"hash": record.metadata[CONTENTS][file_format]} if CONTENTS in record.metadata else {}),
            "entry": record.metadata[file_format],
        }
        for record in sharded
        if record.metadata["split"] in sections
    ]


def plan(
    folder: str,
    formats: Iterable[str],
    splits: list[str],
    listings: dict[tuple[int, str], Json],
    *,
    encrypted: bool = False,
) -> list[Unit]:
    """One unit for each split and format.

    Args:
        folder: of the shard set.
        formats: all that the run writes.
        splits: names.
        listings: by split number and format, where the list of :func:`shard_entries` is.
        encrypted: whether the shards are, and so these.
    """
    wanted = [(number, name, kind) for number, name in enumerate(splits) for kind in indexed(formats)]
    return [
        Unit(
            number,
            {
                "target": FORMATS.get(kind).index_path(folder, name, encrypted=encrypted),
                "format": kind,
                "split": split,
                "shards": listings[split, kind],
            },
        )
        for number, (split, name, kind) in enumerate(wanted)
        if (split, kind) in listings
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Join the entries of all shards."""
    inputs = unit.inputs
    shards = read_listing(workspace.store, inputs["shards"])
    chosen = FORMATS.get(inputs["format"])
    FORMATS.check_origin(chosen.name, workspace.settings.get("code", {}).get(chosen.name))
    assert chosen.index is not None
    content = chosen.index(
        [shard["entry"] for shard in shards], [shard["hash"] for shard in shards], workspace.settings["id_bytes"]
    )
    with workspace.store.create(inputs["target"], "sha256", once=is_encrypted(inputs["target"])) as draft:
        draft.write(content)
    workspace.outputs["index"] = Output(inputs["target"], draft.bytes, len(shards), draft.hash)
    workspace.metadata |= {"format": inputs["format"], "split": inputs["split"]}
