"""Mixtures by buckets: shares to one document, quantiles exact, what no bucket reaches refused or told."""

import json
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from tests.e2e.test_mixture import filled, hashes
from tests.support.configs import run_config, source_of
from tests.support.small_work import many_partitions, many_units
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import explain
from winnow.flow.mixture import STEP
from winnow.flow.mixture_accounting import strata_given
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.tables import read_ipc

WORDS = "river stone letter harbour orchard winter number engine border market silver candle".split()
SHARDS = {"sequence_tokens": 63, "shard_tokens": 4000, "splits": {"val": 0.1}, "max_epochs": 6}


def write(folder):
    """240 documents of two sources, with a kept topic (some without), a kept score, and copies of some."""
    rng = np.random.default_rng(5)
    for name, number in (("web", 160), ("books", 80)):
        rows = []
        for n in range(number):
            text = f"{name} {n}: " + " ".join(rng.choice(WORDS, 20 + int(rng.integers(60)))) + f" {n} end."
            row = {"id": f"{name}-{n}", "text": text, "score": f"{rng.normal():.3f}" if n % 9 else "unknown"}
            row |= {"topic": ["sea", "law", "art"][n % 3]} if n % 10 else {}
            rows += [row] * (1 + 2 * (n % 8 == 0))
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def config_of(folder, run_folder, **shards):
    sources = [source_of(folder / f"{name}.jsonl", name, id="id", keep=["topic", "score"]) for name in ("web", "books")]
    return parse_config(run_config(run_folder, *sources, shards=SHARDS | shards))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("data")
    write(made)
    return made


@pytest.fixture(scope="module")
def mixed(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("mixed") / "run"

    def of(**shards):
        run(config_of(folder, place, **shards))
        return load_run(str(place))

    return of


def documents(finished, stage):
    """Rows of a ledger of the train split before the mixture, with what is known of each document."""
    rows = []
    for number, record in enumerate(finished.records[stage]):
        tokens = read_ipc(finished.store, finished.of("tokenise")[number].outputs["tokens"].reference())
        lengths = {row["doc"]: len(row["ids"]) + 1 for row in tokens.to_pylist()}
        about = pq.read_table(finished.store.path(finished.parts[number].documents["path"])).to_pylist()
        known = {row["doc"]: row for row in about}
        for row in pq.read_table(finished.store.path(record.outputs["decisions"].path)).to_pylist():
            rows.append(known[row["doc"]] | row | {"tokens": lengths.get(row["doc"])})
    copies = Counter(row["keeper"] for row in rows if row["keeper"] is not None)
    return [row | {"duplicates": copies[row["doc"]]} for row in rows]


NAMES = ["low", "mid", "high"]
BUCKETS = [{"name": "edu", "signal": "score", "quantiles": [0.25, 0.8], "by": "source", "names": NAMES}]
WEIGHTS = {"web": {"high": 3, "mid": 2, "low": 1, "(none)": 0.5}, "books": {"high": 2, "*": 1.5}}


def expected_buckets(rows):
    """In plain Python: the rank of a score among those of its source."""
    found = {}
    for source in ("web", "books"):
        mine = [row for row in rows if row["source"] == source]
        scores = sorted(np.float32(row["keep.score"]) for row in mine if row["keep.score"] != "unknown")
        cuts = [scores[max(1, -(-Fraction(q) * len(scores) // 1)) - 1] for q in ("0.25", "0.8")]
        for row in mine:
            if row["keep.score"] == "unknown":
                name = "(none)"
            else:
                score = np.float32(row["keep.score"])
                name = "low" if score <= cuts[0] else "mid" if score <= cuts[1] else "high"
            found[row["doc"]] = f"{source}/{name if source == 'web' or name == 'high' else '*'}"
    return found


@pytest.mark.parametrize("max_tokens", [None, pytest.param(12_000, marks=pytest.mark.slow)])
def test_every_bucket_gives_its_share_to_one_document(mixed, max_tokens):
    found = mixed(mixture={"by": ["source", "edu"], "weights": WEIGHTS}, buckets=BUCKETS, max_tokens=max_tokens)
    before = [row for row in documents(found, "decide") if row["split"] == "train"]
    after = {row["doc"]: row["copies"] for row in documents(found, "mixture")}
    of = expected_buckets(before)
    told = {bucket["name"]: bucket for bucket in strata_given(found)[0]}
    weights = {f"{s}/{b}": Fraction(w) for s, inner in WEIGHTS.items() for b, w in inner.items()}
    assert set(told) == set(weights) == set(of.values())
    held = {name: sum(row["tokens"] for row in before if of[row["doc"]] == name) for name in weights}
    whole = sum(weights.values())
    budget = max_tokens or min(held[name] * whole / weights[name] for name in weights)
    for name, bucket in told.items():
        mine = [row for row in before if of[row["doc"]] == name]
        wanted = int(budget * weights[name] / whole)
        assert {row["doc"]: after[row["doc"]] for row in mine} == filled(mine, wanted, found.config.shards.seed)
        copies = [after[row["doc"]] for row in mine]
        assert max(copies) - min(copies) <= 1
        gave = sum(row["tokens"] * after[row["doc"]] for row in mine)
        assert wanted - max(row["tokens"] for row in mine) < gave <= wanted
        assert (bucket["tokens"], bucket["documents"]) == (gave, sum(n > 0 for n in copies))
        assert bucket["asked"] == pytest.approx(float(weights[name] / whole), abs=1e-6)
    assert found.manifest["mixture"]["mixtures"][0]["buckets"] == strata_given(found)[0]
    lines = STEP.summary(found)
    assert any(line.startswith("mixture: bucket web/high gave ") and "30.00% asked" in line for line in lines)
    assert any("WARNING" in line and "have no value of edu" in line for line in lines)
    assert all(balance.expected == balance.found for balance in recount(found))
    assert not check_shards(found)


@pytest.mark.slow
def test_repeats_by_number_of_copies(mixed):
    """Documents with copies twice, others once; a budget takes from all alike."""
    shards = {
        "mixture": {"by": "copied", "repeats": {"under 1": 1, "from 1": 2.5}},
        "buckets": [{"name": "copied", "signal": "duplicates", "at": [1]}],
    }
    found = mixed(**shards)
    rows = documents(found, "mixture")
    train = [row for row in rows if row["split"] == "train"]
    assert {row["copies"] for row in train if row["duplicates"] == 0} == {1}
    assert {row["copies"] for row in train if row["duplicates"] == 2} == {2, 3}
    assert {row["duplicates"] for row in train} == {0, 2}
    full = {b["name"]: b["tokens"] for b in strata_given(found)[0]}
    half = {b["name"]: b["tokens"] for b in strata_given(mixed(**shards, max_tokens=sum(full.values()) // 2))[0]}
    assert all(half[name] == pytest.approx(full[name] / 2, abs=100) for name in full)


def test_kept_columns_and_languages(mixed):
    weights = {"sea": {"*": 2}, "*": 1}
    found = mixed(mixture={"by": ["topic", "language"], "weights": weights}, max_tokens=6_000)
    told = {bucket["name"]: bucket for bucket in strata_given(found)[0]}
    assert list(told) == ["sea/*", "*"]
    assert told["sea/*"]["tokens"] == pytest.approx(4_000, abs=100)
    left = next(row for row in documents(found, "mixture") if row["rule"] == "shards.mixture")
    assert explain(found, left["doc"]).bucket == ("sea/*" if left["keep.topic"] == "sea" else "*")
    assert explain(mixed(mixture={"web": 1, "books": 1}), left["doc"]).bucket is None


@pytest.mark.slow
def test_units_and_partitions_do_not_change_a_byte(mixed, folder, tmp_path, monkeypatch):
    shards = {"mixture": {"by": ["source", "edu"], "weights": WEIGHTS}, "buckets": BUCKETS, "max_tokens": 12_000}
    expected = hashes(mixed(**shards))
    many_units(monkeypatch)
    many_partitions(monkeypatch)
    context = run(config_of(folder, tmp_path / "run", **shards))
    assert len(context.run.parts) > 3
    assert hashes(load_run(str(tmp_path / "run"))) == expected


@pytest.mark.slow
def test_weights_by_source_are_what_they_were(mixed):
    """The short form, the long form, and buckets that are sources give the same shards."""
    short = mixed(mixture={"web": 1, "books": 2}, max_tokens=9_000)
    expected, keys = hashes(short), [record.key for record in short.of("mixture")]
    long = mixed(mixture={"by": ["source"], "weights": {"web": 1, "books": 2}}, max_tokens=9_000)
    assert hashes(long) == expected
    assert [record.key for record in long.of("mixture")] == keys
    others = mixed(mixture={"by": ["source"], "weights": {"web": 1, "*": 2}}, max_tokens=9_000)
    assert {name.split("/")[-1]: n for name, n in hashes(others).items()} == {
        name.split("/")[-1]: n for name, n in expected.items()
    }


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        (
            {"mixture": {"by": ["topic"], "weights": {"sea": 1, "moon": 1, "*": 1}}},
            r"bucket moon, but none .*: sea, \*$",
        ),
        (
            {"mixture": {"by": ["topic"], "weights": {"sea": 1, "law": 1}}},
            r"no bucket for \d+ documents .* art \(\d+\), \(none\)",
        ),
        ({"mixture": {"by": ["topic"], "weights": {"sea": 9, "*": 1}}, "max_tokens": 90_000}, "of bucket sea, .* over"),
        ({"mixture": {"by": ["topic"], "weights": {"*": 1}}, "max_tokens": 1}, "less than the first document has"),
    ],
)
def test_what_a_mixture_cannot_reach_is_refused(mixed, shards, message):
    with pytest.raises(ConfigError, match=message):
        mixed(**shards)


EDU = [{"name": "edu", "signal": "score", "quantiles": [0.5]}]


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({"mixture": {"by": ["edu"], "weights": {"*": 1}}}, "no column 'edu'"),
        ({"mixture": {"by": ["words"], "weights": {"*": 1}}}, "say in shards.buckets where it is cut"),
        ({"mixture": {"by": ["edu"], "weights": {"high": 1}}, "buckets": EDU}, "names high of edu, whose ranges are"),
        ({"mixture": {"by": ["source"], "weights": {"*": 1}}, "buckets": EDU}, "mixture.by does not name it"),
        ({"buckets": EDU}, "there is no mixture"),
        ({"mixture": {"by": ["topic"], "weights": {"a": {"b": 1}}}}, "a/b|divided once more"),
        ({"mixture": {"by": ["topic"], "weights": {"a": -1}}}, "number of a must be at least 0"),
        ({"mixture": {"by": ["topic"], "weights": {"a": 0}}}, "takes nothing"),
        ({"mixture": {"by": ["topic"], "repeats": {"a": 7}}}, "7 times, over max_epochs"),
        ({"mixture": {"by": ["topic"]}}, "give weights or repeats"),
        ({"mixture": {"by": ["source"], "weights": {"wob": 1, "*": 1}}}, "names source wob; there are: web, books"),
        ({"mixture": {"web": 1}}, "must name every source once"),
        (
            {"mixture": {"by": ["edu"], "weights": {"*": 1}}, "buckets": [{"name": "edu", "signal": "score"}]},
            "give quantiles or at",
        ),
        (
            {
                "mixture": {"by": ["edu"], "weights": {"*": 1}},
                "buckets": [{"name": "edu", "signal": "score", "at": [2, 1]}],
            },
            "cuts must rise",
        ),
    ],
)
def test_settings_that_cannot_be(folder, tmp_path, shards, message):
    from winnow.flow.flow import check_steps

    with pytest.raises(ConfigError, match=message):
        check_steps(config_of(folder, tmp_path / "run", **shards))


def documented():
    text = (Path(__file__).parents[2] / "docs/mixtures.md").read_text()
    return [yaml.safe_load(block)["shards"] for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize("number", range(4))
def test_what_the_documentation_shows(folder, tmp_path, number):
    from winnow.flow.flow import check_steps

    assert len(documented()) == 4
    check_steps(config_of(folder, tmp_path / "run", **documented()[number]))


@pytest.mark.slow
def test_the_documented_buckets_run(mixed):
    found = mixed(**documented()[1] | {"max_tokens": 9_000})
    told = strata_given(found)[0]
    assert [bucket["name"] for bucket in told] == ["web/high", "web/mid", "web/low", "web/(none)", "books"]
    assert told[3]["documents"] == 0 and told[4]["share"] == pytest.approx(2.5 / 8, abs=0.02)


@pytest.mark.slow
def test_parts_without_documents(folder, tmp_path, monkeypatch):
    """Their tables are empty, and equal."""
    many_units(monkeypatch)
    first = (folder / "web.jsonl").read_text().splitlines()[0]
    (tmp_path / "copies.jsonl").write_text(f"{first}\n" * 300)
    sources = [source_of(folder / "web.jsonl", "web", id="id", keep=["topic", "score"])]
    sources.append(source_of(tmp_path / "copies.jsonl", "copies", id="id"))
    mixture = {"by": ["edu"], "weights": {"0-0.5": 1, "0.5-1": 2, "(none)": 0}}
    shards = SHARDS | {"mixture": mixture, "buckets": EDU, "max_tokens": 3_000}
    found = run(parse_config(run_config(tmp_path / "run", *sources, shards=shards))).run
    assert [record.counters.get("documents", 0) for record in found.of("tokenise")].count(0) > 1
    assert [bucket["share"] for bucket in strata_given(found)[0]] == pytest.approx([1 / 3, 2 / 3, 0], abs=0.03)
