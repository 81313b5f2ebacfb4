"""Rules on where documents come from, and those of operators, in listings, in tuning and on the page.

All of it in runs that are loaded from their folders, as another process does.
"""

import json

import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow.config.config import parse_config
from winnow.config.load import with_overrides
from winnow.errors import ConfigError
from winnow.looking.list_documents import Wanted, list_documents, rules_of
from winnow.looking.tune import compare_rules, curve_of, rule_effects
from winnow.report.page.rules import rules_section
from winnow.report.page.sample import take_sample
from winnow.runs.run import run
from winnow.runs.state import load_run

OPS = """
import pyarrow.compute as pc
import winnow

@winnow.filter
def no_grue(batch):
    return pc.invert(pc.match_substring(batch["text"], "grue"))

@winnow.signal
def length(batch):
    return pc.utf8_length(batch["text"])

@winnow.mapper
def trimmed(batch):
    return pc.utf8_trim_whitespace(batch["text"])
"""
LICENCES = ("CC-BY-4.0", "CC-BY-NC-4.0", None, "unclear")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config of many rules that few documents fail, most of them one alone."""
    folder = tmp_path_factory.mktemp("origins")
    (folder / "ops.py").write_text(OPS)
    (folder / "hosts.txt").write_text("blocked.example\n")
    (folder / "hot.txt").write_text("hot\ngirls\n")
    rows = []
    for n, text in enumerate(articles(8, 120)):
        host = "www.blocked.example" if n % 9 == 0 else "fine.example"
        row = {"id": str(n), "url": f"https://{host}/{'hot-girls' if n % 10 == 3 else n}", "licence": LICENCES[n % 4]}
        row["opt_out"] = "noai" if n % 11 == 0 else "noarchive" if n % 13 == 0 else None
        mails = " ".join(f"a{i}@mail.example.net" for i in range(n % 5))
        rows.append({**row, "text": f"  {text} {'grue' if n % 7 == 0 else ''} {mails}"})
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rules = {
        "mode": "filter",
        **dict.fromkeys(("gopher_quality", "gopher_repetition", "c4", "fineweb"), "off"),
        "urls": {"domains": str(folder / "hosts.txt"), "soft_words": str(folder / "hot.txt")},
        "opt_outs": ["noai", "noarchive"],
        "licences": {"allow": ["CC-BY"], "unknown": "keep"},
        "rules": [{"signal": "length", "max_quantile": 0.9}, {"signal": "pii.email", "max": 2}],
    }
    operators = [{"use": f"{folder}/ops.py:{name}"} for name in ("trimmed", "length", "no_grue")]
    operators.append({"use": "pii", "max_spans": 3})
    source = source_of(folder / "in.jsonl", "web", id="id")
    return run_config(folder / "run", source, filter=rules, measure={"operators": operators}, report=True)


@pytest.fixture(scope="module")
def loaded(config):
    run(parse_config(config))
    return load_run(config["run"])


def failures(loaded) -> dict[str, int]:
    return loaded.totals("filter", "failed")


def test_what_rules_fail_is_what_the_run_counted(loaded):
    effects = {effect.name: effect for effect in rule_effects(loaded)}
    told = {name: effect.fails.documents for name, effect in effects.items() if effect.fails.documents}
    assert told == failures(loaded)
    assert {"urls.hosts", "urls.hot", "opt_outs.noai", "opt_outs.noarchive", "licences.other", "licences.unclear",
            "no_grue", "max_length"} == set(told)  # fmt: skip
    assert all(0 < effects[name].alone.documents < told[name] for name in ("urls.hosts", "no_grue", "licences.other"))
    assert effects["urls.hosts"].threshold is None and effects["urls.hosts"].is_match


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [["filter.urls=off"], ["filter.opt_outs=[noai]", "filter.licences=off"], ["filter.opt_outs=off"]],
    ids=lambda changes: changes[0],
)
def test_without_some_rules_on_origins_as_many_pass_as_in_a_run_without_them(config, loaded, changes, tmp_path):
    found = compare_rules(loaded, with_overrides(loaded.config, changes).filter)
    other = run(with_overrides(parse_config(config), [*changes, f"run={tmp_path / 'run'}"])).run
    assert found.now.documents == loaded.total("filter", "passed")
    assert found.then.documents == other.total("filter", "passed") > found.now.documents
    assert {name: then for name, (_, then) in found.fails.items() if then} == other.totals("filter", "failed")


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ("filter.opt_outs=drop", "opt_outs"),
        ("filter.licences=[CC0-1.0]", "licences"),
        ("filter.urls.min_soft_words=3", "urls"),
    ],
)
def test_what_the_run_did_not_look_for_is_not_told_as_passing(loaded, change, setting):
    code, told = winnow("tune", loaded.config.run, "--set", change)
    assert code == 2
    assert f"filter.{setting}: the run did not look for this" in told


def test_a_rule_that_is_decided_after_dedup_is_not_told_as_changing_nothing(loaded):
    with pytest.raises(ConfigError, match=r"filter.rules: pii.email is found in what dedup keeps"):
        compare_rules(loaded, with_overrides(loaded.config, ["filter.rules.1.max=0"]).filter)


def test_a_match_has_no_threshold_to_move(loaded):
    with pytest.raises(ConfigError, match=r"urls.hosts: there is no threshold to move.*--set filter.urls=off"):
        curve_of(loaded, "urls.hosts")
    curve = curve_of(loaded, "max_length")
    assert curve.passes[curve.thresholds.index(curve.current)].documents == loaded.total("filter", "passed")
    code, told = winnow("tune", loaded.config.run)
    assert code == 0
    assert "a match" in told


def test_documents_are_listed_by_every_rule_that_a_table_names(loaded):
    later = loaded.totals("redact", "failed")
    assert set(later) == {"max_pii.email", "pii"}
    assert {*later, *failures(loaded)} <= set(rules_of(loaded, kept=False))
    for rule, number in {**failures(loaded), **later}.items():
        assert list_documents(loaded, Wanted(rule=rule), "input", 3, 50).found == number
    for name in ("dropped", "kept"):
        assert winnow(name, loaded.config.run)[0] == 0
    assert winnow("dropped", loaded.config.run, "--rule", "pii")[0] == 0
    assert winnow("kept", loaded.config.run, "--rule", "max_length", "--near-threshold")[0] == 0


def test_the_page_counts_alone_what_fails_no_rule_on_origins_either(loaded):
    sample = take_sample(loaded)
    alone = {effect.name: effect.alone.documents for effect in rule_effects(loaded)}
    assert {r.name: int((r.fails & (sample.failed == 1)).sum()) for r in sample.rules} == alone
    part = rules_section(loaded, sample, draw=False)
    shown = {part.title: part for part in part.parts}["urls.hosts"]
    assert shown.examples and all("dropped for a match: web" in example.title for example in shown.examples)
    assert winnow("report", loaded.config.run)[0] == 0
