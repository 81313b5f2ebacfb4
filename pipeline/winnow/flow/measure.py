"""From files to measured documents: what is read, cleaned and measured once."""

from winnow.config.config import Config
from winnow.dedup.config import DedupConfig
from winnow.engine.quarantine import quarantined_documents
from winnow.engine.records import Json, Record, Unit
from winnow.flow.context import RunContext
from winnow.flow.hub_sources import commits_read, hub_lines
from winnow.flow.operators import check_classes, operator_balances, operator_counts, operator_lines
from winnow.flow.reading import reading_alarms, reading_manifest
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.flow.surroundings import met_now
from winnow.flow.unreadable import check_unreadable
from winnow.operators.files import publish
from winnow.sources.catalogue import InputFile, build_catalogue
from winnow.sources.stored_file import TRANSIENT_ERRORS
from winnow.stages.ingest import afar, boilerplate, line_removal, lines, measure, slices
from winnow.stages.ingest.extractors import publish_extractors
from winnow.stages.tables import Compression, read_parquet
from winnow.storage.address import is_url
from winnow.text.language.codes import NO_LANGUAGE, UNDETERMINED
from winnow.text.lines.config import LinesConfig


def measure_documents(context: RunContext) -> None:
    """Catalogue, count, boilerplate lines where asked for, measure.

    Raises:
        InputError: a file went away.
        ConfigError: the class of an operator cannot be made.
        UnreadableShareError: more cannot be read than the config allows.
    """
    config, engine, run = context.config, context.engine, context.run
    sources = {source.name: source for source in config.sources}
    inputs = context.inputs if context.index is None else context.index.new_inputs(context.inputs)
    run.files = build_catalogue(engine.store, inputs, save=not engine.dry)
    run.found = getattr(context.inputs, "told", {})
    unit_bytes = context.sizes.unit_mb * 1_000_000

    told = afar.ask(run.files, sources, unit_bytes, engine.store, save=not engine.dry)
    counted = engine.run(slices.count_stage(), slices.plan_count(run.files, sources, unit_bytes, told))
    minhash = (config.dedup or DedupConfig()).minhash
    runtime = {
        "batch_bytes": batch_bytes(config.compute.worker_memory_mb),
        "part_bytes": unit_bytes,
        "text_compression": text_compression(config),
    }
    lines_config = config.dedup.lines if config.dedup else None
    if not engine.dry:
        publish(engine.store, config.measure.named_files)
        publish_extractors(config.sources, engine.store)
    quarantined = quarantined_documents(engine.store, met_now(config, engine.surroundings))
    planned = slices.plan_measure(run.files, sources, counted, unit_bytes, quarantined)
    if lines_config:
        planned = _find_boilerplate(context, planned, lines_config, runtime)
    on_cpu = config.measure.model_copy(update={"operators": config.measure.operators_on(gpu=False)})
    measuring = measure.stage(on_cpu, minhash, lines_config, runtime)
    if not engine.dry and not engine.is_done(measuring, planned):
        check_classes(config)
    engine.run(measuring, planned, recompute_if=had_transient_error)
    check_unreadable(run)


def text_compression(config: Config) -> Compression:
    """How the run keeps its texts: small where the disk is short or behind a network, else fast."""
    return "zstd" if config.compute.keep == "needed" or is_url(config.run) else "lz4"


def _find_boilerplate(context: RunContext, units: list[Unit], config: LinesConfig, runtime: Json) -> list[Unit]:
    """Lines, boilerplate, boilerplate_set; returns measure's units with the boilerplate of their sources."""
    engine = context.engine
    counting = lines.stage(config, context.config.measure.normalise, runtime)
    counted = engine.run(counting, lines.plan(units, config.sources), recompute_if=had_transient_error)
    by_source = boilerplate.counts_by_source(counted)
    listings = {source: engine.publish_list(counting, "lines", entries) for source, entries in by_source.items()}
    rows = {source: sum(entry["rows"] for entry in entries) for source, entries in by_source.items()}

    reducing = boilerplate.stage(config.max_documents)
    reduced = engine.run(reducing, boilerplate.plan(listings, rows, context.sizes.partition_mb))
    ranges = {source: [r for r in reduced if r.metadata["source"] == source] for source in by_source}
    kept = {source: engine.listing(reducing, records, "boilerplate") for source, records in ranges.items()}
    found = engine.run(boilerplate.set_stage(), boilerplate.plan_set(kept, reduced))
    return line_removal.with_boilerplate(units, boilerplate.sets_by_source(found))


def had_transient_error(record: Record) -> bool:
    """Whether a measured unit met a fault of the surroundings, which may be gone without a trace in the file."""
    return any(record.counters.get(f"unreadable_reason/{kind}") for kind in TRANSIENT_ERRORS)


def files_read(run: RunRecords) -> list[InputFile]:
    """Files that later runs of an index need not read: all but those that met a fault of the surroundings."""
    failed: set[str] = set()
    for record in filter(had_transient_error, run.of("measure")):
        table = read_parquet(run.store, record.outputs["unreadable"].reference(), ["path", "reason"])
        failed |= {row["path"] for row in table.to_pylist() if row["reason"].split(":")[0] in TRANSIENT_ERRORS}
    return [file for file in run.files if file.path not in failed]


def batch_bytes(worker_memory_mb: int) -> int:
    """Text of one batch: a 64th of the worker's memory, because a batch exists in about 20 forms at once.

    No more than 8 MB: what malloc keeps for the next batch (``keep_freed_memory``) is no larger than 32 MB apiece, and
    some forms are four times the text. Larger ones cost a tenth of a run, which the system spent on clearing pages.
    """
    return min(8_000_000, worker_memory_mb * 1_000_000 // 64)


def removed_lines(run: RunRecords) -> dict[str, dict[str, int]]:
    """By source: lines, characters and bytes removed as boilerplate, documents that lost some, documents emptied."""
    if not (run.config.dedup and run.config.dedup.lines):
        return {}
    counts = {source.name: run.totals("measure", f"boilerplate/{source.name}") for source in run.config.sources}
    return {source: numbers for source, numbers in counts.items() if numbers}


def lines_by_rule(run: RunRecords) -> dict[str, Json]:
    """By source: ``bytes_read``, ``bytes`` (gone), ``documents`` that lost some, ``emptied``, and ``lines`` and
    ``bytes_by_rule`` of each rule."""
    if run.config.measure.line_rules is None:
        return {}
    found: dict[str, Json] = {}
    for source in run.config.sources:
        counts: Json = run.totals("measure", f"line_rules/{source.name}")
        if not counts:
            continue
        by_rule: dict[str, Json] = {"lines": {}, "bytes": {}}
        for name in [name for name in counts if "/" in name]:
            kind, _, rule = name.partition("/")
            by_rule[kind][rule] = counts.pop(name)
        found[source.name] = {**counts, "lines": by_rule["lines"], "bytes_by_rule": by_rule["bytes"]}
    return found


def _line_rules(run: RunRecords) -> list[str]:
    """A line for each source that line rules took something from."""
    told = []
    for source, counts in lines_by_rule(run).items():
        if not counts["bytes"]:
            continue
        most = sorted(counts["lines"].items(), key=lambda item: (-item[1], item[0]))
        rules = ", ".join(f"{rule} {n:,} ({counts['bytes_by_rule'][rule]:,} bytes)" for rule, n in most if n)
        share = counts["bytes"] / max(1, counts["bytes_read"])
        told.append(
            f"line rules, source {source}: {counts['bytes']:,} bytes ({share:.1%}) are gone from "
            f"{counts['documents']:,} documents, {counts['emptied']:,} of them empty now; lines: {rules}"
        )
    return told


def _stages(context: RunContext) -> list[str]:
    lines_on = context.config.dedup is not None and context.config.dedup.lines is not None
    return ["count", *(("lines", "boilerplate", "boilerplate_set") if lines_on else ()), "measure"]


def _balances(run: RunRecords) -> list[Balance]:
    readable = sum(run.totals("measure", "readable").values())
    rows = Balance("rows of all parts against readable documents", readable, sum(part.rows for part in run.parts))
    return [rows, *operator_balances(run)]


def _manifest(run: RunRecords) -> ManifestPart:
    operators = operator_counts(run)
    by_source = reading_manifest(run)
    for name, numbers in removed_lines(run).items():
        by_source.setdefault(name, {})["boilerplate"] = numbers
    for name, commits in commits_read(run).items():
        by_source.setdefault(name, {})["hub"] = commits
    for name, counts in lines_by_rule(run).items():
        by_source.setdefault(name, {})["line_rules"] = counts
    return ManifestPart(top={"operators": operators} if operators else {}, sources=by_source)


def _summary(run: RunRecords) -> list[str]:
    checked = f"signatures checked against datasketch on {run.total('measure', 'signatures_checked'):,} documents"
    cjk = run.total("measure", "normalise_cjk_documents")
    kept = (
        f"{cjk:,} documents in Chinese, Japanese or Korean keep full-width forms and curly quotes (measure.normalise: "
        "fix_character_width and uncurl_quotes are auto)"
    )
    told = [*hub_lines(run), *_uncut(run), *_repaired(run), *_line_rules(run), *([kept] if cjk else [])]
    return [*told, *_languages(run), *operator_lines(run, gpu=False), checked]


def _languages(run: RunRecords) -> list[str]:
    """Which model named the languages, and of how many documents it could not."""
    config = run.config.measure.language
    if config.model is None:
        return []
    unsure, none = (run.total("measure", f"language_by_model/{code}") for code in (UNDETERMINED, NO_LANGUAGE))
    told = f"languages by {config.model.rpartition('/')[2]} (SHA-256 {config.pinned})"
    least = f", less probable than {config.min_probability:g}" if config.min_probability else ""
    return [f"{told}: {unsure:,} documents are {UNDETERMINED} (undetermined{least}), {none:,} {NO_LANGUAGE} (none)"]


def _uncut(run: RunRecords) -> list[str]:
    """A line for each reason why large files were not read in parts."""
    by_reason: dict[str, list[str]] = {}
    for record in run.of("count"):
        if "fault" in record.metadata:
            by_reason.setdefault(record.metadata["fault"], []).append(record.metadata["path"])
    return [
        f"{len(paths):,} large files were read by one worker each, such as {paths[0]}: {reason}"
        for reason, paths in sorted(by_reason.items())
    ]


def _repaired(run: RunRecords) -> list[str]:
    """How much of the text is not what the files hold."""
    changed = run.total("measure", "normalise_documents_changed")
    readable = sum(run.totals("measure", "readable").values())
    if not changed:
        return []
    what = "contents of messages and pairs" if all(s.structure_fields for s in run.config.sources) else "documents"
    of = f" of {readable:,}" if not any(source.structure_fields for source in run.config.sources) else ""
    by_ftfy = run.total("measure", "normalise_ftfy_bytes") / 1e6
    return [f"text repair changed {changed:,}{of} {what}; {by_ftfy:,.1f} MB needed ftfy itself"]


STEP = Step(
    name="measure",
    run=measure_documents,
    stages=_stages,
    part_work=PartWork(files=3),
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
    alarms=reading_alarms,
)
