"""One entry of ``measure.operators``."""

import re
from typing import Any

from pydantic import ConfigDict, Field, PrivateAttr, SerializerFunctionWrapHandler, field_validator, model_serializer

from winnow.operators.operator import Operator
from winnow.section import Section
from winnow.storage.config import PathSetting

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
        if not self.on_gpu:
            values.pop("on_gpu", None)
        return values

    @property
    def settings(self) -> dict[str, Any]:
        """The operator's own settings."""
        return dict(self.model_extra or {})

    @property
    def found(self) -> Operator:
        """The operator itself.

        Raises:
            RuntimeError: nobody has looked for it (``config.operators.pin_operators``).
        """
        if self._found is None:
            raise RuntimeError(f"operator {self.use!r} was not resolved; call pin_operators before stages are made")
        return self._found

    def with_found(self, operator: Operator, use: str, settings: dict[str, Any]) -> "OperatorConfig":
        """This entry, pinned to what was found."""
        named = {"use": use, "name": operator.name, "pinned": operator.fingerprint}
        values = {**named, "on_gpu": operator.gpu, **settings}
        pinned = OperatorConfig.model_validate(values)
        pinned._found = operator
        return pinned
