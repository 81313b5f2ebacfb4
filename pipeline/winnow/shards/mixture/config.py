"""The settings `shards.mixture` and `shards.buckets`: which buckets there are, and how much of each is taken."""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema

from winnow.section import LARGEST, Section

OTHERS = "*"
"""In place of a value: all values that are not named beside it."""
NOTHING = "(none)"
"""The value of a document that has none."""
BY_SOURCE = ("source",)
_MOST_BUCKETS = 1000


class BucketConfig(Section):
    """A column of ranges of a number, such as quality buckets."""

    name: str = Field(min_length=1)
    """What `mixture.by` calls it."""
    signal: str = Field(min_length=1)
    """What is cut: a signal (built-in, or an operator's), `duplicates`, `tokens`, a score of `select`, or a kept field
    that holds numbers."""
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = Field(None, strict=False, min_length=1)
    """Where, as exact quantiles of the documents that split train draws from, rising: 0.2 puts the lowest 20 % below,
    those that equal the quantile with them."""
    at: tuple[float, ...] | None = Field(None, strict=False, min_length=1)
    """In place of `quantiles`: where, by value, rising; a document that has the very value lies above."""
    by: Literal["source", "language"] | None = None
    """Quantiles of each source, or each language, by itself."""
    names: tuple[str, ...] | None = Field(None, strict=False)
    """Of the ranges, from the lowest, one more than cuts; none given: `0-0.2`, `0.2-1`; with `at`: `under 10`, `10-50`,
    `from 50`."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.quantiles is None) == (self.at is None):
            raise ValueError("give quantiles or at, one of the two")
        cuts = self.cuts
        if any(high <= low for low, high in itertools.pairwise(cuts)):
            raise ValueError(f"cuts must rise, each larger than the one before: {', '.join(f'{c:g}' for c in cuts)}")
        if self.name in ("source", "language", OTHERS, NOTHING):
            raise ValueError(f"name: there is a column {self.name!r}; choose another name")
        if self.by is not None and self.quantiles is None:
            raise ValueError("by is for quantiles")
        named = self.ranges
        if len(named) != len(cuts) + 1:
            raise ValueError(f"names must name {len(cuts) + 1} ranges, one more than cuts, not {len(named)}")
        if len(set(named)) < len(named) or {OTHERS, NOTHING, ""} & set(named):
            raise ValueError(f"names must differ, and none may be empty, {OTHERS!r} or {NOTHING!r}")
        return self

    @property
    def cuts(self) -> tuple[float, ...]:
        """Where the number is cut: quantiles, or values."""
        return self.quantiles or self.at or ()

    @property
    def ranges(self) -> tuple[str, ...]:
        """Names of the ranges, from the lowest."""
        if self.names is not None:
            return self.names
        written = [f"{cut:.15g}" for cut in self.cuts]
        if self.quantiles is not None:
            edges = ["0", *written, "1"]
            return tuple(f"{low}-{high}" for low, high in itertools.pairwise(edges))
        inner = [f"{low}-{high}" for low, high in itertools.pairwise(written)]
        return (f"under {written[0]}", *inner, f"from {written[-1]}")


class Leaf(NamedTuple):
    """A bucket that a mixture names."""

    path: tuple[str, ...]
    """Values of the first columns, `*` for all others."""
    number: float
    """Its weight, or how often it is repeated."""

    @property
    def name(self) -> str:
        """As people are told of it."""
        return "/".join(self.path)


class MixtureConfig(Section):
    """How much of which documents is in split train. By source alone it may be written `{SOURCE: WEIGHT}`."""

    by: tuple[str, ...] = Field(BY_SOURCE, strict=False, min_length=1, max_length=8)
    """Columns whose values make the buckets: `source`, `language`, kept fields, `cluster`, and those that
    `shards.buckets` defines."""
    weights: dict[str, Any] | None = None
    """Shares of the tokens of split train by bucket (any numbers of at least 0), nested in the order of `by`:
    `{web: {high: 3, low: 1}, books: 2}`. A number that stands for a value takes all below it as one bucket, `*` all
    values that are not named, `(none)` documents without one, and 0 leaves a bucket out."""
    repeats: dict[str, Any] | None = None
    """In place of `weights`: how often each bucket's text is taken, `max_epochs` times at most: `{high: 3, low: 0.5}`.
    `max_tokens` makes all of them smaller alike."""

    @model_validator(mode="before")
    @classmethod
    def _by_source(cls, value: Any) -> Any:
        """`{web: 0.7, books: 0.3}` means weights by source."""
        if not isinstance(value, dict):
            return value
        whole = {"weights", "repeats"} & {
            key for key, inside in value.items() if inside is None or isinstance(inside, dict)
        }
        return value if whole or isinstance(value.get("by"), list | tuple | str) else {"weights": value}

    @field_validator("by", mode="before")
    @classmethod
    def _one_column(cls, by: Any) -> Any:
        return (by,) if isinstance(by, str) else by

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.weights is None) == (self.repeats is None):
            raise ValueError("give weights or repeats, one of the two")
        if len(set(self.by)) < len(self.by):
            raise ValueError(f"by: {', '.join(self.by)}: name each column once")
        found = list(_leaves(self.numbers, self.by))
        if not found:
            raise ValueError("it names no bucket; name at least one, or leave it out")
        if len(found) > _MOST_BUCKETS:
            raise ValueError(
                f"it names {len(found):,} buckets; at most {_MOST_BUCKETS:,}: take rare values together by '*'"
            )
        if not any(leaf.number for leaf in found):
            raise ValueError("every bucket has 0, which takes nothing; give one of them more")
        return self

    @property
    def numbers(self) -> dict[str, Any]:
        """``weights`` or ``repeats``."""
        return self.weights if self.weights is not None else self.repeats or {}

    @property
    def leaves(self) -> list[Leaf]:
        """The buckets, in the order in which they are written."""
        return list(_leaves(self.numbers, self.by))

    @property
    def by_source(self) -> bool:
        """Whether it is of weights by source and nothing else, every source for itself."""
        return self.by == BY_SOURCE and self.weights is not None and not {OTHERS, NOTHING} & set(self.weights)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        whole = handler(core)
        short = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}}
        return {"anyOf": [whole, short], "description": (cls.__doc__ or "").strip()}


class PhaseConfig(Section):
    """A stretch of split train with a mixture of its own."""

    name: str = Field(pattern="^[A-Za-z][A-Za-z0-9_-]*$")
    """What the manifest and the reader call it."""
    mixture: MixtureConfig | None = None
    """As `shards.mixture`, of this phase."""
    max_tokens: int | None = Field(None, ge=1)
    """As `shards.max_tokens`, of this phase."""

    @field_validator("mixture", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False or value in ("off", "none") else value


def _leaves(numbers: dict[str, Any], by: tuple[str, ...], above: tuple[str, ...] = ()) -> Iterator[Leaf]:
    for value, inside in numbers.items():
        path = (*above, str(value))
        name = "/".join(path)
        if isinstance(inside, dict):
            if len(path) == len(by):
                raise ValueError(
                    f"{name} is divided once more, but `by` has {len(by)} column{'s' * (len(by) > 1)}: "
                    f"{', '.join(by)}; give it a number, or name another column in `by`"
                )
            if not inside:
                raise ValueError(f"{name} names no bucket; give it a number")
            yield from _leaves(inside, by, path)
        elif isinstance(inside, bool) and inside is False:
            yield Leaf(path, 0.0)
        elif isinstance(inside, bool) or not isinstance(inside, int | float):
            raise ValueError(f"the number of {name} must be at least 0, not {type(inside).__name__} {inside!r}")
        elif not 0 <= inside <= LARGEST:
            raise ValueError(f"the number of {name} must be at least 0 and at most {LARGEST:,}, not {inside:g}")
        else:
            yield Leaf(path, float(inside))
