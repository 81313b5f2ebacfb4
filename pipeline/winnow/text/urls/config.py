"""The settings of rules on where a document comes from: `filter.urls`, `filter.opt_outs`, `filter.licences`."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from winnow.section import Names, Section
from winnow.sources.web.opt_outs import OPT_OUT_KINDS
from winnow.storage.config import PathSetting

KINDS: tuple[Literal["domains"], Literal["urls"], Literal["words"], Literal["soft_words"]] = (
    "domains",
    "urls",
    "words",
    "soft_words",
)
"""Kinds of lists."""
_SUFFIXES = (".gz", ".zst", ".bz2", ".xz", ".txt", ".lst", ".list", ".csv")
_GENERAL = ("domains", "urls", "words", "soft_words", "expressions", "usage")
"""Names of files of which lists that are a folder each (UT1) have one: the folder's name tells them apart."""
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")


def _list_as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else _list_as_tuple(value)


def _different(paths: tuple[str, ...]) -> tuple[str, ...]:
    for path in paths:
        if not path.strip("/"):
            raise ValueError(f"{path!r} names no file")
        if paths.count(path) > 1:
            raise ValueError(f"{path!r} is named twice; name each list once")
    return paths


Lists = Annotated[
    tuple[PathSetting, ...],
    BeforeValidator(_one_or_several),
    AfterValidator(_different),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A text file, or several of them; plain, .gz, .zst, .bz2 or .xz; of a disk or an object store."""


class UrlsConfig(Section):
    """Your own lists of addresses: a document whose address is listed fails. One entry a line, `#` begins a comment."""

    domains: Lists = ()
    """Lists of hosts: each stands for itself and everything below it (`example.com` for `a.example.com`, not for
    `badexample.com`)."""
    urls: Lists = ()
    """Lists of exact addresses, compared without scheme, user, port, fragment, and one slash at the end."""
    words: Lists = ()
    """Lists of words of which one in the address is enough. A word stands between characters that are no letters and
    no digits."""
    soft_words: Lists = ()
    """Lists of words of which there must be several."""
    min_soft_words: int = Field(2, ge=1, le=8)
    """Different soft words from which an address fails."""
    field: str = Field("url", min_length=1)
    """Field of the records with the address; carried along as if `keep` named it."""
    sources: Names | None = None
    """Sources that it is done in; none given: all."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.lists:
            raise ValueError("name at least one list, in domains, urls, words or soft_words; or leave urls out")
        names = list(self.lists)
        if len(names) < len([path for kind in KINDS for path in getattr(self, kind)]):
            paths = [path for kind in KINDS for path in getattr(self, kind)]
            twice = next(path for path in paths if [*map(list_name, paths)].count(list_name(path)) > 1)
            raise ValueError(
                f"two lists are called {list_name(twice)} ({twice} is one): rules are named by the last part of a "
                "list's path, or the last two of files called domains, urls, words; give one another name"
            )
        return self

    @property
    def lists(self) -> dict[str, tuple[str, str]]:
        """Kind and path of every list, by name."""
        return {list_name(path): (kind, path) for kind in KINDS for path in getattr(self, kind)}


def list_name(path: str) -> str:
    """What a list is called in rules: its file's name without suffixes, with its folder's where that says nothing."""
    folder, _, name = path.rpartition("/")
    while any(name.lower().endswith(suffix) and len(name) > len(suffix) for suffix in _SUFFIXES):
        name = name.rpartition(".")[0]
    above = folder.rpartition("/")[2]
    if name.lower() in _GENERAL and above not in ("", ".", ".."):
        name = f"{above}.{name}"
    return _ODD.sub("_", name)


def _known_opt_outs(kinds: tuple[str, ...]) -> tuple[str, ...]:
    for kind in kinds:
        if kind not in OPT_OUT_KINDS:
            raise ValueError(f"no signal is called {kind!r}; there are {', '.join(OPT_OUT_KINDS)}")
    return kinds


def _all_or_some(value: object) -> object:
    if value == "drop":
        return OPT_OUT_KINDS
    return _list_as_tuple(value)


OptOuts = Annotated[
    Names,
    BeforeValidator(_all_or_some),
    AfterValidator(_known_opt_outs),
    WithJsonSchema({"anyOf": [{"const": "drop"}, {"type": "array", "items": {"enum": list(OPT_OUT_KINDS)}}]}),
]
"""`drop`, which is all kinds, or a list of some."""


class LicencesConfig(Section):
    """Which licences documents may have; a list alone is `allow`."""

    allow: Names
    """Licences that are kept, as SPDX names them: `CC-BY-4.0`, or `CC-BY` for all its versions. Capitals do not
    matter."""
    unknown: Literal["keep", "drop"] = "drop"
    """Documents for which no licence is known, neither by their own field nor by the source's `licence`."""
    unclear: Literal["keep", "drop"] = "drop"
    """Pages that link to several licences."""
    field: str = Field("licence", min_length=1)
    """Field of the records with the licence; carried along as if `keep` named it."""
    sources: Names | None = None
    """Sources that it is done in; none given: all."""
