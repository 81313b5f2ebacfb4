"""One entry of ``measure.operators``."""

import re
from typing import Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, SerializerFunctionWrapHandler, field_validator, model_serializer

from winnow.operators.operator import Operator
from winnow.section import Section
from winnow.storage.config import PathSetting

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SpansConfig(Section):
    """What becomes of spans that an operator finds; these keys are none of the operator's own settings."""

    action: Literal["replace", "drop", "annotate"] = "replace"
    """`replace`: a fixed text stands in place of each span where the text leaves; `drop` leaves out documents that have
    any; `annotate` only counts them."""
    max_spans: int | None = Field(None, ge=0)
    """A document with more is left out (`filtered`)."""
    replacements: dict[str, str] = Field(default_factory=dict)
    """By kind, what stands in its place; "" cuts."""

    @property
    def limit(self) -> int | None:
        """Spans that a document may have; None for any number."""
        return 0 if self.action == "drop" else self.max_spans


SPANS = tuple(SpansConfig.model_fields)


class OperatorConfig(Section):
    """A function or class of your own. All other keys are its settings: keyword arguments, as they stand here."""

    model_config = ConfigDict(extra="allow")

    use: PathSetting = Field(min_length=1)
    """`FILE.py:NAME` (a path beside this config, or an address such as s3://bucket/ops.py:NAME), `package.module:NAME`
    for what is installed, or the name of an entry point of the group `winnow.operators`."""
    name: str | None = None
    """Name of the operator, and of its column where it is a signal or a filter; none given: the function's own."""
    pinned: str | None = None
    """Runs write here what the operator was, as a hash of source, settings and files: with it, anything else is
    refused."""
    on_gpu: bool = False
    """Runs write here that it is one of ``gpu=True``; what its decorator says holds."""
    finds_spans: bool = False
    """Runs write here that it is one of `spans`; what its decorator says holds."""
    made_columns: tuple[str, ...] = ()
    """Runs write here which columns it made."""
    _found: Operator | None = PrivateAttr(None)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(f"name ({name!r}) must consist of letters, digits and _ only, and not begin with a digit")
        return name

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = write(self)
        for name in ("on_gpu", "finds_spans", "made_columns"):
            if not values.get(name):
                values.pop(name, None)
        return values

    @property
    def settings(self) -> dict[str, Any]:
        """The operator's own settings, and what becomes of its spans."""
        return dict(self.model_extra or {})

    @property
    def spans(self) -> SpansConfig:
        """What becomes of its spans.

        Raises:
            ValidationError: it cannot be so.
        """
        return SpansConfig.model_validate({key: self.settings[key] for key in SPANS if key in self.settings})

    @property
    def found(self) -> Operator:
        """The operator itself.

        Raises:
            RuntimeError: nobody has looked for it (``config.operators.pin_operators``).
        """
        if self._found is None:
            raise RuntimeError(f"operator {self.use!r} was not resolved; call pin_operators before stages are made")
        return self._found

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it makes; a finished run knows them without the operator itself.

        Raises:
            RuntimeError: nobody has looked for it.
        """
        return self.found.columns if self.pinned is None else self.made_columns

    def with_found(self, operator: Operator, use: str, settings: dict[str, Any]) -> "OperatorConfig":
        """This entry, pinned to what was found."""
        named = {"use": use, "name": operator.name, "pinned": operator.fingerprint}
        is_late = {"on_gpu": operator.gpu, "finds_spans": operator.kind == "spans"}
        values = {**named, **is_late, "made_columns": operator.columns, **settings}
        pinned = OperatorConfig.model_validate(values)
        pinned._found = operator
        return pinned
