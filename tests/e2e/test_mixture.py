"""Mixtures: every source gives its share to one document, the ledger says so, and more budget only adds."""

import json
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.commands import winnow
from tests.support.configs import run_config, sample_config, source_of
from tests.support.corpora import write_sample
from tests.support.small_work import many_partitions, many_units
from winnow import schemas
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import explain
from winnow.flow.mixture import STEP
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.shards.order import keyed_hash
from winnow.stages.mixture import _TAG, RULE, budgets
from winnow.stages.tables import read_ipc

SHARES = {"web": 0.5, "books": 2.0, "notes": 0.5}
SHARDS = {"sequence_tokens": 127, "shard_tokens": 4000, "splits": {"val": 0.15}, "max_epochs": 1000}


@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.floats(1e-6, 1e6)), min_size=1, max_size=6), st.integers(1, 10**13)
)
def test_budgets_are_exact_shares(sources, max_tokens):
    tokens, shares = [n for n, _ in sources], [share for _, share in sources]
    found = budgets(tokens, shares, max_tokens)
    whole = sum(map(Fraction, shares))
    assert found == [max_tokens * Fraction(share) // whole for share in shares]
    once = budgets(tokens, shares, None)
    assert all(budget <= n for budget, n in zip(once, tokens, strict=True))
    assert any(budget == n for budget, n in zip(once, tokens, strict=True))  # the scarcest source is taken whole


@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.sampled_from([0, 0.1, 0.3, 1, 2.5, 4])), min_size=1, max_size=6),
    st.integers(1, 10**13),
)
def test_repeats_are_made_smaller_alike(strata, max_tokens):
    tokens, repeats = [n for n, _ in strata], [float(times) for _, times in strata]
    exact = [n * Fraction(str(times)) for n, times in strata]
    assert budgets(tokens, repeats, None, repeats=True) == [int(n) for n in exact]
    found = budgets(tokens, repeats, max_tokens, repeats=True)
    less = min(Fraction(1), Fraction(max_tokens) / sum(exact)) if sum(exact) else 1
    assert found == [int(n * less) for n in exact]
    assert sum(found) <= max_tokens


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "data"
    write_sample(folder, 60)
    return folder


@pytest.fixture(scope="module")
def mixed(sample, tmp_path_factory):
    """A finished run with a mixture; one run folder for all of them."""
    folder = tmp_path_factory.mktemp("mixed") / "run"

    def of(**shards):
        run(parse_config(sample_config(sample, folder, shards=SHARDS | shards)))
        return load_run(str(folder))

    return of


def ledger(finished, stage: str) -> list[dict]:
    """Rows of a ledger with the source and tokens (one copy) of each document."""
    rows = []
    for number, record in enumerate(finished.records[stage]):
        tokens = read_ipc(finished.store, finished.of("tokenise")[number].outputs["tokens"].reference())
        lengths = {row["doc"]: len(row["ids"]) + 1 for row in tokens.to_pylist()}
        documents = pq.read_table(finished.store.path(finished.parts[number].documents["path"])).to_pylist()
        sources = {row["doc"]: row["source"] for row in documents}
        for row in pq.read_table(finished.store.path(record.outputs["decisions"].path)).to_pylist():
            rows.append({**row, "source": sources[row["doc"]], "tokens": lengths.get(row["doc"])})
    return rows


def filled(rows: list[dict], budget: int, seed: int) -> dict[int, int]:
    """Copies in plain Python: whole passes, then documents in the order of their keys while they fit."""
    held = sum(row["tokens"] * row["copies"] for row in rows)
    copies = {row["doc"]: budget // held for row in rows}
    rest = budget % held
    keys = keyed_hash((seed, _TAG), np.array([[row["doc"]] for row in rows], np.uint64))[:, 0].tolist()
    for _, row in sorted(zip(keys, rows, strict=True), key=lambda pair: (pair[0], pair[1]["doc"])):
        rest -= row["tokens"] * row["copies"]
        if rest < 0:
            break
        copies[row["doc"]] += 1
    return {doc: n * next(r["copies"] for r in rows if r["doc"] == doc) for doc, n in copies.items()}


@pytest.mark.parametrize("max_tokens", [None, 3_000, 40_000, 150_000])
def test_every_source_gives_its_share_to_one_document(mixed, max_tokens):
    found = mixed(mixture=SHARES, max_tokens=max_tokens)
    before, after = ledger(found, "decide"), {row["doc"]: row for row in ledger(found, "mixture")}
    train = {name: [r for r in before if r["split"] == "train" and r["source"] == name] for name in SHARES}
    tokens = {name: sum(row["tokens"] for row in rows) for name, rows in train.items()}
    budget = max_tokens or min(tokens[name] / (SHARES[name] / 3) for name in SHARES)
    for name, rows in train.items():
        wanted = int(budget * SHARES[name] / 3 + 1e-6)
        expected = filled(rows, wanted, found.config.shards.seed)
        assert {row["doc"]: after[row["doc"]]["copies"] for row in rows} == expected
        given_tokens = sum(row["tokens"] * expected[row["doc"]] for row in rows)
        assert wanted - max(row["tokens"] for row in rows) < given_tokens <= wanted
        mixture = found.manifest["sources"][name]["mixture"]
        assert mixture["tokens"] == given_tokens
        assert mixture["copies"] == sum(expected.values())
        assert mixture["documents"] == sum(n > 0 for n in expected.values())
        assert mixture["epochs"] == pytest.approx(given_tokens / tokens[name], abs=1e-6)
    for row in before:  # nothing else changes
        new = after[row["doc"]]
        if row["split"] != "train":
            assert new == row
        elif new["copies"]:
            assert new == row | {"copies": new["copies"]}
        else:
            assert (new["outcome"], new["rule"], new["split"]) == (schemas.SAMPLED_OUT, RULE, None)
            assert new["value"] >= new["threshold"]
    assert not check_shards(found)
    assert all(balance.expected == balance.found for balance in recount(found))


def test_more_budget_only_adds(mixed):
    sizes = (2_000, 9_000, 30_000, 90_000)
    runs = [
        {row["doc"]: row["copies"] for row in ledger(mixed(mixture=SHARES, max_tokens=n), "mixture")} for n in sizes
    ]
    for smaller, larger in pairwise(runs):
        assert all(larger[doc] >= copies for doc, copies in smaller.items())
    assert sum(runs[0].values()) < sum(runs[-1].values())


def test_a_budget_alone_takes_all_sources_as_one(mixed):
    found = mixed(max_tokens=20_000)
    train = [row for row in ledger(found, "decide") if row["split"] == "train"]
    after = {row["doc"]: row["copies"] for row in ledger(found, "mixture")}
    assert {row["doc"]: after[row["doc"]] for row in train} == filled(train, 20_000, found.config.shards.seed)
    tokens = found.manifest["shards"]["splits"]["train"]["tokens"]
    assert 20_000 - max(row["tokens"] for row in train) < tokens <= 20_000
    whole = mixed(max_tokens=10**9)
    assert whole.manifest["books"]["outcomes"].get(schemas.SAMPLED_OUT, 0) == 0


def test_a_budget_counts_the_copies_of_weights(sample, tmp_path):
    config = sample_config(sample, tmp_path / "run", shards=SHARDS | {"max_tokens": 20_000})
    config["sources"][0]["weight"] = 3.0
    found = load_run(run(parse_config(config)).config.run)
    train = [row for row in ledger(found, "decide") if row["split"] == "train"]
    after = {row["doc"]: row["copies"] for row in ledger(found, "mixture")}
    assert {row["doc"]: after[row["doc"]] for row in train} == filled(train, 20_000, found.config.shards.seed)
    assert 3 in after.values()


def hashes(finished) -> dict[str, str]:
    splits = finished.manifest["shards"]["splits"]
    return {shard["path"]: shard["sha256"] for split in splits.values() for shard in split["shards"]}


def test_units_and_partitions_do_not_change_a_byte(mixed, sample, tmp_path, monkeypatch):
    shards = {"mixture": SHARES, "max_tokens": 60_000, "row": "best_fit"}
    expected = hashes(mixed(**shards))
    many_units(monkeypatch)
    many_partitions(monkeypatch)
    context = run(parse_config(sample_config(sample, tmp_path / "run", shards=SHARDS | shards)))
    assert len(context.run.parts) > 5 and context.run.layout["partitions"] > 1
    assert hashes(load_run(str(tmp_path / "run"))) == expected


@pytest.mark.parametrize(
    "shards", [{"mixture": SHARES, "max_tokens": 40_000}, {"max_tokens": 20_000}, {"mixture": SHARES}, {}]
)
def test_stats_count_the_tokens_of_each_source_in_the_set(mixed, shards):
    found = mixed(**shards)
    code, output = winnow("shards", "stats", found.store.root, "--json")
    assert code == 0, output
    told = json.loads(output)
    expected = {name: {"documents": 0, "copies": 0, "tokens": 0, "weight": 1.0} for name in SHARES}
    for row in ledger(found, "mixture" if shards else "decide"):
        mine = expected[row["source"]]
        mine["documents"] += row["copies"] > 0
        mine["copies"] += row["copies"]
        mine["tokens"] += row["copies"] * (row["tokens"] or 0)
    assert told["sources"] == expected
    for whole, part in (("tokens", "tokens"), ("documents", "copies")):
        in_splits = sum(split[whole] for split in told["splits"].values())
        assert in_splits == sum(source[part] for source in expected.values())


def test_a_source_that_gives_nothing_is_told(sample, tmp_path):
    shards = SHARDS | {"mixture": {"web": 1, "books": 1, "notes": 1e-12}, "splits": {}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(sample_config(sample, tmp_path / "run", shards=shards)))
    code, output = winnow("run", str(tmp_path / "c.yaml"))
    assert code == 0, output
    assert output.count("ALARM: shards.mixture") == 1 and "WARNING" not in output
    assert "ALARM: shards.mixture asks for 1e-12 of source notes, but none of its documents" in output
    code, output = winnow("shards", "stats", str(tmp_path / "run"), "--json")
    assert json.loads(output)["sources"]["notes"] == {"documents": 0, "copies": 0, "tokens": 0, "weight": 1.0}


def test_why_tells_of_the_mixture(mixed):
    found = mixed(mixture=SHARES, max_tokens=9_000)
    rows = ledger(found, "mixture")
    out = next(row["doc"] for row in rows if row["rule"] == RULE)
    story = explain(found, out)
    assert (story.outcome, story.left_out.rule, story.places) == (schemas.SAMPLED_OUT, RULE, ())
    twice = next(row for row in ledger(mixed(mixture=SHARES, max_tokens=150_000), "mixture") if row["copies"] > 1)
    assert len(explain(load_run(found.config.run), twice["doc"]).places) == twice["copies"]


@pytest.mark.parametrize(
    ("shards", "weight", "message"),
    [
        ({"mixture": {"web": 1.0}}, 1.0, "must name every source once"),
        ({"mixture": SHARES | {"web": -1.0}}, 1.0, "shards.mixture: the number of web"),
        ({"mixture": SHARES}, 2.0, "leave out the weight of web"),
        ({"max_tokens": 0}, 1.0, "shards.max_tokens"),
    ],
)
def test_settings_that_cannot_be(sample, tmp_path, shards, weight, message):
    config = sample_config(sample, tmp_path / "run", shards=SHARDS | shards)
    config["sources"][0]["weight"] = weight
    with pytest.raises(ConfigError, match=message):
        parse_config(config)


def test_budgets_that_nothing_meets_are_told(mixed, sample, tmp_path):
    with pytest.raises(ConfigError, match="less than the first document has"):
        mixed(max_tokens=1)
    with pytest.raises(ConfigError, match="times all of it, over shards.max_epochs"):
        mixed(mixture=SHARES, max_tokens=10**9)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text(" ")
    config = sample_config(sample, tmp_path / "run", shards=SHARDS | {"mixture": SHARES})
    config["sources"][2]["path"] = str(tmp_path / "empty")
    with pytest.raises(ConfigError, match="asks for documents of source notes, but none"):
        run(parse_config(config))


ROWS = [
    {"row": "document"},
    {"row": "best_fit", "best_fit": {"long_documents": "truncate"}},
    {"row": "best_fit", "best_fit": {"long_documents": "drop"}},
    {"row": "window", "window": {"over": "document", "stride_tokens": 50}},
    {"row": "best_fit"},
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_shares_are_of_what_gets_into_rows(tmp_path, row):
    """Half of the rows' tokens from each of two sources, of which one has few but very long documents."""
    words = ["alpha", "beta", "gamma", "delta", "echo"]
    long = [" ".join(words[n * k % 5] + str(k) for k in range(300)) for n in range(40)]
    short = [f"book {n} " + "short " * 60 for n in range(60)]
    (tmp_path / "books.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in long + short))
    web = "".join(json.dumps({"text": f"page {n} " + "of words " * (20 + n % 60)}) + "\n" for n in range(800))
    (tmp_path / "web.jsonl").write_text(web)
    shards = {"sequence_tokens": 128, "splits": {}, "mixture": {"web": 0.5, "books": 0.5}, "columns": ["docs"], **row}
    sources = (source_of(tmp_path / f"{name}.jsonl", name) for name in ("web", "books"))
    run(parse_config(run_config(tmp_path / "run", *sources, dedup="off", shards=shards)))
    found = load_run(str(tmp_path / "run"))
    in_rows = {"web": 0, "books": 0}
    sources_of = {}
    for part in found.parts:
        for document in pq.read_table(found.store.path(part.documents["path"])).to_pylist():
            sources_of[document["doc"]] = document["source"]
    for shard in found.manifest["shards"]["splits"]["train"]["shards"]:
        for table_row in pq.read_table(found.store.path(f"{found.shards}/{shard['path']}")).to_pylist():
            for piece, length in zip(table_row["docs"], table_row["doc_lens"], strict=False):
                in_rows[sources_of[piece["doc"] if isinstance(piece, dict) else piece]] += length
    assert in_rows["books"] / sum(in_rows.values()) == pytest.approx(0.5, abs=0.05)
    told = {name: found.manifest["sources"][name]["mixture"]["tokens"] for name in in_rows}
    assert told == in_rows
    assert all(balance.expected == balance.found for balance in recount(found))
    assert not check_shards(found)


def test_a_source_that_would_be_repeated_too_often_is_refused(sample, tmp_path):
    shards = SHARDS | {"mixture": {"web": 1, "books": 1, "notes": 1}, "max_tokens": 400_000, "splits": {}}
    del shards["max_epochs"]
    with pytest.raises(
        ConfigError, match=r"of source \w+, whose rows .* times all of it, over shards.max_epochs \(4\)"
    ):
        run(parse_config(sample_config(sample, tmp_path / "run", shards=shards)))
    context = run(parse_config(sample_config(sample, tmp_path / "run", shards=shards | {"max_epochs": 1000})))
    kinds = {alarm.kind for alarm in STEP.alarms(context.run)}
    assert any(str(a).startswith("notes is repeated ") and "over 4 passes" in a.what for a in STEP.alarms(context.run))
    assert kinds == {"repetition"}
    once = run(parse_config(sample_config(sample, tmp_path / "run", shards=shards | {"max_tokens": None})))
    assert STEP.alarms(once.run) == []


def test_a_weight_that_repeats_too_often_is_warned_of(sample, tmp_path):
    config = sample_config(sample, tmp_path / "run")
    config["sources"][0]["weight"] = 4.5
    assert any("source web: weight 4.5 puts each document" in warning for warning in parse_config(config).warnings)
    config["sources"][0]["weight"] = 4
    assert parse_config(config).warnings == []
