"""Operators on GPUs: what they see, what they decide after dedup, and what is computed again. All of it on CPUs."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.operators.runs import computed, config, done, shards, write_input
from tests.support.commands import winnow
from tests.support.corpora import articles
from tests.support.small_work import many_units
from winnow import schemas
from winnow.audit.verify.screen import check_screen
from winnow.audit.verify.verify import recount
from winnow.config.load import load_config
from winnow.config.operators import pin_operators
from winnow.dedup.minhash_config import MinHashConfig
from winnow.engine.engine import StageFailedError
from winnow.errors import ConfigError, UnreadableShareError
from winnow.finished.explain import explain, unreadable
from winnow.finished.tables import table_of, tables_of
from winnow.flow.flow import balances
from winnow.flow.records import RunRecords
from winnow.runs.plan import plan_run
from winnow.stages.ingest import measure
from winnow.text.rules.signal_rules import SignalRule

OPS = """
import os
from pathlib import Path
import numpy as np
import pyarrow.compute as pc
import winnow

@winnow.signal
def exclamations(batch):
    return pc.count_substring(batch["text"], "!")

@winnow.signal(needs=["text"], gpu=True)
class Judge:
    '''Mean weight of a text's bytes, by a model that is loaded once.'''

    def __init__(self, model):
        self.weights = np.load(model)
        self.device = os.environ.get("CUDA_VISIBLE_DEVICES", "")

    def __call__(self, batch):
        (Path(SEEN) / f"{os.getpid()}-{self.device}").touch()
        return [round(float(self.weights[list(t.encode())].mean()), 5) for t in batch["text"].to_pylist()]

@winnow.signal(gpu=True)
def after(batch):
    assert set(batch.schema.names) >= {"text", "id", "source", "language", "kind", "exclamations", "judge"}
    return [len(set(ids)) + x for ids, x in zip(batch["id"].to_pylist(), batch["exclamations"].to_pylist())]

@winnow.filter(needs=["text", "kind"], gpu=True)
def no_lorem(batch):
    return ["lorem" not in t and k != "bad" for t, k in zip(batch["text"].to_pylist(), batch["kind"].to_pylist())]

@winnow.signal(needs=["text"], gpu=True)
def raises(batch):
    if any(RAISES(text) for text in batch["text"].to_pylist()):
        raise ValueError("its text must not be told")
    return [1] * batch.num_rows

@winnow.signal(needs=["text"], gpu=True)
def kills(batch):
    if any(text.endswith("number 5") for text in batch["text"].to_pylist()):
        os.kill(os.getpid(), 9)
    return [1] * batch.num_rows

@winnow.signal(needs=["text"], gpu=True)
def too_few(batch):
    return [1.0] * (batch.num_rows - 1)

@winnow.mapper(gpu=True)
def shout(batch):
    return batch["text"]

@winnow.signal(needs=["text", "judge"])
def too_early(batch):
    return [1] * batch.num_rows
"""
ENDS = 'lambda text: text.endswith(("number 3", "number 19"))'

OPERATORS = [
    {"use": "my_ops.py:exclamations"},
    {"use": "my_ops.py:Judge", "name": "judge", "model": "model.npy"},
    {"use": "my_ops.py:no_lorem"},
    {"use": "my_ops.py:after"},
]
RULES = [
    {"signal": "exclamations", "max": 7},
    {"signal": "judge", "max_quantile": 0.75},
    {"signal": "after", "max": 9},
    {"name": "judged", "signal": "judge", "min": 0.4, "max": 0.6},
]


def make(folder: Path, raises: str = ENDS) -> None:
    """A corpus of two sources with duplicates in it, a model, and operators."""
    texts = [text for text in dict.fromkeys(articles(7, 40)) if text.strip()]
    texts = [f"{text} {'!' * (n % 9)}{' lorem' if n % 7 == 0 else ''} number {n}" for n, text in enumerate(texts)]
    write_input(
        folder, [*texts, texts[0], texts[8]], kind=["bad" if n == 11 else "good" for n in range(len(texts) + 2)]
    )
    np.save(folder / "model.npy", np.random.default_rng(3).random(256).astype(np.float32))
    (folder / "seen").mkdir()
    write_operators(folder, raises)


def write_operators(folder: Path, raises: str = ENDS) -> None:
    text = OPS.replace("SEEN", repr(str(folder / "seen"))).replace("RAISES(", f"({raises})(")
    (folder / "my_ops.py").write_text(text)


def settings(folder: Path, operators: list = OPERATORS, rules: list = RULES, name: str = "run", **sections) -> Path:
    source = {"name": "web", "path": str(folder / "web.jsonl"), "id": "id", "keep": ["kind"]}
    return config(folder, operators, rules, name, sources=[source], **sections)


def ledger(finished: RunRecords) -> dict[str, dict]:
    ids = {row["doc"]: row["id"] for row in table_of(finished, "documents").to_table(columns=["doc", "id"]).to_pylist()}
    return {ids[row["doc"]]: row for row in table_of(finished, "decisions").to_table().to_pylist()}


def rows(finished: RunRecords, table: str) -> dict[int, dict]:
    return {row["doc"]: row for row in table_of(finished, table).to_table().to_pylist()}


def decided(finished: RunRecords, outcome: str = schemas.KEPT) -> set[int]:
    found = set()
    for record in finished.of("decide"):
        import pyarrow.parquet as pq

        table = pq.read_table(finished.store.path(record.outputs["decisions"].path)).to_pylist()
        found |= {row["doc"] for row in table if row["outcome"] == outcome}
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("screen")
    make(folder)
    return folder


@pytest.fixture(scope="module")
def screened(folder):
    return done(settings(folder))


def test_they_see_what_dedup_kept(screened):
    finished = screened[1]
    measured, found = rows(finished, "signals"), rows(finished, "screen_signals")
    assert found.keys() == decided(finished)
    assert 20 < len(found) < len(measured) - 4
    weights = np.load(finished.store.path(finished.config.measure.operators[1].settings["model"]))
    texts = rows(finished, "documents")
    for doc, row in found.items():
        text = texts[doc]["text"]
        assert row["judge"] == pytest.approx(float(weights[list(text.encode())].mean()), abs=1e-4)
        assert row["after"] == len(set(texts[doc]["id"])) + measured[doc]["exclamations"]
        assert row["no_lorem"] == ("lorem" not in text and texts[doc]["keep.kind"] != "bad")
        assert (row["source"], row["language"]) == ("web", measured[doc]["language"])
    assert not {"judge", "after", "no_lorem"} & measured[0].keys()


def test_their_rules_and_verdicts_decide_and_nothing_else_changes(screened):
    finished = screened[1]
    found, after, kept = rows(finished, "screen_signals"), ledger(finished), decided(finished)
    judged = sorted(row["judge"] for row in found.values())
    cut = judged[math.ceil(0.75 * len(judged)) - 1]
    checks = [
        ("max_judge", lambda row: row["judge"] > cut),
        ("max_after", lambda row: row["after"] > 9),
        ("judged", lambda row: not 0.4 <= row["judge"] <= 0.6),
        ("no_lorem", lambda row: not row["no_lorem"]),
    ]
    failures = [(r["doc"], r["rule"]) for r in table_of(finished, "screen_failures").to_table().to_pylist()]
    assert failures == [(doc, name) for doc in sorted(found) for name, fails in checks if fails(found[doc])]
    assert {name for _, name in failures} >= {"max_judge", "max_after", "no_lorem"}
    first = dict(reversed(failures))
    for row in after.values():
        if row["doc"] in first:
            name = first[row["doc"]]
            value = {"no_lorem": 0.0}.get(name, found[row["doc"]].get(name.removeprefix("max_")))
            limit = {"no_lorem": 1.0, "max_judge": cut, "max_after": 9.0}[name]
            assert (row["outcome"], row["rule"], row["value"]) == (schemas.FILTERED, name, value)
            assert row["threshold"] == pytest.approx(limit)
            assert (row["split"], row["copies"], row["keeper"]) == (None, 0, None)
        else:
            assert (row["outcome"] == schemas.KEPT) == (row["doc"] in kept)
    assert {row["outcome"] for row in after.values()} == {schemas.KEPT, schemas.FILTERED, schemas.NEAR_DUPLICATE}
    tokens = {row["doc"] for row in table_of(finished, "tokens").to_table(columns=["doc"]).to_pylist()}
    assert tokens == kept - first.keys() == {row["doc"] for row in after.values() if row["copies"]}
    assert {"exclamations"} == {  # filter knows nothing of the others
        row["rule"].removeprefix("max_") for row in table_of(finished, "failures").to_table().to_pylist()
    }


def test_books_manifest_summary_and_why_tell_of_it(folder, screened):
    finished = screened[1]
    kept, after = decided(finished), ledger(finished)
    failed = {row["doc"] for row in table_of(finished, "screen_failures").to_table().to_pylist()}
    manifest = finished.manifest
    assert manifest["screen"]["documents"] == len(kept)
    assert manifest["screen"]["failed_documents"] == len(failed)
    assert sum(manifest["screen"]["failed"].values()) >= len(failed)
    assert manifest["books"]["outcomes"][schemas.KEPT] == len(kept) - len(failed)
    assert manifest["operators"]["judge"] == {"documents": len(kept), "errors": 0, "nulls": 0}
    assert manifest["operators"]["no_lorem"]["refused"] == manifest["screen"]["failed"]["no_lorem"]
    assert set(manifest["operators"]) == {"exclamations", "judge", "no_lorem", "after"}
    told = {balance.what: balance.found for balance in balances(finished)}
    assert told["documents screened against kept by dedup"] == len(kept)
    assert told["documents filtered by screen against those that failed a rule"] == len(failed)
    assert all(balance.expected == balance.found for balance in [*balances(finished), *recount(finished)])
    assert {"screen_signals", "screen_failures"} <= set(tables_of(finished))
    code, output = winnow("summary", finished.store.root)
    assert code == 0
    assert f"screen: {len(failed)} of {len(kept)} documents that dedup kept failed a rule and are left out" in output
    assert f"operator judge: {len(kept)} documents" in output

    name, row = next((n, r) for n, r in after.items() if r["rule"] == "no_lorem")
    code, output = winnow("why", name, finished.store.root)
    assert f"outcome    {schemas.FILTERED}" in output
    assert "rule       no_lorem: value 0, threshold 1" in output
    assert "signal     judge: 0." in output
    story = explain(finished, row["doc"])
    assert [name for name, _ in story.signals] == ["exclamations", "judge", "no_lorem", "after"]
    gone = next(r["doc"] for r in after.values() if r["outcome"] == schemas.NEAR_DUPLICATE)
    assert [name for name, _ in explain(finished, gone).signals] == ["exclamations"]


def test_verify_decides_again(screened):
    finished = screened[1]
    assert next(balance.expected for balance in check_screen(finished)) == len(decided(finished))
    for rules, wrong in ((RULES[:2], {}), ([*RULES[:2], {"signal": "after", "max": 6}], {"rules on screened signals"})):
        config = finished.config.filter.model_copy(update={"rules": tuple(map(SignalRule.model_validate, rules))})
        other = replace(finished, config=finished.config.model_copy(update={"filter": config}))
        open_books = [balance.what for balance in check_screen(other) if balance.expected != balance.found]
        assert len(open_books) == len(wrong) and all(what.startswith(tuple(wrong)) for what in open_books)
    ran = dict(finished.records)
    pairs = zip(ran["decide"], ran["screen"], strict=True)
    ran["screen"] = [replace(before, outputs={**after.outputs, **before.outputs}) for before, after in pairs]
    wrong = [b.what for b in check_screen(replace(finished, records=ran)) if b.expected != b.found]
    assert wrong == ["documents that screen left out, and that failed a rule"]


def test_resume_and_a_changed_threshold(folder, screened):
    assert computed(done(settings(folder))[0]) == set()
    planned = plan_run(load_config(str(folder / "run.yaml"))).stages
    names = [stage.name for stage in planned]
    quantile = [f"screen_quantile_{what}" for what in ("counts", "bins", "values", "cuts")]
    assert names[names.index("decide") + 1 : names.index("tokenise")] == ["screen_signals", *quantile, "screen"]
    assert all(stage.done == stage.units for stage in planned)
    other = [*RULES[:2], {**RULES[2], "max": 6}, RULES[3]]
    again = computed(done(settings(folder, rules=other))[0])
    assert {"screen", "tokenise", "shards"} <= again <= {"screen", "tokenise", "shuffle", "layout", "shards"}
    other = [RULES[0], {**RULES[1], "max_quantile": 0.5}, *RULES[2:]]
    again = computed(done(settings(folder, rules=other))[0])
    assert {"screen_quantile_bins", "screen"} <= again
    assert not {"measure", "filter", "decide", "screen_signals", "screen_quantile_counts", "keepers"} & again
    assert computed(done(settings(folder))[0]) == set()


def test_the_run_folder_is_enough(folder, screened):
    from winnow.config.load import read_config
    from winnow.runs.run import run

    store = screened[1].store
    again = read_config(store.read("config.yaml"), store.location("config.yaml"))
    assert computed(run(again)) == set()
    state = json.loads(store.read("state.json"))
    assert [entry.get("on_gpu") for entry in state["config"]["measure"]["operators"]] == [None, True, True, True]


def test_annotate_records_and_keeps(folder, screened):
    _, finished = done(settings(folder, name="annotate", filter={"mode": "annotate"}))
    assert len(rows(finished, "screen_failures")) > 0
    outcomes = finished.manifest["books"]["outcomes"]
    assert schemas.FILTERED not in outcomes
    assert outcomes[schemas.KEPT] == len(decided(finished))
    assert all(balance.expected == balance.found for balance in [*balances(finished), *recount(finished)])
    code, output = winnow("summary", finished.store.root)
    assert "documents that dedup kept failed a rule; rules failed most" in output


def test_signals_alone_leave_nothing_out(folder):
    _, finished = done(settings(folder, OPERATORS[1:2], [], "signals"))
    assert len(rows(finished, "screen_signals")) == finished.manifest["books"]["outcomes"][schemas.KEPT]
    assert all(balance.expected == balance.found for balance in balances(finished))


def test_what_it_raises_on_becomes_unreadable_and_comes_back_when_it_is_mended(tmp_path):
    make(tmp_path)
    operators = [*OPERATORS[:2], {"use": "my_ops.py:raises"}]
    path = settings(tmp_path, operators, RULES[:2], compute={"max_unreadable_share": 0.1})
    _, finished = done(path)
    names = set(ledger(finished))
    assert not {"web3", "web19"} & names
    (record,) = unreadable(finished, "web3")
    line = 1 + OPS.split("\n").index('        raise ValueError("its text must not be told")')
    assert record.reason == f"operator raises: raises ValueError (my_ops.py, line {line})"
    manifest = finished.manifest
    assert manifest["books"]["outcomes"][schemas.UNREADABLE] == 2
    assert manifest["operators"]["raises"]["errors"] == 2
    assert manifest["operators"]["raises"]["documents"] == len(decided(finished))
    assert all(balance.expected == balance.found for balance in [*balances(finished), *recount(finished)])
    assert "operator raises: raises ValueError" in winnow("why", "web19", finished.store.root)[1]
    assert "2 unreadable because it raised" in winnow("summary", finished.store.root)[1]
    assert computed(done(path)[0]) == set()
    write_operators(tmp_path, "lambda text: False")
    _, mended = done(path)
    assert set(ledger(mended)) == names | {"web3", "web19"}
    write_operators(tmp_path)
    context, again = done(path)
    assert computed(context) == set()
    assert shards(again) == shards(finished)
    write_operators(tmp_path, ENDS.replace("3", "4"))  # another one, and another document
    assert set(ledger(done(path)[1])) == names - {"web4"} | {"web3"}


def test_a_document_that_kills_the_process_is_quarantined(tmp_path):
    make(tmp_path)
    (tmp_path / "run").mkdir()
    attempt = {"state": "running", "message": "", "stages": [], "missing": [], "deaths": 1}
    (tmp_path / "run" / "attempt.json").write_text(json.dumps(attempt))  # it died twice
    operators = [*OPERATORS[:2], {"use": "my_ops.py:kills"}]
    _, finished = done(settings(tmp_path, operators, [], compute={"max_unreadable_share": 0.1}))
    (record,) = unreadable(finished, "web5")
    assert record.reason == "fatal: ends its process (SIGKILL) in screen_signals"
    assert len(decided(finished)) == finished.manifest["operators"]["kills"]["documents"]


def test_other_units_and_batches_change_nothing(folder, screened, monkeypatch):
    many_units(monkeypatch, 8_000)
    monkeypatch.setattr("winnow.flow.measure.batch_bytes", lambda _mb: 5_000)
    context, finished = done(settings(folder, name="units"))
    assert len(context.run.of("screen_signals")) > 3
    assert rows(finished, "screen_signals") == rows(screened[1], "screen_signals")
    assert rows(finished, "screen_failures") == rows(screened[1], "screen_failures")
    assert ledger(finished) == ledger(screened[1])
    assert shards(finished) == shards(screened[1])


def test_records_that_are_more_than_a_text_are_seen_joined(tmp_path):
    make(tmp_path)
    turns = [
        [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": "It is!" * n}] for n in (1, 2)
    ]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps({"messages": turn}) + "\n" for turn in turns))
    path = settings(tmp_path, [*OPERATORS[:2], *OPERATORS[3:]], [])
    values = yaml.safe_load(path.read_text())
    values["sources"].append({"name": "chat", "path": str(tmp_path / "chat.jsonl"), "messages": "messages"})
    path.write_text(yaml.safe_dump(values))
    _, finished = done(path)
    seen = [row["judge"] for row in rows(finished, "screen_signals").values() if row["source"] == "chat"]
    weights = np.load(tmp_path / "model.npy")
    texts = ["What is 1?\n\nIt is!", "What is 2?\n\nIt is!It is!"]
    assert seen == pytest.approx([float(weights[list(text.encode())].mean()) for text in texts], abs=1e-4)


def test_raising_too_often_ends_the_run_with_few_documents_named(tmp_path):
    make(tmp_path, "lambda text: len(text) > 60")
    path = settings(tmp_path, [{"use": "my_ops.py:raises"}], [], compute={"max_unreadable_share": 0.1})
    with pytest.raises(UnreadableShareError, match=r"operator raises"):
        done(path)
    assert len(list((tmp_path / "run" / "quarantine").iterdir())) == int(0.1 * 49) + 1


def test_an_operator_that_raises_on_everything_names_no_document(tmp_path):
    make(tmp_path, "lambda text: True")
    path = settings(tmp_path, [{"use": "my_ops.py:raises"}], [], compute={"max_unreadable_share": 1})
    with pytest.raises(StageFailedError, match=r"operator raises raises ValueError .* so it is not the documents"):
        done(path)
    assert not (tmp_path / "run" / "quarantine").exists()


def test_what_breaks_the_contract_ends_the_run(folder):
    with pytest.raises(StageFailedError, match=r"OperatorError: operator too_few \(signal\) returned \d+ values"):
        done(settings(folder, [{"use": "my_ops.py:too_few"}], [], "contract"))


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ([{"use": "my_ops.py:shout"}], r"is a mapper with gpu=True; operators on GPUs run on what dedup kept"),
        ([*OPERATORS, {"use": "my_ops.py:too_early"}], r"needs the column 'judge' of an operator with gpu=True"),
        ([{**OPERATORS[0], "on_gpu": True}], r"on_gpu is what its decorator says"),
    ],
)
def test_what_cannot_be_is_refused(folder, operators, message):
    with pytest.raises(ConfigError, match=message):
        pin_operators(load_config(str(settings(folder, operators, [], "refused"))))


def test_without_them_a_run_is_what_it_was(folder):
    def stages(operators: list) -> tuple[list[str], str]:
        given = load_config(str(settings(folder, operators, [], "plain")))
        found = pin_operators(given)
        cpu = found.measure.model_copy(update={"operators": found.measure.operators_on(gpu=False)})
        names = [stage.name for stage in plan_run(given).stages]
        return names, measure.stage(cpu, MinHashConfig(), None, {}).fingerprint

    without, fingerprint = stages([])
    assert not any(name.startswith("screen") for name in without)
    on_cpu, _ = stages(OPERATORS[:1])
    assert on_cpu == without
    with_gpu, same = stages(OPERATORS[1:2])
    assert [name for name in with_gpu if not name.startswith("screen")] == without
    assert same == fingerprint
    assert (
        "on_gpu" not in pin_operators(load_config(str(settings(folder, OPERATORS[:1], [], "plain")))).model_dump_json()
    )


@pytest.mark.parametrize("select", [{"clusters": {"number": 2}, "sample": {"target_tokens": 3000}}])
def test_select_and_mixture_come_after(folder, screened, select):
    _, finished = done(settings(folder, name="selected", select=select, shards={"sequence_tokens": 127}))
    left = {row["doc"] for row in ledger(screened[1]).values() if row["outcome"] == schemas.KEPT}
    assert rows(finished, "embeddings").keys() == left
    assert finished.ledger_stage == "select"
    outcomes = finished.manifest["books"]["outcomes"]
    assert outcomes[schemas.FILTERED] == screened[1].manifest["books"]["outcomes"][schemas.FILTERED]
    assert outcomes[schemas.SAMPLED_OUT] > 0
    assert all(balance.expected == balance.found for balance in [*balances(finished), *recount(finished)])
    shards_section = {"sequence_tokens": 127, "max_tokens": 2500}
    _, mixed = done(settings(folder, name="mixed", shards=shards_section))
    assert mixed.ledger_stage == "mixture"
    assert all(balance.expected == balance.found for balance in [*balances(mixed), *recount(mixed)])


@pytest.mark.slow
def test_same_shards_where_actors_hold_a_gpu(folder, screened, local_ray, monkeypatch):
    monkeypatch.setattr("winnow.engine.engine.TINY_STAGE_BYTES", 0)
    for seen in (folder / "seen").iterdir():
        seen.unlink()
    compute = {"executor": "ray", "workers": 2, "worker_memory_mb": 256, "attempts": 2}
    context, finished = done(settings(folder, name="ray", compute=compute))
    assert shards(finished) == shards(screened[1])
    assert rows(finished, "screen_signals") == rows(screened[1], "screen_signals")
    (seen,) = (folder / "seen").iterdir()  # one GPU, so one actor, which loaded the model once
    assert seen.name.endswith("-0")
    assert all(record.metrics["on_gpu"] == 0.0 for record in context.run.of("screen_signals"))
    _, without = done(settings(folder, name="no-gpu", compute={**compute, "gpus": 0}))
    assert shards(without) == shards(finished)


@pytest.mark.slow
def test_an_exception_in_an_actor_is_isolated(tmp_path, local_ray, monkeypatch):
    monkeypatch.setattr("winnow.engine.engine.TINY_STAGE_BYTES", 0)
    make(tmp_path)
    operators = [*OPERATORS[:2], {"use": "my_ops.py:raises"}]
    compute = {"executor": "ray", "workers": 2, "worker_memory_mb": 256, "max_unreadable_share": 0.1}
    _, there = done(settings(tmp_path, operators, RULES[:2], "ray", compute=compute))
    _, here = done(settings(tmp_path, operators, RULES[:2], "here", compute={"max_unreadable_share": 0.1}))
    assert there.manifest["books"] == here.manifest["books"]
    assert shards(there) == shards(here)
