"""Clean text beside the shards: which columns, in which order, in which files."""

from winnow import schemas
from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.shards.documents.config import DocumentsConfig
from winnow.shards.manifest import file_entry, json_bytes
from winnow.stages.dedup.keepers import part_starts
from winnow.stages.documents import duplicates, shuffle, write
from winnow.stages.documents.columns import KEEP, Column, schema_of
from winnow.stages.shards.shard_set import folder_of
from winnow.text.signals.signals import SIGNALS

MANIFEST = "winnow-documents-1"
_PLACES = {
    **dict.fromkeys(("doc", "id", "text", "source"), "documents"),
    **dict.fromkeys(("split", "copies"), "decisions"),
    **dict.fromkeys(("language", *SIGNALS), "signals"),
    **{name: name for name in ("tokens", "duplicates")},
}
_RECORDS = {
    "tokens": ("tokenise", "tokens"),
    "scores": ("scores", "scores"),
    "screen_signals": ("screen_signals", "signals"),
}
"""Stage and output that tables stand in, those of `measure` apart."""
_SCORES = ("cluster", "centre_cosine", "quality", "importance")


def document_columns(config: Config, documents: DocumentsConfig) -> list[Column]:
    """The columns asked for, and where each stands.

    Raises:
        ConfigError: there is no such column in a run of this config.
    """
    places = dict(_PLACES)
    if config.select is not None:
        places |= dict.fromkeys(_SCORES, "scores")
    for gpu, table in ((False, "signals"), (True, "screen_signals")):
        places |= {column: table for entry in config.measure.operators_on(gpu=gpu) for column in entry.found.columns}
    kept = {name for source in config.sources for name in source.keep}
    found = []
    for name in documents.columns:
        if name in places:
            found.append(Column(name, places[name], name))
        elif (field := name.removeprefix(KEEP)) in kept:
            found.append(Column(name, "documents", KEEP + field))
        else:
            more = "" if config.select is not None else f" ({', '.join(_SCORES)} need `select`)"
            raise ConfigError(
                f"documents.columns: no column {name!r}; there are {', '.join(list(places)[:9])}, the fields that "
                f"sources `keep` ({', '.join(sorted(kept)) or 'none'}), and signals such as words or characters{more}"
            )
    return found


def write_documents(context: RunContext) -> None:
    """Gather, shuffle where asked for, and write."""
    run, engine, config = context.run, context.engine, context.config
    settings = config.documents
    assert settings is not None
    columns = document_columns(config, settings)
    if not run.parts:
        return
    names, formats = config.shards.split_names, sorted(settings.formats)
    tables = _tables(context, {column.table for column in columns})
    schema = schema_of(run.store, columns, tables[0])
    sizes = [part.text_bytes for part in run.parts]
    writing = write.stage(columns, schema, formats, names, settings.order)
    if settings.order == "input":
        engine.run(writing, write.plan_parts(writing, tables, sizes))
        return
    shards = _files(run, settings)
    shuffling = shuffle.stage(columns, schema, config.shards.seed, config.shards.epoch, names)
    shuffled = engine.run(shuffling, shuffle.plan(tables, sizes, shards))
    rows = engine.listing(shuffling, shuffled, "rows")
    (laid_out,) = engine.run(shuffle.layout_stage(), shuffle.plan_layout(rows, sum(shards), len(shuffled)))
    exchange: Json = {"rows": rows, "extents": laid_out.outputs["extents"].reference()}
    if any("edits" in named for named in tables):
        exchange["edits"] = write.edits_hash(tables)
    engine.run(writing, write.plan_shuffled(writing, exchange, shards, sum(sizes)))


def _tables(context: RunContext, wanted: set[str]) -> list[Json]:
    """By part, references to the tables that columns stand in."""
    run = context.run
    counted: Json | None = None
    if "duplicates" in wanted:
        counting = duplicates.stage()
        starts = context.engine.publish_list(counting, "starts", part_starts(run.parts))
        counts = context.engine.run(counting, duplicates.plan(run.ledger, starts))
        counted = context.engine.listing(counting, counts, "counts")
    tables: list[Json] = []
    for place, part in enumerate(run.parts):
        named: Json = {"documents": part.documents, "signals": part.signals}
        for table, (stage, output) in _RECORDS.items():
            if table in wanted:
                named[table] = run.of(stage)[place].outputs[output].reference()
        named = {table: reference for table, reference in named.items() if table in wanted}
        named["decisions"] = run.ledger[place].outputs["decisions"].reference()
        if "documents" in named and run.edits[place]:
            named["edits"] = run.edits[place]
        tables.append(named | ({} if counted is None else {"duplicates": counted, "part": place}))
    return tables


def _files(run: RunRecords, settings: DocumentsConfig) -> list[int]:
    """Files of each split: from the size of the text and the shares of the splits alone."""
    kept = run.totals(run.ledger_stage, "outcome").get(schemas.KEPT, 0)
    text = run.total("tokenise", "text_bytes") * kept / max(1, run.total("tokenise", "documents"))
    shares = [1 - sum(run.config.shards.splits.values()), *run.config.shards.splits.values()]
    return [max(1, -(-int(text * share) // (settings.shard_mb * 1_000_000))) for share in shares]


def written_documents(run: RunRecords) -> Json:
    """The manifest of the documents: columns, order, files of each split and format; empty where none were written."""
    written, settings = run.of("document_shards"), run.config.documents
    if not written or settings is None:
        return {}
    folder = folder_of(next(output.path for record in written for output in record.outputs.values()))
    formats = sorted(settings.formats)
    files: dict[str, dict[str, list[Json]]] = {kind: {} for kind in formats}
    for record in written:
        for name, output in record.outputs.items():
            split, number = name.rsplit("/", 1)
            entry = file_entry(output.path.removeprefix(f"{folder}/"), output.bytes, output.hash)
            files[formats[int(number)]].setdefault(split, []).append({**entry, "documents": output.rows})
    return {
        "format": MANIFEST,
        "folder": folder,
        "order": settings.order,
        "columns": list(settings.columns),
        "documents": run.totals("document_shards", "documents"),
        "files": files,
        "sources": {source.name: {"licence": source.licence} for source in run.config.sources},
    }


def _manifest(run: RunRecords) -> ManifestPart:
    described = written_documents(run)
    if not described:
        return ManifestPart()
    return ManifestPart(
        top={"documents": {name: described[name] for name in ("folder", "order", "columns", "documents")}}
    )


def _publishes(run: RunRecords) -> dict[str, bytes]:
    described = written_documents(run)
    return {f"{described['folder']}/manifest.json": json_bytes(described)} if described else {}


def _balances(run: RunRecords) -> list[Balance]:
    if not run.parts:
        return []
    kept = run.totals(run.ledger_stage, "outcome").get(schemas.KEPT, 0)
    written = run.totals("document_shards", "documents")
    balances = [Balance("documents written as text against kept", kept, sum(written.values()))]
    if kept == run.total(run.ledger_stage, "copies"):  # each once in the shards: split by split, too
        balances += [
            Balance(
                f"documents of split {name} written as text against those in its shards",
                run.total("shuffle", f"documents/{name}"),
                written.get(name, 0),
            )
            for name in run.config.shards.split_names
        ]
    return balances


def _summary(run: RunRecords) -> list[str]:
    described = written_documents(run)
    if not described:
        return []
    documents = ", ".join(f"{name} {number:,}" for name, number in described["documents"].items())
    size = sum(file["bytes"] for splits in described["files"].values() for files in splits.values() for file in files)
    where = run.store.location(described["folder"])
    return [f"clean text: {documents} documents, {size / 1e6:,.1f} MB as {', '.join(described['files'])}: {where}"]


def _stages(context: RunContext) -> list[str]:
    settings = context.config.documents
    assert settings is not None
    counted = ["duplicate_counts"] if "duplicates" in settings.columns else []
    moved = ["document_shuffle", "document_layout"] if settings.order == "global" else []
    return [*counted, *moved, "document_shards"]


def _enabled(config: Config) -> bool:
    return config.documents is not None


def _check(config: Config) -> None:
    if config.documents is not None:
        document_columns(config, config.documents)


STEP = Step(
    name="documents",
    run=write_documents,
    stages=_stages,
    enabled=_enabled,
    check=_check,
    part_work=PartWork(files=1, records=1, opens=3),
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
    publishes=_publishes,
)
