"""The settings `measure.language`."""

from pydantic import Field, PrivateAttr, model_validator

from winnow.operators.files import NamedFile
from winnow.section import Section, Share
from winnow.storage.config import PathSetting

CHARACTERS, CHARACTERS_OF_A_MODEL = 2000, 500


class LanguageConfig(Section):
    """How a document's language is found: by py3langid, or by a fastText model of yours (docs/models.md)."""

    model: PathSetting | None = Field(None, min_length=1)
    """A supervised fastText model of languages, `.bin` or `.ftz`: a path beside this config, or an address."""
    characters: int | None = Field(None, ge=1, le=100_000)
    """Characters at the start of a document that are looked at; none given: 2000, with a `model` 500. Raising it costs
    time in proportion."""
    min_probability: Share = 0.0
    """Where the model is less sure of its likeliest language, the document is in `und`, undetermined."""
    pinned: str | None = None
    """Runs write here the SHA-256 of the model: with it, another file is refused."""
    _file: NamedFile | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _of_a_model(self) -> "LanguageConfig":
        if self.model is None and (self.min_probability or self.pinned):
            name = "min_probability" if self.min_probability else "pinned"
            raise ValueError(f"{name} is for a `model`; py3langid, which is used without, has no such setting")
        return self

    @property
    def limit(self) -> int:
        """Characters that are looked at."""
        return self.characters or (CHARACTERS if self.model is None else CHARACTERS_OF_A_MODEL)

    @property
    def described(self) -> dict[str, object]:
        """What labels depend on, in the settings of a stage; ``path`` lies in the run folder."""
        if self.model is None:
            return {"characters": self.limit}
        model = {"path": self.model, "sha256": self.pinned}
        return {"characters": self.limit, "model": model, "min_probability": self.min_probability}

    @property
    def files(self) -> tuple[NamedFile, ...]:
        """What goes into the run folder; nothing where nobody has looked for it (``config.language_model``)."""
        return () if self._file is None else (self._file,)

    def with_file(self, file: NamedFile, sha256: str) -> "LanguageConfig":
        """This section, pinned to a model that was found."""
        found = self.model_copy(update={"model": file.path, "pinned": sha256})
        found._file = file
        return found


HALF = LanguageConfig(characters=1000)
"""Of each half of a text's prose, where two must agree (``sure``): together what a document's label is made of."""


def half_of(config: LanguageConfig) -> dict[str, object]:
    """Settings of what names the language of such halves: with a model, as much of each as of a document."""
    return HALF.described if config.model is None else config.described
