"""Shards: rows of the global token stream, cut from the exchange, shard by shard.

A shard is a range of rows, so a range of stream tokens. Its documents stand in one contiguous stretch of every map
file, because each is sorted by the same key: a shard reads what it needs and nothing else, and no shard waits for
its neighbour.
"""

import zlib
from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from pipeline.engine.exchange import ExchangeFile
from pipeline.engine.records import Json, Unit, content_hash
from pipeline.engine.stage import Stage, Workspace
from pipeline.section import Section
from pipeline.shards.packed_rows import PackedRows
from pipeline.stages.shard_files import COMPRESSIBLE, FORMATS, FormatName, ShardPlace, write_rows
from pipeline.stages.tables import numbers, read_ipc, read_listing
from pipeline.stages.versions import library_versions
from pipeline.tokens.packing import Stretch, pack_rows
from pipeline.tokens.vocabulary import Vocabulary


class ShardsConfig(Section):
    """Training shards: row length, splits, size, order."""

    row: Literal["concat"] = "concat"
    """How documents become rows: `concat` joins them with end-of-text and cuts every `sequence_tokens` + 1."""
    sequence_tokens: int = Field(4096, ge=1)
    """Tokens a training step sees in a row; a stored row has one more, so that inputs and targets both fit."""
    formats: tuple[FormatName, ...] = Field(("parquet",), strict=False, min_length=1)
    """Shard formats to write, any of parquet, raw (Megatron, datatrove, nanotron, OLMo), mds (MosaicML), litdata."""
    splits: dict[str, float] = Field({"val": 0.005})
    """Share of documents for each split besides `train`, drawn by near-duplicate component."""
    shard_mb: int = Field(256, ge=1)
    """Largest size of a shard's token payload, in MB; shards of a split differ by one row at most."""
    shard_tokens: int | None = Field(None, ge=1)
    """Largest number of tokens in a shard; give it in place of `shard_mb`."""
    compression: Literal["none", "zstd"] = "none"
    """Compression inside the shards (parquet, mds); token ids shrink by about 40 % and readers spend CPU on it."""
    seed: int = Field(7, ge=0, lt=2**63)
    """Seed of order, splits and source sampling."""
    epoch: int = Field(0, ge=0, lt=2**63)
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

    @model_validator(mode="after")
    def _possible_formats(self) -> Self:
        plain = [name for name in self.formats if name not in COMPRESSIBLE]
        if self.compression != "none" and plain:
            raise ValueError(
                f"compression {self.compression}: {', '.join(plain)} shards cannot be compressed; "
                f"set compression to none, or write only {' and '.join(COMPRESSIBLE)}"
            )
        if len(set(self.formats)) < len(self.formats):
            raise ValueError(f"formats {', '.join(self.formats)}: name each one once")
        if self.shard_tokens is not None and self.shard_mb != type(self).model_fields["shard_mb"].default:
            raise ValueError(f"shard_mb ({self.shard_mb}) and shard_tokens ({self.shard_tokens}): give one of the two")
        return self

    @property
    def ordered_formats(self) -> list[FormatName]:
        """The formats in one order, whatever the order in the config; the first one is the manifest's main one."""
        return [name for name in FORMATS if name in self.formats]

    def shard_bytes(self, id_bytes: int) -> int:
        """Largest size of a shard's token payload."""
        return self.shard_mb * 1_000_000 if self.shard_tokens is None else self.shard_tokens * id_bytes

    @property
    def split_names(self) -> list[str]:
        """`train` first, then the others as configured."""
        return ["train", *self.splits]


def stage(config: ShardsConfig, vocabulary: Vocabulary) -> Stage:
    """Reduce side of the shuffle, packing and writing."""
    settings = {
        "row_tokens": config.sequence_tokens + 1,
        "formats": config.ordered_formats,
        "compression": config.compression,
        "end_of_text": vocabulary.end_of_text,
        "vocabulary_size": vocabulary.size,
        # rows of concat are one stream: a document that goes on in the next row is one document
        "joined_by": vocabulary.end_of_text if config.row == "concat" else None,
        "versions": library_versions("pyarrow") | {"zlib": zlib.ZLIB_RUNTIME_VERSION},
    }
    return Stage("shards", 2, settings, run)


def plan(
    sharding: Stage,
    config: ShardsConfig,
    split_tokens: list[int],
    id_bytes: int,
    rows: Json,
    layout: Json,
    partitions: int,
) -> list[Unit]:
    """One unit a shard. The number of shards follows from the tokens of the split and the size asked for."""
    row_tokens = config.sequence_tokens + 1
    units: list[Unit] = []
    # A shard set has a folder of its own: another config or other input never writes over a published set.
    sizes = [config.shard_mb, config.shard_tokens]
    shard_set = content_hash([sharding.fingerprint, rows["hash"], layout["hash"], *sizes], 16)
    for split, (name, tokens) in enumerate(zip(config.split_names, split_tokens, strict=True)):
        num_rows = -(-tokens // row_tokens)
        shards = -(-tokens * id_bytes // config.shard_bytes(id_bytes))
        shards = min(shards, num_rows)
        for shard in range(shards):
            first, last = shard * num_rows // shards, (shard + 1) * num_rows // shards
            description = {
                "place": [f"shards/{shard_set}", name, shard, shards],
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


def run(unit: Unit, workspace: Workspace) -> None:
    """Read the shard's stretch of every map file, put it in order, pack it and write it."""
    description = unit.description
    with workspace.timed("pack"):
        packed = read_rows(workspace, description)
    with workspace.timed("write"):
        write_rows(workspace, ShardPlace(*description["place"]), packed)
    workspace.notes["split"] = description["split"]
    workspace.count("rows", len(packed.rows))
    workspace.count("tokens", description["tokens"])
    workspace.count("pieces", len(packed.pieces))


def stream_order(columns: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """The global order of rows read from several map files."""
    return np.lexsort((columns["copy"], columns["doc"], columns["key_low"], columns["key_high"]))


def read_rows(workspace: Workspace, description: Json) -> PackedRows:
    """Rows of the shard that the unit describes, from the exchange."""
    store, split, partitions = workspace.store, description["split"], description["partitions"]
    row_tokens, tokens = workspace.settings["row_tokens"], description["tokens"]
    first_token = description["first_row"] * row_tokens
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
            dtype = exchange.item_dtype
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
    chosen, lengths = order[inside], lengths[inside]

    items, files = np.concatenate(item_starts)[chosen], file_of[chosen]
    # What is read of each file, end to end, is the payload: file f gives items [begins_in[f], ends_in[f]).
    begins_in = np.full(len(paths), np.iinfo(np.int64).max)
    ends_in = np.zeros(len(paths), np.int64)
    np.minimum.at(begins_in, files, items)
    np.maximum.at(ends_in, files, items + lengths)
    sizes = np.where(ends_in > begins_in, ends_in - begins_in, 0)
    held = np.cumsum(sizes) - sizes

    def stretches() -> Iterator[Stretch]:
        for number in np.flatnonzero(sizes):
            wanted = int(begins_in[number]), int(ends_in[number])
            with store.open(paths[number]) as file:
                exchange = ExchangeFile.open(file)
                at = int(held[number])
                for ids in exchange.read_payload(*wanted):
                    yield at, ids
                    at += len(ids)
                stands_at = exchange.payload_range(*wanted)
            store.release(paths[number], *stands_at)

    return PackedRows(
        *pack_rows(
            stretches(),
            held[files] + items - begins_in[files],
            lengths,
            int(begins[inside[0]]) - first_token,
            tokens,
            row_tokens,
            workspace.settings["end_of_text"],
            dtype,
        )
    )
