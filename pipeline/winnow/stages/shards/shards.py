"""Shards: rows of the global token stream, cut from the exchange, shard by shard.

A shard is a range of rows, so a range of stream tokens or of row groups. Its documents stand in one contiguous
stretch of every map file, because each is sorted by the same key: a shard reads what it needs and nothing else, and no
shard waits for its neighbour.
"""

import zlib
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from winnow.engine.records import Json, Unit, content_hash
from winnow.engine.stage import Stage, Workspace
from winnow.section import Section
from winnow.shards.packed_rows import LABEL
from winnow.shards.packing.best_fit import BestFitConfig
from winnow.shards.packing.windows import WindowConfig, num_windows
from winnow.stages.shards.postprocess import row_extras
from winnow.stages.shards.shard_files import (
    COMPRESSIBLE,
    FORMATS,
    SUPPORTS_COLUMNS,
    FormatName,
    ShardId,
    document_separator,
    unsupported_columns,
    write_rows,
)
from winnow.stages.shards.shard_rows import read_rows
from winnow.stages.versions import library_versions
from winnow.tokens.vocabulary import Vocabulary

ColumnName = Literal["position_ids", "attention_mask", "loss_mask", "docs"]


class ShardsConfig(Section):
    """Training shards: row length, splits, size, order."""

    row: Literal["concat", "best_fit", "window", "document"] = "concat"
    """How documents become rows: `concat` joins them with end-of-text and cuts every `sequence_tokens` + 1, `best_fit`
    packs whole documents and the tails of long ones, `window` slides along the text, `document` is one a row."""
    sequence_tokens: int = Field(4096, ge=1)
    """Tokens a training step sees in a row. A stored row has one more, so that inputs and targets both fit; with
    `row: document` it has just these."""
    best_fit: BestFitConfig = BestFitConfig()
    """For `row: best_fit`."""
    window: WindowConfig = WindowConfig()
    """For `row: window`."""
    columns: tuple[ColumnName, ...] = Field((), strict=False)
    """Further columns: `position_ids` (start anew at each document), `attention_mask` and `loss_mask` (0 on padding),
    `docs` (whose piece is it, and where it begins there). `row: document` always has `attention_mask`."""
    formats: tuple[FormatName, ...] = Field(("parquet",), strict=False, min_length=1)
    """Shard formats to write, any of parquet, raw (Megatron, datatrove, nanotron, OLMo), mds (MosaicML), litdata."""
    mixture: dict[str, Annotated[float, Field(gt=0)]] | None = None
    """Shares of the tokens of split train by source (any positive numbers; every source is named): whole passes over
    a source, then a part of one. Without `max_tokens`, the largest mixture that repeats nothing. None = as they are."""
    max_tokens: int | None = Field(None, ge=1)
    """Budget of split train in tokens, ends of documents and copies counted; less than one document of each source
    stays unused. None = all."""
    splits: dict[str, float] = Field({"val": 0.005})
    """Share of documents for each split besides `train`, drawn by near-duplicate component."""
    labels: tuple[str, ...] | None = Field(None, strict=False, min_length=1)
    """For sources with `label`: all labels in the order of their numbers, from 0. None = those that are found, integers
    by value, others by code point."""
    stratify: bool = True
    """For sources with `label`: every split has its share of the documents of each label, exact to one near-duplicate
    component. False draws components whatever their label."""
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

    @field_validator("labels", mode="before")
    @classmethod
    def _names_of_labels(cls, labels: Any) -> Any:
        if not isinstance(labels, list | tuple):
            return labels
        names = [str(name).lower() if isinstance(name, bool) else str(name) for name in labels]
        if len(set(names)) < len(names):
            raise ValueError("labels: name each one once")
        return tuple(names)

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
        for file_format in self.formats:
            lost = unsupported_columns(file_format, [name for name in self.row_columns if name != "docs"])
            if lost:
                raise ValueError(
                    f"{file_format} shards have no place for {', '.join(lost)} (which columns or row: {self.row} ask "
                    f"for); write {' or '.join(SUPPORTS_COLUMNS)}"
                )
        if "docs" in self.columns and "parquet" not in self.formats:
            raise ValueError("columns names docs, which only parquet shards hold; add parquet to formats")
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

    @model_validator(mode="after")
    def _usable_rows(self) -> Self:
        if (self.window.stride_tokens or 1) > self.sequence_tokens:
            raise ValueError(
                f"window.stride_tokens ({self.window.stride_tokens}) must not be larger than sequence_tokens "
                f"({self.sequence_tokens}): tokens between windows would be lost"
            )
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns {', '.join(self.columns)}: name each one once")
        return self

    @property
    def mixes(self) -> bool:
        """Whether the train split is drawn by shares or to a budget."""
        return self.mixture is not None or self.max_tokens is not None

    @property
    def row_tokens(self) -> int:
        """Tokens of a stored row."""
        return self.sequence_tokens + (self.row != "document")

    @property
    def stride_tokens(self) -> int:
        """Tokens from one window's begin to the next."""
        return self.window.stride_tokens or self.sequence_tokens

    @property
    def packs_by_groups(self) -> bool:
        """Whether rows are made from groups of documents, so that their number is known only after packing."""
        return self.row in ("best_fit", "document") or (self.row == "window" and self.window.over == "document")

    @property
    def row_settings(self) -> Json:
        """Kind of rows and its own options: what decides which tokens stand in which row, besides the row's length."""
        if self.row == "best_fit":
            return {"kind": self.row, **self.best_fit.model_dump()}
        if self.row == "window":
            return {"kind": self.row, "over": self.window.over, "stride_tokens": self.stride_tokens}
        return {"kind": self.row}

    @property
    def row_columns(self) -> list[ColumnName]:
        """Further columns, in the order in which they are written."""
        always: list[ColumnName] = ["attention_mask"] if self.row == "document" else []
        return always + [name for name in self.columns if name not in always]

    @property
    def split_names(self) -> list[str]:
        """`train` first, then the others as configured."""
        return ["train", *self.splits]


def stage(config: ShardsConfig, vocabulary: Vocabulary, marks: str | None = None, *, labelled: bool = False) -> Stage:
    """Reduce side of the shuffle, packing and writing.

    Args:
        config: of the shards.
        vocabulary: of the run.
        marks: the column that marks of tokens become.
        labelled: whether documents have labels.
    """
    settings = {
        "row_tokens": config.row_tokens,
        "row": config.row_settings,
        "columns": config.row_columns,
        "seed": config.seed if config.packs_by_groups else None,  # elsewhere it is in the order already
        "epoch": config.epoch if config.packs_by_groups else None,
        "formats": config.ordered_formats,
        "compression": config.compression,
        "end_of_text": vocabulary.end_of_text,
        "vocabulary_size": vocabulary.size,
        "joined_by": document_separator(config.row, vocabulary.end_of_text),
        "versions": _versions(config),
        **row_extras(vocabulary, config.row, marks),
        **({"labelled": True} if labelled else {}),
    }
    return Stage("shards", 3, settings, run)


def _versions(config: ShardsConfig) -> dict[str, str]:
    """Versions of what decides the bytes of the formats asked for."""
    found = library_versions("pyarrow")
    if "raw" in config.formats:
        found |= {"zlib": zlib.ZLIB_RUNTIME_VERSION}
    if "mds" in config.formats and config.compression == "zstd":
        found |= library_versions("zstandard")
    return found


def written_columns(
    config: ShardsConfig, vocabulary: Vocabulary, marks: str | None, *, labelled: bool = False
) -> list[str]:
    """Further columns of the shards, those included that follow from the sources and the vocabulary."""
    extras = row_extras(vocabulary, config.row, marks)
    more = [extras["marks"]] if marks else ["token_type_ids"] if extras.get("token_type_ids") else []
    more += [LABEL] if labelled else []
    return [*config.row_columns, *(name for name in more if name not in config.row_columns)]


def plan(
    sharding: Stage,
    config: ShardsConfig,
    split_tokens: list[int],
    id_bytes: int,
    exchange: Json,
    layout: Json,
    partitions: int,
    group_rows: list[NDArray[np.int64]] | None = None,
) -> list[Unit]:
    """One unit a shard. The number of shards follows from the tokens of the split and the size asked for.

    Args:
        sharding: the stage.
        config: of the shards.
        split_tokens: stream tokens of each split.
        id_bytes: of a token.
        exchange: listing of the shuffle's files (``rows``), and where everything lies in them (``extents``).
        layout: where the tokens of every partition begin.
        partitions: of each split.
        group_rows: rows before each group of each split, int64[G + 1]; only for rows that are packed by groups.
    """
    row_tokens = config.row_tokens
    units: list[Unit] = []
    # A shard set has a folder of its own: another config or other input never writes over a published set. The splits'
    # names are part of it, because what the stages before hold of them is numbers.
    sizes = [config.shard_mb, config.shard_tokens]
    named = [sharding.fingerprint, exchange["rows"]["hash"], layout["hash"], *sizes, *config.split_names]
    shard_set = content_hash(named, 16)
    for split, (name, tokens) in enumerate(zip(config.split_names, split_tokens, strict=True)):
        groups = None if group_rows is None else group_rows[split]
        num_rows = _num_rows(config, tokens, groups)
        stored = tokens if config.row == "concat" else num_rows * row_tokens
        shards = -(-stored * id_bytes // config.shard_bytes(id_bytes))
        shards = min(shards, num_rows)
        for shard in range(shards):
            first, last = shard * num_rows // shards, (shard + 1) * num_rows // shards
            inputs = {
                "place": [f"shards/{shard_set}", name, shard, shards],
                "split": split,
                "first_row": first,
                "rows": last - first,
                "partitions": partitions,
                "exchange": exchange,
                "layout": layout,
            }
            if groups is not None:
                first_group = int(np.searchsorted(groups, first, side="right")) - 1
                inputs |= {
                    "groups": len(groups) - 1,
                    "first_group": first_group,
                    "last_group": int(np.searchsorted(groups, last, side="left")),
                    "skipped_rows": first - int(groups[first_group]),
                }
            elif config.row == "concat":
                inputs["tokens"] = min(tokens, last * row_tokens) - first * row_tokens
            else:
                inputs |= {"windows": num_rows, "stream_tokens": tokens}
            units.append(Unit(len(units), inputs, (last - first) * row_tokens * id_bytes))
    return units


def _num_rows(config: ShardsConfig, tokens: int, groups: NDArray[np.int64] | None) -> int:
    """Rows of a split."""
    if groups is not None:
        return int(groups[-1])
    if config.row == "concat":
        return -(-tokens // config.row_tokens)
    return int(num_windows(np.array([tokens]), config.row_tokens, config.stride_tokens)[0])


def run(unit: Unit, workspace: Workspace) -> None:
    """Read the shard's stretch of every map file, put it in order, pack it and write it."""
    inputs = unit.inputs
    with workspace.timed("pack"):
        packed = read_rows(workspace, inputs)
    with workspace.timed("write"):
        write_rows(workspace, ShardId(*inputs["place"]), packed)
    workspace.metadata["split"] = inputs["split"]
    workspace.count("rows", len(packed.rows))
    workspace.count("tokens", packed.pieces.sum(dtype=np.int64))
    workspace.count("pieces", len(packed.pieces))
