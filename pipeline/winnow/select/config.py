"""The section `select` of the config: composed of the settings of its steps, each beside its owner."""

from typing import Any

from pydantic import field_validator, model_validator

from winnow.section import Section
from winnow.select.encoder_config import EncoderConfig
from winnow.select.step_configs import (
    ClustersConfig,
    ExamplesConfig,
    ImportanceConfig,
    PrototypesConfig,
    QualityConfig,
    SampleConfig,
    SemanticConfig,
)


class SelectConfig(Section):
    """Embedding, semantic duplicates and sampling, in this order; every step sees what the one before it left."""

    encoder: EncoderConfig = EncoderConfig()
    clusters: ClustersConfig = ClustersConfig()
    semantic: SemanticConfig | None = SemanticConfig()
    """Remove documents that say what a kept one says: `off`, `on`, or settings."""
    quality: QualityConfig | None = None
    """Judge documents by examples of good and bad ones; leave out bad ones, or draw good ones sooner."""
    prototypes: PrototypesConfig | None = None
    """Leave out what is nearest to the centre of its cluster: `off`, `on`, or settings."""
    importance: ImportanceConfig | None = None
    """Draw the sample toward a target set; needs `sample`."""
    sample: SampleConfig | None = None
    """Take so many tokens of what is left; None = all."""

    @field_validator("semantic", "prototypes", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return None if value is False or value == "off" else {} if value is True or value == "on" else value

    @field_validator("quality", "importance", "sample", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False or value == "off" else value

    @model_validator(mode="after")
    def _does_something(self) -> "SelectConfig":
        if not self.needs_vectors and self.sample is None and self.importance is None:
            raise ValueError("every step is off; write `select: none`")
        if self.importance is not None and self.sample is None:
            raise ValueError("importance says in which order `sample` draws; give sample.target_tokens, too")
        if self.quality is not None and self.quality.temperature is not None and self.sample is None:
            raise ValueError(
                "quality.temperature says in which order `sample` draws; give sample.target_tokens, or leave out "
                "documents by quality.threshold"
            )
        return self

    @property
    def needs_clusters(self) -> bool:
        """Whether any step looks at clusters."""
        balanced = self.sample is not None and self.sample.cluster_temperature is not None
        return self.semantic is not None or self.prototypes is not None or balanced

    @property
    def needs_vectors(self) -> bool:
        """Whether any step looks at what documents say."""
        return self.needs_clusters or self.quality is not None

    @property
    def leaves_out_by_score(self) -> bool:
        """Whether any step after semantic dedup leaves documents out."""
        by_quality = self.quality is not None and self.quality.threshold is not None
        return by_quality or self.prototypes is not None or self.sample is not None

    @property
    def example_sets(self) -> tuple[dict[str, ExamplesConfig], ...]:
        """The user's example files by the setting that names them, apart for each step: a file may serve several."""
        return tuple(step.example_sets for step in (self.importance, self.quality) if step is not None)
