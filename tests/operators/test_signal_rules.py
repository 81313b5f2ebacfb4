"""Rules on any signal: which documents fail, with what; and which rules are refused."""

import pyarrow as pa
import pytest

from winnow.config.config import parse_config
from winnow.config.operators import pin_operators
from winnow.errors import ConfigError
from winnow.text.rules.rule import Rule, RuleSet, Scope, count
from winnow.text.rules.signal_rules import SignalRule, bounds_of, failures_of

TABLE = pa.table(
    {
        "source": pa.array(["a", "a", "b", "b"]).dictionary_encode(),
        "language": pa.array(["en", "de", None, "en"]).dictionary_encode(),
        "words": pa.array([1, 2, 3, 4], pa.uint32()),
        "edu": pa.array([0.05, None, 0.5, -1.0], pa.float32()),
    }
)


def rows(cuts=None, **rule) -> list[list[int]]:
    return [failures_of(bound, TABLE, cuts).row.tolist() for bound in bounds_of((SignalRule(**rule),))]


def test_a_bound_is_the_last_value_that_is_kept():
    assert rows(signal="words", min=2) == [[0]]
    assert rows(signal="words", max=2) == [[2, 3]]
    assert rows(signal="words", min=2, max=3) == [[0], [3]]
    assert rows(signal="edu", max=0.05) == [[2]]  # 0.05 in single precision is more than 0.05
    assert rows(signal="edu", min=0.05) == [[3]]


def test_a_document_without_a_value_fails_nothing_unless_told():
    assert rows(signal="edu", min=0.0, missing="drop") == [[1, 3]]
    assert rows(signal="edu", min=0.0, max=0.1, missing="drop") == [[1, 3], [2]]  # once
    (found,) = [failures_of(b, TABLE, None) for b in bounds_of((SignalRule(signal="edu", min=0.0, missing="drop"),))]
    assert [str(value) for value in found.value] == ["nan", "-1.0"]
    assert found.threshold.tolist() == [0.0, 0.0]


def test_only_those_whom_it_is_about():
    assert rows(signal="words", max=0, sources=("a",)) == [[0, 1]]
    assert rows(signal="words", max=0, languages=("en",)) == [[0, 3]]
    assert rows(signal="words", max=0, languages=("en",), sources=("b",)) == [[3]]
    assert rows(signal="edu", min=1, sources=("a",), missing="drop") == [[0, 1]]


def test_thresholds_of_groups():
    assert rows({"a": 2.0}, signal="words", min_quantile=0.5, by="source") == [[0]]
    assert rows({"en": 2.0, None: 9.0}, signal="words", min_quantile=0.5, by="language") == [[0, 2]]
    assert rows({None: 3.0}, signal="words", max_quantile=0.5) == [[3]]
    assert rows({}, signal="words", max_quantile=0.5) == [[]]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"signal": "words"}, "give min, max, min_quantile or max_quantile"),
        ({"signal": "words", "min": 1, "min_quantile": 0.1}, "give min or min_quantile, not both"),
        ({"signal": "words", "min": 2, "max": 1}, "nothing could satisfy both"),
        ({"signal": "words", "min": 2, "by": "source"}, "by is for quantiles"),
        ({"signal": "words", "min": 2, "name": "a b"}, "filter.rules.0.name"),
        ({"signal": "words", "mni": 2}, "unknown setting 'mni'; did you mean 'min'?"),
        ({"signal": "words", "min": 2, "name": "language"}, "is a rule of Winnow's own"),
        ({"signal": "words", "min": 2, "sources": ["wbe"]}, "filter.rules.0 names source 'wbe'; there are: web"),
        ({"signal": "words", "min": 2, "languages": ["english"]}, "filter.rules.0.languages: no document is ever"),
    ],
)
def test_rules_that_are_refused(rule, message):
    values = {"run": "r", "sources": [{"name": "web", "path": "p"}], "filter": {"rules": [rule]}}
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        parse_config(values)


def test_two_of_one_name_and_unknown_signals_are_refused():
    values = {"run": "r", "sources": [{"name": "web", "path": "p"}]}
    twice = [{"signal": "words", "min": 1}, {"signal": "words", "min": 2, "languages": ["en"]}]
    with pytest.raises(ConfigError, match="two rules are named 'min_words'"):
        parse_config({**values, "filter": {"rules": twice}})
    config = parse_config({**values, "filter": {"rules": [{"signal": "wrods", "min": 1}]}})
    with pytest.raises(ConfigError, match=r"filter.rules.0: no signal is named 'wrods'; did you mean 'words'"):
        pin_operators(config)
    config = parse_config({**values, "filter": {"rules": [{"signal": "removed_lines", "max": 1}]}})
    with pytest.raises(ConfigError, match="no signal is named 'removed_lines'"):  # dedup.lines is off
        pin_operators(config)


class _NoSetting(RuleSet):
    """Names a setting that is not there."""

    min_lines: int | None = 2
    rules = (Rule("min_line", Scope.ALL, count("text_lines")),)


class _NoDirection(RuleSet):
    """Has a setting that says nothing."""

    lines: int | None = 2
    rules = (Rule("lines", Scope.ALL, count("text_lines")),)


def test_rule_sets_are_checked():
    with pytest.raises(ValueError, match="rule set x: _NoSetting has no setting 'min_line'; it has min_lines"):
        _NoSetting.check("x")
    with pytest.raises(ValueError, match="'lines' must begin with min_ or max_"):
        _NoDirection.check("x")
    with pytest.raises(ValueError, match="rules is empty"):
        RuleSet.check("x")
