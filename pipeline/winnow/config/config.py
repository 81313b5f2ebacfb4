"""Composes the whole YAML from the sections of its owners, and turns mistakes into messages.

Every default stands in the section it belongs to; this file only says which sections there are.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, ValidationError, field_validator, model_validator

from winnow.config.alarms import AlarmKind
from winnow.config.languages import check_languages
from winnow.config.lineage import LineageConfig
from winnow.config.messages import mistakes_of
from winnow.config.structured import (
    Marks,
    check_families,
    check_labels,
    check_preferences,
    check_structures,
    marks_of,
    template_address,
    template_of,
)
from winnow.config.written import as_meant, no_json
from winnow.dedup.config import DedupConfig
from winnow.engine.config import ComputeConfig
from winnow.errors import AddressError, ConfigError, EncryptionError
from winnow.operators.config import OperatorConfig
from winnow.section import Section
from winnow.select.config import SelectConfig
from winnow.shards.config import USUAL_EPOCHS, ShardsConfig
from winnow.shards.documents.config import DocumentsConfig
from winnow.shards.mixture.config import OTHERS
from winnow.sources.source import SourceConfig
from winnow.sources.structured.chat import CHATML_TOKENS
from winnow.sources.wanted import addresses_of
from winnow.storage.address import check_address, check_writable, is_url
from winnow.storage.config import AS_WRITTEN, PathSetting, StorageConfig
from winnow.text.config import FilterConfig, MeasureConfig
from winnow.text.contamination.config import DecontaminateConfig
from winnow.text.language.codes import LANGUAGES
from winnow.text.language.config import half_of
from winnow.text.passages.config import PassagesConfig
from winnow.tokens.config import TokeniserConfig

WITHOUT_RESULT = frozenset(("compute", "storage", "report", "alarms", "lineage"))
"""Sections and settings on which no byte of the shards depends."""


class Config(Section):
    """A whole run."""

    run: PathSetting = Field(min_length=1)
    """Folder of this run: work, ledger, shards and manifest live here. A path (`~` is your home folder), or an
    address such as s3://bucket/run, like every path of a config."""
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    """Where the text is; the order is the order of `source_priority`."""
    measure: MeasureConfig = MeasureConfig()
    filter: FilterConfig = FilterConfig()
    dedup: DedupConfig | None = DedupConfig()
    """`off` keeps duplicates."""
    decontaminate: DecontaminateConfig | None = None
    """Documents that hold items of evaluation sets, looked for in what dedup kept; `off` looks for none."""
    passages: PassagesConfig | None = None
    """Passages that stand earlier in what is kept, cut where texts leave: `off`, `on`, or settings."""
    tokenise: TokeniserConfig = TokeniserConfig()
    select: SelectConfig | None = None
    """Embedding, semantic duplicates and sampling; `none` takes every document."""
    shards: ShardsConfig = ShardsConfig()
    documents: DocumentsConfig | None = None
    """Kept documents as clean text, beside the shards; `off` writes none."""
    steps: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Steps of installed packages (entry points of the group `winnow.steps`) by name, each with its settings."""
    report: bool = True
    """Whether a run writes `reports/report.html` at its end (docs/looking.md); it reads no more than 200,000 documents'
    signals. Charts need the extra `report`."""
    alarms: Literal["warn", "fail"] | Annotated[tuple[AlarmKind, ...], Field(min_length=1)] = "warn"
    """What alarms do besides being told: `warn` nothing; with `fail` a run that raises any ends with exit code 4, its
    shards out and its books closed; a list names the kinds that do so (docs/looking.md)."""
    lineage: LineageConfig | None = None
    """OpenLineage events of this run, to a file or a server; `off` sends none."""
    compute: ComputeConfig = ComputeConfig()
    storage: StorageConfig = StorageConfig()

    @model_validator(mode="after")
    def _usable_addresses(self) -> "Config":
        paths = [("run", self.run)] + [
            (f"path of source {s.name!r}", path) for s in self.sources for path in addresses_of(s, self.storage)
        ]
        paths += [(f"chat_template of source {s.name!r}", template_address(s) or "") for s in self.sources]
        if self.dedup and self.dedup.index:
            paths.append(("dedup.index", self.dedup.index))
        paths.append(("tokenise.encoding", self.tokenise.encoding))
        if self.select:
            paths.append(("select.encoder.model", self.select.encoder.model))
            paths.append(("select.clusters.centres", self.select.clusters.centres or ""))
            sets = [entry for step in self.select.example_sets for entry in step.items()]
            paths += [(name, path) for name, examples in sets for path in examples.source(name).paths]
        if self.decontaminate:
            paths += [(f"decontaminate.sets.{n}.path", entry.path) for n, entry in enumerate(self.decontaminate.sets)]
        uses = [(f"measure.operators.{n}.use", entry.use) for n, entry in enumerate(self.measure.operators)]
        uses += [
            (f"extract of source {s.name!r}", s.extract.use)
            for s in self.sources
            if isinstance(s.extract, OperatorConfig)
        ]
        paths += [(name, use) for name, use in uses if is_url(use)]
        paths.append(("measure.language.model", self.measure.language.model or ""))
        written = ("run", "dedup.index")
        lists = self.filter.urls.lists.values() if self.filter.urls else ()
        paths += [(f"filter.urls.{kind}", path) for kind, path in lists]
        for name, path in paths:
            try:
                (check_writable if name in written else check_address)(path)
            except AddressError as error:
                raise ValueError(f"{name}: {error}") from None
        return self

    @model_validator(mode="after")
    def _known_languages(self) -> "Config":
        if self.measure.language.model is None:  # another model knows other languages (config.language_model)
            check_languages(self.filter, LANGUAGES)
        return self

    @property
    def guard_language(self) -> dict[str, Any] | None:
        """Settings of what names languages for `dedup.guard`; None without a guard."""
        return half_of(self.measure.language) if self.dedup is not None and self.dedup.guarded else None

    @property
    def warnings(self) -> list[str]:
        """What is allowed and may not be meant; said when a config file is read, and by the summary of a run."""
        repeated = [
            f"source {source.name}: weight {source.weight:g} puts each document {source.weight:g} times into an epoch; "
            f"over {USUAL_EPOCHS:g} passes little is learnt from more of them"
            for source in self.sources
            if source.weight > USUAL_EPOCHS
        ]
        return [*(self.dedup.warnings if self.dedup else []), *repeated]

    @property
    def key_id(self) -> str | None:
        """Id of the key that shards and clean text are encrypted with; None where they are not.

        Raises:
            EncryptionError: they are to be, and nobody has looked for the key.
        """
        encryption = self.storage.encryption
        if encryption is not None and encryption.key_id is None:
            raise EncryptionError("the key was not looked for, so nothing is written")
        return None if encryption is None else encryption.key_id

    @property
    def written_folders(self) -> tuple[str, ...]:
        """Folders that runs of this config write: below a source, they are no input."""
        return (self.run, self.dedup.index) if self.dedup and self.dedup.index else (self.run,)

    @field_validator("dedup", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False or value == "off" else {} if value is True else value

    @field_validator("select", "documents", "decontaminate", "passages", "lineage", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value is False or value in ("none", "off") else {} if value is True or value == "on" else value

    @model_validator(mode="after")
    def _known_sources(self) -> "Config":
        names = [source.name for source in self.sources]
        for name in (self.dedup and self.dedup.lines and self.dedup.lines.sources) or ():
            if name not in names:
                raise ValueError(f"dedup.lines.sources names {name!r}, but the sources are: {', '.join(names)}")
        line_rules, urls, licences = self.measure.line_rules, self.filter.urls, self.filter.licences
        parts = {"measure.line_rules": line_rules, "filter.urls": urls, "filter.licences": licences}
        about = {f"{name}.sources": part.sources or () for name, part in parts.items() if part}
        about |= {f"filter.rules.{number}": rule.sources or () for number, rule in enumerate(self.filter.rules)}
        for name, part in self.filter.rule_sets.items():
            about[f"filter.{name}.sources"] = () if isinstance(part.sources, str) else part.sources
        about["passages.sources"] = (self.passages and self.passages.sources) or ()
        for setting, chosen in about.items():
            for name in chosen:
                if name not in names:
                    raise ValueError(f"{setting} names source {name!r}; there are: {', '.join(names)}")
        shares = self.select.sample.shares if self.select and self.select.sample else None
        if shares is not None and set(shares) != set(names):
            raise ValueError(f"select.sample.shares must name every source once: {', '.join(names)}")
        for phase in self.shards.all_phases:
            mixture = phase.mixture
            if mixture is None:
                continue
            where = f"shards.phases.{phase.name}.mixture" if self.shards.phases else "shards.mixture"
            at = mixture.by.index("source") if "source" in mixture.by else None
            named = {leaf.path[at] for leaf in mixture.leaves if at is not None and len(leaf.path) > at}
            if mixture.by_source and named != set(names):
                missing, unknown = sorted(set(names) - named), sorted(named - set(names))
                told = [f"; missing: {', '.join(missing)}"] if missing else []
                told += [f"; no source is named {', '.join(unknown)}"] if unknown else []
                raise ValueError(f"{where} must name every source once: {', '.join(names)}{''.join(told)}")
            if named - {*names, OTHERS}:
                others = ", ".join(sorted(named - {*names, OTHERS}))
                raise ValueError(f"{where} names source {others}; there are: {', '.join(names)}")
            weighted = [source.name for source in self.sources if source.weight != 1]
            if weighted:
                raise ValueError(
                    "shards.mixture decides how often each source is taken; leave out the weight of "
                    + ", ".join(weighted)
                )
        return self

    @model_validator(mode="after")
    def _usable_structures(self) -> "Config":
        check_preferences(self.sources, self.shards, self.dedup)
        check_structures(self.sources, self.shards, self.dedup, self.measure, self.passages)
        check_labels(self.sources, self.shards, self.dedup)
        check_families(self.sources, self.dedup)
        if self.tokenise.dropout and self.marks is not None:
            raise ValueError(
                "tokenise.dropout is for plain texts, and a source has conversations or pairs; leave it out, or make "
                "two runs"
            )
        return self

    @property
    def augmented(self) -> dict[str, str]:
        """The field with the parent's id of every source of synthetic texts, by name."""
        return {source.name: source.augmented_from for source in self.sources if source.augmented_from is not None}

    @property
    def synthetic_sources(self) -> list[int]:
        """Numbers of these sources, in config order."""
        return [number for number, source in enumerate(self.sources) if source.augmented_from is not None]

    @property
    def labelled(self) -> bool:
        """Whether documents have labels."""
        return any(source.label is not None for source in self.sources)

    @property
    def stratified(self) -> bool:
        """Whether splits are drawn label by label."""
        return self.labelled and self.shards.stratify and bool(self.shards.splits)

    @property
    def marks(self) -> Marks | None:
        """What marks of tokens become: a column, or the parts of preference pairs; None where tokens have none."""
        return marks_of(self.sources, self.shards)

    @property
    def tokeniser(self) -> TokeniserConfig:
        """`tokenise`, with the special tokens of the built-in chat template where a source uses it."""
        if not any(source.is_chat and source.chat_template is None for source in self.sources):
            return self.tokenise
        given = self.tokenise.added_tokens
        added = {**dict.fromkeys(CHATML_TOKENS), **given} if isinstance(given, dict) else (*given, *CHATML_TOKENS)
        return self.tokenise.model_copy(update={"added_tokens": added})

    @property
    def structured(self) -> dict[str, Any] | None:
        """What the ids of structured documents depend on; None where there are none."""
        if self.marks is None:
            return None
        chats = self.marks == "loss_mask"
        return {
            "templates": {s.name: template_of(s).model_dump() for s in self.sources if s.is_chat},
            "row_tokens": None if chats else self.shards.sequence_tokens,
            "plain_mark": int(chats),
        }

    @field_validator("sources")
    @classmethod
    def _unique_names(cls, sources: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources are named {name!r}; names must differ")
        return sources


def parse_config(values: dict[str, Any], origin: str = "config", *, as_written: bool = False) -> Config:
    """Check settings given as plain values; ``as_written`` as for :func:`load_config`.

    Raises:
        ConfigError: a setting is wrong; all mistakes are listed.
    """
    lost = [
        f"  {name}: {value} cannot be compared; write a number, or null where no bound is meant"
        for name, value in _not_finite(values)
    ]
    if lost:  # JSON would make them null, which switches a rule off
        raise ConfigError(f"{origin}: {len(lost)} mistake(s) in the config\n" + "\n".join(lost))
    try:
        # through JSON: lists may stand for tuples there, while everything else stays strict
        return Config.model_validate_json(orjson.dumps(as_meant(values, Config)), context={AS_WRITTEN: as_written})
    except TypeError as error:
        raise ConfigError(f"{origin}: {no_json(values) or error}") from error
    except ValidationError as error:
        mistakes = mistakes_of(error, Config)
        raise ConfigError(f"{origin}: {len(mistakes)} mistake(s) in the config\n" + "\n".join(mistakes)) from error


def _not_finite(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Numbers that are none (.nan, .inf), with their names."""
    if isinstance(value, float) and not math.isfinite(value):
        yield name, value
    elif isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _not_finite(inner, f"{name}.{key}" if name else str(key))
