"""The global shuffle, rows, shard files and their indexes."""

import shlex
from dataclasses import asdict

from winnow.engine.records import Json, content_hash
from winnow.errors import ConfigError
from winnow.flow.alarm import Alarm
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.row_accounting import by_section, row_accounting, row_balances, section_names
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.shards.config import ShardsConfig
from winnow.shards.formats.formats import indexed
from winnow.stages.shards import layout, row_groups, shard_index, shards, shuffle
from winnow.stages.shards.shard_set import folder_of, format_entries, written_shards
from winnow.tokens.marks import MARK

_ROW_LOSSES = {
    "split_documents": "documents split over rows",
    "truncated_documents": "documents lost a part",
    "dropped_documents": "documents are in no row",
    "dropped_tokens": "tokens dropped",
    "repeated_tokens": "tokens repeated",
}


def shuffle_and_shard(context: RunContext) -> None:
    """Shuffle, lay out, count rows where they depend on packing, write shards and indexes.

    Raises:
        ConfigError: no row comes out of split train, although it has tokens.
    """
    engine, run, config = context.engine, context.run, context.config.shards
    assert context.vocabulary is not None
    id_bytes = context.id_dtype.itemsize
    shuffling = shuffle.stage(config.seed, config.epoch, config.split_names, config.phase_names)
    shuffled_bytes = id_bytes if context.config.marks is None else MARK.itemsize
    labelled = None
    if run.labels is not None:
        labelled = [{"documents": part.documents, "labels": run.labels.table} for part in run.parts]
    partition_mb, phases = context.sizes.partition_mb, run.of("mixture") if config.phases else None
    units = shuffle.plan(run.of("tokenise"), run.ledger, shuffled_bytes, partition_mb, labelled, phases=phases)
    shuffled = engine.run(shuffling, units)
    if not units:
        return
    partitions = units[0].inputs["partitions"]
    rows = engine.listing(shuffling, shuffled, "rows")
    laying_out = layout.stage()
    laid_out = engine.run(laying_out, layout.plan(rows, partitions * len(section_names(config)), len(shuffled)))
    exchange = {"rows": rows, "extents": engine.listing(laying_out, laid_out, "extents")}
    if context.config.documents is None or "tokens" not in context.config.documents.columns:
        context.release(("tokenise", "tokens"))
    run.layout = {"exchange": exchange, "partitions": partitions}
    tokens, documents = (by_section(run, what) for what in ("tokens", "documents"))
    group_rows = None
    if config.packs_by_groups:
        counting = row_groups.stage(config.row_settings, config.row_tokens)
        counted = engine.run(counting, row_groups.plan(config.row_settings, documents, exchange, partitions))
        group_rows = [row_groups.rows_of_groups(counted, section) for section in range(len(documents))]
    sharding = shards.stage(
        config, context.vocabulary, context.config.marks, labelled=labelled is not None, key_id=context.config.key_id
    )
    first_tokens = layout.first_tokens(laid_out, partitions)
    units = shards.plan(sharding, config, tokens, id_bytes, exchange, first_tokens, group_rows)
    of_train = [f"phase {name}" for name in config.phase_names] or [f"split {config.split_names[0]}"]
    for section, name in enumerate(of_train):
        if tokens[section] and not any(unit.inputs["split"] == section for unit in units):
            raise ConfigError(
                f"row: {config.row} makes no row of {config.row_tokens:,} tokens of {name}, out of "
                f"{documents[section]:,} documents with {tokens[section]:,} tokens; {_rather(config)}"
            )
    engine.run(sharding, units)
    _index_shards(context, id_bytes)


def _rather(config: ShardsConfig) -> str:
    """What to set where no document makes a row."""
    if config.row == "best_fit":  # there is a row for every document but those that are dropped
        return "all are longer than a row: raise shards.sequence_tokens, or set best_fit.long_documents to split"
    return "lower shards.sequence_tokens, or choose another row"


def _index_shards(context: RunContext, id_bytes: int) -> None:
    """One index file for each split, in the formats that have one."""
    engine, config, written = context.engine, context.config.shards, context.run.of("shards")
    wanted = indexed(config.ordered_formats)
    if not wanted or not written:
        return
    indexing = shard_index.stage(id_bytes, wanted)
    listings: dict[tuple[int, str], Json] = {}
    for split, name in enumerate(config.split_names):
        for kind in wanted:
            entries = shard_index.shard_entries(written, config.sections_of(split), kind)
            if entries:
                listings[split, kind] = engine.publish_list(indexing, f"{kind}-{name}", entries)
    folder = folder_of(next(iter(written[0].outputs.values())).path)
    engine.run(
        indexing,
        shard_index.plan(folder, wanted, config.split_names, listings, encrypted=context.config.key_id is not None),
    )


def shards_folder(run: RunRecords) -> str:
    """Folder of the shard set; named by the shards stage, and by its inputs where there are no shards."""
    written = run.of("shards")
    if written:
        return folder_of(next(iter(written[0].outputs.values())).path)
    named = [*run.config.shards.split_names, *(record.key for record in run.ledger)]
    return f"shards/{content_hash(named, 16)}"


def described_files(run: RunRecords) -> dict[str, dict[str, Json]]:
    """By format and split, the files of the shard set."""
    folder, config = shards_folder(run), run.config.shards
    indexes = {(r.metadata["format"], r.metadata["split"]): r.outputs["index"] for r in run.of("shard_index")}
    return {
        name: {
            split: format_entries(
                folder, name, written_shards(run.of("shards"), config.sections_of(number)), indexes.get((name, number))
            )
            for number, split in enumerate(config.split_names)
        }
        for name in config.ordered_formats
    }


def _manifest(run: RunRecords) -> ManifestPart:
    assert run.vocabulary is not None
    described = described_files(run)
    main, *others = described
    packed = row_accounting(run)
    splits = {
        name: {
            "documents": run.total("shuffle", f"documents/{name}"),
            "tokens": run.total("shuffle", f"tokens/{name}"),
            **packed[name],
            **described[main][name],
        }
        for name in run.config.shards.split_names
    }
    if run.config.shards.phases:
        splits["train"]["phases"] = _phases(run)
    encryption = run.config.storage.encryption
    top = {
        "shards": {
            "format": main,
            "formats": {name: described[name] for name in others},
            "row": run.config.shards.row,
            "sequence_tokens": run.config.shards.sequence_tokens,
            "row_tokens": run.config.shards.row_tokens,
            "columns": run.vocabulary.columns,
            "dtype": run.vocabulary.dtype,
        },
        "vocabulary": {
            name: value for name, value in asdict(run.vocabulary).items() if name not in ("columns", "dtype")
        },
        **({"encryption": encryption.described} if encryption else {}),
    }
    return ManifestPart(top=top, splits=splits)


def _phases(run: RunRecords) -> list[Json]:
    """The phases of split train in order: where each begins, by row, token (padding apart) and shard, and its size."""
    told, ends = [], {"row": 0, "token": 0, "shard": 0}
    for section, name in enumerate(run.config.shards.phase_names):
        written = written_shards(run.of("shards"), [section])
        first = {f"first_{what}": at for what, at in ends.items()}
        rows = sum(next(iter(shard.outputs.values())).rows for shard in written)
        tokens = sum(shard.tokens for shard in written)
        documents = by_section(run, "documents")[section]
        told.append(
            {"name": name, **first, "rows": rows, "tokens": tokens, "shards": len(written), "documents": documents}
        )
        ends = {"row": ends["row"] + rows, "token": ends["token"] + tokens, "shard": ends["shard"] + len(written)}
    return told


def _balances(run: RunRecords) -> list[Balance]:
    copies = run.total(run.ledger_stage, "copies")
    shuffled = {what: run.total("shuffle", what) for what in ("documents", "tokens")}
    in_splits = {what: sum(run.totals("shuffle", what).values()) for what in shuffled}
    return [
        Balance("documents shuffled against copies of kept", copies, shuffled["documents"]),
        Balance("documents of all splits against shuffled", shuffled["documents"], in_splits["documents"]),
        Balance("tokens of all splits against shuffled", shuffled["tokens"], in_splits["tokens"]),
        *row_balances(run),
    ]


def _summary(run: RunRecords) -> list[str]:
    lines = [
        f"phase {phase['name']}: {phase['rows']:,} rows from row {phase['first_row']:,} of split train, with "
        f"{phase['tokens']:,} tokens of {phase['documents']:,} documents, in {phase['shards']:,} shards"
        for phase in (_phases(run) if run.config.shards.phases else ())
    ]
    for name, books in row_accounting(run).items():
        losses = [f"{books[loss]:,} {what}" for loss, what in _ROW_LOSSES.items() if books[loss]]
        if losses:
            lines.append(f"rows of {name}: {', '.join(losses)}")
    return lines


def _alarms(run: RunRecords) -> list[Alarm]:
    """A split train of which nothing came, although something was read."""
    records = sum(sum(run.totals("measure", kind).values()) for kind in ("readable", "unreadable"))
    of_train = run.config.shards.sections_of(0)
    if not records or any(record.metadata["split"] in of_train for record in run.of("shards")):
        return []
    what = f"no document is left for the split {run.config.shards.split_names[0]}, so there are no shards of it"
    do = f"look with `winnow dropped {shlex.quote(run.config.run)}` what became of them"
    return [Alarm("split", run.config.shards.split_names[0], what, do)]


def _stages(context: RunContext) -> list[str]:
    config = context.config.shards
    names = {
        "shuffle": True,
        "layout": True,
        "row_counts": config.packs_by_groups,
        "shards": True,
        "shard_index": bool(indexed(config.formats)),
    }
    return [name for name, there in names.items() if there]


STEP = Step(
    name="shards",
    run=shuffle_and_shard,
    stages=_stages,
    part_work=PartWork(files=1, records=1, opens=2),
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
    alarms=_alarms,
)
