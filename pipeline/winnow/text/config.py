"""The sections `measure` and `filter` of the config."""

from typing import Any, Literal

from pydantic import field_validator

from winnow.operators.config import OperatorConfig
from winnow.operators.files import NamedFile
from winnow.section import Section, Share
from winnow.text.language.config import LanguageConfig
from winnow.text.line_rules.config import LineRulesConfig
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.rules.config import RulesConfig
from winnow.text.urls.config import LicencesConfig, OptOuts, UrlsConfig


class FilterConfig(RulesConfig):
    """Which documents go on."""

    mode: Literal["filter", "annotate"] = "filter"
    """`filter` drops documents that fail a rule; `annotate` records the failures and lets them go on."""
    alarm_share: Share = 0.9
    """A source, or the documents of a language, that loses a larger share to the rules raises an alarm with the rule
    that most of them fail."""
    urls: UrlsConfig | None = None
    """Your own lists of hosts, addresses and words; none given: no address is looked at (docs/web.md)."""
    opt_outs: OptOuts | None = None
    """Kinds of signals against training that a document may not have: `drop` for all, or a list of `noai`,
    `noimageai`, `noarchive`, `tdm-reservation`, `content-usage`; none given: they are counted, and nothing is dropped
    for them."""
    licences: LicencesConfig | None = None
    """Licences that documents may have, as a list or with more settings; none given: any, and none."""

    @field_validator("urls", "opt_outs", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False or value in ("off", "none", "keep") else value

    @field_validator("licences", mode="before")
    @classmethod
    def _list_alone(cls, value: Any) -> Any:
        if value is False or value in ("off", "none"):
            return None
        return {"allow": value} if isinstance(value, list | tuple) else value

    @property
    def provenance_fields(self) -> dict[str, tuple[str, ...] | None]:
        """Fields that these rules read, each with the sources that they are asked of; None: all."""
        fields: dict[str, tuple[str, ...] | None] = {}
        for rules in (self.urls, self.licences):
            if rules is not None:
                both = None if None in (fields.get(rules.field, ()), rules.sources) else rules.sources
                fields[rules.field] = both if both is None else (*(fields.get(rules.field) or ()), *both)
        return fields | ({"opt_out": None} if self.opt_outs else {})


class MeasureConfig(Section):
    """What is done to the text before anything is decided."""

    normalise: NormaliseConfig = NormaliseConfig()
    language: LanguageConfig = LanguageConfig()
    line_rules: LineRulesConfig | None = None
    """Lines that go by what they are: C4's line rules, menus, blank lines (docs/web.md); none given: no line goes."""
    operators: tuple[OperatorConfig, ...] = ()
    """Signals, mappers and filters of your own (docs/extending.md), in the order in which they see the text: after
    normalisation and boilerplate lines, before anything is counted; those with ``gpu=True`` after dedup."""

    @field_validator("line_rules", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False or value in ("off", "none") else value

    @property
    def named_files(self) -> list[NamedFile]:
        """Files that go into the run folder: of operators, and the model of languages; once they are found."""
        return [*(file for entry in self.operators for file in entry.found.published), *self.language.files]

    def operators_on(self, *, gpu: bool) -> tuple[OperatorConfig, ...]:
        """Operators that ask for a GPU, or those before them, in their order; once they are found."""
        return tuple(entry for entry in self.operators if entry.on_gpu == gpu and not entry.finds_spans)

    @property
    def span_operators(self) -> tuple[OperatorConfig, ...]:
        """Operators that find what is replaced in kept texts, in their order; once they are found."""
        return tuple(entry for entry in self.operators if entry.finds_spans)
