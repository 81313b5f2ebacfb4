"""The settings of the steps of `select`."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from winnow.section import Section
from winnow.sources.encoding import UTF_8, Encoding
from winnow.sources.source import AUTO, FormatName, Names, Paths, SourceConfig
from winnow.storage.config import PathSetting

POSITIVE, NEGATIVE = "select.quality.positive", "select.quality.negative"
"""The settings that name examples, and so the names of these sets."""
TARGET = "select.importance.target"
"""The setting that names the target's files, and so the name of that set."""


class ExamplesConfig(Section):
    """Example texts, read as a source is; a path or a list of paths alone will do."""

    path: Paths
    """Files, folders or globs, as in `sources`."""
    format: FormatName | None = None
    """What the files hold; None goes by suffix."""
    text: Names = "text"
    """Field or column that holds the text; of several the first that a record has."""
    encoding: Encoding = UTF_8
    """Character encoding, as in `sources`."""
    separator: str | None = Field(None, min_length=1)
    """Plain text only: examples of a file are separated by this; None makes every file one example."""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | list | tuple) else value

    def source(self, name: str) -> SourceConfig:
        """The same as a source; ``name`` is the setting's, so that messages name it."""
        return SourceConfig(
            name=name,
            path=self.path,
            format=self.format or AUTO,
            text=self.text,
            encoding=self.encoding,
            separator=self.separator,
        )


class ClustersConfig(Section):
    """Groups of documents with near vectors."""

    number: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """How many clusters; `auto` is the square root of the number of documents, at most 50,000. With fewer documents
    than clusters, every document is a cluster."""
    fit_documents: int = Field(200_000, ge=1)
    """Documents that the centres are fitted on, drawn by hash; at least eight a cluster are taken."""
    iterations: int = Field(20, ge=1)
    """Rounds of k-means at most; it ends sooner when no document changes its cluster."""
    levels: Literal["auto", 1, 2] = "auto"
    """2 = first about sqrt(number) coarse clusters, then each is divided. `auto` is 2 from 4,096 clusters on."""
    seed: int = Field(0, ge=0, lt=1 << 63)
    """Of the hash that draws the sample and the first centres."""
    centres: PathSetting | None = Field(None, min_length=1)
    """A file of centres (`clusters.npy` of `winnow export embeddings`) to use instead of fitting new ones."""


class ImportanceConfig(Section):
    """Draw documents by how much likelier they are in a target set than in the corpus."""

    target: ExamplesConfig
    """Files of texts that the sample should be like: a path, a list of paths, or settings of reading."""
    buckets: int = Field(10_000, ge=16, le=1 << 24)
    """Hash buckets of words and word pairs."""
    smoothing: float = Field(1.0, ge=1e-9, le=1e9)
    """Counts added to the target, a bucket on the average, spread as in the corpus."""
    max_features: int | None = Field(200, ge=1)
    """Features (words and word pairs) that a document counts for at most; the sum of a longer one is scaled down to so
    many. Smaller values draw more evenly. None weighs by the whole sum, as published, for corpora of short texts or of
    equal lengths."""

    @property
    def example_sets(self) -> dict[str, ExamplesConfig]:
        """Its example files, by the setting that names them."""
        return {TARGET: self.target}


class PrototypesConfig(Section):
    """Drop what is most ordinary."""

    drop_share: float = Field(0.2, gt=0, lt=1)
    """Share of each cluster's documents to drop, those nearest to the centre first; rounded down."""


class QualityConfig(Section):
    """Judge documents by examples of good and bad ones."""

    positive: ExamplesConfig
    """Files of texts that are wanted: a path, a list of paths, or settings of reading."""
    negative: ExamplesConfig
    """Files of texts that are not."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Documents below this quality (0 to 1) are left out; None leaves none out. Look at the curve first: `winnow select
    CONFIG --explore`."""
    temperature: float | None = Field(None, ge=1e-6, le=1e9)
    """In the draw of `sample`, a document's weight is its odds, quality / (1 - quality), to the power 1 / temperature;
    None does not look at quality there."""
    validation_share: float = Field(0.2, gt=0, lt=1)
    """Share of the examples of each class that judge the head and do not train it."""
    l2: float = Field(1.0, ge=1e-12, le=1e12)
    """Strength of the penalty on the head's weights (scikit-learn's 1 / C)."""
    seed: int = Field(0, ge=0, lt=1 << 63)
    """Of the draw of held-out examples."""

    @property
    def example_sets(self) -> dict[str, ExamplesConfig]:
        """Its example files, by the setting that names them."""
        return {POSITIVE: self.positive, NEGATIVE: self.negative}


class SampleConfig(Section):
    """What of the rest goes into the shards."""

    target_tokens: int = Field(ge=1)
    """Budget in tokens of the rows: ends of documents and copies (`weight`) count, what rows cut does not. The sample
    is the most that fits in the order drawn, so it falls short by less than one document; a corpus below the budget is
    taken whole."""
    shares: dict[str, Annotated[float, Field(ge=1e-9, le=1e15)]] | None = None
    """Shares of the budget by source (any positive numbers; every source is named). A source that cannot give its
    share leaves the rest to the others. None = as large as they are."""
    cluster_temperature: float | None = Field(None, ge=0, le=1)
    """Balance between clusters inside a source: a cluster of n tokens weighs n ** temperature. 1 keeps their sizes, 0
    fills all clusters evenly; None does not look at clusters."""
    seed: int = Field(0, ge=0)
    """Of the draw."""


class SemanticConfig(Section):
    """Documents that say the same in other words."""

    epsilon: float = Field(0.05, gt=0, lt=1)
    """A document is removed when its cosine with a kept one is at least 1 - epsilon; look at
    `winnow select --explore` first: the right value depends on the encoder."""
    neighbours: int = Field(2, ge=0, le=64)
    """Other clusters at most that a document near a border is compared with; 0 looks inside clusters only."""

    @property
    def threshold(self) -> float:
        """Smallest cosine of a duplicate."""
        return 1.0 - self.epsilon
