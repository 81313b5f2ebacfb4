"""Clean text beside the shards: which columns, in which order, in which files."""

from winnow import schemas
from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.flow.columns import column_tables, find_column
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.shards.documents.config import DocumentsConfig
from winnow.shards.manifest import file_entry, json_bytes
from winnow.stages.documents import shuffle, write
from winnow.stages.documents.columns import Column, schema_of
from winnow.stages.shards import layout
from winnow.stages.shards.shard_set import folder_of

MANIFEST = "winnow-documents-1"


def document_columns(config: Config, documents: DocumentsConfig) -> list[Column]:
    """The columns asked for, and where each stands.

    Raises:
        ConfigError: there is no such column in a run of this config.
    """
    return [find_column(config, name, "documents.columns") for name in documents.columns]


def write_documents(context: RunContext) -> None:
    """Gather, shuffle where asked for, and write."""
    run, engine, config = context.run, context.engine, context.config
    settings = config.documents
    assert settings is not None
    columns = document_columns(config, settings)
    if not run.parts:
        return
    names, formats = config.shards.split_names, sorted(settings.formats)
    tables = column_tables(context, {column.table for column in columns})
    schema = schema_of(run.store, columns, tables[0])
    sizes = [part.text_bytes for part in run.parts]
    writing = write.stage(columns, schema, formats, names, settings.order, config.key_id)
    if settings.order == "input":
        engine.run(writing, write.plan_parts(writing, tables, sizes))
        return
    shards = _files(run, settings)
    shuffling = shuffle.stage(columns, schema, config.shards.seed, config.shards.epoch, names)
    shuffled = engine.run(shuffling, shuffle.plan(tables, sizes, shards))
    rows = engine.listing(shuffling, shuffled, "rows")
    laying_out = shuffle.layout_stage()
    laid_out = engine.run(laying_out, layout.plan(rows, sum(shards), len(shuffled)))
    exchange: Json = {"rows": rows, "extents": engine.listing(laying_out, laid_out, "extents")}
    if any("edits" in named for named in tables):
        exchange["edits"] = write.edits_hash(tables)
    engine.run(writing, write.plan_shuffled(writing, exchange, shards, sum(sizes)))


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
        **({"encryption": run.config.storage.encryption.described} if run.config.storage.encryption else {}),
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
