"""The section `decontaminate` of the config."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from winnow.section import Section
from winnow.storage.config import PathSetting

_UNSPEAKING = ("test", "valid", "validation", "val", "dev", "train", "data", "items", "all")
LEAST_WORDS = 5
"""Of an item: the words of one n-gram."""


def _one_as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Fields = Annotated[tuple[str, ...], BeforeValidator(_one_as_list), Field(min_length=1)]
"""One field, or several; parts of a path are joined by dots."""


class EvaluationSet(Section):
    """One evaluation set; its path alone will do where its fields are told by their names."""

    path: PathSetting = Field(min_length=1)
    """A file: JSON, JSON Lines, CSV, TSV or Parquet; `.gz` `.zst` `.bz2` `.xz` may follow, but for Parquet."""
    name: str | None = Field(None, min_length=1, pattern=r"^[^/\x00-\x1f]+$")
    """What reports call it; null: the name of the file, or of its folder where the file's says nothing (test.jsonl)."""
    question: str | None = Field(None, min_length=1)
    """Field of the question, such as question or question.stem; null: told by the fields that the file has."""
    answer: str | None = Field(None, min_length=1)
    """Field of the answer: a text, or the number or letter of a choice; null: told by the fields, if there is one."""
    choices: Fields | None = None
    """Field of a list of choices, or a list of fields of one choice each; null: told by the fields, if there are any.
    Without an answer, each choice counts as one."""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @property
    def shown(self) -> str:
        """What reports call it."""
        if self.name is not None:
            return self.name
        parts = PurePosixPath(self.path).parts
        stem = parts[-1].partition(".")[0]
        if stem.lower() in _UNSPEAKING and len(parts) > 1 and parts[-2] not in ("/", ".", ".."):
            return parts[-2]
        return stem or parts[-1]


class DecontaminateConfig(Section):
    """Documents that hold items of evaluation sets."""

    sets: tuple[EvaluationSet, ...] = Field(min_length=1, strict=False)
    """The evaluation sets: files, or sections with a path and the names of fields."""
    action: Literal["drop", "span"] = "drop"
    """`drop` leaves the document out, with outcome contaminated; `span` cuts what it holds of an item, and
    `span_characters` on both sides, out of what is trained on (for books)."""
    question: float = Field(0.8, gt=0, le=1)
    """Share of a question's words that a document must hold, in runs of five and close together."""
    with_answer: float = Field(0.7, gt=0, le=1)
    """The same of question and answer together."""
    min_words: int = Field(8, ge=LEAST_WORDS)
    """Shorter questions are tested together with their answer only, and not at all where that is shorter, too."""
    exact_below: int = Field(10, ge=0)
    """Of fewer words than this, a document must hold all."""
    span_characters: int = Field(200, ge=0, le=100_000)
    """What `span` cuts on both sides of an item."""

    @model_validator(mode="after")
    def _names_differ(self) -> "DecontaminateConfig":
        names = [entry.shown for entry in self.sets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"sets: two are called {name!r}; give one another `name`")
        return self
