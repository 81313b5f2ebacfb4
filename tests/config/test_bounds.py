"""Every number of every section has bounds, every list that chooses something chooses at least one."""

from typing import Annotated, get_args, get_origin

import pytest

from tests.support.configs import unread_config
from winnow.config.config import Config, parse_config
from winnow.errors import ConfigError
from winnow.section import LARGEST, section_of
from winnow.text.language.codes import LANGUAGES, nearest_code


def numbers_of(section, path="", seen=None):
    """(setting, bounds) of every number in a section and below it."""
    seen = set() if seen is None else seen
    if section in seen:
        return
    seen.add(section)
    for name, info in section.model_fields.items():
        inner = section_of(info.annotation)
        if inner is not None:
            yield from numbers_of(inner, f"{path}{name}.", seen)
        elif {int, float} & set(kinds_of(info.annotation)):
            bounds = [*info.metadata, *extras_of(info.annotation)]
            yield f"{path}{name}", [bound for bound in bounds if any(hasattr(bound, b) for b in ("ge", "gt"))]


def kinds_of(annotation):
    yield annotation
    for inner in get_args(annotation):
        yield from kinds_of(inner)


def extras_of(annotation):
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            yield from (extra, *getattr(extra, "metadata", ()))
    for inner in get_args(annotation):
        yield from extras_of(inner)


SIGNED = {"filter.rules.min", "filter.rules.max", "shards.buckets.at"}
"""Bounds on any signal: an operator's may be negative."""
CHECKED_APART = {"tokenise.added_tokens", "shards.splits"}


def test_every_number_has_a_least_value():
    """The largest is the section's own, or that of all sections (the next test)."""
    unbounded = {name for name, bounds in numbers_of(Config) if not bounds}
    assert unbounded == SIGNED | CHECKED_APART


@pytest.mark.parametrize(
    "setting",
    ["filter.gopher_quality.max_words", "shards.sequence_tokens", "compute.grace_seconds", "dedup.lines.max_documents"],
)
def test_no_number_is_larger_than_all_text(setting):
    def values(number):
        made = number
        for name in reversed(setting.split(".")):
            made = {name: made}
        return unread_config(**made)

    whole = float if setting == "compute.grace_seconds" else int
    parse_config(values(whole(LARGEST)))
    with pytest.raises(ConfigError, match=f"{setting.rpartition('.')[2]} .* out of bounds: at most"):
        parse_config(values(whole(LARGEST + 1)))


@pytest.mark.parametrize(
    ("filtering", "message"),
    [
        ({"gopher_quality": {"max_hash_ratio": float("nan")}}, r"filter\.gopher_quality\.max_hash_ratio: nan cannot"),
        ({"rules": [{"signal": "words", "max": float("-inf")}]}, r"filter\.rules\.0\.max: -inf cannot be compared"),
        ({"gopher_quality": {"min_words_with_letter_ratio": 80}}, "min_words_with_letter_ratio: .*at most 1"),
        ({"gopher_repetition": {"max_top_2_gram_ratio": -0.1}}, "max_top_2_gram_ratio: .*at least 0"),
        ({"gopher_quality": {"min_words": 80, "max_words": 70}}, r"min_words \(80\) is more than max_words \(70\)"),
        ({"rules": [{"signal": "a", "min_quantile": 0.9, "max_quantile": 0.1}]}, r"min_quantile \(0.9\) is more than"),
        ({"gopher_quality": {"min_stop_words": 9}}, "min_stop_words: .*at most 8"),
        ({"languages": []}, r"filter\.languages: an empty list takes nothing"),
        ({"c4": {"languages": []}}, r"filter\.c4\.languages: an empty list takes nothing"),
        ({"rules": [{"signal": "words", "min": 1, "sources": []}]}, r"rules\.0\.sources: an empty list takes nothing"),
        ({"c4": {"sources": []}}, r"filter\.c4\.sources: expected prose or all, or a list"),
    ],
)
def test_thresholds_that_cannot_be_meant(filtering, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(unread_config(filter=filtering))


def test_bounds_themselves_are_allowed():
    edges = {
        "min_stop_words": 8,
        "min_words_with_letter_ratio": 1,
        "max_hash_ratio": 0,
        "min_words": 70,
        "max_words": 70,
    }
    config = parse_config(unread_config(filter={"gopher_quality": edges, "languages": ["en"]}))
    assert config.filter.gopher_quality.min_stop_words == 8
    assert parse_config(unread_config(filter={"gopher_quality": {"max_hash_ratio": None}})).filter.gopher_quality


MEANT = {
    "nb": "no", "jp": "ja", "cn": "zh", "kr": "ko", "cz": "cs", "gr": "el", "dk": "da", "ua": "uk", "vn": "vi",
    "iw": "he",
    "eng": "en", "ger": "de", "deu": "de", "zho": "zh", "cmn": "zh", "nb-NO": "no", "zh_Hans": "zh", "en-US": "en",
    "German": "de", "Norwegain": "no", "Mandarin": "zh", "xx": None, "yi": None, "q1": None, "": None,
}  # fmt: skip


@pytest.mark.parametrize("written", MEANT)
def test_the_code_that_is_meant(written):
    """A wrong hint is worse than none: nothing is guessed from two letters."""
    assert nearest_code(written) == MEANT[written]


def test_every_code_and_name_means_itself():
    for code, name in LANGUAGES.items():
        assert nearest_code(code) == code and nearest_code(name) == code
