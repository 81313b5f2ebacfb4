"""The section `shards` of the config."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from winnow.section import Section
from winnow.shards.formats.formats import FORMATS, formats_that, formats_with_columns, in_order
from winnow.shards.mixture.config import NOTHING, OTHERS, BucketConfig, MixtureConfig, PhaseConfig
from winnow.shards.packing.config import BestFitConfig, WindowConfig

FormatName = Annotated[
    str,
    AfterValidator(FORMATS.check),
    WithJsonSchema({"type": "string", "examples": ["parquet", "raw", "mds", "litdata"]}),
]
"""Name of a shard format that is installed."""
USUAL_EPOCHS = 4.0
"""Passes over the same text that are worth about as much as new text."""
ONE_A_ROW = ("document", "preference")
"""Kinds of rows that hold one document each."""
ColumnName = Literal["position_ids", "attention_mask", "loss_mask", "docs"]


class ShardsConfig(Section):
    """Training shards: row length, splits, size, order."""

    row: Literal["concat", "best_fit", "window", "document", "preference"] = "concat"
    """How documents become rows: `concat` joins them with end-of-text and cuts every `sequence_tokens` + 1, `best_fit`
    packs whole documents and the tails of long ones, `window` slides along the text, `document` is one a row,
    `preference` one preference pair a row."""
    sequence_tokens: int = Field(4096, ge=1)
    """Tokens a training step sees in a row. A stored row has one more, so that inputs and targets both fit; with
    `row: document` it has just these, and with `row: preference` they are the most of a prompt with one answer."""
    best_fit: BestFitConfig = BestFitConfig()
    """For `row: best_fit`."""
    window: WindowConfig = WindowConfig()
    """For `row: window`."""
    columns: tuple[ColumnName, ...] = Field((), strict=False)
    """Further columns: `position_ids` (start anew at each document), `attention_mask` and `loss_mask` (0 on padding),
    `docs` (whose piece is it, and where it begins there). `row: document` always has `attention_mask`."""
    formats: tuple[FormatName, ...] = Field(("parquet",), strict=False, min_length=1)
    """Shard formats to write, any of parquet, raw (Megatron, datatrove, nanotron, OLMo), mds (MosaicML), litdata, and
    those of installed packages."""
    buckets: tuple[BucketConfig, ...] = Field((), strict=False)
    """Columns of ranges of a number that `mixture` may divide by."""
    mixture: MixtureConfig | None = None
    """Shares of the tokens of split train by source, `{SOURCE: WEIGHT}` (every source is named), or by other columns:
    whole passes over a bucket, then a part of one. Without `max_tokens`, the largest mixture that repeats nothing.
    None = as they are."""
    max_tokens: int | None = Field(None, ge=1)
    """Budget of split train in tokens, ends of documents and copies counted, and of each document what `row` lets into
    rows; less than one document of each source stays unused. None = all."""
    phases: tuple[PhaseConfig, ...] = Field((), strict=False, max_length=100)
    """In place of `mixture` and `max_tokens`: several mixtures, one after the other in split train, each in rows and
    shards of its own, shuffled in itself; such as a main and an annealing phase."""
    max_epochs: float = Field(USUAL_EPOCHS, ge=1, le=1000)
    """How often `mixture` may take a bucket's text at most: where shares and `max_tokens` ask for more, the run is
    refused. Over 4 passes little is learnt from more (Muennighoff et al. 2023, arXiv 2305.16264)."""
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

    @field_validator("mixture", mode="before")
    @classmethod
    def _no_mixture(cls, value: Any) -> Any:
        return None if value is False or value in ("off", "none") else value

    @model_validator(mode="after")
    def _usable_mixture(self) -> Self:
        mixtures = [phase.mixture for phase in self.all_phases if phase.mixture is not None]
        if self.phases and (self.mixture is not None or self.max_tokens is not None):
            raise ValueError(
                "phases have mixtures and budgets of their own: leave mixture and max_tokens out beside them"
            )
        if len(self.phase_names) != len(set(self.phase_names)):
            raise ValueError(f"phases {', '.join(self.phase_names)}: names must differ")
        ranges = {bucket.name: bucket.ranges for bucket in self.buckets}
        if len(ranges) < len(self.buckets):
            raise ValueError(f"buckets {', '.join(bucket.name for bucket in self.buckets)}: names must differ")
        if self.buckets and not mixtures:
            raise ValueError("buckets are for mixture.by, and there is no mixture; leave them out, or add one")
        idle = [name for name in ranges if not any(name in mixture.by for mixture in mixtures)]
        if idle:
            raise ValueError(f"bucket {idle[0]}: mixture.by does not name it; add it there, or leave it out")
        for mixture in mixtures:
            self._check_mixture(mixture, ranges)
        return self

    def _check_mixture(self, mixture: MixtureConfig, ranges: dict[str, tuple[str, ...]]) -> None:
        for place, column in enumerate(mixture.by):
            named = {leaf.path[place] for leaf in mixture.leaves if len(leaf.path) > place} - {OTHERS, NOTHING}
            known = ranges.get(column, ())
            for name in sorted(named - set(known)) if known else ():
                raise ValueError(f"mixture names {name} of {column}, whose ranges are: {', '.join(known)}")
        often = [leaf for leaf in mixture.leaves if mixture.repeats is not None and leaf.number > self.max_epochs]
        if often:
            raise ValueError(
                f"mixture.repeats takes {often[0].name} {often[0].number:g} times, over max_epochs "
                f"({self.max_epochs:g}); lower it, or raise max_epochs"
            )

    @model_validator(mode="after")
    def _possible_formats(self) -> Self:
        plain = [name for name in self.formats if not FORMATS.get(name).compressible]
        if self.compression != "none" and plain:
            able = formats_that(lambda known: known.compressible)
            raise ValueError(
                f"compression {self.compression}: {', '.join(plain)} shards cannot be compressed; "
                f"set compression to none, or write only {able}"
            )
        for file_format in self.formats:
            lost = FORMATS.get(file_format).unsupported_columns(name for name in self.row_columns if name != "docs")
            if lost:
                raise ValueError(
                    f"{file_format} shards have no place for {', '.join(lost)} (which columns or row: {self.row} ask "
                    f"for); write {formats_with_columns(lost)}"
                )
        if "docs" in self.columns and not any(FORMATS.get(name).docs for name in self.formats):
            able = formats_that(lambda known: known.docs)
            raise ValueError(f"columns names docs, which only {able} shards hold; add {able} to formats")
        if len(set(self.formats)) < len(self.formats):
            raise ValueError(f"formats {', '.join(self.formats)}: name each one once")
        if self.shard_tokens is not None and self.shard_mb != type(self).model_fields["shard_mb"].default:
            raise ValueError(f"shard_mb ({self.shard_mb}) and shard_tokens ({self.shard_tokens}): give one of the two")
        return self

    @property
    def ordered_formats(self) -> list[str]:
        """The formats in one order, whatever the order in the config; the first one is the manifest's main one."""
        return in_order(self.formats)

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
        if self.row == "preference":
            self._check_preference_rows()
        return self

    def _check_preference_rows(self) -> None:
        unable = [name for name in self.formats if not FORMATS.get(name).preferences]
        if unable:
            able = formats_that(lambda known: known.preferences)
            raise ValueError(f"{unable[0]} shards have no place for preference pairs; set formats to [{able}]")
        lost = [name for name in self.columns if name != "docs"]
        if lost:
            raise ValueError(f"columns names {lost[0]}, which rows of preference pairs do not have; leave it out")

    @property
    def mixes(self) -> bool:
        """Whether the train split is drawn by shares or to a budget."""
        return self.mixture is not None or self.max_tokens is not None or bool(self.phases)

    @property
    def all_phases(self) -> tuple[PhaseConfig, ...]:
        """The phases; a single one of `mixture` and `max_tokens` where none are named."""
        return self.phases or (PhaseConfig(name="all", mixture=self.mixture, max_tokens=self.max_tokens),)

    @property
    def phase_names(self) -> list[str]:
        """Of the phases; none where there is a single one."""
        return [phase.name for phase in self.phases]

    @property
    def sections(self) -> list[int]:
        """The split of each section of the global order: a split, or of train a phase. Nothing reaches over its end."""
        return [*(0 for _ in self.phases or (None,)), *range(1, len(self.split_names))]

    def sections_of(self, split: int) -> list[int]:
        """The sections of a split, in order."""
        return [number for number, of in enumerate(self.sections) if of == split]

    @property
    def row_tokens(self) -> int:
        """Tokens of a stored row."""
        if self.row == "preference":
            return 2 * self.sequence_tokens + 1
        return self.sequence_tokens + (self.row != "document")

    @property
    def stride_tokens(self) -> int:
        """Tokens from one window's begin to the next."""
        return self.window.stride_tokens or self.sequence_tokens

    @property
    def packs_by_groups(self) -> bool:
        """Whether rows are made from groups of documents, so that their number is known only after packing."""
        return self.row in ("best_fit", *ONE_A_ROW) or (self.row == "window" and self.window.over == "document")

    @property
    def row_settings(self) -> dict[str, Any]:
        """Kind of rows and its own options: what decides which tokens stand in which row, besides the row's length."""
        if self.row == "best_fit":
            return {"kind": self.row, **self.best_fit.model_dump()}
        if self.row == "window":
            return {"kind": self.row, "over": self.window.over, "stride_tokens": self.stride_tokens}
        return {"kind": self.row}

    @property
    def cutting_rows(self) -> dict[str, Any]:
        """What decides how much of a document gets into rows, for ``tokens_in_rows``; empty where all of it does, the
        end of the stream apart."""
        cuts = self.row == "best_fit" and self.best_fit.long_documents != "split"
        if cuts or self.row in ONE_A_ROW or (self.row == "window" and self.window.over == "document"):
            return {**self.row_settings, "row_tokens": self.row_tokens}
        return {}

    @property
    def row_columns(self) -> list[ColumnName]:
        """Further columns, in the order in which they are written."""
        always: list[ColumnName] = ["attention_mask"] if self.row == "document" else []
        return always + [name for name in self.columns if name not in always]

    @property
    def split_names(self) -> list[str]:
        """`train` first, then the others as configured."""
        return ["train", *self.splits]
