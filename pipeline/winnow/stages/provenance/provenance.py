"""Provenance: what a document's address, opt-outs and licence fail, with the entry that says so. Reads no text.

The fields were carried along by ``measure``; the filter takes what fails here as it takes failed rules. So another list
computes this and what follows from it, and measures nothing again.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from winnow import schemas
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.ingest.measure import Part
from winnow.stages.licences import licences_of
from winnow.stages.provenance.url_lists import open_tables
from winnow.stages.tables import parquet_batches, parquet_output
from winnow.stages.versions import library_versions
from winnow.text.urls.config import LicencesConfig, OptOuts, UrlsConfig
from winnow.text.urls.hosts import PACKAGES
from winnow.text.urls.licences import judge_licences
from winnow.text.urls.match import match
from winnow.text.urls.opt_outs import judge_opt_outs
from winnow.text.urls.table import Table
from winnow.text.urls.verdicts import Failed, failed_by_lists, joined

OPT_OUT = "opt_out"
"""The field in which opt-outs are carried."""


def stage(
    urls: UrlsConfig | None, opt_outs: OptOuts | None, licences: LicencesConfig | None, declared: dict[str, str | None]
) -> Stage:
    """The stage.

    Args:
        urls: the lists' settings; the lists themselves are named by the units.
        opt_outs: kinds that a document may not have.
        licences: which it may have.
        declared: the licence that each source says all its documents have.
    """
    settings: Json = {
        "urls": urls and {name: getattr(urls, name) for name in ("field", "min_soft_words", "sources")},
        "opt_outs": opt_outs,
        "licences": licences and licences.model_dump(mode="json"),
        "declared": declared if licences else None,
        "versions": library_versions(*PACKAGES) if urls else None,
    }
    return Stage("provenance", 1, settings, run)


def plan(parts: list[Part], tables: Json) -> list[Unit]:
    """One unit a part; ``tables`` are those of the lists."""
    return [Unit(part.number, {"documents": part.documents, "tables": tables}, part.rows * 100) for part in parts]


def run(unit: Unit, workspace: Workspace) -> None:
    """Look at every document of the part, batch by batch."""
    settings, inputs = workspace.settings, unit.inputs
    licences = settings["licences"] and LicencesConfig.model_validate(settings["licences"], strict=False)
    tables = open_tables(workspace, inputs["tables"]) if settings["urls"] else {}
    with parquet_output(workspace, "matches", schemas.MATCHES, plain=("doc",)) as out:
        columns = _columns(workspace, inputs["documents"])
        for batch in parquet_batches(workspace.store, inputs["documents"], columns):
            found: list[Failed] = []
            if settings["urls"]:
                found.append(_urls(workspace, batch, inputs["tables"], tables))
            if settings["opt_outs"]:
                found.append(judge_opt_outs(_field(batch, OPT_OUT), settings["opt_outs"]))
            if licences:
                found.append(_licences(workspace, batch, licences))
            _write(workspace, out, batch, joined(found))
            workspace.count("documents", batch.num_rows)


def _columns(workspace: Workspace, documents: Json) -> list[str]:
    """Of the documents: a part has the fields that its own sources keep."""
    settings = workspace.settings
    wanted = [settings[name]["field"] for name in ("urls", "licences") if settings[name]]
    wanted += [OPT_OUT] if settings["opt_outs"] else []
    with pq.ParquetFile(workspace.store.columns_of(documents["path"])) as file:
        there = file.schema_arrow.names
    return ["doc", "source", *(name for name in dict.fromkeys(f"keep.{name}" for name in wanted) if name in there)]


def _field(batch: pa.RecordBatch, name: str) -> pa.Array:
    column = f"keep.{name}"
    there = column in batch.schema.names
    return batch.column(column) if there else pa.nulls(batch.num_rows, pa.string())


def _among(batch: pa.RecordBatch, sources: list[str] | None) -> Any:
    """bool[N]: the document is of one of these sources."""
    if sources is None:
        return np.ones(batch.num_rows, bool)
    found = pc.is_in(batch.column("source").cast(pa.string()), value_set=pa.array(sources, pa.string()))
    return found.to_numpy(zero_copy_only=False)


def _urls(workspace: Workspace, batch: pa.RecordBatch, given: Json, tables: dict[str, Table]) -> Failed:
    settings = workspace.settings["urls"]
    about = _among(batch, settings["sources"])
    addresses = _field(batch, settings["field"]).fill_null("").cast(pa.large_string())
    with workspace.timed("match"):
        found = match(addresses, tables)
    names = {kind: given[kind]["lists"] for kind in given}
    sources = batch.column("source")
    for name, number in _by_source(sources, about & ~found.has_host).items():
        workspace.count(f"no_url/{name}", number)
    return failed_by_lists(found, tables, names, settings["min_soft_words"], about)


def _licences(workspace: Workspace, batch: pa.RecordBatch, config: LicencesConfig) -> Failed:
    licence = licences_of(batch, [config.field], workspace.settings["declared"])
    return judge_licences(licence, config, _among(batch, None if config.sources is None else list(config.sources)))


def _by_source(sources: pa.DictionaryArray, chosen: Any) -> dict[str, int]:
    names = sources.dictionary.to_pylist()
    counts = np.bincount(sources.indices.to_numpy()[chosen], minlength=len(names))
    return {name: int(number) for name, number in zip(names, counts, strict=True) if number}


def _write(workspace: Workspace, out: Any, batch: pa.RecordBatch, failed: Failed) -> None:
    docs = batch.column("doc").to_numpy()
    out.write(
        {
            "doc": docs[failed.row],
            "rule": failed.rule,
            "value": failed.value,
            "threshold": failed.threshold,
            "list": failed.list,
            "entry": failed.entry,
        }
    )
    for found in pc.value_counts(failed.rule).to_pylist():
        workspace.count(f"failed/{found['values']}", found["counts"])
