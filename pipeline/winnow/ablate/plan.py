"""The plan of an ablation: arms, model, training and held-out text, as its YAML has them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import orjson
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from winnow.ablate.sizes import SIZES, Size
from winnow.config.messages import mistakes_of
from winnow.config.strict_yaml import NOTHING, RepeatedSettingError, read_yaml
from winnow.config.written import as_meant, no_json, with_empty_sections
from winnow.config.yaml_mistakes import told
from winnow.engine.config import ComputeConfig
from winnow.errors import ConfigError
from winnow.section import Section
from winnow.storage.config import PathSetting, StorageConfig
from winnow.text.contamination.config import EvaluationSet

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
P = TypeVar("P", bound="Experiment")


class ArmConfig(Section):
    """What one arm is trained on: settings of `base`, a finished run, or a shard set. Nothing given: `base` itself."""

    name: Name
    """What tables call it."""
    settings: dict[str, Any] = Field({})
    """Settings of `base` that are others in this arm: `{filter.mode: annotate, dedup.threshold: 0.9}`."""
    run: PathSetting | None = None
    """In place of settings: the folder of a finished run, whose shard set is taken as it is."""
    shards: PathSetting | None = None
    """In place of settings: the folder of a shard set."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(map(bool, (self.settings, self.run, self.shards))) > 1:
            raise ValueError("give settings, run or shards, one of them")
        return self

    @property
    def of_base(self) -> bool:
        """Whether it is made from the plan's base."""
        return self.run is None and self.shards is None


class VocabularyConfig(Section):
    """A vocabulary of the ablation's own: of a small model, that of a large one would be nearly all."""

    size: int = Field(4096, ge=257)
    """Token ids, end of text included."""
    sample_mb: int = Field(20, ge=1)
    """Cleaned text of `base` to train on, in MB; drawn by document."""


class ModelConfig(Section):
    """The model: a GPT with rotary positions, RMSNorm and SwiGLU."""

    size: Literal["0.5M", "2M", "10M", "40M", "150M"] = "0.5M"
    """About how many parameters, with a vocabulary that suits the size; the exact number is told."""
    layers: int | None = Field(None, ge=1)
    """Blocks, in place of the size's."""
    width: int | None = Field(None, ge=8)
    """Numbers a token, in place of the size's; a multiple of twice `heads`."""
    heads: int | None = Field(None, ge=1)
    """Heads of attention, in place of the size's."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shape.width % (2 * self.shape.heads):
            raise ValueError(f"width ({self.shape.width}) must be a multiple of twice heads ({self.shape.heads})")
        return self

    @property
    def shape(self) -> Size:
        """Layers, width and heads."""
        size = SIZES[self.size]
        return Size(self.layers or size.layers, self.width or size.width, self.heads or size.heads, size.batch_tokens)


class TrainConfig(Section):
    """How each model is trained. All arms alike."""

    tokens: int | None = Field(None, ge=1)
    """Tokens that each model is trained on; by default 2M, unless `epochs` is given. Arms with fewer repeat theirs."""
    epochs: float | None = Field(None, gt=0, le=1000)
    """In place of tokens: how often each arm's own text is read, whatever its amount."""
    seeds: int = Field(4, ge=1, le=100)
    """Models an arm: each with other first weights and another order of the text. With one there is no verdict."""
    first_seed: int = Field(0, ge=0)
    """The first of them; the others follow."""
    batch_tokens: int | None = Field(None, ge=1)
    """Tokens a step; null: by the model's size."""
    learning_rate: float = Field(0.01, gt=0)
    """Highest rate, of a model of width 64; that of matrices falls with the width, as muP has it."""
    weight_decay: float = Field(0.1, ge=0)
    """Of matrices."""
    threads: int = Field(1, ge=1)
    """Cores of each model, or of each of its `workers`, on a CPU. Other numbers add up in another order: losses differ
    in the last digits."""
    workers: int = Field(1, ge=1)
    """Workers of Ray Train that train one model together, a GPU each where there are some, else `threads` cores each;
    they share the rows of a step. Trials are then done one after the other."""
    checkpoint_steps: int = Field(200, ge=1)
    """Steps between two checkpoints; a killed trial goes on from its last one, with the same result to the bit."""

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if self.tokens is not None and self.epochs is not None:
            raise ValueError("give tokens (equal tokens) or epochs (equal epochs), one of the two")
        return self

    @property
    def equal_tokens(self) -> int | None:
        """Tokens of every model; None where epochs are equal."""
        return None if self.epochs is not None else self.tokens or 2_000_000


class HeldOutConfig(Section):
    """Held-out text: files of documents, or a split of the first arm that has one."""

    name: Name
    """What tables call it."""
    path: PathSetting | None = None
    """Files of documents: a file, a folder or a glob, of any format that a source may have."""
    text: str = "text"
    """Field of the text."""
    by: str | None = Field(None, min_length=1)
    """Field by whose values the set is divided, such as source: one row of the tables each."""
    run: PathSetting | None = None
    """In place of path: the folder of a finished run; its split val, source by source."""
    arm: Name | None = None
    """In place of path: an arm of settings; its split val, source by source."""
    split: str = "val"
    """The split of `run` or `arm`."""
    kb: int = Field(200, ge=1)
    """Text to take, in kB, of each part that `by` makes; documents are drawn by a hash of their text."""
    document_kb: int = Field(8, ge=1)
    """Of longer documents only so much is taken, from their middle."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(given is not None for given in (self.path, self.run, self.arm)) != 1:
            raise ValueError("give path, run or arm, one of them")
        if self.by is not None and self.path is None:
            raise ValueError("by is for files; a split of a run or an arm is divided by source")
        return self


class EvaluateConfig(Section):
    """What models are judged on."""

    sets: tuple[HeldOutConfig, ...] = Field((), strict=False)
    """Held-out text, for bits a byte."""
    choices: tuple[EvaluationSet, ...] = Field((), strict=False)
    """Evaluation sets with choices of which one is right, as `decontaminate.sets` has them."""
    items: int = Field(500, ge=1)
    """Items of each such set, at most; drawn by a hash."""
    shared: Literal["refuse", "drop"] = "refuse"
    """What happens where an arm was trained on held-out text: `refuse` ends with what is shared; `drop` leaves those
    documents out for all arms, and says how many."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.sets and not self.choices:
            raise ValueError("no held-out text: name sets or choices")
        names = [entry.name for entry in self.sets] + [entry.shown for entry in self.choices]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sets are named {name!r}; names must differ")
        return self


class Experiment(Section):
    """What all plans of small models have."""

    ablation: PathSetting = Field(min_length=1)
    """Its folder: arms, finished trials, tables and report live here; the same command goes on there."""
    base: PathSetting | None = None
    """Config of the run that arms of settings start from (`winnow run` would take it)."""
    vocabulary: VocabularyConfig | None = None
    """Train a vocabulary on `base` and tokenise all arms of settings with it; null: each as its config says."""
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig
    compute: ComputeConfig = ComputeConfig()
    storage: StorageConfig = StorageConfig()

    @field_validator("vocabulary", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False else {} if value is True else value


class Plan(Experiment):
    """An ablation."""

    arms: tuple[ArmConfig, ...] = Field(strict=False, min_length=1)
    """What is compared."""
    baseline: str | None = None
    """The arm that others are compared with; null: the first."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        names = [arm.name for arm in self.arms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two arms are named {name!r}; names must differ")
        if self.baseline is not None and self.baseline not in names:
            raise ValueError(f"baseline: there is no arm {self.baseline!r}; there are {', '.join(names)}")
        if self.base is None and (any(arm.of_base for arm in self.arms) or self.vocabulary):
            raise ValueError("arms of settings, and a vocabulary, need `base`: the config that they start from")
        made = [arm.name for arm in self.arms if arm.of_base]
        for entry in self.evaluate.sets:
            if entry.arm is not None and entry.arm not in made:
                raise ValueError(f"set {entry.name}: there is no arm of settings named {entry.arm!r}")
        return self

    @property
    def against(self) -> str:
        """Name of the arm that others are compared with."""
        return self.baseline or self.arms[0].name


def load_plan(path: str, kind: type[P], overrides: list[str] | None = None) -> P:
    """Read a plan; ``overrides`` are ``a.b=value`` pairs, values in YAML.

    Raises:
        ConfigError: the file is missing, is not YAML, or a setting is wrong.
    """
    from winnow.config.load import override  # noqa: PLC0415 - loads the whole config

    try:
        values = with_empty_sections(read_yaml(Path(path).read_text("utf-8"), NOTHING), kind)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the plan of an ablation (docs/ablate.md has one)") from error
    except (RepeatedSettingError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not readable as YAML: {told(error)}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected settings at the top level, such as `arms:`")
    for change in overrides or ():
        override(values, change)
    try:
        return kind.model_validate_json(orjson.dumps(as_meant(values, kind)))
    except TypeError as error:
        raise ConfigError(f"{path}: {no_json(values) or error}") from error
    except ValidationError as error:
        mistakes = mistakes_of(error, kind)
        raise ConfigError(f"{path}: {len(mistakes)} mistake(s) in the plan\n" + "\n".join(mistakes)) from error
