"""Removals: the ledger once more, without what removal requests list. No other document changes its outcome.

A part of which nothing is listed keeps its tables byte for byte, so that nothing behind them is computed again.

Legend: N documents of a part.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.packing.windows import tokens_in_rows
from winnow.stages.decide.ledger_tables import LeftOut, count_outcomes, leave_out
from winnow.stages.ingest.measure import Part
from winnow.stages.removals.lists import Listed, among, begins_so, keys_of, keys_of_ids
from winnow.stages.tables import column_to_numpy, list_lengths, read_ipc, read_parquet
from winnow.storage.draft import Draft

RULES = ("removal.id", "removal.text", "removal.url")
"""Of the ledger: what of a document stands in a list."""
_NONE = -1


def stage(before: str, sources: list[str], field: str, rows: Json) -> Stage:
    """The stage.

    Args:
        before: the stage whose ledger is taken up.
        sources: in config order.
        field: of records, with their address.
        rows: ``ShardsConfig.cutting_rows``.
    """
    settings = {"before": before, "sources": sources, "field": field, "rows": rows}
    return Stage("removals", 1, settings, run)


def plan(
    parts: list[Part], ledger: list[Record], filtered: list[Record], tokenised: list[Record], listed: Listed
) -> list[Unit]:
    """One unit a part."""
    return [
        Unit(
            part.number,
            {
                "documents": part.documents,
                "signatures": part.signatures,
                "decisions": before.outputs["decisions"].reference(),
                "survivors": before.outputs["survivors"].reference(),
                "verdicts": verdicts.outputs["verdicts"].reference(),
                "tokens": tokens.outputs["tokens"].reference(),
                "keys": listed.reference,
                "url_prefixes": list(listed.all.url_prefixes),
            },
            part.rows * 64,
        )
        for part, before, verdicts, tokens in zip(parts, ledger, filtered, tokenised, strict=True)
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Leave out every document that is listed, whatever its outcome was."""
    store, inputs, settings = workspace.store, unit.inputs, workspace.settings
    before = read_parquet(store, inputs["decisions"]).combine_chunks()
    copies = column_to_numpy(before, "copies").astype(np.int64)
    source = column_to_numpy(read_parquet(store, inputs["verdicts"], ["source"]), "source")
    rule = _rules(unit, workspace, column_to_numpy(before, "doc"))
    gone = rule != _NONE
    workspace.metadata["before"] = settings["before"]
    if not gone.any():
        for name in ("decisions.parquet", "survivors.arrow"):
            _copy(workspace, name, inputs[name.partition(".")[0]])
        count_outcomes(workspace, before.column("outcome"), copies, source, settings["sources"])
        return
    _count_removed(unit, workspace, before, rule, copies)
    names = pa.array(RULES, pa.string()).take(pa.array(rule, mask=~gone))
    ones, zeros = np.ones(len(gone), np.float32), np.zeros(len(gone), np.float32)
    left_out = LeftOut(gone, schemas.REMOVED_ON_REQUEST, names, ones, zeros)
    leave_out(workspace, before, left_out, np.where(gone, 0, copies), source, settings["sources"])


def _rules(unit: Unit, workspace: Workspace, docs: NDArray[np.uint64]) -> NDArray[np.int64]:
    """int64[N] into ``RULES``, the first that holds of each document; ``_NONE`` for what is not listed."""
    store, inputs = workspace.store, unit.inputs
    ids, texts = keys_of(read_ipc(store, inputs["keys"]))
    rule = np.full(len(docs), _NONE)
    signed = read_ipc(store, inputs["signatures"])
    high, low = (column_to_numpy(signed, name) for name in ("exact_high", "exact_low"))
    field, prefixes = f"keep.{workspace.settings['field']}", inputs["url_prefixes"]
    if prefixes:
        with pq.ParquetFile(store.columns_of(inputs["documents"]["path"])) as file:
            there = [name for name in ("id", field) if name in file.schema_arrow.names]
        table = read_parquet(store, inputs["documents"], there).combine_chunks()
        for name in there:
            rule[begins_so(table.column(name), prefixes)] = RULES.index("removal.url")
    rule[among(np.stack([high, low], axis=1), texts)] = RULES.index("removal.text")
    if len(ids):
        named = read_parquet(store, inputs["documents"], ["id", "source"]).combine_chunks()
        columns = [named.column(name).cast(pa.large_string()).combine_chunks() for name in ("source", "id")]
        keys = keys_of_ids(*(pa.concat_arrays(c.chunks) if isinstance(c, pa.ChunkedArray) else c for c in columns))
        rule[among(keys, ids)] = RULES.index("removal.id")
    return rule


def _count_removed(
    unit: Unit, workspace: Workspace, before: pa.Table, rule: NDArray[np.int64], copies: NDArray[np.int64]
) -> None:
    gone = np.flatnonzero(rule != _NONE)
    workspace.count("removed_documents", len(gone))
    for number, name in enumerate(RULES):
        workspace.count(f"removed_by/{name}", (rule == number).sum())
    for outcome, number in _counts(before.column("outcome").take(pa.array(gone))):
        workspace.count(f"removed_from/{outcome}", number)
    kept = gone[copies[gone] > 0]
    tokens = read_ipc(workspace.store, unit.inputs["tokens"])
    docs = column_to_numpy(before, "doc")[kept]
    held = list_lengths(tokens, "ids")[np.searchsorted(column_to_numpy(tokens, "doc"), docs)] + 1
    reach = tokens_in_rows(held, workspace.settings["rows"])
    splits = np.array(before.column("split").take(pa.array(kept)).to_pylist(), object)
    for name in sorted(set(splits.tolist())):
        mine = splits == name
        workspace.count(f"removed_tokens/{name}", (held * copies[kept])[mine].sum())
        workspace.count(f"removed_row_tokens/{name}", (reach * copies[kept])[mine].sum())


def _counts(column: Any) -> list[tuple[str, int]]:
    return [(row["values"], row["counts"]) for row in pc.value_counts(column.cast(pa.string())).to_pylist()]


def _copy(workspace: Workspace, name: str, reference: Json) -> None:
    """Write a table of another stage once more, as it is."""
    store = workspace.store

    def write(draft: Draft) -> int:
        with store.open(reference["path"]) as file:
            while piece := file.read(1 << 20):
                draft.write(piece)
        return int(reference["rows"])

    workspace.write(name, write)
