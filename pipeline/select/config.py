"""The section `select` of the config: composed of the settings of its steps, each beside its owner."""

from typing import Any

from pydantic import field_validator, model_validator

from pipeline.section import Section
from pipeline.select.clusters import ClustersConfig
from pipeline.select.encoder import EncoderConfig
from pipeline.select.sampling import SampleConfig
from pipeline.select.semantic import SemanticConfig


class SelectConfig(Section):
    """Embedding, semantic duplicates and sampling, in this order; every step sees what the one before it left."""

    encoder: EncoderConfig = EncoderConfig()
    clusters: ClustersConfig = ClustersConfig()
    semantic: SemanticConfig | None = SemanticConfig()
    """Remove documents that say what a kept one says: `off`, `on`, or settings."""
    sample: SampleConfig | None = None
    """Take so many tokens of what is left; None = all."""

    @field_validator("semantic", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return None if value is False or value == "off" else {} if value is True or value == "on" else value

    @field_validator("sample", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False or value == "off" else value

    @model_validator(mode="after")
    def _does_something(self) -> "SelectConfig":
        if not self.needs_vectors and self.sample is None:
            raise ValueError("every step is off; write `select: none`")
        return self

    @property
    def needs_vectors(self) -> bool:
        """Whether any step looks at what documents say."""
        return self.semantic is not None or (self.sample is not None and self.sample.cluster_temperature is not None)
