"""What `winnow tune` says that other rules would keep is what a run with them keeps."""

import json

import pytest

from tests.support.commands import winnow
from winnow.config.config import parse_config
from winnow.config.load import with_overrides
from winnow.errors import ConfigError
from winnow.looking.tune import compare_rules, curve_of, rule_effects
from winnow.runs.run import run
from winnow.stages.tables import read_parquet

OTHERS = [
    ["filter.gopher_quality.min_words=250"],
    ["filter.c4=off", "filter.rules.1.max=400"],
    ["filter.rules.0.min_quantile=0.5", "filter.languages=[en]"],
]


@pytest.fixture(scope="module")
def other_runs(asked, tmp_path_factory):
    """The same sources under other rules, as runs of their own."""
    config, _ = asked
    return [
        run(
            with_overrides(parse_config(config), [*changes, f"run={tmp_path_factory.mktemp('other') / str(number)}"])
        ).run
        for number, changes in enumerate(OTHERS)
    ]


def passing(finished) -> set[int]:
    rows = [read_parquet(finished.store, r.outputs["verdicts"].reference()).to_pylist() for r in finished.of("filter")]
    return {row["doc"] for part in rows for row in part if row["passed"]}


def test_a_set_of_settings_lets_pass_what_a_run_with_it_does(asked, other_runs):
    _, finished = asked
    now = passing(finished)
    for changes, other in zip(OTHERS, other_runs, strict=True):
        told, then = compare_rules(finished, with_overrides(finished.config, changes).filter), passing(other)
        assert (told.now.documents, told.then.documents) == (len(now), len(then))
        assert (told.gained, told.lost) == (len(then - now), len(now - then))
        assert told.gained + told.lost > 0
        for source in ("web", "books", "notes"):
            before, after = (r.totals("filter", "of_source")[source] for r in (finished, other))
            dropped = [r.totals("filter", "dropped_source").get(source, 0) for r in (finished, other)]
            assert told.groups["source"][source] == (before, before - dropped[0], after - dropped[1])
        failed = [r.totals("filter", "failed") for r in (finished, other)]
        assert told.fails == {rule: tuple(counts.get(rule, 0) for counts in failed) for rule in told.fails}


def test_a_point_of_a_curve_is_a_run_with_that_threshold(asked, other_runs):
    _, finished = asked
    curve = curve_of(finished, "gopher_quality.min_words", [250])
    assert curve.thresholds == [150.0, 250.0]
    assert [amount.documents for amount in curve.passes] == [len(passing(finished)), len(passing(other_runs[0]))]
    assert [sum(counts) for counts in zip(*curve.groups["source"].values(), strict=True)] == [
        amount.documents for amount in curve.passes
    ]


def test_a_curve_rises_as_a_rule_is_loosened_and_ends_where_nothing_moves(asked):
    curve = curve_of(asked[1], "gopher_quality.min_words")
    documents = [amount.documents for amount in curve.passes]
    assert documents == sorted(documents, reverse=True)
    now = curve.thresholds.index(curve.current)
    assert now == 0 or documents[0] > documents[1]
    assert documents[-2] > documents[-1]
    assert len(documents) > 3


def test_what_a_rule_fails_alone_comes_back_without_it(asked):
    _, finished = asked
    effects = {effect.name: effect for effect in rule_effects(finished)}
    failed = finished.totals("filter", "failed")
    assert {name: effect.fails.documents for name, effect in effects.items() if effect.fails.documents} == failed
    without = compare_rules(finished, with_overrides(finished.config, ["filter.rules.1.max=1000000"]).filter)
    assert effects["long"].alone.documents == without.gained > 0
    assert effects["small"].threshold is None  # one of each source


def test_tokens_of_what_passes_are_about_those_that_the_run_counted(asked):
    _, finished = asked
    told = compare_rules(finished, finished.config.filter).now
    kept = finished.totals("decide", "outcome")["kept"] / told.documents
    assert told.tokens * kept == pytest.approx(finished.total("tokenise", "tokens"), rel=0.1)


def test_what_cannot_be_tuned_is_refused(asked):
    with pytest.raises(ConfigError, match="no such rule; there are: empty"):
        curve_of(asked[1], "words")
    with pytest.raises(ConfigError, match=r"no such rule; did you mean 'gopher_quality.min_words'\? there are: empty"):
        curve_of(asked[1], "min_words")
    with pytest.raises(ConfigError, match=r"did you mean 'c4.min_sentences'\? there are: empty"):
        curve_of(asked[1], "c4.min_sentence")
    with pytest.raises(ConfigError, match="quantiles of each group"):
        curve_of(asked[1], "small")
    with pytest.raises(ConfigError, match="measured no signal 'word'; did you mean 'words'"):
        compare_rules(asked[1], with_overrides(asked[1].config, ["filter.rules.0.signal=word"]).filter)
    run_folder = asked[0]["run"]
    assert winnow("tune", run_folder, "--set", "dedup.threshold=0.7")[0] == 2
    assert winnow("tune", run_folder, "--at", "3")[0] == 2
    assert winnow("tune", run_folder, "--set", "filter.gopher_quality.min_word=7")[0] == 2


def test_the_command_gives_lines_to_paste_that_a_config_takes(asked):
    code, shown = winnow(
        "tune", asked[0]["run"], "--set", "filter.c4=off", "--set", "filter.gopher_quality.min_words=90"
    )
    assert code == 0
    pasted = shown.partition("to paste into the config:\n")[2]
    assert pasted == "filter:\n  c4: 'off'\n  gopher_quality:\n    min_words: 90\n"
    assert " c4.min_sentences " in (table := winnow("tune", asked[0]["run"])[1])
    assert "0.0 M" not in table and all(len(line) <= 140 for line in table.splitlines())
    lines = winnow("tune", asked[0]["run"], "--json")[1].splitlines()
    assert {json.loads(line)["name"] for line in lines} >= {"long", "small", "c4.min_sentences"}
