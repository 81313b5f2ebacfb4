"""Do words of removed documents still stand in the shards? Runs of tokens are looked for, 16 at a time.

A passage of 50 words has more than 16 tokens in any language of a usual vocabulary, so whoever holds the passage holds
one of its runs of 16. Two stages with one search: ``standing`` reads the new shards, a unit a shard, and
``standing_in`` the tokens of documents, a unit a part, to tell whose words they are.

Legend: T tokens, G runs of 16 tokens.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.shards.formats.shard_format import RowShape
from winnow.stages.shards.shard_reading import read_shard, read_shard_parts
from winnow.stages.tables import column_to_numpy, ipc_output, read_ipc
from winnow.tokens.marks import MARK

GRAM = 16
_POINT = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_MOST_BITS = 26
_BLOCK = 1 << 16
"""Positions that are hashed at once: they stay in the core's cache."""
GRAMS = pa.schema([("gram", pa.uint64())])
STANDING = pa.schema([("row", pa.int64()), ("doc", pa.uint64()), ("ids", pa.large_list(pa.uint32()))])
"""A run of tokens that removed documents hold: the row of the shard, or the document, that it begins in."""


def gram_hashes(ids: NDArray[Any]) -> NDArray[np.uint64]:
    """uint64[max(0, T - 15)]: a hash of each run of 16 tokens; a polynomial modulo 2^64 of mixed ids."""
    h = ids.astype(np.uint64)
    h = (h + _POINT) * _MIX
    h ^= h >> np.uint64(31)
    power, width = int(_POINT), 1
    while width < GRAM:
        h = h[:-width] * np.uint64(power) + h[width:] if len(h) > width else h[:0]
        power, width = power * power & 0xFFFF_FFFF_FFFF_FFFF, width * 2
    return h


class GramSet:
    """Hashes that are looked for."""

    def __init__(self, grams: NDArray[np.uint64]) -> None:
        self.grams = np.unique(grams)
        self._bits = min(_MOST_BITS, max(12, (32 * len(self.grams)).bit_length()))
        self._maybe = np.zeros(1 << self._bits, bool)
        self._maybe[self._slot(self.grams)] = True

    def _slot(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (hashes >> np.uint64(64 - self._bits)).view(np.int64)

    def places(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Positions of hashes that are in the set, rising."""
        if len(self.grams) == 0:
            return np.empty(0, np.int64)
        maybe = np.flatnonzero(self._maybe[self._slot(hashes)])
        at = np.minimum(np.searchsorted(self.grams, hashes[maybe]), len(self.grams) - 1)
        found: NDArray[np.int64] = maybe[self.grams[at] == hashes[maybe]]
        return found


class TokenRun(NamedTuple):
    """Consecutive tokens of which each 16 are in the set."""

    begin: int
    end: int


def runs_in(ids: NDArray[Any], wanted: GramSet) -> Iterator[TokenRun]:
    """The longest runs in ids [T] of which each 16 tokens are wanted, in order; they may overlap by up to 15."""
    found = [
        wanted.places(gram_hashes(ids[at : at + _BLOCK + GRAM - 1])) + at for at in range(0, max(len(ids), 1), _BLOCK)
    ]
    places = np.concatenate(found)
    if len(places) == 0:
        return
    first = np.flatnonzero(np.diff(places, prepend=places[0] - 2) != 1)
    last = np.append(first[1:], len(places)) - 1
    for begin, end in zip(places[first].tolist(), places[last].tolist(), strict=True):
        yield TokenRun(begin, end + GRAM)


def runs_in_parts(parts: Iterable[NDArray[Any]], wanted: GramSet) -> Iterator[tuple[int, NDArray[Any]]]:
    """The same in ids that come in parts, [T] each: where a run begins, and its tokens."""
    held, at = np.empty(0, np.uint32), 0  # the tokens behind which a run can go on, and where they begin
    for part in parts:
        ids = np.concatenate([held.astype(part.dtype), part])
        found = list(runs_in(ids, wanted))
        begin = found.pop().begin if found and found[-1].end == len(ids) else max(0, len(ids) - GRAM + 1)
        yield from ((at + one.begin, ids[one.begin : one.end].copy()) for one in found)
        held, at = ids[begin:].copy(), at + begin
    yield from ((at + one.begin, held[one.begin : one.end]) for one in runs_in(held, wanted))


def stage(row_tokens: int, dtype: str, separator: int | None) -> Stage:
    """Search shards; the arguments are those of their rows' shape."""
    return Stage("standing", 1, {"row_tokens": row_tokens, "dtype": dtype, "separator": separator}, run)


def plan(folder: str, file_format: str, splits: dict[str, list[Json]], grams: Json) -> list[Unit]:
    """One unit a shard, with the one behind it: a passage can end there."""
    return [
        Unit(
            number,
            {"folder": folder, "format": file_format, "split": split, "shard": entry, "next": after, "grams": grams},
            entry["bytes"],
        )
        for number, (split, entry, after) in enumerate(
            (split, entry, after)
            for split, entries in splits.items()
            for entry, after in zip(entries, [*entries[1:], None], strict=False)
        )
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Read a shard's rows end to end, and the first row of the next one."""
    store, inputs, settings = workspace.store, unit.inputs, workspace.settings
    shape = RowShape(settings["row_tokens"], np.dtype(settings["dtype"]), settings["separator"])
    wanted = GramSet(column_to_numpy(read_ipc(store, inputs["grams"]), "gram"))
    shard, after = inputs["shard"], inputs["next"]
    own = shard["rows"] * shape.row_tokens

    def parts() -> Iterator[NDArray[Any]]:
        path, kind = f"{inputs['folder']}/{shard['path']}", inputs["format"]
        yield from (packed.rows.reshape(-1) for packed in read_shard_parts(store, path, kind, shard, shape))
        if after is not None:
            path = f"{inputs['folder']}/{after['path']}"
            yield read_shard(store, path, kind, after, shape, 1, whole_rows=True).rows.reshape(-1)

    found = [(at, ids) for at, ids in runs_in_parts(parts(), wanted) if at < own]
    rows_of = [at // shape.row_tokens for at, _ in found]
    _write(workspace, rows_of, [0] * len(found), [ids for _, ids in found])
    workspace.metadata.update({"split": inputs["split"], "shard": inputs["shard"]["path"]})
    workspace.count("searched_rows", shard["rows"])
    workspace.count("searched_tokens", own)


def documents_stage() -> Stage:
    """Search the tokens of documents that a ledger keeps."""
    return Stage("standing_in", 1, {}, run_documents)


def plan_documents(tokenised: list[Record], ledger: list[Record], grams: Json) -> list[Unit]:
    """One unit a part."""
    return [
        Unit(
            number,
            {
                "tokens": tokens.outputs["tokens"].reference(),
                "survivors": decisions.outputs["survivors"].reference(),
                "grams": grams,
            },
            tokens.outputs["tokens"].bytes,
        )
        for number, (tokens, decisions) in enumerate(zip(tokenised, ledger, strict=True))
    ]


def run_documents(unit: Unit, workspace: Workspace) -> None:
    """Runs within kept documents of a part."""
    store, inputs = workspace.store, unit.inputs
    wanted = GramSet(column_to_numpy(read_ipc(store, inputs["grams"]), "gram"))
    survivors = column_to_numpy(read_ipc(store, inputs["survivors"]), "doc")
    docs, held = [], []
    for batch in read_ipc(store, inputs["tokens"]).to_batches():
        there = batch.column("doc").to_numpy()
        stays = np.isin(there, survivors, assume_unique=True)
        ids, offsets = batch.column("ids").values.to_numpy(), batch.column("ids").offsets.to_numpy()
        if ids.dtype == np.uint32:
            ids = ids & ~MARK
        for one in runs_in(ids[offsets[0] : offsets[-1]], wanted):
            first, end = one.begin + int(offsets[0]), one.end + int(offsets[0])
            while end - first >= GRAM:  # a run can go from one document into the next
                row = int(np.searchsorted(offsets, first, side="right")) - 1
                cut = min(end, int(offsets[row + 1]))
                if stays[row] and cut - first >= GRAM:
                    docs.append(int(there[row]))
                    held.append(ids[first:cut])
                first = max(cut, first + 1)
    _write(workspace, [0] * len(docs), docs, held)
    workspace.count("searched_documents", len(survivors))


def _write(workspace: Workspace, rows: list[int], docs: list[int], ids: list[NDArray[Any]]) -> None:
    starts = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    flat = np.concatenate(ids).astype(np.uint32) if ids else np.empty(0, np.uint32)
    with ipc_output(workspace, "runs", STANDING) as table:
        table.write(
            {
                "row": np.array(rows, np.int64),
                "doc": np.array(docs, np.uint64),
                "ids": pa.LargeListArray.from_arrays(pa.array(starts), pa.array(flat)),
            }
        )
