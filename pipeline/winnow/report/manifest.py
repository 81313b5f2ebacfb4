"""The manifest: what a shard set holds, where it came from, and how many records became what."""

from typing import Any

from winnow import schemas
from winnow.config.config import WITHOUT_RESULT
from winnow.engine.records import Json
from winnow.flow.columns import licence_fields
from winnow.flow.flow import STEPS, enabled_steps
from winnow.flow.records import RunRecords
from winnow.shards.documents.formats import TEXT_FORMATS
from winnow.shards.manifest import manifest_bytes
from winnow.sources.read import format_of
from winnow.sources.readers.registry import READERS
from winnow.stages.versions import format_versions, library_versions


def manifest_of(run: RunRecords) -> bytes:
    """The manifest's bytes; equal for a run at work and for the same run read back from its folder."""
    unreadable = run.totals("measure", "unreadable")
    outcomes = outcomes_of(run)
    files, own = _file_ranges(run), licence_fields(run.config)
    sources: dict[str, Json] = {
        source.name: {
            "licence": source.licence,
            "own_licences": any(field in source.keep for field in own),
            "files": files[source.name],
            "weight": source.weight,
            "outcomes": {
                **run.totals(run.ledger_stage, f"source/{source.name}"),
                schemas.UNREADABLE: unreadable.get(source.name, 0),
            },
            "tokens": run.total("tokenise", f"source_tokens/{source.name}"),
        }
        for source in run.config.sources
    }
    manifest: Json = {
        "books": {"records": sum(outcomes.values()), "outcomes": outcomes},
        "config": run.config.model_dump(mode="json", exclude={"run", *WITHOUT_RESULT}),
        "versions": library_versions(
            "winnow-corpus", "ftfy", "py3langid", "gigatoken", "tiktoken", "pyarrow", "unicodedata"
        )
        | _outside_packages(run),
    }
    splits: dict[str, Json] = {}
    for step in enabled_steps(run.config):
        part = step.manifest(run)
        manifest |= part.top
        _add(sources, part.sources)
        _add(splits, part.splits)
    manifest["shards"]["splits"] = splits
    return manifest_bytes({**manifest, "sources": sources})


def _outside_packages(run: RunRecords) -> dict[str, str]:
    """Packages that brought an input, shard or text format or a step of the run, with their versions."""
    sources = {source.name: source for source in run.config.sources}
    read = {format_of(file.path, sources[file.source]) for file in run.files}
    found = {name: READERS.origin(name) for name in sorted(read)}
    readers = {f"input format {name}": origin["package"] for name, origin in found.items() if origin is not None}
    steps = {f"step {name}": origin["package"] for name in run.config.steps if (origin := STEPS.origin(name))}
    asked = run.config.documents.formats if run.config.documents else ()
    texts = {f"text format {name}": origin["package"] for name in asked if (origin := TEXT_FORMATS.origin(name))}
    return readers | format_versions(run.config.shards.formats) | steps | texts


def _file_ranges(run: RunRecords) -> dict[str, list[list[int]]]:
    """By source, ranges of the numbers of its files: the first 32 bits of its documents' numbers."""
    ranges: dict[str, list[list[int]]] = {source.name: [] for source in run.config.sources}
    for file in sorted(run.files, key=lambda file: file.number):
        mine = ranges[file.source]
        if mine and mine[-1][1] == file.number - 1:
            mine[-1][1] = file.number
        else:
            mine.append([file.number, file.number])
    return ranges


def outcomes_of(run: RunRecords) -> dict[str, int]:
    """Records by outcome, unreadable ones included."""
    unreadable = sum(run.totals("measure", "unreadable").values())
    return {**run.totals(run.ledger_stage, "outcome"), schemas.UNREADABLE: unreadable}


def _add(entries: dict[str, Any], more: dict[str, Json]) -> None:
    for name, values in more.items():
        entries.setdefault(name, {}).update(values)
