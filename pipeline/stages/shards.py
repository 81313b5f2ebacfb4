"""Shards: rows of the global token stream, cut from the exchange, shard by shard.

A shard is a range of rows, so a range of stream tokens. Its documents stand in one contiguous stretch of every map
file, because each is sorted by the same key: a shard reads what it needs and nothing else, and no shard waits for
its neighbour.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from pipeline.engine.exchange import ExchangeFile
from pipeline.engine.records import Json, Unit, content_hash
from pipeline.engine.stage import Stage, Workspace
from pipeline.section import Section
from pipeline.shards.parquet import ParquetShardWriter
from pipeline.stages.tables import numbers, read_ipc, read_listing
from pipeline.stages.versions import library_versions
from pipeline.tokens.packing import pack_rows
from pipeline.tokens.vocabulary import Vocabulary


class ShardsConfig(Section):
    """Training shards: row length, splits, size, order."""

    row: Literal["concat"] = "concat"
    """How documents become rows: `concat` joins them with end-of-text and cuts every `sequence_tokens` + 1."""
    sequence_tokens: int = Field(4096, ge=1)
    """Tokens a training step sees in a row; a stored row has one more, so that inputs and targets both fit."""
    formats: tuple[Literal["parquet"], ...] = Field(("parquet",), strict=False)
    """Shard formats to write."""
    splits: dict[str, float] = Field({"val": 0.005})
    """Share of documents for each split besides `train`, drawn by near-duplicate component."""
    shard_mb: int = Field(256, ge=1)
    """Largest size of a shard's token payload, in MB; shards of a split differ by one row at most."""
    compression: Literal["none", "zstd"] = "none"
    """Compression inside the shards; token ids shrink by about 40 % and readers spend CPU on it."""
    seed: int = Field(7, ge=0)
    """Seed of order, splits and source sampling."""
    epoch: int = Field(0, ge=0)
    """Which pass over the data: another epoch is another order of the same documents."""

    @field_validator("splits")
    @classmethod
    def _named_shares(cls, splits: dict[str, float]) -> dict[str, float]:
        for name, share in splits.items():
            if not name.isidentifier() or name == "train":
                raise ValueError(f"split {name!r} must be a plain name other than 'train' (which takes the rest)")
            if not 0 < share < 1:
                raise ValueError(f"split {name!r} has share {share}; it must lie between 0 and 1")
        return splits

    @model_validator(mode="after")
    def _leaves_train(self) -> Self:
        if sum(self.splits.values()) >= 1:
            raise ValueError(f"splits take {sum(self.splits.values()):g} of the documents; leave a share for train")
        return self

    @property
    def split_names(self) -> list[str]:
        """`train` first, then the others as configured."""
        return ["train", *self.splits]


def stage(config: ShardsConfig, vocabulary: Vocabulary) -> Stage:
    """Reduce side of the shuffle, packing and writing."""
    settings = {
        "row_tokens": config.sequence_tokens + 1,
        "compression": config.compression,
        "end_of_text": vocabulary.end_of_text,
        "versions": library_versions("pyarrow"),
    }
    return Stage("shards", 1, settings, run)


def plan(
    sharding: Stage,
    config: ShardsConfig,
    split_tokens: list[int],
    id_bytes: int,
    rows: Json,
    layout: Json,
    partitions: int,
) -> list[Unit]:
    """One unit a shard. The number of shards follows from the tokens of the split and ``shard_mb``."""
    row_tokens = config.sequence_tokens + 1
    units: list[Unit] = []
    # A shard set has a folder of its own: another config or other input never writes over a published set.
    shard_set = content_hash([sharding.fingerprint, rows["hash"], layout["hash"], config.shard_mb], 16)
    for split, (name, tokens) in enumerate(zip(config.split_names, split_tokens, strict=True)):
        num_rows = -(-tokens // row_tokens)
        shards = -(-tokens * id_bytes // (config.shard_mb * 1_000_000))
        shards = min(shards, num_rows)
        for shard in range(shards):
            first, last = shard * num_rows // shards, (shard + 1) * num_rows // shards
            description = {
                "path": f"shards/{shard_set}/{name}-{shard:05d}-of-{shards:05d}.parquet",
                "split": split,
                "first_row": first,
                "rows": last - first,
                "tokens": min(tokens, last * row_tokens) - first * row_tokens,
                "partitions": partitions,
                "exchange": rows,
                "layout": layout,
            }
            units.append(Unit(len(units), description, (last - first) * row_tokens * id_bytes))
    return units


@dataclass(frozen=True)
class _Window:
    """The documents that fill a shard, in global order."""

    payload: NDArray[Any]
    source_starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    first_token: int


def run(unit: Unit, workspace: Workspace) -> None:
    """Read the shard's stretch of every map file, put it in order, pack it and write it."""
    description, settings = unit.description, workspace.settings
    row_tokens = settings["row_tokens"]
    window = _read_window(workspace, description, description["first_row"] * row_tokens, description["tokens"])
    rows, pieces, offsets = pack_rows(
        window.payload,
        window.source_starts,
        window.lengths,
        window.first_token,
        description["tokens"],
        row_tokens,
        settings["end_of_text"],
    )
    path = description["path"]
    with workspace.store.create(path, "sha256") as draft:
        writer = ParquetShardWriter(draft.arrow(), row_tokens, rows.dtype, settings["compression"])
        writer.write(rows, pieces, offsets)
        writer.close()
    workspace.published("shard", path, draft, len(rows))
    workspace.notes["split"] = description["split"]
    workspace.count("rows", len(rows))
    workspace.count("tokens", description["tokens"])
    workspace.count("pieces", len(pieces))


def stream_order(columns: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """The global order of rows read from several map files."""
    return np.lexsort((columns["copy"], columns["doc"], columns["key_low"], columns["key_high"]))


def _read_window(workspace: Workspace, description: Json, first_token: int, tokens: int) -> _Window:
    store, split, partitions = workspace.store, description["split"], description["partitions"]
    layout = read_ipc(store, description["layout"])
    starts = numbers(layout, "first_token")[numbers(layout, "split") == split]
    low = int(np.searchsorted(starts, first_token, side="right")) - 1
    high = int(np.searchsorted(starts, first_token + tokens, side="left"))

    index: list[dict[str, NDArray[Any]]] = []
    item_starts: list[NDArray[np.int64]] = []
    paths = [entry["path"] for entry in read_listing(store, description["exchange"])]
    for path in paths:
        with store.open(path) as file:
            exchange = ExchangeFile.open(file)
            columns = exchange.read(split * partitions + low, split * partitions + high)
            first_item = int(exchange.payload_starts(split * partitions + low, split * partitions + low)[0])
        index.append(columns)
        lengths = columns["length"].astype(np.int64)
        item_starts.append(first_item + np.cumsum(lengths) - lengths)

    joined = {name: np.concatenate([columns[name] for columns in index]) for name in index[0]}
    file_of = np.repeat(np.arange(len(index)), [len(columns["doc"]) for columns in index])
    order = stream_order(joined)
    lengths = joined["length"][order].astype(np.int64)
    ends = int(starts[low]) + np.cumsum(lengths + 1)
    begins = ends - lengths - 1
    inside = np.flatnonzero((ends > first_token) & (begins < first_token + tokens))
    chosen = order[inside]

    payloads, source_starts = [], np.empty(len(chosen), np.int64)
    held = 0
    all_starts = np.concatenate(item_starts)
    for number, path in enumerate(paths):
        mine = np.flatnonzero(file_of[chosen] == number)
        if len(mine) == 0:
            continue
        items = all_starts[chosen[mine]]
        begin = int(items.min())
        end = int((items + joined["length"][chosen[mine]]).max())
        with store.open(path) as file:
            payloads.append(ExchangeFile.open(file).read_payload(begin, end))
        source_starts[mine] = held + items - begin
        held += end - begin
    return _Window(np.concatenate(payloads), source_starts, lengths[inside], int(begins[inside[0]]) - first_token)
