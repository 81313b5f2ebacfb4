"""What names the language of documents, made from the settings of a stage."""

from collections.abc import Callable
from typing import Any, Protocol

import pyarrow as pa

from winnow.text.language.by_model import ModelIdentifier
from winnow.text.language.config import LanguageConfig
from winnow.text.language.detect import LanguageIdentifier


class Identifier(Protocol):
    """Names the language of every document, by codes (ISO 639); each document by itself."""

    characters: int
    """How many of a text, from its beginning, are looked at."""
    labels: list[str]
    """All codes that it may give."""

    def __call__(self, texts: pa.Array) -> pa.Array:
        """large_string[N] without nulls to dictionary<int16, string>[N]."""


def identifier_of(described: dict[str, Any], local: Callable[[str], str]) -> Identifier:
    """What some `LanguageConfig.described` says; load it once a process.

    Args:
        described: of the section.
        local: this node's path of a file of the run folder.

    Raises:
        ModelError, OSError: the model cannot be read. ValueError: a label of it is no language.
    """
    model = described.get("model")
    if model is not None:
        return ModelIdentifier(local(model["path"]), described["characters"], described["min_probability"])
    return LanguageIdentifier(LanguageConfig(characters=described["characters"]))
